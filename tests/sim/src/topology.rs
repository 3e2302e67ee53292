//! Where hosts stand, and how far they are from each other.
//!
//! A [`Topology`] is data: places, gateways and latencies, and nothing that happens. It comes from
//! what is built in ([`Topology::lan`], [`Topology::synthetic`], [`Topology::data_center`],
//! [`Topology::internet`], [`Topology::router_stacks`]) or from a file ([`Topology::load`]).
//!
//! ```
//! use quilt_sim::topology::{SiteLatency, Topology};
//!
//! let centers = Topology::data_center(None, SiteLatency::Paper)?;
//! assert_eq!(centers.hosts.len(), 1531);
//! assert_eq!(centers.one_way(0, 1).as_micros(), 300);
//! # Ok::<(), quilt_sim::topology::TopologyError>(())
//! ```

mod distance;
mod error;
mod grow;
mod hosts;
mod load;
mod matrix;
mod platform;
mod synthetic;

pub use error::{Problem, TopologyError};

use distance::{Distances, Inside, Zones};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Most hosts that a topology may have, whether it is grown or read from a file.
pub const MAX_HOSTS: usize = 100_000;

/// Where every host stands, and the latency between any two of them.
#[derive(Clone, Debug)]
pub struct Topology {
    /// What it is called: a built-in's name, or the name in or of the file.
    pub name: String,
    /// The hosts; other parts name a host by its index here.
    pub hosts: Vec<Place>,
    /// NATs and firewalls between a part of the hosts and all others.
    pub gateways: Vec<Gateway>,
    /// The host that publishes, where the topology says so.
    pub source: Option<usize>,
    /// What was published about a run on this topology, one row per table row; mostly empty.
    pub published: Vec<Published>,
    /// Where the latencies come from.
    pub latency: LatencyOrigin,
    /// Whether its hosts are spread over the Internet, and not over data centres or a network of
    /// one's own.
    pub internet: bool,
    distances: Distances,
}

/// Where one host stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Unique in its topology.
    pub name: String,
    /// A site, a domain, the hosts of one AS in one metropolitan area: what IP multicast may span,
    /// and the border that traffic is counted at. Numbered from 0 without holes.
    pub region: u32,
    /// Whether the switches inside the region forward IP multicast.
    pub multicast: bool,
    /// From the host outwards, nearest first.
    pub routers: Vec<Router>,
    /// Index into [`Topology::gateways`] of what stands between the host and all hosts that are
    /// not behind the same one.
    pub gateway: Option<usize>,
    /// Rate of the access link away from the host, in bit/s; `None` is unlimited.
    pub up_bps: Option<u64>,
    /// Rate of the access link towards the host, in bit/s; `None` is unlimited.
    pub down_bps: Option<u64>,
}

/// One router on the way from a host to the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    /// Equal names are the same router, except [`Router::SILENT`].
    pub name: String,
    /// Whether it forwards IP multicast.
    pub multicast: bool,
}

impl Router {
    /// Name of a router that decrements TTL but never answers, so that nobody knows which it is.
    pub const SILENT: &'static str = "*";

    /// Whether this hop never answers; two silent hops are not known to be one router.
    pub fn is_silent(&self) -> bool {
        self.name == Self::SILENT
    }
}

/// What stands between some hosts and all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gateway {
    /// Unique in its topology.
    pub name: String,
    /// Address translation, if it does any.
    pub nat: Option<Nat>,
    /// Packet filter, if it has one.
    pub firewall: Option<Firewall>,
    /// Whether UDP passes in neither direction, not even to whoever was sent something.
    pub no_udp: bool,
}

/// How a NAT behaves, in the terms of RFC 4787.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat {
    /// For which destinations one inner address and port keep the same outer ones.
    pub mapping: Dependence,
    /// From whom packets to a mapping are let in.
    pub filtering: Dependence,
    /// How long a UDP mapping lives without a packet from inside.
    pub timeout: Duration,
}

/// What a NAT's mapping or filtering depends on (RFC 4787, sections 4.1 and 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dependence {
    /// Not on the other end.
    EndpointIndependent,
    /// On the other end's address.
    AddressDependent,
    /// On the other end's address and port.
    AddressAndPortDependent,
}

impl From<Dependence> for quilt_proto::euid::Dependence {
    fn from(dependence: Dependence) -> Self {
        match dependence {
            Dependence::EndpointIndependent => Self::EndpointIndependent,
            Dependence::AddressDependent => Self::AddressDependent,
            Dependence::AddressAndPortDependent => Self::AddressAndPortDependent,
        }
    }
}

/// A packet filter. It is stateful: what answers a connection from inside comes in, and
/// connections from outside do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firewall {
    /// Whether UDP from outside is dropped even if it answers something that was sent.
    pub blocks_udp: bool,
}

