//! The local topology: the routers between an interface and the network's core.

use super::sorted::Sorted;
use core::fmt;
use core::hash::Hasher;
use core::net::IpAddr;
use siphasher::sip::SipHasher13;

/// A router, whatever it was known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterId(pub u64);

impl RouterId {
    /// The router that people call `name`.
    pub fn named(name: &str) -> Self {
        Self::hash(b"name", name.as_bytes())
    }

    /// The router that answered from `address`.
    pub fn at(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::hash(b"ipv4", &v4.octets()),
            IpAddr::V6(v6) => Self::hash(b"ipv6", &v6.octets()),
        }
    }

    /// The router that answered from `address` to a host behind the NAT with that address, if it is
    /// behind one: each NAT may have a router with the same private address behind it.
    pub fn behind(address: IpAddr, nat: Option<IpAddr>) -> Self {
        let Some(nat) = nat else { return Self::at(address) };
        let (inner, outer) = (Self::at(address).0, Self::at(nat).0);
        Self::hash(b"nat", &[inner.to_be_bytes(), outer.to_be_bytes()].concat())
    }

    fn hash(kind: &[u8], bytes: &[u8]) -> Self {
        let mut hasher = SipHasher13::new_with_keys(0x7175_696c_7400_0000, 0x726f_7574_6572_0000);
        hasher.write(kind);
        hasher.write(bytes);
        Self(hasher.finish())
    }
}

impl fmt::Display for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The router stack (paper, section 3.1): the routers towards the core with their distance in
/// hops, and the same for those that forward IP multicast (the paper's R and Rm).
///
/// A router's distance is the least at which any host of the patch sees it. Only the
/// [`RouterStack::MAX`] nearest of each kind are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouterStack {
    routers: Sorted<RouterId, u8>,
    multicast: Sorted<RouterId, u8>,
}

impl RouterStack {
    /// The most routers of each kind.
    pub const MAX: usize = 16;

    /// A router that the host sees `hops` hops away, the next one being 1.
    pub fn insert(&mut self, router: RouterId, hops: u8, forwards_multicast: bool) {
        lower(&mut self.routers, router, hops);
        if forwards_multicast {
            lower(&mut self.multicast, router, hops);
        }
    }

    /// The stack with these routers, all of them and those that forward IP multicast, each with
    /// its distance: what [`Self::routers`] and [`Self::multicast_routers`] returned.
    pub(crate) fn from_parts(routers: &[(RouterId, u8)], multicast: &[(RouterId, u8)]) -> Self {
        let of = |parts: &[(RouterId, u8)]| {
            let mut stack = Sorted::with_capacity(parts.len());
            parts.iter().for_each(|&(router, hops)| lower(&mut stack, router, hops));
            stack
        };
        Self { routers: of(routers), multicast: of(multicast) }
    }

    /// Nothing was sensed.
    pub fn is_unknown(&self) -> bool {
        self.routers.is_empty()
    }

    /// All routers with their distance in hops, in the order of their ids.
    pub fn routers(&self) -> impl Iterator<Item = (RouterId, u8)> {
        self.routers.iter().copied()
    }

    /// The routers that forward IP multicast, likewise.
    pub fn multicast_routers(&self) -> impl Iterator<Item = (RouterId, u8)> {
        self.multicast.iter().copied()
    }

    /// The nearest router; of several, the one with the least id.
    pub fn nearest(&self) -> Option<RouterId> {
        nearest(self.routers())
    }

    /// The nearest router that forwards IP multicast, likewise.
    pub fn nearest_multicast(&self) -> Option<RouterId> {
        nearest(self.multicast_routers())
    }

    /// Whether both have a router in common.
    pub fn shares_router(&self, other: &Self) -> bool {
        self.routers.iter().any(|(router, _)| other.routers.get(router).is_some())
    }

    /// Whether both have a router in common that forwards IP multicast.
    pub fn shares_multicast_router(&self, other: &Self) -> bool {
        self.multicast.iter().any(|(router, _)| other.multicast.get(router).is_some())
    }

    /// The least number of hops from the one to the other over a router that both have.
    pub fn hops_to_shared(&self, other: &Self) -> Option<u16> {
        let pairs =
            self.routers().filter_map(|(router, a)| Some((a, *other.routers.get(&router)?)));
        pairs.map(|(a, b)| u16::from(a).saturating_add(u16::from(b))).min()
    }

    pub(super) fn merge(&mut self, other: &Self) {
        other.routers().for_each(|(router, hops)| lower(&mut self.routers, router, hops));
        other.multicast_routers().for_each(|(router, hops)| {
            lower(&mut self.multicast, router, hops);
        });
    }
}

fn nearest(routers: impl Iterator<Item = (RouterId, u8)>) -> Option<RouterId> {
    routers.min_by_key(|&(router, hops)| (hops, router)).map(|(router, _)| router)
}

/// Enters a router with its least distance, and keeps the nearest [`RouterStack::MAX`]. What is
/// dropped once would be dropped in any order of merging: it has that many nearer ones for ever.
fn lower(routers: &mut Sorted<RouterId, u8>, router: RouterId, hops: u8) {
    routers.merge(router, hops, |kept, hops| *kept = hops.min(*kept));
    if routers.len() > RouterStack::MAX {
        let farthest = routers.iter().max_by_key(|&&(router, hops)| (hops, router));
        if let Some(&(farthest, _)) = farthest {
            routers.remove(&farthest);
        }
    }
}
