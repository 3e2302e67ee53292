//! Links: one stream a host, kept exactly as long as somebody needs the host; IP-multicast
//! addresses; and the UDP socket. Framing, greeting, liveness and queues are here.

mod congestion;
mod datagrams;
mod demand;
mod flow;
mod flows;
mod greeting;
mod hosts;
mod lanes;
mod liveness;
mod multicast;
mod pacer;
mod packets;
mod queue;
mod replies;
mod spares;
mod stream;
mod tunnel;
mod tunnels;
mod waiting;

use crate::counters::{Counter, Counters};
use crate::wire::{self, Frame, Frames, Header, Hello, Sensed};
use crate::{
    Action, Chunks, FragmentId, GroupId, HostId, HostTag, Limits, LinkError, LinkId, PatchId, Rng,
    Time, Transmit, Usage,
};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
pub(super) use datagrams::Asker;
use datagrams::Measured;
use hosts::Hosts;
use multicast::{Look, Multicast};
use queue::Queue;
pub(super) use queue::{DataRef, Fill, Urgency};
use replies::Replies;
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
    /// Something is missing that no neighbour has.
    Help(GroupId),
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
    /// The host has missed two beats; for whom that matters.
    Silent { host: HostId, needs: BTreeSet<Need> },
    /// A multicast address is joined, or cannot be.
    Multicast { link: LinkId, joined: Result<(), LinkError> },
    /// A host said something of a patch by datagram; it may be answered there.
    Told { by: Hello, asker: Asker, group: GroupId, patch: PatchId, body: Bytes },
    /// How long a datagram takes to a host and back.
    Measured { host: HostId, need: Need, rtt: Duration },
    /// The bootstrap service opened a stream to this host.
    CalledBack(Sensed),
    /// Somebody speaks another version.
    ForeignVersion { version: u8, from: SocketAddr },
}

/// Where a frame came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// A stream from that host.
    Host(HostId),
    /// A multicast address, from the host with that tag, which has that address there.
    Multicast(LinkId, HostTag, IpAddr),
    /// A datagram from that address, from the host with that tag.
    Datagram(SocketAddr, HostTag),
    /// The bootstrap service at that address.
    Service(SocketAddr),
}

#[derive(Debug)]
enum Link {
    Stream(Box<Stream>),
    Multicast(Box<Multicast>),
}

/// All links of one host.
#[derive(Debug)]
pub(super) struct Links {
    me: Hello,
    links: BTreeMap<LinkId, Link>,
    hosts: Hosts,
    next_link: u64,
    packet_number: u64,
    /// Grows whenever a stream comes, goes, or brings something.
    revision: u64,
    now: Time,
    /// Datagrams for bootstrap services and for hosts, encoded.
    datagrams: VecDeque<(SocketAddr, Bytes)>,
    /// Fragments that go to members by datagrams, behind those.
    replies: Replies,
    /// Streams whose flows have something to say, in turn.
    flows: VecDeque<LinkId>,
    /// Whose datagrams show which token.
    tokens: BTreeMap<u32, LinkId>,
    /// Tunnels that this host called for.
    calls: BTreeMap<HostTag, LinkId>,
    /// Makes the tokens of hosts that call for a tunnel.
    secret: [u64; 2],
    rng: Rng,
    /// Until then flows are tried before streams stand still.
    prefers_flows: Time,
    datagrams_looked: bool,
    /// Round trips that are being measured, by the stamp that is to come back.
    measured: BTreeMap<u64, Measured>,
    actions: VecDeque<Action>,
    inbox: VecDeque<Inbound>,
    /// When each link wants to be looked after, at the latest.
    deadlines: BTreeSet<(Time, LinkId)>,
    pub(super) counters: Counters,
    limits: Limits,
}

impl Links {
    pub(super) fn new(me: Hello, limits: Limits, mut rng: Rng) -> Self {
        let mut secrets = rng.fork("tunnels");
        Self {
            calls: BTreeMap::new(),
            secret: [secrets.next_u64(), secrets.next_u64()],
            me,
            links: BTreeMap::new(),
            hosts: Hosts::default(),
            next_link: LinkId::LAST_RESERVED.0.saturating_add(1),
            packet_number: 0,
            revision: 0,
            now: Time::ZERO,
            datagrams: VecDeque::new(),
            replies: Replies::new(limits.queued_control),
            flows: VecDeque::new(),
            tokens: BTreeMap::new(),
            rng,
            prefers_flows: Time::ZERO,
            datagrams_looked: false,
            measured: BTreeMap::new(),
            actions: VecDeque::new(),
            inbox: VecDeque::new(),
            deadlines: BTreeSet::new(),
            counters: Counters::default(),
            limits,
        }
    }

