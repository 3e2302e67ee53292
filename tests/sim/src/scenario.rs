//! Scenarios as data: where, who joins when, who publishes what, and what goes wrong.
//!
//! All times are in seconds from the start of publishing, which is 5 s after the start of the run;
//! those before are negative.

mod check;
mod file;

pub use check::{LONGEST_S, MAX_CPU_NS, MAX_DELIVERIES, check_size};
pub use file::{Place, Scenario, ScenarioError};

use crate::topology::{Dependence, Nat};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use std::time::Duration;

/// How long a NAT keeps a mapping by UDP that nobody inside uses: as short as common ones are.
const NAT_TIMEOUT: Duration = Duration::from_secs(30);

/// What happens in a run beyond what its [`Spec`](crate::run::Spec) says in one word. By default
/// nothing does: one source publishes, and all others join at once.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// Who joins when; all others join at -4.
    pub joins: Vec<Join>,
    /// Hosts that are other than the topology says.
    pub environment: Vec<Environment>,
    /// Who publishes what; if there is nothing, the source does what the spec says.
    pub workload: Vec<Workload>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What else goes wrong, drawn from the seed.
    pub draw: Option<Draw>,
}

/// Some hosts of the topology. Those that are drawn are drawn anew wherever they are named.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// The source that the topology names, or the seed.
    Source,
    /// All but that source.
    Others,
    /// All.
    All,
    /// By their places in the topology, from 0.
    Hosts(Vec<usize>),
    /// All in a region.
    Region(u32),
    /// Which part of all, drawn among those that are not the source.
    Draw(#[serde(deserialize_with = "file::share")] f64),
    /// How many, drawn among those that are not the source.
    DrawCount(usize),
}

/// Hosts that join at another time than most.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// Who; never the source, which joins first, and of a region all others. Whoever is meant by
    /// several joins does what the first of them says.
    pub who: Who,
    /// When.
    #[serde(deserialize_with = "file::time")]
    pub at_s: f64,
}

/// What is other than the topology says.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Of whom.
    pub who: Who,
    /// How much faster than the world's their clocks run, in parts of a million: -500,000 to 500,000.
    /// Default 0.
    #[serde(default)]
    pub clock_ppm: i32,
    /// They know nothing of the routers around them.
    #[serde(default)]
    pub ignorant: bool,
    /// They stand together behind a firewall that lets nothing in but answers, and no UDP at all.
    #[serde(default)]
    pub firewall: bool,
    /// That firewall lets in what answers their UDP as well.
    #[serde(default)]
    pub udp_answers: bool,
    /// They stand together behind a NAT.
    #[serde(default)]
    pub nat: Option<NatKind>,
    /// They stand together where UDP passes in neither direction, and TCP in both unless there is a
    /// firewall or a NAT as well.
    #[serde(default)]
    pub no_udp: bool,
    /// Each has a second interface in this region, where its first host stands.
    #[serde(default)]
    pub second_nic: Option<u32>,
}

/// A NAT, by its customary name or its rules, in the terms of RFC 4787: on what its mappings depend,
/// and whom it lets in to one. It forgets a mapping by UDP that nobody inside has used for 30 s, if
/// the rules do not say otherwise.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum NatKind {
    /// On nothing, and anybody.
    FullCone,
    /// On nothing, and the hosts that were sent something.
    Restricted,
    /// On nothing, and the ports that were sent something.
    PortRestricted,
    /// On the other end's address and port, and that end.
    Symmetric,
    /// As it is said.
    Rules(NatRules),
}

/// What a NAT does, where no name does.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct NatRules {
    /// On what of the other end its mappings depend.
    pub mapping: Dependence,
    /// How much of the other end must have been sent something to be let in.
    pub filtering: Dependence,
    /// After how many seconds it forgets a mapping by UDP, at least 1. Default 30.
    #[serde(default = "nat_timeout")]
    pub timeout_s: NonZeroU32,
}

fn nat_timeout() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(NAT_TIMEOUT.as_secs() as u32 - 1)
}

impl NatKind {
    /// What it does.
    pub fn nat(self) -> Nat {
        let (free, address, port) = (
            Dependence::EndpointIndependent,
            Dependence::AddressDependent,
            Dependence::AddressAndPortDependent,
        );
        let (mapping, filtering) = match self {
            Self::FullCone => (free, free),
            Self::Restricted => (free, address),
            Self::PortRestricted => (free, port),
            Self::Symmetric => (port, port),
            Self::Rules(NatRules { mapping, filtering, timeout_s }) => {
                let timeout = Duration::from_secs(timeout_s.get().into());
                return Nat { mapping, filtering, timeout };
            }
        };
        Nat { mapping, filtering, timeout: NAT_TIMEOUT }
    }
}

