//! A network in memory: hosts, streams, datagrams and IP multicast in virtual time.
//!
//! It drives [`Node`] and [`Bootstrap`] through the calls that every adapter has, so it shows how
//! to embed them, and carries examples and tests. Time jumps to the next thing that happens; all
//! randomness follows from one seed. It knows one latency and random loss of datagrams, and no
//! bandwidth: it is no model of a real network.

use crate::{
    Action, Bootstrap, Chunks, Event, GroupId, LinkError, LinkId, Machine, Node, Notice, Rng, Time,
};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::hash::Hasher;
use core::net::SocketAddr;
use core::time::Duration;
use siphasher::sip::SipHasher13;

/// A host of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostIndex(usize);

/// The network and everything on it.
#[derive(Debug)]
pub struct Network {
    now: Time,
    hosts: Vec<Host>,
    /// What is under way, by when it arrives and in the order of sending.
    arrivals: BTreeMap<(Time, u64), Arrival>,
    sent: u64,
    latency: Duration,
    /// Of a thousand datagrams so many are lost.
    loss_permille: u64,
    rng: Rng,
    digest: SipHasher13,
}

#[derive(Debug)]
struct Host {
    address: SocketAddr,
    machine: Kind,
    streams: BTreeMap<LinkId, Far>,
    memberships: BTreeMap<LinkId, SocketAddr>,
    notices: Vec<(GroupId, Notice)>,
    alive: bool,
    reads: bool,
}

#[derive(Debug)]
enum Kind {
    Node(Box<Node>),
    Bootstrap(Box<Bootstrap>),
}

/// The other end of a stream.
#[derive(Clone, Copy, Debug)]
struct Far {
    host: usize,
    link: LinkId,
}

#[derive(Debug)]
enum Arrival {
    /// A dialler's request.
    Dial { from: usize, link: LinkId, to: SocketAddr },
    /// Something for a link of a host.
    Event { host: usize, event: Event },
    /// A datagram, for whoever is at the address when it comes.
    Datagram { from: SocketAddr, to: SocketAddr, bytes: Chunks },
}

impl Network {
    /// An empty network with a latency of 1 ms and no loss.
    pub fn new(seed: u64) -> Self {
        Self {
            now: Time::ZERO,
            hosts: Vec::new(),
            arrivals: BTreeMap::new(),
            sent: 0,
            latency: Duration::from_millis(1),
            loss_permille: 0,
            rng: Rng::new(seed),
            digest: SipHasher13::new(),
        }
    }

    /// The time that everything takes from one host to another.
    pub fn set_latency(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// How many of a thousand datagrams get lost, multicast ones for each receiver by itself.
    pub fn set_loss_permille(&mut self, loss_permille: u64) {
        self.loss_permille = loss_permille;
    }

    /// Puts a bootstrap service at an address.
    pub fn add_bootstrap(&mut self, address: SocketAddr, bootstrap: Bootstrap) -> HostIndex {
        self.add(address, Kind::Bootstrap(Box::new(bootstrap)))
    }

    /// Puts a node at an address.
    pub fn add_node(&mut self, address: SocketAddr, node: Node) -> HostIndex {
        self.add(address, Kind::Node(Box::new(node)))
    }

    /// Calls a node, and carries out what follows at once.
    ///
    /// # Panics
    /// The host is a bootstrap service.
    pub fn call<R>(&mut self, host: HostIndex, call: impl FnOnce(&mut Node, Time) -> R) -> R {
        let now = self.now;
        let result = call(self.node_mut(host), now);
        self.drain(host.0);
        result
    }

    /// A node.
    ///
    /// # Panics
    /// The host is a bootstrap service.
    pub fn node(&self, host: HostIndex) -> &Node {
        match &self.hosts[host.0].machine {
            Kind::Node(node) => node,
            Kind::Bootstrap(_) => panic!("host {} is a bootstrap service", host.0),
        }
    }

    /// A bootstrap service.
    ///
    /// # Panics
    /// The host is a node.
    pub fn bootstrap(&self, host: HostIndex) -> &Bootstrap {
        match &self.hosts[host.0].machine {
            Kind::Bootstrap(bootstrap) => bootstrap,
            Kind::Node(_) => panic!("host {} is a node", host.0),
        }
    }

    /// The bytes that are under way, datagrams and pieces of streams, in the order in which they will
    /// come: who changes them is a bad wire. What is empty does not come.
    pub fn under_way(&mut self) -> impl Iterator<Item = &mut Chunks> {
        self.arrivals.values_mut().filter_map(|arrival| match arrival {
            Arrival::Datagram { bytes, .. }
            | Arrival::Event { event: Event::Received { bytes, .. }, .. } => Some(bytes),
            Arrival::Event { .. } | Arrival::Dial { .. } => None,
        })
    }

    /// Takes what a node's application was told since the last call.
    pub fn take_notices(&mut self, host: HostIndex) -> Vec<(GroupId, Notice)> {
        core::mem::take(&mut self.hosts[host.0].notices)
    }

    /// Whether the application of a node reads. One that does not leaves its messages in the
    /// window.
    pub fn set_reads(&mut self, host: HostIndex, reads: bool) {
        self.hosts[host.0].reads = reads;
        self.drain(host.0);
    }

    /// Takes a host off the network without a word. Its streams are reset.
    pub fn kill(&mut self, host: HostIndex) {
        self.hosts[host.0].alive = false;
        self.hosts[host.0].memberships.clear();
        for (_, far) in core::mem::take(&mut self.hosts[host.0].streams) {
            let event = Event::Closed { link: far.link, cause: LinkError::Reset };
            self.send(Arrival::Event { host: far.host, event });
        }
    }

    /// Puts a new bootstrap service, without any memory, where an old one was killed.
    pub fn replace_bootstrap(&mut self, host: HostIndex, bootstrap: Bootstrap) {
        self.hosts[host.0].machine = Kind::Bootstrap(Box::new(bootstrap));
        self.hosts[host.0].alive = true;
    }

    /// How many streams a host has.
    pub fn streams(&self, host: HostIndex) -> usize {
        self.hosts[host.0].streams.len()
    }

    /// The time on the network.
    pub fn now(&self) -> Time {
        self.now
    }

    /// A digest over everything that arrived anywhere so far. Equal seeds give equal digests.
    pub fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// Lets `span` pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(next) = self.next_time().filter(|&next| next <= end) {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
    }

