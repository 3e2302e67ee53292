//! What frames carry.

use crate::euid::Euid;
use crate::survey::{self, Parent};
use crate::{
    Delivery, FragmentId, GroupId, HostId, HostTag, Incarnation, PatchId, ProtocolId,
    PublishOptions, Role, Seq,
};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use smallvec::SmallVec;

/// Who speaks on a stream, and where it can be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The host.
    pub host: HostId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Where it listens, at most [`Contact::MAX_ADDRESSES`].
    pub addresses: SmallVec<[SocketAddr; 2]>,
}

/// The link is alive. Any frame says so; this one is sent where there is no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The sender's clock in nanoseconds, to be given back.
    pub stamp: u64,
    /// The last stamp that came from the other side, 0 if none.
    pub echo: u64,
    /// For how many nanoseconds that stamp was held.
    pub held: u64,
    /// The next frame comes at the latest after this many milliseconds.
    pub next_ms: u16,
    /// The sender needs the link.
    pub needed: bool,
}

/// Which of the last datagrams of a flow came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The number behind the highest one that came.
    pub next: u16,
    /// Which came: the lowest bit is the highest number, the next one that before it.
    pub got: u64,
    /// For how many microseconds the highest one was held.
    pub held_us: u32,
}

/// A piece of a tunnel's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Rises by one with each segment that has bytes, from 0, and wraps.
    pub number: u32,
    /// The number of the first segment of the other side that has not come.
    pub next: u32,
    /// Its bytes, at most [`Segment::MAX_BYTES`]; none where it only tells what came.
    pub bytes: Bytes,
}

impl Segment {
    /// The most bytes of one segment: with all that may stand in front it fits a datagram.
    pub const MAX_BYTES: usize = 1_000;
}

/// One fragment of a message. Its head on the wire has 44 bytes, 64 with the packet's, and up to 10
/// more where the message was published with options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// The group.
    pub group: GroupId,
    /// The patch in which it travels.
    pub patch: PatchId,
    /// Which fragment it is.
    pub fragment: FragmentId,
    /// How many fragments the message has, at least 1.
    pub count: u16,
    /// The region in which the message started: a stamp of the host that injected it, not part
    /// of its id.
    pub origin: PatchId,
    /// How many hosts passed it on; at most [`Data::MAX_HOPS`].
    pub hops: u8,
    /// It was asked for.
    pub solicited: bool,
    /// What the message was published with. The deadline is what is left of it, to the microsecond;
    /// zero says that the message is over, and then there is no payload.
    pub options: PublishOptions,
    /// Its bytes, at most [`FRAGMENT_BYTES`](super::FRAGMENT_BYTES).
    pub payload: Bytes,
}

impl Data {
    /// The most hosts that pass a fragment on.
    pub const MAX_HOPS: u8 = 63;
    /// The bytes of its head on the wire, without extension fields.
    pub const HEAD_BYTES: usize = 44;
    /// The most bytes of its head on the wire, with the fields that a message's options take.
    pub const MAX_HEAD_BYTES: usize = Self::HEAD_BYTES + 10;
}

/// What a host holds of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The publishing host, in full: this introduces the tag to whoever has not met it.
    pub host: HostId,
    /// Its life.
    pub incarnation: Incarnation,
    /// The lowest message that the sender may still have.
    pub low: Seq,
    /// The head: the message that the source will publish next, as far as the sender knows.
    pub next: Seq,
    /// The latest message published as a mark that the sender has; `next` if it knows of none.
    pub mark: Seq,
    /// The messages from `low` to `next` that it has not whole; ascending, apart, at most
    /// [`Held::MAX_MISSING`]. If there were more, the last one reaches to `next`.
    pub missing: SmallVec<[Range; 2]>,
}

impl Held {
    /// The most sources in one frame.
    pub const MAX_SOURCES: usize = 6;
    /// The most ranges of one source.
    pub const MAX_MISSING: usize = 8;
}

/// Messages of one source from `from` on, before `to`. Not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first one.
    pub from: Seq,
    /// The one after the last.
    pub to: Seq,
}

/// Fragments that are wanted, or that are not held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// The group.
    pub group: GroupId,
    /// The patch.
    pub patch: PatchId,
    /// At most [`Pull::MAX_WANTED`].
    pub wanted: Vec<Wanted>,
}

impl Pull {
    /// The most entries in one frame.
    pub const MAX_WANTED: usize = 32;
}

