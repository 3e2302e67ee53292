//! Which fragments wait for one socket, to be found by their names.

use super::spares::Spares;
use crate::{FragmentId, GroupId, HostTag, Incarnation, Seq, Source};
use alloc::collections::{BTreeMap, VecDeque};

/// A set of fragments. Those of one source come, and go, nearly in order: they are a sorted queue,
/// in which both ends are at hand, and which takes no memory of its own for each of them.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// None of the queues is empty.
    sources: BTreeMap<(GroupId, Source), VecDeque<(Seq, u16)>>,
    spares: Spares<(Seq, u16)>,
    len: usize,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn holds(&self, group: GroupId) -> bool {
        let lowest = Source { host: HostTag(0), incarnation: Incarnation(0) };
        let next = self.sources.range((group, lowest)..).next();
        next.is_some_and(|((of, _), _)| *of == group)
    }

    pub(super) fn contains(&self, group: GroupId, fragment: FragmentId) -> bool {
        let queue = self.sources.get(&(group, fragment.source));
        queue.is_some_and(|queue| find(queue, fragment).is_ok())
    }

    /// Puts a fragment in; false if it was there.
    pub(super) fn insert(&mut self, group: GroupId, fragment: FragmentId) -> bool {
        let queue = self.sources.entry((group, fragment.source));
        let queue = queue.or_insert_with(|| self.spares.take());
        let Err(at) = find(queue, fragment) else { return false };
        queue.insert(at, (fragment.seq, fragment.index));
        self.len = self.len.saturating_add(1);
        true
    }

    /// Takes a fragment out; false if it was not there.
    pub(super) fn remove(&mut self, group: GroupId, fragment: FragmentId) -> bool {
        let Some(queue) = self.sources.get_mut(&(group, fragment.source)) else { return false };
        let Ok(at) = find(queue, fragment) else { return false };
        queue.remove(at);
        self.len = self.len.saturating_sub(1);
        if queue.is_empty() {
            let emptied = self.sources.remove(&(group, fragment.source));
            emptied.into_iter().for_each(|queue| self.spares.put(queue));
        }
        true
    }
}

/// Where in the queue the fragment is, or would be.
fn find(queue: &VecDeque<(Seq, u16)>, fragment: FragmentId) -> Result<usize, usize> {
    let name = (fragment.seq, fragment.index);
    match (queue.front(), queue.back()) {
        (Some(first), _) if *first == name => Ok(0),
        (_, Some(last)) if *last < name => Err(queue.len()),
        _ => queue.binary_search(&name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_set(
            ops in prop::collection::vec((0..4_u8, 0..2_u64, 0..2_u64, 0..12_u64, 0..3_u16), 0..300),
        ) {
            let (mut waiting, mut naive) = (Waiting::default(), BTreeSet::new());
            for (op, group, host, seq, index) in ops {
                let group = GroupId(group);
                let source = Source { host: HostTag(host), incarnation: Incarnation(1) };
                let fragment = FragmentId { source, seq: Seq(seq), index };
                let name = (group, fragment);
                match op {
                    0 => prop_assert_eq!(waiting.remove(group, fragment), naive.remove(&name)),
                    1 => prop_assert_eq!(waiting.contains(group, fragment), naive.contains(&name)),
                    _ => prop_assert_eq!(waiting.insert(group, fragment), naive.insert(name)),
                }
                prop_assert_eq!(waiting.len(), naive.len());
                let holds = naive.iter().any(|(of, _)| *of == group);
                prop_assert_eq!(waiting.holds(group), holds);
            }
        }
    }
}
