use super::*;
use crate::{HostTag, Incarnation, Rng, Seq, Source};
use alloc::collections::BTreeMap;
use alloc::vec;
use proptest::prelude::*;

const REGION: PatchId = PatchId(7);
const FARTHEST: Duration = Duration::from_millis(10);

fn crossing(seq: u64) -> Crossing {
    let source = Source { host: HostTag(1), incarnation: Incarnation(1) };
    (REGION, FragmentId { source, seq: Seq(seq), index: 0 })
}

fn drain(accord: &mut Accord, now: u64) -> Vec<u64> {
    let now = Time::from_millis(now);
    core::iter::from_fn(|| accord.poll_due(now)).map(|(_, fragment)| fragment.seq.0).collect()
}

fn claim(accord: &mut Accord, now: u64, seq: u64, rank: u32) -> bool {
    accord.claim(Time::from_millis(now), crossing(seq), REGION, FARTHEST, rank)
}

#[test]
fn an_undisputed_claim_passes_on_after_a_round_trip_and_is_said_once() {
    let mut accord = Accord::default();
    assert!(claim(&mut accord, 0, 1, 0));
    assert_eq!(accord.take_unsaid(), Some((REGION, vec![crossing(1).1])));
    assert_eq!(accord.take_unsaid(), None);
    assert_eq!(drain(&mut accord, 9), []);
    assert_eq!(accord.poll_timeout(), Some(Time::from_millis(10)));
    assert_eq!(drain(&mut accord, 10), [1]);
    assert_eq!(accord.poll_timeout(), None);
}

#[test]
fn who_is_beaten_steps_in_only_if_it_does_not_see_the_fragment_come() {
    for comes in [true, false] {
        let mut accord = Accord::default();
        claim(&mut accord, 0, 1, 2);
        accord.on_claim(Time::from_millis(5), crossing(1), true);
        assert_eq!(drain(&mut accord, 10), []);
        if comes {
            // In another patch it says nothing.
            assert!(!accord.on_seen(crossing(1), PatchId::INTER_PATCH));
            assert!(accord.poll_timeout().is_some());
            assert!(accord.on_seen(crossing(1), REGION));
            assert!(!accord.on_seen(crossing(1), REGION));
            assert_eq!(accord.poll_timeout(), None);
        } else {
            assert_eq!(drain(&mut accord, 159), [], "two rank before it");
            assert_eq!(drain(&mut accord, 160), [1]);
        }
    }
}

#[test]
fn who_was_told_of_a_claim_before_leaves_it_to_the_claimant_for_a_second() {
    let mut accord = Accord::default();
    accord.on_claim(Time::ZERO, crossing(1), false);
    accord.on_claim(Time::ZERO, crossing(2), false);
    claim(&mut accord, 20, 1, 0);
    assert_eq!(accord.take_unsaid(), None, "nothing is claimed that is another's");
    assert_eq!((drain(&mut accord, 69), drain(&mut accord, 70)), (vec![], vec![1]));
    claim(&mut accord, 1_500, 2, 0);
    assert_eq!(drain(&mut accord, 1_510), [2]);
}

#[test]
fn claims_are_bounded_whoever_makes_them() {
    let mut accord = Accord::default();
    for seq in 0..10_000 {
        accord.on_claim(Time::ZERO, crossing(seq), true);
        assert_eq!(claim(&mut accord, 0, 100_000 + seq, 0), seq < MAX_CLAIMS as u64);
    }
    assert_eq!((accord.own.len(), accord.due.len()), (MAX_CLAIMS, MAX_CLAIMS));
    assert_eq!((accord.others.len(), accord.order.len()), (MAX_CLAIMS, MAX_CLAIMS));
}

proptest! {
    /// Representatives at various distances get the same fragments at various times; nothing is
    /// lost between them. Whoever passes one on is seen by the others when a packet has gone there.
    #[test]
    fn each_fragment_is_passed_on_by_exactly_one(seed: u64, hosts in 1_u8..6, fragments in 1_u64..20) {
        let mut rng = Rng::new(seed);
        let hosts: Vec<HostId> = (0..hosts).map(|n| HostId([n; 32])).collect();
        let mut one_way = BTreeMap::new();
        for a in 0..hosts.len() {
            for b in 0..a {
                let trip = 1 + rng.below(10);
                one_way.insert((a, b), trip);
                one_way.insert((b, a), trip);
            }
        }
        let mut accords: Vec<Accord> = hosts.iter().map(|_| Accord::default()).collect();
        let mut held = vec![alloc::collections::BTreeSet::new(); hosts.len()];
        // What happens when: a fragment comes from outside, a claim comes, a fragment is seen.
        let mut events: BTreeSet<(u64, u8, usize, u64, usize)> = BTreeSet::new();
        for seq in 0..fragments {
            for at in 0..hosts.len() {
                events.insert((rng.below(60), 0, at, seq, at));
            }
        }
        let mut passed: BTreeMap<u64, u32> = BTreeMap::new();
        for now in 0..2_000 {
            while let Some(&event) = events.first().filter(|event| event.0 <= now) {
                events.remove(&event);
                let (_, kind, at, seq, from) = event;
                let fragment = crossing(seq).1;
                match kind {
                    0 if held[at].insert(seq) => {
                        let trips = (0..hosts.len()).filter_map(|other| one_way.get(&(at, other)));
                        let farthest = trips.max().copied().unwrap_or(0) * 2;
                        let mine = weight(fragment, hosts[at]);
                        let before = hosts.iter().filter(|&&host| weight(fragment, host) > mine);
                        let (rank, farthest) =
                            (before.count() as u32, Duration::from_millis(farthest));
                        let now = Time::from_millis(now);
                        prop_assert!(accords[at].claim(now, crossing(seq), REGION, farthest, rank));
                    }
                    1 => {
                        let is_before =
                            weight(fragment, hosts[from]) > weight(fragment, hosts[at]);
                        accords[at].on_claim(Time::from_millis(now), crossing(seq), is_before);
                    }
                    2 => {
                        held[at].insert(seq);
                        accords[at].on_seen(crossing(seq), REGION);
                    }
                    _ => {}
                }
                while let Some((_, fragments)) = accords[at].take_unsaid() {
                    for (other, fragment) in
                        (0..hosts.len()).flat_map(|o| fragments.iter().map(move |f| (o, f)))
                    {
                        if let Some(trip) = one_way.get(&(at, other)) {
                            events.insert((now + trip, 1, other, fragment.seq.0, at));
                        }
                    }
                }
            }
            for (at, accord) in accords.iter_mut().enumerate() {
                for seq in drain(accord, now) {
                    *passed.entry(seq).or_default() += 1;
                    for other in 0..hosts.len() {
                        if let Some(trip) = one_way.get(&(at, other)) {
                            events.insert((now + trip, 2, other, seq, at));
                        }
                    }
                }
            }
        }
        prop_assert_eq!(passed.len() as u64, fragments);
        prop_assert!(passed.values().all(|&times| times == 1), "{:?}", passed);
        prop_assert!(accords.iter().all(|accord| accord.poll_timeout().is_none()));
    }
}
