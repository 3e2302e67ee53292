//! What a host is told.

use super::group::{Group, Host, Place};
use crate::euid::{self, Euid};
use crate::wire::{Assignment, Contact, Nic, Orders};
use crate::{HostId, PatchId, Rng, Role};
use alloc::vec::Vec;

impl Group {
    /// The orders of a host, in full; `None` if it is not here.
    pub(super) fn orders(&self, id: HostId, epoch: u64, rng: &mut Rng) -> Option<Orders> {
        let host = self.hosts.get(&id)?;
        let sews = host.sews.map(|nic| Place { patch: PatchId::INTER_PATCH, nic });
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
        let represents = patch_id == PatchId::INTER_PATCH || patch.is_represented_by(id);
        let knows = host.reported.iter().any(|&(said, wants)| said == patch_id && !wants);
        let nic_euid = host.nic(nic).map(|nic| &nic.euid).filter(|_| !knows);
        let contacts = nic_euid.map(|euid| self.contacts(id, euid, patch_id, rng));
        let representatives = patch.representatives.iter().map(|r| r.host);
        Some(Assignment {
            patch: patch_id,
            scope: patch.scope,
            protocol: patch.protocol,
            role: if represents { Role::Representative } else { Role::Member },
            nic,
            parameters: patch.parameters.clone(),
            euid: patch.euid.clone(),
            representatives: representatives.take(Assignment::MAX_REPRESENTATIVES).collect(),
            contacts: contacts.unwrap_or_default(),
        })
    }

    /// Some members of a patch for a host in it, at random, but its representatives first, and
    /// those last to whom the host cannot open contact.
    fn contacts(&self, id: HostId, euid: &Euid, patch_id: PatchId, rng: &mut Rng) -> Vec<Contact> {
        let Some(patch) = self.patches.get(&patch_id) else { return Vec::new() };
        let members = patch.members.iter().filter(|member| !patch.is_represented_by(**member));
        let ranked = patch.representatives.iter().map(|r| (&r.host, 0));
        let mut others: Vec<_> = ranked
            .chain(members.map(|member| (member, 1)))
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

    /// A member of a patch, and its interface there.
    fn member(&self, id: HostId, patch: PatchId) -> Option<(&Host, &Nic)> {
        let host = self.hosts.get(&id)?;
        let place = host.places.iter().find(|place| place.patch == patch);
        Some((host, host.nic(place.map(|place| place.nic).or(host.sews)?)?))
    }
}
