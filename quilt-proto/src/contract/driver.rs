//! An adapter without sockets, and what it lets happen.

use crate::wire::{Assembler, Frame, Frames, Header, MAX_DATAGRAM_BYTES, PREFIX_BYTES, SUITE_OPEN};
use crate::{Action, Event, HostTag, LinkError, LinkId, Machine, Time, Transmit};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;
use core::hash::{Hash, Hasher};
use core::net::SocketAddr;
use core::time::Duration;
use siphasher::sip::SipHasher13;

/// What a machine may do for one op before it must have nothing more to do.
const STEPS: usize = 100_000;

/// Something that happens. In bytes: its kind, `which`, the payload's length in two bytes, and the
/// payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op<'a> {
    /// What; see [`Driver::apply`].
    pub kind: u8,
    /// On which link, from whom, or for how long.
    pub which: u8,
    /// With which bytes.
    pub payload: &'a [u8],
}

impl<'a> Op<'a> {
    /// The most ops that bytes stand for.
    pub const MAX: usize = 256;

    /// The ops that `bytes` stand for: any bytes are some. At most [`Op::MAX`].
    pub fn list(mut bytes: &'a [u8]) -> impl Iterator<Item = Self> {
        core::iter::from_fn(move || {
            let (&[kind, which, high, low], rest) = bytes.split_first_chunk()?;
            let len = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
            let (payload, rest) = rest.split_at(len);
            bytes = rest;
            Some(Self { kind, which, payload })
        })
        .take(Self::MAX)
    }

    /// Appends the bytes that stand for it. A payload beyond 65,535 bytes is cut there.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let len = u16::try_from(self.payload.len()).unwrap_or(u16::MAX);
        out.extend([self.kind, self.which]);
        out.extend(len.to_be_bytes());
        out.extend(self.payload.iter().take(usize::from(len)));
    }
}

/// Bytes behind a good header, from one of 256 hosts: that with the id of 32 times `sender`.
pub fn packet(sender: u8, frames: &[u8]) -> Vec<u8> {
    let sender = HostTag(u64::from_be_bytes([sender; 8]));
    let header = Header { suite: SUITE_OPEN, key_epoch: 0, sender, number: 1 };
    [&header.encode()[..], frames].concat()
}

/// One of 256 addresses.
pub fn address(n: u8) -> SocketAddr {
    ([127, 0, 0, n], 4_000).into()
}

/// The most questions that are remembered.
const QUESTIONS: usize = 64;

/// What became of a link that the machine knows.
#[derive(Debug)]
enum Link {
    /// Dialled or joined, and not yet answered.
    Asked { stream: bool },
    /// A probe that nobody has answered yet.
    Probe,
    /// Packets are datagrams.
    Multicast,
    /// Packets have their length in front; what was sent is read back.
    Stream(Assembler),
}

/// An adapter without sockets: it lets ops happen to a machine, and checks what the machine does.
#[derive(Debug)]
pub struct Driver<M> {
    /// What it drives.
    pub machine: M,
    /// The time.
    pub now: Time,
    /// The last cookie that the machine gave, or 0.
    pub cookie: u64,
    /// The nonces of the last questions that the machine asked about itself, at most 64.
    pub questions: Vec<u64>,
    links: BTreeMap<LinkId, Link>,
    digest: SipHasher13,
}

impl<M: Machine> Driver<M> {
    /// The kinds of ops that [`apply`](Self::apply) knows.
    pub const KINDS: u8 = 11;

    /// Starts at time zero.
    pub fn new(machine: M) -> Self {
        let (links, digest) = (BTreeMap::new(), SipHasher13::new());
        Self { machine, now: Time::ZERO, cookie: 0, questions: Vec::new(), links, digest }
    }

    /// Lets one thing happen, and everything that follows from it. By the kind, modulo
    /// [`Driver::KINDS`]:
    ///
    /// 0. the payload comes as a datagram; 1. so do frames, behind a good header
    /// 2. the payload comes on a stream; 3. so do frames, as a packet behind a good header
    /// 4. somebody opens a stream; 5. a link that was asked for opens; 6. a link closes
    /// 7. milliseconds pass; 8. seconds pass; 9. the next deadline comes
    /// 10. the machine is woken for nothing
    ///
    /// # Panics
    /// The machine breaks its contract.
    pub fn apply(&mut self, op: &Op<'_>) {
        let bytes = Bytes::copy_from_slice(op.payload);
        match op.kind.checked_rem(Self::KINDS) {
            Some(0) => self.datagram(op.which, bytes),
            Some(1) => self.datagram(op.which, packet(op.which, op.payload).into()),
            Some(2) => self.received(op.which, bytes),
            Some(3) => {
                let packet = packet(op.which, op.payload);
                let len = u16::try_from(packet.len()).unwrap_or(u16::MAX).to_be_bytes();
                self.received(op.which, [&len[..], &packet].concat().into());
            }
            Some(4) => {
                if let Some(link) = self.machine.accept(self.now, address(op.which)) {
                    let known = self.links.insert(link, Link::Stream(Assembler::default()));
                    assert!(known.is_none(), "{link} was accepted twice");
                }
            }
            Some(5) => self.opened(op.which),
            Some(6) => self.closed(op.which),
            Some(7) => self.now = self.now + Duration::from_millis(u64::from(op.which)),
            Some(8) => self.now = self.now + Duration::from_secs(u64::from(op.which)),
            Some(9) => self.now = self.now.max(self.machine.poll_timeout().unwrap_or(self.now)),
            _ => self.wake_early(),
        }
        self.settle();
    }

