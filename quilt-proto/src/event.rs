//! What goes into a machine and what comes out of it.

use crate::euid::Transport;
use crate::wire::{Data, Header, PREFIX_BYTES};
use crate::{Chunks, LinkId, Time};
use bytes::Bytes;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use smallvec::SmallVec;

/// What an adapter drives: a [`Node`](crate::Node) or a [`Bootstrap`](crate::Bootstrap).
///
/// After `accept` and `handle`, of which it may make a few calls in a row, and after each call of the
/// application's, the adapter drains [`poll_action`](Self::poll_action), then [`poll_transmit`](Self::poll_transmit) of the
/// links it was told to look at while their sockets can take more, then reads
/// [`poll_timeout`](Self::poll_timeout).
pub trait Machine {
    /// Names a TCP stream that `from` has opened to this host; `None` if it must be closed at
    /// once because there are too many.
    fn accept(&mut self, now: Time, from: SocketAddr) -> Option<LinkId>;

    /// Applies one event and queues what follows from it. Never fails, never blocks.
    fn handle(&mut self, now: Time, event: Event);

    /// Next thing the adapter must do.
    fn poll_action(&mut self) -> Option<Action>;

    /// Next packet for `link`, chosen and encoded now; `None` once it has nothing to say.
    fn poll_transmit(&mut self, link: LinkId) -> Option<Transmit>;

    /// When to come back with [`Event::Timeout`]; the latest `now` while actions are queued,
    /// `None` if only outside events can change anything.
    fn poll_timeout(&self) -> Option<Time>;
}

/// What happened outside a machine.
#[derive(Clone, Debug)]
pub enum Event {
    /// The time asked for by [`Machine::poll_timeout`] has come. Early and superfluous ones are
    /// harmless.
    Timeout,
    /// A datagram came in on [`LinkId::UDP`] or on a joined IP-multicast address.
    Datagram {
        /// The socket that received it.
        link: LinkId,
        /// Its sender, as the datagram says.
        from: SocketAddr,
        /// Its payload.
        bytes: Chunks,
    },
    /// The system dropped datagrams that came to a socket, since its buffer was full.
    Overrun {
        /// The socket.
        link: LinkId,
        /// How many since it was last told.
        datagrams: u64,
    },
    /// Somebody answered a probe.
    Hop {
        /// The probe.
        link: LinkId,
        /// Who answered: a router on the way, or the host at its end.
        at: IpAddr,
        /// It was the end.
        is_end: bool,
    },
    /// A dialled stream is open, or an IP-multicast address is joined.
    Opened {
        /// Which.
        link: LinkId,
    },
    /// Bytes came in on a stream.
    Received {
        /// The stream.
        link: LinkId,
        /// The next bytes of it, at least one.
        bytes: Chunks,
    },
    /// A stream ended, could not be opened, or an IP-multicast address could not be joined. The
    /// link's name is not used again.
    Closed {
        /// Which.
        link: LinkId,
        /// Why.
        cause: LinkError,
    },
}

/// Why a link is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkError {
    /// The other side closed the stream in good order.
    Ended,
    /// Nobody listens at the address.
    Refused,
    /// The stream broke off.
    Reset,
    /// Nothing was heard in time.
    TimedOut,
    /// No route leads to the address.
    Unreachable,
    /// The host has no interface with that address.
    NoSuchInterface,
    /// The system does not let this process do it.
    NotPermitted,
    /// The address and port are taken.
    AddressInUse,
    /// There is no room for another socket or membership, in the system or within the limits.
    NoRoom,
    /// Another failure, with the operating system's number for it (0 if it has none).
    Other(i32),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Ended => f.write_str("closed by the other side"),
            Self::Refused => f.write_str("nobody listens there"),
            Self::Reset => f.write_str("the connection broke off"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Unreachable => f.write_str("no route leads there"),
            Self::NoSuchInterface => f.write_str("no interface of this host has that address"),
            Self::NotPermitted => f.write_str("the system does not permit it"),
            Self::AddressInUse => f.write_str("the address is taken"),
            Self::NoRoom => f.write_str("there is no room for another socket"),
            Self::Other(code) => write!(f, "system error {code}"),
        }
    }
}

/// What a machine wants done outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a TCP stream; answer with [`Event::Opened`] or [`Event::Closed`].
    Dial {
        /// The name the stream shall have.
        link: LinkId,
        /// Where to.
        to: SocketAddr,
        /// The local address to dial from, with any port; `None` leaves it to the system.
        from: Option<IpAddr>,
    },
    /// Join an IP-multicast address, to receive and to send on it; answer with [`Event::Opened`]
    /// or [`Event::Closed`].
    JoinMulticast {
        /// The name the membership shall have.
        link: LinkId,
        /// The class-D address and port.
        address: SocketAddr,
        /// The local address of the interface.
        interface: IpAddr,
        /// The hop limit of what is sent there.
        ttl: u8,
    },
    /// Send one packet that passes only so many routers, and answer with [`Event::Hop`] once somebody
    /// says that it came no further; with [`Event::Closed`] if it could not be sent. Nothing has to be
    /// answered: [`Action::Close`] follows in any case.
    Probe {
        /// The name that the probe shall have.
        link: LinkId,
        /// As a datagram without contents, or as the first packet of a stream.
        by: Transport,
        /// Where to.
        to: SocketAddr,
        /// How many routers it may reach: the last of them, or the end, answers.
        ttl: u8,
        /// The local address to send from, with any port.
        from: IpAddr,
    },
    /// Close a link, unsent frames and all. No event answers it; none follows but those that the
    /// adapter handed in before it saw this, which are ignored.
    Close {
        /// Which.
        link: LinkId,
    },
    /// A link has something to say: pull it with [`Machine::poll_transmit`] while its socket can
    /// take more. Asked for again only after a pull has returned `None`.
    Look {
        /// Which.
        link: LinkId,
    },
}

