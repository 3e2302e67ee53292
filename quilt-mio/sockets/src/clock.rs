//! The system's clock in the core's terms, and how long an adapter waits by it.

use quilt_proto::Time;
use std::time::{Duration, Instant};

/// How long to leave a listener alone that fails to accept: out of descriptors, mostly, and those
/// who wait keep waiting until some are free.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long the last packets of a host that leaves may take to be written. Whoever does not take
/// them in time goes without.
pub const FAREWELL: Duration = Duration::from_secs(1);

/// Where a machine's time starts.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts now, at [`Time::ZERO`].
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// The time by this clock.
    pub fn now(&self) -> Time {
        let nanos = self.start.elapsed().as_nanos();
        Time::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// When it is `time` by this clock; `None` if the system cannot tell so late a time.
    pub fn instant(&self, time: Time) -> Option<Instant> {
        self.start.checked_add(time.since(Time::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_instants_agree() {
        let clock = Clock::start();
        let before = Instant::now();
        let now = clock.now();
        let instant = clock.instant(now).unwrap();
        assert!(instant >= before && instant <= Instant::now());
        let later = clock.instant(now + Duration::from_secs(1)).unwrap();
        assert_eq!(later - instant, Duration::from_secs(1));
    }
}
