//! With whom this host hears and is heard by IP multicast: never assumed, always shown both ways.
//!
//! Hosts of all groups meet on one multicast address of an interface. Each tells whom it heard; who
//! is told of itself there has a *segment* with those who said so. Its name is a number that the first
//! of them drew, the least where several did, and stands in their EUIDs as a router that forwards IP
//! multicast: it says what the paper's Rm is there to say (section 3.2.1), and what a host without
//! root can verify.

use crate::euid::RouterId;
use crate::wire::Sight;
use crate::{HostTag, LinkId, Rng, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

/// Where hosts meet: an address of the organization-local scope (RFC 2365), and a port. Guess: nobody
/// else uses them; whoever does is not understood.
pub(super) const MEETING_POINT: SocketAddr =
    SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::new(239, 195, 81, 84)), 7_399);
/// How far words go: as far as those of IPMC patches.
pub(super) const TTL: u8 = 1;
/// More is not said there, in bytes a second.
pub(super) const BYTES_PER_SECOND: u64 = 100_000;
/// How often a host that nobody answers speaks at first, and how far apart.
const ROUNDS: u8 = 4;
const ROUND: Duration = Duration::from_millis(100);
/// Then somebody speaks about this often, in case somebody is there who was not heard.
const PAUSE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(60));
/// Who hears somebody new says so within this time, unless another one does before.
const ANSWER: Duration = Duration::from_millis(40);
/// The most hosts that are remembered; those who were silent longest give way.
const MAX_HEARD: usize = 256;

/// What is known of the segment of one interface.
#[derive(Debug)]
pub(super) struct Segment {
    link: LinkId,
    me: HostTag,
    rng: Rng,
    /// What this host calls a segment that has no name yet.
    number: u64,
    /// The least name that was heard, or given.
    name: Option<u64>,
    /// Somebody has said that he heard this host.
    is_heard: bool,
    /// The address is joined, or cannot be.
    joined: Option<bool>,
    heard: BTreeMap<HostTag, Time>,
    /// Those of whom nobody has said yet that he heard them.
    untold: BTreeSet<HostTag>,
    rounds: u8,
    next: Option<Time>,
}

impl Segment {
    /// The segment of the interface on which `link` is being joined.
    pub(super) fn new(link: LinkId, me: HostTag, mut rng: Rng) -> Self {
        Self {
            link,
            me,
            number: rng.next_u64().max(1),
            name: None,
            rng,
            is_heard: false,
            joined: None,
            heard: BTreeMap::new(),
            untold: BTreeSet::new(),
            rounds: 0,
            next: None,
        }
    }

    pub(super) fn link(&self) -> LinkId {
        self.link
    }

    /// The address is joined, or could not be.
    pub(super) fn on_joined(&mut self, now: Time, is_joined: bool) {
        self.joined = Some(is_joined);
        self.next = is_joined.then_some(now);
    }

    /// A host said whom it heard.
    pub(super) fn on_sight(&mut self, now: Time, from: HostTag, sight: &Sight) {
        if from == self.me {
            return;
        }
        self.is_heard |= sight.heard.contains(&self.me);
        let knows_less = match (sight.segment, self.name) {
            (Some(theirs), Some(ours)) => theirs > ours,
            _ => false,
        };
        self.name = [sight.segment, self.name].into_iter().flatten().min();
        if self.heard.insert(from, now).is_none() {
            self.untold.insert(from);
        }
        for tag in &sight.heard {
            self.untold.remove(tag);
        }
        self.forget();
        if !self.untold.is_empty() || knows_less {
            let wait = self.rng.between(Duration::ZERO, ANSWER);
            self.hurry(now + wait);
        } else if self.is_done() {
            // It was said.
            self.rest(now);
        }
    }

    /// What is to be said now, if anything.
    pub(super) fn on_timeout(&mut self, now: Time) -> Option<Sight> {
        self.next.filter(|next| *next <= now)?;
        self.rounds = self.rounds.saturating_add(1);
        if !self.untold.is_empty() {
            self.name.get_or_insert(self.number);
        }
        let fresh: Vec<HostTag> = self.untold.iter().copied().collect();
        let rest = self.heard.keys().copied().filter(|tag| !self.untold.contains(tag));
        let heard = fresh.iter().copied().chain(rest).take(Sight::MAX_HEARD).collect();
        for tag in fresh.iter().take(Sight::MAX_HEARD) {
            self.untold.remove(tag);
        }
        match self.untold.is_empty() {
            true => self.rest(now),
            false => self.next = Some(now + ANSWER),
        }
        Some(Sight { segment: self.name, heard })
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.next
    }

    /// Whether the question is settled: somebody answered, nobody did, or nobody can.
    pub(super) fn is_done(&self) -> bool {
        match self.joined {
            Some(true) => self.is_heard || self.has_spoken(),
            Some(false) => true,
            None => false,
        }
    }

    /// The segment, once it is shown that there is one.
    pub(super) fn name(&self) -> Option<RouterId> {
        self.name.filter(|_| self.is_heard).map(RouterId)
    }

    /// How many hosts were heard; `None` where the address could not be joined.
    pub(super) fn neighbours(&self) -> Option<usize> {
        (self.joined == Some(true)).then_some(self.heard.len())
    }

    fn has_spoken(&self) -> bool {
        self.rounds >= ROUNDS
    }

    fn hurry(&mut self, at: Time) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// Says nothing for a while: a round where nobody has answered yet, else a long one.
    fn rest(&mut self, now: Time) {
        let pause = match self.is_heard || self.has_spoken() {
            true => self.rng.between(PAUSE.0, PAUSE.1),
            false => ROUND,
        };
        self.next = Some(now + pause);
    }

    fn forget(&mut self) {
        while self.heard.len() > MAX_HEARD {
            let oldest = self.heard.iter().min_by_key(|&(&tag, &at)| (at, tag));
            let Some(oldest) = oldest.map(|(&tag, _)| tag) else { return };
            self.heard.remove(&oldest);
            self.untold.remove(&oldest);
        }
    }
}
