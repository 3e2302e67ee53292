//! What goes wrong on the way.

use super::NicId;
use quilt_proto::{Rng, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const PER_MILLION: u64 = 1_000_000;

/// What goes wrong with packets between interfaces, each receiver and direction by itself. All
/// shares are parts of a million.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Lost at random.
    pub loss: u64,
    /// Lost in bursts.
    pub burst: Option<Burst>,
    /// Arriving twice.
    pub duplication: u64,
    /// With a bit turned over.
    pub corruption: u64,
    /// Of the datagrams with a bit turned over, those whose checksum does not tell; the others do
    /// not arrive. TCP's receivers always notice.
    pub unnoticed: u64,
    /// Held back, so that later ones overtake them.
    pub reordering: u64,
    /// For how long at most, exclusive.
    pub held_back: Duration,
    /// Everything is later by a time drawn up to this, exclusive.
    pub jitter: Duration,
    /// Sides of a partition: nothing passes from the first to the second.
    pub walls: BTreeSet<(u8, u8)>,
    bursting: BTreeMap<(NicId, NicId), Time>,
}

/// Loss in bursts (after Gilbert): now and then a way is shut for a while.
#[derive(Clone, Copy, Debug)]
pub struct Burst {
    /// The share of packets that find a burst beginning.
    pub begins: u64,
    /// How long it lasts at most, exclusive.
    pub lasts: Duration,
}

/// What becomes of one packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) lost: bool,
    pub(super) spoiled: bool,
    pub(super) unnoticed: bool,
    /// It arrives twice.
    pub(super) again: bool,
    pub(super) extra: Duration,
}

impl Faults {
    /// Whether nothing passes from one side to the other.
    pub(super) fn parts(&self, from: u8, to: u8) -> bool {
        self.walls.contains(&(from, to))
    }

    pub(super) fn draw(&mut self, now: Time, way: (NicId, NicId), rng: &mut Rng) -> Fate {
        let mut happens = |share: u64| share > 0 && rng.below(PER_MILLION) < share;
        let mut lost = happens(self.loss);
        let (again, spoiled) = (happens(self.duplication), happens(self.corruption));
        let unnoticed = spoiled && happens(self.unnoticed);
        let held_back = happens(self.reordering);
        if let Some(burst) = self.burst {
            if happens(burst.begins) {
                self.bursting.insert(way, now + rng.between(Duration::ZERO, burst.lasts));
            }
            lost |= self.bursting.get(&way).is_some_and(|&end| now < end);
        }
        let mut extra = Duration::ZERO;
        if held_back {
            extra += rng.between(Duration::ZERO, self.held_back);
        }
        if !self.jitter.is_zero() {
            extra += rng.between(Duration::ZERO, self.jitter);
        }
        Fate { lost, spoiled, unnoticed, again, extra }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAY: (NicId, NicId) = (NicId(0), NicId(1));

    #[test]
    fn shares_are_met_and_a_sound_network_harms_nothing() {
        let mut rng = Rng::new(1);
        let sound = Faults::default().draw(Time::ZERO, WAY, &mut rng);
        let (lost, spoiled, unnoticed, again, extra) = (false, false, false, false, Duration::ZERO);
        assert_eq!(sound, Fate { lost, spoiled, unnoticed, again, extra });
        let mut faults = Faults { loss: 100_000, duplication: 300_000, ..Faults::default() };
        let fates: Vec<Fate> =
            (0..10_000).map(|_| faults.draw(Time::ZERO, WAY, &mut rng)).collect();
        let lost = fates.iter().filter(|fate| fate.lost).count();
        let doubled = fates.iter().filter(|fate| fate.again).count();
        assert!((900..1_100).contains(&lost), "{lost}");
        assert!((2_800..3_200).contains(&doubled), "{doubled}");
    }

    #[test]
    fn a_burst_shuts_one_way_for_a_while() {
        let mut rng = Rng::new(2);
        let burst = Burst { begins: PER_MILLION, lasts: Duration::from_millis(50) };
        let mut faults = Faults { burst: Some(burst), ..Faults::default() };
        assert!(faults.draw(Time::ZERO, WAY, &mut rng).lost);
        faults.burst = Some(Burst { begins: 0, ..burst });
        assert!(!faults.draw(Time::from_millis(50), WAY, &mut rng).lost);
        assert!(!faults.draw(Time::ZERO, (NicId(1), NicId(0)), &mut rng).lost);
    }
}
