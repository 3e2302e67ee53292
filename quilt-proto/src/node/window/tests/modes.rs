//! What a group promises, and what is wanted of the past.

use super::*;
use alloc::vec;

pub(super) fn of_mode(delivery: Delivery, limits: Limits) -> Window {
    let mut window = of(limits);
    window.set_delivery(delivery);
    window
}

fn recalling(history: History, delivery: Delivery) -> Window {
    let mut window = Window::new(limits(), ME, Incarnation(1), history);
    window.set_delivery(delivery);
    window
}

/// The messages that are to be asked for, of those missing for a second.
fn wanted(window: &Window, at: u64) -> Vec<u64> {
    let mut wanted = Vec::new();
    window.holes(Time::from_millis(at + 1_000), Duration::from_secs(1), None, |hole| {
        wanted.push(hole.first.seq.0);
        true
    });
    wanted
}

fn gap(from: u64, to: u64, cause: GapCause) -> Notice {
    Notice::Gap { source: source(), from: Seq(from), to: Seq(to), cause }
}

#[test]
fn best_effort_delivers_as_messages_come_and_says_nothing_of_others() {
    let mut window = of_mode(Delivery::BestEffort, limits());
    keep(&mut window, 0, 2, 0, 1);
    keep(&mut window, 0, 0, 1, 2);
    assert_eq!(seqs(&notices(&mut window)), [2]);
    assert_eq!(keep(&mut window, 1, 2, 0, 1), Kept::Duplicate);
    window.note_head(Time::ZERO, &head(9), Meeting::Present);
    assert!(!window.has_wants());
    assert_eq!(wanted(&window, 0), []);
    keep(&mut window, 2, 0, 0, 2);
    keep(&mut window, 2, 1, 0, 1);
    let told = notices(&mut window);
    assert_eq!(seqs(&told), [0, 1]);
    assert_eq!(told.len(), 2);
}

#[test]
fn best_effort_forgets_what_does_not_become_whole() {
    let mut window = of_mode(Delivery::BestEffort, limits());
    keep(&mut window, 0, 1, 0, 2);
    window.give_up(Time::ZERO + REPAIR_DEADLINE, |_, _| true);
    assert!(window.is_empty() && !window.has_holes());
    assert_eq!(keep(&mut window, 3_000, 1, 1, 2), Kept::Late);
    assert_eq!(keep(&mut window, 3_000, 2, 0, 1), Kept::New);
    assert_eq!(notices(&mut window).len(), 1);
}

#[test]
fn best_effort_says_how_many_messages_a_slow_application_missed_and_announces_no_gap() {
    let by_bytes = Limits { window_bytes: 5 * 42, ..limits() };
    let by_messages = Limits { window_messages: 5, ..limits() };
    for limits in [by_bytes, by_messages] {
        let mut window = of_mode(Delivery::BestEffort, limits);
        keep(&mut window, 0, 0, 0, 1);
        assert_eq!(seqs(&notices(&mut window)), [0], "that one is no loss");
        for seq in 1..9 {
            keep(&mut window, seq, seq, 0, 1);
        }
        let told = notices(&mut window);
        assert_eq!(told[0], Notice::Lagged { source: source(), messages: 3 });
        assert_eq!(seqs(&told), [4, 5, 6, 7, 8]);
        assert_eq!(told.len(), 6);
    }
}

#[test]
fn a_reader_in_order_waits_fifty_milliseconds_for_a_late_message_and_no_longer() {
    let mut window = of_mode(Delivery::Ordered, limits());
    keep(&mut window, 0, 1, 0, 1);
    assert_eq!((window.has_wants(), wanted(&window, 0)), (false, Vec::new()));
    window.give_up(Time::from_millis(49), |_, _| true);
    assert_eq!(notices(&mut window), []);
    keep(&mut window, 49, 0, 0, 1);
    assert_eq!(seqs(&notices(&mut window)), [0, 1]);
    // A later head is enough to know of a hole.
    window.note_head(Time::from_millis(60), &head(4), Meeting::Present);
    window.give_up(Time::from_millis(109), |_, _| true);
    assert_eq!(notices(&mut window), []);
    window.give_up(Time::from_millis(110), |_, _| true);
    assert_eq!(notices(&mut window), [gap(2, 3, GapCause::NotInTime)]);
    assert_eq!(keep(&mut window, 111, 2, 0, 1), Kept::Late);
}

