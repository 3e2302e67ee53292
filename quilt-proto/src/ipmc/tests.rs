//! What one member does, effect by effect.

use super::member::{Cx, Member};
use super::{Frame, Ipmc, address};
use crate::protocol::bench::{Bench, contact, host};
use crate::protocol::{Arrival, Body, Effect, Plugin, Protocol, Setup};
use crate::wire::{Contact, Reader, Wanted, Writer};
use crate::{
    FragmentId, GroupId, HostId, Incarnation, LinkError, PatchId, Seq, Source, Time, Unusable,
};
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use proptest::prelude::*;

fn setup() -> Setup {
    Setup {
        me: host(0),
        patch: PatchId(1),
        parameters: Ipmc::default().parameters(GroupId::named("g"), PatchId(1)),
        interface: IpAddr::from([127, 0, 0, 1]),
        named: alloc::vec::Vec::new(),
        contact: contact(0),
    }
}

/// A member that has just joined, and knows the given ones.
fn joined(members: impl IntoIterator<Item = u8>) -> Bench<Member> {
    let address = Some(address(GroupId::named("g"), PatchId(1)));
    let mut bench = Bench::new(Member::new(&Ipmc::default(), &setup(), address), members);
    bench.call(|member, cx| member.start(cx));
    bench.call(|member, cx| member.on_multicast(cx, Ok(())));
    bench
}

fn frame(bench: &mut Bench<Member>, from: u8, frame: Frame) -> Vec<Effect> {
    bench.call(|member, cx| member.on_frame(cx, host(from), frame))
}

fn beacon(bench: &mut Bench<Member>, from: u8) -> Vec<Effect> {
    frame(bench, from, Frame::Beacon { contact: contact(from) })
}

/// So many members beacon, none of which is called as those that other tests name.
fn crowd(bench: &mut Bench<Member>, members: u16) {
    for n in 0..members {
        let mut id = [255; 32];
        id[..2].copy_from_slice(&n.to_be_bytes());
        let contact = Contact { host: HostId(id), ..contact(255) };
        bench.call(|member, cx| member.on_frame(cx, contact.host, Frame::Beacon { contact }));
    }
}

fn fragment(n: u64) -> FragmentId {
    let source = Source { host: host(9).tag(), incarnation: Incarnation(1) };
    FragmentId { source, seq: Seq(n), index: 0 }
}