    /// Pulls everything, and fires what is due, until the machine has nothing more to do now.
    ///
    /// # Panics
    /// It has always more to do, or breaks its contract otherwise.
    pub fn settle(&mut self) {
        for _ in 0..STEPS {
            if let Some(action) = self.machine.poll_action() {
                self.act(action);
            } else if self.deadline().is_some_and(|at| at <= self.now) {
                self.machine.handle(self.now, Event::Timeout);
            } else {
                return;
            }
        }
        panic!("still busy after {STEPS} steps");
    }

    /// What came out of the machine so far.
    pub fn digest(&self) -> u64 {
        self.digest.finish()
    }

    fn deadline(&self) -> Option<Time> {
        let deadline = self.machine.poll_timeout();
        assert_eq!(deadline, self.machine.poll_timeout(), "asked twice for its deadline");
        deadline
    }

    /// Wakes the machine before its deadline. It may look at the time again sooner or later, but
    /// nothing comes of it.
    fn wake_early(&mut self) {
        if self.deadline().is_some_and(|at| at > self.now) {
            self.machine.handle(self.now, Event::Timeout);
            let action = self.machine.poll_action();
            assert_eq!(action, None, "woken too early at {}", self.now);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Dial { link, to, from } => {
                (0u8, link, to, from).hash(&mut self.digest);
                let known = self.links.insert(link, Link::Asked { stream: true });
                assert!(known.is_none(), "{link} was dialled twice");
            }
            Action::JoinMulticast { link, address, interface, ttl } => {
                (1u8, link, address, interface, ttl).hash(&mut self.digest);
                let known = self.links.insert(link, Link::Asked { stream: false });
                assert!(known.is_none(), "{link} was joined twice");
            }
            Action::Probe { link, by, to, ttl, from } => {
                (4u8, link, by, to, ttl, from).hash(&mut self.digest);
                let known = self.links.insert(link, Link::Probe);
                assert!(known.is_none(), "{link} was probed twice");
            }
            Action::Close { link } => {
                (2u8, link).hash(&mut self.digest);
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
        let bytes = transmit.to_chunks();
        assert_eq!(bytes.len(), transmit.len(), "a packet is as long as it says");
        (3u8, link, transmit.to, bytes.chunks()).hash(&mut self.digest);
        let packet = match self.links.get_mut(&link) {
            Some(Link::Stream(sent)) => {
                assert!(bytes.len() > PREFIX_BYTES, "an empty packet on {link}");
                sent.push(bytes);
                sent.next_packet().expect("a stream of packets").expect("a whole packet")
            }
            _ => {
                assert!(bytes.len() <= MAX_DATAGRAM_BYTES, "a datagram of {} bytes", bytes.len());
                bytes
            }
        };
        for frame in Frames::decode(packet).expect("a good header") {
            match frame.expect("a good frame") {
                Frame::Cookie { cookie, .. } => self.cookie = cookie,
                Frame::Sense(sense) => {
                    if self.questions.len() >= QUESTIONS {
                        self.questions.remove(0);
                    }
                    self.questions.push(sense.nonce);
                }
                _ => {}
            }
        }
    }

    fn datagram(&mut self, from: u8, bytes: Bytes) {
        let joined = self.links.iter().filter(|(_, link)| matches!(link, Link::Multicast));
        let links: Vec<LinkId> =
            core::iter::once(LinkId::UDP).chain(joined.map(|(id, _)| *id)).collect();
        let link = choose(&links, from).unwrap_or(LinkId::UDP);
        self.machine
            .handle(self.now, Event::Datagram { link, from: address(from), bytes: bytes.into() });
    }

    fn received(&mut self, which: u8, bytes: Bytes) {
        let stream = self.nth(which, |link| matches!(link, Link::Stream(_)));
        if let Some(link) = stream.filter(|_| !bytes.is_empty()) {
            self.machine.handle(self.now, Event::Received { link, bytes: bytes.into() });
        }
    }

    /// What was dialled or joined is open, or a probe is answered.
    fn opened(&mut self, which: u8) {
        let asked = |link: &Link| matches!(link, Link::Asked { .. } | Link::Probe);
        let Some(link) = self.nth(which, asked) else { return };
        let opened = match self.links.get(&link) {
            Some(Link::Probe) => {
                let (at, is_end) = (address(which).ip(), which & 3 == 0);
                return self.machine.handle(self.now, Event::Hop { link, at, is_end });
            }
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
        let cause = choose(&causes, which).unwrap_or(LinkError::Ended);
        self.machine.handle(self.now, Event::Closed { link, cause });
    }

    /// One of the links that are of a kind.
    fn nth(&self, which: u8, of_kind: impl Fn(&Link) -> bool) -> Option<LinkId> {
        let links = self.links.iter().filter(|(_, link)| of_kind(link));
        choose(&links.map(|(id, _)| *id).collect::<Vec<_>>(), which)
    }
}

fn choose<T: Copy>(from: &[T], which: u8) -> Option<T> {
    from.get(usize::from(which).checked_rem(from.len())?).copied()
}
