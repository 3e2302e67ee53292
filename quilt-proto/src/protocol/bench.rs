//! One protocol alone, for its unit tests: one handler, and the exact effects it had.

use super::{Cx, Effect, Holdings, Peer, Peers, Protocol, Timers};
use crate::wire::{Contact, Wanted};
use crate::{FragmentId, HostId, Incarnation, PatchId, Rng, Seq, Source, Time};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

/// A protocol, the context it is lent, and the time.
pub(crate) struct Bench<P: Protocol> {
    pub(crate) protocol: P,
    pub(crate) now: Time,
    pub(crate) me: HostId,
    pub(crate) peers: Peers,
    pub(crate) shelf: Shelf,
    pub(crate) timers: Timers<P::Timer>,
    pub(crate) rng: Rng,
}

impl<P: Protocol> Bench<P> {
    /// A protocol on [`host`]`(0)` at time zero that knows the given members.
    pub(crate) fn new(protocol: P, members: impl IntoIterator<Item = u8>) -> Self {
        let peers = members.into_iter().map(|n| (host(n), Box::new(peer(n)))).collect();
        Self {
            protocol,
            now: Time::ZERO,
            me: host(0),
            peers: Peers(peers),
            shelf: Shelf::default(),
            timers: Timers::default(),
            rng: Rng::new(1),
        }
    }

    /// Calls a handler and returns its effects.
    pub(crate) fn call(
        &mut self,
        handler: impl FnOnce(&mut P, &mut Cx<'_, P::Timer>),
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        let cx = &mut Cx {
            now: self.now,
            me: self.me,
            patch: PatchId(1),
            peers: &self.peers,
            holdings: &self.shelf,
            rng: &mut self.rng,
            timers: &mut self.timers,
            effects: &mut effects,
        };
        handler(&mut self.protocol, cx);
        effects
    }

    /// Jumps to the next deadline, fires one timer, and returns its effects; `None` if there is no
    /// deadline.
    pub(crate) fn fire(&mut self) -> Option<Vec<Effect>> {
        self.now = self.now.max(self.timers.next()?);
        let timer = self.timers.pop(self.now)?;
        Some(self.call(|protocol, cx| protocol.on_timer(cx, timer)))
    }
}

/// What a bench has of the group's messages, each of one fragment.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) here: BTreeSet<FragmentId>,
    /// What is missing, and since when.
    pub(crate) missing: Vec<(FragmentId, Time)>,
    /// The group repairs nothing.
    pub(crate) unrepaired: bool,
}

impl Holdings for Shelf {
    fn has(&self, fragment: FragmentId) -> bool {
        self.here.contains(&fragment)
    }

    fn count_of(&self, source: Source, seq: Seq) -> Option<u16> {
        self.has(FragmentId { source, seq, index: 0 }).then_some(1)
    }

    fn repairs(&self) -> bool {
        !self.unrepaired
    }

    fn holes(&self, now: Time, age: Duration, visit: &mut dyn FnMut(Wanted) -> bool) {
        for &(first, since) in &self.missing {
            if since + age <= now && !visit(Wanted { first, last: u16::MAX }) {
                return;
            }
        }
    }
}

/// The host called `n`.
pub(crate) fn host(n: u8) -> HostId {
    HostId([n; 32])
}

/// How to reach the host called `n`.
pub(crate) fn contact(n: u8) -> Contact {
    Contact {
        host: host(n),
        incarnation: Incarnation(1),
        addresses: [([127, 0, 0, n], 4_000).into()].into_iter().collect(),
        euid: crate::euid::Euid::default(),
    }
}

fn peer(n: u8) -> Peer {
    Peer { contact: contact(n), linked: false, rtt: None, heard: Time::ZERO, datagrams: None }
}