fn arrive(bench: &mut Bench<Member>, arrival: Arrival) -> Vec<Effect> {
    bench.call(|member, cx: &mut Cx<'_>| member.on_fragment(cx, arrival, fragment(0)))
}

fn sent(to: HostId, frame: &Frame) -> Effect {
    let mut bytes = Vec::new();
    frame.encode(&mut Writer::new(&mut bytes));
    Effect::Send(to, bytes.into())
}

/// Fires timers until `end`, and lets those that `answer` answer what they are asked.
fn run(bench: &mut Bench<Member>, end: Time, answer: &[u8]) -> Vec<Effect> {
    let mut all = Vec::new();
    while bench.timers.next().is_some_and(|at| at <= end) {
        for effect in bench.fire().unwrap() {
            let asked = answer.iter().copied().find(|&n| effect == sent(host(n), &attach()));
            if let Some(n) = asked {
                all.extend(frame(bench, n, Frame::Attached));
            }
            all.push(effect);
        }
    }
    bench.now = end;
    all
}

fn attach() -> Frame {
    Frame::Attach { contact: contact(0) }
}

fn moved(effects: &[Effect]) -> Option<Unusable> {
    effects.iter().find_map(|effect| match effect {
        Effect::Unusable(reason) => Some(*reason),
        _ => None,
    })
}

#[test]
fn starting_joins_the_address_of_the_parameters() {
    let instance_address = Reader::new(&setup().parameters).address().unwrap();
    let mut bench =
        Bench::new(Member::new(&Ipmc::default(), &setup(), Some(instance_address)), [1]);
    let effects = bench.call(|member, cx| member.start(cx));
    let join = Effect::JoinMulticast {
        address: address(GroupId::named("g"), PatchId(1)),
        interface: IpAddr::from([127, 0, 0, 1]),
        ttl: 1,
        bytes_per_second: Ipmc::default().bytes_per_second,
    };
    assert_eq!(effects, [join]);
}

#[test]
fn parameters_without_a_multicast_address_and_a_failed_join_make_the_protocol_unusable() {
    let unicast: SocketAddr = ([10, 0, 0, 1], 20_000).into();
    for address in [None, Some(unicast)] {
        let mut bench = Bench::new(Member::new(&Ipmc::default(), &setup(), address), []);
        let effects = bench.call(|member, cx| member.start(cx));
        assert_eq!(moved(&effects), Some(Unusable::CannotJoin(LinkError::Unreachable)));
    }
    let mut bench = joined([]);
    let cause = LinkError::NoSuchInterface;
    let effects = bench.call(|member, cx| member.on_multicast(cx, Err(cause)));
    assert_eq!(effects, [Effect::Unusable(Unusable::CannotJoin(cause))]);
}

#[test]
fn only_what_is_injected_is_multicast_and_its_injector_announces_for_ten_seconds() {
    let mut bench = joined([]);
    assert_eq!(arrive(&mut bench, Arrival::Pushed(host(1))), []);
    assert_eq!(arrive(&mut bench, Arrival::Pulled(host(1))), []);
    assert!(!bench.protocol.announces());
    let effects = arrive(&mut bench, Arrival::Injected);
    assert_eq!(effects, [Effect::Announce, Effect::MulticastFragment(fragment(0))]);
    run(&mut bench, Time::from_millis(9_999), &[]);
    assert!(bench.protocol.announces());
    run(&mut bench, Time::from_millis(10_000), &[]);
    assert!(!bench.protocol.announces());
    let effects = bench.call(|member, cx| member.on_forwarder(cx, true));
    assert_eq!(effects, [Effect::Announce]);
    assert!(bench.protocol.announces());
}

/// Others may have forgotten it in the meantime, however long it announces.
#[test]
fn a_forwarder_that_publishes_after_a_pause_is_introduced_at_once() {
    let mut bench = joined([1]);
    bench.call(|member, cx| member.on_forwarder(cx, true));
    run(&mut bench, Time::from_millis(5_000), &[]);
    while beacons(&bench.fire().unwrap()) == 0 {}
    bench.now = bench.now + Duration::from_millis(300);
    arrive(&mut bench, Arrival::Injected);
    let soon = bench.now + Duration::from_millis(50);
    assert_eq!(beacons(&run(&mut bench, soon, &[])), 1);
}

#[test]
fn what_is_injected_before_the_address_is_joined_is_announced_once_it_is() {
    let address = Some(address(GroupId::named("g"), PatchId(1)));
    let mut bench = Bench::new(Member::new(&Ipmc::default(), &setup(), address), []);
    assert_eq!(arrive(&mut bench, Arrival::Injected), [Effect::Announce]);
    let effects = bench.call(|member, cx| member.on_multicast(cx, Ok(())));
    assert_eq!(effects, [Effect::Announce]);
}

#[test]
fn a_beacon_introduces_a_member_which_is_attached_to_while_there_are_places() {
    let mut bench = joined([]);
    let expected = [
        Effect::Learn(contact(1)),
        Effect::Need(host(1)),
        sent(host(1), &Frame::Attach { contact: contact(0) }),
    ];
    assert_eq!(beacon(&mut bench, 1), expected);
    beacon(&mut bench, 2);
    assert_eq!(beacon(&mut bench, 3), [Effect::Learn(contact(3))]);
    assert!(bench.protocol.neighbours().is_empty());
    frame(&mut bench, 1, Frame::Attached);
    assert_eq!(bench.protocol.neighbours()[..], [host(1)]);
}

#[test]
fn a_beacon_in_another_hosts_name_is_misbehaviour() {
    let mut bench = joined([1]);
    let effects = frame(&mut bench, 1, Frame::Beacon { contact: contact(2) });
    assert!(matches!(effects[..], [Effect::Misbehaved(..)]), "{effects:?}");
}

#[test]
fn guests_are_let_in_up_to_the_limit_and_sent_away_beyond() {
    let mut bench = joined([]);
    for n in 1..=8 {
        let effects = frame(&mut bench, n, Frame::Attach { contact: contact(n) });
        assert_eq!(effects.last(), Some(&sent(host(n), &Frame::Attached)));
    }
    let effects = frame(&mut bench, 9, Frame::Attach { contact: contact(9) });
    let expected = [
        Effect::Learn(contact(9)),
        Effect::Need(host(9)),
        sent(host(9), &Frame::Detach),
        Effect::Release(host(9)),
    ];
    assert_eq!(effects, expected);
    assert_eq!(bench.protocol.neighbours().len(), 8);
}

#[test]
fn who_hears_nothing_while_another_member_answers_is_moved_after_three_seconds() {
    let mut bench = joined([1, 2]);
    let effects = run(&mut bench, Time::from_millis(2_999), &[1]);
    assert_eq!(moved(&effects), None);
    let effects = run(&mut bench, Time::from_millis(3_000), &[1]);
    let listened = Duration::from_secs(3);
    assert_eq!(moved(&effects), Some(Unusable::NothingHeard { listened }));
}

#[test]
fn who_hears_nothing_because_nobody_is_there_stays() {
    for members in [vec![], vec![1, 2, 3]] {
        let mut bench = joined(members);
        let effects = run(&mut bench, Time::from_millis(60_000), &[]);
        assert_eq!(moved(&effects), None);
        assert!(effects.contains(&Effect::AskContacts) || !bench.peers.is_empty());
    }
}

#[test]
fn one_beacon_or_fragment_heard_keeps_the_member_until_the_address_falls_silent() {
    for by_beacon in [true, false] {
        let mut bench = joined([1]);
        run(&mut bench, Time::from_millis(2_900), &[1]);
        if by_beacon {
            beacon(&mut bench, 1);
        } else {
            arrive(&mut bench, Arrival::Pushed(host(1)));
        }
        let effects = run(&mut bench, Time::from_millis(5_599), &[1]);
        assert_eq!(moved(&effects), None);
        let effects = run(&mut bench, Time::from_millis(5_600), &[1]);
        assert!(moved(&effects).is_some());
    }
}

fn beacons(effects: &[Effect]) -> usize {
    let mut bytes = Vec::new();
    Frame::Beacon { contact: contact(0) }.encode(&mut Writer::new(&mut bytes));
    let beacon = Effect::Multicast(bytes.into());
    effects.iter().filter(|&effect| *effect == beacon).count()
}

/// A minute in a patch of `members`, each of which beacons every twelve seconds; how often this
/// one did.
fn beacons_of_a_minute(bench: &mut Bench<Member>, members: u8) -> usize {
    let mut count = 0;
    for _ in 0..5 {
        (1..=members).for_each(|n| drop(beacon(bench, n)));
        let end = Time::from_millis(bench.now.as_nanos() / 1_000_000 + 12_000);
        count += beacons(&run(bench, end, &[]));
    }
    count
}

#[test]
fn beacons_grow_rare_with_the_size_of_the_patch_but_not_of_those_that_announce() {
    let small = beacons_of_a_minute(&mut joined([]), 20);
    assert!((40..=84).contains(&small), "{small}");
    // 200 members divided by 16 a second: every 12.5 s.
    let mut bench = joined([]);
    let large = beacons_of_a_minute(&mut bench, 200);
    assert!((3..=9).contains(&large), "{large}");
    bench.call(|member, cx| member.on_forwarder(cx, true));
    let announcing = beacons_of_a_minute(&mut bench, 200);
    assert!((40..=84).contains(&announcing), "{announcing}");
}

/// What a member of a patch with so many others says in a minute, other than beacons, and how often
/// it asks whether it was heard.
fn heres_and_checks_of_a_minute(members: u8) -> [usize; 2] {
    let mut bench = joined([]);
    run(&mut bench, Time::from_millis(1_500), &[]);
    beacon(&mut bench, 1);
    frame(&mut bench, 1, Frame::Attached);
    let mut effects = Vec::new();
    for part in 1..=5 {
        (2..=members).for_each(|n| drop(beacon(&mut bench, n)));
        effects.extend(run(&mut bench, Time::from_millis(1_500 + part * 12_000), &[]));
    }
    let count = |is_it: &dyn Fn(&Effect) -> bool| effects.iter().filter(|&it| is_it(it)).count();
    let heres = count(&|effect| matches!(effect, Effect::MulticastToKnown(_)));
    [heres, count(&|effect| *effect == sent(host(1), &Frame::Check))]
}

#[test]
fn who_does_not_beacon_says_that_it_is_here_and_asks_whether_it_was_heard_but_not_to_a_crowd() {
    let [heres, checks] = heres_and_checks_of_a_minute(128);
    assert!((35..=80).contains(&heres) && checks >= heres, "{heres}, {checks}");
    // Every 3.8 s at the first look after that, were the number of members known exactly.
    let [heres, checks] = heres_and_checks_of_a_minute(250);
    assert!((5..=16).contains(&heres) && checks >= heres, "{heres}, {checks}");
}

#[test]
fn who_was_never_introduced_does_not_say_that_it_is_here() {
    let mut bench = joined([]);
    (1..=100).for_each(|n| drop(beacon(&mut bench, n)));
    let effects = run(&mut bench, Time::from_millis(3_100), &[]);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::MulticastToKnown(_))));
}

