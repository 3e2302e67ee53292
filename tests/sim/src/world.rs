//! The world: hosts on a network in virtual time.

mod datagrams;
mod life;
mod probes;
mod streams;

use crate::check::Violations;
use crate::check::bounds::{self, Work};
use crate::check::proof::Proof;
use crate::check::wire::Wire;
use crate::digest::Digest;
use crate::host::{Host, Kind, Life, OTHER_PORT, PORT};
use crate::net::{Arrival, DropCause, Net, NicId};
use crate::novelty::{Load, Novelty};
use crate::packet::{Body, DEFAULT_TTL, Packet, StreamId};
use crate::queue::Queue;
use crate::topology::Topology;
use crate::traffic::{Path, Traffic};
use bytes::Bytes;
use quilt_proto::{
    Action, Bootstrap, BootstrapConfig, Event, GroupId, Node, Notice, Rng, Seq, Source, Standing,
    Time,
};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use streams::Streams;

/// The most packets that a host may have for one datagram socket at once, and the most that its
/// application may be told at once: twice as many as a queue has fragments and a window messages.
const MOST: usize = 1 << 17;

/// A host of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostIndex(pub usize);

/// Something that an application was told.
#[derive(Clone, Debug)]
pub struct Told {
    /// When.
    pub at: Time,
    /// On which host.
    pub host: HostIndex,
    /// Of which group.
    pub group: GroupId,
    /// What.
    pub notice: Notice,
    /// What had come to the host just before; `None` if it was told for another reason.
    pub after: Option<Came>,
}

/// How something came to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Came {
    /// By which way.
    pub path: Path,
    /// From whom; `None` if the sender is gone meanwhile, or cannot be told behind its gateway.
    pub from: Option<HostIndex>,
}

#[derive(Debug)]
enum Happening {
    Arrive(NicId, Packet),
    /// A packet that had to wait for the access link or the processor of its host.
    Serve(NicId, Packet),
    Wake(usize),
    StreamTimer(StreamId, usize),
}

/// Whether a place in a patch is one in the tree that is watched.
pub type InTree = fn(&Standing) -> bool;

/// The world. Its hosts are driven only through the calls that an adapter has.
#[derive(Debug)]
pub struct World {
    now: Time,
    queue: Queue<Happening>,
    net: Net,
    hosts: Vec<Host>,
    host_of: Vec<usize>,
    streams: Streams,
    arrivals: Vec<Arrival>,
    told: Vec<Told>,
    /// What came in the step under way.
    came: Option<Came>,
    /// The group whose tree is watched, and when each host first had a parent in it.
    watched: Option<(GroupId, InTree)>,
    parents: Vec<Option<Time>>,
    traffic: Traffic,
    digest: Digest,
    events: u64,
    /// What is checked of all that hosts send, and of how much they do.
    pub(crate) wire: Wire,
    proof: Proof,
    pub(crate) work: Work,
    /// What of that is new to whom it comes to.
    pub(crate) novelty: Novelty,
    /// The most actions that one call of a node may have as its consequence.
    most_actions: usize,
    cpu: Duration,
}

impl World {
    /// The world of `topology`, without hosts. All that is random in its network follows from
    /// `seed`.
    pub fn new(topology: Topology, seed: u64) -> Self {
        let rng = Rng::new(seed).fork("network");
        Self {
            now: Time::ZERO,
            queue: Queue::default(),
            net: Net::new(topology, rng),
            hosts: Vec::new(),
            host_of: Vec::new(),
            streams: Streams::default(),
            arrivals: Vec::new(),
            told: Vec::new(),
            came: None,
            watched: None,
            parents: Vec::new(),
            traffic: Traffic::default(),
            digest: Digest::default(),
            events: 0,
            wire: Wire::default(),
            proof: Proof::default(),
            work: Work::default(),
            novelty: Novelty::default(),
            most_actions: MOST,
            cpu: Duration::ZERO,
        }
    }

    /// The time that a host's processor takes for each packet that comes in. Default none.
    pub fn set_cpu(&mut self, per_packet: Duration) {
        self.cpu = per_packet;
    }

    /// The address of the interface that belongs to a place of the topology.
    pub fn address(&self, place: usize) -> SocketAddr {
        self.net.socket(NicId(place as u32), PORT)
    }

    /// Puts a node at a place, with its interface there.
    pub fn add_node(&mut self, place: usize, node: Node) -> HostIndex {
        self.add(NicId(place as u32), Kind::Node(Box::new(node)))
    }

