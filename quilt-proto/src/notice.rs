//! What the application is told.

use crate::survey::Survey;
use crate::{
    Chunks, Delivery, GroupId, HostId, HostTag, Incarnation, LinkError, PatchId, ProtocolId, Seq,
    Source,
};
use alloc::string::String;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

/// One thing the application is told, always about one group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A message of the group. From one source they come in rising order of `seq`, but in a group of
    /// [`Delivery::BestEffort`].
    Message(Message),
    /// Messages that will not come any more. Every message after admission is delivered once or
    /// lies in exactly one gap, but in a group of [`Delivery::BestEffort`], which announces none.
    Gap {
        /// The stream they belong to.
        source: Source,
        /// The first one missing.
        from: Seq,
        /// The last one missing.
        to: Seq,
        /// Why they are given up.
        cause: GapCause,
    },
    /// A source started anew: its messages count from 0 again.
    SourceReset {
        /// The publishing host.
        host: HostTag,
        /// Its life before.
        old: Incarnation,
        /// Its life now.
        new: Incarnation,
    },
    /// This host is a member: it receives what is published from here on, and may publish.
    Joined(Place),
    /// This host was put into another patch, or has another role in its patch.
    PatchChanged {
        /// Where it is now.
        place: Place,
        /// Why.
        why: ChangeCause,
    },
    /// A neighbour takes its frames too slowly; what does not fit its queue is left to repair.
    SlowPeer {
        /// Which.
        host: HostId,
    },
    /// The application reads too slowly: messages left the window before it took them. Said once for
    /// each stretch; the [`Notice::Gap`] that names them follows, but in a group that announces none
    /// ([`Delivery::BestEffort`]).
    Lagged {
        /// The stream they belong to.
        source: Source,
        /// How many messages.
        messages: u64,
    },
    /// Something does not work as it should; the group goes on without it.
    Degraded(Trouble),
    /// The trouble of an earlier [`Notice::Degraded`] is over.
    Recovered(Trouble),
    /// The group put this host out. It receives nothing more.
    Evicted {
        /// Why.
        cause: EvictCause,
    },
    /// The group did not take this host in. Nothing was joined.
    Rejected {
        /// Why.
        cause: RejectCause,
    },
    /// How the whole group is put together, as the application asked.
    Surveyed(Survey),
    /// What the application asked for is not known: the bootstrap service does not answer.
    NotSurveyed {
        /// Its address.
        at: SocketAddr,
    },
    /// `publish` would be granted again after a [`PublishError::WouldBlock`].
    Writable,
    /// The group was left as the application asked; this is its last notice.
    Left,
}

/// One message as it is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The stream it belongs to.
    pub source: Source,
    /// Its place in the stream.
    pub seq: Seq,
    /// What was published, fragment by fragment as it came, shared with the window.
    pub body: Chunks,
}

/// Where a host stands in its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its patch.
    pub patch: PatchId,
    /// What the patch runs.
    pub protocol: ProtocolId,
    /// What the host does there.
    pub role: Role,
    /// What the group promises; the same as long as the host is in it.
    pub delivery: Delivery,
}

/// What a host does in its regional patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It receives and publishes.
    Member,
    /// It also belongs to the wide-area patch, and sews the two together (paper, section 4.6).
    Representative,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Member => "member",
            Self::Representative => "representative",
        })
    }
}

/// Why messages were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapCause {
    /// The repair deadline passed and nobody near had them.
    Unrepaired,
    /// The window had to make room.
    WindowFull,
    /// The application did not take them in time.
    Lagged,
    /// The source started anew before they came.
    SourceReset,
    /// Their deadline passed before they were here, or before the application took them.
    Expired,
    /// They did not come in time, in a group that repairs nothing.
    NotInTime,
}

impl fmt::Display for GapCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unrepaired => "nobody near had them when the repair deadline passed",
            Self::WindowFull => "the window had to make room",
            Self::Lagged => "the application did not take them in time",
            Self::SourceReset => "their source started anew",
            Self::Expired => "their deadline passed",
            Self::NotInTime => "they did not come in time, and the group repairs nothing",
        })
    }
}

/// Why a host's place changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeCause {
    /// The bootstrap service appointed it a representative.
    Appointed,
    /// The bootstrap service has representatives enough without it.
    Relieved,
    /// The protocol of its old patch did not work here.
    Unusable {
        /// The protocol.
        protocol: ProtocolId,
        /// What failed.
        reason: Unusable,
    },
    /// The bootstrap service put it elsewhere.
    Moved,
}

impl fmt::Display for ChangeCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Appointed => f.write_str("appointed representative"),
            Self::Relieved => f.write_str("no longer needed as representative"),
            Self::Unusable { protocol, reason } => {
                write!(f, "{protocol} does not work here: {reason}")
            }
            Self::Moved => f.write_str("moved by the bootstrap service"),
        }
    }
}

/// Why a protocol cannot run on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unusable {
    /// The IP-multicast address could not be joined.
    CannotJoin(LinkError),
    /// Others are in the patch, but nothing of theirs was heard on the multicast address.
    NothingHeard {
        /// How long it listened.
        listened: Duration,
    },
    /// Others hear each other on the multicast address, but nothing of this host.
    NotHeard {
        /// How many of its beacons in a row were not heard.
        beacons: u32,
    },
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotJoin(cause) => write!(f, "cannot join the multicast address, {cause}"),
            Self::NothingHeard { listened } => {
                write!(f, "nothing heard on the multicast address for {listened:?}")
            }
            Self::NotHeard { beacons } => {
                write!(f, "others did not hear {beacons} beacons sent to the multicast address")
            }
        }
    }
}

