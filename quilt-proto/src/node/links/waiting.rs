//! Which fragments wait for one socket, to be found by their names.

use super::spares::Spares;
use crate::{FragmentId, GroupId, HostTag, Incarnation, Seq, Source};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

/// Within this distance of an end a queue is shifted. Of 65,536 fragments in no order each would
/// take 50 µs to come and go if they all were in a queue, and takes 2 µs in a tree.
const NEAR: usize = 64;

/// A set of fragments. Those of one source come, and go, nearly in order: they are a sorted queue,
/// in which both ends are at hand, and which takes no memory of its own for each of them. Whatever
/// the order, none costs more than the depth of a tree.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// None of the queues is empty.
    sources: BTreeMap<(GroupId, Source), Queue>,
    /// Those that came far from both ends of their queue, and are not in it.
    strays: BTreeSet<(GroupId, FragmentId)>,
    spares: Spares<Entry>,
    len: usize,
}

/// What waits of one source, by name. The first and the last entry do wait, and at least half of
/// all.
#[derive(Debug)]
struct Queue {
    entries: VecDeque<Entry>,
    gone: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    seq: Seq,
    index: u16,
    /// It did not go from between others.
    waits: bool,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn holds(&self, group: GroupId) -> bool {
        let source = Source { host: HostTag(0), incarnation: Incarnation(0) };
        let lowest = FragmentId { source, seq: Seq(0), index: 0 };
        let queue = self.sources.range((group, source)..).next().map(|((of, _), _)| *of);
        let stray = self.strays.range((group, lowest)..).next().map(|(of, _)| *of);
        [queue, stray].contains(&Some(group))
    }

    pub(super) fn contains(&self, group: GroupId, fragment: FragmentId) -> bool {
        let queue = self.sources.get(&(group, fragment.source));
        queue.is_some_and(|queue| queue.contains(fragment))
            || self.strays.contains(&(group, fragment))
    }

    /// Puts a fragment in; false if it was there.
    pub(super) fn insert(&mut self, group: GroupId, fragment: FragmentId) -> bool {
        if self.strays.contains(&(group, fragment)) {
            return false;
        }
        let queue = self.sources.entry((group, fragment.source));
        let spares = &mut self.spares;
        let queue = queue.or_insert_with(|| Queue { entries: spares.take(), gone: 0 });
        let new = match queue.find(fragment) {
            Ok(at) => queue.restore(at),
            Err(at) if queue.is_near(at) => queue.insert(at, fragment),
            Err(_) => self.strays.insert((group, fragment)),
        };
        self.len = self.len.saturating_add(usize::from(new));
        new
    }

    /// Takes a fragment out; false if it was not there.
    pub(super) fn remove(&mut self, group: GroupId, fragment: FragmentId) -> bool {
        let source = (group, fragment.source);
        let queue = self.sources.get_mut(&source);
        let emptied =
            queue.and_then(|queue| queue.remove(fragment).then_some(queue.entries.is_empty()));
        if emptied.is_none() && !self.strays.remove(&(group, fragment)) {
            return false;
        }
        self.len = self.len.saturating_sub(1);
        if emptied == Some(true) {
            let emptied = self.sources.remove(&source);
            emptied.into_iter().for_each(|queue| self.spares.put(queue.entries));
        }
        true
    }
}

impl Queue {
    /// Where the entry is, or would be.
    fn find(&self, fragment: FragmentId) -> Result<usize, usize> {
        let name = (fragment.seq, fragment.index);
        match (self.entries.front(), self.entries.back()) {
            (Some(first), _) if first.name() == name => Ok(0),
            (_, Some(last)) if last.name() < name => Err(self.entries.len()),
            _ => self.entries.binary_search_by_key(&name, Entry::name),
        }
    }

    fn contains(&self, fragment: FragmentId) -> bool {
        let entry = self.find(fragment).ok().and_then(|at| self.entries.get(at));
        entry.is_some_and(|entry| entry.waits)
    }

    fn is_near(&self, at: usize) -> bool {
        at.min(self.entries.len().saturating_sub(at)) <= NEAR
    }

    fn insert(&mut self, at: usize, fragment: FragmentId) -> bool {
        let FragmentId { seq, index, .. } = fragment;
        self.entries.insert(at, Entry { seq, index, waits: true });
        true
    }

    /// Has an entry wait; false if it did.
    fn restore(&mut self, at: usize) -> bool {
        let gone = self.entries.get_mut(at).filter(|entry| !entry.waits);
        let Some(entry) = gone else { return false };
        entry.waits = true;
        self.gone = self.gone.saturating_sub(1);
        true
    }

