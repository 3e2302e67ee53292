mod modes;
mod policies;

use super::*;
use crate::GroupId;
use alloc::collections::BTreeMap;
use proptest::prelude::*;

const ME: HostId = HostId([0; 32]);
const OTHER: HostId = HostId([7; 32]);
const REGION: PatchId = PatchId(5);

fn source() -> Source {
    Source { host: OTHER.tag(), incarnation: Incarnation(1) }
}

fn limits() -> Limits {
    Limits { window_messages: 64, ..Limits::default() }
}

fn of(limits: Limits) -> Window {
    Window::new(limits, ME, Incarnation(1), History::None)
}

/// A fragment of message `seq`, whose `count` fragments hold their own number.
fn data(seq: u64, index: u16, count: u16) -> Data {
    let len = if index + 1 == count { 10 } else { FRAGMENT_BYTES };
    Data {
        group: GroupId(1),
        patch: REGION,
        fragment: FragmentId { source: source(), seq: Seq(seq), index },
        count,
        origin: REGION,
        hops: 0,
        solicited: false,
        options: PublishOptions::default(),
        payload: Bytes::from(alloc::vec![index as u8; len]),
    }
}

fn keep(window: &mut Window, at: u64, seq: u64, index: u16, count: u16) -> Kept {
    window.keep(Time::from_millis(at), &data(seq, index, count), Meeting::Present)
}

fn head(next: u64) -> Held {
    let (low, next, mark) = (Seq(0), Seq(next), Seq(next));
    let incarnation = Incarnation(1);
    Held { host: OTHER, incarnation, low, next, mark, missing: [].into_iter().collect() }
}

fn notices(window: &mut Window) -> Vec<Notice> {
    core::iter::from_fn(|| window.poll_notice(Time::ZERO)).collect()
}

fn seqs(notices: &[Notice]) -> Vec<u64> {
    let seq = |notice: &Notice| match notice {
        Notice::Message(message) => Some(message.seq.0),
        _ => None,
    };
    notices.iter().filter_map(seq).collect()
}

#[test]
fn fragments_in_any_order_make_one_message_and_messages_come_in_order() {
    let mut window = of(limits());
    assert_eq!(keep(&mut window, 0, 1, 0, 1), Kept::New);
    assert_eq!(keep(&mut window, 0, 0, 1, 2), Kept::New);
    assert_eq!(notices(&mut window), []);
    assert_eq!(keep(&mut window, 0, 0, 1, 2), Kept::Duplicate);
    assert_eq!(keep(&mut window, 0, 0, 0, 2), Kept::New);
    let delivered = notices(&mut window);
    assert_eq!(seqs(&delivered), [0, 1]);
    let Notice::Message(first) = &delivered[0] else { panic!("{delivered:?}") };
    assert_eq!(first.body.len(), FRAGMENT_BYTES + 10);
    assert_eq!(keep(&mut window, 1, 0, 0, 2), Kept::Duplicate);
}

#[test]
fn a_fragment_that_contradicts_its_message_is_refused() {
    let mut window = of(limits());
    assert_eq!(keep(&mut window, 0, 0, 0, 3), Kept::New);
    assert_eq!(keep(&mut window, 0, 0, 1, 4), Kept::Contradiction);
}

#[test]
fn the_last_sequence_numbers_there_are_overflow_nothing() {
    let mut window = of(limits());
    window.note_head(Time::ZERO, &head(u64::MAX), Meeting::Present);
    assert_eq!(keep(&mut window, 0, u64::MAX, 0, 1), Kept::Late);
    assert_eq!(keep(&mut window, 0, u64::MAX - 1, 0, 1), Kept::New);
    let mut holes = 0;
    window.holes(Time::from_millis(1_000), Duration::ZERO, None, |_| {
        holes += 1;
        true
    });
    assert_eq!(holes, 63);
    window.give_up(Time::from_millis(4_000), |_, _| false);
    assert_eq!(seqs(&notices(&mut window)), [u64::MAX - 1]);
}

