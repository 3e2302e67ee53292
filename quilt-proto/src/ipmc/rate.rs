//! How fast this host sends, by what receivers lose (RFC 4654).

use crate::wire::MAX_DATAGRAM_BYTES;
use crate::{HostTag, Time};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

/// A report counts for this long.
const MEMORY: Duration = Duration::from_secs(1);
/// The most reports that count.
const MAX_REPORTS: usize = 256;
/// The rate is looked at so often. After it was slowed down it comes close to its aim by this part of
/// the way each time. From there it grows by this part of the ceiling for each time since: close to what
/// the receivers could not take it grows slowly, and then ever faster (the idea is RFC 9438's). Guess: a
/// tenth of the ceiling in a second, and all of it in some 3 s.
pub(super) const TICK: Duration = Duration::from_millis(50);
const APPROACH: u64 = 8;
const STEP: u64 = 2_000;
/// What is lost is left out, and this part of the rest, so that what waits at receivers gets less.
const RELIEF: u64 = 8;
/// After it was slowed down only what is reported after this counts: before, it is of what was sent
/// faster, and waited in buffers.
const SETTLING: Duration = Duration::from_millis(100);
/// After the first report it is looked at this soon, so that others have said the same.
pub(super) const REACTION: Duration = Duration::from_millis(5);
/// The rate never falls below this part of the ceiling. Guess: 16.
const FLOOR: u64 = 16;
/// Nobody is nearer than this: a shorter round trip says more of the measuring than of the network.
const MIN_RTT: Duration = Duration::from_micros(100);
/// One, in the fractions that are reckoned with.
const ONE: u64 = 1 << 16;

/// The rate of one sender.
#[derive(Debug)]
pub(super) struct Rate {
    ceiling: u64,
    bytes_per_second: u64,
    /// When losses slowed it down last.
    slowed: Option<Time>,
    /// What it soon comes back to. As long as receivers are busy with what they lost, they lose more of
    /// whatever is sent: each time that they say so before the rate is back halves the way there, and
    /// does not end it.
    aim: u64,
    /// When it last was below its aim.
    reached: Time,
    reports: BTreeMap<HostTag, (Time, u16)>,
}

impl Rate {
    pub(super) fn new(ceiling: u64) -> Self {
        Self {
            ceiling,
            bytes_per_second: ceiling,
            slowed: None,
            aim: 0,
            reached: Time::ZERO,
            reports: BTreeMap::new(),
        }
    }

    /// A receiver says which part of all it lost lately, in 65,535ths.
    pub(super) fn on_report(&mut self, now: Time, from: HostTag, loss: u16) {
        if self.reports.len() >= MAX_REPORTS {
            self.reports.retain(|_, (at, _)| now.since(*at) < MEMORY);
        }
        if self.reports.len() < MAX_REPORTS || self.reports.contains_key(&from) {
            self.reports.insert(from, (now, loss));
        }
    }

    /// The rate from now on; `None` if it stays as it is.
    ///
    /// Differs from RFC 4654: what half of the receivers lose counts, and not what the worst one
    /// does, so that a few that are slow, or badly connected, slow nobody else. And where round trips
    /// are short the equation only says how much loss is too much: then the rate falls to a little
    /// less than what arrived, and again, until that is no more than the fair rate.
    pub(super) fn tick(&mut self, now: Time, members: usize, rtt: Duration) -> Option<u64> {
        self.reports.retain(|_, (at, _)| now.since(*at) < MEMORY);
        let settled = self.slowed.map_or(Time::ZERO, |slowed| slowed + SETTLING);
        if now < settled {
            return None;
        }
        let fresh = |(at, _): &&(Time, u16)| *at >= settled;
        let losses = self.reports.values().filter(fresh);
        let mut losses: Vec<u16> = losses.map(|&(_, loss)| loss).collect();
        losses.sort_unstable_by(|a, b| b.cmp(a));
        let half = members.min(MAX_REPORTS).div_ceil(2).max(1);
        let loss = losses.get(half.saturating_sub(1)).copied().unwrap_or(0);
        let fair = fair_rate(loss, rtt.max(MIN_RTT)).max(self.ceiling.div_ceil(FLOOR));
        let before = self.bytes_per_second;
        let rate = if fair < before {
            self.slowed = Some(now);
            let came = before.saturating_sub(part(before, loss));
            let slower = came.saturating_sub(came / RELIEF).max(fair);
            self.aim = if before < self.aim { self.aim.midpoint(slower) } else { slower };
            slower
        } else {
            self.grow(now).min(fair)
        };
        self.bytes_per_second = rate;
        (rate != before).then_some(rate)
    }

    /// The next rate, where nothing is in its way.
    fn grow(&mut self, now: Time) -> u64 {
        let before = self.bytes_per_second;
        let step = self.ceiling.div_ceil(STEP);
        if before < self.aim {
            self.reached = now;
            let way = self.aim.saturating_sub(before);
            return before.saturating_add(way.div_ceil(APPROACH).max(step.min(way)));
        }
        let times = now.since(self.reached).as_nanos().checked_div(TICK.as_nanos());
        let times = u64::try_from(times.unwrap_or(1)).unwrap_or(1);
        before.saturating_add(step.saturating_mul(times)).min(self.ceiling)
    }

    /// Whether there is anything to look at.
    pub(super) fn is_settled(&self) -> bool {
        self.reports.is_empty() && self.bytes_per_second == self.ceiling
    }
}