#[test]
fn of_many_that_join_at_once_who_has_not_beaconed_waits_its_turn() {
    let mut bench = joined([]);
    (1..=100).for_each(|n| drop(beacon(&mut bench, n)));
    // Half of 100 members divided by 16 a second.
    assert_eq!(beacons(&run(&mut bench, Time::from_millis(3_100), &[])), 0);
    assert!(beacons(&run(&mut bench, Time::from_millis(12_000), &[])) > 0);
}

#[test]
fn who_asks_is_answered_by_a_beacon_unless_a_crowd_can_be_heard() {
    let ask = |bench: &mut Bench<Member>| {
        frame(bench, 201, Frame::Attach { contact: contact(201) });
        let soon = Time::from_millis(bench.now.as_nanos() / 1_000_000 + 50);
        beacons(&run(bench, soon, &[]))
    };
    let mut bench = joined([]);
    (1..=200).for_each(|n| drop(beacon(&mut bench, n)));
    assert_eq!(ask(&mut bench), 0);
    run(&mut bench, Time::from_millis(2_000), &[]);
    assert_eq!(ask(&mut bench), 1, "the crowd fell silent");
    let mut bench = joined([]);
    run(&mut bench, Time::from_millis(1_100), &[]);
    while beacons(&bench.fire().unwrap()) == 0 {}
    bench.now = bench.now + Duration::from_millis(600);
    beacon(&mut bench, 1);
    assert_eq!(ask(&mut bench), 1, "two are no crowd");
}

