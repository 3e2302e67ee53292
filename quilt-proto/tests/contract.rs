//! What a machine owes its adapter, whatever comes over the wire: a group of real hosts whose
//! packets are changed, doubled, held back and sent to others, with any frame thrown in.

#![allow(clippy::arithmetic_side_effects, reason = "a test may panic")]

mod world;

use bytes::Bytes;
use proptest::prelude::*;
use quilt_proto::wire::{
    Assembler, Beat, Data, Frame, Frames, Header, Held, Hello, PREFIX_BYTES, Pull, Range,
    SUITE_OPEN, SurveyPart, Wanted,
};
use quilt_proto::{
    Action, Config, Event, FragmentId, Group, GroupId, HostId, Incarnation, Limits, LinkError,
    LinkId, Machine, Node, Notice, PatchId, PublishOptions, Rng, Seq, Source, Time,
};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// What a machine may do for one event before it must have nothing more to do.
const STEPS: usize = 20_000;
const HOSTS: usize = 5;

struct Host {
    machine: Box<dyn Adapted>,
    address: SocketAddr,
    streams: BTreeMap<LinkId, Far>,
    groups: BTreeMap<LinkId, SocketAddr>,
    told: BTreeMap<Source, u64>,
}

/// So little that what is thrown in reaches the bounds.
fn limits() -> Limits {
    Limits {
        window_bytes: 1 << 20,
        window_messages: 256,
        sources: 8,
        known_members: 4,
        links: 8,
        queued_fragments: 64,
        ..Limits::default()
    }
}

/// The other end of a stream, and what was written to it so far.
struct Far {
    host: usize,
    link: LinkId,
    written: Assembler,
}

trait Adapted: Machine {
    fn node(&mut self) -> Option<&mut Node> {
        None
    }
}

impl Adapted for quilt_proto::Bootstrap {}

impl Adapted for Node {
    fn node(&mut self) -> Option<&mut Node> {
        Some(self)
    }
}

/// Something under way.
struct Parcel {
    host: usize,
    event: Event,
}

struct Wire {
    now: Time,
    hosts: Vec<Host>,
    parcels: VecDeque<Parcel>,
    /// Packets that were seen, without their stream's prefix, to be sent again.
    seen: Vec<Bytes>,
    ids: Vec<HostId>,
    /// How many of a thousand packets are tampered with.
    hostile: u64,
    rng: Rng,
}

