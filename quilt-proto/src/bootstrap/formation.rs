//! Which patches cover a host (paper, sections 3.2 and 4.5).

use super::BootstrapConfig;
use super::group::{Group, Host, Patch, Place};
use crate::euid::{Euid, RouterId};
use crate::protocol::Plugin;
use crate::wire::{Refusal, Report, Scope};
use crate::{GroupId, HostId, PatchId, ProtocolId};
use alloc::vec::Vec;
use core::hash::Hasher;
use siphasher::sip::SipHasher13;

/// The most regional patches of one host: its orders also have to hold the inter-patch patch.
pub(super) const MAX_PLACES: usize = Report::MAX_MEMBERSHIPS - 1;

impl Group {
    /// Covers every interface of `host` that stands nowhere yet.
    ///
    /// # Errors
    /// The host stands nowhere at all.
    pub(super) fn cover(
        &mut self,
        config: &BootstrapConfig,
        id: HostId,
        host: &mut Host,
    ) -> Result<(), Refusal> {
        let mut refusal = Refusal::NoProtocol;
        for nic in (0..host.nics.len()).filter_map(|nic| u8::try_from(nic).ok()) {
            if host.places.iter().any(|place| place.nic == nic) {
                continue;
            }
            refusal = self.place(config, id, host, nic).err().unwrap_or(refusal);
        }
        if host.places.is_empty() { Err(refusal) } else { Ok(()) }
    }

    /// Finds patches for one interface by the first protocol in the policy's order that can run
    /// on it; makes one where none fits.
    fn place(
        &mut self,
        config: &BootstrapConfig,
        id: HostId,
        host: &mut Host,
        nic: u8,
    ) -> Result<(), Refusal> {
        let protocol = host.best(config, nic);
        let plugin = protocol.and_then(|protocol| config.registry.get(protocol));
        let (Some(plugin), Some(euid)) = (plugin, host.nic(nic).map(|nic| nic.euid.clone())) else {
            return Err(Refusal::NoProtocol);
        };
        let mut patches = self.fitting(plugin, &euid);
        patches.truncate(if plugin.rule().joins_all() { MAX_PLACES } else { 1 });
        if patches.is_empty() && host.places.len() < MAX_PLACES {
            patches.push(self.create(config, plugin, &euid).ok_or(Refusal::Full)?);
        }
        for patch in patches {
            // Another interface may stand there already.
            if !host.places.iter().any(|place| place.patch == patch) {
                self.enter(config, id, host, Place { patch, nic });
            }
        }
        Ok(())
    }

    /// The patches that a host fits, that of the lowest predicted latency first.
    fn fitting(&self, plugin: &dyn Plugin, euid: &Euid) -> Vec<PatchId> {
        let mut fitting: Vec<_> = self
            .patches
            .iter()
            .filter(|(_, patch)| patch.scope == Scope::Regional && patch.protocol == plugin.id())
            .filter(|(_, patch)| plugin.rule().can_join(euid, &patch.euid))
            .map(|(&id, patch)| (plugin.rule().predicted_latency(euid, &patch.euid), id))
            .collect();
        fitting.sort_by_key(|&(latency, id)| (latency.is_none(), latency, id));
        fitting.into_iter().map(|(_, id)| id).collect()
    }

    /// Makes a patch without members; `None` if there are too many patches.
    fn create(
        &mut self,
        config: &BootstrapConfig,
        plugin: &dyn Plugin,
        euid: &Euid,
    ) -> Option<PatchId> {
        if self.patches.len() >= config.limits.patches {
            return None;
        }
        let anchor = plugin.rule().anchor(euid);
        let ids = (0..u32::MAX).map(|ordinal| name(self.id, plugin.id(), anchor, ordinal));
        let mut free = ids
            .filter(|id| *id != PatchId::INTER_PATCH)
            .filter(|id| !self.patches.contains_key(id));
        let id = free.next()?;
        let parameters = plugin.parameters(self.id, id);
        self.patches.insert(id, Patch::new(Scope::Regional, plugin.id(), parameters));
        Some(id)
    }

    /// Puts a host into a regional patch, if it may be in one more.
    pub(super) fn enter(
        &mut self,
        config: &BootstrapConfig,
        id: HostId,
        host: &mut Host,
        place: Place,
    ) {
        let Some(patch) = self.patches.get_mut(&place.patch) else { return };
        let Some(nic) = host.nic(place.nic) else { return };
        if host.places.len() < MAX_PLACES {
            patch.enter(config, id, &nic.euid);
            host.places.push(place);
        }
    }
}

/// The id of the patch number `ordinal` of those that hosts behind `anchor` create.
///
/// It follows from the region alone, so that a service that was restarted without its memory gives
/// the region the id that it had before, also to a host that comes before any old member reports.
fn name(group: GroupId, protocol: ProtocolId, anchor: Option<RouterId>, ordinal: u32) -> PatchId {
    let mut hasher = SipHasher13::new_with_keys(0x7175_696c_7400_0000, 0x7061_7463_6800_0000);
    hasher.write(&group.0.to_be_bytes());
    hasher.write(&protocol.0.to_be_bytes());
    hasher.write(&anchor.map_or(0, |router| router.0).to_be_bytes());
    hasher.write(&ordinal.to_be_bytes());
    PatchId((hasher.finish() >> 32) as u32)
}
