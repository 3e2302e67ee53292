//! Links: one stream a host, kept exactly as long as somebody needs the host; IP-multicast
//! addresses; and the UDP socket. Framing, greeting, liveness and queues are here.

mod hosts;
mod liveness;
mod pacer;
mod queue;
mod stream;

use crate::counters::{Counter, Counters};
use crate::wire::{self, Frame, Frames, Header, Hello};
use crate::{Action, GroupId, HostId, HostTag, Limits, LinkError, LinkId, PatchId, Time, Transmit};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use hosts::Hosts;
use pacer::Pacer;
use queue::Queue;
pub(super) use queue::{DataRef, Fill, Urgency};
use stream::{Phase, Stream};

/// A stream that nobody needs any more stays open this long, so that what was said last arrives.
const LINGER: Duration = Duration::from_secs(1);

/// Why somebody needs a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// A protocol in one of the patches.
    Patch(GroupId, PatchId),
    /// The other representatives of a region keep an eye on it.
    Relay(GroupId, PatchId),
}

/// What came in over a link.
#[derive(Debug)]
pub(super) enum Inbound {
    /// A frame.
    Frame { from: From, frame: Frame },
    /// A stream to the host is open.
    Up(HostId),
    /// There is no stream to the host any more, or none could be opened; for whom that matters.
    Down { host: HostId, needs: BTreeSet<Need>, cause: LinkError },
    /// A multicast address is joined, or cannot be.
    Multicast { link: LinkId, joined: Result<(), LinkError> },
    /// Somebody speaks another version.
    ForeignVersion { version: u8, from: SocketAddr },
}

/// Where a frame came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// A stream from that host.
    Host(HostId),
    /// A multicast address, from the host with that tag.
    Multicast(LinkId, HostTag),
    /// The bootstrap service at that address.
    Service(SocketAddr),
}

#[derive(Debug)]
enum Link {
    Stream(Stream),
    Multicast { open: bool, looked: bool, queue: Queue, pacer: Pacer },
}

/// All links of one host.
#[derive(Debug)]
pub(super) struct Links {
    me: Hello,
    links: BTreeMap<LinkId, Link>,
    hosts: Hosts,
    next_link: u64,
    packet_number: u64,
    now: Time,
    /// Datagrams for the bootstrap services, encoded.
    datagrams: VecDeque<(SocketAddr, Bytes)>,
    datagrams_looked: bool,
    actions: VecDeque<Action>,
    inbox: VecDeque<Inbound>,
    /// When each link wants to be looked after, at the latest.
    deadlines: BTreeSet<(Time, LinkId)>,
    pub(super) counters: Counters,
    limits: Limits,
}

impl Links {
    pub(super) fn new(me: Hello, limits: Limits) -> Self {
        Self {
            me,
            links: BTreeMap::new(),
            hosts: Hosts::default(),
            next_link: LinkId::UDP.0.saturating_add(1),
            packet_number: 0,
            now: Time::ZERO,
            datagrams: VecDeque::new(),
            datagrams_looked: false,
            actions: VecDeque::new(),
            inbox: VecDeque::new(),
            deadlines: BTreeSet::new(),
            counters: Counters::default(),
            limits,
        }
    }

    // What comes from the adapter.

    pub(super) fn accept(&mut self, now: Time, from: SocketAddr) -> Option<LinkId> {
        self.now = now;
        if self.links.len() >= self.limits.links {
            self.counters.bump(Counter::LinksRefused);
            return None;
        }
        let link = self.name();
        let stream = Stream::accepted(now, from, &self.limits);
        self.insert(link, Link::Stream(stream));
        Some(link)
    }

    pub(super) fn opened(&mut self, now: Time, link: LinkId) {
        self.now = now;
        let hello = Frame::Hello(self.me.clone());
        match self.links.get_mut(&link) {
            Some(Link::Stream(stream)) => {
                stream.opened(now, &hello);
                self.look(link);
            }
            Some(Link::Multicast { open, .. }) => {
                *open = true;
                self.inbox.push_back(Inbound::Multicast { link, joined: Ok(()) });
                self.look(link);
            }
            None => {}
        }
        self.schedule(link);
    }

