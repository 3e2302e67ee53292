//! What one host of the mesh does, effect by effect.

use super::mesh::{Mesh, Timer};
use super::{Donet, Frame, Known};
use crate::counters::Fault;
use crate::protocol::bench::{Bench, contact, host};
use crate::protocol::{Arrival, Body, Effect, Protocol, Setup};
use crate::wire::Writer;
use crate::{FragmentId, HostId, Incarnation, LinkError, PatchId, Seq, Source, Time};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::IpAddr;
use core::time::Duration;

/// A host of the mesh that knows the given members and has just started.
fn started(members: impl IntoIterator<Item = u8>) -> (Bench<Mesh>, Vec<Effect>) {
    let setup = Setup {
        me: host(0),
        patch: PatchId(1),
        parameters: Bytes::new(),
        interface: IpAddr::from([127, 0, 0, 1]),
        named: alloc::vec::Vec::new(),
        contact: contact(0),
    };
    let mut bench = Bench::new(Mesh::new(&Donet::default(), &setup), members);
    let effects = bench.call(|mesh, cx| mesh.start(cx));
    (bench, effects)
}

/// A host with the given partners, all of which came to it.
fn with_partners(partners: impl IntoIterator<Item = u8>) -> Bench<Mesh> {
    let (mut bench, _) = started([]);
    for n in partners {
        let effects = frame(&mut bench, n, request(n, false));
        assert!(effects.contains(&sent(n, &Frame::Accept)));
    }
    bench
}

fn frame(bench: &mut Bench<Mesh>, from: u8, frame: Frame) -> Vec<Effect> {
    bench.call(|mesh, cx| mesh.on_frame(cx, host(from), frame))
}

fn request(n: u8, urgent: bool) -> Frame {
    Frame::Request { contact: contact(n), urgent }
}

fn sent(to: u8, frame: &Frame) -> Effect {
    let mut bytes = Vec::new();
    frame.encode(&mut Writer::new(&mut bytes));
    Effect::Send(host(to), bytes.into())
}

fn fragment(n: u64) -> FragmentId {
    let source = Source { host: host(9).tag(), incarnation: Incarnation(1) };
    FragmentId { source, seq: Seq(n), index: 0 }
}

fn pushed_to(effects: &[Effect]) -> Vec<HostId> {
    let to = effects.iter().map(|effect| match effect {
        Effect::SendFragment(to, _) => *to,
        other => panic!("{other:?}"),
    });
    to.collect()
}

fn inject(bench: &mut Bench<Mesh>) -> Vec<HostId> {
    pushed_to(&bench.call(|mesh, cx| mesh.on_fragment(cx, Arrival::Injected, fragment(0))))
}

fn duplicate(bench: &mut Bench<Mesh>, from: u8) -> Vec<Effect> {
    bench.call(|mesh, cx| mesh.on_duplicate(cx, host(from), fragment(0)))
}

fn pulled(bench: &mut Bench<Mesh>, from: u8) -> Vec<Effect> {
    let arrival = Arrival::Pulled(host(from));
    bench.call(|mesh, cx| mesh.on_fragment(cx, arrival, fragment(0)))
}

fn members(n: u8) -> Vec<Known> {
    [Known { contact: contact(n), age_s: 0 }].into()
}

#[test]
fn what_was_asked_for_is_not_pushed_back_to_whoever_pushes_the_source() {
    let mut bench = with_partners([1, 2, 3]);
    let arrival = Arrival::Pushed(host(1));
    bench.call(|mesh, cx| mesh.on_fragment(cx, arrival, fragment(0)));
    let effects = pulled(&mut bench, 2);
    assert_eq!(pushed_to(&effects), [host(3)]);
}

#[test]
fn whoever_pushes_a_source_is_not_pruned_for_what_it_brings_late() {
    let mut bench = with_partners([1, 2]);
    let arrival = Arrival::Pushed(host(1));
    bench.call(|mesh, cx| mesh.on_fragment(cx, arrival, fragment(0)));
    assert_eq!(duplicate(&mut bench, 1), []);
    assert!(duplicate(&mut bench, 2).contains(&sent(2, &Frame::Prune)));
}

#[test]
fn starting_asks_as_many_members_as_partners_are_wanted() {
    let (_, effects) = started([1]);
    assert_eq!(effects, [Effect::Need(host(1)), sent(1, &request(0, false))]);
    let (_, effects) = started(1..=9);
    assert_eq!(effects.len(), 2 * 4);
}

