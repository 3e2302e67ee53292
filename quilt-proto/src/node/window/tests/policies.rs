//! What an application is promised of the queue in front of it: classes, deadlines, and the past.

use super::modes::of_mode;
use super::*;
use alloc::collections::{BTreeSet, VecDeque};
use prop::collection::vec;
use prop::sample::select;

/// The only fragment of a message of one of several sources.
fn of_source(host: u64, seq: u64, options: PublishOptions) -> Data {
    let mut data = Data { options, ..data(seq, 0, 1) };
    data.fragment.source.host = HostTag(host);
    data
}

proptest! {
    /// Messages of several sources wait; where the order is kept each source has a class of its own.
    /// The application gets the highest class that waits, but for the turns of those that were passed
    /// over, none of which waits longer than is documented; and of one source and class first what
    /// came first.
    #[test]
    fn the_application_gets_the_highest_class_first_and_no_class_starves(
        ops in vec(prop::option::weighted(0.6, (select(&Priority::ALL[..]), 0_u64..4)), 0..300),
        delivery in select(&Delivery::ALL[..]),
    ) {
        let mut window = of_mode(delivery, Limits::default());
        let mut waits: BTreeMap<(Priority, HostTag), VecDeque<Seq>> = BTreeMap::new();
        let (mut next, mut passed_over) = ([0; 4], [0; 4]);
        for op in ops {
            if let Some((priority, host)) = op {
                let in_order = delivery != Delivery::BestEffort;
                let priority = if in_order { Priority::ALL[host as usize] } else { priority };
                let seq = next[host as usize];
                next[host as usize] += 1;
                let options = PublishOptions { priority, ..PublishOptions::default() };
                let data = of_source(host + 1, seq, options);
                window.keep(Time::ZERO, &data, Meeting::Present);
                let queue = waits.entry((priority, HostTag(host + 1))).or_default();
                queue.push_back(Seq(seq));
                continue;
            }
            let Some(notice) = window.poll_notice(Time::ZERO) else {
                prop_assert!(waits.is_empty());
                continue;
            };
            let Notice::Message(message) = notice else { panic!("{notice:?}") };
            let first = |(of, queue): (&(Priority, HostTag), &VecDeque<Seq>)| {
                let is_it = of.1 == message.source.host && queue.front() == Some(&message.seq);
                is_it.then_some(of.0)
            };
            let class = waits.iter().find_map(first);
            let Some(class) = class else { panic!("{message:?} of {waits:?}") };
            let overtakes = waits.keys().any(|(of, _)| *of < class);
            let waited = core::mem::take(&mut passed_over[class as usize]);
            prop_assert!(!overtakes || waited >= Priority::MAX_PASSED_OVER);
            let queue = waits.get_mut(&(class, message.source.host)).expect("it was there");
            queue.pop_front();
            waits.retain(|_, queue| !queue.is_empty());
            for of in Priority::ALL {
                let waiting = waits.keys().any(|(waiting, _)| *waiting == of);
                let passed = &mut passed_over[of as usize];
                *passed = if waiting { *passed + usize::from(of > class) } else { 0 };
                prop_assert!(*passed <= Priority::MAX_PASSED_OVER + 2, "{of:?} starves");
            }
        }
    }

    /// However long messages wait for others before them, or for the application: in no mode is one
    /// delivered when its deadline has passed, and one that has none left out. Where the order is
    /// kept each is delivered once or lies in exactly one gap, as expired if it came and is not here.
    #[test]
    fn nothing_is_delivered_after_its_deadline_in_any_mode(
        messages in vec((0_u64..200, prop::option::of(1_u64..200), 0_u64..120, any::<bool>()), 1..60),
        delivery in select(&Delivery::ALL[..]),
    ) {
        let mut window = of_mode(delivery, Limits::default());
        window.note_head(Time::ZERO, &head(0), Meeting::Present);
        // By message: when it came, and when it is over.
        let mut lives: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        let (mut now, mut delivered, mut gapped) = (0, BTreeSet::new(), BTreeSet::new());
        let last = messages.len();
        for (at, (seq, left, pause, reads)) in messages.into_iter().enumerate() {
            let seq = seq % 40;
            let deadline = left.map(Duration::from_millis);
            let options = PublishOptions { deadline, ..PublishOptions::default() };
            let mut data = of_source(source().host.0, seq, options);
            data.fragment.source = source();
            if window.keep(Time::from_millis(now), &data, Meeting::Present) == Kept::New {
                lives.insert(seq, (now, left.map_or(u64::MAX, |left| now + left)));
            }
            now += if at + 1 == last { 40_000 } else { pause };
            window.give_up(Time::from_millis(now), |_, _| false);
            if !reads && at + 1 < last {
                continue;
            }
            while let Some(notice) = window.poll_notice(Time::from_millis(now)) {
                match notice {
                    Notice::Message(message) => {
                        let (_, over) = lives[&message.seq.0];
                        prop_assert!(now < over, "{} at {now}, over at {over}", message.seq);
                        prop_assert!(delivered.insert(message.seq.0));
                    }
                    Notice::Gap { from, to, cause, .. } => {
                        prop_assert_ne!(delivery, Delivery::BestEffort);
                        for seq in from.0..=to.0 {
                            prop_assert!(gapped.insert(seq) && !delivered.contains(&seq));
                            let over = lives.get(&seq).map(|&(_, over)| over);
                            prop_assert_eq!(cause == GapCause::Expired, over.is_some(), "{}", seq);
                            prop_assert!(over.is_none_or(|over| over <= now));
                        }
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }
        for (seq, (_, over)) in lives {
            prop_assert!(over < u64::MAX || delivered.contains(&seq), "{} has no deadline", seq);
            prop_assert!(delivered.contains(&seq) || delivery == Delivery::BestEffort
                || gapped.contains(&seq));
        }
    }

    /// A newcomer gets of the past what its wish names, as far back as it is held, and nothing else;
    /// and everything that comes later.
    #[test]
    fn a_newcomer_gets_of_the_past_what_it_wishes_for(
        (low, mark, next) in (0_u64..30, 0_u64..30, 0_u64..30),
        history in prop_oneof![
            Just(History::None),
            (0_u32..40).prop_map(History::Last),
            Just(History::FromMark),
        ],
        later in 0_u64..5,
        delivery in select(&Delivery::ALL[..]),
    ) {
        let next = low + next;
        let mark = (low + mark).min(next);
        let mut window = Window::new(Limits::default(), ME, Incarnation(1), history);
        window.set_delivery(delivery);
        let word = Held { low: Seq(low), mark: Seq(mark), ..head(next) };
        window.note_head(Time::ZERO, &word, Meeting::Newcomer);
        for seq in low..next + later {
            keep(&mut window, 1, seq, 0, 1);
        }
        let from = match history {
            History::None => next,
            History::Last(count) => next.saturating_sub(count.into()).max(low),
            History::FromMark => mark,
        };
        let told = notices(&mut window);
        prop_assert_eq!(seqs(&told), (from..next + later).collect::<Vec<u64>>());
        prop_assert_eq!(told.len() as u64, next + later - from, "nothing else is told");
    }
}

/// The application had not asked by the time when the message would have left the window.
#[test]
fn a_message_that_expired_is_told_however_late_the_application_asks() {
    let mut window = of(limits());
    window.keep(Time::ZERO, &with_deadline(0, 0, 2, 40), Meeting::Present);
    window.give_up(Time::from_millis(40), |_, _| false);
    keep(&mut window, 50, 1, 0, 1);
    for at in [31_000, 62_000] {
        window.age(Time::from_millis(at));
    }
    let told = notices(&mut window);
    let (from, to, cause) = (Seq(0), Seq(0), GapCause::Expired);
    assert_eq!(told[0], Notice::Gap { source: source(), from, to, cause });
    assert_eq!(seqs(&told), [1]);
    window.age(Time::from_millis(93_000));
    assert!(window.is_empty());
}
