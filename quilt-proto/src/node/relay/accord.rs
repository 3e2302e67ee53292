//! Which of a region's representatives passes a fragment on, agreed on for each fragment (paper,
//! section 4.8).
//!
//! Phase one: whoever gets a fragment claims it before the others. Phase two: after a round trip to
//! the farthest of them, in which all claims that crossed its own have come, the one that ranks
//! first passes the fragment on. Who was told of a claim before it had the fragment leaves it to
//! the claimant. Whoever does not pass it on stands by, and steps in if it does not see it come.

use crate::{FragmentId, HostId, PatchId, Time};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::hash::Hasher;
use core::time::Duration;
use siphasher::sip::SipHasher13;

/// Whoever stands by waits so long for each of those that rank before it, and for itself.
const STEP_IN: Duration = Duration::from_millis(50);
/// Claims of others are remembered for so long.
const MEMORY: Duration = Duration::from_secs(1);
/// The most claims, one's own and of others; beyond them fragments are passed on at once.
const MAX_CLAIMS: usize = 4_096;

/// A fragment at the edge of a region.
type Crossing = (PatchId, FragmentId);

#[derive(Debug)]
struct Claim {
    into: PatchId,
    due: Time,
    /// How many of the fellows rank before this host.
    rank: u32,
    /// One that ranks before this host claims it too.
    beaten: bool,
    /// Somebody else passes it on.
    stands_by: bool,
}

/// What this host and its fellows have claimed.
#[derive(Debug, Default)]
pub(in crate::node) struct Accord {
    own: BTreeMap<Crossing, Claim>,
    due: BTreeSet<(Time, Crossing)>,
    /// Claims of others for what is not here, until when they count; and in the order of coming.
    others: BTreeMap<Crossing, Time>,
    order: VecDeque<Crossing>,
    unsaid: BTreeMap<PatchId, Vec<FragmentId>>,
}

impl Accord {
    /// A fragment that is to go across the edge of `region` has come. `farthest` is the round trip
    /// to the farthest of the other representatives, of whom `rank` rank before this host. False if
    /// there is no room for a claim: then it is to be passed on at once.
    pub(in crate::node) fn claim(
        &mut self,
        now: Time,
        (region, fragment): Crossing,
        into: PatchId,
        farthest: Duration,
        rank: u32,
    ) -> bool {
        if self.own.len() >= MAX_CLAIMS {
            return false;
        }
        let crossing = (region, fragment);
        let stands_by = self.others.remove(&crossing).is_some_and(|until| now < until);
        let due = now + if stands_by { step_in(rank) } else { farthest };
        if !stands_by {
            self.unsaid.entry(region).or_default().push(fragment);
        }
        let claim = Claim { into, due, rank, beaten: false, stands_by };
        if let Some(old) = self.own.insert(crossing, claim) {
            self.due.remove(&(old.due, crossing));
        }
        self.due.insert((due, crossing));
        true
    }

    /// The fragments at the edge of a region that are claimed and of which the others were not told.
    pub(in crate::node) fn take_unsaid(&mut self) -> Option<(PatchId, Vec<FragmentId>)> {
        self.unsaid.pop_first()
    }

    /// Another representative has claimed a fragment; `is_before` says whether it ranks before this
    /// host.
    pub(in crate::node) fn on_claim(&mut self, now: Time, crossing: Crossing, is_before: bool) {
        if let Some(claim) = self.own.get_mut(&crossing) {
            claim.beaten |= is_before;
            return;
        }
        while let Some(oldest) = self.order.front() {
            let until = self.others.get(oldest).copied();
            let is_full = self.order.len() >= MAX_CLAIMS;
            if !is_full && until.is_some_and(|until| now < until) {
                break;
            }
            self.others.remove(oldest);
            self.order.pop_front();
        }
        if self.others.insert(crossing, now + MEMORY).is_none() {
            self.order.push_back(crossing);
        }
    }

    /// A fragment was seen in a patch: nobody needs to pass it on into that. Whether this host
    /// would have, or stood by.
    pub(in crate::node) fn on_seen(&mut self, crossing: Crossing, patch: PatchId) -> bool {
        let claim = self.own.get(&crossing).filter(|claim| claim.into == patch);
        let Some(due) = claim.map(|claim| claim.due) else { return false };
        self.due.remove(&(due, crossing));
        self.own.remove(&crossing);
        true
    }

    /// When [`poll_due`](Self::poll_due) may have something.
    pub(in crate::node) fn poll_timeout(&self) -> Option<Time> {
        self.due.first().map(|&(due, _)| due)
    }

    /// The next fragment that this host passes on, and into which patch.
    pub(in crate::node) fn poll_due(&mut self, now: Time) -> Option<(PatchId, FragmentId)> {
        while self.poll_timeout().is_some_and(|due| due <= now) {
            let Some((_, crossing)) = self.due.pop_first() else { break };
            let Some(claim) = self.own.get_mut(&crossing) else { continue };
            if claim.beaten && !claim.stands_by {
                claim.stands_by = true;
                claim.due = now + step_in(claim.rank);
                self.due.insert((claim.due, crossing));
                continue;
            }
            let into = claim.into;
            self.own.remove(&crossing);
            return Some((into, crossing.1));
        }
        None
    }
}

fn step_in(rank: u32) -> Duration {
    STEP_IN.saturating_mul(rank.saturating_add(1))
}

/// The weight of a host for a fragment: of several representatives the one with the greatest ranks
/// first. Over many fragments each has its share.
pub(in crate::node) fn weight(fragment: FragmentId, host: HostId) -> (u64, HostId) {
    let mut hasher = SipHasher13::new_with_keys(0x7175_696c_7400_0000, 0x636c_6169_6d00_0000);
    hasher.write_u64(fragment.source.host.0);
    hasher.write_u64(fragment.seq.0);
    hasher.write_u16(fragment.index);
    hasher.write(&host.0);
    (hasher.finish(), host)
}

#[cfg(test)]
mod tests;
