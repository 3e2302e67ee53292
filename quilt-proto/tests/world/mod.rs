//! Sites of hosts on a network in memory, and what each of them was told.

#![allow(dead_code, reason = "each test file uses a part of it")]

use quilt_proto::euid::{Euid, RouterId};
use quilt_proto::memory::{HostIndex, Network};
use quilt_proto::{
    Bootstrap, BootstrapConfig, Config, Counter, Group, GroupId, HostId, Incarnation, Limits,
    Notice, Place, PublishError, Rng,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) struct Site {
    pub(crate) hosts: usize,
    pub(crate) multicast: bool,
}

impl Site {
    pub(crate) fn multicast(hosts: usize) -> Self {
        Self { hosts, multicast: true }
    }

    pub(crate) fn plain(hosts: usize) -> Self {
        Self { hosts, multicast: false }
    }
}

pub(crate) struct World {
    pub(crate) net: Network,
    pub(crate) service: HostIndex,
    pub(crate) hosts: Vec<HostIndex>,
    pub(crate) ids: Vec<HostId>,
    pub(crate) alive: Vec<bool>,
    pub(crate) told: Vec<Vec<Notice>>,
    pub(crate) group: GroupId,
    /// What each host published, in order.
    pub(crate) published: Vec<Vec<Vec<u8>>>,
    rng: Rng,
}

pub(crate) const GROUP: &str = "news";

pub(crate) fn service_address() -> SocketAddr {
    "10.0.0.1:7400".parse().unwrap()
}

pub(crate) fn bootstrap(seed: u64) -> Bootstrap {
    Bootstrap::new(BootstrapConfig::default(), seed)
}

/// The surroundings of a host of site `site`.
pub(crate) fn euid(site: usize, multicast: bool) -> Euid {
    let mut euid = Euid::reachable();
    euid.topology.insert(RouterId::named(&format!("gateway-{site}")), 1, multicast);
    euid
}

impl World {
    pub(crate) fn new(seed: u64, sites: &[Site]) -> Self {
        Self::with_limits(seed, sites, Limits::default())
    }

    /// Hosts with other limits; the service has the default ones.
    pub(crate) fn with_limits(seed: u64, sites: &[Site], limits: Limits) -> Self {
        let mut net = Network::new(seed);
        let mut rng = Rng::new(seed);
        let service = net.add_bootstrap(service_address(), bootstrap(seed));
        let mut world = Self {
            net,
            service,
            hosts: Vec::new(),
            ids: Vec::new(),
            alive: Vec::new(),
            told: Vec::new(),
            group: GroupId::named(GROUP),
            published: Vec::new(),
            rng: rng.fork("world"),
        };
        for (number, site) in sites.iter().enumerate() {
            for host in 0..site.hosts {
                let address = SocketAddr::from(([10, number as u8 + 1, 0, host as u8 + 1], 7_000));
                let id = HostId::random(&mut rng);
                let mut config = Config::new(id, Incarnation(1), address);
                config.nics[0].euid = euid(number, site.multicast);
                config.limits = limits.clone();
                let node = quilt_proto::Node::new(config, rng.next_u64());
                world.hosts.push(world.net.add_node(address, node));
                world.ids.push(id);
                world.alive.push(true);
                world.told.push(Vec::new());
                world.published.push(Vec::new());
            }
        }
        world
    }

    pub(crate) fn join(&mut self, host: usize) {
        self.join_as(host, Group::new(GROUP, service_address()));
    }

    pub(crate) fn join_as(&mut self, host: usize, group: Group) {
        self.net.call(self.hosts[host], |node, now| node.join(now, group)).expect("a first join");
    }

    /// All join at once; panics unless all are admitted within five seconds.
    pub(crate) fn join_all(&mut self) {
        (0..self.hosts.len()).for_each(|host| self.join(host));
        for _ in 0..50 {
            self.run(100);
            if (0..self.hosts.len()).all(|host| self.is_joined(host)) {
                // The wide-area tree and the meshes settle.
                return self.run(2_000);
            }
        }
        let out: Vec<_> = (0..self.hosts.len()).filter(|&host| !self.is_joined(host)).collect();
        panic!("not admitted: {out:?}; the first was told {:?}", self.told[out[0]]);
    }

