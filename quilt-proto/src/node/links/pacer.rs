//! A token bucket.

use crate::Time;
use crate::wire::MAX_DATAGRAM_BYTES;
use core::time::Duration;

/// The most datagrams that leave in one burst (issue of the multicast plug-in: receivers' sockets
/// take that many at once).
const BURST_BYTES: u64 = 32 * MAX_DATAGRAM_BYTES as u64;

/// How long a sleep is worth: the bucket is looked at no more often.
const TICK: Duration = Duration::from_millis(1);

/// Lets bytes pass at a rate, and at most a burst of 32 datagrams at once.
#[derive(Debug)]
pub(super) struct Pacer {
    bytes_per_second: u64,
    tokens: u64,
    refilled: Time,
    scheduled: Option<Time>,
}

impl Pacer {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        let bytes_per_second = bytes_per_second.max(1);
        Self { bytes_per_second, tokens: BURST_BYTES, refilled: Time::ZERO, scheduled: None }
    }

    pub(super) fn may_send(&self) -> bool {
        self.tokens >= MAX_DATAGRAM_BYTES as u64
    }

    pub(super) fn spend(&mut self, bytes: usize) {
        self.tokens = self.tokens.saturating_sub(bytes as u64);
    }

    pub(super) fn refill(&mut self, now: Time) {
        let nanos = now.since(self.refilled).as_nanos();
        let earned = nanos.saturating_mul(u128::from(self.bytes_per_second)) / 1_000_000_000;
        let earned = u64::try_from(earned).unwrap_or(u64::MAX);
        if earned > 0 {
            self.tokens = self.tokens.saturating_add(earned).min(BURST_BYTES);
            self.refilled = now;
        }
    }

    /// When there will be room again; asked for while something waits.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        (!self.may_send()).then(|| self.refilled + TICK)
    }

    pub(super) fn scheduled_mut(&mut self) -> &mut Option<Time> {
        &mut self.scheduled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pacer_lets_its_rate_pass_and_never_more_than_a_burst_at_once() {
        let mut pacer = Pacer::new(1_200_000);
        let mut sent = 0;
        for milli in 0..=1_000 {
            pacer.refill(Time::from_millis(milli));
            let mut burst = 0;
            while pacer.may_send() {
                pacer.spend(1_200);
                burst += 1;
            }
            assert!(burst <= 32);
            sent += burst;
        }
        assert!((1_000..=1_032).contains(&sent), "{sent} datagrams of 1,200 bytes in a second");
    }
}
