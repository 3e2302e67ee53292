//! One node in the middle of others: real machines that met through a real bootstrap service, and
//! from then on the one in the middle alone, driven by hand through the calls that an adapter has.

#![allow(dead_code, reason = "each benchmark uses a part of it")]
#![allow(clippy::arithmetic_side_effects, reason = "a benchmark may panic")]

use bytes::Bytes;
use quilt_proto::wire::{Assembler, Beat, Data, FRAGMENT_BYTES, Frame, Header, Held, SUITE_OPEN};
use quilt_proto::{
    Action, Bootstrap, BootstrapConfig, Chunks, Config, Event, FragmentId, Group, GroupId, HostId,
    HostTag, Incarnation, Limits, LinkError, LinkId, Machine, Node, Notice, PatchId, Policy,
    ProtocolId, PublishOptions, Seq, Source, Time,
};
use std::collections::{BTreeMap, VecDeque};
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a packet is under way while the hosts meet.
const LATENCY: Duration = Duration::from_millis(1);
/// What passes from one message to the next: 100,000 messages a second.
pub(crate) const PACE: Duration = Duration::from_micros(10);
/// How often the silent peers are made to beat: a fifth of what they may be silent.
const BEAT: Duration = Duration::from_secs(3);

pub(crate) struct Star {
    pub(crate) now: Time,
    pub(crate) node: Node,
    /// One stream a peer.
    pub(crate) links: Vec<LinkId>,
    pub(crate) group: GroupId,
    pub(crate) patch: PatchId,
    /// The peer behind the first link.
    peer: HostId,
    service: Bootstrap,
    service_at: SocketAddr,
    node_at: SocketAddr,
    beaten: Time,
    /// What left the node since it is alone.
    pub(crate) packets: u64,
    pub(crate) delivered: u64,
}

impl Star {
    /// A node at the root of a tree of `peers` children, in one group.
    pub(crate) fn new(peers: usize, limits: &Limits) -> Self {
        let mut hosts = Hosts::new(peers, limits);
        let group = hosts.join(0, "news");
        hosts.run(Duration::from_secs(1));
        for host in 1..=peers {
            hosts.join(host, "news");
        }
        hosts.run(Duration::from_secs(5));
        let star = hosts.leave_alone(group);
        assert_eq!(star.links.len(), peers, "everybody is a child of the root");
        star
    }

    /// A node that is in `groups` groups, alone in each.
    pub(crate) fn of_groups(groups: usize) -> Self {
        let limits = Limits { groups, ..Limits::default() };
        let mut hosts = Hosts::new(0, &limits);
        let mut last = GroupId(0);
        for number in 0..groups {
            last = hosts.join(0, &format!("group {number}"));
        }
        hosts.run(Duration::from_secs(5));
        let joined = hosts.notices.iter().filter(|notice| matches!(notice, Notice::Joined(_)));
        assert_eq!(joined.count(), groups);
        hosts.leave_alone(last)
    }

    /// The first peer says that it will publish, so that words name it.
    fn introduce_peer(&mut self) {
        let Some(&link) = self.links.first() else { return };
        let (host, incarnation) = (self.peer, Incarnation(1));
        let held = Held {
            host,
            incarnation,
            low: Seq(0),
            next: Seq(0),
            mark: Seq(0),
            missing: [].into_iter().collect(),
        };
        let (group, patch) = (self.group, self.patch);
        let word = Frame::Held { group, patch, more: false, sources: vec![held] };
        let bytes = stream_packet(&[word]).into();
        self.node.handle(self.now, Event::Received { link, bytes });
        self.drain();
    }

    /// Publishes messages one after the other, and then pulls all that follows from them.
    pub(crate) fn publish(&mut self, body: &Bytes, messages: usize) {
        self.pass(PACE * messages as u32);
        for _ in 0..messages {
            self.node.publish(self.now, self.group, body.clone()).expect("room to publish");
        }
        self.drain();
    }

    /// Hands over what came in on the first link, and then pulls all that follows from it.
    pub(crate) fn receive(&mut self, pieces: &[Bytes]) {
        let link = self.links[0];
        self.pass(PACE * pieces.len() as u32);
        for bytes in pieces {
            let bytes = bytes.clone().into();
            self.node.handle(self.now, Event::Received { link, bytes });
        }
        self.drain();
        while let Some((_, notice)) = self.node.poll_notice() {
            self.delivered += u64::from(matches!(notice, Notice::Message(_)));
            black_box(notice);
        }
    }

