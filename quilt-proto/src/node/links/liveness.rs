//! Whether the other side of a stream is there, and how far away it is.

use crate::Time;
use crate::wire::Beat;
use core::time::Duration;

/// A stream that carried data within this time is beaten quickly.
const LIVE: Duration = Duration::from_secs(10);
/// Silence after which a live stream is beaten.
const LIVE_BEAT: Duration = Duration::from_millis(100);
/// Silence after which an idle stream is first beaten.
const IDLE_BEAT: Duration = Duration::from_secs(1);
/// The longest silence of an idle stream.
const MAX_BEAT: Duration = Duration::from_secs(5);
/// So much later than three announced beats, the other side is dead. Guess: a host of a loaded
/// machine may not run for that long.
const GRACE: Duration = Duration::from_secs(1);
/// So much later than two announced beats and a half of a round trip, the other side is silent.
/// Guess: less than a beat, more than what delays differ by where nothing is lost.
const SLACK: Duration = Duration::from_millis(20);
/// A longer round trip is no measurement: by then a stream counts as dead.
const MAX_RTT: Duration = Duration::from_secs(4);

/// The beats of one stream.
#[derive(Debug)]
pub(super) struct Liveness {
    sent: Time,
    heard: Time,
    carried: Option<Time>,
    beat: Duration,
    announced: Duration,
    /// The other side's last stamp, and when it came.
    stamp: Option<(u64, Time)>,
    rtt: Option<Duration>,
    /// Whether the silence of the other side was noticed.
    silent: bool,
}

impl Liveness {
    pub(super) fn new(now: Time) -> Self {
        Self {
            sent: now,
            heard: now,
            carried: None,
            beat: LIVE_BEAT,
            announced: IDLE_BEAT,
            stamp: None,
            rtt: None,
            silent: false,
        }
    }

    pub(super) fn heard(&mut self, now: Time) {
        self.heard = now;
        self.silent = false;
    }

    /// When two beats of the other side are missing; `None` if that was noticed.
    pub(super) fn silent_at(&self) -> Option<Time> {
        let way = self.rtt.unwrap_or_default().checked_div(2).unwrap_or_default();
        let beats = self.announced.saturating_mul(2).saturating_add(way).saturating_add(SLACK);
        (!self.silent).then_some(self.heard + beats)
    }

