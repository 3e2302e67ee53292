//! The scheduler beside a naive twin, and what is remembered of neighbours.
#![allow(clippy::arithmetic_side_effects)]

use super::naive::naive;
use super::schedule::{Supplier, Want, assign};
use super::*;
use crate::node::window::Meeting;
use crate::wire::Hello;
use crate::{History, Incarnation};
use proptest::prelude::*;

fn want() -> impl Strategy<Value = Want> {
    let left = prop_oneof![Just(Duration::MAX), (0_u64..400).prop_map(Duration::from_millis)];
    (any::<u8>(), left).prop_map(|(holders, left)| Want { holders: holders.into(), left })
}

fn supplier() -> impl Strategy<Value = Supplier> {
    (0_u64..200, 1_u64..50, 0_usize..4, 0_usize..20, 0_u32..3).prop_map(
        |(rtt, pace, asked, most, late)| Supplier {
            rtt: Duration::from_millis(rtt),
            pace: Duration::from_millis(pace),
            asked,
            most,
            late,
        },
    )
}

proptest! {
    #[test]
    fn the_scheduler_chooses_as_its_naive_twin(
        wants in prop::collection::vec(want(), 0..80),
        suppliers in prop::collection::vec(supplier(), 0..9),
        most in 0_usize..60,
    ) {
        let mut picked = Vec::new();
        let (mut one, mut other) = (suppliers.clone(), suppliers);
        // Whoever is no supplier holds nothing.
        let known = |want: &Want| Want { holders: want.holders & ((1 << one.len()) - 1), ..*want };
        let wants: Vec<Want> = wants.iter().map(known).collect();
        assign(&wants, &mut one, most, |at, of| picked.push((at, of)));
        prop_assert_eq!(picked, naive(&wants, &mut other, most));
    }
}

#[test]
fn of_many_holes_each_has_its_turn() {
    let (me, incarnation) = (HostId([0; 32]), Incarnation(1));
    let hello = Hello { host: me, incarnation, addresses: [].into_iter().collect() };
    let mut links = Links::new(hello, Limits::default(), crate::Rng::new(1));
    let mut window = Window::new(Limits::default(), me, incarnation, History::None);
    for n in 1..3 {
        let held = Held { next: Seq(3_000), mark: Seq(3_000), ..held(n) };
        window.note_head(Time::ZERO, &held, Meeting::Present);
    }
    let mut repair = Repair::default();
    for run in 1..=6 {
        let now = Time::from_millis(100 + 10 * run);
        repair.wake(Time::ZERO);
        repair.run(now, GroupId(1), &window, &mut links, &BTreeMap::new(), Duration::ZERO);
        let looked = (run as usize * MAX_LOOKED).min(6_000);
        assert_eq!(repair.guesses.len(), looked, "in run {run}");
    }
}

fn held(n: u8) -> Held {
    let (host, incarnation) = (HostId([n; 32]), Incarnation(1));
    let (low, next, mark) = (Seq(0), Seq(1), Seq(1));
    Held { host, incarnation, low, next, mark, missing: [].into_iter().collect() }
}

#[test]
fn words_are_kept_of_no_more_hosts_than_there_are_links_and_go_with_the_stream() {
    let limits = Limits { links: 4, sources: 2, ..Limits::default() };
    let mut repair = Repair::default();
    for n in 0..9 {
        let sources = (0..9).map(held).collect();
        repair.on_word(HostId([n; 32]), PatchId(1), sources, &limits);
    }
    assert_eq!(repair.words.len(), 4);
    assert!(repair.words.values().all(|word| word.sources.len() == 2));
    (0..9).for_each(|n| repair.forget(HostId([n; 32])));
    assert!(repair.words.is_empty());
}