    /// Lets time pass, and does what is due as an adapter does.
    pub(crate) fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        if self.now.since(self.beaten) >= BEAT {
            self.beaten = self.now;
            for link in self.links.clone() {
                let beat = Beat { stamp: 1, echo: 0, held: 0, next_ms: 5_000, needed: true };
                let bytes = stream_packet(&[Frame::Beat(beat)]).into();
                self.node.handle(self.now, Event::Received { link, bytes });
            }
        }
        while self.node.poll_timeout().is_some_and(|at| at <= self.now) {
            self.node.handle(self.now, Event::Timeout);
            self.drain();
        }
    }

    /// Carries out what the node wants: its service answers, and its peers are silent.
    fn drain(&mut self) {
        while let Some(action) = self.node.poll_action() {
            let Action::Look { link } = action else { panic!("{action:?}") };
            while let Some(transmit) = self.node.poll_transmit(link) {
                self.packets += 1;
                if link == LinkId::UDP {
                    self.ask_service(transmit.to_chunks());
                }
                black_box(transmit);
            }
        }
    }

    fn ask_service(&mut self, bytes: Chunks) {
        let event = Event::Datagram { link: LinkId::UDP, from: self.node_at, bytes };
        self.service.handle(self.now, event);
        if self.service.poll_timeout().is_some_and(|at| at <= self.now) {
            self.service.handle(self.now, Event::Timeout);
        }
        while self.service.poll_action().is_some() {}
        while let Some(transmit) = self.service.poll_transmit(LinkId::UDP) {
            let (link, from) = (LinkId::UDP, self.service_at);
            if transmit.to == Some(self.node_at) {
                let event = Event::Datagram { link, from, bytes: transmit.to_chunks() };
                self.node.handle(self.now, event);
            }
        }
    }

    /// Messages of `len` bytes that the first peer sends, at most 15 kB: each the bytes of one
    /// packet on a stream, and a slice of a larger piece of memory.
    pub(crate) fn messages(&self, len: usize) -> impl Iterator<Item = Bytes> + use<> {
        const AT_ONCE: u64 = 64;
        let (group, patch) = (self.group, self.patch);
        let source = Source { host: self.peer.tag(), incarnation: Incarnation(1) };
        let body = vec![7; len];
        let packet = move |seq| {
            let parts = body.chunks(FRAGMENT_BYTES);
            let count = parts.len() as u16;
            let data = |(index, part): (u16, &[u8])| Data {
                group,
                patch,
                fragment: FragmentId { source, seq: Seq(seq), index },
                count,
                origin: patch,
                hops: 1,
                solicited: false,
                options: PublishOptions::default(),
                payload: Bytes::copy_from_slice(part),
            };
            let frames: Vec<Frame> = (0..).zip(parts).map(data).map(Frame::Data).collect();
            stream_packet(&frames)
        };
        (0..).step_by(AT_ONCE as usize).flat_map(move |first| {
            let packets: Vec<Vec<u8>> = (first..first + AT_ONCE).map(&packet).collect();
            let (bytes, len) = (Bytes::from(packets.concat()), packets[0].len());
            (0..packets.len()).map(move |at| bytes.slice(at * len..(at + 1) * len))
        })
    }
}

/// A packet as it stands on a stream.
pub(crate) fn stream_packet(frames: &[Frame]) -> Vec<u8> {
    let packet = packet(frames);
    [&Assembler::prefix(packet.len())[..], &packet].concat()
}

/// A packet with these frames.
pub(crate) fn packet(frames: &[Frame]) -> Vec<u8> {
    let sender = HostTag(7);
    let header = Header { suite: SUITE_OPEN, key_epoch: 0, sender, number: 1 };
    let mut bytes = header.encode().to_vec();
    frames.iter().for_each(|frame| frame.encode(&mut bytes));
    bytes
}

/// The hosts while they meet; the bootstrap service is behind the nodes.
struct Hosts {
    now: Time,
    service: Bootstrap,
    nodes: Vec<Node>,
    /// The other end of each stream.
    streams: BTreeMap<(usize, LinkId), (usize, LinkId)>,
    under_way: VecDeque<(usize, Event)>,
    notices: Vec<Notice>,
}

impl Hosts {
    fn new(peers: usize, limits: &Limits) -> Self {
        let policy = Policy {
            order: vec![ProtocolId::OMNI],
            representatives_min: 1,
            representatives_max: 1,
            ..Policy::default()
        };
        let config = BootstrapConfig { policy, ..BootstrapConfig::default() };
        let nodes = (0..=peers).map(|host| Node::new(config_of(host, limits), host as u64));
        Self {
            now: Time::ZERO,
            service: Bootstrap::new(config, 1),
            nodes: nodes.collect(),
            streams: BTreeMap::new(),
            under_way: VecDeque::new(),
            notices: Vec::new(),
        }
    }

