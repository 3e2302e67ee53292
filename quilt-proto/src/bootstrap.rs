//! The bootstrap service: who is in which patch (paper, sections 4.2, 4.5 to 4.7).

mod admission;
mod cookie;
mod directory;
mod formation;
mod group;
mod orders;
mod outbox;
mod representatives;
mod sensing;
mod service;
mod survey;
#[cfg(test)]
mod tests;

use crate::policy::Policy;
use crate::protocol::{Registry, Timers};
use crate::wire::{Assembler, Scope};
use crate::{Action, Counters, GroupId, HostId, Limits, LinkId, PatchId, ProtocolId, Rng, Time};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use cookie::Cookies;
use core::net::SocketAddr;
use core::time::Duration;
use directory::Directory;
use outbox::Outbox;
use sensing::Callbacks;

/// How often a representative reports.
pub(crate) const REPRESENTATIVE_REPORT: Duration = Duration::from_secs(1);

/// How often any other member reports.
pub(crate) const MEMBER_REPORT: Duration = Duration::from_secs(5);

/// After so many intervals without a report a host is dead.
const DEAD_AFTER: u32 = 3;

/// A representative that another one found dead is dead after this long without a report. Guess:
/// one interval, and half of one for the way.
const SUSPECT_DEAD_AFTER: Duration = Duration::from_millis(1_500);

/// What a [`Bootstrap`] is made of.
#[derive(Clone, Debug)]
pub struct BootstrapConfig {
    /// The protocols whose rules it knows; the same as the hosts'.
    pub registry: Registry,
    /// What the administrator wants; should pass [`Policy::check`].
    pub policy: Policy,
    /// The names of the groups that may exist; `None` lets hosts create any.
    pub groups: Option<BTreeSet<String>>,
    /// The most of everything.
    pub limits: Limits,
    /// The port of [`LinkId::OTHER_PORT`]'s socket, which has the address of the service itself; `None`
    /// if the adapter has none. Without it hosts do not learn on what a NAT in front of them depends.
    pub other_port: Option<u16>,
    /// Where [`LinkId::OTHER_ADDRESS`]'s socket is, on another address of this host that hosts reach
    /// as they do the service; `None` if the adapter has none.
    pub other_address: Option<SocketAddr>,
}

impl Default for BootstrapConfig {
    /// The standard protocols, the default policy and limits, any group, and one socket.
    fn default() -> Self {
        Self {
            registry: Registry::standard(),
            policy: Policy::default(),
            groups: None,
            limits: Limits::default(),
            other_port: None,
            other_address: None,
        }
    }
}

/// The bootstrap service as a machine.
///
/// It acts when hosts join, leave, report or fall silent, never for a message. What it knows can
/// be lost: running groups do not need it, and the hosts' reports teach it everything again.
#[derive(Debug)]
pub struct Bootstrap {
    directory: Directory,
    cookies: Cookies,
    outbox: Outbox,
    me: HostId,
    streams: BTreeMap<LinkId, Stream>,
    callbacks: Callbacks,
    last_link: LinkId,
    /// When a stream has been idle for too long.
    idle: Timers<LinkId>,
    actions: VecDeque<Action>,
    now: Time,
    counters: Counters,
}

/// A stream that somebody opened to the service.
#[derive(Debug)]
struct Stream {
    from: SocketAddr,
    assembler: Assembler,
}

/// A group as the service knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// The group.
    pub group: GroupId,
    /// How many hosts are in it.
    pub hosts: usize,
    /// Its patches, in the order of their ids; the inter-patch patch is the first one.
    pub patches: Vec<PatchView>,
}

/// A patch as the service knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchView {
    /// The patch.
    pub patch: PatchId,
    /// What it is for.
    pub scope: Scope,
    /// What it runs.
    pub protocol: ProtocolId,
    /// How many hosts are in it.
    pub members: usize,
    /// Who represents it, in the order of appointment; empty for the inter-patch patch.
    pub representatives: Vec<HostId>,
}

impl Bootstrap {
    /// A service that knows no host yet. All its randomness, and the key of its cookies, follow
    /// from `seed`: a service that is restarted needs another one.
    pub fn new(config: BootstrapConfig, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let me = HostId::random(&mut rng);
        Self {
            cookies: Cookies::new(rng.fork("cookies")),
            directory: Directory::new(config, rng.fork("directory")),
            outbox: Outbox::new(me.tag()),
            me,
            streams: BTreeMap::new(),
            callbacks: Callbacks::default(),
            last_link: LinkId::LAST_RESERVED,
            idle: Timers::default(),
            actions: VecDeque::new(),
            now: Time::ZERO,
            counters: Counters::default(),
        }
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Counts what changes: while it stays the same, so does [`groups`](Self::groups).
    pub fn changes(&self) -> u64 {
        self.directory.changes()
    }

    /// All groups that have a member, in the order of their ids.
    pub fn groups(&self) -> impl Iterator<Item = GroupView> {
        self.directory.groups().map(|group| GroupView {
            group: group.id,
            hosts: group.hosts.len(),
            patches: group
                .patches
                .iter()
                .map(|(&id, patch)| PatchView {
                    patch: id,
                    scope: patch.scope,
                    protocol: patch.protocol,
                    members: patch.population,
                    representatives: patch.representatives.iter().map(|r| r.host).collect(),
                })
                .collect(),
        })
    }
}