/// One packet to write: a datagram, or a piece of a stream that must not be cut by another.
///
/// Its bytes are several slices, heads and payloads in turn; a payload is shared with the window
/// and with every other link that sends it, never copied. Write [`slices`](Self::slices) with one
/// vectored call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to send a datagram; `None` on a stream.
    pub to: Option<SocketAddr>,
    heads: SmallVec<[u8; Self::HEAD_BYTES]>,
    payloads: SmallVec<[(u16, Bytes); Self::PAYLOADS]>,
    len: usize,
}

impl Transmit {
    /// The most payloads that fit a packet without an allocation.
    pub(crate) const PAYLOADS: usize = 16;

    /// The heads of a packet on a stream with so many.
    const HEAD_BYTES: usize = PREFIX_BYTES + Header::BYTES + Self::PAYLOADS * Data::HEAD_BYTES;

    /// An empty packet for `to`, or for a stream.
    pub fn new(to: Option<SocketAddr>) -> Self {
        Self { to, heads: SmallVec::new(), payloads: SmallVec::new(), len: 0 }
    }

    /// Adds head bytes behind what is there.
    pub fn push_head(&mut self, bytes: &[u8]) {
        self.heads.extend_from_slice(bytes);
        self.len = self.len.saturating_add(bytes.len());
    }

    /// Overwrites head bytes from `at` on; bytes beyond the end are ignored.
    pub(crate) fn patch_head(&mut self, at: usize, bytes: &[u8]) {
        for (to, from) in self.heads.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
    }

    /// Adds a shared payload behind what is there, of which at most 65,535 bytes may be heads.
    pub fn push_payload(&mut self, payload: Bytes) {
        self.len = self.len.saturating_add(payload.len());
        debug_assert!(self.heads.len() <= usize::from(u16::MAX), "too many bytes of heads");
        let at = u16::try_from(self.heads.len()).unwrap_or(u16::MAX);
        self.payloads.push((at, payload));
    }

    /// How many payloads it carries.
    pub(crate) fn payload_count(&self) -> usize {
        self.payloads.len()
    }

    /// How many bytes it is.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes. What [`Machine::poll_transmit`] returns never is.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its bytes in order, in slices of which none is empty: at most 33 where the core made it.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.payloads.iter().map(|(at, _)| usize::from(*at));
        let starts = core::iter::once(0).chain(ends.clone());
        let heads = starts.zip(ends.chain(core::iter::once(self.heads.len())));
        let payloads = self.payloads.iter().map(|(_, payload)| &payload[..]).map(Some);
        heads
            .zip(payloads.chain(core::iter::once(None)))
            .flat_map(|((from, to), payload)| [self.heads.get(from..to), payload])
            .flatten()
            .filter(|slice| !slice.is_empty())
    }

    /// Its bytes in one piece, copied.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = bytes::BytesMut::with_capacity(self.len);
        self.slices().for_each(|slice| bytes.extend_from_slice(slice));
        bytes.freeze()
    }

    /// Its bytes in the pieces of [`slices`](Self::slices), to be kept: heads are copied, payloads
    /// stay shared.
    pub fn to_chunks(&self) -> Chunks {
        let mut heads = Bytes::copy_from_slice(&self.heads);
        let mut chunks = Chunks::default();
        let mut cut = 0;
        for (at, payload) in &self.payloads {
            let head = heads.split_to(usize::from(*at).saturating_sub(cut).min(heads.len()));
            cut = usize::from(*at);
            chunks.extend([head, payload.clone()].into_iter().filter(|chunk| !chunk.is_empty()));
        }
        chunks.extend(Some(heads).filter(|rest| !rest.is_empty()));
        chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn slices_are_heads_and_payloads_in_the_order_of_pushing() {
        let mut transmit = Transmit::new(None);
        transmit.push_head(b"ab");
        transmit.push_payload(Bytes::from_static(b"XY"));
        transmit.push_head(b"c");
        transmit.push_payload(Bytes::from_static(b"Z"));
        transmit.push_head(b"d");
        transmit.patch_head(2, b"C");
        let slices: Vec<&[u8]> = transmit.slices().collect();
        assert_eq!(slices, [&b"ab"[..], b"XY", b"C", b"Z", b"d"]);
        assert_eq!(transmit.len(), 7);
        assert_eq!(&transmit.to_bytes()[..], b"abXYCZd");
        let chunks = transmit.to_chunks();
        assert_eq!(chunks.chunks(), [&b"ab"[..], b"XY", b"C", b"Z", b"d"]);
    }

    #[test]
    fn an_empty_payload_leaves_no_empty_slice() {
        let mut transmit = Transmit::new(None);
        transmit.push_head(b"ab");
        transmit.push_payload(Bytes::new());
        assert_eq!(transmit.slices().count(), 1);
        assert_eq!(transmit.to_chunks().chunks(), [&b"ab"[..]]);
    }
}
