//! TCP as a model: one end of one stream.
//!
//! Handshake, order, congestion window (slow start and additive increase, RFC 5681), selective
//! acknowledgements (RFC 6675's rule of three), retransmission timeout (RFC 6298, with the
//! timestamps of RFC 7323), end and reset.
//! Left out: the receiver's window (the reader always reads), delayed acknowledgements, and probes
//! of a lost tail.

use bytes::Bytes;
use quilt_proto::Time;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

/// Payload bytes of a segment at most: an Ethernet frame's, without IP and TCP headers.
pub const MSS: usize = 1_448;
/// Headers of a segment, IPv4 and TCP with timestamps.
pub const HEADER_BYTES: usize = 52;
/// The first congestion window (RFC 6928).
const FIRST_WINDOW: u64 = 10 * MSS as u64;
/// Bytes that may wait unsent before the socket takes no more (`TCP_NOTSENT_LOWAT` of the
/// adapters).
const LOW_WATER: usize = 16 << 10;
/// How much longer than a round trip the retransmission timeout is at least, as on Linux.
const MIN_RTO: Duration = Duration::from_millis(200);
/// The first retransmission timeout (RFC 6298).
const FIRST_RTO: Duration = Duration::from_secs(1);
/// The longest one.
const MAX_RTO: Duration = Duration::from_secs(60);
/// Timeouts in a row after which the stream is given up.
const PATIENCE: u32 = 10;
/// How long an end that has said everything waits for the other's (Linux's `tcp_fin_timeout`).
const ORPHAN_TIME: Duration = Duration::from_secs(60);
/// Runs that a segment acknowledges selectively at most, beside a timestamp (RFC 2018).
const NAMED_RUNS: usize = 3;
/// Segments selectively acknowledged behind one that make it lost.
const REORDERING: usize = 3;

/// What one end sends the other.
#[derive(Clone, Debug, Default)]
pub struct Segment {
    /// Opens the stream; answered by one that acknowledges it.
    pub syn: bool,
    /// Answers a segment that opens the stream.
    pub accepts: bool,
    /// Nothing follows behind `bytes`.
    pub fin: bool,
    /// There is no such stream.
    pub rst: bool,
    /// Where `bytes` stand in the stream.
    pub seq: u64,
    /// Payload; may be empty.
    pub bytes: Bytes,
    /// Everything before it has come.
    pub ack: u64,
    /// What has come beyond, at most three runs; the one that grew last comes first.
    pub sacked: Vec<Range<u64>>,
}

impl Segment {
    /// How many bytes it is on the wire.
    pub fn wire_bytes(&self) -> usize {
        HEADER_BYTES + self.bytes.len()
    }
}

/// What an end tells its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The stream is open.
    Opened,
    /// The next bytes of the stream.
    Bytes(Bytes),
    /// The other side ended it in good order.
    Ended,
    /// The other side, or somebody for it, refused it.
    Refused,
    /// The other side has forgotten it.
    Reset,
    /// The other side does not answer.
    TimedOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// This end has asked, and waits for an answer.
    Dialling,
    /// This end was asked, and waits for the third segment.
    Accepting,
    Open,
    /// Nothing more is sent or told.
    Over,
}

/// One end of a stream.
#[derive(Debug)]
pub struct End {
    phase: Phase,
    unsent: VecDeque<Bytes>,
    unsent_bytes: usize,
    flight: VecDeque<InFlight>,
    /// Where the next new byte stands.
    next: u64,
    window: u64,
    threshold: u64,
    /// Losses before this point belong to one event.
    recovery: Option<u64>,
    round_trip: Option<(Duration, Duration)>,
    timeout: Duration,
    timeouts: u32,
    deadline: Option<Time>,
    closing: bool,
    fin_sent: bool,
    /// When this end first said that it opens the stream.
    began: Time,
    expected: u64,
    ahead: BTreeMap<u64, Bytes>,
    /// Where the last bytes that came stand: the run that has them is acknowledged first.
    latest: u64,
    /// Where the other side's stream ends.
    end: Option<u64>,
    owes_ack: bool,
    out: VecDeque<Segment>,
    told: VecDeque<Told>,
    /// Payload bytes sent again.
    retransmitted: u64,
}

