//! The environment identifier: what is known of the surroundings of a host or a patch.

mod connectivity;
mod performance;
mod sorted;
#[cfg(test)]
pub(crate) mod strategy;
mod topology;

pub use connectivity::{
    Barrier, Connectivity, ConnectivityOptions, Dependence, Direction, Nat, Transport, contacts,
    tunnels,
};
pub use performance::{Metric, Performance, Range};
pub use topology::{RouterId, RouterStack};

use alloc::collections::BTreeMap;
use bytes::Bytes;

/// What is known of the surroundings of one network interface, or of all hosts of a patch
/// (paper, section 3.1 and Figure 2).
///
/// Whatever was not sensed is absent, and absent means *unknown*, never "no". Everything in it is
/// a claim: a hint for placing hosts, checked by what the network then does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Euid {
    /// How the host can be reached and can reach others; at most [`Euid::MAX_CONNECTIVITY`].
    pub connectivity: ConnectivityOptions,
    /// The routers on the way to the network's core.
    pub topology: RouterStack,
    /// Measured figures.
    pub performance: Performance,
    /// Fields that this version does not know, by number; at most [`Euid::MAX_EXTENSIONS`] of at
    /// most [`Euid::MAX_EXTENSION_BYTES`] bytes.
    pub extensions: BTreeMap<u16, Bytes>,
}

impl Euid {
    /// The most connectivity options of one EUID.
    pub const MAX_CONNECTIVITY: usize = 8;
    /// The most extension fields of one EUID.
    pub const MAX_EXTENSIONS: usize = 4;
    /// The most bytes of one extension field.
    pub const MAX_EXTENSION_BYTES: usize = 32;

    /// The surroundings of an interface that can be reached, and can reach others, by TCP and UDP;
    /// all else unknown.
    pub fn reachable() -> Self {
        let (direction, barrier) = (Direction::Both, Barrier::None);
        let option = |transport| Connectivity { transport, direction, barrier };
        let connectivity = [Transport::Tcp, Transport::Udp].map(option).into();
        Self { connectivity, ..Self::default() }
    }

    /// Takes `other` in: afterwards this stands for the hosts of both.
    ///
    /// The merge is commutative, associative and idempotent, also where a bound makes it drop
    /// something, and the unknown is its neutral element. A host that leaves does not undo it.
    pub fn merge(&mut self, other: &Self) {
        self.connectivity.extend(other.connectivity.iter());
        self.connectivity.truncate(Self::MAX_CONNECTIVITY);
        self.topology.merge(&other.topology);
        self.performance.merge(&other.performance);
        for (&field, value) in &other.extensions {
            let kept = self.extensions.entry(field).or_insert_with(|| value.clone());
            if *kept < *value {
                kept.clone_from(value);
            }
        }
        while self.extensions.len() > Self::MAX_EXTENSIONS {
            self.extensions.pop_last();
        }
    }

    /// The two merged.
    pub fn merged(mut self, other: &Self) -> Self {
        self.merge(other);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::strategy::euid;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn merging_is_commutative(a in euid(), b in euid()) {
            prop_assert_eq!(a.clone().merged(&b), b.merged(&a));
        }

        #[test]
        fn merging_is_associative(a in euid(), b in euid(), c in euid()) {
            let left = a.clone().merged(&b).merged(&c);
            prop_assert_eq!(left, a.merged(&b.merged(&c)));
        }

        #[test]
        fn merging_is_idempotent_and_the_unknown_is_neutral(a in euid(), b in euid()) {
            let both = a.clone().merged(&b);
            prop_assert_eq!(both.clone().merged(&both), both.clone());
            prop_assert_eq!(both.clone().merged(&b), both);
            prop_assert_eq!(a.clone().merged(&Euid::default()), a.clone());
            prop_assert_eq!(Euid::default().merged(&a), a);
        }

        #[test]
        fn merging_keeps_the_bounds(euids in proptest::collection::vec(euid(), 0..8)) {
            let all = euids.iter().fold(Euid::default(), Euid::merged);
            prop_assert!(all.connectivity.len() <= Euid::MAX_CONNECTIVITY);
            prop_assert!(all.topology.routers().count() <= RouterStack::MAX);
            prop_assert!(all.topology.multicast_routers().count() <= RouterStack::MAX);
            prop_assert!(all.performance.iter().count() <= Performance::MAX);
            prop_assert!(all.extensions.len() <= Euid::MAX_EXTENSIONS);
        }
    }
}
