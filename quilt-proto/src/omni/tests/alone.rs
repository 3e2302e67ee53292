//! One host: one event, and the exact effects.

use super::super::frame::Frame;
use super::super::tree::{Cx, Place, Timer, Tree};
use super::super::values::{
    Displacement, Lineage, MAX_PATH, Mode, Offer, Plan, Rank, Sketch, Way, slim,
};
use super::{REGION, setup};
use crate::counters::Fault;
use crate::protocol::bench::{Bench, contact, host};
use crate::protocol::{Arrival, Body, Effect, Protocol};
use crate::wire::{Reader, Writer};
use crate::{FragmentId, HostTag, Incarnation, LinkError, PatchId, Seq, Source, Time};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

const NOT_YOUR_CHILD: Frame = Frame::Detach { as_child: true };
const NOT_YOUR_PARENT: Frame = Frame::Detach { as_child: false };

/// A host that is not in a tree yet. The host under test is number 0, or another where it says so.
fn alone(patch: PatchId, members: impl IntoIterator<Item = u8>) -> Bench<Tree> {
    Bench::new(Tree::new(2, &setup(0, patch)), members)
}

fn send(to: u8, frame: &Frame) -> Effect {
    let mut bytes = Vec::new();
    frame.encode(&mut Writer::new(&mut bytes));
    Effect::Send(host(to), bytes.into())
}

/// To whom which frames go.
pub(super) fn sent(effects: &[Effect]) -> Vec<(u8, Frame)> {
    let frames = effects.iter().filter_map(|effect| match effect {
        Effect::Send(to, body) | Effect::Tell(to, body, _) => {
            Some((to.0[0], Frame::decode(&mut Reader::new(body)).unwrap()))
        }
        _ => None,
    });
    frames.collect()
}

pub(super) fn frame(bench: &mut Bench<Tree>, from: u8, frame: Frame) -> Vec<Effect> {
    let effects = bench.call(|tree, cx| tree.on_frame(cx, host(from), frame));
    let answered = effects.into_iter().map(|effect| match effect {
        Effect::Answer(body) => Effect::Send(host(from), body),
        other => other,
    });
    answered.collect()
}

/// The way along these hosts, one millisecond each; the first is the root.
fn way(path: &[u8]) -> Way {
    let mut way = Way::top(&contact(path[0]), false);
    for &n in &path[1..] {
        way = way.extended(host(n), Duration::from_millis(1));
    }
    way
}

pub(super) fn offer(path: &[u8], room: u8, others: &[u8]) -> Offer {
    let others = others.iter().map(|&n| contact(n)).collect();
    Offer { way: way(path), room_full: room, room_digests: room, weight: 1, others }
}

pub(super) fn lineage(path: &[u8], heirs: &[u8]) -> Lineage {
    let grandparent = path.len().checked_sub(2).map(|at| contact(path[at]));
    let heirs = heirs.iter().map(|&n| contact(n)).collect();
    Lineage { way: way(path), grandparent, heirs }
}

/// The nonce of the search under way.
pub(super) fn nonce(bench: &Bench<Tree>) -> u64 {
    bench.protocol.search.as_ref().unwrap().nonce
}

pub(super) fn reply(bench: &mut Bench<Tree>, from: u8, offer: Offer) -> Vec<Effect> {
    let nonce = nonce(bench);
    frame(bench, from, Frame::ProbeReply { nonce, offer })
}

pub(super) fn attach(n: u8) -> Frame {
    Frame::Attach { mode: Mode::Full, contact: contact(n), plan: 0, weight: 1, rtt: 0 }
}

fn digests(n: u8) -> Frame {
    Frame::Attach { mode: Mode::Digests, contact: contact(n), plan: 0, weight: 1, rtt: 0 }
}

/// Whom it asks to be the parent, over a stream or by datagram.
pub(super) fn attached(effects: &[Effect]) -> Vec<u8> {
    let frames = sent(effects).into_iter();
    let asks = |frame: &Frame| matches!(frame, Frame::Attach { .. } | Frame::Seek { .. });
    frames.filter(|(_, frame)| asks(frame)).map(|(to, _)| to).collect()
}

