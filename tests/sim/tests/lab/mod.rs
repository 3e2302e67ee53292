//! A small world with real nodes, in which one host publishes.
#![allow(dead_code, reason = "not every test uses everything")]

use quilt_proto::{Config, Counter, Group, GroupId, Limits, Node, Notice, Rng, Source, Time};
use quilt_sim::check::{self, Safety, Violation};
use quilt_sim::population::{Population, System};
use quilt_sim::run::Spec;
use quilt_sim::topology::Topology;
use quilt_sim::world::{HostIndex, World};
use std::net::SocketAddr;
use std::time::Duration;

/// Bytes of a message.
const SIZE: usize = 500;

pub(crate) fn lan(hosts: usize) -> Topology {
    Topology::lan(hosts).unwrap()
}

/// A group on a topology; host 0 publishes.
pub(crate) struct Lab {
    pub(crate) world: World,
    pub(crate) population: Population,
    pub(crate) service: SocketAddr,
    pub(crate) rng: Rng,
    pub(crate) source: Source,
    pub(crate) safety: Safety,
    pub(crate) delivered: Vec<u64>,
    pub(crate) last_delivery: Time,
    pub(crate) gapped: u64,
    /// What else hosts were told, in order.
    pub(crate) told: Vec<(Time, usize, Notice)>,
    pub(crate) published: u64,
}

impl Lab {
    pub(crate) fn new(topology: Topology) -> Self {
        let limits = Spec::new("lab", topology.clone(), System::Quilt).population.limits;
        Self::limited(topology, limits)
    }

    /// With other limits.
    pub(crate) fn limited(topology: Topology, limits: Limits) -> Self {
        let hosts = topology.hosts.len();
        let mut population = Spec::new("lab", topology.clone(), System::Quilt).population;
        population.limits = limits;
        let mut world = World::new(topology, 5);
        let mut rng = Rng::new(5);
        let mut source = None;
        for place in 0..hosts {
            let address = world.address(place);
            let config = population.config(world.net(), place, address, &mut rng);
            let (host, incarnation) = (config.host.tag(), config.incarnation);
            source.get_or_insert(Source { host, incarnation });
            world.add_node(place, Node::new(config, rng.next_u64()));
        }
        let (_, service) = world.add_bootstrap(0, population.bootstrap(), 7);
        Self {
            world,
            population,
            service,
            rng,
            source: source.unwrap(),
            safety: Safety::default(),
            delivered: vec![0; hosts],
            last_delivery: Time::ZERO,
            gapped: 0,
            told: Vec::new(),
            published: 0,
        }
    }

    pub(crate) fn config(&mut self, place: usize, incarnation: u32) -> Config {
        let address = self.world.address(place);
        let mut config = self.population.config(self.world.net(), place, address, &mut self.rng);
        config.incarnation = quilt_proto::Incarnation(incarnation);
        config
    }

    pub(crate) fn join(&mut self) {
        (0..self.delivered.len()).for_each(|host| self.join_one(host));
        self.run(4_000);
    }

    pub(crate) fn join_one(&mut self, host: usize) {
        let group = Group::new("lab", self.service);
        self.world.call(HostIndex(host), |node, now| node.join(now, group)).unwrap();
    }

    /// Publishes `count` messages, 10 ms apart.
    pub(crate) fn publish(&mut self, count: u64) {
        for _ in 0..count {
            let body = check::body(self.published, SIZE).into();
            let group = GroupId::named("lab");
            let published =
                self.world.call(HostIndex(0), |node, now| node.publish(now, group, body));
            let seq = published.unwrap();
            let (now, number) = (self.world.now(), self.published);
            self.safety.published(now, self.source, seq, number, SIZE);
            self.published += 1;
            self.run(10);
        }
    }

    pub(crate) fn run(&mut self, ms: u64) {
        self.world.run_for(Duration::from_millis(ms));
        for told in self.world.take_told() {
            let host = told.host.0;
            self.safety.told(told.at, host, &told.notice);
            match told.notice {
                Notice::Message(_) => {
                    self.delivered[host] += 1;
                    self.last_delivery = told.at;
                }
                Notice::Gap { from, to, .. } => self.gapped += to.next().distance(from),
                other => self.told.push((told.at, host, other)),
            }
        }
        assert_eq!(self.safety.violations(), []);
        let violations = self.world.violations();
        let claimed: Vec<_> = violations.all().iter().filter(|one| one.may_be_claimed).collect();
        assert_eq!(claimed, [] as [&Violation; 0]);
    }

    pub(crate) fn got(&self, host: usize) -> u64 {
        self.delivered[host]
    }

    pub(crate) fn sum(&self, counter: Counter) -> u64 {
        let hosts = (0..self.delivered.len()).filter_map(|host| self.world.node(HostIndex(host)));
        hosts.map(|node| node.counters().get(counter)).sum()
    }

    pub(crate) fn all_got_all(&self) {
        let mut expected = vec![self.published; self.delivered.len()];
        expected[0] = 0;
        assert_eq!(self.delivered, expected, "of {}", self.published);
    }
}
