//! What hosts have and how much they do: S7, S8, S11 and S13.

use super::{Invariant, Violations};
use quilt_proto::{Counter, Counters, Limits, PatchId, Time, Usage};
use std::collections::BTreeMap;
use std::time::Duration;

/// One liveness interval: three beats of a stream in use and a second of grace. After it a host
/// has noticed that its parent is gone.
pub const LIVENESS: Duration = Duration::from_millis(1_300);
/// The most actions that one call may have as its consequence for each link that there may be: it
/// is dialled, looked at, and closed.
pub const ACTIONS_PER_LINK: usize = 4;
/// The most times that a host may be woken in one virtual millisecond, in which nothing else
/// happened to it.
pub const WAKES_PER_MS: u32 = 1_000;

/// How many packets a machine has counted as received or as dropped whole. A datagram raises it by
/// one (S13).
pub fn accounted(counters: &Counters) -> u64 {
    use Counter::{DroppedSuite, DroppedTruncated, DroppedVersion, PacketsReceived};
    let counted = [PacketsReceived, DroppedTruncated, DroppedVersion, DroppedSuite];
    counted.into_iter().map(|counter| counters.get(counter)).sum()
}

/// Checks how much hosts do, call by call.
#[derive(Debug, Default)]
pub struct Work {
    /// By host: the millisecond in which it was woken last, and how often in a row.
    wakes: Vec<(u64, u32)>,
    violations: Violations,
}

impl Work {
    /// What one call of a host has as its consequence so far: whether it may have more.
    pub fn goes_on(
        &mut self,
        now: Time,
        host: usize,
        what: &str,
        done: usize,
        most: usize,
    ) -> bool {
        if done <= most {
            return true;
        }
        let what = format!("host {host} had more than {most} {what} for one call");
        self.violations.add(Invariant::S11, now, what);
        false
    }

    /// A host is woken because it asked for it.
    pub fn woken(&mut self, now: Time, host: usize) {
        if self.wakes.len() <= host {
            self.wakes.resize(host + 1, (0, 0));
        }
        let ms = now.as_nanos() / 1_000_000;
        let (last, count) = &mut self.wakes[host];
        *count = if *last == ms { *count + 1 } else { 1 };
        *last = ms;
        if *count == WAKES_PER_MS + 1 {
            let what = format!("host {host} asked to be woken {count} times in a millisecond");
            self.violations.add(Invariant::S11, now, what);
        }
    }

    /// Something else happened to a host.
    pub fn called(&mut self, host: usize) {
        if let Some(wakes) = self.wakes.get_mut(host) {
            wakes.1 = 0;
        }
    }

    /// A datagram came to a host, whose counters said `before` and now say `after`.
    pub fn counted(&mut self, now: Time, host: usize, before: u64, after: u64) {
        if after != before + 1 {
            let what = format!("host {host} did not count a datagram once");
            self.violations.add(Invariant::S13, now, what);
        }
    }

    pub(crate) fn violations_mut(&mut self) -> &mut Violations {
        &mut self.violations
    }
}

/// A host has more than its limits allow (S8).
pub fn sizes(now: Time, host: usize, usage: &Usage, limits: &Limits, to: &mut Violations) {
    if let Some((what, used, limit)) = usage.beyond(limits) {
        let what = format!("host {host} has {used} {what} where {limit} are allowed");
        to.add(Invariant::S8, now, what);
    }
}

/// Watches for cycles of parents (S7).
#[derive(Debug, Default)]
pub struct Forest {
    /// Cycles by their patch and their hosts, the least one first, and since when they are there.
    cycles: BTreeMap<(PatchId, Vec<usize>), Time>,
}

impl Forest {
    /// Takes note of who is above whom now: patch, host, and its parent. Each host has at most one
    /// parent in a patch.
    pub fn look(
        &mut self,
        now: Time,
        edges: impl IntoIterator<Item = (PatchId, usize, usize)>,
        to: &mut Violations,
    ) {
        let mut patches: BTreeMap<PatchId, BTreeMap<usize, usize>> = BTreeMap::new();
        for (patch, host, parent) in edges {
            patches.entry(patch).or_default().insert(host, parent);
        }
        let mut found = BTreeMap::new();
        for (patch, parents) in patches {
            for cycle in cycles(&parents) {
                let of = (patch, cycle);
                let since = self.cycles.remove(&of).unwrap_or(now);
                if now.since(since) > LIVENESS {
                    let what = format!("in {patch} hosts {:?} are above each other", of.1);
                    to.add(Invariant::S7, now, what);
                }
                found.insert(of, since);
            }
        }
        self.cycles = found;
    }
}

