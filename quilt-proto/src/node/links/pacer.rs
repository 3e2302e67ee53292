//! A token bucket.

use crate::Time;
use crate::wire::MAX_DATAGRAM_BYTES;
use core::time::Duration;

const DATAGRAM: u64 = MAX_DATAGRAM_BYTES as u64;

/// The most that leaves in one burst: 32 datagrams, which a receiver's socket takes at once.
const MAX_BURST: u64 = 32 * DATAGRAM;

/// A burst is what the rate earns in this time, where that is between one datagram and 32: a slow
/// sender's fragments follow each other evenly, so that none looks lost because it is late.
const BURST_TIME: Duration = Duration::from_millis(2);

/// A timer that fires late loses nothing up to this: loops sleep for a millisecond at least, in which
/// a fast sender earns more than one burst. The bursts then leave in several turns of the loop.
const LATENESS: Duration = Duration::from_millis(4);

/// Lets bytes pass at a rate, and at most a burst of 32 datagrams at once.
#[derive(Debug)]
pub(super) struct Pacer {
    ceiling: u64,
    bytes_per_second: u64,
    tokens: u64,
    /// Up to when what was earned is in the bucket.
    refilled: Time,
    scheduled: Option<Time>,
}

impl Pacer {
    pub(super) fn new(ceiling: u64) -> Self {
        let ceiling = ceiling.max(1);
        Self {
            ceiling,
            bytes_per_second: ceiling,
            tokens: burst(ceiling),
            refilled: Time::ZERO,
            scheduled: None,
        }
    }

    /// From now on lets so many bytes a second pass, and never more than the ceiling.
    pub(super) fn pace(&mut self, now: Time, bytes_per_second: u64) {
        self.refill(now);
        self.bytes_per_second = bytes_per_second.clamp(1, self.ceiling);
        self.tokens = self.tokens.min(burst(self.bytes_per_second));
    }

    pub(super) fn may_send(&self) -> bool {
        self.tokens >= DATAGRAM
    }

    pub(super) fn spend(&mut self, bytes: usize) {
        self.tokens = self.tokens.saturating_sub(bytes as u64);
    }

    pub(super) fn refill(&mut self, now: Time) {
        let room = burst(self.bytes_per_second).saturating_sub(self.tokens);
        let earned = earned(now.since(self.refilled), self.bytes_per_second);
        if earned <= room {
            if earned > 0 {
                self.tokens = self.tokens.saturating_add(earned);
                self.refilled = now;
            }
            return;
        }
        // What the bucket has no room for is earned again, up to a late timer's worth.
        self.tokens = self.tokens.saturating_add(room);
        let behind = now.since(self.refilled).saturating_sub(time_for(room, self.bytes_per_second));
        self.refilled =
            Time::from_nanos(now.as_nanos().saturating_sub(nanos(behind.min(LATENESS))));
    }

    /// When there will be room again, for half a burst; asked for while something waits.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let wanted = (burst(self.bytes_per_second) / 2).max(DATAGRAM);
        let missing = wanted.saturating_sub(self.tokens);
        (!self.may_send()).then(|| self.refilled + time_for(missing, self.bytes_per_second))
    }

    pub(super) fn scheduled_mut(&mut self) -> &mut Option<Time> {
        &mut self.scheduled
    }
}

fn burst(bytes_per_second: u64) -> u64 {
    earned(BURST_TIME, bytes_per_second).clamp(DATAGRAM, MAX_BURST)
}

fn earned(time: Duration, bytes_per_second: u64) -> u64 {
    let earned = time.as_nanos().saturating_mul(u128::from(bytes_per_second)) / 1_000_000_000;
    u64::try_from(earned).unwrap_or(u64::MAX)
}

/// How long it takes to earn so many bytes.
fn time_for(bytes: u64, bytes_per_second: u64) -> Duration {
    let nanos = bytes.saturating_mul(1_000_000_000).checked_div(bytes_per_second.max(1));
    Duration::from_nanos(nanos.unwrap_or(0).saturating_add(1))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(pacer: &mut Pacer) -> usize {
        let mut sent = 0;
        while pacer.may_send() {
            pacer.spend(1_200);
            sent += 1;
        }
        sent
    }

    /// What leaves in a second whose timers fire when asked for, but no finer than `grain`; the
    /// longest burst beside it.
    fn of_a_second(pacer: &mut Pacer, grain: Duration) -> (usize, usize) {
        let (mut now, mut sent, mut longest) = (Time::ZERO, 0, 0);
        while now < Time::from_millis(1_000) {
            pacer.refill(now);
            let burst = drain(pacer);
            sent += burst;
            longest = longest.max(burst);
            let next = pacer.next_deadline().expect("it ran dry");
            // A loop does not sleep for a time that has come.
            now = if next <= now { now } else { (now + grain).max(next) };
        }
        (sent, longest)
    }

    #[test]
    fn a_slow_pacer_is_woken_when_a_datagram_is_earned_and_not_before() {
        let mut pacer = Pacer::new(100);
        assert_eq!(drain(&mut pacer), 1);
        let at = pacer.next_deadline().expect("it ran dry");
        assert_eq!(at, Time::from_nanos(12_000_000_001));
        pacer.refill(at);
        assert!(pacer.may_send());
    }

    #[test]
    fn the_rate_passes_in_bursts_of_at_most_32_however_coarse_the_timer_is() {
        for rate in [1_200_000_u64, 25_000_000, 250_000_000] {
            for grain in [Duration::from_nanos(1), Duration::from_millis(1)] {
                let (sent, longest) = of_a_second(&mut Pacer::new(rate), grain);
                assert!(longest <= 32, "a burst of {longest}");
                let rate = rate as usize / 1_200;
                let fair = rate * 97 / 100..=rate + 32 + rate / 100;
                assert!(fair.contains(&sent), "{sent} of {rate} datagrams, grain {grain:?}");
            }
        }
    }

    #[test]
    fn no_pause_is_made_up_for_beyond_a_late_timer() {
        let mut pacer = Pacer::new(12_000_000);
        let start = Time::from_millis(60_000);
        let mut sent = 0;
        loop {
            pacer.refill(start);
            let burst = drain(&mut pacer);
            sent += burst;
            if burst == 0 {
                break;
            }
        }
        assert!((50..=65).contains(&sent), "{sent} at once after a minute's pause");
    }

    #[test]
    fn a_slower_pace_holds_at_once_and_the_ceiling_always() {
        let mut pacer = Pacer::new(1_200_000);
        pacer.pace(Time::ZERO, 120_000);
        let (sent, _) = of_a_second(&mut pacer, Duration::from_nanos(1));
        assert!((97..=105).contains(&sent), "{sent}");
        pacer.pace(Time::from_millis(1_000), u64::MAX);
        assert_eq!(pacer.bytes_per_second, 1_200_000);
    }
}
