//! What is given to those that ask, and how much of it.

use super::recent::Recent;
use crate::protocol::Timers;
use crate::wire::MAX_DATAGRAM_BYTES;
use crate::{FragmentId, HostTag, Time};
use alloc::collections::BTreeMap;
use core::time::Duration;

/// What was given to all is not given again for at least so long: requests cross answers.
pub(super) const REPEAT: Duration = Duration::from_millis(3);
/// The most fragments that are remembered, and the most that wait.
const MAX_FRAGMENTS: usize = 1_024;
/// Repairs are at most this part of what may be sent.
const SHARE: u64 = 4;
/// Of that, at most half goes to one host within this time.
const TURN: Duration = Duration::from_millis(100);
const DATAGRAM: u64 = MAX_DATAGRAM_BYTES as u64;
const BURST: u64 = 32 * DATAGRAM;
/// The most hosts whose share is told apart; all others have one in common.
const MAX_HOSTS: usize = 256;

/// What this host gives.
#[derive(Debug)]
pub(super) struct Answer {
    /// What was given to all lately, here or by another.
    given: Recent<FragmentId, Time>,
    /// What is given to all, unless another does so first.
    pending: Timers<FragmentId>,
    /// The most that is sent at all, in bytes a second.
    ceiling: u64,
    allowance: Allowance,
}

impl Answer {
    /// `bytes_per_second` is the ceiling of all that is sent.
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self {
            given: Recent::new(MAX_FRAGMENTS),
            pending: Timers::default(),
            ceiling: bytes_per_second,
            allowance: Allowance::new(bytes_per_second / SHARE),
        }
    }

    /// Whether one fragment may be given to `host` now.
    pub(super) fn may_give(&mut self, now: Time, host: HostTag) -> bool {
        self.allowance.take(now, host)
    }

    /// Whether a fragment was given to all within `time`.
    pub(super) fn is_given(&self, now: Time, fragment: FragmentId, time: Duration) -> bool {
        self.given.get(&fragment).is_some_and(|&at| now.since(at) < time)
    }

    /// All that is sent has this ceiling from now on. Of what repairs may take half is left to them in
    /// any case: where a fifth is lost at random, slower repairs lose the race.
    pub(super) fn pace(&mut self, bytes_per_second: u64) {
        let least = self.ceiling / (2 * SHARE);
        self.allowance.bytes_per_second = least.max(bytes_per_second / SHARE);
    }

    /// A fragment was given to all, by this host or, if `elsewhere`, by another one: what others
    /// give counts as well, so that all together stay within their part.
    pub(super) fn on_given(&mut self, now: Time, fragment: FragmentId, elsewhere: bool) {
        if elsewhere {
            self.allowance.refill(now);
            self.allowance.tokens = self.allowance.tokens.saturating_sub(DATAGRAM);
        }
        self.pending.stop(fragment);
        *self.given.note(fragment, || now) = now;
    }

    /// Gives a fragment to all at `due`, unless another does so first.
    pub(super) fn plan(&mut self, fragment: FragmentId, due: Time) {
        if self.pending.len() < MAX_FRAGMENTS && self.pending.deadline(fragment).is_none() {
            self.pending.set(fragment, due);
        }
    }

    /// A fragment whose time has come.
    pub(super) fn take_due(&mut self, now: Time) -> Option<FragmentId> {
        self.pending.pop(now)
    }

    /// When the next one's time comes.
    pub(super) fn next(&self) -> Option<Time> {
        self.pending.next()
    }
}

/// A token bucket, of which no host takes more than half.
#[derive(Debug)]
struct Allowance {
    bytes_per_second: u64,
    tokens: u64,
    refilled: Time,
    turn: Time,
    taken: BTreeMap<HostTag, u64>,
}

impl Allowance {
    fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second,
            tokens: BURST,
            refilled: Time::ZERO,
            turn: Time::ZERO,
            taken: BTreeMap::new(),
        }
    }

    fn take(&mut self, now: Time, host: HostTag) -> bool {
        self.refill(now);
        if now.since(self.turn) >= TURN {
            self.turn = now;
            self.taken.clear();
        }
        let full = self.taken.len() >= MAX_HOSTS && !self.taken.contains_key(&host);
        let taken = self.taken.entry(if full { HostTag(0) } else { host }).or_default();
        let share = (earned(TURN, self.bytes_per_second) / 2).max(BURST / 2);
        if self.tokens < DATAGRAM || taken.saturating_add(DATAGRAM) > share {
            return false;
        }
        *taken = taken.saturating_add(DATAGRAM);
        self.tokens = self.tokens.saturating_sub(DATAGRAM);
        true
    }

    fn refill(&mut self, now: Time) {
        let earned = earned(now.since(self.refilled), self.bytes_per_second);
        if earned > 0 {
            self.tokens = self.tokens.saturating_add(earned).min(BURST);
            self.refilled = now;
        }
    }
}

fn earned(time: Duration, bytes_per_second: u64) -> u64 {
    let earned = time.as_nanos().saturating_mul(u128::from(bytes_per_second)) / 1_000_000_000;
    u64::try_from(earned).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Incarnation, Seq, Source};

    fn fragment(seq: u64) -> FragmentId {
        let source = Source { host: HostTag(9), incarnation: Incarnation(1) };
        FragmentId { source, seq: Seq(seq), index: 0 }
    }

    #[test]
    fn repairs_are_a_quarter_of_the_rate_and_no_host_gets_more_than_half_of_them() {
        let mut answer = Answer::new(12_000_000);
        let (mut greedy, mut modest) = (0_u64, 0_u64);
        for tick in 0..10_000 {
            let now = Time::from_nanos(tick * 100_000);
            while answer.may_give(now, HostTag(1)) {
                greedy += 1_200;
            }
            modest += if answer.may_give(now, HostTag(2 + tick)) { 1_200 } else { 0 };
        }
        assert!(greedy + modest <= 3_000_000 + BURST, "{greedy} + {modest}");
        assert!(greedy <= 1_500_000, "{greedy}");
        assert!(modest >= 1_000_000, "{modest}");
    }

    #[test]
    fn what_others_gave_counts_and_is_not_given_again_at_once() {
        let mut answer = Answer::new(1_200);
        let now = Time::from_millis(1);
        answer.plan(fragment(1), Time::from_millis(2));
        answer.plan(fragment(2), Time::from_millis(2));
        answer.on_given(now, fragment(1), true);
        let at = answer.next().expect("one is left");
        assert_eq!((answer.take_due(at), answer.take_due(at)), (Some(fragment(2)), None));
        assert!(answer.is_given(Time::from_millis(3), fragment(1), REPEAT));
        assert!(!answer.is_given(Time::from_millis(4), fragment(1), REPEAT));
        (0..40).for_each(|n| answer.on_given(now, fragment(n), true));
        assert!(!answer.may_give(now, HostTag(1)), "they have used up what may be given");
    }

    #[test]
    fn whatever_is_asked_for_what_is_remembered_is_bounded() {
        let mut answer = Answer::new(1_200);
        for n in 0..5_000 {
            answer.plan(fragment(n), Time::MAX);
            answer.on_given(Time::ZERO, fragment(n + 10_000), false);
            answer.may_give(Time::ZERO, HostTag(n));
        }
        assert!(answer.pending.len() <= MAX_FRAGMENTS && answer.given.len() <= MAX_FRAGMENTS);
        assert!(answer.allowance.taken.len() <= MAX_HOSTS + 1);
    }
}
