//! How many members a patch has, by their beacons.

use crate::{HostTag, Time};
use alloc::vec::Vec;
use core::hash::Hasher;
use core::time::Duration;
use siphasher::sip::SipHasher13;

/// An estimate of how many hosts were heard, in constant memory: the lowest hashes of their names
/// are kept, and say how densely all of them lie (Bar-Yossef et al., "Counting distinct elements
/// in a data stream", RANDOM 2002). Exact for few hosts; for many, one in three estimates is wrong
/// by more than an eighth.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// Ascending.
    lowest: Vec<u64>,
    since: Time,
    /// The estimate of the period before.
    before: usize,
}

impl Census {
    const KEPT: usize = 64;
    /// Hosts are counted anew after this, so that those that are gone count for twice as long at
    /// most. No shorter than the longest pause between two beacons of one host.
    pub(super) const PERIOD: Duration = Duration::from_secs(90);

    pub(super) fn count(&mut self, now: Time, host: HostTag) {
        self.turn(now);
        let mut hasher = SipHasher13::new_with_keys(0x7175_696c_7400_0000, 0x6365_6e73_7573_0000);
        hasher.write_u64(host.0);
        let hash = hasher.finish();
        if let Err(at @ 0..Self::KEPT) = self.lowest.binary_search(&hash) {
            self.lowest.truncate(Self::KEPT.saturating_sub(1));
            self.lowest.insert(at, hash);
        }
    }

    /// How many hosts there are, as far as they were heard.
    pub(super) fn members(&mut self, now: Time) -> usize {
        self.turn(now);
        self.before.max(self.estimate())
    }

    fn turn(&mut self, now: Time) {
        let passed = now.since(self.since);
        if passed >= Self::PERIOD {
            let recent = passed < Self::PERIOD.saturating_mul(2);
            self.before = if recent { self.estimate() } else { 0 };
            self.lowest.clear();
            self.since = now;
        }
    }

    fn estimate(&self) -> usize {
        let kept = self.lowest.len();
        let highest = self.lowest.last().filter(|_| kept >= Self::KEPT);
        let Some(&highest) = highest else { return kept };
        let hashes = 1_u128 << 64;
        let others = kept.saturating_sub(1) as u128;
        let hosts = others.saturating_mul(hashes).checked_div(u128::from(highest));
        usize::try_from(hosts.unwrap_or(u128::MAX)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(hosts: u64) -> Census {
        let mut census = Census::default();
        for round in 0..3 {
            (0..hosts).for_each(|n| census.count(Time::from_millis(round), HostTag(n)));
        }
        census
    }

    #[test]
    fn few_hosts_are_counted_exactly_and_many_are_estimated_in_constant_memory() {
        for hosts in 0..Census::KEPT {
            assert_eq!(heard(hosts as u64).members(Time::ZERO), hosts);
        }
        for hosts in [100, 1_000, 10_000, 100_000_usize] {
            let mut census = heard(hosts as u64);
            let estimate = census.members(Time::ZERO);
            assert!(estimate.abs_diff(hosts) < hosts / 3, "{estimate} of {hosts}");
            assert_eq!(census.lowest.len(), Census::KEPT);
        }
    }

    #[test]
    fn hosts_that_are_gone_count_for_two_periods_at_most() {
        let mut census = heard(50);
        let period = Census::PERIOD;
        let end = Time::ZERO + period;
        census.count(end, HostTag(1));
        assert_eq!(census.members(end), 50);
        census.count(end + period, HostTag(1));
        assert_eq!(census.members(end + period), 1);
        assert_eq!(heard(50).members(end + period), 0);
    }
}
