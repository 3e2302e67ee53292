//! Datagrams to and from a host that there is a stream to.
//!
//! A flow is tried where the stream stands still, and carries what may be lost: fragments, words,
//! requests and beats. What does not come is asked for like anything else that is missing, so a flow
//! sends nothing again; it only learns what came, and how fast that may be.

use super::congestion::{Congestion, DATAGRAM, FIRST_WINDOW, MAX_WINDOW};
use super::pacer::Pacer;
use crate::Time;
use crate::wire::Ack;
use alloc::collections::VecDeque;
use core::net::SocketAddr;
use core::time::Duration;

/// How often a flow is tried in a row: after this time, and then twice as long each time up to the
/// longest.
const TRIES: u8 = 7;
const TRY_PAUSE: Duration = Duration::from_millis(100);
const MAX_TRY_PAUSE: Duration = Duration::from_millis(800);
/// Where no datagram comes through, none is tried for so long.
const REST: Duration = Duration::from_secs(30);
/// So many datagrams are acknowledged at once, or what came after this time.
const ACK_EVERY: u8 = 16;
const ACK_PAUSE: Duration = Duration::from_millis(25);
/// Datagrams that overtake one by fewer places say nothing about it.
const REORDERING: u16 = 3;
/// A flow is over of which nothing was acknowledged for so long, and for four timeouts, and of so
/// many datagrams in a row.
const SILENCE: Duration = Duration::from_secs(1);
const UNHEARD: u8 = 8;

/// The flow to and from one host.
#[derive(Debug)]
pub(super) struct Flow {
    /// Where its datagrams go.
    at: SocketAddr,
    /// What they have to show.
    token: u32,
    state: State,
    /// The number of the next datagram.
    next: u16,
    /// What is under way, in order.
    sent: VecDeque<Sent>,
    in_flight: u64,
    /// When the first datagram left since something was acknowledged last.
    unanswered: Option<Time>,
    /// How many have left since then.
    unheard: u8,
    /// One is to leave even if nothing waits, since the last ones are lost.
    asks: bool,
    congestion: Congestion,
    pacer: Pacer,
    came: Came,
    tally: Tally,
}

/// What is to be counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) opened: u64,
    pub(super) ended: u64,
    pub(super) sent: u64,
    pub(super) lost: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody asks for it.
    Idle,
    /// Whether datagrams come through is being tried: so many times more, from then on.
    Trying { left: u8, pause: Duration, next: Time },
    /// It carries what there is.
    Open,
    /// They do not come through.
    Resting(Time),
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    number: u16,
    bytes: u16,
    at: Time,
    /// It is known to have come.
    came: bool,
}

/// What came of the other side's datagrams.
#[derive(Debug, Default)]
struct Came {
    /// The number behind the highest one; `None` before the first.
    next: Option<u16>,
    got: u64,
    newest: Time,
    /// Datagrams that are to be acknowledged, and when.
    owed: u8,
    due: Option<Time>,
}

impl Flow {
    pub(super) fn new(now: Time, at: SocketAddr, token: u32) -> Self {
        Self {
            at,
            token,
            state: State::Idle,
            next: 0,
            sent: VecDeque::new(),
            in_flight: 0,
            unanswered: None,
            unheard: 0,
            asks: false,
            congestion: Congestion::new(now),
            pacer: Pacer::new(u64::MAX),
            came: Came::default(),
            tally: Tally::default(),
        }
    }

    /// What happened since the last call.
    pub(super) fn take_tally(&mut self) -> Tally {
        core::mem::take(&mut self.tally)
    }

    pub(super) fn at(&self) -> SocketAddr {
        self.at
    }

    pub(super) fn token(&self) -> u32 {
        self.token
    }

    /// After this time without an acknowledgement a datagram is lost.
    pub(super) fn timeout(&self) -> Duration {
        self.congestion.timeout()
    }

    /// Whether it carries what there is.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Finds out whether datagrams come through, unless that is known; whether that is news.
    pub(super) fn start(&mut self, now: Time) -> bool {
        let starts = match self.state {
            State::Idle => true,
            State::Resting(until) => until <= now,
            State::Trying { .. } | State::Open => false,
        };
        if starts {
            self.state = State::Trying { left: TRIES, pause: TRY_PAUSE, next: now };
        }
        starts
    }

