//! What a host has sensed of its surroundings: see [`Node::surroundings`](crate::Node::surroundings).

use crate::euid::Euid;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// The surroundings of a host's first interface, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// What others are told of them.
    pub euid: Euid,
    /// Where the host's datagrams come from, as the bootstrap service sees it; `None` if UDP does not
    /// pass, or it is not known yet, or was not asked.
    pub mapped: Option<SocketAddr>,
    /// Who answered at each distance towards the network's core, the nearest first, up to four hops or
    /// to the end of the way; `None` where nobody did.
    pub routers: Vec<Option<IpAddr>>,
    /// How many hosts were heard there by IP multicast, of whatever group, up to 256; whether one of
    /// them heard this host says a router in the EUID that forwards it. `None` where that was not
    /// tried, or the system does not let this host take part.
    pub neighbours: Option<usize>,
    /// All questions were answered or given up. What comes later may still change this.
    pub is_settled: bool,
}