    pub(super) fn accept(&mut self, now: Time, from: SocketAddr) -> Option<LinkId> {
        self.now = now;
        if self.links.len() >= self.limits.links {
            self.counters.bump(Counter::LinksRefused);
            return None;
        }
        let link = self.name();
        let stream = Stream::accepted(now, from, &self.limits);
        self.insert(link, Link::Stream(Box::new(stream)));
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
            Some(Link::Multicast(multicast)) => {
                multicast.opened();
                self.inbox.push_back(Inbound::Multicast { link, joined: Ok(()) });
                self.look(link);
            }
            None => {}
        }
        self.schedule(link);
    }

    pub(super) fn received(&mut self, now: Time, link: LinkId, bytes: Chunks) {
        self.now = now;
        let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return };
        stream.push(now, bytes);
        self.revise();
        self.read(link);
    }

    /// Takes in the packets of a stream that have come whole.
    fn read(&mut self, link: LinkId) {
        loop {
            let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return };
            let from = stream.address();
            match stream.next_packet() {
                Ok(None) => return self.schedule(link),
                Ok(Some(packet)) => self.stream_packet(link, from, packet),
                Err(_) => {
                    self.counters.bump(Counter::DroppedTruncated);
                    return self.drop_link(link, LinkError::Reset);
                }
            }
        }
    }

    pub(super) fn datagram(&mut self, now: Time, link: LinkId, from: SocketAddr, bytes: Chunks) {
        self.now = now;
        let len = bytes.len();
        let Some(frames) = self.open_packet(from, bytes) else { return };
        self.counters.bump(Counter::PacketsReceived);
        if link == LinkId::UDP {
            self.revise();
            return self.unicast(from, frames, len);
        }
        let sender = frames.header().sender;
        let source = match self.links.get(&link) {
            Some(Link::Multicast(_)) if sender == self.me.host.tag() => {
                return self.counters.bump(Counter::OwnPackets);
            }
            Some(Link::Multicast(_)) => From::Multicast(link, sender, from.ip()),
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
        // The host may have another address.
        if !self.dial_next(link) {
            self.forget(link, cause);
        }
    }

    pub(super) fn timeout(&mut self, now: Time) {
        self.now = now;
        let prefers_flows = self.prefers_flows > now;
        while let Some(&(at, link)) = self.deadlines.first().filter(|&&(at, _)| at <= now) {
            self.deadlines.remove(&(at, link));
            match self.links.get_mut(&link) {
                Some(Link::Stream(stream)) => {
                    if let Some(cause) = stream.timeout(now, prefers_flows) {
                        if cause == LinkError::TimedOut && self.dial_next(link) {
                            self.actions.push_back(Action::Close { link });
                        } else {
                            self.drop_link(link, cause);
                        }
                        continue;
                    }
                    let silent = stream.host().filter(|_| stream.falls_silent(now));
                    if let Some(host) = silent.filter(|&host| self.hosts.link(host) == Some(link)) {
                        let needs = self.hosts.needs(host);
                        self.inbox.push_back(Inbound::Silent { host, needs });
                    }
                    self.call(link);
                    self.look(link);
                }
                Some(Link::Multicast(multicast)) => {
                    multicast.on_timeout(now);
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

    /// Enters what there is of what is bounded, where that is the most so far.
    pub(super) fn use_up(&self, usage: &mut Usage) {
        usage.links = self.links.len();
        for link in self.links.values() {
            let queue = match link {
                Link::Stream(stream) => stream.queue(),
                Link::Multicast(multicast) => multicast.queue(),
            };
            usage.queued_fragments = usage.queued_fragments.max(queue.fragments());
            usage.queued_control = usage.queued_control.max(queue.controls());
        }
    }

    pub(super) fn poll_inbound(&mut self) -> Option<Inbound> {
        self.inbox.pop_front()
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// Has the adapter send a probe, or end one.
    pub(super) fn probe(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(super) fn name(&mut self) -> LinkId {
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

    /// As long as this stays, so does all that is known of the hosts at the streams' other ends.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    fn revise(&mut self) {
        self.revision = self.revision.wrapping_add(1);
    }

    fn stream_to(&self, host: HostId) -> Option<&Stream> {
        match self.links.get(&self.hosts.link(host)?)? {
            Link::Stream(stream) => Some(stream),
            Link::Multicast(_) => None,
        }
    }

    fn service_link(&self, at: SocketAddr) -> Option<LinkId> {
        let is_it = |link: &Link| matches!(link, Link::Stream(stream) if stream.serves(at));
        self.links.iter().find(|(_, link)| is_it(link)).map(|(&link, _)| link)
    }

    fn queue(&self, link: LinkId) -> Option<&Queue> {
        match self.links.get(&link)? {
            Link::Stream(stream) => Some(stream.queue()),
            Link::Multicast(multicast) => Some(multicast.queue()),
        }
    }

    fn queue_mut(&mut self, link: LinkId) -> Option<&mut Queue> {
        match self.links.get_mut(&link)? {
            Link::Stream(stream) => Some(stream.queue_mut()),
            Link::Multicast(multicast) => Some(multicast.queue_mut()),
        }
    }

    fn insert(&mut self, link: LinkId, mut entry: Link) {
        if let Link::Stream(stream) = &mut entry {
            self.give_token(link, stream);
        }
        self.links.insert(link, entry);
        self.revise();
        self.schedule(link);
    }

    fn remove(&mut self, link: LinkId) -> Option<Link> {
        self.revise();
        let entry = self.links.remove(&link);
        if let Some(Link::Stream(stream)) = &entry {
            self.tokens.remove(&stream.token());
            let called = stream.peer().filter(|tag| self.calls.get(tag) == Some(&link));
            called.map(|tag| self.calls.remove(&tag));
        }
        entry
    }

    /// Dials the next address of a host that could not be reached at the one before; false if
    /// there is none.
    fn dial_next(&mut self, link: LinkId) -> bool {
        let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return false };
        let Some(to) = stream.next_address(self.now) else { return false };
        let next = self.name();
        self.rename(link, next);
        self.actions.push_back(Action::Dial { link: next, to, from: self.dial_from(to) });
        true
    }

    /// The same stream under a new name: each name is dialled once.
    fn rename(&mut self, from: LinkId, to: LinkId) {
        if let Some(entry) = self.remove(from) {
            let host = match &entry {
                Link::Stream(stream) => stream.host(),
                Link::Multicast(_) => None,
            };
            if let Some(host) = host.filter(|&host| self.hosts.link(host) == Some(from)) {
                self.hosts.set_link(host, to);
            }
            self.insert(to, entry);
        }
    }

    /// Tells the adapter to pull, unless it is pulling already. Where the pacer has to earn
    /// something first, its deadline does so later.
    fn look(&mut self, link: LinkId) {
        let wants = match self.links.get_mut(&link) {
            Some(Link::Stream(stream)) => stream.wants_look(),
            Some(Link::Multicast(multicast)) => match multicast.look() {
                Look::Now => true,
                Look::Later => return self.schedule(link),
                Look::Never => false,
            },
            None => false,
        };
        if wants {
            self.actions.push_back(Action::Look { link });
        }
        self.look_at_flow(link);
    }

    /// Enters the link's next deadline. One that moved later is left where it is: it comes up
    /// early and is put right then.
    fn schedule(&mut self, link: LinkId) {
        let next = match self.links.get(&link) {
            Some(Link::Stream(stream)) => stream.next_deadline(),
            Some(Link::Multicast(multicast)) => multicast.next_deadline(),
            None => None,
        };
        let Some(next) = next else { return };
        let next = next.max(self.now + Duration::from_nanos(1));
        let slot = match self.links.get_mut(&link) {
            Some(Link::Stream(stream)) => stream.scheduled_mut(),
            Some(Link::Multicast(multicast)) => multicast.scheduled_mut(),
            None => return,
        };
        if slot.is_some_and(|at| at <= next && self.deadlines.contains(&(at, link))) {
            return;
        }
        if let Some(at) = slot.replace(next) {
            self.deadlines.remove(&(at, link));
        }
        self.deadlines.insert((next, link));
    }

    /// Checks a packet's header; counts what is wrong with it.
    fn open_packet(&mut self, from: SocketAddr, packet: Chunks) -> Option<Frames> {
        match Frames::decode(packet) {
            Ok(frames) => Some(frames),
            Err(error) => {
                if let wire::DecodeError::UnknownVersion(version) = error {
                    self.inbox.push_back(Inbound::ForeignVersion { version, from });
                }
                self.counters.bump(match error {
                    wire::DecodeError::UnknownVersion(_) => Counter::DroppedVersion,
                    wire::DecodeError::UnknownSuite(_) => Counter::DroppedSuite,
                    _ => Counter::DroppedTruncated,
                });
                None
            }
        }
    }

    /// Closes a link of which the adapter still knows.
    fn drop_link(&mut self, link: LinkId, cause: LinkError) {
        match self.links.get(&link) {
            Some(Link::Stream(stream)) if stream.is_tunnel() => self.say_over(link),
            Some(_) => self.actions.push_back(Action::Close { link }),
            None => return,
        }
        self.forget(link, cause);
    }

    /// Takes out a link that is gone, and tells who needed it.
    fn forget(&mut self, link: LinkId, cause: LinkError) {
        let stream = match self.remove(link) {
            Some(Link::Stream(stream)) => stream,
            Some(Link::Multicast(_)) => {
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
}

#[cfg(test)]
mod tests;