/// The root of its tree, with these children.
pub(super) fn root(children: &[u8]) -> Bench<Tree> {
    let mut bench = alone(REGION, []);
    bench.call(|tree, cx| tree.start(cx));
    for &child in children {
        frame(&mut bench, child, attach(child));
    }
    bench
}

/// The child of the last host on `path`, whose other children and this one are `heirs`.
pub(super) fn child(patch: PatchId, path: &[u8], heirs: &[u8]) -> Bench<Tree> {
    let parent = path[path.len() - 1];
    let mut bench = alone(patch, [parent]);
    bench.call(|tree, cx| tree.start(cx));
    let effects = reply(&mut bench, parent, offer(path, 1, &[]));
    let mode = bench.protocol.mode();
    assert_eq!(attached(&effects), [parent]);
    frame(&mut bench, parent, Frame::Accept { mode, lineage: lineage(path, heirs) });
    bench
}

fn fragment() -> FragmentId {
    let source = Source { host: HostTag(7), incarnation: Incarnation(1) };
    FragmentId { source, seq: Seq(0), index: 0 }
}

fn flood(bench: &mut Bench<Tree>, from: Option<u8>) -> Vec<Effect> {
    let arrival = from.map_or(Arrival::Injected, |n| Arrival::Pushed(host(n)));
    bench.call(|tree, cx| tree.on_fragment(cx, arrival, fragment()))
}

fn passed_to(hosts: &[u8]) -> Vec<Effect> {
    hosts.iter().map(|&n| Effect::SendFragment(host(n), fragment())).collect()
}

fn probed(effects: &[Effect]) -> Vec<u8> {
    let probes = sent(effects).into_iter();
    let mut hosts: Vec<u8> = probes
        .filter_map(|(to, frame)| matches!(frame, Frame::Probe { .. }).then_some(to))
        .collect();
    hosts.sort_unstable();
    hosts
}

#[test]
fn the_first_member_is_the_root() {
    let mut bench = alone(REGION, []);
    assert_eq!(bench.call(|tree, cx| tree.start(cx)), []);
    assert!(matches!(bench.protocol.place, Place::Top { provisional: false }));
    assert_eq!(bench.fire(), Some(vec![Effect::AskContacts]));
}

#[test]
fn a_newcomer_asks_five_members_at_once_and_eight_if_none_takes_it() {
    let mut bench = alone(REGION, 1..=20);
    let effects = bench.call(|tree, cx| tree.start(cx));
    let asked = probed(&effects);
    assert_eq!(asked.len(), 5);
    assert_eq!(effects.len(), 5, "nobody is dialled");
    for &n in &asked {
        reply(&mut bench, n, offer(&[n, 0, 21], 1, &[]));
    }
    assert_eq!(probed(&bench.fire().unwrap()).len(), 8);
}

#[test]
fn the_nearest_to_the_root_with_room_becomes_parent_and_only_that_is_dialled() {
    let mut bench = alone(REGION, [1, 2, 3]);
    bench.call(|tree, cx| tree.start(cx));
    bench.now = Time::from_millis(1);
    assert_eq!(sent(&reply(&mut bench, 1, offer(&[1], 0, &[]))), []);
    bench.now = Time::from_millis(4);
    assert_eq!(sent(&reply(&mut bench, 2, offer(&[1, 2], 1, &[]))), []);
    bench.now = Time::from_millis(100);
    assert_eq!(attached(&reply(&mut bench, 3, offer(&[1, 3], 1, &[]))), [2]);
    let accept = Frame::Accept { mode: Mode::Full, lineage: lineage(&[1, 2], &[0]) };
    // What the question took is told at once: whoever asks this host counts with it.
    let took = Effect::Took(host(2), Duration::from_millis(4));
    assert_eq!(frame(&mut bench, 2, accept), [took, Effect::Need(host(2))]);
    assert_eq!(bench.protocol.neighbours()[..], [host(2)]);
    assert_eq!(bench.protocol.way().path, way(&[1, 2, 0]).path);
    assert_eq!(bench.protocol.way().latency, Duration::from_millis(3));
}