/// One stream of messages.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Workload {
    /// Who publish it, each for itself. Default the source.
    pub who: Who,
    /// From when on. Default 0.
    #[serde(deserialize_with = "file::time")]
    pub start_s: f64,
    /// For how long. Default 10.
    #[serde(deserialize_with = "file::span")]
    pub duration_s: f64,
    /// Messages a second. Default 10.
    #[serde(deserialize_with = "file::rate")]
    pub rate: f64,
    /// Bytes of a message, at least 8. Default 1,000.
    #[serde(deserialize_with = "file::size")]
    pub size: usize,
}

impl Default for Workload {
    fn default() -> Self {
        Self { who: Who::Source, start_s: 0.0, duration_s: 10.0, rate: 10.0, size: 1_000 }
    }
}

/// Something that goes wrong, or is mended.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When.
    #[serde(deserialize_with = "file::time")]
    pub at_s: f64,
    /// With whom. Default all whom it can concern: to restart, all that are dead. It means nothing
    /// where the whole network is concerned.
    #[serde(default)]
    pub who: Option<Who>,
    /// What.
    #[serde(rename = "do")]
    pub what: What,
}

/// What goes wrong, or is mended. Shares are from 0 to 1.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Hosts are turned off without a word. The service never is, and the source only where it alone
    /// is meant and another host publishes.
    Kill,
    /// Processes end, and their systems reset their streams; whose, as with `Kill`.
    End,
    /// Dead hosts start again, in their next life, and join.
    Restart,
    /// Members leave, and do not come back; who, as with `Kill`.
    Leave,
    /// Hosts stop, and their systems keep what comes in.
    Pause,
    /// Paused hosts go on.
    Resume,
    /// Applications stop reading what they are told.
    StopReading,
    /// They read again.
    Read,
    /// Nothing passes between them and all others.
    Partition,
    /// Nothing passes from all others to them.
    CutOff,
    /// Nothing passes from them to all others.
    Mute,
    /// No partition any more.
    Heal,
    /// Reports of memberships are filtered at their ports: they hear no multicast.
    Filter,
    /// They are filtered no more.
    Unfilter,
    /// The queriers of their regions are off.
    QuerierOff,
    /// The switches of their regions forward no multicast.
    MulticastOff,
    /// The switches of their regions are sound again.
    MulticastOn,
    /// The bootstrap service is turned off without a word.
    ServiceOff,
    /// A bootstrap service that was off starts again, and remembers nothing.
    ServiceOn,
    /// So many packets are lost.
    Loss(#[serde(deserialize_with = "file::share")] f64),
    /// So many packets find a burst of loss of at most 50 ms beginning.
    Bursts(#[serde(deserialize_with = "file::share")] f64),
    /// So many packets arrive twice.
    Duplication(#[serde(deserialize_with = "file::share")] f64),
    /// So many packets are held back for at most 40 ms.
    Reordering(#[serde(deserialize_with = "file::share")] f64),
    /// Every packet is later by a time drawn up to so many milliseconds.
    Jitter(u16),
    /// So many packets are spoiled, and thrown away by their receivers' systems.
    Corruption(#[serde(deserialize_with = "file::share")] f64),
}

impl What {
    /// What mends it where `loss` of all packets are lost throughout; `None` if it is a remedy itself.
    pub fn remedy(&self, loss: f64) -> Option<Self> {
        Some(match self {
            Self::Kill | Self::End => Self::Restart,
            Self::Pause => Self::Resume,
            Self::StopReading => Self::Read,
            Self::Partition | Self::CutOff | Self::Mute => Self::Heal,
            Self::Filter => Self::Unfilter,
            Self::QuerierOff | Self::MulticastOff => Self::MulticastOn,
            Self::ServiceOff => Self::ServiceOn,
            Self::Jitter(_) => Self::Jitter(0),
            Self::Loss(_) => Self::Loss(loss),
            Self::Bursts(_) => Self::Bursts(0.0),
            Self::Duplication(_) => Self::Duplication(0.0),
            Self::Reordering(_) => Self::Reordering(0.0),
            Self::Corruption(_) => Self::Corruption(0.0),
            _ => return None,
        })
    }

    /// Whether hosts are gone with what they know.
    pub fn is_deadly(&self) -> bool {
        matches!(self, Self::Kill | Self::End | Self::Leave)
    }
}

/// Faults that are drawn from the seed: which, when and whom they strike.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Draw {
    /// How many, at most 10,000.
    pub count: usize,
    /// The earliest.
    #[serde(deserialize_with = "file::time")]
    pub from_s: f64,
    /// The latest.
    #[serde(deserialize_with = "file::time")]
    pub to_s: f64,
    /// Each is mended after this time, all of its kind at once.
    #[serde(deserialize_with = "file::span")]
    pub lasts_s: f64,
    /// Each strikes so many hosts, where it strikes hosts. Default 1.
    #[serde(default = "one")]
    pub hosts: usize,
    /// What there is to draw from.
    pub of: Vec<What>,
}

fn one() -> usize {
    1
}