#[test]
fn the_first_host_waits_and_asks_the_bootstrap_service_ever_more_rarely() {
    let (mut bench, effects) = started([]);
    assert_eq!(effects, []);
    let mut asked = Vec::new();
    while bench.now < Time::from_millis(180_000) {
        let effects = bench.fire().unwrap();
        assert!(effects.is_empty() || effects == [Effect::AskContacts], "{effects:?}");
        asked.extend(effects.first().map(|_| bench.now));
    }
    assert!((5..12).contains(&asked.len()), "{asked:?}");
}

#[test]
fn a_request_is_granted_while_there_is_room_and_refused_beyond() {
    let mut bench = with_partners(1..=8);
    assert_eq!(bench.protocol.neighbours().to_vec(), (1..=8).map(host).collect::<Vec<_>>());
    let effects = frame(&mut bench, 9, request(9, false));
    let expected = [
        Effect::Learn(contact(9)),
        Effect::Need(host(9)),
        sent(9, &Frame::Refuse { members: Vec::new() }),
        Effect::Release(host(9)),
    ];
    assert_eq!(effects, expected);
}

#[test]
fn a_full_host_makes_room_for_an_isolated_one_by_dropping_who_has_other_partners() {
    let mut bench = with_partners(1..=8);
    let partners = [host(20).tag(), host(21).tag()].into();
    frame(&mut bench, 5, Frame::Members { partners, members: Vec::new() });
    let effects = frame(&mut bench, 9, request(9, true));
    assert!(effects.contains(&sent(5, &Frame::Bye { leaves: false })));
    assert!(effects.contains(&sent(9, &Frame::Accept)));
    assert_eq!(bench.protocol.partners.len(), 8);
}

#[test]
fn a_request_in_another_hosts_name_is_misbehaviour() {
    let (mut bench, _) = started([]);
    let effects = frame(&mut bench, 1, request(2, false));
    assert_eq!(effects, [Effect::Misbehaved(host(1), Fault::IdentityChanged)]);
}

#[test]
fn a_refusal_leads_on_to_the_members_it_names() {
    let (mut bench, _) = started([1]);
    let effects = frame(&mut bench, 1, Frame::Refuse { members: members(2) });
    assert_eq!(effects[..2], [Effect::Release(host(1)), Effect::Learn(contact(2))]);
    bench.peers.0.extend(started([2]).0.peers.0);
    let effects = bench.fire().unwrap();
    // Nobody is its partner, so whoever is full shall make room.
    assert_eq!(effects, [Effect::Need(host(2)), sent(2, &request(0, true))]);
}

#[test]
fn requests_that_meet_on_the_way_make_one_partnership() {
    let (mut bench, _) = started([1]);
    let effects = frame(&mut bench, 1, request(1, false));
    assert!(effects.contains(&sent(1, &Frame::Accept)));
    assert_eq!(frame(&mut bench, 1, Frame::Accept), []);
    assert_eq!(bench.protocol.neighbours()[..], [host(1)]);
    assert!(bench.timers.deadline(Timer::Answer(host(1))).is_none());
}

#[test]
fn whoever_does_not_answer_is_let_go_and_asked_again_later() {
    let (mut bench, _) = started([1]);
    let answer = bench.timers.deadline(Timer::Answer(host(1))).unwrap();
    while bench.now < answer {
        bench.fire();
    }
    assert!(bench.protocol.asked.is_empty());
    let again = bench.timers.deadline(Timer::Fill).unwrap();
    assert_eq!(again.since(answer), Duration::from_millis(250));
    while bench.now < again {
        bench.fire();
    }
    assert!(bench.protocol.asked.contains_key(&host(1)));
}

#[test]
fn a_fresh_fragment_goes_to_every_partner_but_the_one_it_came_from() {
    let mut bench = with_partners(1..=3);
    assert_eq!(inject(&mut bench), [host(1), host(2), host(3)]);
    for arrival in [Arrival::Pushed(host(2)), Arrival::Pulled(host(2))] {
        let effects = bench.call(|mesh, cx| mesh.on_fragment(cx, arrival, fragment(1)));
        assert_eq!(pushed_to(&effects), [host(1), host(3)]);
    }
}

#[test]
fn who_brings_a_fragment_second_is_pruned_once_and_stays_a_partner() {
    let mut bench = with_partners(1..=2);
    let held_back = Effect::HoldBack(host(1));
    assert_eq!(duplicate(&mut bench, 1), [sent(1, &Frame::Prune), held_back]);
    assert_eq!(duplicate(&mut bench, 1), []);
    assert_eq!(inject(&mut bench), [host(2)]);
    assert_eq!(bench.protocol.neighbours()[..], [host(1), host(2)]);
    // The last one that pushes is never pruned.
    assert_eq!(duplicate(&mut bench, 2), []);
}