    /// Puts a bootstrap service at a place, beside the host that stands there, with a second port and
    /// a second address.
    pub fn add_bootstrap(
        &mut self,
        place: usize,
        config: BootstrapConfig,
        seed: u64,
    ) -> (HostIndex, SocketAddr) {
        let nics = vec![self.net.add_nic(place), self.net.add_nic(place)];
        let machine = Box::new(self.service(&nics, config, seed));
        let host = self.add(nics[0], Kind::Bootstrap(machine));
        self.give_nic(host, nics[1]);
        (host, self.net.socket(nics[0], PORT))
    }

    /// Starts a service again where it was, without any memory.
    pub fn restart_bootstrap(&mut self, host: HostIndex, config: BootstrapConfig, seed: u64) {
        let service = self.service(&self.hosts[host.0].nics, config, seed);
        self.restart(host, Kind::Bootstrap(Box::new(service)));
    }

    fn service(&self, nics: &[NicId], config: BootstrapConfig, seed: u64) -> Bootstrap {
        let other_address = Some(self.net.socket(nics[1], PORT));
        let config = BootstrapConfig { other_port: Some(OTHER_PORT), other_address, ..config };
        Bootstrap::new(config, seed)
    }

    fn add(&mut self, nic: NicId, machine: Kind) -> HostIndex {
        self.own(nic, self.hosts.len());
        self.hosts.push(Host::new(machine, vec![nic]));
        HostIndex(self.hosts.len() - 1)
    }

    /// Gives a host one more interface, at another place.
    pub fn add_nic(&mut self, host: HostIndex, place: usize) -> SocketAddr {
        let nic = self.net.add_nic(place);
        self.give_nic(host, nic);
        self.net.socket(nic, PORT)
    }

    /// Gives a host an interface that nobody has.
    pub(crate) fn give_nic(&mut self, host: HostIndex, nic: NicId) {
        self.own(nic, host.0);
        self.hosts[host.0].nics.push(nic);
    }

    /// The interfaces of a host, the first one first.
    pub fn nics(&self, host: HostIndex) -> &[NicId] {
        &self.hosts[host.0].nics
    }

    fn own(&mut self, nic: NicId, host: usize) {
        let at = nic.0 as usize;
        self.host_of.resize(self.host_of.len().max(at + 1), usize::MAX);
        self.host_of[at] = host;
    }

    /// A datagram of another program, from a host's interface and a port that is not the core's.
    pub fn stray(&mut self, place: usize, to: SocketAddr, bytes: Bytes) {
        let from = SocketAddr::new(self.address(place).ip(), 9);
        let (body, load) = (Body::Datagram(bytes.into()), Load::default());
        let packet = Packet { from, to, ttl: DEFAULT_TTL, body, load };
        self.send(NicId(place as u32), packet);
    }

    /// The multicast addresses that a host has joined.
    pub fn memberships(&self, host: HostIndex) -> Vec<SocketAddr> {
        self.hosts[host.0].memberships.values().map(|&(address, _)| address).collect()
    }

    /// Calls a node as its application, and carries out what follows.
    ///
    /// # Panics
    /// The host is a bootstrap service.
    pub fn call<R>(&mut self, host: HostIndex, call: impl FnOnce(&mut Node, Time) -> R) -> R {
        self.came = None;
        let at = &mut self.hosts[host.0];
        let now = at.clock.to_local(self.now);
        let Kind::Node(node) = &mut at.machine else { panic!("{host:?} is a service") };
        let result = call(node, now);
        self.drain(host.0);
        result
    }

    /// A node; `None` if the host is a bootstrap service.
    pub fn node(&self, host: HostIndex) -> Option<&Node> {
        match &self.hosts[host.0].machine {
            Kind::Node(node) => Some(node),
            Kind::Bootstrap(_) => None,
        }
    }

    /// A bootstrap service; `None` if the host is a node.
    pub fn bootstrap(&self, host: HostIndex) -> Option<&Bootstrap> {
        match &self.hosts[host.0].machine {
            Kind::Bootstrap(bootstrap) => Some(bootstrap),
            Kind::Node(_) => None,
        }
    }

    /// The network, to look at it or to do it harm.
    pub fn net(&mut self) -> &mut Net {
        &mut self.net
    }

    /// How many packets the network dropped for a reason.
    pub fn dropped(&self, why: DropCause) -> u64 {
        self.net.dropped(why)
    }

    /// Bytes that were lost at random on the way, summed over receivers.
    pub fn lost_bytes(&self) -> u64 {
        self.net.lost_bytes()
    }

