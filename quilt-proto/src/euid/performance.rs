//! Measured performance: ranges, since the figures fluctuate.

use super::sorted::Sorted;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metric(pub u8);

impl Metric {
    /// Round-trip time in microseconds.
    pub const RTT_MICROS: Self = Self(1);
    /// Bandwidth from the host to others, in kbit/s.
    pub const UPLINK_KBPS: Self = Self(2);
    /// Bandwidth from others to the host, in kbit/s.
    pub const DOWNLINK_KBPS: Self = Self(3);
}

/// The bounds of what was measured, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// The least value.
    pub lower: u32,
    /// The greatest value.
    pub upper: u32,
}

/// The measured figures of an EUID (the paper's vector N), at most [`Performance::MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Performance(Sorted<Metric, Range>);

impl Performance {
    /// The most figures.
    pub const MAX: usize = 8;

    /// Widens the range of `metric` so that it covers `range`.
    pub fn insert(&mut self, metric: Metric, range: Range) {
        self.0.merge(metric, range, |kept, range| {
            kept.lower = kept.lower.min(range.lower);
            kept.upper = kept.upper.max(range.upper);
        });
        self.0.truncate(Self::MAX);
    }

    /// The range of `metric`, if it was measured.
    pub fn get(&self, metric: Metric) -> Option<Range> {
        self.0.get(&metric).copied()
    }

    /// All figures, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, Range)> {
        self.0.iter().copied()
    }

    pub(super) fn merge(&mut self, other: &Self) {
        other.iter().for_each(|(metric, range)| self.insert(metric, range));
    }
}