/// The cycles among hosts and their parents, each from its least host on, upwards.
pub(super) fn cycles(parents: &BTreeMap<usize, usize>) -> Vec<Vec<usize>> {
    let mut found = Vec::new();
    // Whom a walk upwards has met already, and in which walk.
    let mut met: BTreeMap<usize, usize> = BTreeMap::new();
    for &start in parents.keys() {
        let mut at = start;
        while !met.contains_key(&at) {
            met.insert(at, start);
            match parents.get(&at) {
                Some(&parent) => at = parent,
                None => break,
            }
        }
        if met.get(&at) == Some(&start) && parents.contains_key(&at) {
            let above = |host: &usize| parents.get(host).copied().filter(|&parent| parent != at);
            let mut cycle: Vec<usize> = std::iter::successors(Some(at), above).collect();
            let least = (0..cycle.len()).min_by_key(|&index| cycle[index]).unwrap_or(0);
            cycle.rotate_left(least);
            found.push(cycle);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: PatchId = PatchId(1);

    #[test]
    fn a_cycle_that_outlives_a_liveness_interval_is_noticed_and_a_passing_one_is_not() {
        let cycle = [(PATCH, 1, 2), (PATCH, 2, 3), (PATCH, 3, 1), (PATCH, 4, 1)];
        let (mut forest, mut violations) = (Forest::default(), Violations::default());
        forest.look(Time::ZERO, cycle, &mut violations);
        forest.look(Time::from_millis(1_300), cycle, &mut violations);
        assert_eq!(violations.names(), []);
        forest.look(Time::from_millis(1_301), cycle, &mut violations);
        assert_eq!(violations.names(), [Invariant::S7]);
        assert!(violations.all()[0].what.contains("[1, 2, 3]"), "{violations:?}");
        forest.look(Time::from_millis(1_400), [(PATCH, 1, 2)], &mut violations);
        forest.look(Time::from_millis(1_500), cycle, &mut violations);
        forest.look(Time::from_millis(2_600), cycle, &mut violations);
        assert_eq!(violations.names().len(), 1, "it is another one");
    }

    #[test]
    fn edges_of_two_patches_make_no_cycle() {
        let edges = [(PATCH, 1, 2), (PatchId(2), 2, 1)];
        let (mut forest, mut violations) = (Forest::default(), Violations::default());
        forest.look(Time::ZERO, edges, &mut violations);
        forest.look(Time::from_millis(9_000), edges, &mut violations);
        assert_eq!(violations.names(), []);
    }

    #[test]
    fn every_cycle_is_found_once_and_trees_are_none() {
        let parents = [(1, 2), (2, 1), (3, 1), (5, 6), (6, 7), (8, 8)].into();
        assert_eq!(cycles(&parents), [vec![1, 2], vec![8]]);
    }

    #[test]
    fn what_is_beyond_a_limit_is_noticed() {
        let (limits, mut violations) = (Limits::default(), Violations::default());
        let usage = Usage { links: limits.links, ..Usage::default() };
        sizes(Time::ZERO, 3, &usage, &limits, &mut violations);
        assert_eq!(violations.names(), []);
        let usage = Usage { links: limits.links + 1, ..Usage::default() };
        sizes(Time::ZERO, 3, &usage, &limits, &mut violations);
        assert_eq!(violations.names(), [Invariant::S8]);
    }

    #[test]
    fn a_host_that_does_more_than_it_may_for_one_call_is_stopped() {
        let mut work = Work::default();
        assert!(work.goes_on(Time::ZERO, 3, "actions", 10, 10));
        assert!(!work.goes_on(Time::ZERO, 3, "actions", 11, 10));
        assert_eq!(work.violations.names(), [Invariant::S11]);
    }

    #[test]
    fn a_host_that_never_comes_to_rest_is_noticed_once() {
        let mut work = Work::default();
        for _ in 0..2 {
            (0..WAKES_PER_MS).for_each(|_| work.woken(Time::from_millis(5), 3));
            work.called(3);
        }
        assert_eq!(work.violations.names(), [], "something happened meanwhile");
        (0..5_000).for_each(|_| work.woken(Time::from_millis(5), 3));
        assert_eq!(work.violations.names(), [Invariant::S11]);
        (0..5_000).for_each(|ms| work.woken(Time::from_millis(6 + ms), 3));
        assert_eq!(work.violations.names(), [Invariant::S11], "that is slow enough");
    }

    #[test]
    fn a_datagram_that_is_counted_twice_or_not_at_all_is_noticed() {
        let mut work = Work::default();
        work.counted(Time::ZERO, 3, 7, 8);
        assert_eq!(work.violations.names(), []);
        work.counted(Time::ZERO, 3, 8, 8);
        work.counted(Time::ZERO, 3, 8, 10);
        assert_eq!(work.violations.names(), [Invariant::S13; 2]);
    }
}
