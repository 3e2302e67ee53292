//! Hosts that report as the node's client does, without links or loss.

use super::super::directory::Directory;
use super::super::group::Path;
use super::super::{BootstrapConfig, MEMBER_REPORT, REPRESENTATIVE_REPORT};
use crate::euid::{Barrier, Connectivity, Direction, Euid, RouterId, Transport};
use crate::wire::{Assignment, Membership, Nic, Orders, Refusal, Report, Scope};
use crate::{GroupId, HostId, Incarnation, PatchId, ProtocolId, Rng, Role, Time};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use smallvec::SmallVec;

pub(super) fn group() -> GroupId {
    GroupId::named("test")
}

pub(super) fn host(n: u8) -> HostId {
    HostId([n; 32])
}

/// The surroundings of an interface: its barrier, and the routers from the next one on, with a
/// star behind the names of those that forward IP multicast.
pub(super) fn euid(barrier: Barrier, routers: &[&str]) -> Euid {
    let direction = if barrier == Barrier::None { Direction::Both } else { Direction::Outbound };
    let mut euid = Euid::default();
    for transport in [Transport::Tcp, Transport::Udp] {
        euid.connectivity.insert(Connectivity { transport, direction, barrier });
    }
    for (name, hops) in routers.iter().zip(1..) {
        let router = RouterId::named(name.trim_end_matches('*'));
        euid.topology.insert(router, hops, name.ends_with('*'));
    }
    euid
}

pub(super) fn nic(net: u8, n: u8, euid: Euid) -> Nic {
    Nic { address: IpAddr::V4(Ipv4Addr::new(10, net, 0, n)), euid }
}

/// An interface that reaches and is reached by everybody, behind these routers.
pub(super) fn open(n: u8, routers: &[&str]) -> Nic {
    nic(0, n, euid(Barrier::None, routers))
}

pub(super) fn config() -> BootstrapConfig {
    BootstrapConfig::default()
}

pub(super) fn report(n: u8, nics: impl IntoIterator<Item = Nic>) -> Report {
    Report {
        group: group(),
        host: host(n),
        incarnation: Incarnation(1),
        cookie: 0,
        create: true,
        delivery: None,
        addresses: [([10, 0, 0, n], 4_000).into()].into_iter().collect(),
        nics: nics.into_iter().collect(),
        protocols: [ProtocolId::IPMC, ProtocolId::DONET, ProtocolId::OMNI].into_iter().collect(),
        memberships: SmallVec::new(),
        lost: SmallVec::new(),
        parent: None,
    }
}

/// A directory and the hosts that report to it, each when it is due.
pub(super) struct Hosts {
    pub(super) directory: Directory,
    pub(super) now: Time,
    pub(super) reports: BTreeMap<u8, Report>,
    due: BTreeMap<u8, Time>,
}

impl Hosts {
    pub(super) fn new(config: BootstrapConfig) -> Self {
        Self {
            directory: Directory::new(config, Rng::new(1)),
            now: Time::ZERO,
            reports: BTreeMap::new(),
            due: BTreeMap::new(),
        }
    }

    /// The service dies, and another one starts without its memory.
    pub(super) fn restart_service(&mut self) {
        self.directory = Directory::new(self.directory.config().clone(), Rng::new(2));
    }

    pub(super) fn join(&mut self, n: u8, nics: impl IntoIterator<Item = Nic>) -> Orders {
        self.send(report(n, nics)).unwrap()
    }

    /// Sends a report, and obeys the answer from then on.
    pub(super) fn send(&mut self, report: Report) -> Result<Orders, Refusal> {
        let n = report.host.0[0];
        let orders = self.directory.on_report(self.now, path(n), &report)?;
        self.reports.insert(n, report);
        self.obey(n, &orders);
        self.push();
        Ok(orders)
    }

    /// The host reports what it did before, and its memberships.
    pub(super) fn report(&mut self, n: u8) -> Orders {
        self.send(self.reports[&n].clone()).unwrap()
    }

    /// The host reports that its one interface is otherwise than it thought.
    pub(super) fn senses(&mut self, n: u8, nic: Nic) -> Orders {
        let nics = [nic].into_iter().collect();
        self.send(Report { nics, ..self.reports[&n].clone() }).unwrap()
    }

    /// The host is no more.
    pub(super) fn kill(&mut self, n: u8) {
        self.reports.remove(&n);
        self.due.remove(&n);
    }

    /// Lets time pass, with every report and deadline in it.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let report = self.due.iter().map(|(&n, &at)| (at, n)).min();
            let report = report.filter(|&(at, _)| at <= end);
            let timeout = self.directory.poll_timeout().filter(|&at| at <= end);
            match (report, timeout) {
                (None, None) => break,
                (Some((at, n)), timeout) if timeout.is_none_or(|timeout| at <= timeout) => {
                    self.now = self.now.max(at);
                    self.report(n);
                }
                (_, timeout) => {
                    self.now = self.now.max(timeout.unwrap_or(self.now));
                    assert!(self.directory.on_timeout(self.now), "a timeout makes progress");
                    self.push();
                }
            }
        }
        self.now = end;
    }

    /// Whom the directory takes for representatives of a patch, in the order of appointment.
    pub(super) fn representatives(&self, patch: PatchId) -> Vec<u8> {
        let groups = self.directory.groups().filter(|known| known.id == group());
        let patches = groups.filter_map(|group| group.patches.get(&patch));
        patches.flat_map(|patch| patch.representatives.iter().map(|r| r.host.0[0])).collect()
    }

    /// A host's patches, protocols and roles as it knows them.
    pub(super) fn places(&self, n: u8) -> Vec<(PatchId, ProtocolId, Role)> {
        let memberships = self.reports[&n].memberships.iter();
        memberships.map(|said| (said.patch, said.protocol, said.role)).collect()
    }

    fn push(&mut self) {
        while let Some((to, orders)) = self.directory.poll_unsolicited() {
            let Path::Datagram(to) = to else { continue };
            let IpAddr::V4(to) = to.ip() else { continue };
            self.obey(to.octets()[3], &orders);
        }
    }

    fn obey(&mut self, n: u8, orders: &Orders) {
        let Some(report) = self.reports.get_mut(&n) else { return };
        report.delivery = Some(orders.delivery);
        // Who stands by is not in the inter-patch patch.
        let is_member = |place: &&Assignment| {
            place.scope == Scope::Regional || place.role == Role::Representative
        };
        let assignments = orders.assignments.iter().filter(is_member);
        report.memberships = assignments
            .map(|assignment| Membership {
                patch: assignment.patch,
                scope: assignment.scope,
                protocol: assignment.protocol,
                role: assignment.role,
                nic: assignment.nic,
                parameters: assignment.parameters.clone(),
                wants_contacts: false,
                forwards: false,
            })
            .collect();
        let sews = report.memberships.iter().any(|said| said.patch == PatchId::INTER_PATCH);
        let interval = if sews { REPRESENTATIVE_REPORT } else { MEMBER_REPORT };
        self.due.insert(n, self.now + interval);
    }
}

pub(super) fn path(n: u8) -> Path {
    Path::Datagram(([10, 0, 0, n], 4_000).into())
}
