//! Patch to patch: who forwards, and what goes where (paper, section 4.6).

mod accord;
mod bloom;

pub(super) use accord::{Accord, weight};
pub(super) use bloom::Blooms;

use crate::{HostId, PatchId};
use alloc::collections::BTreeSet;
use core::hash::Hasher;
use siphasher::sip::SipHasher13;

/// How a region's representatives see to it that a message crosses the region's edge once (paper,
/// section 4.8). All hosts of a group should have the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RelaySync {
    /// One of them, on whom their ranks decide, forwards; the others stand by until it is gone. The
    /// default.
    #[default]
    Ranked,
    /// All of them get everything, and agree on each fragment: who has it claims it before the
    /// others, and after a round trip the claim that ranks first forwards. Costs that round trip.
    TwoPhase,
    /// Each forwards what it has not seen yet: k representatives may bring in k copies.
    Off,
}

/// How a representative knows that a fragment has come before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RelayDigest {
    /// By its window, which is exact. The default.
    #[default]
    Exact,
    /// By a Bloom filter for each source beside it, aged with the rate at which the source
    /// publishes (paper, section 4.8). What it mistakes for a duplicate is not forwarded, and comes
    /// late: by a repair.
    Bloom,
}

/// The patches into which a fragment is injected that is new in `arrived`, by a host that forwards
/// between the regions `forwarded` and the inter-patch patch.
///
/// The rule is region-specific: a message that started in region P goes from P to the inter-patch
/// patch, and from there to the other regions; never back, and never from region to region. So it
/// crosses a region's border once, and no cycle is possible whatever the patches are.
pub(crate) fn onward(
    origin: PatchId,
    arrived: PatchId,
    forwarded: &BTreeSet<PatchId>,
) -> impl Iterator<Item = PatchId> {
    let from_inter = arrived == PatchId::INTER_PATCH;
    let outward = !from_inter && arrived == origin && forwarded.contains(&arrived);
    let inward = forwarded.iter().copied().filter(move |&region| from_inter && region != origin);
    inward.chain(outward.then_some(PatchId::INTER_PATCH))
}

/// The one of a region's live representatives that forwards: the hub of the inter-patch patch, if it
/// is among them; else the winner of a rendezvous hash, so that views which differ by one host
/// mostly still agree.
pub(crate) fn forwarder(
    region: PatchId,
    live: impl IntoIterator<Item = HostId>,
    hub: Option<HostId>,
) -> Option<HostId> {
    live.into_iter().max_by_key(|host| {
        let is_hub = hub == Some(*host);
        let mut hasher = SipHasher13::new_with_keys(0x7175_696c_7400_0000, 0x666f_7277_6172_6400);
        hasher.write_u32(region.0);
        hasher.write(&host.0);
        (is_hub, hasher.finish(), *host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::{BTreeMap, VecDeque};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const INTER: PatchId = PatchId::INTER_PATCH;

    #[test]
    fn a_host_in_two_regions_never_bridges_them() {
        let both = BTreeSet::from([PatchId(1), PatchId(2)]);
        let into = |origin, arrived| onward(origin, arrived, &both).collect::<Vec<_>>();
        assert_eq!(into(PatchId(1), PatchId(1)), [INTER]);
        assert_eq!(into(PatchId(1), PatchId(2)), []);
        assert_eq!(into(PatchId(1), INTER), [PatchId(2)]);
        assert_eq!(into(PatchId(3), INTER), [PatchId(1), PatchId(2)]);
    }

    proptest! {
        /// Whatever hosts forward between whatever regions, several for one region too: a message
        /// that started in P is never injected into P, and reaches every region that has one.
        #[test]
        fn a_message_that_started_in_p_never_returns_to_p(
            hosts in prop::collection::vec(prop::collection::btree_set(1_u32..9, 0..4), 1..12),
            start in 1_u32..9,
        ) {
            let origin = PatchId(start);
            let hosts: Vec<BTreeSet<PatchId>> =
                hosts.iter().map(|of| of.iter().copied().map(PatchId).collect()).collect();
            let mut injected: BTreeMap<PatchId, u32> = BTreeMap::new();
            let mut reached = BTreeSet::from([origin]);
            let mut arrivals = VecDeque::from([origin]);
            while let Some(arrived) = arrivals.pop_front() {
                for forwarded in &hosts {
                    // A fragment arrives only where its host is.
                    if arrived != INTER && !forwarded.contains(&arrived) {
                        continue;
                    }
                    for into in onward(origin, arrived, forwarded) {
                        *injected.entry(into).or_default() += 1;
                        if reached.insert(into) {
                            arrivals.push_back(into);
                        }
                    }
                }
            }
            prop_assert!(!injected.contains_key(&origin));
            let leaves = hosts.iter().any(|of| of.contains(&origin));
            for region in hosts.iter().flatten() {
                prop_assert!(!leaves || reached.contains(region));
            }
        }

        #[test]
        fn views_that_differ_by_a_loser_agree_on_the_forwarder(
            seeds in prop::collection::btree_set(any::<[u8; 32]>(), 2..6),
            region in 1_u32..1_000,
        ) {
            let hosts: Vec<HostId> = seeds.into_iter().map(HostId).collect();
            let winner = forwarder(PatchId(region), hosts.iter().copied(), None).expect("not empty");
            for loser in hosts.iter().filter(|&&host| host != winner) {
                let others = hosts.iter().copied().filter(|host| host != loser);
                prop_assert_eq!(forwarder(PatchId(region), others, None), Some(winner));
                let all = hosts.iter().copied();
                prop_assert_eq!(forwarder(PatchId(region), all, Some(*loser)), Some(*loser));
            }
        }
    }
}