#[test]
fn nobody_publishes_under_this_hosts_name() {
    let mut window = of(limits());
    for life in 0..3 {
        let source = Source { host: ME.tag(), incarnation: Incarnation(life) };
        let forged = FragmentId { source, ..data(9, 0, 1).fragment };
        let forged = Data { fragment: forged, ..data(9, 0, 1) };
        assert_eq!(window.keep(Time::ZERO, &forged, Meeting::Present), Kept::Late);
    }
    let (seq, _) =
        window.publish(Time::ZERO, REGION, &Bytes::from_static(b"own"), PublishOptions::default());
    assert_eq!(seq, Seq(0));
    assert_eq!(notices(&mut window), []);
}

#[test]
fn a_source_that_restarts_leaves_no_bytes_behind() {
    let mut window = of(limits());
    keep(&mut window, 0, 0, 0, 2);
    keep(&mut window, 0, 1, 0, 1);
    let mut next = data(0, 0, 1);
    next.fragment.source.incarnation = Incarnation(2);
    window.keep(Time::ZERO, &next, Meeting::Present);
    assert_eq!(window.bytes(), next.payload.len() + size_of::<Option<Bytes>>());
}

#[test]
fn what_went_by_while_a_host_was_away_is_a_gap() {
    let mut window = of(limits());
    keep(&mut window, 0, 0, 0, 1);
    assert_eq!(seqs(&notices(&mut window)), [0]);
    window.age(Time::from_millis(60_000));
    let later = Held { low: Seq(5), ..head(6) };
    window.note_head(Time::from_millis(60_000), &later, Meeting::Present);
    keep(&mut window, 60_000, 5, 0, 1);
    window.give_up(Time::from_millis(64_000), |_, _| false);
    let (from, to, cause) = (Seq(1), Seq(4), GapCause::Unrepaired);
    let notices = notices(&mut window);
    assert_eq!(notices[0], Notice::Gap { source: source(), from, to, cause });
    assert_eq!(seqs(&notices), [5]);
}

#[test]
fn a_message_that_is_longer_than_any_may_be_costs_nothing() {
    let mut window = of(Limits { message_bytes: 3 * FRAGMENT_BYTES, ..limits() });
    assert_eq!(keep(&mut window, 0, 0, 0, 4), Kept::TooLong);
    assert_eq!(keep(&mut window, 0, 0, 0, 3), Kept::New);
}

#[test]
fn messages_that_only_began_count_against_the_window() {
    let window_bytes = 1 << 20;
    let mut window = of(Limits { window_bytes, window_messages: 1_024, ..limits() });
    for seq in 0..1_000 {
        keep(&mut window, 0, seq, 0, 10_000);
    }
    assert!(window.bytes() <= window_bytes);
    let places: usize = window.streams.values().map(Stream::bytes).sum();
    assert_eq!(window.bytes(), places);
}

#[test]
fn many_sources_share_the_messages_that_may_be_known() {
    let max = limits().window_messages;
    let mut window = of(limits());
    for life in 0..16 {
        let host = HostId([life + 1; 32]);
        window.note_head(Time::ZERO, &Held { host, ..head(1 << 40) }, Meeting::Present);
    }
    let known: usize = window.streams.values().map(Stream::len).sum();
    assert_eq!(window.slots, known);
    assert_eq!(known, max);
    assert!(window.streams.values().all(|stream| stream.len() == max / 16), "each its share");
}

#[test]
fn an_application_that_never_reads_costs_no_more_than_the_window() {
    let mut window = of(limits());
    keep(&mut window, 0, 0, 0, 1);
    for seq in 0..10_000 {
        let mut other = data(seq, 0, 1);
        other.fragment.source.host = HostId([8; 32]).tag();
        window.keep(Time::from_millis(seq), &other, Meeting::Present);
    }
    assert!(window.order.len() <= 2 * limits().window_messages + 1, "{}", window.order.len());
}

#[test]
fn a_newcomer_gets_nothing_from_before_and_everything_after() {
    let mut window = of(limits());
    window.note_head(Time::ZERO, &head(9), Meeting::Newcomer);
    assert!(!window.has_holes());
    window.note_head(Time::ZERO, &head(11), Meeting::Present);
    assert!(window.has_holes());
    keep(&mut window, 1, 9, 0, 1);
    keep(&mut window, 1, 10, 0, 1);
    assert_eq!(seqs(&notices(&mut window)), [9, 10]);
    assert_eq!(keep(&mut window, 2, 8, 0, 1), Kept::Late);
}

