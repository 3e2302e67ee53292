//! How much of a flow may be under way.
//!
//! The window grows and shrinks as TCP's does (RFC 5681), so that the two share a link; but not
//! every loss counts as congestion. One does where datagrams wait longer on their way than they
//! need to (the idea is TCP Veno's: Fu and Liew, IEEE JSAC 21(2), 2003), or where more is lost than
//! usual. What a bad link loses at random slows nobody down.

use crate::Time;
use crate::wire::MAX_DATAGRAM_BYTES;
use core::time::Duration;

pub(super) const DATAGRAM: u64 = MAX_DATAGRAM_BYTES as u64;
/// The first window (RFC 6928).
pub(super) const FIRST_WINDOW: u64 = 10 * DATAGRAM;
const MIN_WINDOW: u64 = 4 * DATAGRAM;
/// The most that is under way: what acknowledgements can tell of, and 1.2 MB.
pub(super) const MAX_WINDOW: u64 = 1_024 * DATAGRAM;
/// The least round trip is the least of this time at least, and of twice as long at most: ways
/// change.
const MEMORY: Duration = Duration::from_secs(10);
/// What a datagram waits beyond this, and beyond an eighth of the round trip, is a queue. Guess:
/// more than what hosts and radio links vary by.
const SLACK: Duration = Duration::from_millis(10);
/// One, in the fractions that losses are reckoned in.
const ONE: u64 = 1 << 16;
/// So much more lost than usual is congestion where queues are too short to show. Guess: what 32
/// datagrams differ by where a tenth is lost at random is half of it.
const UNUSUAL: u64 = ONE / 10;
/// More than this is never usual.
const TOO_MUCH: u64 = ONE * 3 / 10;
/// How many datagrams the two averages of losses look back on.
const RECENT: u64 = 32;
const USUAL: u64 = 512;
/// The retransmission timeout of what nothing is known of, and the least one beyond a round trip
/// (RFC 6298; here nothing is sent again, it only ceases to count as under way).
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);
const MIN_VARIANCE: Duration = Duration::from_millis(150);

/// The window of one flow, in bytes.
#[derive(Debug)]
pub(super) struct Congestion {
    window: u64,
    threshold: u64,
    /// The smoothed round trip, and how much it varies.
    rtt: Option<(Duration, Duration)>,
    /// The least round trip of this period and of the one before, and when this one began.
    least: [Duration; 2],
    since: Time,
    /// How long datagrams wait in queues lately.
    queued: Duration,
    /// Losses of what was sent before this belong to the event that shrank the window last.
    slowed: Time,
    /// How much is lost lately and usually, of how many datagrams.
    recent: u64,
    usual: u64,
    seen: u64,
}

impl Congestion {
    pub(super) fn new(now: Time) -> Self {
        Self {
            window: FIRST_WINDOW,
            threshold: MAX_WINDOW,
            rtt: None,
            least: [Duration::MAX; 2],
            since: now,
            queued: Duration::ZERO,
            slowed: now,
            recent: 0,
            usual: 0,
            seen: 0,
        }
    }

    pub(super) fn window(&self) -> u64 {
        self.window
    }

    /// Bytes a second that bring the window out within four fifths of a round trip; `None` while no
    /// round trip is known.
    pub(super) fn pace(&self) -> Option<u64> {
        let (rtt, _) = self.rtt?;
        let nanos = u64::try_from(rtt.as_nanos()).unwrap_or(u64::MAX).max(1);
        let bytes = u128::from(self.window).saturating_mul(1_250_000_000);
        u64::try_from(bytes.checked_div(nanos.into())?).ok()
    }

    /// After this time without an acknowledgement a datagram is lost.
    pub(super) fn timeout(&self) -> Duration {
        self.rtt.map_or(FIRST_TIMEOUT, |(rtt, variance)| {
            rtt.saturating_add(variance.saturating_mul(4).max(MIN_VARIANCE))
        })
    }

    /// How long a datagram and its acknowledgement took.
    pub(super) fn measure(&mut self, now: Time, sample: Duration) {
        self.rtt = Some(match self.rtt {
            None => (sample, sample.checked_div(2).unwrap_or_default()),
            Some((rtt, variance)) => {
                let off = variance.saturating_mul(3).saturating_add(sample.abs_diff(rtt));
                let sum = rtt.saturating_mul(7).saturating_add(sample);
                (sum.checked_div(8).unwrap_or(rtt), off.checked_div(4).unwrap_or(variance))
            }
        });
        if now.since(self.since) >= MEMORY {
            self.least = [Duration::MAX, self.least[0]];
            self.since = now;
        }
        self.least[0] = self.least[0].min(sample);
        let waited = sample.saturating_sub(self.least());
        let sum = self.queued.saturating_mul(3).saturating_add(waited);
        self.queued = sum.checked_div(4).unwrap_or_default();
        if self.is_queued() {
            // The window fills the way: from here on it grows slowly.
            self.threshold = self.threshold.min(self.window);
        }
    }

    /// A datagram came. `was_full`: the window was at least half used, so that it says something.
    pub(super) fn on_came(&mut self, bytes: u64, was_full: bool) {
        self.see(0);
        if !was_full {
            return;
        }
        let step = if self.window < self.threshold {
            bytes
        } else {
            DATAGRAM.saturating_mul(bytes).checked_div(self.window).unwrap_or(0)
        };
        self.window = self.window.saturating_add(step).min(MAX_WINDOW);
    }

    /// A datagram was lost.
    pub(super) fn on_lost(&mut self, now: Time, sent: Time) {
        self.see(ONE);
        let too_much = self.recent > self.usual.saturating_add(UNUSUAL).min(TOO_MUCH);
        if sent >= self.slowed && (too_much || self.is_queued()) {
            self.slow_down(now);
        }
    }

    /// Nothing comes through.
    pub(super) fn on_silence(&mut self, now: Time) {
        self.slow_down(now);
        self.window = MIN_WINDOW;
    }

    fn slow_down(&mut self, now: Time) {
        self.window = (self.window / 2).max(MIN_WINDOW);
        self.threshold = self.window;
        self.slowed = now;
    }

    fn is_queued(&self) -> bool {
        let eighth = self.least().checked_div(8).unwrap_or_default();
        self.queued >= eighth.max(SLACK)
    }

    fn least(&self) -> Duration {
        self.least[0].min(self.least[1])
    }

    /// Reckons with one datagram more, of which `lost` was lost.
    fn see(&mut self, lost: u64) {
        self.seen = self.seen.saturating_add(1).min(USUAL);
        self.recent = averaged(self.recent, lost, self.seen.min(RECENT));
        self.usual = averaged(self.usual, lost, self.seen);
    }
}

/// An average over `of` values, with one value more.
fn averaged(average: u64, value: u64, of: u64) -> u64 {
    let sum = average.saturating_mul(of.saturating_sub(1)).saturating_add(value);
    sum.checked_div(of).unwrap_or(value)
}