#[test]
fn who_no_longer_hears_a_large_patch_is_moved_as_soon_as_in_a_small_one() {
    let mut bench = joined([]);
    (1..=200).for_each(|n| drop(beacon(&mut bench, n)));
    let all: Vec<u8> = (1..=200).collect();
    let effects = run(&mut bench, Time::from_millis(2_500), &all);
    assert_eq!(moved(&effects), None);
    let effects = run(&mut bench, Time::from_millis(3_000), &all);
    assert!(moved(&effects).is_some());
}

/// Lets two seconds pass in which beacons of others are heard, and those that are asked whether they
/// hear this host say `answer`.
fn checked(answer: Option<u16>) -> Vec<Effect> {
    let mut bench = joined([]);
    for n in [1, 2] {
        beacon(&mut bench, n);
        frame(&mut bench, n, Frame::Attached);
    }
    let mut all = Vec::new();
    while bench.timers.next().is_some_and(|at| at <= Time::from_millis(3_000)) {
        for effect in bench.fire().unwrap() {
            let asked = [1, 2].into_iter().find(|&n| effect == sent(host(n), &Frame::Check));
            if let (Some(n), Some(ms_ago)) = (asked, answer) {
                frame(&mut bench, n, Frame::Heard { ms_ago });
            }
            all.push(effect);
        }
        beacon(&mut bench, 1);
    }
    all
}

