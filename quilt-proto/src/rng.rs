//! Seeded, forkable randomness.

use core::hash::Hasher;
use core::time::Duration;
use siphasher::sip::SipHasher13;

/// A repeatable stream of random numbers: SipHash-1-3 of a counter under a 128-bit key.
///
/// The same seed gives the same stream on every machine. Each part of a node draws from a stream
/// of its own, taken with [`Rng::fork`], so that one part's draws never shift another's.
/// Not for keys: whoever knows the seed knows the stream.
#[derive(Clone, Debug)]
pub struct Rng {
    key: (u64, u64),
    counter: u64,
}

impl Rng {
    /// The stream that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self { key: (seed, !seed), counter: 0 }
    }

    /// A stream of its own for the part called `label`; this one moves on by two numbers.
    pub fn fork(&mut self, label: &str) -> Self {
        let mut hasher = SipHasher13::new_with_keys(self.next_u64(), self.next_u64());
        hasher.write(label.as_bytes());
        let low = hasher.finish();
        hasher.write_u8(0xff);
        Self { key: (low, hasher.finish()), counter: 0 }
    }

    /// A number from the whole range of `u64`.
    pub fn next_u64(&mut self) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        hasher.write_u64(self.counter);
        self.counter = self.counter.wrapping_add(1);
        hasher.finish()
    }

    /// A number below `end`; 0 if `end` is 0. The bias is below `end` in 2^64.
    pub fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.next_u64()).wrapping_mul(u128::from(end));
        (wide >> 64) as u64
    }

    /// An index into a slice of `len` elements; 0 if it is empty.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A time span from `low` up to, but not including, `high`; `low` if `high` is not longer.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let width = u64::try_from(high.saturating_sub(low).as_nanos()).unwrap_or(u64::MAX);
        low.saturating_add(Duration::from_nanos(self.below(width)))
    }

    /// Puts `items` into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.index(last.saturating_add(1));
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn draw(mut rng: Rng, n: usize) -> Vec<u64> {
        (0..n).map(|_| rng.next_u64()).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_stream_and_another_seed_another() {
        assert_eq!(draw(Rng::new(7), 8), draw(Rng::new(7), 8));
        assert_ne!(draw(Rng::new(7), 8), draw(Rng::new(8), 8));
    }

    #[test]
    fn forks_differ_by_label_and_do_not_follow_their_parent() {
        let parent = Rng::new(7);
        let links = parent.clone().fork("links");
        let window = parent.clone().fork("window");
        assert_ne!(draw(links.clone(), 8), draw(window, 8));
        assert_ne!(draw(links, 8), draw(parent, 8));
    }

    #[test]
    fn below_stays_below_and_reaches_both_ends() {
        let mut rng = Rng::new(1);
        let drawn: Vec<u64> = (0..1_000).map(|_| rng.below(10)).collect();
        assert!(drawn.iter().all(|&n| n < 10));
        assert!((0..10).all(|n| drawn.contains(&n)));
        assert_eq!(rng.below(0), 0);
    }
}
