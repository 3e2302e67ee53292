//! What a neighbour said that it holds, and how it answers.

use super::{MAX_ASKED, MAX_ASKED_OF_ONE};
use crate::wire::Held;
use crate::{FragmentId, Limits, PatchId, Seq, Source, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

/// The time that a fragment takes of a neighbour that has answered nothing yet. Guess: 1 MB/s.
const FIRST_PACE: Duration = Duration::from_millis(1);
/// No fragment counts as slower: whoever stood still once is asked again.
const MAX_PACE: Duration = Duration::from_millis(250);
const MIN_PACE: Duration = Duration::from_micros(10);

/// A host's latest word on what it holds.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) patch: PatchId,
    pub(super) sources: BTreeMap<Source, Known>,
    /// What it turned out not to hold after all.
    denied: BTreeSet<(Source, Seq)>,
    pub(super) asked: usize,
    /// How often in a row it did not answer in time.
    pub(super) late: u32,
    /// When it was late last.
    pub(super) was_late: Time,
    /// How long a fragment takes that it is asked for, one behind the other.
    pub(super) pace: Duration,
    /// How long its answers take, and by how much that differs; none so far.
    takes: Option<(Duration, Duration)>,
    /// When it last answered.
    answered: Time,
}

/// What a host holds of a source.
#[derive(Debug)]
pub(super) struct Known {
    held: Held,
    /// Its latest message that came from that host: most likely it has what was before it.
    came: Seq,
}

impl Word {
    pub(super) fn new(patch: PatchId) -> Self {
        Self {
            patch,
            sources: BTreeMap::new(),
            denied: BTreeSet::new(),
            asked: 0,
            late: 0,
            was_late: Time::ZERO,
            pace: FIRST_PACE,
            takes: None,
            answered: Time::ZERO,
        }
    }

    /// It said what it holds.
    pub(super) fn say(&mut self, sources: Vec<Held>, limits: &Limits) {
        for held in sources {
            let source = Source { host: held.host.tag(), incarnation: held.incarnation };
            self.denied.retain(|(denied, _)| *denied != source);
            let outlived =
                |life: &Source| life.host == source.host && life.incarnation < source.incarnation;
            self.sources.retain(|life, _| !outlived(life));
            let came = self.sources.get(&source).map_or(Seq(0), |known| known.came);
            if self.sources.len() < limits.sources || self.sources.contains_key(&source) {
                self.sources.insert(source, Known { held, came });
            }
        }
    }

    /// A fragment came from it.
    pub(super) fn came(&mut self, fragment: FragmentId) {
        if let Some(known) = self.sources.get_mut(&fragment.source) {
            known.came = known.came.max(fragment.seq);
        }
    }

    /// It answered what it was asked at `asked`.
    pub(super) fn answer(&mut self, now: Time, asked: Time, rtt: Duration) {
        // Behind another answer it took that long; alone it took the round trip too.
        let sample = if self.answered > asked {
            now.since(self.answered)
        } else {
            now.since(asked).saturating_sub(rtt)
        };
        let sum = self.pace.saturating_mul(7).saturating_add(sample.min(MAX_PACE));
        self.pace = sum.checked_div(8).unwrap_or(FIRST_PACE).max(MIN_PACE);
        self.answered = now;
        self.late = 0;
        let took = now.since(asked);
        self.takes = Some(match self.takes {
            None => (took, took.checked_div(2).unwrap_or_default()),
            Some((mean, spread)) => {
                let off = spread.saturating_mul(3).saturating_add(took.abs_diff(mean));
                let sum = mean.saturating_mul(7).saturating_add(took);
                (sum.checked_div(8).unwrap_or(mean), off.checked_div(4).unwrap_or(spread))
            }
        });
    }

    /// How long an answer may take, as RFC 6298 has it for acknowledgements; `None` if it has answered
    /// nothing so far.
    pub(super) fn usual(&self) -> Option<Duration> {
        self.takes.map(|(mean, spread)| mean.saturating_add(spread.saturating_mul(4)))
    }

    pub(super) fn deny(&mut self, source: Source, seq: Seq) {
        if self.denied.len() < MAX_ASKED {
            self.denied.insert((source, seq));
        }
    }

    pub(super) fn denies(&self, source: Source, seq: Seq) -> bool {
        self.denied.contains(&(source, seq))
    }

    pub(super) fn knows(&self, source: Source) -> bool {
        self.sources.contains_key(&source)
    }

    pub(super) fn claims(&self, source: Source, seq: Seq) -> bool {
        self.sources.get(&source).is_some_and(|known| known.covers(seq))
            && !self.denies(source, seq)
    }

    /// How many more fragments it may be asked for.
    pub(super) fn room(&self) -> usize {
        MAX_ASKED_OF_ONE.saturating_sub(self.asked)
    }
}

impl Known {
    fn covers(&self, seq: Seq) -> bool {
        let Held { low, next, missing, .. } = &self.held;
        let lacks = || missing.iter().any(|range| range.from <= seq && seq < range.to);
        let newer = *next <= seq && seq < self.came;
        newer || (*low <= seq && seq < *next && !lacks())
    }
}