    fn join(&mut self, host: usize, name: &str) -> GroupId {
        let bootstrap = address(self.nodes.len());
        let group = Group::new(name, bootstrap);
        let id = self.nodes[host].join(self.now, group).expect("a first join");
        self.drain(host);
        id
    }

    fn machine(&mut self, host: usize) -> &mut dyn Machine {
        match self.nodes.get_mut(host) {
            Some(node) => node,
            None => &mut self.service,
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now = self.now + LATENCY;
            for (host, event) in std::mem::take(&mut self.under_way) {
                let now = self.now;
                self.machine(host).handle(now, event);
                self.drain(host);
            }
            for host in 0..=self.nodes.len() {
                let now = self.now;
                while self.machine(host).poll_timeout().is_some_and(|at| at <= now) {
                    self.machine(host).handle(now, Event::Timeout);
                    self.drain(host);
                }
            }
        }
    }

    fn drain(&mut self, host: usize) {
        while let Some(action) = self.machine(host).poll_action() {
            match action {
                // Only the first node can be reached, so everybody becomes its child.
                Action::Dial { link, to, .. } if (1..self.nodes.len()).contains(&host_at(to)) => {
                    let cause = LinkError::Refused;
                    self.under_way.push_back((host, Event::Closed { link, cause }));
                }
                Action::Dial { link, to, .. } => {
                    let (far, now) = (host_at(to), self.now);
                    let there = self.machine(far).accept(now, address(host)).expect("room");
                    self.streams.insert((host, link), (far, there));
                    self.streams.insert((far, there), (host, link));
                    self.under_way.push_back((host, Event::Opened { link }));
                }
                Action::Look { link } => self.pull(host, link),
                Action::Close { link } => {
                    if let Some(far @ (to, link)) = self.streams.remove(&(host, link)) {
                        self.streams.remove(&far);
                        let cause = LinkError::Ended;
                        self.under_way.push_back((to, Event::Closed { link, cause }));
                    }
                }
                Action::JoinMulticast { .. } => panic!("nobody runs IP multicast"),
                Action::Probe { .. } => panic!("nobody senses anything"),
            }
        }
        if host == 0 {
            self.notices.extend(std::iter::from_fn(|| self.nodes[0].poll_notice()).map(|(_, n)| n));
        }
    }

    fn pull(&mut self, host: usize, link: LinkId) {
        while let Some(transmit) = self.machine(host).poll_transmit(link) {
            let bytes = transmit.to_chunks();
            if let Some(to) = transmit.to {
                let (link, from) = (LinkId::UDP, address(host));
                self.under_way.push_back((host_at(to), Event::Datagram { link, from, bytes }));
            } else if let Some(&(far, link)) = self.streams.get(&(host, link)) {
                self.under_way.push_back((far, Event::Received { link, bytes }));
            }
        }
    }

    /// Takes the first node out, with its links and its bootstrap service.
    fn leave_alone(mut self, group: GroupId) -> Star {
        let joined = self.notices.iter().find_map(|notice| match notice {
            Notice::Joined(place) => Some(place.patch),
            _ => None,
        });
        let streams = self.streams.range((0, LinkId(0))..(1, LinkId(0)));
        let peer = streams.clone().next().map_or(0, |(_, &(peer, _))| peer);
        let mut star = Star {
            now: self.now,
            links: streams.map(|(&(_, link), _)| link).collect(),
            peer: id(peer),
            group,
            patch: joined.expect("the node joined"),
            service_at: address(self.nodes.len()),
            node_at: address(0),
            node: self.nodes.swap_remove(0),
            service: self.service,
            beaten: Time::ZERO,
            packets: 0,
            delivered: 0,
        };
        star.introduce_peer();
        star
    }
}

fn id(host: usize) -> HostId {
    HostId([host as u8; 32])
}

fn config_of(host: usize, limits: &Limits) -> Config {
    let mut config = Config::new(id(host), Incarnation(1), address(host));
    config.registry = config.registry.with(quilt_proto::omni::Omni { degree: u8::MAX });
    config.limits = limits.clone();
    // What is measured is the work, not the rate that an application asks for.
    config.publish_bytes_per_second = u64::MAX;
    config
}

fn address(host: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host as u8], 7_400))
}

fn host_at(address: SocketAddr) -> usize {
    match address.ip() {
        std::net::IpAddr::V4(ip) => usize::from(ip.octets()[3]),
        std::net::IpAddr::V6(ip) => panic!("{ip}"),
    }
}