    /// Lets time pass until `done`, at most `span`; whether it was.
    pub fn run_until(&mut self, span: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + span;
        while !done(self) {
            let Some(next) = self.next_time().filter(|&next| next <= end) else { return false };
            self.now = self.now.max(next);
            self.step();
        }
        true
    }

    fn add(&mut self, address: SocketAddr, machine: Kind) -> HostIndex {
        self.hosts.push(Host {
            address,
            machine,
            streams: BTreeMap::new(),
            memberships: BTreeMap::new(),
            notices: Vec::new(),
            alive: true,
            reads: true,
        });
        HostIndex(self.hosts.len().saturating_sub(1))
    }

    fn node_mut(&mut self, host: HostIndex) -> &mut Node {
        match &mut self.hosts[host.0].machine {
            Kind::Node(node) => node,
            Kind::Bootstrap(_) => panic!("host {} is a bootstrap service", host.0),
        }
    }

    fn next_time(&self) -> Option<Time> {
        let arrival = self.arrivals.first_key_value().map(|(&(at, _), _)| at);
        let alive = self.hosts.iter().filter(|host| host.alive);
        let timeouts = alive.filter_map(|host| host.machine().poll_timeout());
        arrival.into_iter().chain(timeouts).min()
    }

    /// Lets happen what is due now.
    fn step(&mut self) {
        while let Some((&(at, number), _)) = self.arrivals.first_key_value() {
            if at > self.now {
                break;
            }
            if let Some(arrival) = self.arrivals.remove(&(at, number)) {
                self.arrive(arrival);
            }
        }
        for host in 0..self.hosts.len() {
            let due = self.hosts[host].machine().poll_timeout().is_some_and(|at| at <= self.now);
            if due && self.hosts[host].alive {
                self.handle(host, Event::Timeout);
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Dial { from, link, to } => self.connect(from, link, to),
            Arrival::Event { host, event } => self.handle(host, event),
            Arrival::Datagram { from, to, bytes } => {
                bytes.chunks().iter().for_each(|chunk| self.digest.write(chunk));
                for host in 0..self.hosts.len() {
                    for link in self.hosts[host].listening(to) {
                        if self.rng.below(1_000) >= self.loss_permille {
                            let bytes = bytes.clone();
                            self.handle(host, Event::Datagram { link, from, bytes });
                        }
                    }
                }
            }
        }
    }

    fn connect(&mut self, from: usize, link: LinkId, to: SocketAddr) {
        let now = self.now;
        let address = self.hosts[from].address;
        let listener = self.hosts.iter().position(|host| host.alive && host.address == to);
        let accepted = listener.and_then(|host| {
            let far = self.hosts[host].machine_mut().accept(now, address)?;
            Some(Far { host, link: far })
        });
        let event = match accepted {
            Some(far) => {
                self.hosts[from].streams.insert(link, far);
                self.hosts[far.host].streams.insert(far.link, Far { host: from, link });
                self.drain(far.host);
                Event::Opened { link }
            }
            None => Event::Closed { link, cause: LinkError::Refused },
        };
        self.send(Arrival::Event { host: from, event });
    }

    fn handle(&mut self, host: usize, event: Event) {
        let at = &mut self.hosts[host];
        if !at.alive {
            return;
        }
        match &event {
            // The stream was closed here while this was under way.
            Event::Received { link, .. } | Event::Opened { link }
                if !at.streams.contains_key(link) && !at.memberships.contains_key(link) =>
            {
                return;
            }
            Event::Received { bytes, .. } if bytes.is_empty() => return,
            Event::Received { bytes, .. } => {
                bytes.chunks().iter().for_each(|chunk| self.digest.write(chunk));
            }
            Event::Closed { link, .. } => {
                at.streams.remove(link);
            }
            _ => {}
        }
        at.machine_mut().handle(self.now, event);
        self.drain(host);
    }

    /// Carries out what a machine wants, until it wants nothing more.
    fn drain(&mut self, host: usize) {
        while let Some(action) = self.hosts[host].machine_mut().poll_action() {
            match action {
                Action::Dial { link, to, .. } => {
                    self.send(Arrival::Dial { from: host, link, to });
                }
                Action::JoinMulticast { link, address, .. } => {
                    self.hosts[host].memberships.insert(link, address);
                    self.send(Arrival::Event { host, event: Event::Opened { link } });
                }
                // There are no routers.
                Action::Probe { link, to, .. } => {
                    let event = Event::Hop { link, at: to.ip(), is_end: true };
                    self.send(Arrival::Event { host, event });
                }
                Action::Close { link } => {
                    self.hosts[host].memberships.remove(&link);
                    if let Some(far) = self.hosts[host].streams.remove(&link) {
                        let event = Event::Closed { link: far.link, cause: LinkError::Ended };
                        self.send(Arrival::Event { host: far.host, event });
                    }
                }
                Action::Look { link } => self.pull(host, link),
            }
        }
        let at = &mut self.hosts[host];
        if let (Kind::Node(node), true) = (&mut at.machine, at.reads) {
            at.notices.extend(core::iter::from_fn(|| node.poll_notice()));
        }
    }

    fn pull(&mut self, host: usize, link: LinkId) {
        while let Some(transmit) = self.hosts[host].machine_mut().poll_transmit(link) {
            let bytes = transmit.to_chunks();
            let from = self.hosts[host].address;
            let multicast = self.hosts[host].memberships.get(&link).copied();
            if let Some(to) = transmit.to.or(multicast) {
                self.send(Arrival::Datagram { from, to, bytes });
            } else if let Some(&far) = self.hosts[host].streams.get(&link) {
                // A stream may be cut anywhere.
                let mut rest = bytes;
                let head = rest.split_to(self.rng.index(rest.len()));
                for bytes in [head, rest].into_iter().filter(|bytes| !bytes.is_empty()) {
                    let event = Event::Received { link: far.link, bytes };
                    self.send(Arrival::Event { host: far.host, event });
                }
            }
        }
    }

    fn send(&mut self, arrival: Arrival) {
        self.arrivals.insert((self.now + self.latency, self.sent), arrival);
        self.sent = self.sent.saturating_add(1);
    }
}

impl Host {
    fn machine(&self) -> &dyn Machine {
        match &self.machine {
            Kind::Node(node) => &**node,
            Kind::Bootstrap(bootstrap) => &**bootstrap,
        }
    }

    fn machine_mut(&mut self) -> &mut dyn Machine {
        match &mut self.machine {
            Kind::Node(node) => &mut **node,
            Kind::Bootstrap(bootstrap) => &mut **bootstrap,
        }
    }

    /// The sockets that take datagrams for `to`.
    fn listening(&self, to: SocketAddr) -> BTreeSet<LinkId> {
        let unicast = (self.address == to).then_some(LinkId::UDP);
        let joined = self.memberships.iter().filter(|&(_, &address)| address == to);
        let links = joined.map(|(&link, _)| link).chain(unicast);
        links.filter(|_| self.alive).collect()
    }
}