    /// Whether one more datagram may leave with what waits.
    pub(super) fn may_carry(&mut self, now: Time) -> bool {
        if !self.is_open() || self.in_flight.saturating_add(DATAGRAM) > self.congestion.window() {
            return false;
        }
        self.pacer.refill(now);
        self.in_flight < FIRST_WINDOW || self.pacer.may_send()
    }

    /// Whether a datagram is to leave even if nothing waits.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.owes(now) || self.tries(now)
    }

    /// Whether a datagram is to leave that has nothing in it, to find out whether any comes.
    pub(super) fn tries(&self, now: Time) -> bool {
        self.asks
            || matches!(self.state, State::Trying { left, next, .. } if left > 0 && next <= now)
    }

    fn owes(&self, now: Time) -> bool {
        self.came.owed >= ACK_EVERY || self.came.due.is_some_and(|due| due <= now)
    }

    /// The acknowledgement that is due.
    pub(super) fn take_ack(&mut self, now: Time) -> Option<Ack> {
        if !self.owes(now) {
            return None;
        }
        (self.came.owed, self.came.due) = (0, None);
        let held = now.since(self.came.newest).as_micros();
        let held_us = u32::try_from(held).unwrap_or(u32::MAX);
        Some(Ack { next: self.came.next?, got: self.came.got, held_us })
    }

    /// The number of the datagram that leaves now.
    pub(super) fn take_number(&mut self) -> u16 {
        let number = self.next;
        self.next = number.wrapping_add(1);
        number
    }

    /// A datagram leaves that is to be acknowledged.
    pub(super) fn on_sent(&mut self, now: Time, number: u16, bytes: usize) {
        if let State::Trying { left, pause, next } = &mut self.state {
            *left = left.saturating_sub(1);
            *next = now + *pause;
            *pause = pause.saturating_mul(2).min(MAX_TRY_PAUSE);
        }
        self.unanswered.get_or_insert(now);
        self.unheard = self.unheard.saturating_add(1);
        self.asks = false;
        self.tally.sent = self.tally.sent.saturating_add(1);
        let bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
        self.in_flight = self.in_flight.saturating_add(bytes.into());
        self.sent.push_back(Sent { number, bytes, at: now, came: false });
        self.pacer.spend(bytes.into());
    }

    /// A datagram of the other side came, from an address, and is to be acknowledged if `counts`.
    pub(super) fn on_datagram(&mut self, now: Time, from: SocketAddr, number: u16, counts: bool) {
        if !self.is_open() && self.at != from {
            // What stands in front of the other side lets answers in there.
            self.at = from;
            self.state = State::Idle;
        }
        // The other side wants datagrams, and they come through in one direction at least.
        if self.state == State::Idle {
            self.start(now);
        }
        self.came.note(now, number);
        if counts {
            self.came.owed = self.came.owed.saturating_add(1);
            let pause = if self.is_open() { ACK_PAUSE } else { Duration::ZERO };
            self.came.due.get_or_insert(now + pause);
        }
    }

    /// Whether a datagram came before: the network has made two of one. Also while this side does not
    /// know whether its own come through, the other may send what there is.
    pub(super) fn has_come(&self, number: u16) -> bool {
        self.came.has(number)
    }

    /// The other side says what came.
    pub(super) fn on_ack(&mut self, now: Time, ack: &Ack) {
        let was_full = self.in_flight >= self.congestion.window() / 2;
        let highest = ack.next.wrapping_sub(1);
        let mut newest = None;
        for sent in self.sent.iter_mut().filter(|sent| !sent.came) {
            let behind = highest.wrapping_sub(sent.number);
            if behind < 64 && ack.got.wrapping_shr(behind.into()) & 1 == 1 {
                sent.came = true;
                newest = newest.max(Some((sent.at, behind)));
                self.in_flight = self.in_flight.saturating_sub(sent.bytes.into());
                self.congestion.on_came(sent.bytes.into(), was_full);
            }
        }
        let Some((at, behind)) = newest else { return };
        if behind == 0 {
            let held = Duration::from_micros(ack.held_us.into());
            self.congestion.measure(now, now.since(at).saturating_sub(held));
        }
        (self.unanswered, self.unheard, self.asks) = (None, 0, false);
        if !self.is_open() {
            self.state = State::Open;
            self.tally.opened = self.tally.opened.saturating_add(1);
        }
        self.settle(now, |sent| {
            let behind = highest.wrapping_sub(sent.number);
            (REORDERING..u16::MAX / 2).contains(&behind)
        });
    }

    /// Takes out what came, and what is lost, from the oldest on.
    fn settle(&mut self, now: Time, is_lost: impl Fn(&Sent) -> bool) {
        while let Some(&sent) = self.sent.front() {
            if !sent.came {
                if !is_lost(&sent) {
                    break;
                }
                self.in_flight = self.in_flight.saturating_sub(sent.bytes.into());
                self.congestion.on_lost(now, sent.at);
                self.tally.lost = self.tally.lost.saturating_add(1);
            }
            self.sent.pop_front();
        }
        if let Some(pace) = self.congestion.pace() {
            self.pacer.pace(now, pace);
        }
    }

    /// Gives up what is not acknowledged in time; whether the flow ends by that.
    pub(super) fn on_timeout(&mut self, now: Time) -> bool {
        if matches!(self.state, State::Trying { left: 0, next, .. } if next <= now) {
            self.state = State::Resting(now + REST);
            self.forget();
            return false;
        }
        let timeout = self.congestion.timeout();
        let silence = timeout.saturating_mul(4).max(SILENCE);
        let silent = self.unanswered.is_some_and(|since| since + silence <= now);
        if self.is_open() && silent && self.unheard >= UNHEARD {
            self.congestion.on_silence(now);
            self.tally.ended = self.tally.ended.saturating_add(1);
            self.forget();
            self.state = State::Idle;
            return self.start(now);
        }
        if self.is_open() {
            self.settle(now, |sent| sent.at + timeout <= now);
            self.asks |= self.sent.is_empty() && self.unanswered.is_some();
        }
        false
    }

    fn forget(&mut self) {
        self.sent.clear();
        self.in_flight = 0;
        (self.unanswered, self.unheard, self.asks) = (None, 0, false);
    }

    /// When something is to be done that no pull and no event brings about. `listed`: the adapter
    /// pulls already; `waits`: there is something to carry.
    pub(super) fn next_deadline(&self, listed: bool, waits: bool) -> Option<Time> {
        let tries = match self.state {
            State::Trying { left, next, .. } if left == 0 || !listed => Some(next),
            _ => None,
        };
        let due = self.came.due.filter(|_| !listed);
        let first = self.sent.front().filter(|_| self.is_open());
        let lost = first.map(|sent| sent.at + self.congestion.timeout());
        let full = self.in_flight.saturating_add(DATAGRAM) > self.congestion.window();
        let paced = self.is_open() && waits && !listed && !full;
        let earned = paced.then(|| self.pacer.next_deadline()).flatten();
        [tries, due, lost, earned].into_iter().flatten().min()
    }
}