#[test]
fn who_had_to_be_asked_is_grafted_once_and_not_pruned_at_once() {
    let mut bench = with_partners(1..=2);
    frame(&mut bench, 1, Frame::Prune);
    assert_eq!(inject(&mut bench), [host(2)]);
    let onward = Effect::SendFragment(host(2), fragment(0));
    assert_eq!(pulled(&mut bench, 1), [sent(1, &Frame::Graft), onward.clone()]);
    assert_eq!(pulled(&mut bench, 1), [onward]);
    assert_eq!(inject(&mut bench), [host(1), host(2)]);
    assert_eq!(duplicate(&mut bench, 1), []);
    frame(&mut bench, 1, Frame::Prune);
    frame(&mut bench, 1, Frame::Graft);
    assert_eq!(inject(&mut bench), [host(1), host(2)]);
}

#[test]
fn who_has_what_did_not_come_is_grafted_where_it_cannot_be_asked() {
    let mut bench = with_partners(1..=2);
    frame(&mut bench, 1, Frame::Prune);
    let missed = bench.call(|mesh, cx| mesh.on_missed(cx, host(1)));
    assert_eq!(missed, [sent(1, &Frame::Graft)]);
    assert_eq!(bench.call(|mesh, cx| mesh.on_missed(cx, host(1))), []);
    assert_eq!(bench.call(|mesh, cx| mesh.on_missed(cx, host(9))), [], "no partner");
    assert_eq!(inject(&mut bench), [host(1), host(2)]);
}

#[test]
fn whoever_loses_its_last_eager_partner_grafts_the_nearest_at_once() {
    let mut bench = with_partners(1..=3);
    frame(&mut bench, 1, Frame::Prune);
    frame(&mut bench, 2, Frame::Prune);
    for (n, rtt) in [(1, 30), (2, 10)] {
        let (_, mut peer) = started([n]).0.peers.0.pop_first().unwrap();
        peer.rtt = Some(Duration::from_millis(rtt));
        bench.peers.0.insert(host(n), peer);
    }
    let effects = bench.call(|mesh, cx| mesh.on_disconnected(cx, host(3), LinkError::Reset));
    assert_eq!(effects[0], sent(2, &Frame::Graft));
}

#[test]
fn a_lost_partner_is_replaced_at_once_by_a_known_member() {
    let (mut bench, _) = started(1..=5);
    let asked: Vec<HostId> = bench.protocol.asked.keys().copied().collect();
    let spare = (1..=5).map(host).find(|host| !asked.contains(host)).unwrap();
    for host in &asked {
        frame(&mut bench, host.0[0], Frame::Accept);
    }
    let effects = bench.call(|mesh, cx| mesh.on_disconnected(cx, asked[0], LinkError::TimedOut));
    assert_eq!(effects[0], Effect::Need(spare));
}

#[test]
fn who_takes_this_host_for_a_partner_wrongly_is_told() {
    let (mut bench, _) = started([]);
    let gossip = Frame::Members { partners: Vec::new(), members: Vec::new() };
    let expected =
        [Effect::Need(host(1)), sent(1, &Frame::Bye { leaves: false }), Effect::Release(host(1))];
    assert_eq!(frame(&mut bench, 1, gossip), expected);
    assert_eq!(frame(&mut bench, 1, Frame::Bye { leaves: false }), []);
}

#[test]
fn gossip_about_a_host_that_left_is_not_believed() {
    let mut bench = with_partners([1, 2]);
    let effects = frame(&mut bench, 1, Frame::Bye { leaves: true });
    assert_eq!(effects[..2], [Effect::Forget(host(1)), Effect::Release(host(1))]);
    let gossip = Frame::Members { partners: Vec::new(), members: members(1) };
    assert_eq!(frame(&mut bench, 2, gossip), []);
}

#[test]
fn leaving_says_goodbye_to_partners_and_to_those_asked() {
    let (mut bench, _) = started([1]);
    frame(&mut bench, 2, request(2, false));
    let effects = bench.call(|mesh, cx| mesh.leave(cx));
    let bye = Frame::Bye { leaves: true };
    assert_eq!(effects, [sent(2, &bye), sent(1, &bye)]);
}