    pub(super) fn received(&mut self, now: Time, link: LinkId, bytes: Bytes) {
        self.now = now;
        let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return };
        stream.push(now, bytes);
        loop {
            let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return };
            let from = stream.address();
            match stream.next_packet() {
                Ok(None) => return self.schedule(link),
                Ok(Some(packet)) => self.stream_packet(link, from, packet),
                Err(_) => {
                    self.counters.bump(Counter::DroppedMalformed);
                    return self.drop_link(link, LinkError::Reset);
                }
            }
        }
    }

    pub(super) fn datagram(&mut self, now: Time, link: LinkId, from: SocketAddr, bytes: Bytes) {
        self.now = now;
        let Some(frames) = self.open_packet(from, bytes) else { return };
        let sender = frames.header().sender;
        let source = match self.links.get(&link) {
            Some(Link::Multicast { .. }) if sender == self.me.host.tag() => {
                return self.counters.bump(Counter::OwnPackets);
            }
            Some(Link::Multicast { .. }) => From::Multicast(link, sender),
            _ if link == LinkId::UDP => From::Service(from),
            _ => return self.counters.bump(Counter::DroppedStranger),
        };
        for frame in frames {
            match frame {
                Ok(frame) => self.inbox.push_back(Inbound::Frame { from: source, frame }),
                Err(_) => self.counters.bump(Counter::DroppedMalformed),
            }
        }
    }

    pub(super) fn closed(&mut self, now: Time, link: LinkId, cause: LinkError) {
        self.now = now;
        match self.links.get_mut(&link) {
            Some(Link::Stream(stream)) => match stream.next_address() {
                // The host has another address: try that one.
                Some(to) => {
                    let next = self.name();
                    self.rename(link, next);
                    self.actions.push_back(Action::Dial {
                        link: next,
                        to,
                        from: self.dial_from(to),
                    });
                }
                None => self.forget(link, cause),
            },
            Some(Link::Multicast { .. }) => {
                self.remove(link);
                self.inbox.push_back(Inbound::Multicast { link, joined: Err(cause) });
            }
            None => {}
        }
    }

    pub(super) fn timeout(&mut self, now: Time) {
        self.now = now;
        while let Some(&(at, link)) = self.deadlines.first().filter(|&&(at, _)| at <= now) {
            self.deadlines.remove(&(at, link));
            match self.links.get_mut(&link) {
                Some(Link::Stream(stream)) => {
                    if let Some(cause) = stream.timeout(now) {
                        self.drop_link(link, cause);
                        continue;
                    }
                    self.look(link);
                }
                Some(Link::Multicast { pacer, .. }) => {
                    pacer.refill(now);
                    self.look(link);
                }
                None => {}
            }
            self.schedule(link);
        }
    }

    pub(super) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(super) fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    pub(super) fn poll_inbound(&mut self) -> Option<Inbound> {
        self.inbox.pop_front()
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// Next packet for a link. `fill` brings the fragments and the words that the queues only
    /// name.
    pub(super) fn poll_transmit(&mut self, link: LinkId, fill: &mut dyn Fill) -> Option<Transmit> {
        let transmit =
            if link == LinkId::UDP { self.next_datagram() } else { self.next_packet(link, fill) };
        if let Some(transmit) = &transmit {
            self.counters.bump(Counter::PacketsSent);
            self.counters.add(Counter::BytesSent, transmit.len() as u64);
        }
        transmit
    }

    // What the rest of the node asks for.

    /// Keeps a stream to `host` open for `need`; dials it if there is none.
    pub(super) fn need(&mut self, host: HostId, need: Need, addresses: &[SocketAddr]) {
        if host == self.me.host {
            return;
        }
        self.hosts.need(host, need);
        if let Some(link) = self.hosts.link(host) {
            if let Some(Link::Stream(stream)) = self.links.get_mut(&link) {
                stream.is_needed();
            }
            return;
        }
        let link = self.name();
        let Some(stream) = Stream::dialled(self.now, host, addresses, &self.limits) else {
            let needs = self.hosts.forget_needs(host);
            let cause = LinkError::Unreachable;
            return self.inbox.push_back(Inbound::Down { host, needs, cause });
        };
        let to = stream.address();
        self.hosts.set_link(host, link);
        self.insert(link, Link::Stream(stream));
        self.actions.push_back(Action::Dial { link, to, from: self.dial_from(to) });
    }

    /// Gives up one need; a stream that this host dialled and nobody needs is closed after a while.
    pub(super) fn release(&mut self, host: HostId, need: Need) {
        self.hosts.release(host, need);
        if let Some(link) = self.hosts.link(host).filter(|_| !self.hosts.is_needed(host)) {
            if let Some(Link::Stream(stream)) = self.links.get_mut(&link) {
                stream.idle_from(self.now);
            }
            self.schedule(link);
        }
    }

    /// Whether a stream to the host is open.
    pub(super) fn is_up(&self, host: HostId) -> bool {
        self.stream_to(host).is_some_and(|stream| stream.phase() == Phase::Open)
    }

    pub(super) fn rtt(&self, host: HostId) -> Option<Duration> {
        self.stream_to(host)?.rtt()
    }

    /// Where the host at the other end of a stream said that it listens.
    pub(super) fn greeting(&self, host: HostId) -> Option<&Hello> {
        self.stream_to(host)?.greeting()
    }

    /// Queues a control frame for a host that there is a stream to; false if there is none.
    pub(super) fn send(&mut self, host: HostId, frame: &Frame) -> bool {
        let Some(link) = self.hosts.link(host) else { return false };
        self.send_on(link, frame)
    }

    /// Queues a control frame for a multicast address.
    pub(super) fn send_on(&mut self, link: LinkId, frame: &Frame) -> bool {
        let Some(queue) = self.queue_mut(link) else { return false };
        if !queue.push_control(frame) {
            self.counters.bump(Counter::ControlOverflow);
            self.drop_link(link, LinkError::TimedOut);
            return false;
        }
        self.look(link);
        true
    }

    /// Queues a multicast control frame behind one that says who sends it.
    pub(super) fn introduce_on(&mut self, link: LinkId, frame: &Frame) -> bool {
        let hello = Frame::Hello(self.me.clone());
        self.send_on(link, &hello) && self.send_on(link, frame)
    }

    /// Has this host's word on what it holds sent to a host.
    pub(super) fn send_word(&mut self, host: HostId, group: GroupId, patch: PatchId) {
        if let Some(link) = self.hosts.link(host) {
            self.send_word_on(link, group, patch);
        }
    }

    pub(super) fn send_word_on(&mut self, link: LinkId, group: GroupId, patch: PatchId) {
        if let Some(queue) = self.queue_mut(link) {
            queue.push_word(group, patch);
            self.look(link);
        }
    }

    /// Queues a fragment for a host that there is a stream to. True if the queue just became long.
    pub(super) fn send_fragment(&mut self, host: HostId, data: DataRef, urgency: Urgency) -> bool {
        self.hosts.link(host).is_some_and(|link| self.send_fragment_on(link, data, urgency))
    }

    pub(super) fn send_fragment_on(
        &mut self,
        link: LinkId,
        data: DataRef,
        urgency: Urgency,
    ) -> bool {
        let now = self.now;
        if let Some(Link::Stream(stream)) = self.links.get_mut(&link) {
            stream.carries_data(now);
        }
        let Some(queue) = self.queue_mut(link) else { return false };
        let was_long = queue.is_long();
        let overflow = queue.push_data(data, urgency);
        let is_long = queue.is_long();
        self.counters.add(Counter::QueueOverflow, overflow);
        self.look(link);
        is_long && !was_long
    }

    /// Whether the queue to a host, or to a multicast address, is long.
    pub(super) fn is_slow(&self, host: HostId) -> bool {
        self.stream_to(host).is_some_and(|stream| stream.queue().is_long())
    }

    pub(super) fn is_slow_on(&self, link: LinkId) -> bool {
        matches!(self.links.get(&link), Some(Link::Multicast { queue, .. }) if queue.is_long())
    }

    /// Whether anything of the group waits to be sent.
    pub(super) fn has_queued(&self, group: GroupId) -> bool {
        self.links.values().any(|link| match link {
            Link::Stream(stream) => stream.queue().has_queued(group),
            Link::Multicast { queue, .. } => queue.has_queued(group),
        })
    }

    pub(super) fn join_multicast(
        &mut self,
        address: SocketAddr,
        interface: IpAddr,
        ttl: u8,
        bytes_per_second: u64,
    ) -> LinkId {
        let link = self.name();
        let queue = Queue::new(wire::MAX_DATAGRAM_BYTES - wire::TAG_BYTES, &self.limits);
        let pacer = Pacer::new(bytes_per_second);
        self.insert(link, Link::Multicast { open: false, looked: false, queue, pacer });
        self.actions.push_back(Action::JoinMulticast { link, address, interface, ttl });
        link
    }

    pub(super) fn close_multicast(&mut self, link: LinkId) {
        if self.remove(link).is_some() {
            self.actions.push_back(Action::Close { link });
        }
    }

    /// Queues a datagram for a bootstrap service, padded to the full length if `pad`.
    pub(super) fn send_datagram(&mut self, to: SocketAddr, frame: &Frame, pad: bool) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        if pad {
            let room = wire::MAX_DATAGRAM_BYTES - Header::BYTES;
            let room = room.saturating_sub(bytes.len());
            bytes.extend_from_slice(&wire::padding(room));
        }
        if self.datagrams.len() >= self.limits.queued_control {
            self.datagrams.pop_front();
            self.counters.bump(Counter::ControlOverflow);
        }
        self.datagrams.push_back((to, bytes.into()));
        if !core::mem::replace(&mut self.datagrams_looked, true) {
            self.actions.push_back(Action::Look { link: LinkId::UDP });
        }
    }

    /// Sends a frame to a bootstrap service over a stream, which is dialled if there is none.
    pub(super) fn send_to_service(&mut self, at: SocketAddr, frame: &Frame) {
        let link = match self.service_link(at) {
            Some(link) => link,
            None => {
                let link = self.name();
                let stream = Stream::to_service(self.now, at, &self.limits);
                self.insert(link, Link::Stream(stream));
                self.actions.push_back(Action::Dial { link, to: at, from: self.dial_from(at) });
                link
            }
        };
        self.send_on(link, frame);
    }

    pub(super) fn close_service(&mut self, at: SocketAddr) {
        if let Some(link) = self.service_link(at) {
            if let Some(Link::Stream(stream)) = self.links.get_mut(&link) {
                stream.idle_from(self.now);
            }
            self.schedule(link);
        }
    }

    // Inside.

    fn name(&mut self) -> LinkId {
        let link = LinkId(self.next_link);
        self.next_link = self.next_link.saturating_add(1);
        link
    }

    /// Where to dial from: the preferred own address, where it is of the same family and says
    /// which interface it means.
    fn dial_from(&self, to: SocketAddr) -> Option<IpAddr> {
        let own = self.me.addresses.first()?.ip();
        (own.is_ipv4() == to.is_ipv4() && !own.is_unspecified()).then_some(own)
    }

    fn stream_to(&self, host: HostId) -> Option<&Stream> {
        match self.links.get(&self.hosts.link(host)?)? {
            Link::Stream(stream) => Some(stream),
            Link::Multicast { .. } => None,
        }
    }

    fn service_link(&self, at: SocketAddr) -> Option<LinkId> {
        let is_it = |link: &Link| matches!(link, Link::Stream(stream) if stream.serves(at));
        self.links.iter().find(|(_, link)| is_it(link)).map(|(&link, _)| link)
    }

    fn queue_mut(&mut self, link: LinkId) -> Option<&mut Queue> {
        match self.links.get_mut(&link)? {
            Link::Stream(stream) => Some(stream.queue_mut()),
            Link::Multicast { queue, .. } => Some(queue),
        }
    }

    fn insert(&mut self, link: LinkId, entry: Link) {
        self.links.insert(link, entry);
        self.schedule(link);
    }

    fn remove(&mut self, link: LinkId) -> Option<Link> {
        self.links.remove(&link)
    }

    /// The same stream under a new name: each name is dialled once.
    fn rename(&mut self, from: LinkId, to: LinkId) {
        if let Some(entry) = self.links.remove(&from) {
            if let Link::Stream(stream) = &entry
                && let Some(host) = stream.host()
                && self.hosts.link(host) == Some(from)
            {
                self.hosts.set_link(host, to);
            }
            self.insert(to, entry);
        }
    }

    /// Tells the adapter to pull, unless it is pulling already.
    fn look(&mut self, link: LinkId) {
        let wants = match self.links.get_mut(&link) {
            Some(Link::Stream(stream)) => stream.wants_look(),
            Some(Link::Multicast { open, looked, queue, pacer }) => {
                let wants = *open && !*looked && !queue.is_empty() && pacer.may_send();
                *looked |= wants;
                wants
            }
            None => false,
        };
        if wants {
            self.actions.push_back(Action::Look { link });
        }
    }

    /// Enters the link's next deadline. One that moved later is left where it is: it comes up
    /// early and is put right then.
    fn schedule(&mut self, link: LinkId) {
        let next = match self.links.get(&link) {
            Some(Link::Stream(stream)) => stream.next_deadline(),
            Some(Link::Multicast { queue, pacer, .. }) if !queue.is_empty() => {
                pacer.next_deadline()
            }
            _ => None,
        };
        let Some(next) = next else { return };
        let next = next.max(self.now + Duration::from_nanos(1));
        let slot = match self.links.get_mut(&link) {
            Some(Link::Stream(stream)) => stream.scheduled_mut(),
            Some(Link::Multicast { pacer, .. }) => pacer.scheduled_mut(),
            None => return,
        };
        if let Some(at) = slot.filter(|&at| at <= next && self.deadlines.contains(&(at, link))) {
            let _ = at;
            return;
        }
        if let Some(at) = slot.replace(next) {
            self.deadlines.remove(&(at, link));
        }
        self.deadlines.insert((next, link));
    }

    /// Checks a packet's header; counts what is wrong with it.
    fn open_packet(&mut self, from: SocketAddr, packet: Bytes) -> Option<Frames> {
        match Frames::decode(packet) {
            Ok(frames) => {
                self.counters.bump(Counter::PacketsReceived);
                Some(frames)
            }
            Err(error) => {
                if let wire::DecodeError::UnknownVersion(version) = error {
                    self.inbox.push_back(Inbound::ForeignVersion { version, from });
                }
                self.counters.bump(match error {
                    wire::DecodeError::UnknownVersion(_) => Counter::DroppedVersion,
                    wire::DecodeError::UnknownSuite(_) => Counter::DroppedSuite,
                    wire::DecodeError::Truncated { .. } => Counter::DroppedTruncated,
                    _ => Counter::DroppedMalformed,
                });
                None
            }
        }
    }

    fn stream_packet(&mut self, link: LinkId, from: SocketAddr, packet: Bytes) {
        let Some(frames) = self.open_packet(from, packet) else {
            return self.drop_link(link, LinkError::Reset);
        };
        for frame in frames {
            match frame {
                Ok(Frame::Hello(hello)) => self.greeted(link, &hello),
                Ok(Frame::Beat(beat)) => {
                    if let Some(Link::Stream(stream)) = self.links.get_mut(&link) {
                        stream.on_beat(self.now, beat);
                    }
                }
                Ok(frame) => {
                    let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return };
                    match stream.speaker() {
                        Some(from) => self.inbox.push_back(Inbound::Frame { from, frame }),
                        None => self.counters.bump(Counter::DroppedUnexpected),
                    }
                }
                Err(_) => self.counters.bump(Counter::DroppedMalformed),
            }
        }
    }

    /// The other side of a stream said who it is.
    fn greeted(&mut self, link: LinkId, hello: &Hello) {
        let host = hello.host;
        let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return };
        if host == self.me.host || !stream.greeted(self.now, hello) {
            self.counters.bump(Counter::Misbehaviour);
            return self.drop_link(link, LinkError::Refused);
        }
        if stream.is_accepted() && stream.greet(&Frame::Hello(self.me.clone())) {
            self.look(link);
        }
        match self.hosts.link(host) {
            Some(known) if known == link => self.inbox.push_back(Inbound::Up(host)),
            Some(known) => self.settle(host, known, link),
            None => {
                self.hosts.set_link(host, link);
                self.inbox.push_back(Inbound::Up(host));
            }
        }
    }

    /// Two streams to one host: both sides keep the one that the host with the lesser id dialled,
    /// and close the other when what is under way on it has come.
    fn settle(&mut self, host: HostId, known: LinkId, link: LinkId) {
        let dialled_by_lesser = |links: &Self, link: LinkId| match links.links.get(&link) {
            Some(Link::Stream(stream)) => stream.is_accepted() == (host < links.me.host),
            _ => false,
        };
        let known_is_up = self.is_up(host);
        let keeps_new =
            !known_is_up || dialled_by_lesser(self, link) || !dialled_by_lesser(self, known);
        let (kept, retired) = if keeps_new { (link, known) } else { (known, link) };
        let queued = match self.links.get_mut(&retired) {
            Some(Link::Stream(stream)) => stream.retire(self.now),
            _ => None,
        };
        if let (Some(queued), Some(Link::Stream(stream))) = (queued, self.links.get_mut(&kept)) {
            stream.queue_mut().append(queued);
        }
        self.hosts.set_link(host, kept);
        self.look(kept);
        self.schedule(retired);
        if !known_is_up {
            self.inbox.push_back(Inbound::Up(host));
        }
    }

    /// Closes a link of which the adapter still knows.
    fn drop_link(&mut self, link: LinkId, cause: LinkError) {
        if self.links.contains_key(&link) {
            self.actions.push_back(Action::Close { link });
            self.forget(link, cause);
        }
    }

    /// Takes out a link that is gone, and tells who needed it.
    fn forget(&mut self, link: LinkId, cause: LinkError) {
        let stream = match self.remove(link) {
            Some(Link::Stream(stream)) => stream,
            Some(Link::Multicast { .. }) => {
                return self.inbox.push_back(Inbound::Multicast { link, joined: Err(cause) });
            }
            None => return,
        };
        if let Some(host) = stream.host().filter(|&host| self.hosts.link(host) == Some(link)) {
            self.hosts.clear_link(host);
            let needs = self.hosts.forget_needs(host);
            self.inbox.push_back(Inbound::Down { host, needs, cause });
        }
    }

    fn header(&mut self) -> [u8; Header::BYTES] {
        let number = self.packet_number;
        self.packet_number = number.saturating_add(1);
        let sender = self.me.host.tag();
        Header { suite: wire::SUITE_OPEN, key_epoch: 0, sender, number }.encode()
    }

    fn next_datagram(&mut self) -> Option<Transmit> {
        let Some((to, frame)) = self.datagrams.pop_front() else {
            self.datagrams_looked = false;
            return None;
        };
        let mut transmit = Transmit::new(Some(to));
        transmit.push_head(&self.header());
        transmit.push_payload(frame);
        Some(transmit)
    }

    fn next_packet(&mut self, link: LinkId, fill: &mut dyn Fill) -> Option<Transmit> {
        let now = self.now;
        let mut transmit = Transmit::new(None);
        let filled = match self.links.get_mut(&link)? {
            Link::Stream(stream) => {
                transmit.push_head(&[0; wire::PREFIX_BYTES]);
                transmit.push_head(&[0; Header::BYTES]);
                stream.fill(now, &mut transmit, fill)
            }
            Link::Multicast { queue, pacer, looked, .. } => {
                transmit.push_head(&[0; Header::BYTES]);
                let filled = pacer.may_send() && queue.fill(&mut transmit, fill);
                *looked = filled;
                pacer.spend(if filled { transmit.len() } else { 0 });
                filled
            }
        };
        if !filled {
            self.schedule(link);
            return None;
        }
        let header = self.header();
        let is_stream = matches!(self.links.get(&link), Some(Link::Stream(_)));
        let at = if is_stream { wire::PREFIX_BYTES } else { 0 };
        let len = u16::try_from(transmit.len().saturating_sub(at)).unwrap_or(u16::MAX);
        if is_stream {
            transmit.patch_head(0, &len.to_be_bytes());
        }
        transmit.patch_head(at, &header);
        Some(transmit)
    }
}
