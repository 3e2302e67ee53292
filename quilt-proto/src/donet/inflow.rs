//! Which sources are pushed to a host, by whom, and by whose duplicates it prunes.

use crate::{HostId, Source, Time};
use alloc::collections::BTreeMap;
use core::time::Duration;

/// When something of each source was last pushed here that was new, and by whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Inflow {
    pushed: BTreeMap<Source, (Time, HostId)>,
}

impl Inflow {
    /// A source of which something was pushed within this time flows. Guess: a few round trips.
    const FLOWS: Duration = Duration::from_millis(500);
    /// What was pushed this long ago prunes nothing any more. Guess: the longer ways through a mesh.
    const UNDER_WAY: Duration = Duration::from_millis(300);
    /// The most sources that are remembered.
    const MAX_SOURCES: usize = 64;

    /// Something new of `source` was pushed here by `from`.
    pub(super) fn pushed(&mut self, now: Time, source: Source, from: HostId) {
        self.pushed.retain(|_, (at, _)| *at + Self::FLOWS > now);
        if self.pushed.len() < Self::MAX_SOURCES || self.pushed.contains_key(&source) {
            self.pushed.insert(source, (now, from));
        }
    }

    /// Whether what `source` publishes is pushed here.
    pub(super) fn flows(&self, now: Time, source: Source) -> bool {
        self.feeder(now, source).is_some()
    }

    /// Who pushes here what `source` publishes.
    pub(super) fn feeder(&self, now: Time, source: Source) -> Option<HostId> {
        let (at, from) = *self.pushed.get(&source)?;
        (at + Self::FLOWS > now).then_some(from)
    }

    /// Whether a duplicate of `source` cuts a link: of the sources of which something is under way,
    /// the first one by name alone does. A duplicate shows a ring of links, of which one may go;
    /// were two sources to cut the same ring at once in two places, what is between these would be
    /// cut off.
    pub(super) fn prunes(&self, now: Time, source: Source) -> bool {
        let under_way = |at: Time| at + Self::UNDER_WAY > now;
        let first = self.pushed.iter().find(|&(_, &(at, _))| under_way(at));
        first.is_none_or(|(&first, _)| source <= first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostTag, Incarnation};

    const HOST: HostId = HostId([9; 32]);

    fn source(n: u64) -> Source {
        Source { host: HostTag(n), incarnation: Incarnation(1) }
    }

    #[test]
    fn the_first_of_the_sources_that_are_pushed_here_prunes_and_no_other() {
        let mut inflow = Inflow::default();
        assert!(inflow.prunes(Time::ZERO, source(9)));
        inflow.pushed(Time::ZERO, source(3), HOST);
        inflow.pushed(Time::from_millis(200), source(5), HOST);
        let now = Time::from_millis(200);
        let prunes = [2, 3, 5].map(|n| inflow.prunes(now, source(n)));
        assert_eq!(prunes, [true, true, false]);
        let now = Time::from_millis(300);
        assert!(inflow.prunes(now, source(5)), "the other one is silent");
    }

    #[test]
    fn a_source_flows_for_a_while_and_no_more_are_remembered_than_may_be() {
        let mut inflow = Inflow::default();
        for n in 0..200 {
            inflow.pushed(Time::ZERO, source(n), HOST);
        }
        assert_eq!(inflow.pushed.len(), Inflow::MAX_SOURCES);
        assert!(inflow.flows(Time::from_millis(499), source(7)));
        assert!(!inflow.flows(Time::from_millis(500), source(7)));
    }
}
