//! What must hold in every run: the invariants of the delivery promise, S for safety and L for
//! liveness.
//!
//! A system *claims* the invariants that it keeps ([`claims`]); breaking a claimed one fails the
//! run, breaking another is listed as unclaimed. Checked as things happen: S1 to S5 on all that
//! applications are told, and S13 on every datagram. Checked at the end: L2 and L5. What is not
//! checked here: S6 (copies by link), S7 (cycles), S8 (sizes of queues), S9 (tokens), S10
//! (amplification) and S11 (bounded work) need a look into the machines, S12 (equal digests) needs
//! two runs and is a test, S14 is part of S2 and S3 with one publisher; L1, L3, L4 and L6 have no
//! checker.

use crate::population::System;
use quilt_proto::{Counter, Counters, Message, Notice, Seq, Source, Time};
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
    /// Every datagram that comes to a host is counted once: received whole, or dropped for a
    /// reason. Packets in streams are not checked, since the machine counts them in the same
    /// counters.
    S13,
    /// Every message reaches all members that were sound throughout, at the latest ten seconds
    /// after the last one was published.
    L2,
    /// A join of a host that is sound ends in admission within five seconds.
    L5,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The greatest loss at which L2 is claimed.
pub const CLAIMED_LOSS: f64 = 0.1;

/// The invariants that a system claims in a run: S1 to S5, S13 and L5 always, and L2 where no host
/// dies and at most [`CLAIMED_LOSS`] of the packets is lost. Claims only ever grow.
pub fn claims(_system: System, hosts_die: bool, loss: f64) -> &'static [Invariant] {
    use Invariant::{L2, L5, S1, S2, S3, S4, S5, S13};
    match hosts_die || loss > CLAIMED_LOSS {
        true => &[S1, S2, S3, S4, S5, S13, L5],
        false => &[S1, S2, S3, S4, S5, S13, L2, L5],
    }
}

/// How many packets a machine has counted as received or as dropped whole. A datagram raises it by
/// one (S13).
pub fn accounted(counters: &Counters) -> u64 {
    use Counter::{DroppedSuite, DroppedTruncated, DroppedVersion, PacketsReceived};
    let counted = [PacketsReceived, DroppedTruncated, DroppedVersion, DroppedSuite];
    counted.into_iter().map(|counter| counters.get(counter)).sum()
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
            Notice::Message(Message { source, seq, body }) => {
                let sound = is_body(seq.0, self.size, body.chunks());
                self.delivered(at, host, (*source, *seq, sound), (by, published));
            }
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

    /// A message of a source came, whose bytes are sound or not; so many of that other one were
    /// published.
    fn delivered(
        &mut self,
        at: Time,
        host: usize,
        (source, seq, sound): (Source, Seq, bool),
        (by, published): (Source, u64),
    ) {
        if source != by || seq.0 >= published {
            let what = format!("host {host} got {source} {}, which nobody published", seq.0);
            self.broken(Invariant::S3, at, what);
        }
        if !sound {
            let what = format!("host {host} got {} with other bytes than were published", seq.0);
            self.broken(Invariant::S2, at, what);
        }
        self.advance(at, host, source, seq, seq);
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
    fn what_nobody_published_and_what_was_changed_is_noticed() {
        let broken = |messages: &[(Source, u64, bool)]| -> Vec<Invariant> {
            let mut checker = Checker::new(10);
            for &(source, seq, sound) in messages {
                checker.delivered(Time::ZERO, 1, (source, Seq(seq), sound), (BY, 100));
            }
            checker.violations().iter().map(|violation| violation.invariant).collect()
        };
        let another = Source { host: HostTag(8), ..BY };
        assert_eq!(broken(&[(BY, 3, true), (BY, 4, true)]), []);
        assert_eq!(broken(&[(another, 3, true)]), [Invariant::S3]);
        assert_eq!(broken(&[(BY, 100, true)]), [Invariant::S3], "not yet");
        assert_eq!(broken(&[(BY, 3, false)]), [Invariant::S2]);
        assert_eq!(broken(&[(BY, 3, true), (BY, 3, true)]), [Invariant::S1, Invariant::S5]);
        assert_eq!(broken(&[(BY, 3, true), (BY, 5, true)]), [Invariant::S4]);
    }

    #[test]
    fn l2_is_claimed_where_no_host_dies_and_little_is_lost() {
        for system in System::ALL {
            assert!(claims(system, false, CLAIMED_LOSS).contains(&Invariant::L2));
            assert!(!claims(system, true, 0.0).contains(&Invariant::L2));
            assert!(!claims(system, false, 0.2).contains(&Invariant::L2));
        }
    }

    #[test]
    fn a_body_says_which_message_it_is() {
        let bytes = bytes::Bytes::from(body(258, 300));
        assert!(is_body(258, 300, [bytes.slice(..7), bytes.slice(7..)].iter()));
        assert!(!is_body(259, 300, [bytes.clone()].iter()));
        assert!(!is_body(258, 301, [bytes].iter()));
    }
}
