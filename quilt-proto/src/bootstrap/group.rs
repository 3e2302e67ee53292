//! One group as the service knows it: its hosts and its patches.

use super::{
    BootstrapConfig, DEAD_AFTER, MEMBER_REPORT, REPRESENTATIVE_REPORT, SUSPECT_DEAD_AFTER,
};
use crate::euid::Euid;
use crate::survey::Parent;
use crate::wire::{Assignment, Nic, Refusal, Report, Scope};
use crate::{Delivery, GroupId, HostId, HostTag, Incarnation, LinkId, PatchId, ProtocolId, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use smallvec::SmallVec;

/// A group. Hosts and patches refer to each other by name; [`Group::enter`], [`Group::leave`] and
/// [`Group::remove`] keep the two sides in agreement.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) hosts: BTreeMap<HostId, Host>,
    pub(super) tags: BTreeMap<HostTag, HostId>,
    /// Hosts by their first address: those next to each other are often near.
    pub(super) by_address: BTreeSet<(SocketAddr, HostId)>,
    pub(super) patches: BTreeMap<PatchId, Patch>,
    /// How many hosts have joined so far: the join order.
    pub(super) joins: u64,
    /// What it promises.
    pub(super) delivery: Delivery,
    /// A host that was in the group before the service knew it has said what that is.
    pub(super) is_settled: bool,
}

/// A host of a group.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) incarnation: Incarnation,
    pub(super) addresses: SmallVec<[SocketAddr; 2]>,
    pub(super) nics: SmallVec<[Nic; 1]>,
    pub(super) protocols: SmallVec<[ProtocolId; 4]>,
    /// The way back to it.
    pub(super) path: Path,
    /// Its place in the join order.
    pub(super) joined: u64,
    pub(super) heard: Time,
    /// Its regional patches.
    pub(super) places: SmallVec<[Place; 2]>,
    /// The interface with which it is in the inter-patch patch.
    pub(super) sews: Option<u8>,
    /// The one with which it will be, where it stands by and has to step in.
    pub(super) steps_in: Option<u8>,
    /// What it last said of where it is, and whether it wants contacts there.
    pub(super) reported: SmallVec<[(PatchId, bool); 2]>,
    /// A co-representative has found it dead.
    pub(super) suspect: bool,
    /// It was appointed and has not reported since.
    pub(super) unresponsive: bool,
    /// Who is above it in the inter-patch patch, as it last said.
    pub(super) parent: Option<Parent>,
    /// When it was last moved, whether it could not stay or a better protocol can run on it.
    pub(super) moved: Option<Time>,
}

/// Where one interface of a host stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) patch: PatchId,
    pub(super) nic: u8,
}

/// The way from the service to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    Datagram(SocketAddr),
    Stream(LinkId),
}

/// A patch of a group.
#[derive(Debug)]
pub(super) struct Patch {
    pub(super) scope: Scope,
    pub(super) protocol: ProtocolId,
    pub(super) parameters: Bytes,
    /// Its members' surroundings, merged; those who left included (paper, section 3.2.1).
    pub(super) euid: Euid,
    /// Some members, those first that are here longest (paper, section 4.2).
    pub(super) members: Vec<HostId>,
    /// How many members there are.
    pub(super) population: usize,
    /// In the order of appointment; empty in the inter-patch patch, where everybody is one.
    pub(super) representatives: Vec<Representative>,
    /// Members that step in where no representative is left, the first of them that is there.
    pub(super) standbys: Vec<HostId>,
    /// Hosts that were here before the service knew the patch have reported, and by this time all
    /// its representatives will have: nobody is appointed before.
    pub(super) settled: Option<Time>,
}

/// A host that represents a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Representative {
    pub(super) host: HostId,
    pub(super) appointed: Time,
    /// It has reported that it is one, and so reports more often from then on.
    pub(super) confirmed: bool,
    /// It is the one that forwards, as it last said.
    pub(super) forwards: bool,
}

