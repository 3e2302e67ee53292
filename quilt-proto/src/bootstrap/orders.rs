//! What a host is told.

use super::group::{Group, Host, Place};
use crate::euid::{self, Euid};
use crate::wire::{Assignment, Contact, Nic, Orders, Scope};
use crate::{HostId, PatchId, Rng, Role};
use alloc::vec::Vec;
use core::net::SocketAddr;

/// On either side of a host's address, so many members are named to it.
const NEAR: usize = 3;
/// And so many hosts are looked at for that.
const NEAR_SEEN: usize = 64;

impl Group {
    /// The orders of a host, in full; `None` if it is not here.
    pub(super) fn orders(&self, id: HostId, epoch: u64, rng: &mut Rng) -> Option<Orders> {
        let host = self.hosts.get(&id)?;
        let sews = host.sews.or(host.steps_in.filter(|_| self.stands_by(id)));
        let sews = sews.map(|nic| Place { patch: PatchId::INTER_PATCH, nic });
        let places = host.places.iter().copied().chain(sews);
        let assignments = places.filter_map(|place| self.assignment(id, host, place, rng));
        let (group, delivery) = (self.id, self.delivery);
        Some(Orders { group, epoch, delivery, assignments: assignments.collect() })
    }

    fn assignment(
        &self,
        id: HostId,
        host: &Host,
        Place { patch: patch_id, nic }: Place,
        rng: &mut Rng,
    ) -> Option<Assignment> {
        let patch = self.patches.get(&patch_id)?;
        let represents = match patch_id {
            PatchId::INTER_PATCH => host.sews.is_some(),
            _ => patch.is_represented_by(id),
        };
        let knows = host.reported.iter().any(|&(said, wants)| said == patch_id && !wants);
        let nic_euid = host.nic(nic).map(|nic| &nic.euid).filter(|_| !knows);
        let contacts = nic_euid.map(|euid| self.contacts(id, euid, patch_id, rng));
        let representatives = patch.representatives.iter().map(|r| r.host);
        let on_duty = patch.on_duty().any(|host| host == id);
        let standbys = patch.standbys.iter().copied().filter(|_| on_duty);
        Some(Assignment {
            patch: patch_id,
            scope: patch.scope,
            protocol: patch.protocol,
            role: if represents { Role::Representative } else { Role::Member },
            nic,
            parameters: patch.parameters.clone(),
            euid: patch.euid.clone(),
            representatives: representatives.take(Assignment::MAX_REPRESENTATIVES).collect(),
            standbys: standbys.take(patch.room_for_standbys()).collect(),
            contacts: contacts.unwrap_or_default(),
        })
    }

    /// Some members of a patch for a host in it: its representatives first, then some whose addresses
    /// are next to the host's, then others at random, and those last to whom the host cannot open
    /// contact. A host that represents it or stands by is told of the others that stand by too, right
    /// after the representatives; for all others these few are members like any.
    fn contacts(&self, id: HostId, euid: &Euid, patch_id: PatchId, rng: &mut Rng) -> Vec<Contact> {
        let Some(patch) = self.patches.get(&patch_id) else { return Vec::new() };
        let on_duty = patch.on_duty().any(|host| host == id);
        let standbys = if on_duty { &patch.standbys[..] } else { &[] };
        let is_ordinary =
            |member: &&HostId| !patch.is_represented_by(**member) && !standbys.contains(member);
        let members = patch.members.iter().filter(is_ordinary);
        let ranked = patch.representatives.iter().map(|r| (&r.host, 0));
        let ranked = ranked.chain(standbys.iter().map(|host| (host, 1)));
        let near = self.near(id, patch_id);
        let members = members.filter(|member| !near.contains(member));
        let mut others: Vec<_> = ranked
            .chain(near.iter().filter(is_ordinary).map(|member| (member, 2)))
            .chain(members.map(|member| (member, 3)))
            .filter(|&(other, _)| *other != id)
            .filter_map(|(&other, rank)| {
                let (host, nic) = self.member(other, patch_id)?;
                let unreachable = euid::contacts(euid, &nic.euid).is_empty();
                Some(((unreachable, rank), other, host, nic))
            })
            .collect();
        rng.shuffle(&mut others);
        others.sort_by_key(|&(key, ..)| key);
        let chosen = others.into_iter().take(Assignment::MAX_CONTACTS);
        chosen
            .map(|(_, id, host, nic)| Contact {
                host: id,
                incarnation: host.incarnation,
                addresses: host.addresses.clone(),
                euid: nic.euid.clone(),
            })
            .collect()
    }

    /// Members of a patch whose addresses are next to a host's, and that do not represent it: the
    /// list of old members may have none that is near.
    fn near(&self, id: HostId, patch_id: PatchId) -> Vec<HostId> {
        let Some(patch) = self.patches.get(&patch_id) else { return Vec::new() };
        let Some(host) = self.hosts.get(&id) else { return Vec::new() };
        let Some(&address) = host.addresses.first() else { return Vec::new() };
        let key = (address, id);
        let is_member = |(_, other): &&(SocketAddr, HostId)| {
            *other != id
                && !patch.is_represented_by(*other)
                && self.hosts.get(other).is_some_and(|other| match patch.scope {
                    Scope::InterPatch => other.sews.is_some(),
                    Scope::Regional => other.places.iter().any(|place| place.patch == patch_id),
                })
        };
        let before = self.by_address.range(..key).rev().take(NEAR_SEEN).filter(is_member);
        let after = self.by_address.range(key..).take(NEAR_SEEN).filter(is_member);
        let near = before.take(NEAR).chain(after.take(NEAR));
        near.map(|&(_, other)| other).collect()
    }

    /// A member of a patch, and its interface there.
    fn member(&self, id: HostId, patch: PatchId) -> Option<(&Host, &Nic)> {
        let host = self.hosts.get(&id)?;
        let place = host.places.iter().find(|place| place.patch == patch);
        Some((host, host.nic(place.map(|place| place.nic).or(host.sews)?)?))
    }
}
