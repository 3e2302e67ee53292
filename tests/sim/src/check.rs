//! What must hold in every run: the invariants of the delivery promise, S for safety and L for
//! liveness.
//!
//! A system *claims* the invariants that it keeps ([`claims`]); breaking a claimed one fails the
//! run, breaking another is listed as unclaimed. One module a family: [`safety`] has what
//! applications are told, [`wire`] what hosts send to each other, [`proof`] to whom, [`bounds`] what hosts have and
//! how much they do, [`liveness`] what must come to be. All look on from outside, at packets, at
//! calls, and at what a [`Node`](quilt_proto::Node) says of itself.

pub mod bounds;
mod claims;
pub mod liveness;
pub mod proof;
pub mod safety;
pub mod wire;

pub use claims::{CLAIMED_LOSS, Circumstances, claims};
pub use safety::{Safety, body};

use quilt_proto::Time;
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
    /// From one source, messages come in rising order, and its lives one after another.
    S5,
    /// A directed link carries a fragment unasked at most once, and no more of what is asked for
    /// than was asked for.
    S6,
    /// No cycle of parents outlives one liveness interval.
    S7,
    /// Nothing that grows is beyond its limit.
    S8,
    /// There is at most one live token for each ring and epoch.
    S9,
    /// No more bytes go to an address than came from it, until it has proved itself.
    S10,
    /// One event has bounded work as its consequence, and a host that nothing happens to comes to
    /// rest.
    S11,
    /// The same seed gives the same run.
    S12,
    /// Every datagram that comes to a host is counted once: received whole, or dropped for a
    /// reason. Packets in streams are not checked, since the machine counts them in the same
    /// counters.
    S13,
    /// A sequence number that `publish` has given is given once.
    S14,
    /// The patches of all live hosts become one tree soon after the last fault.
    L1,
    /// Every message reaches all members that were sound throughout, at the latest ten seconds
    /// after the last one was published.
    L2,
    /// Who misses the last message notices it soon.
    L3,
    /// Who may not publish may do so again soon, and is told.
    L4,
    /// A join of a host that is sound ends in admission within five seconds.
    L5,
    /// Ten seconds after the last message no queue holds a fragment.
    L6,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 20] = {
        use Invariant::*;
        [S1, S2, S3, S4, S5, S6, S7, S8, S9, S10, S11, S12, S13, S14, L1, L2, L3, L4, L5, L6]
    };
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
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
    /// Whether a run may claim the invariant. If not, no run claims that this does not happen.
    pub may_be_claimed: bool,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.at.as_nanos() as f64 / 1e6;
        write!(f, "{} at {ms:.3} ms: {}", self.invariant, self.what)
    }
}

/// The most violations of one invariant that are kept: after some the cause is clear.
const MAX_OF_ONE: usize = 20;

/// The violations of a run, in the order in which they were found.
#[derive(Debug, Default)]
pub struct Violations {
    kept: Vec<Violation>,
    counts: BTreeMap<(Invariant, bool), usize>,
}

impl Violations {
    /// One more; of each invariant the first twenty are kept.
    pub fn add(&mut self, invariant: Invariant, at: Time, what: String) {
        self.keep(Violation { invariant, at, what, may_be_claimed: true }, MAX_OF_ONE);
    }

    /// One more, of a kind that no run claims not to have; of each invariant the first is kept.
    pub fn add_unclaimed(&mut self, invariant: Invariant, at: Time, what: String) {
        self.keep(Violation { invariant, at, what, may_be_claimed: false }, 1);
    }

    fn keep(&mut self, one: Violation, most: usize) {
        let count = self.counts.entry((one.invariant, one.may_be_claimed)).or_default();
        *count += 1;
        if *count <= most {
            self.kept.push(one);
        }
    }

    /// Those that are kept.
    pub fn all(&self) -> &[Violation] {
        &self.kept
    }

    /// Puts them in the order of their times.
    pub fn sort(&mut self) {
        self.kept.sort_by_key(|violation| violation.at);
    }

    /// Takes over what another one has, and leaves it empty.
    pub fn absorb(&mut self, other: &mut Self) {
        for violation in std::mem::take(other).kept {
            self.keep(violation, MAX_OF_ONE);
        }
    }

    /// Which invariants were broken, each named as often as in a row.
    #[cfg(test)]
    pub(crate) fn names(&self) -> Vec<Invariant> {
        self.kept.iter().map(|violation| violation.invariant).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_violations_of_one_invariant_leave_room_for_those_of_another() {
        let mut violations = Violations::default();
        (0..1_000).for_each(|_| violations.add(Invariant::S6, Time::ZERO, "again".into()));
        violations.add(Invariant::S1, Time::from_millis(7), "twice".into());
        assert_eq!(violations.all().len(), MAX_OF_ONE + 1);
        assert_eq!(violations.all()[MAX_OF_ONE].to_string(), "S1 at 7.000 ms: twice");
        let mut all = Violations::default();
        all.absorb(&mut violations);
        assert_eq!((all.names().len(), violations.names().len()), (MAX_OF_ONE + 1, 0));
    }

    #[test]
    fn all_invariants_are_listed_once_and_in_order() {
        assert!(Invariant::ALL.is_sorted_by(|a, b| a < b));
    }
}
