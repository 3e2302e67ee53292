//! What the fuzz targets over machines share: bytes as a list of ops, and an adapter that plays
//! them and holds the machine to its contract.
//!
//! `cargo fuzz run packet` searches. Without cargo-fuzz, a target that was built with
//! `RUSTC_BOOTSTRAP=1 cargo build` replays its inputs: `packet corpus/packet/*`.

use bytes::Bytes;
use quilt_proto::wire::{
    Assembler, Frame, Frames, Header, MAX_DATAGRAM_BYTES, PREFIX_BYTES, SUITE_OPEN,
};
use quilt_proto::{Action, Event, HostTag, LinkError, LinkId, Machine, Time, Transmit};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// What a machine may do for one op before it must have nothing more to do.
const STEPS: usize = 100_000;

/// What happens next. On the wire of the fuzzer: kind, `which`, the payload's length in two bytes,
/// and the payload.
pub struct Op<'a> {
    /// What, modulo the number of things that can happen.
    pub kind: u8,
    /// On which link, from whom, or for how long.
    pub which: u8,
    /// With which bytes.
    pub payload: &'a [u8],
}

impl<'a> Op<'a> {
    /// The ops that `bytes` stand for: any bytes are some. At most 256.
    pub fn list(mut bytes: &'a [u8]) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let (&[kind, which, high, low], rest) = bytes.split_first_chunk()?;
            let len = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
            let (payload, rest) = rest.split_at(len);
            bytes = rest;
            Some(Self { kind, which, payload })
        })
        .take(256)
    }

    /// The bytes that stand for it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let len = u16::try_from(self.payload.len()).expect("a short payload");
        out.extend([self.kind, self.which]);
        out.extend(len.to_be_bytes());
        out.extend(self.payload);
    }
}

/// Bytes behind a good header, from one of 256 hosts.
pub fn packet(sender: u8, frames: &[u8]) -> Vec<u8> {
    let sender = HostTag(u64::from_be_bytes([sender; 8]));
    let header = Header { suite: SUITE_OPEN, key_epoch: 0, sender, number: 1 };
    [&header.encode()[..], frames].concat()
}

/// One of 256 addresses.
pub fn address(n: u8) -> SocketAddr {
    ([127, 0, 0, n], 4_000).into()
}

/// What became of a link that the machine knows.
enum Link {
    /// Dialled or joined, and not yet answered.
    Asked { stream: bool },
    /// Packets are datagrams.
    Multicast,
    /// Packets have their length in front; what was sent is read back.
    Stream(Assembler),
}

/// An adapter without sockets.
pub struct Driver<M> {
    /// What it drives.
    pub machine: M,
    /// The time.
    pub now: Time,
    /// The last cookie that it gave, or 0.
    pub cookie: u64,
    links: BTreeMap<LinkId, Link>,
}

impl<M: Machine> Driver<M> {
    /// The kinds of ops that [`apply`](Self::apply) knows; larger ones are the target's own.
    pub const KINDS: u8 = 10;

    /// Starts at time zero.
    pub fn new(machine: M) -> Self {
        Self { machine, now: Time::ZERO, cookie: 0, links: BTreeMap::new() }
    }

    /// Lets one thing happen, and everything that follows from it.
    pub fn apply(&mut self, op: &Op<'_>) {
        let bytes = Bytes::copy_from_slice(op.payload);
        match op.kind % Self::KINDS {
            0 => self.datagram(op.which, bytes),
            1 => self.datagram(op.which, packet(op.which, op.payload).into()),
            2 => self.received(op.which, bytes),
            3 => {
                let packet = packet(op.which, op.payload);
                let len = u16::try_from(packet.len()).unwrap_or(u16::MAX).to_be_bytes();
                self.received(op.which, [&len[..], &packet].concat().into());
            }
            4 => {
                if let Some(link) = self.machine.accept(self.now, address(op.which)) {
                    let known = self.links.insert(link, Link::Stream(Assembler::default()));
                    assert!(known.is_none(), "{link} was accepted twice");
                }
            }
            5 => self.opened(op.which),
            6 => self.closed(op.which),
            7 => self.now = self.now + Duration::from_millis(u64::from(op.which)),
            8 => self.now = self.now + Duration::from_secs(u64::from(op.which)),
            _ => self.now = self.now.max(self.machine.poll_timeout().unwrap_or(self.now)),
        }
        self.settle();
    }

