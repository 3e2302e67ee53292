//! An access link in one direction.

use quilt_proto::Time;
use std::time::Duration;

/// How much may wait in front of a link: what it carries in this time, and at least some packets.
const QUEUE_TIME: Duration = Duration::from_millis(100);
const LEAST_QUEUE_BYTES: u64 = 64 << 10;

/// An access link in one direction: bytes leave one after the other, and a finite queue stands in
/// front of it, whose end drops.
#[derive(Clone, Debug)]
pub struct Pipe {
    bits_per_second: Option<u64>,
    free_at: Time,
}

impl Pipe {
    /// A link of that many bits a second; `None` takes no time.
    pub fn new(bits_per_second: Option<u64>) -> Self {
        Self { bits_per_second, free_at: Time::ZERO }
    }

    /// When a packet that comes now is through; `None` if the queue is full.
    pub fn pass(&mut self, now: Time, bytes: usize) -> Option<Time> {
        let Some(rate) = self.bits_per_second else { return Some(now) };
        if self.free_at.since(now) > room(rate) {
            return None;
        }
        self.free_at = self.free_at.max(now) + time_for(bytes as u64, rate);
        Some(self.free_at)
    }

    /// How long a packet takes where nothing waits in front of it.
    pub fn time_for(&self, bytes: usize) -> Duration {
        self.bits_per_second.map_or(Duration::ZERO, |rate| time_for(bytes as u64, rate))
    }

    /// When a packet is through whose last bit would come now if nothing waited in front of it;
    /// `None` if the queue is full. Calls are in the order of their time.
    pub fn come_through(&mut self, now: Time, bytes: usize) -> Option<Time> {
        let Some(rate) = self.bits_per_second else { return Some(now) };
        let through = self.free_at + time_for(bytes as u64, rate);
        if through.since(now) > room(rate) {
            return None;
        }
        self.free_at = through.max(now);
        Some(self.free_at)
    }
}

/// How much may wait in front of a link, in time.
fn room(bits_per_second: u64) -> Duration {
    QUEUE_TIME.max(time_for(LEAST_QUEUE_BYTES, bits_per_second))
}

fn time_for(bytes: u64, bits_per_second: u64) -> Duration {
    let nanos = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(bits_per_second.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_leave_one_after_the_other_and_a_full_queue_drops() {
        let mut pipe = Pipe::new(Some(8_000_000));
        let start = Time::from_millis(5);
        assert_eq!(pipe.pass(start, 1_000), Some(Time::from_millis(6)));
        assert_eq!(pipe.pass(start, 1_000), Some(Time::from_millis(7)));
        let passed = (0..1_000).filter(|_| pipe.pass(start, 1_000).is_some()).count();
        assert!((98..=101).contains(&passed), "{passed}");
        assert_eq!(Pipe::new(None).pass(start, 1 << 20), Some(start));
    }

    #[test]
    fn what_comes_through_waits_only_for_what_came_before() {
        let mut pipe = Pipe::new(Some(8_000_000));
        assert_eq!(pipe.time_for(1_000), Duration::from_millis(1));
        let at = Time::from_millis;
        assert_eq!(pipe.come_through(at(5), 1_000), Some(at(5)), "nothing was in front of it");
        assert_eq!(pipe.come_through(at(5), 1_000), Some(at(6)));
        assert_eq!(pipe.come_through(at(9), 1_000), Some(at(9)), "idle again");
        let passed = (0..1_000).filter(|_| pipe.come_through(at(9), 1_000).is_some()).count();
        assert!((98..=101).contains(&passed), "{passed}");
        assert_eq!(Pipe::new(None).come_through(at(9), 1 << 20), Some(at(9)));
    }
}
