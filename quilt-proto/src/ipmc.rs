//! IP multicast within a patch (paper, section 3.2.1).
//!
//! A patch has one class-D address. Who publishes or relays into the patch sends each fragment
//! there once. What somebody misses it asks for by multicast, and the nearest member that has it gives
//! it. What that does not bring is pulled by unicast from another member's window, which the
//! container does for every protocol; for that each member keeps links to a few others.
//!
//! That multicast works is verified, never assumed: members send **beacons**, by which they know
//! each other, and a member that hears nothing while others are there says so. In a patch of up to
//! 24 members each beacons every second or so; in a larger one the pause grows with the number of
//! members that are heard, so that a patch has 16 beacons a second whatever its size. However large
//! it is, who hears nothing for a second asks by unicast, and is called back by a beacon. Who does not
//! beacon says every second or so that it is here, in a few bytes for those that know it; and who has
//! said either asks one of them by unicast whether it was heard. So a host on which multicast does not
//! work is moved within three seconds; in a patch of more than 250 members one that is not heard, and
//! neither publishes nor asks for anything, needs a second longer for each 256.
//!
//! Differs from the paper: it prescribes one fixed address; here it follows from the group and the
//! patch. And the paper's union of router sets lets members share a patch that cannot hear each
//! other; it decides where to try, the beacons decide who stays.

mod answer;
mod asked;
mod census;
mod frame;
mod hearing;
mod links;
mod member;
mod nack;
mod rate;
mod recent;
mod repair;
mod rule;
mod tally;

pub use frame::Frame;
pub use rule::IpmcRule;

use crate::protocol::{Instance, Plugin, Setup};
use crate::rule::Rule;
use crate::wire::{Reader, Writer};
use crate::{GroupId, PatchId, ProtocolId};
use alloc::vec::Vec;
use bytes::Bytes;
use core::hash::Hasher;
use core::net::{Ipv4Addr, SocketAddr};
use member::Member;
use siphasher::sip::SipHasher13;

/// The plug-in and its settings.
#[derive(Clone, Debug)]
pub struct Ipmc {
    /// The hop limit of what is sent: how many routers it may pass, and one. Default 1, which
    /// stays on the local network.
    pub ttl: u8,
    /// Ceiling of what one host sends by multicast, in bytes a second; what receivers lose slows it
    /// down below that. Default 25 MB/s: above it receivers that share a core lose much now and then
    /// (docs/benchmarks.md).
    pub bytes_per_second: u64,
}

impl Default for Ipmc {
    fn default() -> Self {
        Self { ttl: 1, bytes_per_second: 25_000_000 }
    }
}

impl Plugin for Ipmc {
    fn id(&self) -> ProtocolId {
        ProtocolId::IPMC
    }

    fn name(&self) -> &'static str {
        "ipmc"
    }

    fn rule(&self) -> &dyn Rule {
        &IpmcRule
    }

    /// The patch's multicast address and port.
    fn parameters(&self, group: GroupId, patch: PatchId) -> Bytes {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).address(address(group, patch));
        bytes.into()
    }

    fn start(&self, setup: &Setup) -> Instance {
        let address = Reader::new(&setup.parameters).address().ok();
        Instance::new(Member::new(self, setup, address))
    }
}

/// An address in 239.192.0.0/14, the organisation-local scope of RFC 2365, and a port from 20,000
/// up to 29,999. Two patches may get the same one; frames name their patch, so that costs only
/// bandwidth.
fn address(group: GroupId, patch: PatchId) -> SocketAddr {
    let mut hasher = SipHasher13::new_with_keys(0x7175_696c_7400_0000, 0x6970_6d63_0000_0000);
    hasher.write(&group.0.to_be_bytes());
    hasher.write(&patch.0.to_be_bytes());
    let mut draw = crate::Rng::new(hasher.finish());
    let scope = u32::from(Ipv4Addr::new(239, 192, 0, 0));
    let host = u32::try_from(draw.below(1 << 18)).unwrap_or(0);
    let port = u16::try_from(draw.below(10_000)).unwrap_or(0).saturating_add(20_000);
    SocketAddr::new(Ipv4Addr::from(scope | host).into(), port)
}

#[cfg(test)]
mod tests;