#[test]
fn after_the_first_good_offer_the_slow_are_not_waited_for() {
    let mut bench = alone(REGION, [1, 2]);
    bench.call(|tree, cx| tree.start(cx));
    bench.now = Time::from_millis(10);
    reply(&mut bench, 1, offer(&[1], 1, &[]));
    assert_eq!(attached(&bench.fire().unwrap()), [1]);
    assert_eq!(bench.now, Time::from_millis(15));
}

#[test]
fn a_full_host_points_to_others_which_are_asked_next() {
    let mut bench = alone(REGION, [1]);
    bench.call(|tree, cx| tree.start(cx));
    let effects = reply(&mut bench, 1, offer(&[1], 0, &[5, 6]));
    assert_eq!(probed(&effects), [5, 6]);
    assert!(effects.contains(&Effect::Learn(contact(5))));
    reply(&mut bench, 5, Offer { room_digests: 0, ..offer(&[1, 5], 0, &[]) });
    assert_eq!(attached(&reply(&mut bench, 6, offer(&[1, 6], 1, &[]))), [6]);
    let effects = frame(&mut bench, 6, Frame::Refuse { others: vec![contact(7)] });
    assert_eq!(probed(&effects), [7]);
}

/// Host 2 would rather stand between this root and its child 1; so much is gained and lost.
fn displace(gain: u64, loss: u64) -> Frame {
    Frame::Displace(Displacement {
        nonce: 7,
        contact: contact(2),
        weight: 3,
        gain: Duration::from_millis(gain),
        child: host(1),
        loss: Duration::from_millis(loss),
    })
}