impl Wire {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed).fork("wire");
        let mut wire = Self {
            now: Time::from_millis(1),
            hosts: Vec::new(),
            parcels: VecDeque::new(),
            seen: Vec::new(),
            ids: Vec::new(),
            hostile: 0,
            rng: rng.fork("tamper"),
        };
        wire.add(world::service_address(), Box::new(world::bootstrap(seed)));
        for host in 0..HOSTS {
            let address = SocketAddr::from(([10, 1, 0, host as u8 + 1], 7_000));
            let id = HostId::random(&mut rng);
            let mut config = Config::new(id, Incarnation(5), address);
            // Two share a router with multicast; the others have none.
            config.nics[0].euid = world::euid(usize::from(host >= 3), host < 3);
            config.limits = limits();
            wire.ids.push(id);
            wire.add(address, Box::new(Node::new(config, rng.next_u64())));
        }
        wire
    }

    fn add(&mut self, address: SocketAddr, machine: Box<dyn Adapted>) {
        let (streams, groups, told) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        self.hosts.push(Host { machine, address, streams, groups, told });
    }

    fn join(&mut self, host: usize) {
        let group = Group::new(world::GROUP, world::service_address());
        let now = self.now;
        let node = self.hosts[host].machine.node().expect("a node");
        node.join(now, group).expect("a first join");
        self.settle(host);
    }

    fn publish(&mut self, host: usize, len: usize) {
        let now = self.now;
        let node = self.hosts[host].machine.node().expect("a node");
        let _ = node.publish(now, GroupId::named(world::GROUP), vec![1; len].into());
        let _ = node.survey(now, GroupId::named(world::GROUP));
        self.settle(host);
    }

    fn handle(&mut self, host: usize, event: Event) {
        match &event {
            Event::Received { link, .. } if !self.hosts[host].streams.contains_key(link) => return,
            Event::Closed { link, .. } => drop(self.hosts[host].streams.remove(link)),
            _ => {}
        }
        self.hosts[host].machine.handle(self.now, event);
        self.settle(host);
    }

    /// Drains a machine as an adapter does; fails if it has ever more to do at one and the same
    /// time.
    fn settle(&mut self, host: usize) {
        for _ in 0..STEPS {
            if let Some(action) = self.hosts[host].machine.poll_action() {
                self.act(host, action);
            } else if self.hosts[host].machine.poll_timeout().is_some_and(|at| at <= self.now) {
                self.hosts[host].machine.handle(self.now, Event::Timeout);
            } else {
                return self.read(host);
            }
        }
        panic!("host {host} is still busy after {STEPS} steps");
    }

    /// Of each source everything comes once and in order, as a message or in a gap; and no more is
    /// kept than the limits allow.
    fn read(&mut self, host: usize) {
        let at = &mut self.hosts[host];
        let Some(node) = at.machine.node() else { return };
        assert_eq!(node.usage().beyond(&limits()), None, "host {host}");
        while let Some((_, notice)) = node.poll_notice() {
            let (source, from, to) = match notice {
                Notice::Message(message) => (message.source, message.seq, message.seq),
                Notice::Gap { source, from, to, .. } => (source, from, to),
                _ => continue,
            };
            let next = at.told.entry(source).or_insert(from.0);
            assert_eq!(*next, from.0, "host {host}, source {source}");
            assert!(from <= to);
            *next = to.0 + 1;
        }
    }

    fn act(&mut self, host: usize, action: Action) {
        match action {
            Action::Dial { link, to, .. } => {
                let far = self.hosts.iter().position(|host| host.address == to);
                let from = self.hosts[host].address;
                let now = self.now;
                let accepted =
                    far.and_then(|far| Some((far, self.hosts[far].machine.accept(now, from)?)));
                let Some((far, there)) = accepted else {
                    let event = Event::Closed { link, cause: LinkError::Refused };
                    return self.parcels.push_back(Parcel { host, event });
                };
                let end = |host, link| Far { host, link, written: Assembler::default() };
                self.hosts[far].streams.insert(there, end(host, link));
                self.hosts[host].streams.insert(link, end(far, there));
                self.parcels.push_back(Parcel { host, event: Event::Opened { link } });
            }
            Action::JoinMulticast { link, address, .. } => {
                self.hosts[host].groups.insert(link, address);
                self.parcels.push_back(Parcel { host, event: Event::Opened { link } });
            }
            Action::Probe { link, to, ttl, .. } => {
                let event = Event::Hop { link, at: to.ip(), is_end: ttl > 2 };
                self.parcels.push_back(Parcel { host, event });
            }
            Action::Close { link } => {
                self.hosts[host].groups.remove(&link);
                if let Some(far) = self.hosts[host].streams.remove(&link) {
                    let event = Event::Closed { link: far.link, cause: LinkError::Ended };
                    self.parcels.push_back(Parcel { host: far.host, event });
                }
            }
            Action::Look { link } => self.pull(host, link),
        }
    }

    fn pull(&mut self, host: usize, link: LinkId) {
        for _ in 0..STEPS {
            let Some(transmit) = self.hosts[host].machine.poll_transmit(link) else { return };
            assert!(!transmit.is_empty());
            let bytes = transmit.to_bytes();
            if let Some(far) = self.hosts[host].streams.get_mut(&link) {
                far.written.push(bytes);
                let packet = far.written.next_packet().expect("packets").expect("a whole one");
                self.post_on_stream(host, link, packet.into_bytes());
            } else if let Some(&group) = self.hosts[host].groups.get(&link) {
                for host_to in 0..self.hosts.len() {
                    let members = &self.hosts[host_to].groups;
                    let there = members.iter().find(|(_, at)| **at == group).map(|(&l, _)| l);
                    if let Some(there) = there {
                        self.post(host_to, there, host, bytes.clone());
                    }
                }
            } else if let Some(to) = transmit.to {
                if let Some(far) = self.hosts.iter().position(|host| host.address == to) {
                    self.post(far, LinkId::UDP, host, bytes);
                }
            }
        }
        panic!("{link} of host {host} has always more to say");
    }

    fn post_on_stream(&mut self, host: usize, link: LinkId, packet: Bytes) {
        for packet in self.tampered(packet) {
            let far = &self.hosts[host].streams[&link];
            let prefix = u16::try_from(packet.len()).unwrap_or(u16::MAX).to_be_bytes();
            let bytes = [&prefix[..], &packet].concat().into();
            let event = Event::Received { link: far.link, bytes };
            self.parcels.push_back(Parcel { host: far.host, event });
        }
    }

    fn post(&mut self, to: usize, link: LinkId, from: usize, packet: Bytes) {
        let from = self.hosts[from].address;
        for bytes in self.tampered(packet) {
            let event = Event::Datagram { link, from, bytes: bytes.into() };
            self.parcels.push_back(Parcel { host: to, event });
        }
    }

    /// What becomes of a packet on its way.
    fn tampered(&mut self, packet: Bytes) -> Vec<Bytes> {
        if self.seen.len() < 256 {
            self.seen.push(packet.clone());
        }
        if self.rng.below(1_000) >= self.hostile {
            return vec![packet];
        }
        match self.rng.below(6) {
            0 => Vec::new(),
            1 => vec![packet.clone(), packet],
            2 => {
                let other = self.rng.index(self.seen.len());
                vec![packet, self.seen[other].clone()]
            }
            3 => {
                let mut bytes = packet.to_vec();
                for _ in 0..=self.rng.below(4) {
                    let at = self.rng.index(bytes.len());
                    bytes[at] = self.rng.next_u64() as u8;
                }
                vec![bytes.into()]
            }
            4 => vec![packet.slice(..self.rng.index(packet.len()))],
            _ => {
                let header = packet.slice(..Header::BYTES.min(packet.len()));
                let mut bytes = header.to_vec();
                self.frame().encode(&mut bytes);
                vec![packet, bytes.into()]
            }
        }
    }

    fn number(&mut self) -> u64 {
        match self.rng.below(4) {
            0 => self.rng.below(8),
            1 => self.rng.below(600),
            2 => u64::MAX - self.rng.below(4),
            _ => self.rng.next_u64(),
        }
    }

    /// Any frame, about what there is in the group as a rule.
    fn frame(&mut self) -> Frame {
        let group = GroupId::named(world::GROUP);
        let host = match self.rng.below(8) {
            0 => HostId::random(&mut self.rng),
            _ => self.ids[self.rng.index(HOSTS)],
        };
        let patches = self.patches();
        let patch = patches[self.rng.index(patches.len())];
        let incarnation = Incarnation(4 + self.rng.below(3) as u32);
        let source = Source { host: host.tag(), incarnation };
        let (a, b) = (self.number(), self.number());
        let (low, next) = (Seq(a.min(b)), Seq(a.max(b)));
        let count = 1 + self.rng.below(3) as u16;
        let index = self.rng.below(u64::from(count)) as u16;
        let fragment = FragmentId { source, seq: low, index };
        match self.rng.below(8) {
            6 => {
                let (from, hosts) = (PatchId(self.rng.below(2) as u32), a as u32);
                Frame::SurveyPart(SurveyPart { group, from, hosts, more: false, patches: vec![] })
            }
            0 => Frame::Hello(Hello { host, incarnation, addresses: [].into_iter().collect() }),
            1 => {
                let needed = b % 2 == 0;
                Frame::Beat(Beat { stamp: a, echo: b, held: a, next_ms: b as u16, needed })
            }
            2 => {
                let full = index + 1 < count;
                let payload = Bytes::from(vec![7; if full { 1_024 } else { 9 }]);
                let (origin, hops, solicited) = (patch, self.rng.below(64) as u8, a % 2 == 0);
                Frame::Data(Data {
                    group,
                    patch,
                    fragment,
                    count,
                    origin,
                    hops,
                    solicited,
                    options: PublishOptions::default(),
                    payload,
                })
            }
            3 => {
                let missing = (low < next).then_some(Range { from: low, to: low.next() });
                let missing = missing.into_iter().collect();
                let held = Held { host, incarnation, low, next, mark: low, missing };
                Frame::Held { group, patch, more: a % 2 == 0, sources: vec![held] }
            }
            4 => {
                let wanted = vec![Wanted { first: fragment, last: u16::MAX }];
                Frame::Pull(Pull { group, patch, wanted })
            }
            5 => {
                let wanted = vec![Wanted { first: fragment, last: index }];
                Frame::NotHeld(Pull { group, patch, wanted })
            }
            _ => {
                let len = self.rng.index(80);
                let mut body = vec![0; len];
                body.iter_mut().for_each(|byte| *byte = self.rng.next_u64() as u8);
                if let Some(kind) = body.first_mut() {
                    *kind %= 9;
                }
                Frame::Protocol { group, patch, body: body.into() }
            }
        }
    }

    /// The patches that packets named so far.
    fn patches(&self) -> Vec<PatchId> {
        let mut patches = vec![PatchId::INTER_PATCH];
        for frame in
            self.seen.iter().filter_map(|bytes| Frames::decode(bytes.clone()).ok()).flatten()
        {
            if let Ok(Frame::Orders(orders)) = frame {
                patches.extend(orders.assignments.iter().map(|assignment| assignment.patch));
            }
        }
        patches
    }

    /// Lets everything arrive that is under way, and then time pass up to the next deadline.
    fn turn(&mut self) {
        for _ in 0..self.parcels.len() {
            let Some(Parcel { host, event }) = self.parcels.pop_front() else { break };
            self.handle(host, event);
            if self.rng.below(1_000) < self.hostile {
                // An early wake-up is harmless.
                self.hosts[host].machine.handle(self.now, Event::Timeout);
                self.settle(host);
            }
        }
        let next = self.hosts.iter().filter_map(|host| host.machine.poll_timeout()).min();
        let tick = self.now + Duration::from_millis(1);
        self.now = next.map_or(tick, |next| next.min(tick)).max(self.now);
        for host in 0..self.hosts.len() {
            self.settle(host);
        }
    }

    /// Lets `millis` pass; returns the number of turns that took.
    fn run(&mut self, millis: u64) -> usize {
        let end = self.now + Duration::from_millis(millis);
        let mut turns = 0;
        while self.now < end {
            self.turn();
            turns += 1;
        }
        turns
    }

    /// Something that no host has sent comes from one of them.
    fn attack(&mut self) {
        let host = 1 + self.rng.index(HOSTS);
        let links: Vec<LinkId> = self.hosts[host].streams.keys().copied().collect();
        let mut frames = Vec::new();
        (0..=self.rng.below(3)).for_each(|_| self.frame().encode(&mut frames));
        let sender = self.ids[self.rng.index(HOSTS)].tag();
        let header = Header { suite: SUITE_OPEN, key_epoch: 0, sender, number: 1 };
        let packet: Bytes = [&header.encode()[..], &frames].concat().into();
        if let Some(&link) = links.get(self.rng.index(links.len().max(1))) {
            let prefix = (packet.len() as u16).to_be_bytes();
            assert_eq!(prefix.len(), PREFIX_BYTES);
            let bytes = [&prefix[..], &packet].concat().into();
            self.handle(host, Event::Received { link, bytes });
        }
        let groups: Vec<LinkId> = self.hosts[host].groups.keys().copied().collect();
        for link in groups.into_iter().chain([LinkId::UDP]) {
            let from = world::service_address();
            self.handle(host, Event::Datagram { link, from, bytes: packet.clone().into() });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// No panic, progress at each timeout, quiet within a step budget, early wake-ups harmless, for each
    /// source one ledger without holes or doubles, and nothing beyond its limit.
    #[test]
    fn a_group_on_a_hostile_wire_keeps_its_contract(seed in any::<u64>()) {
        let mut wire = Wire::new(seed);
        (1..=HOSTS).for_each(|host| wire.join(host));
        wire.run(1_500);
        for _ in 0..60 {
            wire.hostile = 200;
            wire.attack();
            let host = 1 + wire.rng.index(HOSTS);
            let len = wire.rng.index(5_000);
            wire.publish(host, len);
            wire.run(40);
        }
        wire.hostile = 0;
        wire.run(5_000);
    }
}