/// A row of a published table about the topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The region that the row is about, counted from 1 as the table does.
    pub domain: u32,
    /// Indices into [`Topology::hosts`].
    pub hosts: Vec<usize>,
    /// The protocols that these hosts ran, as the table writes them.
    pub protocols: Vec<String>,
    /// How these hosts got messages, as the table writes it.
    pub method: String,
}

/// Where a topology's latencies come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LatencyOrigin {
    /// Measured between the hosts themselves.
    Measured,
    /// Computed from distances and link models.
    Derived,
    /// Chosen, because nothing is known: good for running, worth nothing as a result.
    Chosen,
}

/// Which matrix of a data-centre platform gives the latency between sites.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    clap::ValueEnum,
    serde::Deserialize,
    serde::Serialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum SiteLatency {
    /// Scaled onto the 4 to 12 ms that the paper states (section 5.1).
    #[default]
    Paper,
    /// Derived from the length of the fibre.
    Derived,
}

/// What may be chosen about a topology that is read from a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Number of hosts; `None` is as many as the file has. The proportions stay.
    pub hosts: Option<usize>,
    /// For the hosts that are left out or repeated, and for the latency between repeated ones.
    pub seed: u64,
    /// For platforms.
    pub latency: SiteLatency,
}

impl Topology {
    /// The names of all routers that answer, each once, in their order.
    pub fn router_names(&self) -> impl Iterator<Item = &str> {
        let stacks = self.hosts.iter().flat_map(|place| &place.routers);
        let answering = stacks.filter(|router| !router.is_silent());
        let names: BTreeSet<&str> = answering.map(|router| router.name.as_str()).collect();
        names.into_iter()
    }

    /// How many hosts the paper's SYNTHETIC topology has.
    pub const SYNTHETIC_HOSTS: usize = 20;

    /// One switched network with IP multicast: `hosts` hosts, 0.1 ms apart, at 1 Gbit/s.
    ///
    /// # Errors
    /// Without hosts, or with more than [`MAX_HOSTS`].
    pub fn lan(hosts: usize) -> Result<Self, TopologyError> {
        // Two links of a host, at the 0.05 ms that a switched gigabit network takes for each.
        const ONE_WAY_MICROS: u32 = 100;
        grow::check_count("lan", hosts)?;
        let places = (1..=hosts).map(|n| Place {
            name: n.to_string(),
            multicast: true,
            routers: vec![Router { name: "gw-lan".into(), multicast: true }],
            up_bps: Some(1_000_000_000),
            down_bps: Some(1_000_000_000),
            ..Place::default()
        });
        let zones = Zones::new(vec![0; hosts], vec![0], Inside::Fixed(vec![ONE_WAY_MICROS]));
        Ok(Self::of("lan", places.collect(), LatencyOrigin::Chosen, Distances::Zones(zones)))
    }

    /// The paper's SYNTHETIC topology (section 5.1, Figure 7): four domains of five hosts, named 1
    /// to 20; 1 is the source. [`Topology::published`] holds Table 3.
    pub fn synthetic() -> Self {
        // The file is part of the program, and a test reads it.
        synthetic::built_in(None).expect("the built-in file is good")
    }

    /// The same four domains with other numbers of hosts, in the same proportions; with 20 it is the
    /// paper's. [`Topology::published`] is empty in the others.
    ///
    /// # Errors
    /// With so few hosts that a domain has none, or with more than [`MAX_HOSTS`].
    pub fn synthetic_of(hosts: usize) -> Result<Self, TopologyError> {
        synthetic::built_in(Some(hosts))
    }

    /// The paper's DATA CENTER topology: Grid'5000 in June 2010, its clusters trimmed in proportion
    /// to `hosts` (1,531 if `None`), or grown.
    ///
    /// # Errors
    /// Without hosts, or with more than [`MAX_HOSTS`].
    pub fn data_center(hosts: Option<usize>, latency: SiteLatency) -> Result<Self, TopologyError> {
        platform::built_in(hosts, latency)
    }

    /// A stand-in for the paper's INTERNET topology: 951 hosts with measured latency and real
    /// router paths. Fewer are a sample; more repeat hosts behind the same routers, at a latency
    /// drawn from the measured ones of that kind.
    ///
    /// # Errors
    /// Without hosts, or with more than [`MAX_HOSTS`].
    pub fn internet(hosts: Option<usize>, seed: u64) -> Result<Self, TopologyError> {
        hosts::internet(hosts, seed)
    }

    /// The hosts of 18 ASes with the routers in front of them, for partitioning by routers. Nobody
    /// measured latency between them, so it is modelled: half a millisecond a link by way of the
    /// nearest router that both have, and a fixed figure where they share none.
    ///
    /// # Errors
    /// Without hosts, or with more than [`MAX_HOSTS`].
    pub fn router_stacks(hosts: Option<usize>, seed: u64) -> Result<Self, TopologyError> {
        hosts::router_stacks(hosts, seed)
    }