    /// Pulls everything, and fires what is due, until the machine has nothing more to do now.
    pub fn settle(&mut self) {
        for _ in 0..STEPS {
            if let Some(action) = self.machine.poll_action() {
                self.act(action);
            } else if self.machine.poll_timeout().is_some_and(|wake| wake <= self.now) {
                self.machine.handle(self.now, Event::Timeout);
            } else {
                return;
            }
        }
        panic!("still busy after {STEPS} steps");
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Dial { link, .. } => {
                let known = self.links.insert(link, Link::Asked { stream: true });
                assert!(known.is_none(), "{link} was dialled twice");
            }
            Action::JoinMulticast { link, .. } => {
                let known = self.links.insert(link, Link::Asked { stream: false });
                assert!(known.is_none(), "{link} was joined twice");
            }
            Action::Close { link } => {
                self.links.remove(&link);
            }
            Action::Look { link } => {
                for _ in 0..STEPS {
                    let Some(transmit) = self.machine.poll_transmit(link) else { return };
                    self.check(link, &transmit);
                }
                panic!("{link} has always more to say");
            }
        }
    }

    /// What a machine sends is a packet that every other one can read.
    fn check(&mut self, link: LinkId, transmit: &Transmit) {
        let bytes = transmit.to_bytes();
        assert_eq!(bytes.len(), transmit.len());
        let packet = match self.links.get_mut(&link) {
            Some(Link::Stream(sent)) => {
                assert!(bytes.len() > PREFIX_BYTES);
                sent.push(bytes);
                sent.next_packet().expect("a stream of packets").expect("a whole packet")
            }
            _ => {
                assert!(bytes.len() <= MAX_DATAGRAM_BYTES, "{} bytes", bytes.len());
                bytes
            }
        };
        for frame in Frames::decode(packet).expect("a good header") {
            if let Frame::Cookie { cookie, .. } = frame.expect("a good frame") {
                self.cookie = cookie;
            }
        }
    }

    fn datagram(&mut self, from: u8, bytes: Bytes) {
        let joined = self
            .links
            .iter()
            .filter(|(_, link)| matches!(link, Link::Multicast))
            .map(|(id, _)| *id);
        let links: Vec<LinkId> = std::iter::once(LinkId::UDP).chain(joined).collect();
        let link = links[usize::from(from) % links.len()];
        self.machine.handle(self.now, Event::Datagram { link, from: address(from), bytes });
    }

    fn received(&mut self, which: u8, bytes: Bytes) {
        let stream = self.nth(which, |link| matches!(link, Link::Stream(_)));
        if let Some(link) = stream.filter(|_| !bytes.is_empty()) {
            self.machine.handle(self.now, Event::Received { link, bytes });
        }
    }

    fn opened(&mut self, which: u8) {
        let asked = |link: &Link| matches!(link, Link::Asked { .. });
        let Some(link) = self.nth(which, asked) else { return };
        let opened = match self.links.get(&link) {
            Some(Link::Asked { stream: true }) => Link::Stream(Assembler::default()),
            _ => Link::Multicast,
        };
        self.links.insert(link, opened);
        self.machine.handle(self.now, Event::Opened { link });
    }

    fn closed(&mut self, which: u8) {
        let causes = [LinkError::Ended, LinkError::Refused, LinkError::Reset, LinkError::TimedOut];
        let Some(link) = self.nth(which, |_| true) else { return };
        self.links.remove(&link);
        let cause = causes[usize::from(which) % causes.len()];
        self.machine.handle(self.now, Event::Closed { link, cause });
    }

    /// One of the links that are of a kind.
    fn nth(&self, which: u8, of_kind: impl Fn(&Link) -> bool) -> Option<LinkId> {
        let links: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| of_kind(link)).map(|(id, _)| *id).collect();
        links.get(usize::from(which).checked_rem(links.len())?).copied()
    }
}
