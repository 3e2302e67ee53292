//! How long messages took, in little memory whatever their number.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts of times in microseconds, in buckets at most a thirty-second wide: 3 % off at worst. As
/// JSON it is a list of buckets and counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u32, u64)>", into = "Vec<(u32, u64)>")]
pub(crate) struct Latencies(BTreeMap<u32, u64>);

impl From<Vec<(u32, u64)>> for Latencies {
    fn from(counts: Vec<(u32, u64)>) -> Self {
        Self(counts.into_iter().collect())
    }
}

impl From<Latencies> for Vec<(u32, u64)> {
    fn from(Latencies(counts): Latencies) -> Self {
        counts.into_iter().collect()
    }
}

/// The buckets that each power of two has.
const BUCKETS: u64 = 32;

impl Latencies {
    pub(crate) fn add(&mut self, micros: u64) {
        *self.0.entry(bucket(micros)).or_default() += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (&bucket, &count) in &other.0 {
            *self.0.entry(bucket).or_default() += count;
        }
    }

    /// The time that a share of `percent` % did not exceed, in milliseconds; 0 if there are none.
    pub(crate) fn percentile_ms(&self, percent: u64) -> f64 {
        let total: u64 = self.0.values().sum();
        let rank = (total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let reached = self.0.iter().find(|&(_, &count)| {
            seen += count;
            seen >= rank
        });
        reached.map_or(0.0, |(&bucket, _)| upper(bucket) as f64 / 1_000.0)
    }
}

fn bucket(micros: u64) -> u32 {
    let shift = micros.max(1).ilog2().saturating_sub(BUCKETS.ilog2());
    shift * BUCKETS as u32 + (micros >> shift) as u32
}

/// The greatest time of a bucket; of one that there is not, the greatest of all.
fn upper(bucket: u32) -> u64 {
    let (shift, low) = match u64::from(bucket) {
        none if none / BUCKETS > 58 => return u64::MAX,
        small if small < 2 * BUCKETS => (0, small),
        large => (large / BUCKETS - 1, large % BUCKETS + BUCKETS),
    };
    ((low + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_lies_in_its_bucket_within_three_percent() {
        let mut last = 0;
        for micros in (0..5_000).chain((5_000..100_000_000).step_by(9_973)) {
            let (bucket, top) = (bucket(micros), upper(bucket(micros)));
            assert!(micros <= top && top <= micros + micros / 32, "{micros}: {top}");
            assert!(bucket >= last);
            last = bucket;
        }
    }

    #[test]
    fn percentiles_are_those_of_all_that_were_merged() {
        let (mut a, mut b) = (Latencies::default(), Latencies::default());
        (0..50).for_each(|_| a.add(1_000));
        (0..49).for_each(|_| b.add(2_000));
        b.add(9_000);
        a.merge(&b);
        assert!((a.percentile_ms(50) - 1.0).abs() < 0.04);
        assert!((a.percentile_ms(99) - 2.0).abs() < 0.07);
        assert!((a.percentile_ms(100) - 9.0).abs() < 0.3);
        assert_eq!(Latencies::default().percentile_ms(50), 0.0);
    }
}