#[test]
fn a_message_counts_as_late_once_where_nothing_is_asked_for() {
    let mut window = of_mode(Delivery::BestEffort, limits());
    window.note_head(Time::ZERO, &head(2), Meeting::Present);
    keep(&mut window, 0, 1, 0, 1);
    let late = |millis| {
        let mut late = Vec::new();
        window.late(Time::from_millis(millis), |_, seq| {
            late.push(seq.0);
            true
        });
        late
    };
    assert_eq!([late(49), late(50), late(99), late(100)], [vec![], vec![0], vec![0], vec![]]);
}

#[test]
fn what_a_slow_application_missed_is_said_once_whichever_limit_it_ran_into() {
    // Some leave the window for want of bytes, then these and others for want of places.
    let mut window = of(Limits { window_bytes: 20 * 42, window_messages: 30, ..limits() });
    for seq in 0..100 {
        keep(&mut window, seq, seq, 0, 1);
    }
    let told = notices(&mut window);
    assert_eq!(told[0], Notice::Lagged { source: source(), messages: 80 });
    assert_eq!(told[1], gap(0, 79, GapCause::Lagged));
    assert_eq!(seqs(&told), (80..100).collect::<Vec<u64>>());
    assert_eq!(told.len(), 22);
}

/// As from two partners of which each brings every second stretch.
#[test]
fn the_oldest_messages_go_first_in_whichever_order_they_came() {
    for delivery in [Delivery::Ordered, Delivery::Reliable] {
        let mut window = of_mode(delivery, Limits { window_bytes: 5 * 42, ..limits() });
        for seq in 0..10 {
            keep(&mut window, seq, seq + 10, 0, 1);
            keep(&mut window, seq, seq, 0, 1);
        }
        let told = notices(&mut window);
        assert_eq!(told[0], Notice::Lagged { source: source(), messages: 15 }, "{delivery}");
        assert_eq!(told[1], gap(0, 14, GapCause::Lagged), "{delivery}");
        assert_eq!(seqs(&told[2..]), [15, 16, 17, 18, 19], "{delivery}");
    }
}

/// What a message that never came held up gives way behind it, and the application goes on.
#[test]
fn a_message_that_is_missing_gives_way_before_those_behind_it() {
    let mut window = of_mode(Delivery::Reliable, Limits { window_bytes: 5 * 42, ..limits() });
    for seq in 1..=6 {
        keep(&mut window, seq, seq, 0, 1);
    }
    let told = notices(&mut window);
    assert_eq!(told[0], gap(0, 0, GapCause::WindowFull));
    assert_eq!(told[1], Notice::Lagged { source: source(), messages: 1 });
    assert_eq!(told[2], gap(1, 1, GapCause::Lagged));
    assert_eq!(seqs(&told[3..]), [2, 3, 4, 5, 6]);
}

#[test]
fn a_newcomer_gets_as_many_of_the_last_messages_as_it_wants_and_are_held() {
    for (count, first) in [(0, 9), (3, 6), (7, 2), (100, 2)] {
        let mut window = recalling(History::Last(count), Delivery::Reliable);
        let word = Held { low: Seq(2), ..head(9) };
        window.note_head(Time::ZERO, &word, Meeting::Newcomer);
        assert_eq!(wanted(&window, 0), (first..9).collect::<Vec<u64>>());
        (first..10).rev().for_each(|seq| {
            keep(&mut window, 1, seq, 0, 1);
        });
        assert_eq!(seqs(&notices(&mut window)), (first..10).collect::<Vec<u64>>());
    }
}

#[test]
fn a_newcomer_starts_at_the_last_mark_or_not_at_all() {
    let mut window = recalling(History::FromMark, Delivery::Reliable);
    window.note_head(Time::ZERO, &Held { mark: Seq(5), ..head(9) }, Meeting::Newcomer);
    let host = HostId([8; 32]);
    window.note_head(Time::ZERO, &Held { host, ..head(4) }, Meeting::Newcomer);
    assert_eq!(wanted(&window, 0), [5, 6, 7, 8]);
}