#[test]
fn a_head_shows_that_the_last_message_was_lost() {
    let mut window = of(limits());
    keep(&mut window, 0, 0, 0, 1);
    assert!(!window.has_holes());
    assert!(window.note_head(Time::from_millis(5), &head(2), Meeting::Present));
    let mut holes = Vec::new();
    window.holes(Time::from_millis(30), Duration::from_millis(20), None, |hole| {
        holes.push(hole);
        true
    });
    let first = FragmentId { source: source(), seq: Seq(1), index: 0 };
    assert_eq!(holes, [Wanted { first, last: u16::MAX }]);
}

#[test]
fn holes_are_named_once_they_are_old_enough() {
    let mut window = of(limits());
    for index in [0, 1, 4, 6] {
        keep(&mut window, 0, 0, index, 9);
    }
    let holes = |window: &Window, at| {
        let mut holes = Vec::new();
        window.holes(Time::from_millis(at), Duration::from_millis(20), None, |hole| {
            holes.push((hole.first.index, hole.last));
            true
        });
        holes
    };
    assert_eq!(holes(&window, 19), []);
    assert_eq!(holes(&window, 20), [(2, 3), (5, 5), (7, 8)]);
    // While fragments still come, what lies behind the latest one is not missing.
    keep(&mut window, 25, 0, 7, 9);
    assert_eq!(holes(&window, 30), [(2, 3), (5, 5)]);
    // What was asked for says nothing of what is under way: the rest need not wait for it.
    let pulled = Data { solicited: true, ..data(0, 5, 9) };
    window.keep(Time::from_millis(44), &pulled, Meeting::Present);
    assert_eq!(holes(&window, 45), [(2, 3), (8, 8)]);
}

#[test]
fn a_hole_becomes_one_gap_when_its_deadline_passes_and_nobody_has_it() {
    let mut window = of(limits());
    keep(&mut window, 0, 0, 0, 1);
    keep(&mut window, 0, 3, 0, 1);
    let deadline = Time::ZERO + REPAIR_DEADLINE;
    window.give_up(deadline - Duration::from_nanos(1), |_, _| false);
    window.give_up(deadline, |_, _| true);
    assert!(window.has_holes());
    // Whether it is still to be had is not asked again at once.
    window.give_up(deadline, |_, _| false);
    assert!(window.has_holes());
    window.give_up(deadline + Duration::from_millis(100), |_, _| false);
    assert!(!window.has_holes());
    let told = notices(&mut window);
    assert_eq!(seqs(&told), [0, 3]);
    let (from, to, cause) = (Seq(1), Seq(2), GapCause::Unrepaired);
    assert_eq!(told[1], Notice::Gap { source: source(), from, to, cause });
    assert_eq!(keep(&mut window, 4_000, 1, 0, 1), Kept::Late);
}

fn with_deadline(seq: u64, index: u16, count: u16, millis: u64) -> Data {
    let deadline = Some(Duration::from_millis(millis));
    let options = PublishOptions { deadline, ..PublishOptions::default() };
    let data = data(seq, index, count);
    let payload = if options.is_over() { Bytes::new() } else { data.payload };
    Data { options, payload, ..data }
}

#[test]
fn what_is_not_whole_by_its_deadline_is_a_gap_of_its_own_cause() {
    let mut window = of(limits());
    let keep_one =
        |window: &mut Window, data: &Data| window.keep(Time::ZERO, data, Meeting::Present);
    assert_eq!(keep_one(&mut window, &with_deadline(0, 0, 2, 40)), Kept::New);
    assert_eq!(keep_one(&mut window, &with_deadline(1, 0, 1, 40)), Kept::New);
    let before = window.get(Time::from_millis(30), data(1, 0, 1).fragment).expect("a fragment");
    assert_eq!(before.options.deadline, Some(Duration::from_millis(10)));
    window.give_up(Time::from_millis(39), |_, _| true);
    assert_eq!(notices(&mut window), []);
    window.give_up(Time::from_millis(40), |_, _| true);
    let expired = |from, to| {
        let (from, to, cause) = (Seq(from), Seq(to), GapCause::Expired);
        Some(Notice::Gap { source: source(), from, to, cause })
    };
    assert_eq!(window.poll_notice(Time::from_millis(40)), expired(0, 1), "it waited for too long");
    assert_eq!(window.poll_notice(Time::from_millis(40)), None);
    // Both are passed on without their payload now, to whoever asks.
    for seq in [0, 1] {
        let fragment = data(seq, 0, 2).fragment;
        let kept = window.get(Time::from_millis(40), fragment).expect("its head");
        assert!(kept.options.is_over() && kept.payload.is_empty());
    }
}