#[derive(Debug)]
struct InFlight {
    seq: u64,
    bytes: Bytes,
    fin: bool,
    sent: Time,
    again: bool,
    sacked: bool,
    lost: bool,
}

impl InFlight {
    fn end(&self) -> u64 {
        self.seq + self.bytes.len() as u64 + u64::from(self.fin)
    }
}

impl End {
    /// The end that dials.
    pub fn dial(now: Time) -> Self {
        let mut end = Self::new(now, Phase::Dialling);
        end.out.push_back(Segment { syn: true, ..Segment::default() });
        end.deadline = Some(now + end.timeout);
        end
    }

    /// The end that was dialled.
    pub fn accept(now: Time) -> Self {
        let mut end = Self::new(now, Phase::Accepting);
        end.out.push_back(Segment { syn: true, accepts: true, ..Segment::default() });
        end.deadline = Some(now + end.timeout);
        end
    }

    fn new(now: Time, phase: Phase) -> Self {
        Self {
            phase,
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            flight: VecDeque::new(),
            next: 0,
            window: FIRST_WINDOW,
            threshold: u64::MAX,
            recovery: None,
            round_trip: None,
            timeout: FIRST_RTO,
            timeouts: 0,
            deadline: None,
            closing: false,
            fin_sent: false,
            began: now,
            expected: 0,
            ahead: BTreeMap::new(),
            latest: 0,
            end: None,
            owes_ack: false,
            out: VecDeque::new(),
            told: VecDeque::new(),
            retransmitted: 0,
        }
    }

    /// Whether the host may write more.
    pub fn has_room(&self) -> bool {
        self.phase == Phase::Open && !self.closing && self.unsent_bytes < LOW_WATER
    }

    /// Takes bytes to send.
    pub fn write(&mut self, now: Time, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        self.unsent_bytes += bytes.len();
        self.unsent.push_back(bytes);
        self.send_what_may_go(now);
    }

    /// Ends the stream behind what was written.
    pub fn close(&mut self, now: Time) {
        self.closing = true;
        match self.phase {
            Phase::Open => self.send_what_may_go(now),
            _ => self.phase = Phase::Over,
        }
    }

    /// Whether nothing more will come of it.
    pub fn is_over(&self) -> bool {
        let heard_all = self.end.is_some_and(|end| end < self.expected);
        self.phase == Phase::Over || (self.has_said_all() && heard_all)
    }

    fn has_said_all(&self) -> bool {
        self.closing && self.fin_sent && self.flight.is_empty()
    }

    /// Payload bytes sent again so far.
    pub fn retransmitted(&self) -> u64 {
        self.retransmitted
    }

    /// When to call [`on_timer`](Self::on_timer).
    pub fn deadline(&self) -> Option<Time> {
        self.deadline.filter(|_| !self.is_over())
    }

    /// Next segment for the other end.
    pub fn poll_segment(&mut self) -> Option<Segment> {
        if let Some(mut segment) = self.out.pop_front() {
            self.acknowledge(&mut segment);
            return Some(segment);
        }
        if !std::mem::take(&mut self.owes_ack) {
            return None;
        }
        let mut segment = Segment { seq: self.next, ..Segment::default() };
        self.acknowledge(&mut segment);
        Some(segment)
    }

    /// Next thing for the host.
    pub fn poll_told(&mut self) -> Option<Told> {
        self.told.pop_front()
    }