    /// What was sent so far.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Bytes without payload count from that time on.
    pub fn count_control_from(&mut self, at: Time) {
        self.traffic.counts_from = at;
    }

    /// What all applications were told since the last call.
    pub fn take_told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    /// Notes from now on when each host first has a parent in a group's patches of that kind.
    pub fn watch_parents(&mut self, group: GroupId, of: InTree) {
        self.watched = Some((group, of));
    }

    /// When a host first had a parent while it was watched.
    pub fn first_parent(&self, host: HostIndex) -> Option<Time> {
        self.parents.get(host.0).copied().flatten()
    }

    /// How many packets have come to hosts.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How many links a node may have: what it may want of them all for one call is bounded.
    pub fn set_most_links(&mut self, links: usize) {
        self.most_actions = links.saturating_mul(bounds::ACTIONS_PER_LINK);
    }

    /// What was found broken so far of what hosts send to each other and of how much they do.
    pub fn violations(&mut self) -> Violations {
        let mut all = Violations::default();
        all.absorb(self.wire.violations_mut());
        all.absorb(self.proof.violations_mut());
        all.absorb(self.work.violations_mut());
        all
    }

    /// The latest message of a source that a host has asked another one for.
    pub fn wanted(&self, host: HostIndex, source: Source) -> Option<Seq> {
        self.wire.wanted(host.0, source)
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// A digest over everything that came anywhere and everything that was told.
    pub fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// When the next thing happens.
    pub fn next_time(&self) -> Option<Time> {
        self.queue.next_time()
    }

    /// Lets happen everything up to `until`.
    pub fn run_until(&mut self, until: Time) {
        while self.next_time().is_some_and(|at| at <= until) {
            self.step();
        }
        self.now = self.now.max(until);
    }

    /// Lets `span` pass.
    pub fn run_for(&mut self, span: Duration) {
        self.run_until(self.now + span);
    }

    /// Lets the next thing happen; false if nothing ever will.
    pub fn step(&mut self) -> bool {
        let Some((at, what)) = self.queue.pop() else { return false };
        self.now = self.now.max(at);
        self.came = None;
        match what {
            Happening::Arrive(nic, packet) => self.arrive(nic, packet),
            Happening::Serve(nic, packet) => self.serve(nic, packet),
            Happening::Wake(host) => self.wake(host, at),
            Happening::StreamTimer(stream, side) => self.stream_timer(stream, side, at),
        }
        true
    }

    /// Wakes a host, unless it was woken, or is to be woken, at another time instead.
    fn wake(&mut self, host: usize, at: Time) {
        if self.hosts[host].wake != Some(at) {
            return;
        }
        self.hosts[host].wake = None;
        match self.hosts[host].deadline() {
            Some(at) if at <= self.now => {
                self.work.woken(self.now, host);
                self.handle(host, Event::Timeout);
            }
            _ => self.schedule(host),
        }
    }

    fn host_at(&self, nic: NicId) -> Option<usize> {
        self.host_of.get(nic.0 as usize).copied().filter(|&host| host != usize::MAX)
    }

    fn arrive(&mut self, nic: NicId, packet: Packet) {
        let Some(mut start) = self.net.come_in(self.now, nic, &packet) else { return };
        if !self.cpu.is_zero()
            && let Some(host) = self.host_at(nic)
        {
            // Packets are served in the order in which they come.
            let at = &mut self.hosts[host];
            start = at.busy_until.max(start);
            at.busy_until = start + self.cpu;
        }
        match start > self.now {
            true => self.queue.push(start, Happening::Serve(nic, packet)),
            false => self.serve(nic, packet),
        }
    }

    fn serve(&mut self, nic: NicId, packet: Packet) {
        let Some(host) = self.host_at(nic) else {
            return self.net.count_drop(DropCause::Unheard);
        };
        let at = &mut self.hosts[host];
        match at.life {
            Life::Up => {}
            // Its system looks after its streams.
            Life::Paused if matches!(packet.body, Body::Segment { .. }) => {}
            Life::Paused => {
                if !at.hold(nic, packet) {
                    self.net.count_drop(DropCause::Unheard);
                }
                return;
            }
            Life::Down => return self.answer_for_the_dead(nic, &packet),
            Life::Off => return self.net.count_drop(DropCause::Unheard),
        }
        self.events += 1;
        self.note(host, &packet);
        match packet.body {
            Body::Datagram(_) => self.datagram(host, nic, packet),
            Body::Segment { .. } => self.segment(host, nic, packet),
            Body::TimeExceeded { router, .. } => self.hop(host, packet.to, router, false),
            Body::Probe => self.answer_probe(nic, packet.to, packet.from),
            Body::Unreachable => self.hop(host, packet.to, Some(packet.from.ip()), true),
        }
    }

    /// Enters a packet in the digest.
    fn note(&mut self, host: usize, packet: &Packet) {
        self.digest.packet(self.now, host, packet);
    }

    pub(crate) fn handle(&mut self, host: usize, event: Event) {
        let at = &mut self.hosts[host];
        let now = at.clock.to_local(self.now);
        at.machine_mut().handle(now, event);
        self.drain(host);
    }

    /// Carries out what a machine wants, until it wants nothing more.
    fn drain(&mut self, host: usize) {
        if self.hosts[host].life != Life::Up {
            return;
        }
        let most = match self.hosts[host].machine {
            Kind::Node(_) => self.most_actions,
            Kind::Bootstrap(_) => MOST,
        };
        let mut actions = 0;
        while let Some(action) = self.hosts[host].machine_mut().poll_action() {
            actions += 1;
            if !self.work.goes_on(self.now, host, "actions", actions, most) {
                break;
            }
            self.act(host, action);
        }
        let at = &mut self.hosts[host];
        if let (Kind::Node(node), true) = (&mut at.machine, at.reads) {
            if let Some((group, of)) = self.watched
                && self.parents.get(host).copied().flatten().is_none()
                && node.standings(group).any(|at| at.parent.is_some() && of(&at))
            {
                self.parents.resize(self.parents.len().max(host + 1), None);
                self.parents[host] = Some(self.now);
            }
            let mut notices = 0;
            while let Some((group, notice)) = node.poll_notice() {
                notices += 1;
                if !self.work.goes_on(self.now, host, "notices", notices, MOST) {
                    break;
                }
                let notices = match &mut at.lie {
                    Some(lie) => lie.told_at_home(notice),
                    None => vec![notice],
                };
                for notice in notices {
                    self.digest.told(self.now, host, &notice);
                    let (at, after) = (self.now, self.came);
                    self.told.push(Told { at, host: HostIndex(host), group, notice, after });
                }
            }
        }
        self.schedule(host);
    }

    /// Enters when a machine wants to be called. A wake-up that is too early is looked at again.
    fn schedule(&mut self, host: usize) {
        let now = self.now;
        let at = &mut self.hosts[host];
        if let Some(deadline) = at.deadline()
            && at.wake.is_none_or(|wake| deadline < wake)
        {
            let deadline = deadline.max(now);
            at.wake = Some(deadline);
            self.queue.push(deadline, Happening::Wake(host));
        }
    }

    fn act(&mut self, host: usize, action: Action) {
        match action {
            Action::Dial { link, to, from } => self.dial(host, link, to, from),
            Action::JoinMulticast { link, address, interface, ttl: _ } => {
                self.join_multicast(host, link, address, interface);
            }
            Action::Probe { link, by: _, to, ttl, from } => self.probe(host, link, (to, ttl), from),
            Action::Close { link } => self.close(host, link),
            Action::Look { link } => self.look(host, link),
        }
    }

    /// The host that sends from an address of its own.
    fn host_from(&self, address: SocketAddr) -> Option<HostIndex> {
        self.host_at(self.net.nic_for(address)?).map(HostIndex)
    }

    fn nic_of(&self, host: usize, local: IpAddr) -> Option<NicId> {
        let nics = &self.hosts[host].nics;
        nics.iter().copied().find(|&nic| self.net.address(nic) == local)
    }

    /// By which interface a host sends to an address, where nothing else says so: the one in the
    /// network that the address is in, or else the first.
    fn nic_towards(&self, host: usize, to: SocketAddr) -> NicId {
        let nics = &self.hosts[host].nics;
        let there = (nics.len() > 1).then(|| self.net.nic_at(to.ip())).flatten();
        let there = there.map(|there| self.net.region(there));
        let fits = nics.iter().find(|&&nic| there == Some(self.net.region(nic)));
        fits.copied().unwrap_or(nics[0])
    }

    fn send(&mut self, nic: NicId, packet: Packet) {
        self.net.send(self.now, nic, packet, &mut self.arrivals);
        for Arrival { at, nic, packet } in self.arrivals.drain(..) {
            self.queue.push(at, Happening::Arrive(nic, packet));
        }
    }
}

#[cfg(test)]
mod tests;
