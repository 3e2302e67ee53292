//! Who stands at the places of a topology: what hosts know of their surroundings, and what runs.

use crate::net::Net;
use crate::topology::{Dependence, Gateway, Topology};
use quilt_proto::donet::{Donet, Travel};
use quilt_proto::euid::{Barrier, Connectivity, Direction, Euid, Nat, RouterId, Transport};
use quilt_proto::omni::Omni;
use quilt_proto::policy::Policy;
use quilt_proto::protocol::{Plugin, Registry};
use quilt_proto::{
    BootstrapConfig, Config, HostId, Incarnation, Limits, ProtocolId, RelayDigest, RelaySync, Rng,
    Sensing,
};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Streams that the bootstrap service may have.
const SERVICE_LINKS: usize = 4_096;

/// What is compared in the same world (Table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Patches by the surroundings, sewn together.
    Quilt,
    /// One OMNI tree over all hosts.
    Omni,
    /// One DONet mesh over all hosts.
    Donet,
}

impl System {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Quilt, Self::Omni, Self::Donet];
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quilt => "quilt",
            Self::Omni => "omni",
            Self::Donet => "donet",
        })
    }
}

impl FromStr for System {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|system| system.to_string() == text);
        named.ok_or_else(|| format!("no system is called {text:?}; try quilt, omni or donet"))
    }
}

/// How DONet's fragments travelled in the original: they are asked for, in cycles of a second.
pub const ORIGINAL_TRAVEL: Travel = Travel::Pull(1_000);

/// How a region's representatives see to it that a message crosses its edge once.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize, serde::Serialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Sync {
    /// One of them forwards, the others stand by.
    Ranked,
    /// They agree on each fragment (the paper's protocol).
    TwoPhase,
    /// Each forwards what it has not seen.
    Off,
}

impl From<Sync> for RelaySync {
    fn from(sync: Sync) -> Self {
        match sync {
            Sync::Ranked => Self::Ranked,
            Sync::TwoPhase => Self::TwoPhase,
            Sync::Off => Self::Off,
        }
    }
}

/// How representatives know what has come before.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize, serde::Serialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Digest {
    /// By their windows.
    Exact,
    /// By Bloom filters (the paper's way).
    Bloom,
}

impl From<Digest> for RelayDigest {
    fn from(digest: Digest) -> Self {
        match digest {
            Digest::Exact => Self::Exact,
            Digest::Bloom => Self::Bloom,
        }
    }
}

/// How the hosts of a run are set up.
#[derive(Clone, Debug)]
pub struct Population {
    /// What they run.
    pub system: System,
    /// The protocols that every host has, where these are not the system's own; for plug-ins.
    pub registry: Option<Registry>,
    /// The protocols of patches, the best one first, where these are not the system's own.
    pub order: Option<Vec<ProtocolId>>,
    /// How many representatives a region has.
    pub representatives: u8,
    /// How they see to it that a message crosses a region's edge once.
    pub sync: RelaySync,
    /// How they know what has come before.
    pub digest: RelayDigest,
    /// How many children a host has in a tree.
    pub degree: u8,
    /// How fragments travel in DONet's meshes.
    pub travel: Travel,
    /// How many routers of its stack a host knows.
    pub hops: usize,
    /// Hosts are told nothing of their surroundings, and sense them with their own packets; `hops` then
    /// means nothing.
    pub senses: bool,
    /// The most of everything.
    pub limits: Limits,
    /// The most that a host publishes, in bytes a second.
    pub publish_bytes_per_second: u64,
}

impl Population {
    /// Gives all hosts one more protocol, and lets every regional patch run it.
    pub fn run_in_patches(&mut self, plugin: impl Plugin + 'static) {
        self.order = Some(vec![plugin.id()]);
        self.registry = Some(self.registry().with(plugin));
    }

    /// The protocols that every host has.
    pub fn registry(&self) -> Registry {
        if let Some(registry) = &self.registry {
            return registry.clone();
        }
        let omni = Omni { degree: self.degree };
        let donet = Donet { travel: self.travel, ..Donet::default() };
        match self.system {
            System::Quilt | System::Donet => Registry::standard().with(omni).with(donet),
            System::Omni => Registry::empty().with(omni),
        }
    }

