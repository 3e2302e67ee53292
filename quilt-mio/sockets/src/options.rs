//! How a host joins.

use crate::resolver::resolver;
use quilt_proto::euid::Euid;
use quilt_proto::protocol::Registry;
use quilt_proto::wire::Nic;
use quilt_proto::{
    Config, Delivery, Group, History, HostId, Incarnation, Limits, Node, Rng, Sensing,
};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::SystemTime;

/// How a host joins. The default suits a host with one interface of which nothing is known.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen, by TCP and UDP on one port. Default any port on all IPv4 interfaces; then
    /// others are told the local address that leads to the bootstrap service. IP multicast uses the
    /// interface that has the address; [`interface_address`](crate::interface_address) finds one by
    /// its name.
    pub bind: SocketAddr,
    /// What is known of the surroundings of the interface that `bind` names. Default nothing.
    pub surroundings: Euid,
    /// Sense what is not known of them; joining waits for that for a second at most. Default true.
    /// Without it `surroundings` have to say how the host can be reached, as [`Euid::reachable`] does:
    /// no protocol runs on a host of which that is not known.
    pub sense: bool,
    /// Where routers are looked for. Default towards the system's DNS server, if it is on another host;
    /// without one, towards the bootstrap service.
    pub resolver: Option<IpAddr>,
    /// Further interfaces, at most 3. Default none.
    pub more_nics: Vec<Nic>,
    /// Who the host is. Default drawn at random.
    pub host: Option<HostId>,
    /// Its life. Default the seconds of the wall clock, so that it rises with each restart.
    pub incarnation: Incarnation,
    /// The protocols it has. Default all of the core's.
    pub registry: Registry,
    /// The most of everything.
    pub limits: Limits,
    /// The most that is published, in bytes a second. Default 12.5 MB/s.
    pub publish_bytes_per_second: u64,
    /// Create the group if nobody is in it. Default true.
    pub create: bool,
    /// What the group is to promise; the first host's wish settles it. Default `None`: whatever the
    /// group has.
    pub delivery: Option<Delivery>,
    /// What is wanted of what was published before. Default nothing.
    pub history: History,
}

impl Default for Options {
    fn default() -> Self {
        let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            bind: (Ipv4Addr::UNSPECIFIED, 0).into(),
            surroundings: Euid::default(),
            sense: true,
            resolver: resolver(),
            more_nics: Vec::new(),
            host: None,
            incarnation: Incarnation(u32::try_from(clock.as_secs()).unwrap_or(u32::MAX)),
            registry: Registry::standard(),
            limits: Limits::default(),
            publish_bytes_per_second: 12_500_000,
            create: true,
            delivery: None,
            history: History::None,
        }
    }
}

impl Options {
    /// The group that they ask for.
    pub fn group(&self, name: &str, bootstrap: SocketAddr) -> Group {
        let (create, delivery, history) = (self.create, self.delivery, self.history);
        Group { create, delivery, history, ..Group::new(name, bootstrap) }
    }

    /// A node as they describe it, which others reach at `address`. What is random in it follows
    /// from `seed`.
    pub fn node(self, address: SocketAddr, seed: u64) -> Node {
        let resolver = self.resolver.filter(|it| it.is_ipv4() == address.is_ipv4());
        let sensing = Sensing { resolver };
        let random = || HostId::random(&mut Rng::new(seed).fork("host id"));
        let nic = Nic { address: address.ip(), euid: self.surroundings };
        let host = self.host.unwrap_or_else(random);
        let config = Config {
            nics: std::iter::once(nic).chain(self.more_nics).collect(),
            sensing: self.sense.then_some(sensing),
            registry: self.registry,
            limits: self.limits,
            publish_bytes_per_second: self.publish_bytes_per_second,
            ..Config::new(host, self.incarnation, address)
        };
        Node::new(config, seed)
    }
}

/// A seed that nobody can guess: the standard library keys its hash maps from the system.
pub fn seed() -> u64 {
    RandomState::new().hash_one("seed")
}
