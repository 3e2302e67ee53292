//! What a host is told.

use super::group::{Group, Host, Patch, Place};
use crate::euid;
use crate::wire::{Assignment, Contact, Orders};
use crate::{HostId, PatchId, Rng, Role};
use alloc::vec::Vec;

impl Group {
    /// The orders of a host, in full, under the next epoch; `None` if it is not here.
    pub(super) fn orders(&mut self, id: HostId, instance: u32, rng: &mut Rng) -> Option<Orders> {
        let host = self.hosts.get_mut(&id)?;
        host.orders = host.orders.saturating_add(1);
        let epoch = (u64::from(instance) << 32) | u64::from(host.orders);
        let host = self.hosts.get(&id)?;
        let sews = host.sews.map(|nic| Place { patch: PatchId::INTER_PATCH, nic });
        let places = host.places.iter().copied().chain(sews);
        let assignments = places.filter_map(|place| self.assignment(id, host, place, rng));
        Some(Orders { group: self.id, epoch, assignments: assignments.collect() })
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
        let contacts =
            if knows { Vec::new() } else { self.contacts(id, host, nic, patch_id, patch, rng) };
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
            contacts,
        })
    }

    /// Some members of a patch for a host in it, at random, but its representatives first, and
    /// those last to whom the host cannot open contact.
    fn contacts(
        &self,
        id: HostId,
        host: &Host,
        nic: u8,
        patch_id: PatchId,
        patch: &Patch,
        rng: &mut Rng,
    ) -> Vec<Contact> {
        let Some(nic) = host.nic(nic) else { return Vec::new() };
        let others = patch
            .representatives
            .iter()
            .map(|r| &r.host)
            .chain(patch.members.iter().filter(|&&member| !patch.is_represented_by(member)));
        let mut contacts: Vec<Contact> = others
            .filter(|&&other| other != id)
            .filter_map(|&other| self.contact(other, patch_id))
            .collect();
        rng.shuffle(&mut contacts);
        contacts.sort_by_cached_key(|contact| {
            let unreachable = euid::contacts(&nic.euid, &contact.euid).is_empty();
            (unreachable, !patch.is_represented_by(contact.host))
        });
        contacts.truncate(Assignment::MAX_CONTACTS);
        contacts
    }

    fn contact(&self, id: HostId, patch: PatchId) -> Option<Contact> {
        let host = self.hosts.get(&id)?;
        let place = host.places.iter().find(|place| place.patch == patch);
        let nic = host.nic(place.map(|place| place.nic).or(host.sews)?)?;
        Some(Contact {
            host: id,
            incarnation: host.incarnation,
            addresses: host.addresses.clone(),
            euid: nic.euid.clone(),
        })
    }
}
