//! TCP as a model: one end of one stream.
//!
//! Handshake, order, congestion window (slow start and additive increase, RFC 5681), the receiver's
//! window (RFC 9293), selective acknowledgements (RFC 6675's rule of three), retransmission timeout
//! (RFC 6298, with the timestamps of RFC 7323), end and reset.
//! Left out: delayed acknowledgements, growth of buffers, and probes of a lost tail. Bytes are
//! counted here; what they are is known to who writes and who reads.

mod receiver;
mod segment;
mod sender;

pub use receiver::RECEIVE_BUFFER;
pub use segment::{HEADER_BYTES, MSS, Segment};

use quilt_proto::Time;
use receiver::Receiver;
use sender::{FIRST_RTO, MAX_RTO, Sender};
use std::collections::VecDeque;
use std::time::Duration;

/// Timeouts in a row after which the stream is given up.
const PATIENCE: u32 = 10;
/// How long an end that has said everything waits for the other's (Linux's `tcp_fin_timeout`).
const ORPHAN_TIME: Duration = Duration::from_secs(60);

/// What an end tells its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The stream is open.
    Opened,
    /// So many bytes more of the stream have come in order.
    Bytes(u64),
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
    sender: Sender,
    receiver: Receiver,
    timeouts: u32,
    deadline: Option<Time>,
    /// When this end first said that it opens the stream.
    began: Time,
    out: VecDeque<Segment>,
    opened: bool,
    /// How it ended other than in good order.
    failed: Option<Told>,
}

impl End {
    /// The end that dials.
    pub fn dial(now: Time) -> Self {
        Self::new(now, Phase::Dialling)
    }

    /// The end that was dialled.
    pub fn accept(now: Time) -> Self {
        Self::new(now, Phase::Accepting)
    }

    /// With segments that carry so many bytes at most, [`MSS`] by default.
    #[must_use]
    pub fn with_mss(mut self, bytes: usize) -> Self {
        self.sender.set_mss(bytes);
        self
    }

    fn new(now: Time, phase: Phase) -> Self {
        let mut end = Self {
            phase,
            sender: Sender::new(),
            receiver: Receiver::default(),
            timeouts: 0,
            deadline: Some(now + FIRST_RTO),
            began: now,
            out: VecDeque::new(),
            opened: false,
            failed: None,
        };
        end.ask();
        end
    }

    /// Opens the stream, or agrees to.
    fn ask(&mut self) {
        let accepts = self.phase == Phase::Accepting;
        self.out.push_back(Segment { syn: true, accepts, ..Segment::default() });
    }

    /// Whether the host may write more.
    pub fn has_room(&self) -> bool {
        self.phase == Phase::Open && self.sender.has_room()
    }

    /// Takes so many bytes to send. No segment carries bytes of two writes.
    pub fn write(&mut self, now: Time, len: u64) {
        if len == 0 {
            return;
        }
        self.sender.write(len);
        self.send(now);
    }

    /// Ends the stream behind what was written.
    pub fn close(&mut self, now: Time) {
        self.sender.closing = true;
        match self.phase {
            Phase::Open => self.send(now),
            _ => self.phase = Phase::Over,
        }
    }

    /// Whether nothing more will come of it.
    pub fn is_over(&self) -> bool {
        let heard_all = self.receiver.has_heard_all();
        self.phase == Phase::Over || (self.sender.has_said_all() && heard_all)
    }

    /// Payload bytes sent again so far.
    pub fn retransmitted(&self) -> u64 {
        self.sender.retransmitted
    }

    /// When to call [`on_timer`](Self::on_timer).
    pub fn deadline(&self) -> Option<Time> {
        self.deadline.filter(|_| !self.is_over())
    }

    /// Next segment for the other end.
    pub fn poll_segment(&mut self) -> Option<Segment> {
        let mut segment = match self.out.pop_front() {
            Some(segment) => segment,
            None if !self.receiver.take_owed() => return None,
            None => Segment { seq: self.sender.next(), ..Segment::default() },
        };
        self.receiver.acknowledge(&mut segment);
        Some(segment)
    }

    /// Next thing for the host. What it does not take stays in a buffer of [`RECEIVE_BUFFER`]
    /// bytes, and the other side sends no more than there is room for.
    pub fn poll_told(&mut self) -> Option<Told> {
        if std::mem::take(&mut self.opened) {
            return Some(Told::Opened);
        }
        if let Some(bytes) = self.receiver.read() {
            return Some(Told::Bytes(bytes));
        }
        if self.receiver.read_end() {
            return Some(Told::Ended);
        }
        self.failed.take()
    }

    /// Time has come to a deadline.
    pub fn on_timer(&mut self, now: Time) {
        if self.deadline().is_none_or(|at| at > now) {
            return;
        }
        if self.sender.has_said_all() {
            self.phase = Phase::Over;
            return;
        }
        self.timeouts += 1;
        if self.timeouts > PATIENCE {
            return self.give_up(Told::TimedOut);
        }
        self.sender.timeout = (self.sender.timeout * 2).min(MAX_RTO);
        self.deadline = Some(now + self.sender.timeout);
        match self.phase {
            Phase::Dialling | Phase::Accepting => self.ask(),
            Phase::Open => {
                self.sender.on_timeout(now, &mut self.out);
                self.send(now);
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
        if segment.syn {
            // An answer that comes again says that the third segment was lost.
            self.receiver.owe();
        }
        let news = self.sender.on_ack(now, segment);
        if news {
            self.deadline = self.sender.has_said_all().then(|| now + ORPHAN_TIME);
        }
        if news || segment.window == 0 {
            // Whoever has no room lives.
            self.timeouts = 0;
        }
        self.receiver.on_bytes(segment);
        self.send(now);
    }

    fn open(&mut self, now: Time) {
        if self.phase == Phase::Dialling {
            // The third segment answers the second; nothing answers the third.
            self.receiver.owe();
        }
        self.phase = Phase::Open;
        self.sender.timeout = FIRST_RTO;
        if self.timeouts == 0 {
            self.sender.measure(now.since(self.began));
        }
        self.timeouts = 0;
        self.deadline = None;
        self.opened = true;
    }

    fn give_up(&mut self, cause: Told) {
        if self.phase != Phase::Over {
            self.phase = Phase::Over;
            self.failed = Some(cause);
        }
    }

    fn send(&mut self, now: Time) {
        if self.phase != Phase::Open {
            return;
        }
        self.sender.send(now, &mut self.out);
        if self.sender.awaits() {
            self.deadline.get_or_insert(now + self.sender.timeout);
        }
    }
}

#[cfg(test)]
mod tests;
