//! A token bucket.

use crate::Time;
use crate::wire::MAX_DATAGRAM_BYTES;
use core::time::Duration;

/// The most that leaves in one burst: 32 datagrams, which a receiver's socket takes at once.
const BURST_BYTES: u64 = 32 * MAX_DATAGRAM_BYTES as u64;

/// How long a sleep is worth: the bucket is looked at no more often.
const TICK: Duration = Duration::from_millis(1);

/// Loss is reacted to at most once in this time: reports of one loss come from many receivers.
const REACTION: Duration = Duration::from_millis(50);
/// The rate never falls below this part of the ceiling.
const FLOOR: u64 = 64;

/// Lets bytes pass at a rate, and at most a burst of 32 datagrams at once. The rate falls by a
/// quarter where receivers report loss, and comes back by a hundredth of the ceiling in the same
/// time without any (RFC 8085, section 4.1, asks for such a reaction; the figures are a `Guess:`).
#[derive(Debug)]
pub(super) struct Pacer {
    ceiling: u64,
    bytes_per_second: u64,
    reacted: Time,
    tokens: u64,
    refilled: Time,
    scheduled: Option<Time>,
}

impl Pacer {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        let bytes_per_second = bytes_per_second.max(1);
        Self {
            ceiling: bytes_per_second,
            bytes_per_second,
            reacted: Time::ZERO,
            tokens: BURST_BYTES,
            refilled: Time::ZERO,
            scheduled: None,
        }
    }

    /// A receiver reported a loss.
    pub(super) fn on_loss(&mut self, now: Time) {
        if now.since(self.reacted) >= REACTION {
            self.reacted = now;
            let slower = self.bytes_per_second.saturating_sub(self.bytes_per_second.div_ceil(4));
            self.bytes_per_second = slower.max(self.ceiling.div_ceil(FLOOR));
        }
    }

    pub(super) fn may_send(&self) -> bool {
        self.tokens >= MAX_DATAGRAM_BYTES as u64
    }

    pub(super) fn spend(&mut self, bytes: usize) {
        self.tokens = self.tokens.saturating_sub(bytes as u64);
    }

    pub(super) fn refill(&mut self, now: Time) {
        if self.bytes_per_second < self.ceiling && now.since(self.reacted) >= REACTION {
            self.reacted = now;
            let faster = self.bytes_per_second.saturating_add(self.ceiling.div_ceil(100));
            self.bytes_per_second = faster.min(self.ceiling);
        }
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
        let missing = (MAX_DATAGRAM_BYTES as u64).saturating_sub(self.tokens);
        let nanos = missing.saturating_mul(1_000_000_000).div_ceil(self.bytes_per_second);
        (missing > 0).then(|| self.refilled + TICK.max(Duration::from_nanos(nanos)))
    }

    pub(super) fn scheduled_mut(&mut self) -> &mut Option<Time> {
        &mut self.scheduled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_pacer_is_woken_when_a_datagram_is_earned_and_not_before() {
        let mut pacer = Pacer::new(100);
        while pacer.may_send() {
            pacer.spend(1_200);
        }
        let at = pacer.next_deadline().expect("it ran dry");
        assert_eq!(at, Time::from_millis(12_000));
        pacer.refill(at);
        assert!(pacer.may_send());
    }

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
