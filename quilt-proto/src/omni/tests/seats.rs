//! A place that is asked for is handed on to whoever has room.

use super::super::frame::Frame;
use super::super::tree::Tree;
use super::super::values::{Mode, Offer};
use super::alone::{attach, attached, child, frame, lineage, nonce, offer, reply, root, sent};
use super::{REGION, setup};
use crate::counters::Counter;
use crate::protocol::bench::{Bench, contact, host};
use crate::protocol::{Effect, Protocol};
use alloc::vec::Vec;

const NOT_YOUR_CHILD: Frame = Frame::Detach { as_child: true };

fn seek(n: u8, hops: u8) -> Frame {
    let contact = contact(n);
    Frame::Seek { mode: Mode::Full, contact, nonce: 40 + u64::from(n), weight: 1, rtt: 0, hops }
}

/// Of a host that has children, and room for no more that are sent fragments.
fn full(path: &[u8]) -> Offer {
    Offer { room_full: 0, ..offer(path, 1, &[]) }
}

/// To whom a host hands a question on that comes from a newcomer.
fn handed_on(bench: &mut Bench<Tree>, newcomer: u8) -> Vec<u8> {
    let effects = frame(bench, newcomer, seek(newcomer, 3));
    let frames = sent(&effects).into_iter();
    let frames = frames.filter(|(_, f)| matches!(f, Frame::Seek { hops: 2, .. }));
    frames.map(|(to, _)| to).collect()
}

#[test]
fn newcomers_to_a_full_host_are_handed_on_to_its_children_in_turn() {
    let mut bench = root(&[1, 2]);
    assert_eq!(handed_on(&mut bench, 3), [1]);
    assert_eq!(handed_on(&mut bench, 4), [2]);
    assert_eq!(handed_on(&mut bench, 5), [1]);
    assert_eq!(bench.protocol.children.len(), 2);
}

#[test]
fn a_question_that_went_far_enough_is_answered_where_it_is() {
    let mut bench = root(&[1, 2]);
    let effects = frame(&mut bench, 3, seek(3, 0));
    assert!(matches!(sent(&effects)[..], [(3, Frame::Refuse { .. })]), "{effects:?}");
}

#[test]
fn whoever_has_room_takes_in_whom_its_parent_names_and_nobody_else_does() {
    let mut bench = child(REGION, &[8, 9], &[]);
    let dropped = Effect::Count(Counter::DroppedUnexpected);
    assert_eq!(frame(&mut bench, 7, seek(3, 3)), [dropped]);
    let effects = frame(&mut bench, 9, seek(3, 3));
    let frames = sent(&effects);
    assert!(matches!(frames[..], [(3, Frame::Adopt { nonce: 43, .. })]), "{frames:?}");
    assert!(bench.protocol.children.contains_key(&host(3)));
}

#[test]
fn whoever_is_on_the_way_to_a_host_is_not_handed_on_below_it() {
    let mut bench = child(REGION, &[8, 9], &[]);
    for n in [1, 2] {
        frame(&mut bench, n, attach(n));
    }
    assert_eq!(handed_on(&mut bench, 8), []);
}

#[test]
fn a_host_that_found_nobody_with_room_goes_where_its_question_was_answered() {
    let mut bench = Bench::new(Tree::new(2, &setup(0, REGION)), [9]);
    bench.call(|tree, cx| tree.start(cx));
    assert_eq!(attached(&reply(&mut bench, 9, full(&[8, 9]))), [9]);
    let adopt =
        |nonce, path: &[u8]| Frame::Adopt { nonce, mode: Mode::Full, lineage: lineage(path, &[]) };
    let nonce = nonce(&bench);
    let effects = frame(&mut bench, 5, adopt(nonce ^ 1, &[8, 9, 5]));
    assert_eq!(sent(&effects), [(5, NOT_YOUR_CHILD)], "it is the answer to nothing");
    frame(&mut bench, 4, adopt(nonce, &[8, 9, 4]));
    assert_eq!(bench.protocol.parent().map(|parent| parent.host), Some(host(4)));
    let effects = frame(&mut bench, 5, adopt(nonce, &[8, 9, 5]));
    assert_eq!(sent(&effects), [(5, NOT_YOUR_CHILD)], "it has a parent by now");
}

#[test]
fn an_adoption_into_a_tree_that_has_to_join_this_one_is_declined() {
    let mut bench = Bench::new(Tree::new(2, &setup(4, REGION)), [3]);
    bench.me = host(4);
    bench.call(|tree, cx| tree.start(cx));
    assert_eq!(attached(&reply(&mut bench, 3, full(&[2, 3]))), [3]);
    let mut lineage = lineage(&[7, 5], &[]);
    lineage.way.provisional = true;
    let nonce = nonce(&bench);
    let effects = frame(&mut bench, 5, Frame::Adopt { nonce, mode: Mode::Full, lineage });
    assert!(sent(&effects).contains(&(5, NOT_YOUR_CHILD)), "{effects:?}");
    assert!(bench.protocol.parent().is_none());
}