#[test]
fn whoever_is_told_that_a_message_is_over_waits_no_more_and_can_tell_others() {
    let mut window = of(limits());
    window.note_head(Time::ZERO, &head(2), Meeting::Present);
    keep(&mut window, 0, 1, 0, 1);
    let over = with_deadline(0, 0, 9, 0);
    assert_eq!(window.keep(Time::ZERO, &over, Meeting::Present), Kept::Over);
    assert!(!window.has_holes());
    let [held] = &window.held()[..] else { panic!() };
    assert_eq!((held.low, held.missing.len()), (Seq(0), 0));
    assert!(window.get(Time::ZERO, over.fragment).expect("its head").options.is_over());
    let told = notices(&mut window);
    let (from, to, cause) = (Seq(0), Seq(0), GapCause::Expired);
    assert_eq!(told[0], Notice::Gap { source: source(), from, to, cause });
    assert_eq!(seqs(&told), [1]);
    // What is whole stays whole, whatever is said of it.
    assert_eq!(window.keep(Time::ZERO, &with_deadline(1, 0, 1, 0), Meeting::Present), Kept::Over);
    assert_eq!(keep(&mut window, 0, 1, 0, 1), Kept::Duplicate);
}

#[test]
fn an_application_that_does_not_read_loses_the_oldest_and_is_told_so_once() {
    let mut window = of(Limits { window_bytes: 5 * 42, ..limits() });
    for seq in 0..8 {
        keep(&mut window, seq, seq, 0, 1);
    }
    assert!(window.bytes() <= 5 * 42);
    let told = notices(&mut window);
    assert_eq!(told[0], Notice::Lagged { source: source(), messages: 3 });
    let (from, to, cause) = (Seq(0), Seq(2), GapCause::Lagged);
    assert_eq!(told[1], Notice::Gap { source: source(), from, to, cause });
    assert_eq!(seqs(&told), [3, 4, 5, 6, 7]);
}

#[test]
fn a_source_that_starts_anew_is_told_of_once_and_its_old_life_is_over() {
    let mut window = of(limits());
    keep(&mut window, 0, 0, 0, 1);
    keep(&mut window, 0, 2, 0, 1);
    let mut reborn = data(0, 0, 1);
    reborn.fragment.source.incarnation = Incarnation(2);
    assert_eq!(window.keep(Time::ZERO, &reborn, Meeting::Present), Kept::New);
    assert_eq!(keep(&mut window, 0, 3, 0, 1), Kept::Late);
    let told = notices(&mut window);
    let reset = Notice::SourceReset { host: OTHER.tag(), old: Incarnation(1), new: Incarnation(2) };
    assert_eq!(told.iter().filter(|notice| **notice == reset).count(), 1);
    assert_eq!(seqs(&told), [0, 2, 0]);
    let (from, to, cause) = (Seq(1), Seq(1), GapCause::SourceReset);
    assert!(told.contains(&Notice::Gap { source: source(), from, to, cause }));
}

#[test]
fn what_was_delivered_leaves_the_window_when_its_time_is_over() {
    let mut window = of(limits());
    window.publish(Time::ZERO, REGION, &Bytes::from_static(b"own"), PublishOptions::default());
    keep(&mut window, 0, 0, 0, 1);
    notices(&mut window);
    let over = Time::ZERO + limits().window_time;
    window.age(over - Duration::from_nanos(1));
    assert!(!window.is_empty());
    window.age(over);
    assert!(window.is_empty());
}

