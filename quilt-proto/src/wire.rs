//! The wire format: packets, frames, and what they carry. `docs/wire.md` is its specification.
//!
//! A **packet** is a datagram, or a length-prefixed piece of a stream: a [`Header`] and frames, one
//! after another. Decoding is total: any bytes give frames or a [`DecodeError`], and nothing is
//! allocated before the length that asks for it was checked.

#[cfg(test)]
pub(crate) mod arbitrary;
mod codec;
mod data;
mod error;
mod euid;
mod frame;
mod frames;
mod host;
mod packet;
mod sense;
mod service;
mod stream;
mod survey;
#[cfg(test)]
mod tests;
mod values;

pub use codec::{Reader, Writer};
pub use error::DecodeError;
pub(crate) use frame::{FLOW_BYTES, flow_head};
pub use frames::{
    Ack, Assignment, Beat, Contact, Data, Held, Hello, Membership, Nic, Orders, Pull, Range,
    Refusal, Reply, Report, Scope, Segment, Sense, Sensed, Sight, SurveyPart, Wanted,
};
pub use packet::{Frames, Header, padding};
pub use stream::{Assembler, PREFIX_BYTES};

use crate::{GroupId, HostId, HostTag, Incarnation, PatchId};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

/// The version of the wire format that this crate speaks.
pub const VERSION: u8 = 1;

/// The open suite: no encryption, no tag. The only one of this version.
pub const SUITE_OPEN: u8 = 0;

/// The most bytes of a datagram, header and tag included.
pub const MAX_DATAGRAM_BYTES: usize = 1_200;

/// The most bytes of a packet on a stream, header included, the length prefix not.
pub const MAX_STREAM_PACKET_BYTES: usize = 16 << 10;

/// Bytes kept free at the end of each packet for a suite's tag.
pub const TAG_BYTES: usize = 16;

/// The bytes of every fragment of a message but the last, on every protocol alike: what a datagram
/// holds behind the heads, with room for a tag and for extension fields.
pub const FRAGMENT_BYTES: usize = 1_100;

/// The most bytes of a frame that is not [`Frame::Data`], its head included.
pub const MAX_CONTROL_BYTES: usize = MAX_DATAGRAM_BYTES - Header::BYTES - TAG_BYTES;

/// The most bytes of a protocol's own frame ([`Frame::Protocol`]).
pub const MAX_PROTOCOL_BODY_BYTES: usize = 1_024;

/// One frame. Each kind's layout and maximum is in `docs/wire.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Who speaks on a stream; the first frame of each side.
    Hello(Hello),
    /// The link is alive, and how long a round trip takes.
    Beat(Beat),
    /// Starts a datagram of a flow; on a stream, how datagrams to the sender start.
    Flow {
        /// What the receiver gave the sender over their stream, to be shown in each datagram.
        token: u32,
        /// Rises by one with each datagram of the flow, and wraps; on a stream, 0 with the
        /// greeting, and otherwise asks for datagrams: 1 since the stream stands still, 2 since
        /// others did.
        number: u16,
    },
    /// Which datagrams of a flow came.
    Ack(Ack),
    /// By datagram: the sender would have a tunnel, a stream over datagrams, or has one.
    Tunnel {
        /// What the receiver last wanted to be shown; 0 if nothing is known of it.
        shows: u32,
        /// What the receiver's datagrams have to show; 0 where the tunnel is over.
        wants: u32,
    },
    /// In a datagram of a tunnel: a piece of its stream.
    Segment(Segment),
    /// Over a stream: a host would have a tunnel with another one, which cannot hear it before it has
    /// sent something itself.
    Knock {
        /// The other one. Who is not it, and has a stream to it, passes the frame on.
        to: HostTag,
        /// Who knocks; the sender, or one that the sender has a stream to.
        by: Hello,
    },
    /// One fragment of a message.
    Data(Data),
    /// What the sender holds: its heads and buffermap.
    Held {
        /// The group.
        group: GroupId,
        /// The patch.
        patch: PatchId,
        /// The word goes on in another frame of this kind.
        more: bool,
        /// One entry a source, at most [`Held::MAX_SOURCES`].
        sources: Vec<Held>,
    },
    /// What the sender wants.
    Pull(Pull),
    /// What was pulled and is not held.
    NotHeld(Pull),
    /// What came to the sender, a representative of the patch, and is to go across its edge.
    Claim(Pull),
    /// A protocol's own frame.
    Protocol {
        /// The group.
        group: GroupId,
        /// The patch.
        patch: PatchId,
        /// Its bytes, at most [`MAX_PROTOCOL_BODY_BYTES`].
        body: Bytes,
    },
    /// To the bootstrap service: who is there, and where it stands. The first one, without
    /// memberships, is the request to join.
    Report(Box<Report>),
    /// From the bootstrap service: prove your address by sending this back.
    Cookie {
        /// The group of the report that it answers.
        group: GroupId,
        /// To be put into the next report from this address.
        cookie: u64,
        /// Where the request came from, as the service sees it; left out where the answer would be
        /// longer than the request.
        seen: Option<SocketAddr>,
    },
    /// From the bootstrap service: where the host shall stand, in full.
    Orders(Box<Orders>),
    /// From the bootstrap service: the host is not taken in, or put out.
    Refused {
        /// The group.
        group: GroupId,
        /// Why.
        refusal: Refusal,
    },
    /// To the bootstrap service: the host leaves the group.
    Depart {
        /// The group.
        group: GroupId,
        /// Who.
        host: HostId,
        /// Its life.
        incarnation: Incarnation,
        /// The proof of its address.
        cookie: u64,
    },
    /// To the bootstrap service: how is the group put together?
    Survey {
        /// The group.
        group: GroupId,
        /// The proof of the address.
        cookie: u64,
        /// The first patch that the answer shall tell of, if it is there; else the next one.
        from: PatchId,
    },
    /// From the bootstrap service: a part of that.
    SurveyPart(SurveyPart),
    /// To the bootstrap service: how does this host look from outside?
    Sense(Sense),
    /// From the bootstrap service: the answer.
    Sensed(Sensed),
    /// By IP multicast, to all hosts of whatever group: the sender is there, and heard these.
    Sight(Sight),
}