    /// The bootstrap service for them.
    pub fn bootstrap(&self) -> BootstrapConfig {
        let order = self.order.clone().unwrap_or_else(|| match self.system {
            System::Quilt => Policy::default().order,
            System::Omni => vec![ProtocolId::OMNI],
            System::Donet => vec![ProtocolId::DONET],
        });
        let policy = Policy {
            order,
            representatives_min: self.representatives,
            representatives_max: self.representatives,
            ..Policy::default()
        };
        let registry = self.registry();
        // The service has a stream for each host that UDP does not reach.
        let limits = Limits { links: SERVICE_LINKS, ..self.limits.clone() };
        BootstrapConfig { registry, policy, limits, ..Default::default() }
    }

    /// The host at a place.
    pub fn config(&self, net: &Net, place: usize, address: SocketAddr, rng: &mut Rng) -> Config {
        let mut config = Config::new(HostId::random(rng), Incarnation(1), address);
        config.nics[0].euid = self.euid(net, place);
        if self.senses {
            config.sensing = Some(Sensing { resolver: Some(net.resolver()) });
        }
        config.registry = self.registry();
        config.limits = self.limits.clone();
        config.publish_bytes_per_second = self.publish_bytes_per_second;
        (config.relay_sync, config.relay_digest) = (self.sync, self.digest);
        config
    }

    /// What the host at a place knows of its surroundings.
    pub fn euid(&self, net: &Net, place: usize) -> Euid {
        let mut euid = Euid::default();
        if !self.senses {
            euid.connectivity.extend(connectivity(net, place));
        }
        match self.system {
            System::Quilt if self.senses => {}
            System::Quilt => {
                let stack = &net.topology().hosts[place].routers;
                for (hop, router) in (1..).zip(stack.iter().take(self.hops)) {
                    if !router.is_silent() {
                        let id = RouterId::named(&router.name);
                        euid.topology.insert(id, hop, router.multicast);
                    }
                }
            }
            // One patch over all hosts, wherever they are.
            System::Omni | System::Donet => {
                euid.topology.insert(RouterId::named("everywhere"), 1, false);
            }
        }
        euid
    }
}

/// What a host knows of the NAT of its gateway. A firewall beside it lets in answers only.
fn nat(gateway: &Gateway, address: IpAddr) -> Nat {
    let nat = gateway.nat.as_ref();
    let strict = gateway.firewall.map(|_| Dependence::AddressAndPortDependent);
    let filtering = strict.or(nat.map(|nat| nat.filtering));
    Nat {
        address,
        mapping: nat.map(|nat| nat.mapping.into()),
        filtering: filtering.map(Into::into),
    }
}

/// How a place can be reached, as the gateway in front of it lets it.
fn connectivity(net: &Net, place: usize) -> impl Iterator<Item = Connectivity> {
    let topology: &Topology = net.topology();
    let gateway = topology.hosts[place].gateway.map(|at| &topology.gateways[at]);
    let far_side = net.far_side(place);
    let (direction, barrier) = match (gateway, far_side) {
        (None, _) => (Direction::Both, Barrier::None),
        (Some(gateway), Some(far_side)) => {
            (Direction::Outbound, Barrier::Nat(nat(gateway, far_side)))
        }
        (Some(gateway), None) if gateway.firewall.is_none() => (Direction::Both, Barrier::None),
        (Some(_), None) => (Direction::Outbound, Barrier::Firewall),
    };
    let firewall = gateway.and_then(|gateway| gateway.firewall);
    let blocks_udp = firewall.is_some_and(|firewall| firewall.blocks_udp)
        || gateway.is_some_and(|gateway| gateway.no_udp);
    let transports = [Transport::Tcp, Transport::Udp].into_iter();
    let open = transports.filter(move |&transport| transport == Transport::Tcp || !blocks_udp);
    open.map(move |transport| Connectivity { transport, direction, barrier })
}