#[test]
fn what_came_before_the_first_word_does_not_cut_the_past_off() {
    let mut window = recalling(History::Last(4), Delivery::Reliable);
    window.keep(Time::ZERO, &data(9, 0, 1), Meeting::Newcomer);
    window.note_head(Time::ZERO, &head(9), Meeting::Newcomer);
    assert_eq!(wanted(&window, 0), [5, 6, 7, 8]);
    // Another member holds more, but nothing more is wanted.
    window.note_head(Time::ZERO, &head(10), Meeting::Newcomer);
    assert_eq!(wanted(&window, 0), [5, 6, 7, 8]);
    // What is not to be had is a gap as any other.
    window.give_up(Time::ZERO + REPAIR_DEADLINE, |_, _| false);
    let told = notices(&mut window);
    assert_eq!(told[0], gap(5, 8, GapCause::Unrepaired));
    assert_eq!(seqs(&told), [9]);
}

#[test]
fn only_the_past_is_asked_for_where_nothing_is_repaired() {
    for delivery in [Delivery::Ordered, Delivery::BestEffort] {
        let mut window = recalling(History::Last(2), delivery);
        window.note_head(Time::ZERO, &head(9), Meeting::Newcomer);
        keep(&mut window, 0, 11, 0, 1);
        assert!(window.has_wants());
        assert_eq!(wanted(&window, 0), [7, 8], "{delivery}");
        // The past has the time that a repair has.
        window.give_up(Time::from_millis(100), |_, _| true);
        keep(&mut window, 100, 7, 0, 1);
        keep(&mut window, 100, 8, 0, 1);
        assert!(!window.has_wants());
        let told = notices(&mut window);
        if delivery == Delivery::Ordered {
            assert_eq!(told[2], gap(9, 10, GapCause::NotInTime));
            assert_eq!(seqs(&told), [7, 8, 11]);
        } else {
            assert_eq!(seqs(&told), [11, 7, 8]);
            assert_eq!(told.len(), 3);
        }
    }
}

#[test]
fn the_latest_mark_that_is_here_is_told_to_others() {
    let mut window = of(limits());
    let mark = |window: &Window| window.held()[0].mark.0;
    let options = PublishOptions { mark: true, ..PublishOptions::default() };
    window.note_head(Time::ZERO, &head(0), Meeting::Present);
    keep(&mut window, 0, 0, 0, 1);
    assert_eq!(mark(&window), 1, "none");
    window.keep(Time::ZERO, &Data { options, ..data(1, 0, 1) }, Meeting::Present);
    keep(&mut window, 0, 2, 0, 1);
    assert_eq!(mark(&window), 1);
    notices(&mut window);
    window.age(Time::ZERO + limits().window_time);
    assert_eq!(mark(&window), 3, "it has left the window");
    window.publish(Time::ZERO, REGION, &Bytes::from_static(b"own"), options);
    let own = window.held().into_iter().find(|held| held.host == ME).expect("an own stream");
    assert_eq!((own.mark, own.next), (Seq(0), Seq(1)));
}

/// What a source's first life has come to when its second one begins, and how often each kind of
/// notice is told of the first life where the order is kept: messages, and messages in gaps.
const STATES: [State; 8] = [
    ("nothing is known but its head", |window| know(window, 2), (0, 2)),
    ("a message has begun", |window| come(window, &data(0, 0, 2)), (0, 1)),
    ("a message waits for the application", |window| come(window, &data(0, 0, 1)), (1, 0)),
    ("a message waits for another one", |window| come(window, &data(1, 0, 1)), (1, 1)),
    ("a message was delivered", deliver, (0, 0)),
    ("a message was given up", give_up, (0, 1)),
    ("a message is over", |window| come(window, &with_deadline(0, 0, 1, 0)), (0, 1)),
    ("the application was too slow", be_slow, (64, 36)),
];

