//! Sets of sequence numbers that lie close together.

use crate::Seq;
use crate::wire::Range;
use alloc::collections::BTreeMap;

/// Sequence numbers as ranges: what a range takes does not depend on its length.
#[derive(Debug, Default)]
pub(super) struct Seqs {
    /// By the first number of each the one after its last; they neither overlap nor touch.
    ranges: BTreeMap<u64, u64>,
}

impl Seqs {
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The lowest one.
    pub(super) fn first(&self) -> Option<Seq> {
        self.ranges.first_key_value().map(|(&from, _)| Seq(from))
    }

    pub(super) fn insert(&mut self, seq: Seq) {
        let (from, to) = (seq.0, seq.next().0);
        let mut end = to;
        if let Some(next) = self.ranges.remove(&to) {
            end = next;
        }
        match self.ranges.range_mut(..=from).next_back() {
            Some((_, before)) if *before > from => *before = end.max(*before),
            Some((_, before)) if *before == from => *before = end,
            _ => {
                self.ranges.insert(from, end);
            }
        }
    }

    pub(super) fn remove(&mut self, seq: Seq) {
        let (from, to) = (seq.0, seq.next().0);
        let Some((&first, before)) = self.ranges.range_mut(..=from).next_back() else { return };
        let end = *before;
        if end <= from {
            return;
        }
        if first == from {
            self.ranges.remove(&first);
        } else {
            *before = from;
        }
        if end > to {
            self.ranges.insert(to, end);
        }
    }

    /// The ranges, the lowest first; of one that begins before `low` what is not before it.
    pub(super) fn ranges(&self, low: Seq) -> impl Iterator<Item = Range> {
        let across = self.ranges.range(..low.0).next_back();
        let across = across.filter(|&(_, &to)| to > low.0).map(|(_, &to)| (low.0, to));
        let rest = self.ranges.range(low.0..).map(|(&from, &to)| (from, to));
        across.into_iter().chain(rest).map(|(from, to)| Range { from: Seq(from), to: Seq(to) })
    }

    /// All from `low` on.
    pub(super) fn iter(&self, low: Seq) -> impl Iterator<Item = Seq> {
        self.ranges(low).flat_map(|range| (range.from.0..range.to.0).map(Seq))
    }

    /// The lowest one that is not before `low`.
    pub(super) fn next(&self, low: Seq) -> Option<Seq> {
        self.ranges(low).next().map(|range| range.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        /// A set of single numbers is the oracle.
        #[test]
        fn ranges_are_the_set_that_was_made(
            ops in prop::collection::vec((any::<bool>(), 0_u64..24), 0..80),
            low in 0_u64..26,
        ) {
            let (mut seqs, mut oracle) = (Seqs::default(), BTreeSet::new());
            for (insert, seq) in ops {
                if insert {
                    seqs.insert(Seq(seq));
                    oracle.insert(seq);
                } else {
                    seqs.remove(Seq(seq));
                    oracle.remove(&seq);
                }
                prop_assert_eq!(seqs.is_empty(), oracle.is_empty());
                prop_assert_eq!(seqs.first(), oracle.first().map(|&seq| Seq(seq)));
                let here: Vec<u64> = seqs.iter(Seq(low)).map(|seq| seq.0).collect();
                prop_assert_eq!(here, oracle.range(low..).copied().collect::<Vec<u64>>());
                prop_assert_eq!(seqs.next(Seq(low)), oracle.range(low..).next().map(|&seq| Seq(seq)));
                let all: Vec<Range> = seqs.ranges(Seq(0)).collect();
                prop_assert!(all.windows(2).all(|pair| pair[0].to < pair[1].from), "{all:?}");
            }
        }
    }

    #[test]
    fn a_long_range_takes_no_more_than_a_short_one() {
        let mut seqs = Seqs::default();
        (0..100_000).for_each(|seq| seqs.insert(Seq(seq)));
        assert_eq!(seqs.ranges.len(), 1);
        (0..99_999).for_each(|seq| seqs.remove(Seq(seq)));
        assert_eq!(seqs.first(), Some(Seq(99_999)));
    }
}