#[test]
fn who_is_not_heard_is_moved_within_three_seconds_and_who_is_or_cannot_tell_stays() {
    assert_eq!(moved(&checked(Some(u16::MAX))), Some(Unusable::NotHeard { beacons: 6 }));
    assert_eq!(moved(&checked(Some(0))), None);
    assert_eq!(moved(&checked(None)), None);
}

#[test]
fn who_hears_nobody_does_not_say_that_another_one_cannot_be_heard() {
    let mut bench = joined([1]);
    frame(&mut bench, 1, Frame::Attach { contact: contact(1) });
    assert_eq!(frame(&mut bench, 1, Frame::Check), []);
    beacon(&mut bench, 2);
    let never = Frame::Heard { ms_ago: u16::MAX };
    assert_eq!(frame(&mut bench, 1, Frame::Check), [sent(host(1), &never)]);
    beacon(&mut bench, 1);
    bench.now = Time::from_millis(7);
    assert_eq!(frame(&mut bench, 1, Frame::Check), [sent(host(1), &Frame::Heard { ms_ago: 7 })]);
}

fn nack(of: Option<u8>, seqs: impl IntoIterator<Item = u64>) -> Frame {
    let wanted = seqs.into_iter().map(|n| Wanted { first: fragment(n), last: u16::MAX }).collect();
    Frame::Nack { of: of.map(|n| host(n).tag()), loss: u16::MAX, wanted }
}

#[test]
fn who_is_named_answers_the_first_alone_and_the_second_by_multicast_once() {
    let mut bench = joined([1, 2, 3]);
    bench.shelf.here.insert(fragment(5));
    assert_eq!(frame(&mut bench, 1, nack(Some(0), [5])), [Effect::Repair(host(1), fragment(5))]);
    assert_eq!(frame(&mut bench, 2, nack(Some(0), [5])), [Effect::MulticastRepair(fragment(5))]);
    assert_eq!(frame(&mut bench, 3, nack(Some(0), [5])), []);
    assert_eq!(frame(&mut bench, 3, nack(Some(0), [6])), [], "it is not here");
    assert_eq!(frame(&mut bench, 3, nack(Some(2), [5])), [], "another is asked");
}

#[test]
fn where_anybody_may_answer_one_that_hears_another_answer_is_silent() {
    for another in [false, true] {
        let mut bench = joined([1]);
        bench.shelf.here.insert(fragment(5));
        assert_eq!(frame(&mut bench, 1, nack(None, [5])), []);
        if another {
            bench.call(|member, cx| member.on_repair(cx, fragment(5)));
        }
        let effects = run(&mut bench, Time::from_millis(20), &[]);
        assert_eq!(effects.contains(&Effect::MulticastRepair(fragment(5))), !another);
    }
}

