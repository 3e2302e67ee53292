//! The sending half of an end: what is under way, what is lost, and how much may go.

use super::segment::{MSS, Segment};
use quilt_proto::Time;
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

/// The first congestion window (RFC 6928).
pub(super) const FIRST_WINDOW: u64 = 10 * MSS as u64;
/// Bytes that may wait unsent before the socket takes no more (`TCP_NOTSENT_LOWAT` of the
/// adapters).
const LOW_WATER: u64 = 16 << 10;
/// How much longer than a round trip the retransmission timeout is at least, as on Linux.
pub(super) const MIN_RTO: Duration = Duration::from_millis(200);
/// The first retransmission timeout (RFC 6298).
pub(super) const FIRST_RTO: Duration = Duration::from_secs(1);
/// The longest one.
pub(super) const MAX_RTO: Duration = Duration::from_secs(60);
/// Segments selectively acknowledged behind one that make it lost.
const REORDERING: usize = 3;

#[derive(Debug)]
pub(super) struct Sender {
    /// What waits, write by write.
    unsent: VecDeque<u64>,
    unsent_bytes: u64,
    flight: VecDeque<InFlight>,
    /// How much a segment carries at most.
    mss: u64,
    /// Where the next new byte stands.
    next: u64,
    /// Up to where the other side has room.
    edge: u64,
    /// The congestion window.
    pub(super) window: u64,
    threshold: u64,
    /// Losses before this point belong to one event.
    recovery: Option<u64>,
    round_trip: Option<(Duration, Duration)>,
    /// The retransmission timeout.
    pub(super) timeout: Duration,
    pub(super) closing: bool,
    fin_sent: bool,
    /// Payload bytes sent again.
    pub(super) retransmitted: u64,
}

#[derive(Debug)]
struct InFlight {
    seq: u64,
    len: u64,
    fin: bool,
    sent: Time,
    again: bool,
    sacked: bool,
    lost: bool,
}

impl InFlight {
    /// Where what follows it stands. The end of a stream counts as one byte, so that it can be
    /// acknowledged.
    fn end(&self) -> u64 {
        self.seq + self.len + u64::from(self.fin)
    }

    fn segment(&self) -> Segment {
        let (seq, len, fin) = (self.seq, self.len, self.fin);
        Segment { seq, len, fin, ..Segment::default() }
    }
}

impl Sender {
    pub(super) fn new() -> Self {
        Self {
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            flight: VecDeque::new(),
            mss: MSS as u64,
            next: 0,
            edge: 0,
            window: FIRST_WINDOW,
            threshold: u64::MAX,
            recovery: None,
            round_trip: None,
            timeout: FIRST_RTO,
            closing: false,
            fin_sent: false,
            retransmitted: 0,
        }
    }

    /// Lets a segment carry so much at most. Before anything is written.
    pub(super) fn set_mss(&mut self, bytes: usize) {
        self.mss = bytes as u64;
        self.window = 10 * self.mss;
    }

    /// Whether more may be written.
    pub(super) fn has_room(&self) -> bool {
        !self.closing && self.unsent_bytes < LOW_WATER
    }

    pub(super) fn write(&mut self, len: u64) {
        self.unsent_bytes += len;
        self.unsent.push_back(len);
    }

    /// Everything was said and acknowledged, the end too.
    pub(super) fn has_said_all(&self) -> bool {
        self.closing && self.fin_sent && self.flight.is_empty()
    }

    /// Whether an answer is due: something is under way, or waits for room on the other side.
    pub(super) fn awaits(&self) -> bool {
        !self.flight.is_empty() || !self.unsent.is_empty()
    }

    /// Where the next new byte stands.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Bytes under way, as far as is known.
    fn in_pipe(&self) -> u64 {
        let under_way = self.flight.iter().filter(|segment| !segment.sacked && !segment.lost);
        under_way.map(|segment| segment.len).sum()
    }

    /// The timeout ran out: what is under way counts as lost. Where nothing is, the other side
    /// has no room; one segment more asks whether it still has none (RFC 9293, section 3.8.6.1).
    pub(super) fn on_timeout(&mut self, now: Time, out: &mut VecDeque<Segment>) {
        let Some(first) = self.flight.front() else {
            if !self.unsent.is_empty() {
                let len = self.cut();
                self.launch(now, len, false, out);
            }
            return;
        };
        if first.end() <= self.edge {
            self.threshold = (self.in_pipe() / 2).max(2 * self.mss);
            self.window = self.mss;
            self.recovery = Some(self.next);
        }
        for segment in self.flight.iter_mut().filter(|segment| !segment.sacked) {
            segment.lost = true;
        }
    }