    /// Reads a topology from a file: a platform or a set of domains (`.json`), `NAME_hosts.csv`
    /// with `NAME_rtt_upper_ms.csv` beside it (either path will do), or a matrix of round-trip times in
    /// milliseconds, full or its upper triangle, with or without labels (`.csv`; one-way times if
    /// `oneway` is in the file's name).
    ///
    /// # Errors
    /// With file, line and column as far as they are known, the reason, and what to do.
    pub fn load(path: &Path, shape: &Shape) -> Result<Self, TopologyError> {
        load::load(path, shape)
    }

    /// Propagation delay of the direct way; zero from a host to itself.
    ///
    /// # Panics
    /// If there is no such host.
    pub fn one_way(&self, from: usize, to: usize) -> Duration {
        Duration::from_micros(self.distances.one_way(from, to).into())
    }

    /// The least propagation delay from `from` to each host through any other hosts.
    ///
    /// # Panics
    /// If there is no such host.
    pub fn shortest_from(&self, from: usize) -> Vec<Duration> {
        self.distances.shortest_from(from).into_iter().map(Duration::from_micros).collect()
    }

    /// The least and the greatest one-way delay between two different hosts; `None` if there is
    /// only one. Looks at every pair.
    pub fn range(&self) -> Option<(Duration, Duration)> {
        let others = |from| (0..self.hosts.len()).filter(move |&to| to != from);
        let pairs = (0..self.hosts.len()).flat_map(|from| others(from).map(move |to| (from, to)));
        let mut least_and_greatest = None;
        for (from, to) in pairs {
            let one_way = self.distances.one_way(from, to);
            let (least, greatest) = least_and_greatest.unwrap_or((one_way, one_way));
            least_and_greatest = Some((one_way.min(least), one_way.max(greatest)));
        }
        let (least, greatest) = least_and_greatest?;
        Some((Duration::from_micros(least.into()), Duration::from_micros(greatest.into())))
    }

    /// Some of its hosts, each once, in the order given, as far from each other as they are here.
    ///
    /// # Panics
    /// If there is no such host.
    #[must_use]
    pub fn part(&self, hosts: &[usize]) -> Self {
        let between = hosts.iter().flat_map(|&from| hosts.iter().map(move |&to| (from, to)));
        let between = between.map(|(from, to)| self.distances.one_way(from, to)).collect();
        let zones = (0..).take(hosts.len()).collect();
        let zones = Zones::new(zones, between, Inside::Fixed(vec![0; hosts.len()]));
        let mut places: Vec<Place> = hosts.iter().map(|&host| self.hosts[host].clone()).collect();
        grow::number_regions(&mut places);
        let source = self.source.and_then(|source| hosts.iter().position(|&host| host == source));
        let gateways = self.gateways.clone();
        let part = Self::of(&self.name, places, self.latency, Distances::Zones(zones));
        Self { gateways, source, internet: self.internet, ..part }
    }

    /// How many regions there are.
    pub fn regions(&self) -> usize {
        self.hosts.iter().map(|place| place.region as usize + 1).max().unwrap_or(0)
    }

    fn of(name: &str, hosts: Vec<Place>, latency: LatencyOrigin, distances: Distances) -> Self {
        debug_assert_eq!(hosts.len(), distances.len());
        Self {
            name: name.into(),
            hosts,
            gateways: Vec::new(),
            source: None,
            published: Vec::new(),
            latency,
            internet: false,
            distances,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lan_is_one_multicast_region_with_the_same_way_between_all() {
        let lan = Topology::lan(50).unwrap();
        assert_eq!((lan.hosts.len(), lan.regions()), (50, 1));
        assert!(lan.hosts.iter().all(|place| place.multicast && place.routers[0].multicast));
        let one_way = Duration::from_micros(100);
        assert_eq!(lan.range(), Some((one_way, one_way)));
        assert_eq!(lan.one_way(7, 7), Duration::ZERO);
        let shortest = lan.shortest_from(3);
        assert!((0..50).all(|to| shortest[to] == lan.one_way(3, to)));
    }

    #[test]
    fn hosts_of_a_part_are_as_far_apart_as_in_the_whole() {
        let whole = Topology::internet(Some(1_200), 1).unwrap();
        let hosts = [1_199, 3, 1_198, 700];
        let part = whole.part(&hosts);
        assert_eq!(part.hosts[2].routers, whole.hosts[1_198].routers);
        for from in 0..4 {
            for to in 0..4 {
                assert_eq!(part.one_way(from, to), whole.one_way(hosts[from], hosts[to]));
            }
        }
    }

    #[test]
    fn a_topology_has_at_least_one_host_and_a_bounded_number() {
        assert!(matches!(Topology::lan(0).unwrap_err().problem, Problem::NoHosts));
        assert_eq!(Topology::lan(1).unwrap().range(), None);
        let error = Topology::lan(MAX_HOSTS + 1).unwrap_err();
        assert!(matches!(error.problem, Problem::TooManyHosts { .. }), "{error}");
        assert_eq!(Topology::lan(MAX_HOSTS).unwrap().hosts.len(), MAX_HOSTS);
    }
}
