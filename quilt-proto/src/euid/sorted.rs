//! Maps of a few entries: many EUIDs are kept, and each has a handful of everything.

use alloc::vec::Vec;

/// A map whose entries lie one behind another, in the order of their keys. Finding an entry is a
/// search by halves, adding one moves those behind it: it is for a few entries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Sorted<K, V>(Vec<(K, V)>);

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> Sorted<K, V> {
    /// Room for so many entries, and not more.
    pub(super) fn with_capacity(entries: usize) -> Self {
        let mut all = Vec::new();
        all.reserve_exact(entries);
        Self(all)
    }

    fn find(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(key))
    }

    /// The value of `key`.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let at = self.find(key).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Enters `value`; where the key has one already, that one becomes what `merge` makes of both.
    pub(super) fn merge(&mut self, key: K, value: V, merge: impl FnOnce(&mut V, V)) {
        match self.find(&key) {
            Ok(at) => {
                if let Some((_, kept)) = self.0.get_mut(at) {
                    merge(kept, value);
                }
            }
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    /// Takes out an entry.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.find(key).ok()?;
        Some(self.0.remove(at).1)
    }

    /// Drops the entries with the greatest keys, so that at most `most` are left.
    pub(super) fn truncate(&mut self, most: usize) {
        self.0.truncate(most);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All entries, in the order of their keys.
    pub(super) fn iter(&self) -> core::slice::Iter<'_, (K, V)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_what_a_tree_would_be(steps in proptest::collection::vec((0u8..16, 0u8..4), 0..60)) {
            let (mut sorted, mut tree) = (Sorted::default(), BTreeMap::new());
            for (key, what) in steps {
                if what == 0 {
                    prop_assert_eq!(sorted.remove(&key), tree.remove(&key));
                } else {
                    sorted.merge(key, what, |kept, new| *kept = new.max(*kept));
                    tree.entry(key).and_modify(|kept| *kept = what.max(*kept)).or_insert(what);
                }
                prop_assert!(sorted.iter().map(|(key, value)| (key, value)).eq(&tree));
                prop_assert_eq!(sorted.get(&key), tree.get(&key));
                prop_assert_eq!((sorted.len(), sorted.is_empty()), (tree.len(), tree.is_empty()));
            }
            sorted.truncate(2);
            prop_assert!(sorted.iter().map(|(key, value)| (key, value)).eq(tree.iter().take(2)));
        }
    }
}
