//! What was noted lately.

use alloc::collections::{BTreeMap, VecDeque};

/// Notes by key, at most so many: the one that was made first gives way to another. No call looks
/// through all of them, so that a flood of requests costs no more than each of them by itself.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    notes: BTreeMap<K, V>,
    /// The keys of `notes`, in the order in which these were made.
    order: VecDeque<K>,
    max: usize,
}

impl<K: Copy + Ord, V> Recent<K, V> {
    pub(super) fn new(max: usize) -> Self {
        Self { notes: BTreeMap::new(), order: VecDeque::new(), max }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.notes.get(key)
    }

    /// The note of a key, made if there is none.
    pub(super) fn note(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        if !self.notes.contains_key(&key) {
            self.order.push_back(key);
            if self.order.len() > self.max {
                let first = self.order.pop_front();
                first.and_then(|first| self.notes.remove(&first));
            }
        }
        self.notes.entry(key).or_insert_with(make)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.notes.len().max(self.order.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_that_was_made_first_gives_way() {
        let mut recent = Recent::new(3);
        for key in [1, 2, 3, 1, 4, 4] {
            *recent.note(key, || 0) += 1;
        }
        assert_eq!(
            [1, 2, 3, 4].map(|key| recent.get(&key).copied()),
            [None, Some(1), Some(1), Some(2)]
        );
        (0..100).for_each(|key| *recent.note(key, || 0) += 1);
        assert_eq!(recent.len(), 3);
    }
}