#[test]
fn what_is_missing_is_asked_of_the_nearest_then_of_the_source_then_of_anybody() {
    let mut bench = joined([1, 2]);
    for n in [1, 2] {
        beacon(&mut bench, n);
        frame(&mut bench, n, Frame::Attached);
        let peer = bench.peers.0.get_mut(&host(n)).unwrap();
        (peer.linked, peer.rtt) = (true, Some(Duration::from_micros(u64::from(n) * 200 - 100)));
    }
    arrive(&mut bench, Arrival::Pushed(host(2)));
    bench.shelf.missing.push((fragment(7), Time::ZERO));
    bench.call(|member, cx| member.on_head(cx, fragment(7).source, Seq(8)));
    bench.call(|member, cx| member.on_missing(cx));
    let effects = run(&mut bench, Time::from_millis(60), &[]);
    let asked = |of| {
        let Frame::Nack { of, wanted, .. } = nack(of, [7]) else { panic!() };
        let mut bytes = Vec::new();
        Frame::Nack { of, loss: 32_767, wanted }.encode(&mut Writer::new(&mut bytes));
        effects.iter().position(|effect| *effect == Effect::Multicast(bytes.clone().into()))
    };
    let order = [asked(Some(1)), asked(Some(2)), asked(None)];
    assert!(order.is_sorted() && order[0].is_some(), "{order:?}");
}

/// One host asks for everything, again and again, and so do a thousand that are not members.
#[test]
fn a_storm_of_requests_gets_a_quarter_of_the_rate_at_most() {
    let mut bench = joined([1]);
    bench.shelf.here.extend((0..1_000).map(fragment));
    let mut given = 0;
    for round in 0..10_000_u64 {
        bench.now = Time::from_nanos(round * 100_000);
        let from = if round % 2 == 0 { 1 } else { (round % 200) as u8 + 2 };
        let effects =
            frame(&mut bench, from, nack(Some(0), (0..32).map(|n| (round * 32 + n) % 1_000)));
        let is_repair =
            |effect: &&Effect| matches!(effect, Effect::Repair(..) | Effect::MulticastRepair(_));
        given += effects.iter().filter(is_repair).count();
    }
    let most = Ipmc::default().bytes_per_second as usize / 4 / 1_200;
    assert!((most / 2..=most + 32).contains(&given), "{given} in a second, and not {most}");
}

#[test]
fn a_few_that_lie_about_their_losses_slow_nobody() {
    let mut bench = joined([]);
    bench.call(|member, cx| member.on_forwarder(cx, true));
    (1..=100).for_each(|n| drop(beacon(&mut bench, n)));
    for liars in [20, 100] {
        (1..=liars).for_each(|n| drop(frame(&mut bench, n, nack(None, []))));
        let end = bench.now + Duration::from_millis(60);
        let slowed = run(&mut bench, end, &[]);
        let slowed = slowed.iter().any(|effect| matches!(effect, Effect::Pace(_)));
        assert_eq!(slowed, liars == 100);
    }
}

/// The congestion signal of groups that repair nothing: half of what is sent does not come.
#[test]
fn who_loses_says_so_also_where_nothing_is_asked_for_and_as_rarely_as_the_patch_is_large() {
    let losing = |members: u16, step: usize| {
        let mut bench = joined([1]);
        bench.shelf.unrepaired = true;
        crowd(&mut bench, members);
        let mut reports = Vec::new();
        for seq in (0..10_000).step_by(step) {
            let end = Time::from_nanos(seq * 100_000);
            reports.extend(run(&mut bench, end, &[]).into_iter().filter_map(|effect| {
                let Effect::Multicast(body) = effect else { return None };
                match Frame::decode(&mut Reader::new(&body)) {
                    Ok(Frame::Nack { of: None, loss, wanted }) if wanted.is_empty() => Some(loss),
                    _ => None,
                }
            }));
            let pushed = Arrival::Pushed(host(1));
            bench.call(|member, cx| member.on_fragment(cx, pushed, fragment(seq)));
        }
        reports
    };
    for (members, most) in [(2, 20), (100, 4)] {
        let reports = losing(members, 2);
        assert!((most / 2..=most).contains(&reports.len()), "{reports:?} of {members}");
        assert!(reports.iter().all(|loss| (31_000..34_000).contains(loss)), "{reports:?}");
    }
    assert_eq!(losing(2, 1), [], "nothing is lost");
}

