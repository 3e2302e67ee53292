//! What must hold in every run (invariants S1 to S5 of the delivery promise, and liveness).
//!
//! A system *claims* the invariants that it keeps; breaking a claimed one fails the run, breaking
//! another is listed as unclaimed.

use crate::population::System;
use quilt_proto::{Message, Notice, Seq, Source, Time};
use std::collections::BTreeMap;
use std::fmt;

/// Something that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// No application sees a message twice.
    S1,
    /// What is delivered is what was published.
    S2,
    /// What is delivered was published by its source.
    S3,
    /// Delivered and gapped messages are contiguous and disjoint.
    S4,
    /// From one source, messages come in rising order.
    S5,
    /// Every packet that comes to a host is accounted for: received whole, or dropped for a
    /// reason.
    S13,
    /// Every message published to sound members reaches them all.
    L2,
    /// A join ends in admission or rejection within five seconds.
    L5,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The invariants that a system claims. Claims only ever grow.
pub fn claims(_system: System) -> &'static [Invariant] {
    use Invariant::{L5, S1, S2, S3, S4, S5};
    &[S1, S2, S3, S4, S5, L5]
}

/// An invariant that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// When.
    pub at: Time,
    /// How.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.at.as_nanos() as f64 / 1e6;
        write!(f, "{} at {ms:.3} ms: {}", self.invariant, self.what)
    }
}

/// The most violations that are kept: after some the cause is clear.
const MAX_VIOLATIONS: usize = 100;

/// Checks what every application is told.
#[derive(Debug)]
pub struct Checker {
    size: usize,
    cursors: BTreeMap<(usize, Source), Seq>,
    violations: Vec<Violation>,
}

impl Checker {
    /// Checks messages of `size` bytes made by [`body`].
    pub fn new(size: usize) -> Self {
        Self { size, cursors: BTreeMap::new(), violations: Vec::new() }
    }

    /// A host was told something.
    pub fn told(&mut self, at: Time, host: usize, notice: &Notice, published: u64, by: Source) {
        match notice {
            Notice::Message(message) => self.delivered(at, host, message, published, by),
            &Notice::Gap { source, from, to, .. } => self.advance(at, host, source, from, to),
            _ => {}
        }
    }

    /// Something else was broken.
    pub fn broken(&mut self, invariant: Invariant, at: Time, what: String) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation { invariant, at, what });
        }
    }

    /// All that was broken.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    fn delivered(&mut self, at: Time, host: usize, message: &Message, published: u64, by: Source) {
        let Message { source, seq, body: delivered } = message;
        if *source != by || seq.0 >= published {
            let what = format!("host {host} got {source} {}, which nobody published", seq.0);
            self.broken(Invariant::S3, at, what);
        }
        if !is_body(seq.0, self.size, delivered.chunks()) {
            let what = format!("host {host} got {} with other bytes than were published", seq.0);
            self.broken(Invariant::S2, at, what);
        }
        self.advance(at, host, *source, *seq, *seq);
    }

    /// The next messages of a stream were delivered or given up.
    fn advance(&mut self, at: Time, host: usize, source: Source, from: Seq, to: Seq) {
        let cursor = self.cursors.entry((host, source)).or_insert(from);
        let expected = *cursor;
        *cursor = to.next();
        let what = |word: &str| {
            format!("host {host} {word} {}..={} where {} was next", from.0, to.0, expected.0)
        };
        if to < from {
            self.broken(Invariant::S4, at, what("was told of"));
        } else if from < expected {
            self.broken(Invariant::S1, at, what("was told again of"));
            self.broken(Invariant::S5, at, what("went back to"));
        } else if from > expected {
            self.broken(Invariant::S4, at, what("skipped to"));
        }
    }
}

/// The bytes of message `number`.
pub fn body(number: u64, size: usize) -> Vec<u8> {
    (0..size).map(|at| byte(number, at)).collect()
}

fn byte(number: u64, at: usize) -> u8 {
    match at {
        0..8 => number.to_be_bytes()[at],
        _ => (number as u8).wrapping_mul(31).wrapping_add(at as u8),
    }
}

fn is_body<'a>(number: u64, size: usize, chunks: impl Iterator<Item = &'a bytes::Bytes>) -> bool {
    let mut at = 0;
    for chunk in chunks {
        if !chunk.iter().zip(at..).all(|(&found, at)| found == byte(number, at)) {
            return false;
        }
        at += chunk.len();
    }
    at == size
}

#[cfg(test)]
mod tests {
    use super::*;
    use quilt_proto::{GapCause, HostTag, Incarnation};

    const BY: Source = Source { host: HostTag(7), incarnation: Incarnation(1) };

    fn gap(from: u64, to: u64) -> Notice {
        Notice::Gap { source: BY, from: Seq(from), to: Seq(to), cause: GapCause::Unrepaired }
    }

    fn broken(notices: &[Notice]) -> Vec<Invariant> {
        let mut checker = Checker::new(10);
        notices.iter().for_each(|notice| checker.told(Time::ZERO, 1, notice, 100, BY));
        checker.violations().iter().map(|violation| violation.invariant).collect()
    }

    #[test]
    fn contiguous_gaps_are_fine_and_holes_and_repetitions_are_not() {
        assert_eq!(broken(&[gap(3, 5), gap(6, 6)]), []);
        assert_eq!(broken(&[gap(3, 5), gap(7, 7)]), [Invariant::S4]);
        assert_eq!(broken(&[gap(3, 5), gap(5, 7)]), [Invariant::S1, Invariant::S5]);
    }

    #[test]
    fn a_body_says_which_message_it_is() {
        let bytes = bytes::Bytes::from(body(258, 300));
        assert!(is_body(258, 300, [bytes.slice(..7), bytes.slice(7..)].iter()));
        assert!(!is_body(259, 300, [bytes.clone()].iter()));
        assert!(!is_body(258, 301, [bytes].iter()));
    }
}
