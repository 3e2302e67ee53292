//! The bootstrap service as a member sees it: ask, report, obey.

use super::links::Links;
use crate::wire::{Frame, MAX_DATAGRAM_BYTES};
use crate::{Rng, Time};
use core::net::SocketAddr;
use core::time::Duration;

/// A group that has not been joined by then is not.
const JOIN_DEADLINE: Duration = Duration::from_millis(4_500);
/// The first pause before a question is asked again, doubled each time.
const RETRY: Duration = Duration::from_millis(100);
const MAX_RETRY: Duration = Duration::from_secs(2);
/// So many questions without an answer, and the service counts as silent.
const SILENT_AFTER: u32 = 4;
/// Every so many tries one goes by TCP, in case UDP is blocked.
const TCP_EVERY: u32 = 3;

/// How far this host's dealings with a group's bootstrap service have come.
#[derive(Debug)]
pub(super) struct Client {
    at: SocketAddr,
    cookie: u64,
    epoch: u64,
    since: Time,
    next: Time,
    /// Questions since the last answer.
    tries: u32,
    /// When the service last wanted this host's address proved.
    challenged: Option<Time>,
    admitted: bool,
    by_tcp: bool,
    prefers_tcp: bool,
}

/// What time has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// A report is due.
    Report,
    /// A report is due, and the service has just come to count as silent.
    ReportToSilent,
    /// The host was not admitted in time.
    TooLate,
}

impl Client {
    /// A client of the service at `at`, which asks for the first time at `first`.
    pub(super) fn new(now: Time, first: Time, at: SocketAddr) -> Self {
        Self {
            at,
            cookie: 0,
            epoch: 0,
            since: now,
            next: first,
            tries: 0,
            challenged: None,
            admitted: false,
            by_tcp: false,
            prefers_tcp: false,
        }
    }

    pub(super) fn at(&self) -> SocketAddr {
        self.at
    }

    pub(super) fn cookie(&self) -> u64 {
        self.cookie
    }

    pub(super) fn poll_timeout(&self) -> Time {
        self.next
    }

    pub(super) fn on_timeout(&mut self, now: Time) -> Due {
        if !self.admitted && self.since + JOIN_DEADLINE <= now {
            return Due::TooLate;
        }
        if self.next > now {
            return Due::Nothing;
        }
        if self.tries == SILENT_AFTER { Due::ReportToSilent } else { Due::Report }
    }

    /// Sends a report, or a farewell, and waits for the answer.
    pub(super) fn send(&mut self, now: Time, rng: &mut Rng, links: &mut Links, frame: &Frame) {
        self.by_tcp = self.goes_by_tcp(self.tries);
        if self.by_tcp {
            links.send_to_service(self.at, frame, self.tries > SILENT_AFTER);
        } else {
            let at_least = if self.cookie == 0 { MAX_DATAGRAM_BYTES } else { 0 };
            links.send_datagram(self.at, frame, at_least);
        }
        let doublings = self.tries.min(8);
        let pause = RETRY.saturating_mul(1_u32.wrapping_shl(doublings)).min(MAX_RETRY);
        self.tries = self.tries.saturating_add(1);
        self.next = now + jittered(rng, pause);
        if !self.admitted {
            self.next = self.next.min(self.since + JOIN_DEADLINE);
        }
    }

    /// Sends a question beside the reports, for the `tries`th time, from 0.
    pub(super) fn ask(&self, links: &mut Links, tries: u32, question: &Frame) {
        if self.goes_by_tcp(tries) {
            links.send_to_service(self.at, question, false);
        } else {
            links.send_datagram(self.at, question, 0);
        }
    }

    fn goes_by_tcp(&self, tries: u32) -> bool {
        let turn = tries.checked_rem(TCP_EVERY).unwrap_or(0);
        self.prefers_tcp != (turn == TCP_EVERY.saturating_sub(1))
    }