/// What does not work as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// The bootstrap service does not answer. Running groups go on; joins wait.
    BootstrapSilent {
        /// Its address.
        at: SocketAddr,
    },
    /// A protocol does not work on this host; the next one in the policy's order is tried.
    ProtocolUnusable {
        /// The protocol.
        protocol: ProtocolId,
        /// What failed.
        reason: Unusable,
    },
    /// Somebody speaks another version of the wire format; its packets are refused.
    ForeignVersion {
        /// The version it speaks.
        version: u8,
        /// Its address.
        from: SocketAddr,
    },
    /// The bootstrap service names a protocol that this host has not.
    UnknownProtocol {
        /// The protocol.
        protocol: ProtocolId,
    },
    /// The system dropped datagrams since a receive buffer was full. They are asked for again; a
    /// larger buffer, or a faster host, would spare that.
    ReceiveBufferFull {
        /// How many, since this was last told.
        datagrams: u64,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BootstrapSilent { at } => write!(
                f,
                "the bootstrap service at {at} does not answer; the group goes on, joins wait"
            ),
            Self::ProtocolUnusable { protocol, reason } => {
                write!(f, "{protocol} does not work here: {reason}")
            }
            Self::ForeignVersion { version, from } => write!(
                f,
                "{from} speaks version {version} of the wire format, this host version {}; \
                 upgrade the older one",
                crate::wire::VERSION
            ),
            Self::UnknownProtocol { protocol } => {
                write!(f, "the bootstrap service assigned {protocol}, which this host has not")
            }
            Self::ReceiveBufferFull { datagrams } => write!(
                f,
                "the system dropped {datagrams} datagrams because a receive buffer was full; let it \
                 be larger with: sysctl -w net.core.rmem_max=4194304"
            ),
        }
    }
}

/// Why the group put a host out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvictCause {
    /// Another host, or a later incarnation of this one, uses this host's id.
    Replaced,
    /// The administrator closed the group.
    GroupClosed,
    /// The bootstrap service had lost its memory and took this host into a group that promises
    /// something else; join again.
    OtherDelivery {
        /// What the group promises.
        has: Delivery,
    },
}

/// Why the group did not take a host in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectCause {
    /// The bootstrap service did not answer in time.
    BootstrapSilent {
        /// Its address.
        at: SocketAddr,
    },
    /// The bootstrap service has no such group, or nobody is in it and the host did not ask to
    /// create it.
    UnknownGroup,
    /// Another host of the group has the same tag.
    TagTaken,
    /// No protocol that the policy allows can run on this host.
    NoProtocol,
    /// The group is full.
    Full,
    /// The group promises something else than this host wished for. Join without a wish, or with
    /// what the group has, or join another group.
    OtherDelivery {
        /// What the group promises.
        has: Delivery,
    },
    /// The bootstrap service speaks another version of the wire format.
    ForeignVersion {
        /// The version it speaks.
        version: u8,
    },
}

impl fmt::Display for RejectCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BootstrapSilent { at } => {
                write!(f, "the bootstrap service at {at} does not answer")
            }
            Self::UnknownGroup => f.write_str("the bootstrap service has no such group"),
            Self::TagTaken => f.write_str("another host of the group has the same id"),
            Self::NoProtocol => {
                f.write_str("no protocol that the policy allows can run on this host")
            }
            Self::Full => f.write_str("the group is full"),
            Self::OtherDelivery { has } => {
                write!(f, "the group is {has}, as its first host settled, and not as wished here")
            }
            Self::ForeignVersion { version } => write!(
                f,
                "the bootstrap service speaks version {version} of the wire format, this host \
                 version {}",
                crate::wire::VERSION
            ),
        }
    }
}

/// Why a message was not published. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// Too much is under way. [`Notice::Writable`] says when to try again.
    WouldBlock,
    /// The message is longer than the limit.
    TooLarge {
        /// The message's length in bytes.
        len: usize,
        /// The most bytes a message may have.
        max: usize,
    },
    /// The host is not a member of the group, or not yet.
    NotAdmitted,
    /// The group was left, or it put this host out.
    Closed,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::WouldBlock => f.write_str("too much is under way, try again when writable"),
            Self::TooLarge { len, max } => {
                write!(f, "the message has {len} bytes, {max} are allowed; send it in pieces")
            }
            Self::NotAdmitted => f.write_str("this host is not yet a member of the group"),
            Self::Closed => f.write_str("this host is no longer a member of the group"),
        }
    }
}

impl core::error::Error for PublishError {}

/// Why a group was not joined. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// This host is in the group already, or is just leaving it.
    AlreadyJoined(GroupId),
    /// This host is in as many groups as its limits allow.
    TooManyGroups {
        /// The most groups a host may be in.
        max: usize,
    },
    /// The group's name is empty or longer than 255 bytes.
    BadName(String),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyJoined(group) => write!(f, "group {group} is joined already"),
            Self::TooManyGroups { max } => write!(f, "at most {max} groups may be joined at once"),
            Self::BadName(name) => {
                write!(f, "a group's name has 1 to 255 bytes, this one has {}", name.len())
            }
        }
    }
}

impl core::error::Error for JoinError {}