#[test]
fn aging_always_moves_its_own_deadline() {
    let mut window = of(limits());
    keep(&mut window, 0, 0, 0, 1);
    let mut now = Time::ZERO;
    for _ in 0..4 {
        let next = window.next_aging().expect("a message waits");
        assert!(next > now);
        now = next;
        window.age(now);
    }
}

#[test]
fn a_message_is_cut_into_slices_of_its_own_bytes() {
    let body = Bytes::from(alloc::vec![1; 3 * FRAGMENT_BYTES + 1]);
    let cut: Vec<Bytes> = fragments(&body).collect();
    assert_eq!(cut.iter().map(Bytes::len).collect::<Vec<_>>(), [1_100, 1_100, 1_100, 1]);
    let inside = body.as_ptr_range();
    assert!(cut.iter().all(|part| inside.contains(&part.as_ptr())));
}

#[test]
fn the_word_on_what_is_held_names_what_is_missing() {
    let mut window = of(limits());
    window.note_head(Time::ZERO, &head(6), Meeting::Present);
    for seq in [0, 1, 4] {
        keep(&mut window, 0, seq, 0, 1);
    }
    let [held] = &window.held()[..] else { panic!() };
    let missing: Vec<_> = held.missing.iter().map(|range| (range.from.0, range.to.0)).collect();
    assert_eq!((held.low, held.next), (Seq(0), Seq(6)));
    assert_eq!(missing, [(2, 4), (5, 6)]);
}

#[test]
fn sources_that_fell_silent_make_room_and_nothing_of_them_comes_twice() {
    let mut window = of(Limits { sources: 2, ..limits() });
    let from = |host: u64, seq: u64| {
        let mut data = data(seq, 0, 1);
        data.fragment.source.host = HostTag(host);
        data
    };
    for host in 1..=5 {
        let at = Time::from_millis(host);
        assert_eq!(window.keep(at, &from(host, 0), Meeting::Present), Kept::New);
        assert_eq!(seqs(&notices(&mut window)), [0]);
    }
    assert_eq!(window.keep(Time::from_millis(9), &from(1, 0), Meeting::Present), Kept::Late);
    assert_eq!(window.keep(Time::from_millis(9), &from(1, 1), Meeting::Present), Kept::New);
    assert_eq!(seqs(&notices(&mut window)), [1]);
    // One of which something is missing stays.
    window.keep(Time::from_millis(10), &from(6, 1), Meeting::Present);
    window.keep(Time::from_millis(10), &from(1, 3), Meeting::Present);
    assert_eq!(
        window.keep(Time::from_millis(11), &from(7, 0), Meeting::Present),
        Kept::SourceLimit
    );
}

#[test]
fn who_publishes_has_a_place_of_its_own_among_the_sources() {
    let mut window = of(Limits { sources: 2, ..limits() });
    let sources = |window: &Window| {
        let mut usage = Usage::default();
        window.use_up(&mut usage);
        usage.sources
    };
    let mut others = (1..=2).map(|host| {
        let mut data = data(0, 0, 2);
        data.fragment.source.host = HostTag(host);
        data
    });
    let body = Bytes::from_static(b"own");
    let mut keep_one = |window: &mut Window| {
        window.keep(Time::ZERO, &others.next().expect("two"), Meeting::Present)
    };
    assert_eq!(keep_one(&mut window), Kept::New);
    window.publish(Time::ZERO, REGION, &body, PublishOptions::default());
    assert_eq!(keep_one(&mut window), Kept::New);
    window.publish(Time::ZERO, REGION, &body, PublishOptions::default());
    assert_eq!(sources(&window), 2);
    assert_eq!(keep(&mut window, 0, 0, 0, 2), Kept::SourceLimit);
}

#[derive(Clone, Debug)]
enum Op {
    Keep { seq: u64, index: u16 },
    Head(u64),
    Read,
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0_u64..40, 0_u16..3).prop_map(|(seq, index)| Op::Keep { seq, index }),
        1 => (0_u64..45).prop_map(Op::Head),
        2 => Just(Op::Read),
        1 => (0_u64..2_000).prop_map(Op::Pass),
    ]
}