    pub(crate) fn run(&mut self, millis: u64) {
        self.net.run_for(Duration::from_millis(millis));
        for (host, told) in self.told.iter_mut().enumerate() {
            told.extend(self.net.take_notices(self.hosts[host]).into_iter().map(|(_, n)| n));
        }
    }

    pub(crate) fn kill(&mut self, host: usize) {
        self.alive[host] = false;
        self.net.kill(self.hosts[host]);
    }

    pub(crate) fn publish(&mut self, host: usize, len: usize) {
        let mut body = vec![0; len];
        for chunk in body.chunks_mut(8) {
            let bytes = self.rng.next_u64().to_be_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        self.published[host].push(body.clone());
        let group = self.group;
        let publish =
            self.net.call(self.hosts[host], |node, now| node.publish(now, group, body.into()));
        publish.expect("room to publish");
    }

    /// Publishes messages of `len` bytes as fast as that is granted, for at most `millis`.
    pub(crate) fn publish_all(&mut self, host: usize, messages: usize, len: usize, millis: u64) {
        let group = self.group;
        let mut passed = 0;
        for number in 0..messages {
            let body = vec![number as u8; len];
            self.published[host].push(body.clone());
            let body = bytes::Bytes::from(body);
            loop {
                let body = body.clone();
                let publish = |node: &mut quilt_proto::Node, now| node.publish(now, group, body);
                match self.net.call(self.hosts[host], publish) {
                    Ok(_) => break,
                    Err(PublishError::WouldBlock) => self.told[host].clear(),
                    Err(error) => panic!("{error}"),
                }
                while !self.told[host].contains(&Notice::Writable) {
                    assert!(passed < millis, "stuck before message {number}");
                    self.run(1);
                    passed += 1;
                }
            }
        }
    }

    pub(crate) fn is_joined(&self, host: usize) -> bool {
        self.told[host].iter().any(|notice| matches!(notice, Notice::Joined(_)))
    }

    /// Where a host stands by what it was told last.
    pub(crate) fn place(&self, host: usize) -> &Place {
        let place =
            |notice: &'_ Notice| matches!(notice, Notice::Joined(_) | Notice::PatchChanged { .. });
        match self.told[host].iter().rev().find(|notice| place(notice)) {
            Some(Notice::Joined(place) | Notice::PatchChanged { place, .. }) => place,
            _ => panic!("host {host} has no place"),
        }
    }

    pub(crate) fn sum(&self, counter: Counter) -> u64 {
        self.hosts.iter().map(|&host| self.net.node(host).counters().get(counter)).sum()
    }

    /// What a host received, by source tag.
    pub(crate) fn received(&self, host: usize) -> BTreeMap<u64, Vec<Vec<u8>>> {
        let mut received: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
        for notice in &self.told[host] {
            if let Notice::Message(message) = notice {
                let of = received.entry(message.source.host.0).or_default();
                assert_eq!(message.seq.0 as usize, of.len(), "host {host}: out of order");
                of.push(message.body.clone().into_bytes().to_vec());
            }
        }
        received
    }

    /// Every living host has every message of every other host that lives, in order, byte for byte.
    pub(crate) fn check_all_delivered(&self) {
        for host in (0..self.hosts.len()).filter(|&host| self.alive[host]) {
            let received = self.received(host);
            for source in (0..self.hosts.len()).filter(|&source| source != host) {
                let got = received.get(&self.ids[source].tag().0).map_or(0, Vec::len);
                let want = self.published[source].len();
                assert_eq!(
                    got,
                    want,
                    "host {host} has {got} of {want} messages of host {source}: {}",
                    self.net.node(self.hosts[host]).counters()
                );
                if want > 0 {
                    assert_eq!(received[&self.ids[source].tag().0], self.published[source]);
                }
            }
        }
    }
}
