//! The bootstrap service: who is in which patch (paper, sections 4.2, 4.5 to 4.7).

use crate::policy::Policy;
use crate::protocol::Registry;
use crate::{Action, Counters, Event, Limits, LinkId, Machine, Time, Transmit};
use alloc::collections::BTreeSet;
use alloc::string::String;
use core::net::SocketAddr;

/// How often a representative reports.
pub(crate) const REPRESENTATIVE_REPORT: core::time::Duration = core::time::Duration::from_secs(1);
/// How often another member reports.
pub(crate) const MEMBER_REPORT: core::time::Duration = core::time::Duration::from_secs(5);

/// What a [`Bootstrap`] is made of.
#[derive(Clone, Debug)]
pub struct BootstrapConfig {
    /// The protocols whose rules it knows; the same as the hosts'.
    pub registry: Registry,
    /// What the administrator wants.
    pub policy: Policy,
    /// The names of the groups that may exist; `None` lets hosts create any.
    pub groups: Option<BTreeSet<String>>,
    /// The most of everything.
    pub limits: Limits,
}

/// The bootstrap service as a machine.
#[derive(Debug)]
pub struct Bootstrap {
    _config: BootstrapConfig,
    counters: Counters,
}

impl Bootstrap {
    /// A service that knows no host yet. All its randomness, and the key of its cookies, follow
    /// from `seed`.
    pub fn new(config: BootstrapConfig, seed: u64) -> Self {
        let _ = seed;
        Self { _config: config, counters: Counters::default() }
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl Machine for Bootstrap {
    fn accept(&mut self, now: Time, from: SocketAddr) -> Option<LinkId> {
        let _ = (now, from);
        None
    }

    fn handle(&mut self, now: Time, event: Event) {
        let _ = (now, event);
    }

    fn poll_action(&mut self) -> Option<Action> {
        None
    }

    fn poll_transmit(&mut self, link: LinkId) -> Option<Transmit> {
        let _ = link;
        None
    }

    fn poll_timeout(&self) -> Option<Time> {
        None
    }
}
