//! What a member learns of its whole group: see [`Node::survey`](crate::Node::survey).

use crate::wire::Scope;
use crate::{GroupId, HostTag, PatchId, ProtocolId};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// A group as its bootstrap service knows it.
///
/// All of it is what hosts said in their last reports, one to five seconds ago. A large group's
/// patches come in several answers, between which hosts may have moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The group.
    pub group: GroupId,
    /// How many hosts are in it.
    pub hosts: u32,
    /// Its patches, in the order of their ids; the inter-patch patch is the first one. At most
    /// [`Limits::patches`](crate::Limits::patches).
    pub patches: Vec<Patch>,
}

/// A patch of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Its name.
    pub patch: PatchId,
    /// What it is for.
    pub scope: Scope,
    /// What it runs.
    pub protocol: ProtocolId,
    /// How many hosts are in it, its representatives included.
    pub members: u32,
    /// Who represents it, in the order of appointment, at most
    /// [`Assignment::MAX_REPRESENTATIVES`](crate::wire::Assignment); empty for the inter-patch
    /// patch.
    pub representatives: Vec<Representative>,
}

/// A representative of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Representative {
    /// The host.
    pub host: HostTag,
    /// It is the one that forwards between its patch and the inter-patch patch; the others stand
    /// by.
    pub forwards: bool,
    /// Who is above it in the inter-patch patch; none for the root of a tree, where the protocol
    /// builds no tree, and before it is known.
    pub parent: Option<Parent>,
}

/// Who is above a host in the inter-patch patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The host.
    pub host: HostTag,
    /// The smoothed round-trip time to it, once measured: whole microseconds, from 1 up to
    /// `u32::MAX` of them.
    pub round_trip: Option<Duration>,
}

/// The group cannot be surveyed: this host is not a member of it, not yet, or no more. Nothing has
/// changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMember;

impl fmt::Display for NotMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this host is not a member of the group")
    }
}

impl core::error::Error for NotMember {}