/// A part of a rate, in 2¹⁶ths.
fn part(rate: u64, part: u16) -> u64 {
    rate.div_ceil(1 << 16).saturating_mul(part.into())
}

/// What TCP would send with such a loss: RFC 5348, section 3.1, in fractions of 2¹⁶.
fn fair_rate(loss: u16, rtt: Duration) -> u64 {
    if loss == 0 {
        return u64::MAX;
    }
    let loss = u64::from(loss);
    let square = loss.saturating_mul(loss) / ONE;
    let often = (loss.saturating_mul(2 * ONE) / 3).isqrt();
    let timeouts = (loss.saturating_mul(3 * ONE) / 8).isqrt().saturating_mul(12);
    let timeouts = timeouts.saturating_mul(loss) / ONE;
    let timeouts = timeouts.saturating_mul(ONE.saturating_add(square.saturating_mul(32))) / ONE;
    let divisor = u128::from(often.saturating_add(timeouts)).saturating_mul(rtt.as_nanos());
    let bytes = (MAX_DATAGRAM_BYTES as u128).saturating_mul(1_000_000_000 * u128::from(ONE));
    u64::try_from(bytes.checked_div(divisor).unwrap_or(u128::MAX)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A rate whose receivers, of which there are ten, lose so many percent each.
    fn reported(losses: &[u64]) -> Rate {
        let mut rate = Rate::new(25_000_000);
        for (host, percent) in (0..).zip(losses) {
            rate.on_report(Time::ZERO, HostTag(host), (percent * 65_535 / 100) as u16);
        }
        rate
    }

    #[test]
    fn the_fair_rate_is_that_of_the_throughput_equation() {
        // RFC 5348: s / (R (√(2p/3) + 12 √(3p/8) p (1 + 32p²))).
        for (percent, expected) in [(1.0_f64, 13_400_000.0_f64), (10.0, 2_122_000.0)] {
            let loss = (percent / 100.0 * 65_535.0) as u16;
            let rate = fair_rate(loss, MS) as f64;
            assert!((rate / expected - 1.0).abs() < 0.03, "{rate} and not {expected}");
        }
    }

    #[test]
    fn half_of_the_receivers_slow_the_sender_and_a_few_do_not() {
        assert_eq!(reported(&[50; 4]).tick(Time::ZERO, 10, MS), None);
        let rate = reported(&[10; 5]).tick(Time::ZERO, 10, MS).expect("slower");
        // Nine tenths came, and of these seven eighths are left.
        assert!((19_600_000..19_800_000).contains(&rate), "{rate}");
    }

    #[test]
    fn as_long_as_too_much_is_lost_the_rate_falls_and_no_further_than_to_the_fair_one() {
        let (mut rate, mut now, mut slower) = (reported(&[]), Time::from_millis(1), Vec::new());
        for _ in 0..100 {
            (0..10).for_each(|host| rate.on_report(now, HostTag(host), 6_553));
            slower.extend(rate.tick(now, 10, MS));
            now = now + TICK;
        }
        assert!(slower.is_sorted_by(|a, b| a >= b), "{slower:?}");
        let last = slower.last().copied().unwrap_or(0);
        assert!((2_000_000..2_300_000).contains(&last), "{slower:?}");
        assert!((10..30).contains(&slower.len()), "one report slows it once: {slower:?}");
    }

    #[test]
    fn the_rate_keeps_a_floor_and_comes_back_to_the_ceiling() {
        let (mut rate, mut now, mut last) = (reported(&[]), Time::from_millis(1), 0);
        for _ in 0..100 {
            (0..10).for_each(|host| rate.on_report(now, HostTag(host), 60_000));
            last = rate.tick(now, 10, Duration::from_secs(1)).unwrap_or(last);
            now = now + TICK;
        }
        assert_eq!(last, 25_000_000_u64.div_ceil(FLOOR));
        let since = now;
        while !rate.is_settled() {
            now = now + TICK;
            last = rate.tick(now, 10, MS).unwrap_or(last);
        }
        assert_eq!(last, 25_000_000);
        assert!(now.since(since) <= Duration::from_secs(5), "{:?}", now.since(since));
    }

    #[test]
    fn what_is_lost_while_losses_are_mended_does_not_keep_the_rate_down() {
        let (mut rate, mut now, mut last) = (reported(&[]), Time::from_millis(1), 0);
        let mut tick = |rate: &mut Rate, loss: u16| {
            (0..10).for_each(|host| rate.on_report(now, HostTag(host), loss));
            last = rate.tick(now, 10, MS).unwrap_or(last);
            now = now + TICK;
            last
        };
        // Once a tenth is too much, and then for half a second three quarters of what is left.
        for n in 0..10 {
            tick(&mut rate, if n == 0 { 6_553 } else { 49_152 });
        }
        let least = tick(&mut rate, 0);
        assert!(least < 3_000_000, "{least}");
        let after: Vec<u64> = (0..40).map(|_| tick(&mut rate, 0)).collect();
        assert!(after.is_sorted(), "{after:?}");
        assert!((4_000_000..19_000_000).contains(&after[19]), "within a second: {after:?}");
    }

    #[test]
    fn whoever_reports_the_reports_are_bounded() {
        let mut rate = Rate::new(1);
        (0..10_000).for_each(|host| rate.on_report(Time::ZERO, HostTag(host), 1));
        assert_eq!(rate.reports.len(), MAX_REPORTS);
    }
}