    /// Takes in what the other side has acknowledged; whether that was news.
    pub(super) fn on_ack(&mut self, now: Time, segment: &Segment) -> bool {
        let ack = segment.ack;
        let shut = self.edge;
        self.edge = shut.max(ack + segment.window);
        // What only asked for room is sent again as soon as there is some.
        for asked in self.flight.iter_mut().filter(|asked| asked.end() > shut) {
            asked.lost |= asked.end() <= self.edge && !asked.sacked;
        }
        let (mut acked, mut news) = (0, false);
        while let Some(first) = self.flight.front().filter(|first| first.end() <= ack) {
            acked += first.len;
            let sample = (!first.again && !first.sacked).then(|| now.since(first.sent));
            self.flight.pop_front();
            match sample {
                Some(sample) => self.measure(sample),
                None => self.reckon_timeout(),
            }
            news = true;
        }
        if acked > 0 && self.window < self.threshold {
            // Also after a timeout, when everything is said again.
            self.window += acked;
        } else if acked > 0 && self.recovery.is_none() {
            self.window += (self.mss * acked).div_ceil(self.window);
        }
        if self.recovery.is_some_and(|point| ack >= point) {
            self.recovery = None;
        }
        if !segment.sacked.is_empty() {
            self.on_sacks(&segment.sacked);
        }
        news
    }

    /// Marks what has come ahead, and what is lost by that.
    fn on_sacks(&mut self, runs: &[Range<u64>]) {
        for segment in self.flight.iter_mut().filter(|segment| segment.len > 0) {
            let (start, end) = (segment.seq, segment.end() - u64::from(segment.fin));
            if runs.iter().any(|run| run.start <= start && end <= run.end) {
                segment.sacked = true;
                segment.lost = false;
            }
        }
        let mut behind = 0;
        let mut newly_lost = false;
        for segment in self.flight.iter_mut().rev() {
            if segment.sacked {
                behind += 1;
            } else if behind >= REORDERING && !segment.lost && !segment.again {
                // One that was sent again and is lost again waits for the timeout.
                segment.lost = true;
                newly_lost = true;
            }
        }
        if newly_lost && self.recovery.is_none() {
            self.recovery = Some(self.next);
            self.threshold = (self.window / 2).max(2 * self.mss);
            self.window = self.threshold;
        }
    }

    /// RFC 6298, section 2.
    pub(super) fn measure(&mut self, sample: Duration) {
        let (smooth, variance) = match self.round_trip {
            None => (sample, sample / 2),
            Some((smooth, variance)) => {
                (smooth * 7 / 8 + sample / 8, variance * 3 / 4 + smooth.abs_diff(sample) / 4)
            }
        };
        self.round_trip = Some((smooth, variance));
        self.reckon_timeout();
    }

    /// Something was acknowledged: a timestamp tells to which sending the answer belongs, so a
    /// timeout that had grown falls back.
    fn reckon_timeout(&mut self) {
        self.timeout = self.round_trip.map_or(FIRST_RTO, |(smooth, variance)| {
            // The floor is under the variance, as on Linux: the timeout is longer than the trip.
            smooth + (variance * 4).max(MIN_RTO)
        });
        self.timeout = self.timeout.min(MAX_RTO);
    }

    /// Sends again what is lost and then what is new, as far as the window and the other side's
    /// room go.
    pub(super) fn send(&mut self, now: Time, out: &mut VecDeque<Segment>) {
        let mut pipe = self.in_pipe();
        for segment in self.flight.iter_mut().filter(|segment| segment.lost) {
            if pipe > 0 && pipe + segment.len > self.window {
                break;
            }
            (segment.lost, segment.again, segment.sent) = (false, true, now);
            pipe += segment.len;
            self.retransmitted += segment.len;
            out.push_back(segment.segment());
        }
        while let Some(&first) = self.unsent.front() {
            let end = self.next + first.min(self.mss);
            let passes = pipe == 0 || pipe + self.mss <= self.window;
            if !passes || end > self.edge {
                break;
            }
            let len = self.cut();
            pipe += len;
            self.launch(now, len, false, out);
        }
        if self.closing && self.unsent.is_empty() && !self.fin_sent {
            self.fin_sent = true;
            self.launch(now, 0, true, out);
        }
    }

    /// Cuts a segment's bytes off what waits; how many. They are of one write: who reads what came
    /// of it then knows which one.
    fn cut(&mut self) -> u64 {
        let Some(first) = self.unsent.front_mut() else { return 0 };
        let len = (*first).min(self.mss);
        *first -= len;
        if *first == 0 {
            self.unsent.pop_front();
        }
        self.unsent_bytes -= len;
        len
    }

    fn launch(&mut self, now: Time, len: u64, fin: bool, out: &mut VecDeque<Segment>) {
        let (again, sacked, lost) = (false, false, false);
        let new = InFlight { seq: self.next, len, fin, sent: now, again, sacked, lost };
        self.next = new.end();
        out.push_back(new.segment());
        self.flight.push_back(new);
    }
}