#[test]
fn requests_with_numbers_at_the_end_of_their_range_do_no_harm() {
    let mut bench = joined([1]);
    let last = FragmentId { seq: Seq::END, index: u16::MAX, ..fragment(0) };
    bench.shelf.here.insert(FragmentId { index: 0, ..last });
    bench.shelf.missing.push((last, Time::ZERO));
    for of in [None, Some(host(0).tag())] {
        let wanted = vec![Wanted { first: last, last: u16::MAX }; 32];
        frame(&mut bench, 1, Frame::Nack { of, loss: u16::MAX, wanted });
        bench.call(|member, cx| member.on_missing(cx));
    }
    run(&mut bench, Time::from_millis(1_000), &[]);
}

#[test]
fn members_that_fall_silent_are_forgotten_and_let_go() {
    let mut bench = joined([1]);
    beacon(&mut bench, 1);
    let effects = run(&mut bench, Time::from_millis(15_000), &[]);
    assert!(effects.contains(&Effect::Release(host(1))));
    assert!(effects.contains(&Effect::Forget(host(1))));
}

#[test]
fn a_lost_link_is_replaced_at_once_and_injectors_are_preferred() {
    let mut bench = joined([1, 2, 3, 4, 5, 6]);
    run(&mut bench, Time::from_millis(50), &[1, 2, 3, 4, 5, 6]);
    let linked = bench.protocol.neighbours();
    assert_eq!(linked.len(), 2);
    let injector = (1..=6).map(host).find(|host| !linked.contains(host)).unwrap();
    arrive(&mut bench, Arrival::Pushed(injector));
    let lost = linked[0];
    let effects = bench.call(|member, cx| member.on_disconnected(cx, lost, LinkError::Reset));
    assert!(effects.contains(&Effect::Need(injector)));
}

#[test]
fn where_no_stream_can_be_had_each_member_is_tried_once_also_those_that_never_beaconed() {
    let mut bench = joined(1..=3);
    run(&mut bench, Time::from_millis(50), &[1, 2, 3]);
    let strangers = joined(4..=9).peers;
    bench.peers.0.extend(strangers.0);
    let mut refused: Vec<HostId> = bench.protocol.neighbours().to_vec();
    let mut tried: Vec<HostId> = Vec::new();
    while let Some(host) = refused.pop() {
        let cause = LinkError::NoRoom;
        let effects = bench.call(|member, cx| member.on_disconnected(cx, host, cause));
        let needed = effects.iter().filter_map(|effect| match effect {
            Effect::Need(host) => Some(*host),
            _ => None,
        });
        refused.extend(needed);
        tried.push(host);
        assert!(tried.len() <= 9, "{tried:?}");
    }
    tried.sort_unstable();
    assert_eq!(tried, (1..=9).map(host).collect::<Vec<_>>());
}

#[test]
fn leaving_says_goodbye_and_a_goodbye_is_believed() {
    let mut bench = joined([1]);
    beacon(&mut bench, 1);
    let effects = bench.call(|member, cx| member.leave(cx));
    let mut bye = Vec::new();
    Frame::Bye.encode(&mut Writer::new(&mut bye));
    assert_eq!(effects, [Effect::Multicast(bye.into()), sent(host(1), &Frame::Bye)]);
    let effects = frame(&mut bench, 1, Frame::Bye);
    assert_eq!(effects, [Effect::Release(host(1)), Effect::Forget(host(1))]);
}

proptest! {
    #[test]
    fn addresses_are_organisation_local_and_the_ports_unprivileged(group: u64, patch: u32) {
        let address = address(GroupId(group), PatchId(patch));
        let IpAddr::V4(ip) = address.ip() else { panic!("{address}") };
        prop_assert!(u32::from(ip) >> 18 == u32::from_be_bytes([239, 192, 0, 0]) >> 18);
        prop_assert!((20_000..30_000).contains(&address.port()));
    }
}