impl Came {
    /// Whether a number was entered, as far as that is remembered.
    fn has(&self, number: u16) -> bool {
        let behind = self.next.map(|next| u32::from(next.wrapping_sub(1).wrapping_sub(number)));
        behind.is_some_and(|behind| self.got.checked_shr(behind).unwrap_or(0) & 1 == 1)
    }

    /// Enters a number; the window of what is remembered moves with the highest one.
    fn note(&mut self, now: Time, number: u16) {
        let Some(next) = self.next else {
            (self.next, self.got, self.newest) = (Some(number.wrapping_add(1)), 1, now);
            return;
        };
        let ahead = number.wrapping_sub(next);
        if ahead < u16::MAX / 2 {
            let moved = u32::from(ahead).saturating_add(1);
            self.got = self.got.checked_shl(moved).unwrap_or(0) | 1;
            (self.next, self.newest) = (Some(number.wrapping_add(1)), now);
        } else {
            let behind = u32::from(next.wrapping_sub(1).wrapping_sub(number));
            self.got |= 1_u64.checked_shl(behind).unwrap_or(0);
        }
    }
}

const _: () = assert!(MAX_WINDOW / DATAGRAM < u16::MAX as u64 / 4, "numbers do not wrap in flight");

#[cfg(test)]
mod tests;