    /// The service wants this host's address proved: the next report, or the survey that is under
    /// way, does it, at once. False if the cookie is not taken.
    /// But not for ever, or whoever forges its address has this host send it a report for every
    /// few bytes.
    pub(super) fn on_cookie(&mut self, now: Time, cookie: u64, surveys: bool) -> bool {
        let lately = self.challenged.is_some_and(|at| now < at + RETRY);
        if lately || !(self.is_asking() || surveys) {
            return false;
        }
        self.challenged = Some(now);
        self.cookie = cookie;
        if self.is_asking() {
            self.next = now;
            self.tries = self.tries.saturating_sub(1);
        }
        true
    }

    /// The service answered, or said something unasked. True if it had counted as silent.
    pub(super) fn on_answer(&mut self, now: Time, rng: &mut Rng, interval: Duration) -> bool {
        let was_silent = self.tries > SILENT_AFTER;
        let next = now + jittered(rng, interval);
        // Where others come and go, orders that nobody asked for may come more often than reports are
        // due.
        self.next = if self.is_asking() { next } else { self.next.min(next) };
        self.admitted = true;
        self.tries = 0;
        self.prefers_tcp = self.by_tcp;
        was_silent
    }

    /// Whether an order is not older than the last one. A service that started anew has another
    /// upper half; only within one life do its numbers compare.
    pub(super) fn accepts(&mut self, epoch: u64) -> bool {
        let current = self.epoch >> 32 != epoch >> 32 || epoch >= self.epoch;
        if current {
            self.epoch = epoch;
        }
        current
    }

    /// Something changed that the service should know at `at`.
    pub(super) fn hurry(&mut self, at: Time) {
        self.next = self.next.min(at);
    }

    /// Whether a question is under way.
    pub(super) fn is_asking(&self) -> bool {
        self.tries > 0
    }
}

/// Between 90 and 110 per cent of a pause, so that hosts do not all ask at once.
fn jittered(rng: &mut Rng, pause: Duration) -> Duration {
    let percent = u32::try_from(rng.below(21)).unwrap_or(0).saturating_add(90);
    pause.saturating_mul(percent).checked_div(100).unwrap_or(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_taken_for_a_survey_too_and_hurries_no_report() {
        let mut client = Client::new(Time::ZERO, Time::ZERO, ([127, 0, 0, 1], 4_000).into());
        client.next = Time::from_millis(900);
        assert!(!client.on_cookie(Time::ZERO, 7, false), "nothing is asked");
        assert!(client.on_cookie(Time::ZERO, 8, true));
        assert_eq!((client.cookie(), client.next), (8, Time::from_millis(900)));
        assert!(!client.on_cookie(Time::from_millis(99), 9, true), "too soon");
    }

    #[test]
    fn orders_that_nobody_asked_for_put_off_no_report() {
        let (mut rng, second) = (Rng::new(1), Duration::from_secs(1));
        let mut client = Client::new(Time::ZERO, Time::ZERO, ([127, 0, 0, 1], 4_000).into());
        client.tries = 1;
        client.on_answer(Time::ZERO, &mut rng, second * 5);
        let first = client.next;
        for millis in (500..4_500).step_by(500) {
            client.on_answer(Time::from_millis(millis), &mut rng, second * 5);
            assert_eq!(client.next, first);
        }
        // A representative has to report more often, from its appointment on.
        client.on_answer(Time::from_millis(600), &mut rng, second);
        assert!(client.next < Time::from_millis(1_701));
    }

    #[test]
    fn forged_cookies_draw_few_reports() {
        let mut client = Client::new(Time::ZERO, Time::ZERO, ([127, 0, 0, 1], 4_000).into());
        client.tries = 1;
        let mut reports = 0;
        for millis in 1..=1_000 {
            client.on_cookie(Time::from_millis(millis), millis, false);
            if client.next <= Time::from_millis(millis) {
                reports += 1;
                client.tries = 1;
                client.next = Time::MAX;
            }
        }
        assert_eq!(reports, 10);
    }
}
