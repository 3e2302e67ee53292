//! How eager a host still is to change the tree: less with every change, so that many hosts that
//! improve the tree at once come to an end, whatever noise there is in what they measure.

use crate::Time;
use core::time::Duration;

/// After so many changes the next one must be worth twice as much, and comes half as soon. Guess.
const STEP: u32 = 3;
/// The most doublings: nothing is worth so much, so that no host changes the tree for ever.
const MAX_DOUBLINGS: u32 = 10;
/// A host that has changed nothing for so long is as eager as at first. Guess: by then the tree has
/// settled, and what happens is new.
const RECOVERY: Duration = Duration::from_secs(30);

/// How many changes a host has made lately.
#[derive(Debug, Default)]
pub(super) struct Zeal {
    changes: u32,
    last: Time,
}

impl Zeal {
    /// Notes a change.
    pub(super) fn spend(&mut self, now: Time) {
        self.recover(now);
        self.changes = self.changes.saturating_add(1);
        self.last = now;
    }

    /// Whether there was one change at most, which is how a host comes into the tree.
    pub(super) fn is_new(&self) -> bool {
        self.changes <= 1
    }

    /// Forgets the changes of long ago.
    pub(super) fn recover(&mut self, now: Time) {
        if now.since(self.last) >= RECOVERY {
            self.changes = 0;
        }
    }

    /// By what the least gain and the pauses are multiplied; a power of two.
    pub(super) fn factor(&self) -> u32 {
        let doublings = self.changes.checked_div(STEP).unwrap_or(0).min(MAX_DOUBLINGS);
        1_u32.wrapping_shl(doublings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeal_falls_with_every_change_to_a_bound_and_comes_back_after_rest() {
        let mut zeal = Zeal::default();
        let mut factors = alloc::vec::Vec::new();
        for change in 0..30 {
            assert_eq!(zeal.is_new(), change < 2);
            factors.push(zeal.factor());
            zeal.spend(Time::from_millis(5));
        }
        assert_eq!(factors[..7], [1, 1, 1, 2, 2, 2, 4]);
        assert_eq!(zeal.factor(), 1_024);
        zeal.recover(Time::from_millis(30_004));
        assert_eq!(zeal.factor(), 1_024);
        zeal.recover(Time::from_millis(30_005));
        assert_eq!(zeal.factor(), 1);
    }
}