    /// Time has come to a deadline.
    pub fn on_timer(&mut self, now: Time) {
        if self.deadline().is_none_or(|at| at > now) {
            return;
        }
        if self.has_said_all() {
            self.phase = Phase::Over;
            return;
        }
        self.timeouts += 1;
        if self.timeouts > PATIENCE {
            return self.give_up(Told::TimedOut);
        }
        self.timeout = (self.timeout * 2).min(MAX_RTO);
        self.deadline = Some(now + self.timeout);
        match self.phase {
            Phase::Dialling => self.out.push_back(Segment { syn: true, ..Segment::default() }),
            Phase::Accepting => {
                self.out.push_back(Segment { syn: true, accepts: true, ..Segment::default() });
            }
            Phase::Open => {
                self.threshold = (self.in_pipe() / 2).max(2 * MSS as u64);
                self.window = MSS as u64;
                self.recovery = Some(self.next);
                for segment in self.flight.iter_mut().filter(|segment| !segment.sacked) {
                    segment.lost = true;
                }
                self.send_what_may_go(now);
            }
            Phase::Over => {}
        }
    }

    /// A segment of the other end came in.
    pub fn on_segment(&mut self, now: Time, segment: &Segment) {
        if segment.rst {
            let cause = if self.phase == Phase::Dialling { Told::Refused } else { Told::Reset };
            return self.give_up(cause);
        }
        match self.phase {
            Phase::Dialling if segment.accepts => self.open(now),
            Phase::Accepting if !segment.syn => self.open(now),
            Phase::Dialling | Phase::Accepting | Phase::Over => return,
            Phase::Open => {}
        }
        // An answer that comes again says that the third segment was lost.
        self.owes_ack |= segment.syn;
        self.on_ack(now, segment.ack, &segment.sacked);
        self.on_bytes(segment);
        self.send_what_may_go(now);
    }

    fn open(&mut self, now: Time) {
        // The third segment answers the second; nothing answers the third.
        self.owes_ack |= self.phase == Phase::Dialling;
        self.phase = Phase::Open;
        self.timeout = FIRST_RTO;
        if self.timeouts == 0 {
            self.measure(now.since(self.began));
        }
        self.timeouts = 0;
        self.deadline = None;
        self.told.push_back(Told::Opened);
        self.send_what_may_go(now);
    }

    fn give_up(&mut self, cause: Told) {
        if self.phase != Phase::Over {
            self.phase = Phase::Over;
            self.told.push_back(cause);
        }
    }

    fn acknowledge(&mut self, segment: &mut Segment) {
        self.owes_ack = false;
        segment.ack = self.expected;
        let mut runs: Vec<Range<u64>> = Vec::new();
        for (&seq, bytes) in &self.ahead {
            let end = seq + bytes.len() as u64;
            match runs.last_mut().filter(|run| run.end >= seq) {
                Some(run) => run.end = run.end.max(end),
                None => runs.push(seq..end),
            }
        }
        // The run of what came last is always named, so that in time the sender hears of all.
        if let Some(at) = runs.iter().position(|run| run.contains(&self.latest)) {
            runs[..=at].rotate_right(1);
        }
        runs.truncate(NAMED_RUNS);
        segment.sacked = runs;
    }

    fn on_bytes(&mut self, segment: &Segment) {
        let end = segment.seq + segment.bytes.len() as u64;
        if segment.fin {
            self.end = Some(end);
        }
        if segment.bytes.is_empty() && !segment.fin {
            return;
        }
        self.owes_ack = true;
        if segment.seq == self.expected {
            self.take(segment.bytes.clone());
        } else if segment.seq > self.expected && !segment.bytes.is_empty() {
            self.latest = segment.seq;
            self.ahead.insert(segment.seq, segment.bytes.clone());
        }
        while let Some(entry) = self.ahead.first_entry() {
            if *entry.key() > self.expected {
                break;
            }
            let (seq, bytes) = entry.remove_entry();
            if seq == self.expected {
                self.take(bytes);
            }
        }
        if self.end == Some(self.expected) {
            // The end counts as one byte, so that it can be acknowledged.
            self.expected += 1;
            self.told.push_back(Told::Ended);
        }
    }

    fn take(&mut self, bytes: Bytes) {
        self.expected += bytes.len() as u64;
        if !bytes.is_empty() {
            self.told.push_back(Told::Bytes(bytes));
        }
    }