#[test]
fn a_full_host_takes_in_whoever_is_worth_more_and_sends_the_child_there_once_it_has_come() {
    let mut bench = root(&[1, 3]);
    let effects = frame(&mut bench, 2, displace(10, 1));
    assert!(matches!(sent(&effects)[..], [(2, Frame::Accept { .. })]), "{effects:?}");
    assert_eq!(bench.protocol.children.len(), 3, "for now");
    let effects = frame(&mut bench, 2, Frame::Status(Sketch { weight: 3, ..Sketch::default() }));
    let [(1, Frame::Invite(plan))] = &sent(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!((plan.parent_of(host(1)), plan.parent_of(host(2))), (Some(host(2)), Some(host(0))));
    frame(&mut bench, 1, NOT_YOUR_CHILD);
    assert!(bench.protocol.held.is_none(), "the next may come");
    assert_eq!(bench.protocol.children.len(), 2);
}

#[test]
fn a_displacement_that_costs_more_than_it_brings_is_refused() {
    let mut bench = root(&[1, 3]);
    let effects = frame(&mut bench, 2, displace(1, 10));
    assert!(matches!(sent(&effects)[..], [(2, Frame::Refuse { .. })]), "{effects:?}");
    assert!(bench.protocol.held.is_none());
    assert_eq!(bench.protocol.children.len(), 2);
}

#[test]
fn a_displacement_that_does_not_come_about_leaves_no_more_children_than_the_degree() {
    let mut bench = root(&[1, 3]);
    frame(&mut bench, 2, displace(10, 1));
    bench.now = Time::from_millis(5_000);
    bench.call(|tree, cx| tree.on_timer(cx, Timer::Hold));
    assert_eq!(bench.protocol.children.len(), 2);
    assert!(bench.protocol.children.contains_key(&host(3)), "it had no part in it");
}

#[test]
fn what_comes_from_one_neighbour_goes_to_all_others() {
    let mut bench = child(REGION, &[9], &[]);
    frame(&mut bench, 1, attach(1));
    frame(&mut bench, 2, attach(2));
    assert_eq!(flood(&mut bench, Some(9)), passed_to(&[1, 2]));
    assert_eq!(flood(&mut bench, Some(1)), passed_to(&[9, 2]));
    assert_eq!(flood(&mut bench, None), passed_to(&[9, 1, 2]));
    let again = bench.call(|tree, cx| tree.on_duplicate(cx, host(1), fragment()));
    assert_eq!(again, []);
}

#[test]
fn a_child_for_digests_is_a_neighbour_but_is_sent_nothing() {
    let mut bench = root(&[1]);
    frame(&mut bench, 2, digests(2));
    assert_eq!(bench.protocol.neighbours()[..], [host(1), host(2)]);
    assert_eq!(flood(&mut bench, None), passed_to(&[1]));
    assert_eq!(flood(&mut bench, Some(2)), passed_to(&[1]));
}

#[test]
fn a_child_counts_as_the_clients_below_it_and_the_parent_as_more_than_all_of_them() {
    let mut bench = child(REGION, &[9], &[]);
    frame(&mut bench, 1, attach(1));
    let large =
        Frame::Attach { mode: Mode::Full, contact: contact(2), plan: 0, weight: 40, rtt: 0 };
    frame(&mut bench, 2, large);
    frame(&mut bench, 3, digests(3));
    let served = [1, 2, 3, 9].map(|n| bench.protocol.served_by(host(n)));
    assert_eq!(served, [1, 40, 0, 43]);
}

#[test]
fn a_leaf_gives_its_parent_what_it_publishes_and_not_what_it_pulled() {
    let mut bench = child(PatchId::INTER_PATCH, &[9], &[]);
    assert_eq!(flood(&mut bench, None), passed_to(&[9]));
    let arrival = Arrival::Pulled(host(3));
    assert_eq!(bench.call(|tree, cx| tree.on_fragment(cx, arrival, fragment())), []);
}

#[test]
fn the_degree_is_bounded_and_the_refused_are_pointed_on() {
    let mut bench = root(&[1, 2]);
    let effects = frame(&mut bench, 3, attach(3));
    let [(3, Frame::Refuse { others })] = &sent(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!(others.len(), 2);
    assert_eq!(bench.protocol.children.len(), 2);
    for n in 3..=4 {
        frame(&mut bench, n, digests(n));
    }
    let effects = frame(&mut bench, 5, digests(5));
    assert!(matches!(sent(&effects)[..], [(5, Frame::Refuse { .. })]));
}

#[test]
fn nobody_becomes_a_child_of_what_is_below_it() {
    let mut bench = child(REGION, &[8, 9], &[]);
    for ancestor in [8, 9] {
        let effects = frame(&mut bench, ancestor, attach(ancestor));
        assert!(matches!(sent(&effects)[..], [(_, Frame::Refuse { .. })]), "{effects:?}");
    }
    let mut bench = alone(REGION, [9]);
    bench.call(|tree, cx| tree.start(cx));
    assert_eq!(sent(&reply(&mut bench, 9, offer(&[8, 0, 9], 1, &[]))), []);
}

#[test]
fn who_changes_places_with_its_child_does_not_lose_its_new_parent() {
    let mut bench = child(REGION, &[9], &[]);
    frame(&mut bench, 1, attach(1));
    let me = &bench.protocol.me;
    let members = [9, 1, 0].map(|n| if n == 0 { slim(me) } else { contact(n) });
    let plan = Plan { nonce: 5, members: members.into(), parents: vec![0, 0, 1] };
    frame(&mut bench, 9, Frame::Invite(plan));
    let accept = Frame::Accept { mode: Mode::Full, lineage: lineage(&[9, 1], &[]) };
    let effects = frame(&mut bench, 1, accept);
    assert!(!sent(&effects).iter().any(|(to, frame)| *to == 1 && matches!(frame, Frame::Path(_))));
    frame(&mut bench, 1, NOT_YOUR_CHILD);
    assert_eq!(bench.protocol.parent().map(|parent| parent.host), Some(host(1)));
    assert!(bench.protocol.children.is_empty());
}

#[test]
fn who_comes_back_to_its_former_parent_does_not_leave_it_again() {
    let mut bench = child(REGION, &[8, 9], &[]);
    bench.protocol.former = Some(host(8));
    frame(&mut bench, 9, NOT_YOUR_PARENT);
    assert_eq!(attached(&reply(&mut bench, 8, offer(&[8], 1, &[]))), [8]);
    frame(&mut bench, 8, Frame::Accept { mode: Mode::Full, lineage: lineage(&[8], &[]) });
    assert_eq!(bench.protocol.parent().map(|parent| parent.host), Some(host(8)));
    assert_eq!(bench.protocol.former, None);
}

#[test]
fn whoever_finds_itself_on_its_parents_path_leaves_it() {
    let mut bench = child(REGION, &[8, 9], &[]);
    frame(&mut bench, 1, attach(1));
    let effects = frame(&mut bench, 9, Frame::Path(lineage(&[8, 0, 1, 9], &[])));
    let frames = sent(&effects);
    assert!(frames.contains(&(9, NOT_YOUR_CHILD)));
    let Some((_, Frame::Path(told))) = frames.iter().find(|(to, _)| *to == 1) else {
        panic!("{frames:?}")
    };
    assert!(told.way.provisional);
    assert_eq!(probed(&effects), [8]);
    assert_eq!(bench.protocol.neighbours()[..], [host(1)]);
}

#[test]
fn a_path_that_cannot_grow_has_no_children_below_it() {
    let mut bench = child(REGION, &[8, 9], &[]);
    let long: Vec<u8> = (100..).take(MAX_PATH - 1).collect();
    frame(&mut bench, 9, Frame::Path(lineage(&long, &[])));
    assert!(bench.protocol.way().is_full());
    assert!(matches!(sent(&frame(&mut bench, 1, attach(1)))[..], [(1, Frame::Refuse { .. })]));
    let longer: Vec<u8> = (100..).take(MAX_PATH).collect();
    frame(&mut bench, 9, Frame::Path(lineage(&longer, &[])));
    assert!(bench.protocol.neighbours().is_empty());
}

/// Host 5 and host `other` look for a parent and ask each other at the same moment.
fn mutual(other: u8) -> Vec<(u8, Frame)> {
    let mut bench = Bench::new(Tree::new(2, &setup(5, REGION)), [other]);
    bench.me = host(5);
    bench.call(|tree, cx| tree.start(cx));
    let effects = reply(&mut bench, other, offer(&[1, other], 1, &[]));
    assert_eq!(attached(&effects), [other]);
    sent(&frame(&mut bench, other, attach(other)))
}

#[test]
fn of_two_that_ask_each_other_the_smaller_becomes_the_parent() {
    assert!(matches!(mutual(7)[..], [(7, Frame::Accept { .. }), ..]));
    assert!(matches!(mutual(3)[..], [(3, Frame::Refuse { .. })]));
}

#[test]
fn an_orphan_asks_its_relatives_at_once() {
    let mut bench = child(REGION, &[1, 2, 3], &[0, 4, 5]);
    let effects = bench.call(|tree, cx| tree.on_disconnected(cx, host(3), LinkError::Reset));
    assert_eq!(probed(&effects), [1, 2, 4, 5]);
    // A sibling that still stands below the dead host does not know yet.
    let path = offer(&[1, 2, 3, 4], 1, &[]);
    assert_eq!(sent(&reply(&mut bench, 4, path)), []);
    for (n, path) in [(1, [8, 1]), (5, [8, 5])] {
        assert_eq!(attached(&reply(&mut bench, n, offer(&path, 0, &[]))), []);
    }
    assert_eq!(attached(&reply(&mut bench, 2, offer(&[1, 2], 1, &[]))), [2]);
}

#[test]
fn the_first_heir_becomes_root_at_once_and_tells_its_children() {
    let mut bench = child(REGION, &[9], &[0, 4]);
    frame(&mut bench, 1, attach(1));
    let effects = bench.call(|tree, cx| tree.on_disconnected(cx, host(9), LinkError::Reset));
    let told = Lineage { way: way(&[0]), grandparent: None, heirs: vec![contact(1)] };
    assert_eq!(effects, [send(1, &Frame::Path(told))]);
}

#[test]
fn nobody_inherits_from_a_root_that_was_looking_for_another_tree() {
    let mut bench = child(REGION, &[9], &[0, 1]);
    let found = lineage(&[9], &[0, 1]);
    let looking = Lineage { way: Way { provisional: true, ..found.way }, ..found };
    frame(&mut bench, 9, Frame::Path(looking));
    frame(&mut bench, 9, NOT_YOUR_PARENT);
    assert!(matches!(bench.protocol.place, Place::Top { provisional: true }));
}

#[test]
fn the_second_heir_follows_once_the_first_is_dead() {
    let mut bench = child(REGION, &[9], &[4, 0]);
    let effects = bench.call(|tree, cx| tree.on_disconnected(cx, host(9), LinkError::Reset));
    assert_eq!(probed(&effects), [4]);
    assert!(matches!(bench.protocol.place, Place::Top { provisional: true }));
    bench.call(|tree, cx| tree.on_disconnected(cx, host(4), LinkError::Refused));
    assert!(matches!(bench.protocol.place, Place::Top { provisional: false }));
}

#[test]
fn the_second_heir_joins_the_first_even_before_that_knows() {
    let mut bench = child(REGION, &[9], &[4, 0]);
    bench.call(|tree, cx| tree.on_disconnected(cx, host(9), LinkError::Reset));
    assert_eq!(attached(&reply(&mut bench, 4, offer(&[9, 4], 1, &[]))), [4]);
}

#[test]
fn of_two_roots_the_larger_joins_the_smaller() {
    let two = |me: u8, other: u8| {
        let mut bench = Bench::new(Tree::new(2, &setup(me, REGION)), []);
        bench.me = host(me);
        bench.call(|tree, cx| tree.start(cx));
        let rank = Rank { provisional: false, root: host(other) };
        sent(&frame(&mut bench, other, Frame::Probe { nonce: 1, rank }))
    };
    assert!(matches!(two(7, 3)[..], [(3, Frame::ProbeReply { .. }), (3, Frame::Probe { .. })]));
    assert!(matches!(two(3, 7)[..], [(7, Frame::ProbeReply { .. })]));
}

#[test]
fn a_root_that_meets_a_member_of_a_larger_one_asks_that() {
    let mut bench = root(&[]);
    bench.peers = Bench::new(Tree::new(2, &setup(0, REGION)), [6]).peers;
    assert_eq!(probed(&bench.fire().unwrap()), [6]);
    assert_eq!(probed(&reply(&mut bench, 6, offer(&[5, 6], 1, &[]))), [5]);
}

#[test]
fn a_forwarder_asks_its_parent_for_fragments_and_gives_them_up_again() {
    let mut bench = child(PatchId::INTER_PATCH, &[9], &[]);
    assert!(matches!(sent(&frame(&mut bench, 1, attach(1)))[..], [(1, Frame::Refuse { .. })]));
    let effects = bench.call(|tree, cx| tree.on_forwarder(cx, true));
    assert_eq!(effects, [send(9, &attach(0))]);
    frame(&mut bench, 9, Frame::Accept { mode: Mode::Full, lineage: lineage(&[9], &[]) });
    frame(&mut bench, 1, attach(1));
    let frames = sent(&bench.call(|tree, cx| tree.on_forwarder(cx, false)));
    let [
        (9, Frame::Attach { mode: Mode::Digests, .. }),
        (1, Frame::Path(told)),
        (1, NOT_YOUR_PARENT),
    ] = &frames[..]
    else {
        panic!("{frames:?}")
    };
    assert_eq!(told.grandparent.as_ref().map(|contact| contact.host), Some(host(9)));
}

#[test]
fn who_no_longer_gets_fragments_takes_nobody_in_whatever_was_planned() {
    let members = vec![contact(0), contact(1)];
    let plan = Plan { nonce: 5, members, parents: vec![0, 0] };
    for forwards in [true, false] {
        let mut bench = child(PatchId::INTER_PATCH, &[9], &[]);
        bench.call(|tree, cx| tree.on_forwarder(cx, forwards));
        bench.call(|tree, cx| tree.follow(cx, plan.clone(), Duration::from_secs(1)));
        let planned =
            Frame::Attach { mode: Mode::Full, contact: contact(1), plan: 5, weight: 1, rtt: 0 };
        let answer = sent(&frame(&mut bench, 1, planned)).remove(0);
        assert_eq!(matches!(answer, (1, Frame::Accept { .. })), forwards, "{answer:?}");
    }
}

#[test]
fn a_leaf_has_no_room_and_points_to_its_parent() {
    let mut bench = child(PatchId::INTER_PATCH, &[9], &[]);
    let rank = Rank { provisional: true, root: host(1) };
    let frames = sent(&frame(&mut bench, 1, Frame::Probe { nonce: 4, rank }));
    let [(1, Frame::ProbeReply { nonce: 4, offer })] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!((offer.room_full, offer.room_digests), (0, 0));
    assert_eq!(offer.others, [contact(9)]);
}

#[test]
fn a_host_that_nobody_asked_to_be_parent_is_told_so() {
    let mut bench = child(REGION, &[9], &[]);
    let told = lineage(&[8], &[]);
    let accept = Frame::Accept { mode: Mode::Full, lineage: told.clone() };
    assert_eq!(sent(&frame(&mut bench, 8, accept)), [(8, NOT_YOUR_CHILD)]);
    assert_eq!(sent(&frame(&mut bench, 8, Frame::Path(told))), [(8, NOT_YOUR_CHILD)]);
}

#[test]
fn whoever_attaches_under_another_name_misbehaves() {
    let mut bench = root(&[]);
    let fault = [Effect::Misbehaved(host(1), Fault::IdentityChanged)];
    assert_eq!(frame(&mut bench, 1, attach(2)), fault);
}

/// The child of host 9, of which nothing is heard any more, and which has nothing else to do.
fn waiting() -> Bench<Tree> {
    let mut bench = child(REGION, &[8, 9], &[]);
    bench.timers.stop(Timer::Seek);
    bench.timers.stop(Timer::Status);
    bench
}

#[test]
fn a_parent_that_misses_beats_is_asked_three_times_and_left_if_it_does_not_answer() {
    let mut bench = waiting();
    let silent = |tree: &mut Tree, cx: &mut Cx<'_>| tree.on_silent(cx, host(9));
    assert_eq!(bench.call(silent), [Effect::Measure(host(9))]);
    assert_eq!(bench.fire().unwrap(), [Effect::Measure(host(9))]);
    assert_eq!(bench.fire().unwrap(), [Effect::Measure(host(9))]);
    assert_eq!(bench.now, Time::from_millis(40));
    assert!(sent(&bench.fire().unwrap()).contains(&(9, NOT_YOUR_CHILD)));
    assert_eq!(bench.now, Time::from_millis(70));
    assert!(bench.protocol.parent().is_none());
}

#[test]
fn a_parent_that_misses_beats_but_answers_is_kept() {
    let mut bench = waiting();
    bench.call(|tree, cx| tree.on_silent(cx, host(9)));
    bench.call(|tree, cx| tree.on_measured(cx, host(9), Duration::from_millis(5)));
    assert_eq!(bench.timers.deadline(Timer::Verdict), None);
    assert!(bench.protocol.is_parent(host(9)));
}

#[test]
fn a_parent_that_lives_but_does_not_tell_the_path_is_left() {
    let mut bench = waiting();
    assert_eq!(bench.fire().unwrap(), [Effect::Measure(host(9))]);
    assert_eq!(bench.now, Time::from_millis(2_200));
    bench.call(|tree, cx| tree.on_measured(cx, host(9), Duration::from_millis(5)));
    assert!(sent(&bench.fire().unwrap()).contains(&(9, NOT_YOUR_CHILD)));
    assert_eq!(bench.now, Time::from_millis(5_000));
}

#[test]
fn a_parent_whose_link_opens_is_told_what_is_below_whatever_it_was_told_before() {
    let mut bench = child(REGION, &[9], &[]);
    let status = |effects: &[Effect]| {
        sent(effects).iter().any(|(to, frame)| *to == 9 && matches!(frame, Frame::Status(_)))
    };
    bench.call(|tree, cx| tree.on_timer(cx, Timer::Status));
    bench.call(|tree, cx| tree.on_connected(cx, host(9)));
    let told = bench.call(|tree, cx| tree.on_timer(cx, Timer::Status));
    assert!(status(&told), "{told:?}");
    let again = bench.call(|tree, cx| tree.on_timer(cx, Timer::Status));
    assert!(!status(&again), "{again:?}");
}

#[test]
fn whoever_leaves_says_so_to_parent_and_children() {
    let mut bench = child(REGION, &[9], &[]);
    frame(&mut bench, 1, attach(1));
    let effects = bench.call(|tree, cx| tree.leave(cx));
    assert_eq!(effects, [send(9, &Frame::Leave), send(1, &Frame::Leave)]);
}

#[test]
fn who_is_sent_away_by_the_root_inherits_nothing_and_may_join_whoever_is_below_it() {
    let mut bench = child(REGION, &[9], &[0, 4]);
    let effects = frame(&mut bench, 9, NOT_YOUR_PARENT);
    assert_eq!(probed(&effects), [4]);
    assert!(matches!(bench.protocol.place, Place::Top { provisional: true }));
    assert_eq!(attached(&reply(&mut bench, 4, offer(&[9, 4], 1, &[]))), [4]);
    let mut bench = child(REGION, &[9], &[0, 4]);
    frame(&mut bench, 9, Frame::Leave);
    assert!(matches!(bench.protocol.place, Place::Top { provisional: false }));
}

#[test]
fn whoever_asks_is_answered_and_costs_nothing() {
    let mut bench = root(&[]);
    let rank = Rank { provisional: true, root: host(1) };
    for n in 1..=100_u8 {
        let effects = frame(&mut bench, n, Frame::Probe { nonce: 1, rank });
        assert!(matches!(sent(&effects)[..], [(_, Frame::ProbeReply { .. })]));
        assert_eq!(effects.len(), 1, "no link is kept");
    }
}

#[test]
fn a_child_that_never_opens_its_link_is_given_up() {
    let mut bench = root(&[1]);
    bench.timers.stop(Timer::Seek);
    while bench.protocol.children.contains_key(&host(1)) {
        assert!(bench.fire().is_some());
    }
    assert_eq!(bench.now, Time::ZERO + Duration::from_secs(3));
}

#[test]
fn where_datagrams_bring_no_offer_streams_are_tried() {
    let mut bench = alone(REGION, [1]);
    bench.call(|tree, cx| tree.start(cx));
    let effects = bench.fire().unwrap();
    assert_eq!(effects[0], Effect::Need(host(1)));
    assert_eq!(probed(&effects), []);
    assert_eq!(bench.now, Time::from_millis(250));
    // The time that the stream takes to open says nothing of how far away the host is.
    bench.now = Time::from_millis(400);
    assert_eq!(probed(&bench.call(|tree, cx| tree.on_connected(cx, host(1)))), [1]);
    bench.now = Time::from_millis(410);
    reply(&mut bench, 1, offer(&[1], 1, &[]));
    let rtt = bench.protocol.search.as_ref().map(|search| search.rtt(host(1)));
    assert_eq!(rtt, Some(Duration::from_millis(10)));
}

#[test]
fn nobody_is_cut_off_by_a_datagram() {
    let mut bench = child(REGION, &[8, 9], &[]);
    for n in [8, 9] {
        bench.peers.0.entry(host(n)).and_modify(|peer| peer.linked = true);
    }
    bench.call(|tree, cx| tree.on_datagram(cx, host(9), NOT_YOUR_PARENT));
    let lie = Frame::Path(lineage(&[8, 0, 9], &[]));
    bench.call(|tree, cx| tree.on_datagram(cx, host(9), lie));
    assert_eq!(bench.protocol.neighbours()[..], [host(9)]);
}
