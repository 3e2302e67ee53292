//! How a host looks from outside, for a host that asks (paper, section 4.4).
//!
//! What RFC 5780 has of STUN: a question is answered from the socket that it came to, from another
//! port or from another address; and what it says of TCP too: the service opens a stream back.

use super::Bootstrap;
use super::group::Path;
use crate::wire::{Frame, Frames, Reply, Sense, Sensed};
use crate::{Action, Chunks, Counter, LinkError, LinkId};
use alloc::collections::BTreeMap;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// The most streams that are being opened back at once.
const MAX_CALLBACKS: usize = 256;
/// No longer than this.
const CALLBACK_TIME: Duration = Duration::from_secs(2);

/// The streams that the service opens so that hosts learn whether they can be reached.
#[derive(Debug, Default)]
pub(super) struct Callbacks(BTreeMap<LinkId, Callback>);

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Callback {
    to: SocketAddr,
    nonce: u64,
    /// Where the question came from, and by which way.
    asked: Path,
}

impl Callbacks {
    fn has_room(&self, to: IpAddr) -> bool {
        self.0.len() < MAX_CALLBACKS && self.0.values().all(|one| one.to.ip() != to)
    }
}

impl Bootstrap {
    /// A datagram came to one of the sockets that are there for such questions only.
    pub(super) fn on_aside(&mut self, link: LinkId, from: SocketAddr, packet: Chunks) {
        let len = packet.len();
        let frames = match Frames::decode(packet) {
            Ok(frames) => frames,
            Err(error) => return self.counters.bump(super::service::packet_counter(error)),
        };
        self.counters.bump(Counter::PacketsReceived);
        for frame in frames {
            match frame {
                Ok(Frame::Sense(sense)) if sense.reply == Reply::Here => {
                    return self.answer(link, from, sense, len);
                }
                Ok(_) => self.counters.bump(Counter::DroppedUnexpected),
                Err(_) => return self.counters.bump(Counter::DroppedMalformed),
            }
        }
    }

    /// A host asks how it looks from outside, in a datagram of `len` bytes or on a stream.
    pub(super) fn on_sense(&mut self, path: Path, sense: Sense, len: usize) {
        let Some(from) = self.origin(path) else { return };
        let config = self.directory.config();
        let link = match (sense.reply, path) {
            (Reply::Stream { port }, _) => return self.call_back(path, from, port, sense),
            (Reply::Here, Path::Stream(_)) => {
                let sensed = Frame::Sensed(self.sensed(from, sense.nonce));
                return self.send(path, &sensed);
            }
            (Reply::Here, _) => Some(LinkId::UDP),
            (Reply::OtherPort, Path::Datagram(_)) => config.other_port.map(|_| LinkId::OTHER_PORT),
            (Reply::OtherAddress, Path::Datagram(_)) => {
                config.other_address.map(|_| LinkId::OTHER_ADDRESS)
            }
            (_, Path::Stream(_)) => None,
        };
        match link {
            Some(link) => self.answer(link, from, sense, len),
            None => self.counters.bump(Counter::DroppedUnexpected),
        }
    }

    /// Answers by datagram, never with more bytes than came in.
    fn answer(&mut self, link: LinkId, to: SocketAddr, sense: Sense, len: usize) {
        if len < Sensed::DATAGRAM_BYTES {
            return self.counters.bump(Counter::Unproven);
        }
        let sensed = self.sensed(to, sense.nonce);
        self.queue(link, Some(to), &Frame::Sensed(sensed));
    }

    fn sensed(&self, seen: SocketAddr, nonce: u64) -> Sensed {
        let config = self.directory.config();
        let (other_port, other_address) = (config.other_port, config.other_address);
        let cookie = self.cookies.cookie(self.now, seen);
        Sensed { nonce, cookie, seen, other_port, other_address, unreachable: false }
    }

    /// Opens a stream to a host, if it has proved its address.
    fn call_back(&mut self, asked: Path, from: SocketAddr, port: u16, sense: Sense) {
        let is_proven = match asked {
            Path::Datagram(_) => self.cookies.is_valid(self.now, from, sense.cookie),
            Path::Stream(_) => true,
        };
        if !is_proven {
            return self.counters.bump(Counter::Unproven);
        }
        let to = SocketAddr::new(from.ip(), port);
        if !self.callbacks.has_room(to.ip()) {
            return self.counters.bump(Counter::LinksRefused);
        }
        let link = self.name();
        self.callbacks.0.insert(link, Callback { to, nonce: sense.nonce, asked });
        self.idle.set(link, self.now + CALLBACK_TIME);
        self.actions.push_back(Action::Dial { link, to, from: None });
    }

    /// A stream to a host is open: that it is, is all there is to say.
    pub(super) fn on_opened(&mut self, link: LinkId) {
        let Some(&Callback { to, nonce, .. }) = self.callbacks.0.get(&link) else { return };
        self.outbox.open(link);
        let sensed = self.sensed(to, nonce);
        self.queue(link, None, &Frame::Sensed(sensed));
    }

    /// A stream to a host ended, or could not be opened.
    pub(super) fn on_closed(&mut self, link: LinkId, cause: LinkError) {
        let called = self.callbacks.0.get(&link).copied();
        self.forget(link);
        let Some(Callback { nonce, asked, .. }) = called.filter(|_| cause != LinkError::Ended)
        else {
            return;
        };
        let Some(from) = self.origin(asked) else { return };
        let sensed = Sensed { unreachable: true, ..self.sensed(from, nonce) };
        self.send(asked, &Frame::Sensed(sensed));
    }

    pub(super) fn forget_callback(&mut self, link: LinkId) {
        self.callbacks.0.remove(&link);
    }

    /// Where whoever speaks by that way is.
    fn origin(&self, path: Path) -> Option<SocketAddr> {
        match path {
            Path::Datagram(from) => Some(from),
            Path::Stream(link) => self.streams.get(&link).map(|stream| stream.from),
        }
    }
}
