//! A host: a machine and what its adapter keeps for it.

use crate::liar::Lie;
use crate::net::NicId;
use crate::packet::StreamId;
use quilt_proto::wire::Frame;
use quilt_proto::{Bootstrap, Counters, LinkId, Machine, Node, ProtocolId, Standing, Time};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// The port on which every host listens.
pub const PORT: u16 = 7_400;
/// The other one of a bootstrap service, for who asks how it looks from outside.
pub const OTHER_PORT: u16 = 7_401;
/// Packets that a paused host's system keeps for it; what comes beyond them is lost.
const HELD_PACKETS: usize = 4_096;
const MILLION: i128 = 1_000_000;

/// What runs on a host.
#[derive(Debug)]
pub enum Kind {
    /// A member of groups.
    Node(Box<Node>),
    /// A bootstrap service.
    Bootstrap(Box<Bootstrap>),
}

impl Kind {
    /// Whether a frame that it sends is one of OMNI.
    pub(crate) fn speaks_omni(&self, frame: &Frame) -> bool {
        let (Self::Node(node), Frame::Protocol { group, patch, .. }) = (self, frame) else {
            return false;
        };
        let runs = |at: &Standing| at.patch == *patch && at.protocol == ProtocolId::OMNI;
        node.standings(*group).any(|at| runs(&at))
    }
}

/// How a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It works.
    Up,
    /// It does nothing; its system keeps what comes in.
    Paused,
    /// Its process ended; its system answers for it.
    Down,
    /// It is silent.
    Off,
}

/// A host.
#[derive(Debug)]
pub struct Host {
    pub(crate) machine: Kind,
    pub(crate) life: Life,
    pub(crate) nics: Vec<NicId>,
    pub(crate) streams: BTreeMap<LinkId, (StreamId, usize)>,
    pub(crate) memberships: BTreeMap<LinkId, (SocketAddr, NicId)>,
    /// Probes that nobody has answered, by the ports that they come from.
    pub(crate) probes: BTreeMap<u16, LinkId>,
    /// Whether its application takes what it is told.
    pub(crate) reads: bool,
    pub(crate) clock: Clock,
    /// What it says instead of what its machine would.
    pub(crate) lie: Option<Lie>,
    /// Until when its processor is busy.
    pub(crate) busy_until: Time,
    /// When the world will wake it.
    pub(crate) wake: Option<Time>,
    pub(crate) held: VecDeque<(NicId, crate::packet::Packet)>,
}

impl Host {
    pub(crate) fn new(machine: Kind, nics: Vec<NicId>) -> Self {
        Self {
            machine,
            life: Life::Up,
            nics,
            streams: BTreeMap::new(),
            memberships: BTreeMap::new(),
            probes: BTreeMap::new(),
            reads: true,
            clock: Clock::default(),
            lie: None,
            busy_until: Time::ZERO,
            wake: None,
            held: VecDeque::new(),
        }
    }

    /// The socket that takes a datagram for a port of an interface.
    pub(crate) fn socket(&self, nic: NicId, port: u16) -> LinkId {
        let is_service = matches!(self.machine, Kind::Bootstrap(_));
        match (is_service, port) {
            (true, OTHER_PORT) => LinkId::OTHER_PORT,
            (true, _) if self.nics.get(1) == Some(&nic) => LinkId::OTHER_ADDRESS,
            _ => LinkId::UDP,
        }
    }

    pub(crate) fn machine(&self) -> &dyn Machine {
        match &self.machine {
            Kind::Node(node) => &**node,
            Kind::Bootstrap(bootstrap) => &**bootstrap,
        }
    }

    pub(crate) fn machine_mut(&mut self) -> &mut dyn Machine {
        match &mut self.machine {
            Kind::Node(node) => &mut **node,
            Kind::Bootstrap(bootstrap) => &mut **bootstrap,
        }
    }

    /// When its machine wants to be called, by the world's clock.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let local = self.machine().poll_timeout().filter(|_| self.life == Life::Up)?;
        Some(self.clock.to_world(local))
    }

    /// Keeps a packet for later, while the host is paused; whether there was room for it.
    pub(crate) fn hold(&mut self, nic: NicId, packet: crate::packet::Packet) -> bool {
        let room = self.held.len() < HELD_PACKETS;
        if room {
            self.held.push_back((nic, packet));
        }
        room
    }

    /// What its machine has counted.
    pub(crate) fn counters(&self) -> &Counters {
        match &self.machine {
            Kind::Node(node) => node.counters(),
            Kind::Bootstrap(bootstrap) => bootstrap.counters(),
        }
    }
}

/// A host's clock, which may run fast or slow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// How much faster than the world's it runs, in parts of a million; below zero it is slower.
    pub fast_ppm: i32,
}

impl Clock {
    /// What the clock shows when it is `world`.
    pub fn to_local(self, world: Time) -> Time {
        let nanos = i128::from(world.as_nanos());
        let local = nanos + nanos * i128::from(self.fast_ppm) / MILLION;
        Time::from_nanos(u64::try_from(local).unwrap_or(u64::MAX))
    }

    /// When the clock shows `local` or a little more.
    pub fn to_world(self, local: Time) -> Time {
        if self.fast_ppm == 0 {
            return local;
        }
        let rate = MILLION + i128::from(self.fast_ppm);
        let nanos = (i128::from(local.as_nanos()) * MILLION).div_euclid(rate.max(1)) + 1;
        Time::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_has_come_by_the_host_s_own_clock_when_the_world_wakes_it() {
        for fast_ppm in [-500_000, -17, 0, 1, 500_000] {
            let clock = Clock { fast_ppm };
            for nanos in [0, 1, 999, 1_000_000_007, 3_600_000_000_000] {
                let local = Time::from_nanos(nanos);
                let woken = clock.to_local(clock.to_world(local));
                assert!(woken >= local, "{fast_ppm} {nanos}");
                assert!(woken.since(local).as_nanos() < 4, "{fast_ppm} {nanos}");
            }
        }
    }
}
