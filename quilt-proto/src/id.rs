//! Names of hosts, groups, patches, messages and links.

use core::cmp::Ordering;
use core::fmt;
use core::hash::Hasher;
use siphasher::sip::SipHasher13;

/// Who a host is: 32 bytes that it keeps for life. They can be a public key.
///
/// Ids are in the order of their bytes, and so of their tags.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HostId(pub [u8; 32]);

impl Ord for HostId {
    /// Tags, which differ between almost all hosts, are compared as one number.
    fn cmp(&self, other: &Self) -> Ordering {
        self.tag().cmp(&other.tag()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for HostId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl HostId {
    /// The first eight bytes, by which packets and messages name the host.
    pub fn tag(&self) -> HostTag {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        HostTag(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// The first of the ids with that tag.
    pub(crate) fn first(tag: HostTag) -> Self {
        let mut bytes = [0; 32];
        let (named, _) = bytes.split_at_mut(8);
        named.copy_from_slice(&tag.0.to_be_bytes());
        Self(bytes)
    }

    /// A host id drawn from `rng`.
    pub fn random(rng: &mut crate::Rng) -> Self {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_exact_mut(8) {
            chunk.copy_from_slice(&rng.next_u64().to_be_bytes());
        }
        Self(bytes)
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tag().fmt(f)
    }
}

impl fmt::Debug for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostId({self})")
    }
}

/// The first eight bytes of a [`HostId`]: short enough for the head of every packet. The bootstrap
/// service admits no two hosts of one tag to a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostTag(pub u64);

impl fmt::Display for HostTag {
    /// Eight hexadecimal digits: the first half of the tag.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0 >> 32)
    }
}

/// Which life of a host this is: it rises with each restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u32);

/// An application's multicast group, named by the hash of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u64);

impl GroupId {
    /// The id of the group called `name`: SipHash-1-3 under a key that is part of the wire format.
    pub fn named(name: &str) -> Self {
        let mut hasher = SipHasher13::new_with_keys(0x7175_696c_7400_0000, 0x6772_6f75_7000_0000);
        hasher.write(name.as_bytes());
        Self(hasher.finish())
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A patch within its group: hosts that run one protocol among themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PatchId(pub u32);

impl PatchId {
    /// The patch that sews the others together. Every group has this one, under this id, so that
    /// it outlives any memory of the bootstrap service.
    pub const INTER_PATCH: Self = Self(0);
}

impl fmt::Display for PatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A multicast protocol, as it is named on the wire. Numbers from 256 up are free for plug-ins of
/// an application's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolId(pub u16);

impl ProtocolId {
    /// IP multicast within a region.
    pub const IPMC: Self = Self(1);
    /// The mesh of DONet.
    pub const DONET: Self = Self(2);
    /// The latency-optimised OMNI tree.
    pub const OMNI: Self = Self(3);
}

impl fmt::Display for ProtocolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IPMC => f.write_str("ipmc"),
            Self::DONET => f.write_str("donet"),
            Self::OMNI => f.write_str("omni"),
            Self(other) => write!(f, "protocol-{other}"),
        }
    }
}

/// A stream of messages: what one host publishes to one group during one incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The publishing host.
    pub host: HostTag,
    /// Its life in which it published.
    pub incarnation: Incarnation,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.host, self.incarnation.0)
    }
}

/// A message's place in its source's stream, from 0, without holes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The end of a stream: no message has this number or a higher one.
    pub const END: Self = Self(1 << 63);

    /// The sequence number after this one, saturating.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// How many numbers lie from `earlier` up to this one; 0 if it is not later.
    pub const fn distance(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One fragment of one message within its group: the unit that is kept, sent, pulled and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FragmentId {
    /// The stream.
    pub source: Source,
    /// The message in the stream.
    pub seq: Seq,
    /// The fragment in the message, from 0.
    pub index: u16,
}

/// A socket of the host as the core names it: one TCP stream, one joined IP-multicast address, or
/// the UDP socket that all unicast flows share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

impl LinkId {
    /// The host's one UDP socket for unicast. It is always there.
    pub const UDP: Self = Self(0);
    /// A bootstrap service's second UDP socket, on another port of the same address, where it has
    /// one: see [`BootstrapConfig`](crate::BootstrapConfig).
    pub const OTHER_PORT: Self = Self(1);
    /// Its third one, on another address, where it has one.
    pub const OTHER_ADDRESS: Self = Self(2);
    /// Machines name their links from the next one on.
    pub(crate) const LAST_RESERVED: Self = Self(2);
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Of few values, so that ids share their first bytes as often as not.
        #[test]
        fn hosts_are_in_the_order_of_their_bytes(
            a in proptest::array::uniform32(0..2_u8),
            b in proptest::array::uniform32(0..2_u8),
            shared in 0..=32_usize,
        ) {
            let mut b = b;
            b.iter_mut().zip(a).take(shared).for_each(|(b, a)| *b = a);
            prop_assert_eq!(HostId(a).cmp(&HostId(b)), a.cmp(&b));
        }
    }
}