impl Host {
    pub(super) fn new(now: Time, path: Path, report: &Report, joined: u64) -> Self {
        Self {
            incarnation: report.incarnation,
            addresses: report.addresses.clone(),
            nics: report.nics.clone(),
            protocols: report.protocols.clone(),
            path,
            joined,
            heard: now,
            places: SmallVec::new(),
            sews: None,
            steps_in: None,
            reported: SmallVec::new(),
            suspect: false,
            unresponsive: false,
            parent: report.parent,
            moved: None,
        }
    }

    pub(super) fn nic(&self, nic: u8) -> Option<&Nic> {
        self.nics.get(usize::from(nic))
    }

    /// The protocol for an interface: the first one in the policy's order that may run on it.
    pub(super) fn best(&self, config: &BootstrapConfig, nic: u8) -> Option<ProtocolId> {
        config.policy.order.iter().copied().find(|&protocol| self.may_run(config, protocol, nic))
    }

    /// Whether the host has the protocol, and policy and rule let it run on that interface.
    pub(super) fn may_run(&self, config: &BootstrapConfig, protocol: ProtocolId, nic: u8) -> bool {
        let rule = config.registry.get(protocol).map(|plugin| plugin.rule());
        self.protocols.contains(&protocol)
            && self.nic(nic).zip(rule).is_some_and(|(nic, rule)| {
                config.policy.permits(protocol, nic.address) && rule.is_permitted(&nic.euid)
            })
    }
}

impl Patch {
    pub(super) fn new(scope: Scope, protocol: ProtocolId, parameters: Bytes) -> Self {
        Self {
            scope,
            protocol,
            parameters,
            euid: Euid::default(),
            members: Vec::new(),
            population: 0,
            representatives: Vec::new(),
            standbys: Vec::new(),
            settled: None,
        }
    }

    pub(super) fn is_represented_by(&self, host: HostId) -> bool {
        self.representatives.iter().any(|representative| representative.host == host)
    }

    /// Takes a member in.
    pub(super) fn enter(&mut self, config: &BootstrapConfig, id: HostId, euid: &Euid) {
        self.learn(config, euid);
        self.remember(config, id);
        self.population = self.population.saturating_add(1);
    }

    /// Takes in what is known of a member's surroundings.
    pub(super) fn learn(&mut self, config: &BootstrapConfig, euid: &Euid) {
        let Some(plugin) = config.registry.get(self.protocol) else { return };
        match self.population {
            0 => self.euid = plugin.rule().create_patch(euid),
            _ => plugin.rule().join(euid, &mut self.euid),
        }
    }

    /// Notes a member if there is room: who is here already stays, so the list holds those who
    /// have lived long.
    pub(super) fn remember(&mut self, config: &BootstrapConfig, id: HostId) {
        if self.members.len() < config.limits.directory_members && !self.members.contains(&id) {
            self.members.push(id);
        }
    }

    /// Those who are to know of each other: the representatives and who stands by for them.
    pub(super) fn on_duty(&self) -> impl Iterator<Item = HostId> {
        self.representatives.iter().map(|one| one.host).chain(self.standbys.iter().copied())
    }

    /// How many may stand by: with the representatives no more than can be told of.
    pub(super) fn room_for_standbys(&self) -> usize {
        Assignment::MAX_REPRESENTATIVES.saturating_sub(self.representatives.len())
    }

    /// Takes the representative's role from a member, or that it stands by.
    pub(super) fn relieve(&mut self, id: HostId) {
        self.representatives.retain(|representative| representative.host != id);
        self.stand_down(id);
    }

    /// A member does not stand by any more.
    pub(super) fn stand_down(&mut self, id: HostId) {
        self.standbys.retain(|standby| *standby != id);
    }

    fn leave(&mut self, id: HostId) {
        self.members.retain(|member| *member != id);
        self.relieve(id);
        self.population = self.population.saturating_sub(1);
    }
}