    fn on_ack(&mut self, now: Time, ack: u64, sacked: &[Range<u64>]) {
        let mut acked = 0;
        while let Some(first) = self.flight.front().filter(|first| first.end() <= ack) {
            acked += first.bytes.len() as u64;
            let sample = (!first.again && !first.sacked).then(|| now.since(first.sent));
            self.flight.pop_front();
            match sample {
                Some(sample) => self.measure(sample),
                None => self.reckon_timeout(),
            }
            self.timeouts = 0;
            self.deadline = self.has_said_all().then(|| now + ORPHAN_TIME);
        }
        if acked > 0 && self.window < self.threshold {
            // Also after a timeout, when everything is said again.
            self.window += acked;
        } else if acked > 0 && self.recovery.is_none() {
            self.window += (MSS as u64 * acked).div_ceil(self.window);
        }
        if self.recovery.is_some_and(|point| ack >= point) {
            self.recovery = None;
        }
        if !sacked.is_empty() {
            self.on_sacks(sacked);
        }
    }

    /// Marks what has come ahead, and what is lost by that.
    fn on_sacks(&mut self, runs: &[Range<u64>]) {
        for segment in self.flight.iter_mut().filter(|segment| !segment.bytes.is_empty()) {
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
            self.threshold = (self.window / 2).max(2 * MSS as u64);
            self.window = self.threshold;
        }
    }

    /// RFC 6298, section 2.
    fn measure(&mut self, sample: Duration) {
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

    /// Bytes under way, as far as is known.
    fn in_pipe(&self) -> u64 {
        let under_way = self.flight.iter().filter(|segment| !segment.sacked && !segment.lost);
        under_way.map(|segment| segment.bytes.len() as u64).sum()
    }

    fn send_what_may_go(&mut self, now: Time) {
        if self.phase != Phase::Open {
            return;
        }
        let mut pipe = self.in_pipe();
        for segment in self.flight.iter_mut().filter(|segment| segment.lost) {
            if pipe > 0 && pipe + segment.bytes.len() as u64 > self.window {
                break;
            }
            (segment.lost, segment.again, segment.sent) = (false, true, now);
            pipe += segment.bytes.len() as u64;
            self.retransmitted += segment.bytes.len() as u64;
            let (seq, bytes, fin) = (segment.seq, segment.bytes.clone(), segment.fin);
            self.out.push_back(Segment { seq, bytes, fin, ..Segment::default() });
        }
        while !self.unsent.is_empty() && (pipe == 0 || pipe + MSS as u64 <= self.window) {
            let bytes = self.next_bytes();
            pipe += bytes.len() as u64;
            self.launch(now, bytes, false);
        }
        if self.closing && self.unsent.is_empty() && !self.fin_sent {
            self.fin_sent = true;
            self.launch(now, Bytes::new(), true);
        }
        if !self.flight.is_empty() {
            self.deadline.get_or_insert(now + self.timeout);
        }
    }

    /// Cuts a segment's bytes off what waits. A piece that was written whole is not joined with
    /// the next one: its bytes stay shared.
    fn next_bytes(&mut self) -> Bytes {
        let Some(first) = self.unsent.front_mut() else { return Bytes::new() };
        let bytes = first.split_to(first.len().min(MSS));
        if first.is_empty() {
            self.unsent.pop_front();
        }
        self.unsent_bytes -= bytes.len();
        bytes
    }

    fn launch(&mut self, now: Time, bytes: Bytes, fin: bool) {
        let seq = self.next;
        self.next += bytes.len() as u64 + u64::from(fin);
        self.out.push_back(Segment { seq, bytes: bytes.clone(), fin, ..Segment::default() });
        let flags = (false, false, false);
        let (again, sacked, lost) = flags;
        self.flight.push_back(InFlight { seq, bytes, fin, sent: now, again, sacked, lost });
    }
}

#[cfg(test)]
mod tests;