type State = (&'static str, fn(&mut Window), (u64, u64));

fn deliver(window: &mut Window) {
    come(window, &data(0, 0, 1));
    assert_eq!(notices(window).len(), 1);
}

fn give_up(window: &mut Window) {
    know(window, 1);
    window.give_up(Time::from_millis(40_000), |_, _| false);
}

fn be_slow(window: &mut Window) {
    (0..100).for_each(|seq| come(window, &data(seq, 0, 1)));
}

fn know(window: &mut Window, next: u64) {
    window.note_head(Time::ZERO, &head(next), Meeting::Present);
}

fn come(window: &mut Window, data: &Data) {
    window.keep(Time::ZERO, data, Meeting::Present);
}

#[test]
fn a_source_may_start_anew_in_every_state() {
    for delivery in Delivery::ALL {
        for (state, bring_about, (messages, gapped)) in STATES {
            let mut window = of_mode(delivery, limits());
            bring_about(&mut window);
            let mut reborn = data(0, 0, 1);
            reborn.fragment.source.incarnation = Incarnation(2);
            assert_eq!(window.keep(Time::ZERO, &reborn, Meeting::Present), Kept::New, "{state}");
            assert_eq!(keep(&mut window, 0, 0, 0, 1), Kept::Late, "{state}: its old life is over");
            let told = notices(&mut window);
            let [before @ .., Notice::SourceReset { .. }, Notice::Message(first)] = &told[..]
            else {
                panic!("{delivery}, {state}: {told:?}");
            };
            assert_eq!(first.source.incarnation, Incarnation(2));
            assert_eq!(seqs(before).len() as u64, messages, "{delivery}, {state}: {told:?}");
            let gaps = before.iter().filter_map(|notice| match notice {
                Notice::Gap { from, to, .. } => Some(to.next().distance(*from)),
                _ => None,
            });
            let gaps: Vec<u64> = gaps.collect();
            let expected = if delivery == Delivery::BestEffort { 0 } else { gapped };
            assert_eq!(gaps.iter().sum::<u64>(), expected, "{delivery}, {state}: {told:?}");
            assert!(!window.has_holes());
            assert_eq!(window.bytes(), 10 + size_of::<Option<Bytes>>(), "{state}");
        }
    }
}

#[test]
fn a_newcomer_is_told_nothing_of_a_source_s_earlier_life() {
    let mut window = recalling(History::Last(3), Delivery::Reliable);
    // One neighbour has not heard of the second life yet.
    window.note_head(Time::ZERO, &head(5), Meeting::Newcomer);
    keep(&mut window, 0, 4, 0, 1);
    let reborn = Held { incarnation: Incarnation(2), ..head(2) };
    window.note_head(Time::ZERO, &reborn, Meeting::Newcomer);
    assert_eq!(window.bytes(), 0);
    window.note_head(Time::ZERO, &head(9), Meeting::Present);
    let mut message = data(0, 0, 1);
    message.fragment.source.incarnation = Incarnation(2);
    window.keep(Time::ZERO, &message, Meeting::Present);
    let told = notices(&mut window);
    assert!(matches!(&told[..], [Notice::Message(_)]), "{told:?}");
}

#[test]
fn the_last_messages_of_a_source_are_as_good_as_others() {
    let (end, count) = (Seq::END.0, 3);
    for delivery in Delivery::ALL {
        let mut window = recalling(History::Last(u32::MAX), delivery);
        let word = Held { low: Seq(end - count), ..head(end) };
        window.note_head(Time::ZERO, &word, Meeting::Newcomer);
        assert_eq!(wanted(&window, 0), (end - count..end).collect::<Vec<u64>>());
        for seq in end - count..=end {
            assert_eq!(keep(&mut window, 0, seq, 0, 1), Kept::New);
        }
        window.give_up(Time::from_millis(40_000), |_, _| false);
        let told = notices(&mut window);
        assert_eq!(seqs(&told), (end - count..=end).collect::<Vec<u64>>(), "{delivery}");
        assert_eq!(told.len() as u64, count + 1);
    }
}

proptest! {
    /// Whatever comes in whatever order, and whatever is dropped for want of room: in no mode does a
    /// message come twice. Best effort: all that became whole is delivered or counted as missed by
    /// the application, nothing else is told. Otherwise: in order, and each message once or in
    /// exactly one gap, and each gap of a slow application right behind its notice. At the start of
    /// a stream and at its end, where numbers are as high as they can be.
    #[test]
    fn each_mode_keeps_its_promise(
        ops in prop::collection::vec(op(), 0..200),
        delivery in prop::sample::select(&Delivery::ALL[..]),
        room in 1_usize..60,
        start in prop::sample::select(&[0, Seq::END.0 - 44][..]),
    ) {
        let limits = Limits {
            window_bytes: room * FRAGMENT_BYTES,
            window_messages: 16,
            window_time: Duration::from_secs(4),
            ..Limits::default()
        };
        let mut window = of_mode(delivery, limits.clone());
        let word = Held { low: Seq(start), ..head(start) };
        window.note_head(Time::ZERO, &word, Meeting::Present);
        let (mut now, mut next, mut lagged) = (0, start, 0);
        let mut parts: BTreeMap<u64, u64> = BTreeMap::new();
        let mut kept: BTreeSet<(u64, u16)> = BTreeSet::new();
        let mut seen: BTreeSet<u64> = BTreeSet::new();
        for op in ops.into_iter().chain([Op::Pass(3_000), Op::Pass(40_000), Op::Read]) {
            match op {
                Op::Keep { seq, index } => {
                    let count = (seq % 3) as u16 + 1;
                    let kept_as = keep(&mut window, now, start + seq, index % count, count);
                    if kept_as == Kept::New {
                        prop_assert!(kept.insert((seq, index % count)), "seq {} twice", seq);
                        *parts.entry(seq).or_default() += 1;
                    }
                }
                Op::Head(next) => {
                    let word = head((start + next).min(Seq::END.0));
                    window.note_head(Time::from_millis(now), &word, Meeting::Present);
                }
                Op::Pass(millis) => {
                    now += millis;
                    window.give_up(Time::from_millis(now), |_, _| false);
                    window.age(Time::from_millis(now));
                }
                Op::Read => {
                    let mut told = notices(&mut window).into_iter().peekable();
                    while let Some(notice) = told.next() {
                        match notice {
                            Notice::Message(message) => {
                                prop_assert!(seen.insert(message.seq.0), "{} twice", message.seq);
                                if delivery != Delivery::BestEffort {
                                    prop_assert_eq!(message.seq.0, next);
                                }
                                next = message.seq.0 + 1;
                                let fragments = (message.seq.0 - start) as usize % 3;
                                prop_assert_eq!(message.body.len(), fragments * FRAGMENT_BYTES + 10);
                            }
                            Notice::Gap { from, to, .. } => {
                                prop_assert_ne!(delivery, Delivery::BestEffort);
                                prop_assert_eq!(from.0, next);
                                prop_assert!(from <= to);
                                next = to.0 + 1;
                            }
                            Notice::Lagged { messages, .. } if delivery == Delivery::BestEffort => {
                                lagged += messages;
                            }
                            Notice::Lagged { messages, .. } => {
                                let Some(Notice::Gap { from, to, cause, .. }) = told.peek() else {
                                    return Err(TestCaseError::fail("no gap behind it"));
                                };
                                prop_assert_eq!(*cause, GapCause::Lagged);
                                prop_assert_eq!(to.0 + 1 - from.0, messages);
                            }
                            other => prop_assert!(false, "{:?}", other),
                        }
                    }
                }
            }
            prop_assert!(window.bytes() <= limits.window_bytes);
            prop_assert!(window.has_wants() == (delivery == Delivery::Reliable && window.has_holes()));
        }
        prop_assert!(!window.has_holes());
        if delivery == Delivery::BestEffort {
            let whole = parts.iter().filter(|&(seq, parts)| *parts == seq % 3 + 1).count();
            prop_assert_eq!(seen.len() as u64 + lagged, whole as u64);
        } else {
            let [held] = &window.held()[..] else { return Err(TestCaseError::fail("no source")) };
            prop_assert_eq!(held.next.0, next, "everything up to the head is told");
        }
    }
}