impl Group {
    pub(super) fn new(id: GroupId, delivery: Delivery) -> Self {
        Self {
            id,
            delivery,
            is_settled: false,
            hosts: BTreeMap::new(),
            tags: BTreeMap::new(),
            by_address: BTreeSet::new(),
            patches: BTreeMap::new(),
            joins: 0,
        }
    }

    /// Whether a host that comes can live with what the group promises. In a group that was there
    /// before this life of the service, the first host that says so settles that anew: it is one of
    /// many, and those who were taken in meanwhile are few.
    ///
    /// # Errors
    /// It wishes something else.
    pub(super) fn agree(&mut self, report: &Report) -> Result<(), Refusal> {
        let said = report.delivery.unwrap_or(self.delivery);
        if report.memberships.is_empty() && said != self.delivery {
            return Err(Refusal::Delivery(self.delivery));
        }
        let was_there = !report.memberships.is_empty() && !self.hosts.contains_key(&report.host);
        if was_there && !core::mem::replace(&mut self.is_settled, true) {
            self.delivery = said;
        }
        Ok(())
    }

    /// The regional patches that a host is in.
    pub(super) fn patches_of(&self, id: HostId) -> impl Iterator<Item = PatchId> {
        let places = self.hosts.get(&id).into_iter().flat_map(|host| &host.places);
        places.map(|place| place.patch)
    }

    /// Whether a host is to step in where a region has no representative left.
    pub(super) fn stands_by(&self, id: HostId) -> bool {
        let mut regions = self.patches_of(id).filter_map(|patch| self.patches.get(&patch));
        regions.any(|region| region.standbys.contains(&id))
    }

    /// Has the next orders of these hosts name members of all their patches, as if those were new to
    /// them.
    pub(super) fn tell_contacts(&mut self, hosts: &BTreeSet<HostId>) {
        for host in hosts {
            if let Some(host) = self.hosts.get_mut(host) {
                host.reported.clear();
            }
        }
    }

    /// Takes a host out of one patch; a patch without members is forgotten.
    pub(super) fn leave(&mut self, id: HostId, patch: PatchId) {
        let Some(left) = self.patches.get_mut(&patch) else { return };
        left.leave(id);
        if left.population == 0 {
            self.patches.remove(&patch);
        }
    }

    /// Forgets a host; the patches it was in.
    pub(super) fn remove(&mut self, id: HostId) -> SmallVec<[PatchId; 2]> {
        let Some(host) = self.hosts.remove(&id) else { return SmallVec::new() };
        self.tags.remove(&id.tag());
        if let Some(&address) = host.addresses.first() {
            self.by_address.remove(&(address, id));
        }
        if host.sews.is_some() {
            self.leave(id, PatchId::INTER_PATCH);
        }
        let patches: SmallVec<_> = host.places.iter().map(|place| place.patch).collect();
        patches.iter().for_each(|&patch| self.leave(id, patch));
        patches
    }

    /// The time at which a host has been silent for too long, whatever it is.
    pub(super) fn deadline(&self, id: HostId) -> Option<Time> {
        let host = self.hosts.get(&id)?;
        let member = host.heard + MEMBER_REPORT.saturating_mul(DEAD_AFTER);
        let patches = self.patches_of(id).filter_map(|patch| self.patches.get(&patch));
        // It reports only as often as a member does.
        let suspect = (host.suspect && self.stands_by(id))
            .then_some(host.heard + MEMBER_REPORT + SUSPECT_DEAD_AFTER);
        let duties = patches.flat_map(|patch| &patch.representatives).filter(|r| r.host == id);
        let duty = duties.map(|duty| match (duty.confirmed, host.suspect) {
            (true, true) => host.heard + SUSPECT_DEAD_AFTER,
            (true, false) => host.heard + REPRESENTATIVE_REPORT.saturating_mul(DEAD_AFTER),
            // It may not know yet, and report only as often as a member does.
            (false, _) => duty.appointed + REPRESENTATIVE_REPORT.saturating_mul(DEAD_AFTER),
        });
        duty.chain([member]).chain(suspect).min()
    }
}
