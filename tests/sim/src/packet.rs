//! What travels.

pub use crate::novelty::Load;
use crate::tcp::Segment;
use quilt_proto::Chunks;
use std::net::{IpAddr, SocketAddr};

/// IPv4 and UDP headers.
const UDP_HEADER_BYTES: usize = 28;
/// The hop limit of what is not multicast.
pub const DEFAULT_TTL: u8 = 64;

/// The name of a stream in the world; both its ends have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// A packet of the network layer. The payload in it is the publisher's memory, shared by all.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The sender, as the packet says; a NAT rewrites it.
    pub from: SocketAddr,
    /// Where to; a NAT rewrites it.
    pub to: SocketAddr,
    /// Routers that it may still pass.
    pub ttl: u8,
    /// What it carries.
    pub body: Body,
    /// How much payload is in a datagram, for the statistics.
    pub load: Load,
}

/// What a packet carries.
#[derive(Clone, Debug)]
pub enum Body {
    /// A UDP datagram.
    Datagram(Chunks),
    /// A piece of a TCP stream.
    Segment {
        /// Which stream.
        stream: StreamId,
        /// Whether the end that dialled it sent this.
        from_dialler: bool,
        /// The segment.
        segment: Segment,
    },
    /// A router's word that a packet's hops ran out there.
    TimeExceeded {
        /// The router's number on the way, 1 for the first one.
        hop: u8,
        /// Its address; `None` if it does not give it.
        router: Option<IpAddr>,
    },
    /// A packet to a port at which nobody listens, to see how far it comes.
    Probe,
    /// A host's word that a probe has come there.
    Unreachable,
}

impl Packet {
    /// Its bytes behind the headers of IP and UDP or TCP.
    pub fn payload_bytes(&self) -> usize {
        match &self.body {
            Body::Datagram(bytes) => bytes.len(),
            Body::Segment { segment, .. } => segment.len as usize,
            Body::TimeExceeded { .. } | Body::Probe | Body::Unreachable => 0,
        }
    }

    /// How many bytes it is on the wire, IP header included.
    pub fn wire_bytes(&self) -> usize {
        match &self.body {
            Body::Datagram(bytes) => UDP_HEADER_BYTES + bytes.len(),
            Body::Segment { segment, .. } => segment.wire_bytes(),
            Body::Probe => UDP_HEADER_BYTES,
            Body::TimeExceeded { .. } | Body::Unreachable => 56,
        }
    }
}