/// Fragments of one message that are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The first fragment.
    pub first: FragmentId,
    /// The last one's index, not below the first one's; `u16::MAX` stands for all up to the
    /// message's end, whatever its length.
    pub last: u16,
}

/// How to reach a host, and its surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The host.
    pub host: HostId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Where it listens, by TCP and UDP, the preferred one first; local and mapped addresses. At
    /// most [`Contact::MAX_ADDRESSES`].
    pub addresses: SmallVec<[SocketAddr; 2]>,
    /// The surroundings of the interface that lies in the patch.
    pub euid: Euid,
}

impl Contact {
    /// The most addresses of one host.
    pub const MAX_ADDRESSES: usize = 4;
}

/// One network interface of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its local address.
    pub address: IpAddr,
    /// Its surroundings, as far as they are known.
    pub euid: Euid,
}

/// Who is there, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The group.
    pub group: GroupId,
    /// The host.
    pub host: HostId,
    /// Its life.
    pub incarnation: Incarnation,
    /// The proof of its address ([`Frame::Cookie`](super::Frame)); 0 if it has none yet.
    pub cookie: u64,
    /// The group may be created if nobody is in it.
    pub create: bool,
    /// What the host wishes the group to promise, if it wishes anything; once it is in the group,
    /// what the group promises.
    pub delivery: Option<Delivery>,
    /// Where it listens, at most [`Contact::MAX_ADDRESSES`].
    pub addresses: SmallVec<[SocketAddr; 2]>,
    /// Its interfaces, at most [`Report::MAX_NICS`], the most important one first: where not
    /// everything fits the frame, the surroundings of some travel as unknown.
    pub nics: SmallVec<[Nic; 1]>,
    /// The protocols that it has and that work on it, at most [`Report::MAX_PROTOCOLS`].
    pub protocols: SmallVec<[ProtocolId; 4]>,
    /// Where it stands, at most [`Report::MAX_MEMBERSHIPS`]; empty if it is in no patch yet.
    pub memberships: SmallVec<[Membership; 2]>,
    /// Representatives of its region, and hosts that stand by for them, that it found dead, at most [`Report::MAX_LOST`].
    pub lost: SmallVec<[HostTag; 2]>,
    /// Who is above it in the inter-patch patch, if it is there and has a parent.
    pub parent: Option<Parent>,
}

impl Report {
    /// The most interfaces.
    pub const MAX_NICS: usize = 4;
    /// The most protocols.
    pub const MAX_PROTOCOLS: usize = 16;
    /// The most memberships.
    pub const MAX_MEMBERSHIPS: usize = 4;
    /// The most lost hosts.
    pub const MAX_LOST: usize = Assignment::MAX_REPRESENTATIVES;
}

/// What a patch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// It covers a region.
    Regional,
    /// It sews the regions together.
    InterPatch,
}

/// That a host is in a patch: all that a bootstrap service needs to learn the patch anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The patch.
    pub patch: PatchId,
    /// What it is for.
    pub scope: Scope,
    /// What it runs.
    pub protocol: ProtocolId,
    /// The host's role; in the inter-patch patch always a representative.
    pub role: Role,
    /// Which of its interfaces lies in it.
    pub nic: u8,
    /// The protocol's parameters, at most [`Assignment::MAX_PARAMETER_BYTES`] bytes.
    pub parameters: Bytes,
    /// It would like to know more members.
    pub wants_contacts: bool,
    /// It forwards between this region and the inter-patch patch.
    pub forwards: bool,
}

/// A part of a [`Survey`](crate::survey::Survey): what fits a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyPart {
    /// The group.
    pub group: GroupId,
    /// The patch from which on it was asked for.
    pub from: PatchId,
    /// How many hosts are in the group.
    pub hosts: u32,
    /// There are patches behind the last one.
    pub more: bool,
    /// The patches from `from` on, in the order of their ids, each once; at most
    /// [`SurveyPart::MAX_PATCHES`], and not none if there are more.
    pub patches: Vec<survey::Patch>,
}

impl SurveyPart {
    /// The most patches: as many with all representatives fit a frame.
    pub const MAX_PATCHES: usize = 7;
}

/// How does the sender look from outside? Goes to the service's socket, or to another one of its.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sense {
    /// Given back in the answer; drawn at random.
    pub nonce: u64,
    /// The proof of the address, 0 if there is none yet. Only [`Reply::Stream`] needs it.
    pub cookie: u64,
    /// How it shall be answered.
    pub reply: Reply,
}

