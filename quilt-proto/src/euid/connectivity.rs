//! Connectivity options: who can open contact to whom.

use super::Euid;
use alloc::collections::BTreeSet;
use core::net::IpAddr;

/// One connectivity option of an interface (paper, section 3.1: the tuple of direction and
/// transport, and whether a NAT or firewall lies on the path).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connectivity {
    /// By which transport.
    pub transport: Transport,
    /// Who can open contact.
    pub direction: Direction,
    /// What lies between the interface and the Internet.
    pub barrier: Barrier,
}

/// A unicast transport, the preferred one first (paper, section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Who can open contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The host to others, and others to it.
    Both,
    /// Only others to the host.
    Inbound,
    /// Only the host to others.
    Outbound,
}

/// What lies between an interface and the Internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Barrier {
    /// Nothing.
    None,
    /// A NAT with this address on its far side. Hosts behind the same one reach each other.
    Nat(IpAddr),
    /// A firewall that lets replies in.
    Firewall,
}

/// The transports over which a host with EUID `from` can open contact to one with EUID `to`: the
/// paper's set C from the one to the other (section 3.2.2).
pub fn contacts(from: &Euid, to: &Euid) -> BTreeSet<Transport> {
    let pairs = from.connectivity.iter().flat_map(|a| to.connectivity.iter().map(move |b| (a, b)));
    pairs.filter(|(a, b)| reaches(a, b)).map(|(a, _)| a.transport).collect()
}

fn reaches(from: &Connectivity, to: &Connectivity) -> bool {
    if from.transport != to.transport {
        return false;
    }
    let behind_one_nat = matches!(
        (from.barrier, to.barrier),
        (Barrier::Nat(a), Barrier::Nat(b)) if a == b
    );
    behind_one_nat || (from.direction != Direction::Inbound && to.direction != Direction::Outbound)
}
