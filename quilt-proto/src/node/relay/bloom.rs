//! A Bloom filter over the fragments of a source (paper, section 4.8; Bloom 1970).

use crate::{FragmentId, Source};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::hash::Hasher;
use siphasher::sip128::{Hasher128, SipHasher13};

/// Words of one generation: 4 KiB.
const WORDS: usize = 512;
/// Fragments that one generation takes in, 16 bits each.
const CAPACITY: u32 = 2_048;
/// Bits that a fragment sets. With these figures at most one fragment in 200 is mistaken.
const HASHES: u32 = 4;
/// The most sources that have a filter.
const MAX_SOURCES: usize = 64;

type Bits = Box<[u64; WORDS]>;

/// What has come, source by source, with mistakes: what it says has not come has not come, or long
/// ago.
#[derive(Debug, Default)]
pub(in crate::node) struct Blooms(BTreeMap<Source, Bloom>);

impl Blooms {
    /// Whether a fragment seems to have come before. From now on it has. Of further sources nothing
    /// seems to have come.
    pub(in crate::node) fn is_known(&mut self, fragment: FragmentId) -> bool {
        if self.0.len() >= MAX_SOURCES && !self.0.contains_key(&fragment.source) {
            return false;
        }
        self.0.entry(fragment.source).or_default().is_known(fragment)
    }
}

/// Two generations. The younger takes the older's place when it is full, that is as fast as the
/// source publishes; so a new one forgets nothing of what came last.
#[derive(Debug)]
struct Bloom {
    young: Bits,
    old: Bits,
    taken: u32,
}

impl Default for Bloom {
    fn default() -> Self {
        Self { young: empty(), old: empty(), taken: 0 }
    }
}

fn empty() -> Bits {
    Box::new([0; WORDS])
}

impl Bloom {
    fn is_known(&mut self, fragment: FragmentId) -> bool {
        let bits = bits(fragment);
        let known = [&self.young, &self.old].iter().any(|generation| {
            bits.iter().all(|&(word, bit)| generation.get(word).is_some_and(|word| word & bit != 0))
        });
        if self.taken >= CAPACITY {
            self.taken = 0;
            self.old = core::mem::replace(&mut self.young, empty());
        }
        self.taken = self.taken.saturating_add(1);
        for (word, bit) in bits {
            if let Some(word) = self.young.get_mut(word) {
                *word |= bit;
            }
        }
        known
    }
}

/// The places of a fragment, by double hashing (Kirsch and Mitzenmacher, 2006).
fn bits(fragment: FragmentId) -> [(usize, u64); HASHES as usize] {
    let mut hasher = SipHasher13::new_with_keys(0x7175_696c_7400_0000, 0x626c_6f6f_6d00_0000);
    hasher.write_u64(fragment.seq.0);
    hasher.write_u16(fragment.index);
    let hash = hasher.finish128();
    core::array::from_fn(|n| {
        let place = hash.h1.wrapping_add((n as u64).wrapping_mul(hash.h2 | 1));
        let word = (place >> 6) as usize % WORDS;
        (word, 1 << (place & 63))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostTag, Incarnation, Seq};

    fn fragment(host: u64, seq: u64) -> FragmentId {
        let source = Source { host: HostTag(host), incarnation: Incarnation(1) };
        FragmentId { source, seq: Seq(seq), index: 0 }
    }

    #[test]
    fn what_came_lately_is_known_and_few_others_are() {
        let mut blooms = Blooms::default();
        let mistaken = (0..100_000).filter(|&seq| blooms.is_known(fragment(1, seq))).count();
        assert!(mistaken < 100_000 / 200, "{mistaken}");
        let lately = 100_000 - u64::from(CAPACITY);
        assert!((lately..100_000).all(|seq| blooms.is_known(fragment(1, seq))));
        let others = (0..1_000).filter(|&seq| blooms.is_known(fragment(2, seq))).count();
        assert_eq!(others, 0, "each source has a filter of its own");
    }

    #[test]
    fn the_memory_is_bounded_and_sources_beyond_it_are_never_mistaken() {
        let mut blooms = Blooms::default();
        for host in 0..200 {
            assert!(!blooms.is_known(fragment(host, 1)));
        }
        assert_eq!(blooms.0.len(), MAX_SOURCES);
        assert!(blooms.is_known(fragment(0, 1)) && !blooms.is_known(fragment(199, 1)));
    }
}