/// How a [`Sense`] shall be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// From where it was sent to.
    Here,
    /// From another port of the same address.
    OtherPort,
    /// From another address and port.
    OtherAddress,
    /// On a stream that the service opens to the address that it sees, and this port, from 1 on.
    Stream {
        /// Where the sender listens by TCP.
        port: u16,
    },
}

/// How the receiver looks from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sensed {
    /// What the [`Sense`] said.
    pub nonce: u64,
    /// To be shown in the next [`Sense`] from there.
    pub cookie: u64,
    /// Where the [`Sense`] came from, or where the stream was opened to.
    pub seen: SocketAddr,
    /// Another port of the address that the [`Sense`] was sent to, where UDP is answered too.
    pub other_port: Option<u16>,
    /// Another address where it is.
    pub other_address: Option<SocketAddr>,
    /// A stream was asked for, and could not be opened.
    pub unreachable: bool,
}

impl Sensed {
    /// The most bytes of its datagram: whoever asks sends as many.
    pub const DATAGRAM_BYTES: usize = 82;
}

/// Who hears whom by IP multicast on one interface; its sender is the packet's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// What the sender calls those who hear each other there, not 0; `None` if it knows no name yet.
    pub segment: Option<u64>,
    /// The sender has not been named yet: whoever hears it shall do so.
    pub asks: bool,
    /// Whom it heard, those that nobody else has named yet first; at most [`Sight::MAX_HEARD`].
    pub heard: Vec<HostTag>,
}

impl Sight {
    /// The most hosts in one frame.
    pub const MAX_HEARD: usize = 64;
}

/// Where a host shall stand, in full: it leaves every patch that is not named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orders {
    /// The group.
    pub group: GroupId,
    /// Rises with every order that this service gives to this host; a lower one is out of date.
    ///
    /// The upper 32 bits are drawn at random when a service starts, and name that life of it. Only
    /// epochs of one life compare: a host takes any order of another life as newer, so that a
    /// service that lost its memory is obeyed, and never reuses an epoch. (A late order of the old
    /// life may be obeyed too; the answer to the host's next report puts that right.)
    pub epoch: u64,
    /// What the group promises.
    pub delivery: Delivery,
    /// Its patches, at most [`Report::MAX_MEMBERSHIPS`].
    pub assignments: SmallVec<[Assignment; 2]>,
}

/// That a host shall be in a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The patch.
    pub patch: PatchId,
    /// What it is for.
    pub scope: Scope,
    /// What it runs.
    pub protocol: ProtocolId,
    /// The host's role. A member of the inter-patch patch stands by: it is in it as long as none of
    /// its region's representatives is there, and none of those who stand by before it.
    pub role: Role,
    /// Which of its interfaces lies in it.
    pub nic: u8,
    /// The protocol's parameters, at most [`Assignment::MAX_PARAMETER_BYTES`] bytes.
    pub parameters: Bytes,
    /// The surroundings of all its members, merged. Where not everything fits the frame it travels
    /// as unknown, unless half of the frame holds it: contacts are worth more.
    pub euid: Euid,
    /// The region's representatives, in the order of appointment, at most
    /// [`Assignment::MAX_REPRESENTATIVES`]; empty for the inter-patch patch.
    pub representatives: SmallVec<[HostId; 3]>,
    /// Who stands by for them, in the order in which they step in, with them at most
    /// [`Assignment::MAX_REPRESENTATIVES`]; told to those who represent the region or stand by.
    pub standbys: SmallVec<[HostId; 3]>,
    /// Some members, at most [`Assignment::MAX_CONTACTS`], the most useful one first: the last
    /// ones stay behind where the frame has no room for them.
    pub contacts: Vec<Contact>,
}

impl Assignment {
    /// The most bytes of parameters.
    pub const MAX_PARAMETER_BYTES: usize = 32;
    /// The most representatives, together with those who stand by for them.
    pub const MAX_REPRESENTATIVES: usize = 6;
    /// The most contacts.
    pub const MAX_CONTACTS: usize = 16;
}

/// Why the bootstrap service refuses a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The group does not exist, and may not be created.
    UnknownGroup,
    /// Another host of the group has the same tag.
    TagTaken,
    /// No protocol that the policy allows can run on it.
    NoProtocol,
    /// The group is full.
    Full,
    /// A later incarnation of the same host has joined.
    Replaced,
    /// The group promises this, and the host wishes something else.
    Delivery(Delivery),
}