    /// Takes a fragment out; false if it was not there.
    fn remove(&mut self, fragment: FragmentId) -> bool {
        let Ok(at) = self.find(fragment) else { return false };
        let is_near = self.is_near(at);
        let Some(entry) = self.entries.get_mut(at).filter(|entry| entry.waits) else {
            return false;
        };
        if is_near {
            self.entries.remove(at);
        } else {
            entry.waits = false;
            self.gone = self.gone.saturating_add(1);
        }
        self.tidy();
        true
    }

    fn tidy(&mut self) {
        let before = self.entries.len();
        while self.entries.front().is_some_and(|first| !first.waits) {
            self.entries.pop_front();
        }
        while self.entries.back().is_some_and(|last| !last.waits) {
            self.entries.pop_back();
        }
        self.gone = self.gone.saturating_sub(before.saturating_sub(self.entries.len()));
        // As many have gone since the last time as are looked at.
        if self.gone > self.entries.len() / 2 {
            self.entries.retain(|entry| entry.waits);
            self.gone = 0;
        }
    }
}

impl Entry {
    fn name(&self) -> (Seq, u16) {
        (self.seq, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn fragment(host: u64, seq: u64, index: u16) -> FragmentId {
        let source = Source { host: HostTag(host), incarnation: Incarnation(1) };
        FragmentId { source, seq: Seq(seq), index }
    }

    proptest! {
        /// Often enough with more than fit near the ends of a queue.
        #[test]
        fn it_is_a_set(
            ops in prop::collection::vec((0..4_u8, 0..2_u64, 0..2_u64, 0..12_u64, 0..3_u16), 0..300),
            seqs in prop::collection::vec((0..5_u8, 0..400_u64), 0..1_500),
        ) {
            let (mut waiting, mut naive) = (Waiting::default(), BTreeSet::new());
            let many = seqs.into_iter().map(|(op, seq)| (op, 0, 0, seq, 0));
            for (op, group, host, seq, index) in ops.into_iter().chain(many) {
                let (group, fragment) = (GroupId(group), fragment(host, seq, index));
                let name = (group, fragment);
                match op {
                    0 => prop_assert_eq!(waiting.remove(group, fragment), naive.remove(&name)),
                    1 => prop_assert_eq!(waiting.contains(group, fragment), naive.contains(&name)),
                    _ => prop_assert_eq!(waiting.insert(group, fragment), naive.insert(name)),
                }
                prop_assert_eq!(waiting.len(), naive.len());
                for group in [GroupId(0), GroupId(1)] {
                    let holds = naive.iter().any(|(of, _)| *of == group);
                    prop_assert_eq!(waiting.holds(group), holds);
                }
                for queue in waiting.sources.values() {
                    let ends = [queue.entries.front(), queue.entries.back()];
                    prop_assert!(ends.into_iter().all(|end| end.is_some_and(|end| end.waits)));
                    let gone = queue.entries.iter().filter(|entry| !entry.waits).count();
                    prop_assert!(gone == queue.gone && gone <= queue.entries.len() / 2);
                }
            }
            let left: Vec<_> = naive.into_iter().collect();
            prop_assert!(left.into_iter().all(|(group, fragment)| waiting.remove(group, fragment)));
            prop_assert!(waiting.sources.is_empty() && waiting.strays.is_empty());
        }
    }

    /// A queue that is short, or whose middle is never shifted, costs little.
    #[test]
    fn a_source_without_order_fills_the_tree_and_one_in_order_leaves_it_empty() {
        const COUNT: u64 = 65_536;
        let (mut waiting, group) = (Waiting::default(), GroupId(1));
        for seq in 0..COUNT {
            assert!(waiting.insert(group, fragment(1, seq, 0)));
        }
        assert!(waiting.strays.is_empty());
        // An odd factor goes through all of them.
        let shuffled = |at: u64| at.wrapping_mul(40_503) % COUNT;
        for at in 0..COUNT {
            assert!(waiting.insert(group, fragment(2, shuffled(at), 0)));
        }
        let queue = |host| &waiting.sources[&(group, fragment(host, 0, 0).source)].entries;
        assert_eq!(queue(1).len() as u64, COUNT);
        assert!(queue(2).len() < 2_000, "{} are in the queue", queue(2).len());
        for at in 0..COUNT {
            assert!(waiting.remove(group, fragment(1, shuffled(at), 0)));
            assert!(waiting.remove(group, fragment(2, at, 0)));
        }
        assert_eq!((waiting.len(), waiting.holds(group)), (0, false));
    }
}