    /// Whether two beats of the other side are missing; says so once in a silence.
    pub(super) fn falls_silent(&mut self, now: Time) -> bool {
        let falls = self.silent_at().is_some_and(|at| at <= now);
        self.silent |= falls;
        falls
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    /// It counts as having carried data then; true if a beat is due sooner for that.
    pub(super) fn enliven(&mut self, now: Time, then: Time) -> bool {
        self.carried = self.carried.max(Some(then));
        let sooner = now <= then + LIVE && self.beat > LIVE_BEAT;
        if sooner {
            self.beat = LIVE_BEAT;
        }
        sooner
    }

    pub(super) fn sent(&mut self, now: Time) {
        self.sent = now;
    }

    pub(super) fn carries_data(&mut self, now: Time) {
        self.carried = Some(now);
        self.beat = LIVE_BEAT;
    }

    /// Data came: from now on the other side beats quickly, and its data stand for beats, so that
    /// none may come that says so.
    pub(super) fn brings_data(&mut self) {
        self.announced = self.announced.min(LIVE_BEAT);
    }

    pub(super) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// When a beat is due.
    pub(super) fn beat_due(&self) -> Time {
        self.sent + self.beat
    }

    /// When the other side counts as dead.
    pub(super) fn dead_at(&self) -> Time {
        self.heard + self.announced.saturating_mul(3).saturating_add(GRACE)
    }

    /// The beat to send now, and how long the silence behind it may be.
    pub(super) fn beat(&mut self, now: Time, needed: bool) -> Beat {
        let live = self.carried.is_some_and(|at| now <= at + LIVE);
        // The first beats of a stream follow quickly too: they measure it.
        self.beat = match self.rtt {
            _ if live => LIVE_BEAT,
            None => LIVE_BEAT,
            Some(_) => self.beat.saturating_mul(2),
        };
        if !live && self.rtt.is_some() {
            self.beat = self.beat.clamp(IDLE_BEAT, MAX_BEAT);
        }
        let (echo, held) = match self.stamp.take() {
            Some((stamp, at)) => (stamp, nanos(now.since(at))),
            None => (0, 0),
        };
        let next_ms = u16::try_from(self.beat.as_millis()).unwrap_or(u16::MAX);
        Beat { stamp: now.as_nanos().max(1), echo, held, next_ms, needed }
    }

    /// A beat beside one that goes by the flow, which alone measures.
    pub(super) fn second_beat(&self, needed: bool) -> Beat {
        let next_ms = u16::try_from(self.beat.as_millis()).unwrap_or(u16::MAX);
        Beat { stamp: 0, echo: 0, held: 0, next_ms, needed }
    }

    pub(super) fn on_beat(&mut self, now: Time, beat: Beat) {
        self.announced = Duration::from_millis(u64::from(beat.next_ms)).min(MAX_BEAT);
        self.stamp = Some((beat.stamp, now));
        if beat.echo != 0 {
            let sample = now.since(Time::from_nanos(beat.echo));
            let sample = sample.saturating_sub(Duration::from_nanos(beat.held)).min(MAX_RTT);
            // Smoothed as RFC 6298 does it, with a gain of an eighth.
            self.rtt = Some(match self.rtt {
                None => sample,
                Some(rtt) => {
                    rtt.saturating_mul(7).saturating_add(sample).checked_div(8).unwrap_or(rtt)
                }
            });
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_round_trip_leaves_out_the_time_that_a_stamp_was_held() {
        let mut here = Liveness::new(Time::ZERO);
        let mut there = Liveness::new(Time::ZERO);
        let out = here.beat(Time::from_millis(10), true);
        there.on_beat(Time::from_millis(17), out);
        let back = there.beat(Time::from_millis(117), true);
        here.on_beat(Time::from_millis(124), back);
        assert_eq!(here.rtt(), Some(Duration::from_millis(14)));
    }

    #[test]
    fn an_idle_stream_is_beaten_ever_more_rarely_and_a_live_one_quickly() {
        let mut liveness = Liveness::new(Time::ZERO);
        liveness.rtt = Some(Duration::from_millis(1));
        let mut now = Time::ZERO;
        let mut silences = alloc::vec::Vec::new();
        for _ in 0..4 {
            silences.push(liveness.beat(now, true).next_ms);
            now = now + Duration::from_secs(20);
        }
        assert_eq!(silences, [1_000, 2_000, 4_000, 5_000]);
        liveness.carries_data(now);
        assert_eq!(liveness.beat(now, true).next_ms, 100);
    }

    #[test]
    fn two_missed_beats_are_noticed_once_until_something_is_heard() {
        let mut liveness = Liveness::new(Time::ZERO);
        let beat = Beat { stamp: 1, echo: 0, held: 0, next_ms: 100, needed: true };
        liveness.on_beat(Time::ZERO, beat);
        assert_eq!(liveness.silent_at(), Some(Time::from_millis(220)));
        assert!(!liveness.falls_silent(Time::from_millis(219)));
        assert!(liveness.falls_silent(Time::from_millis(220)));
        assert!(!liveness.falls_silent(Time::from_millis(300)) && liveness.silent_at().is_none());
        liveness.heard(Time::from_millis(400));
        assert!(liveness.falls_silent(Time::from_millis(620)));
    }

    #[test]
    fn data_announce_quick_beats() {
        let mut liveness = Liveness::new(Time::ZERO);
        let beat = Beat { stamp: 1, echo: 0, held: 0, next_ms: 5_000, needed: true };
        liveness.on_beat(Time::ZERO, beat);
        liveness.brings_data();
        assert_eq!(liveness.silent_at(), Some(Time::from_millis(220)));
        assert_eq!(liveness.dead_at(), Time::from_millis(1_300));
    }

    #[test]
    fn the_dead_are_those_silent_for_three_announced_beats_and_the_grace() {
        let mut liveness = Liveness::new(Time::ZERO);
        let beat = Beat { stamp: 1, echo: 0, held: 0, next_ms: 100, needed: true };
        liveness.on_beat(Time::ZERO, beat);
        assert_eq!(liveness.dead_at(), Time::from_millis(1_300));
    }
}
