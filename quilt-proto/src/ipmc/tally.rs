//! How much does not come, where nobody asks for it.

use crate::{FragmentId, Seq, Source};
use alloc::collections::BTreeMap;

/// The most sources that are remembered; others are met anew.
const MAX_SOURCES: usize = 1_024;

/// The fragment of each source that comes next, if nothing is lost: a source sends its fragments in
/// order, but for messages that others overtake, which count as lost until they come.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<Source, Next>);

#[derive(Clone, Copy, Debug)]
struct Next {
    seq: Seq,
    index: u16,
    /// How many fragments the message has.
    count: u16,
}

/// What the coming of a fragment says of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// So many before it have not come.
    Over(u32),
    /// It had counted as one of those.
    Late,
}

impl Tally {
    /// A fragment came that nobody had asked for, of a message with so many. Of messages of which
    /// nothing came each counts as one fragment.
    pub(super) fn on_pushed(&mut self, fragment: FragmentId, count: u16) -> Passed {
        let FragmentId { source, seq, index } = fragment;
        if self.0.len() >= MAX_SOURCES && !self.0.contains_key(&source) {
            self.0.pop_first();
        }
        let here = Next { seq, index: index.saturating_add(1), count };
        let Some(next) = self.0.get_mut(&source) else {
            self.0.insert(source, here);
            return Passed::Over(0);
        };
        if (seq, index) < (next.seq, next.index) {
            return Passed::Late;
        }
        let before = core::mem::replace(next, here);
        if before.seq == seq {
            return Passed::Over(u32::from(index.saturating_sub(before.index)));
        }
        let rest = u32::from(before.count.saturating_sub(before.index));
        let between = seq.distance(before.seq).saturating_sub(1);
        let between = u32::try_from(between).unwrap_or(u32::MAX);
        Passed::Over(rest.saturating_add(between).saturating_add(index.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostTag, Incarnation};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn of(host: u64, seq: u64, index: u16) -> FragmentId {
        let source = Source { host: HostTag(host), incarnation: Incarnation(1) };
        FragmentId { source, seq: Seq(seq), index }
    }

    proptest! {
        /// Of messages that are cut into several fragments some get lost, and some come late: what is
        /// counted in the end is what did not come, a whole message as one.
        #[test]
        fn what_did_not_come_is_counted_once(
            fates in prop::collection::vec((0_u8..8, 1_u16..4), 1..60),
        ) {
            let (mut tally, mut late) = (Tally::default(), Vec::new());
            let (mut lost, mut expected) = (0_i64, 0_i64);
            let mut come = |tally: &mut Tally, fragment, count| {
                match tally.on_pushed(fragment, count) {
                    Passed::Over(count) => lost += i64::from(count),
                    Passed::Late => lost -= 1,
                }
            };
            come(&mut tally, of(1, 0, 0), 1);
            let mut seqs = 1..;
            for &(fate, count) in &fates {
                let seq = seqs.next().unwrap_or(0);
                match fate {
                    0 => expected += 1,
                    // The first fragment is lost, and all others come.
                    1 if count > 1 => {
                        expected += 1;
                        (1..count).for_each(|index| come(&mut tally, of(1, seq, index), count));
                    }
                    2 => late.push(seq),
                    _ => (0..count).for_each(|index| come(&mut tally, of(1, seq, index), count)),
                }
            }
            come(&mut tally, of(1, seqs.next().unwrap_or(0), 0), 1);
            late.into_iter().for_each(|seq| come(&mut tally, of(1, seq, 0), 1));
            prop_assert_eq!(lost, expected);
        }
    }

    #[test]
    fn however_many_sources_there_are_what_is_remembered_is_bounded() {
        let mut tally = Tally::default();
        for host in 0..5_000 {
            assert_eq!(
                tally.on_pushed(of(host, u64::MAX - 1, u16::MAX), u16::MAX),
                Passed::Over(0)
            );
            tally.on_pushed(of(host, u64::MAX, 0), 1);
        }
        assert_eq!(tally.0.len(), MAX_SOURCES);
    }
}
