//! Who represents a region (paper, sections 3.2.3, 4.6 and 4.7).

use super::BootstrapConfig;
use super::group::{Group, Host, Patch, Representative};
use crate::euid::Metric;
use crate::wire::{Assignment, Scope};
use crate::{HostId, PatchId, Time};
use alloc::vec::Vec;
use core::cmp::Reverse;

/// A member that could represent its region.
struct Candidate {
    host: HostId,
    /// The interface that would be in the inter-patch patch.
    nic: u8,
    /// Whether it can join the inter-patch patch as far as is known.
    fits: bool,
    /// Its measured bandwidth to others in kbit/s, 0 if unknown.
    uplink: u32,
    joined: u64,
    heard: Time,
}

impl Group {
    /// Appoints representatives of a region up to k_max if fewer than k_min are left; whom.
    pub(super) fn appoint(
        &mut self,
        now: Time,
        config: &BootstrapConfig,
        id: PatchId,
    ) -> Vec<HostId> {
        let Some(patch) = self.patches.get(&id) else { return Vec::new() };
        let (min, max) = range(config);
        let have = patch.representatives.len();
        let unsettled = patch.settled.is_some_and(|settled| now < settled);
        if patch.scope != Scope::Regional || have >= min || unsettled {
            return Vec::new();
        }
        let candidates = self.candidates(now, config, (id, patch), max.saturating_sub(have));
        for candidate in &candidates {
            self.sew(now, config, id, candidate.host, candidate.nic);
        }
        candidates.iter().map(|candidate| candidate.host).collect()
    }

    /// Has members stand by for a region's representatives, as many as there is room for; whether
    /// there are others now.
    pub(super) fn stand_by(&mut self, now: Time, config: &BootstrapConfig, id: PatchId) -> bool {
        let Some(patch) = self.patches.get(&id) else { return false };
        let (room, have) = (patch.room_for_standbys(), patch.standbys.len());
        let unsettled = patch.settled.is_some_and(|settled| now < settled);
        if patch.scope != Scope::Regional || have >= room || unsettled {
            return false;
        }
        // Who stands by longest steps in first.
        let wanted = room.saturating_sub(have);
        let others = self.candidates(now, config, (id, patch), room.saturating_add(have));
        let others = others.into_iter().filter(|other| !patch.standbys.contains(&other.host));
        let others: Vec<Candidate> = others.take(wanted).collect();
        for other in &others {
            if let Some(host) = self.hosts.get_mut(&other.host) {
                host.steps_in = Some(other.nic);
            }
            if let Some(patch) = self.patches.get_mut(&id) {
                patch.standbys.push(other.host);
            }
        }
        !others.is_empty()
    }

    /// The best members, up to `wanted`, that do not represent the region yet.
    fn candidates(
        &self,
        now: Time,
        config: &BootstrapConfig,
        (id, patch): (PatchId, &Patch),
        wanted: usize,
    ) -> Vec<Candidate> {
        let mut candidates = self.all_candidates(config, patch, id);
        candidates.sort_by_key(|candidate| candidate.joined);
        if candidates.len() > wanted {
            // Only here does capacity count (paper, section 3.2.3); the sort is stable.
            candidates.sort_by_key(|candidate| (!candidate.fits, Reverse(candidate.uplink)));
            // What killed the others may have killed those who have said nothing since.
            let lately = super::REPRESENTATIVE_REPORT.saturating_mul(super::DEAD_AFTER);
            candidates.sort_by_key(|candidate| candidate.heard + lately < now);
        }
        candidates.truncate(wanted);
        candidates
    }

    fn all_candidates(
        &self,
        config: &BootstrapConfig,
        patch: &Patch,
        id: PatchId,
    ) -> Vec<Candidate> {
        let members = patch.members.iter().filter(|member| !patch.is_represented_by(**member));
        let hosts = members.filter_map(|id| Some((*id, self.hosts.get(id)?)));
        hosts
            .filter(|(_, host)| !host.suspect && !host.unresponsive)
            .filter_map(|(name, host)| self.candidate(config, id, name, host))
            .collect()
    }

    fn candidate(
        &self,
        config: &BootstrapConfig,
        patch: PatchId,
        id: HostId,
        host: &Host,
    ) -> Option<Candidate> {
        let nic = sewing_nic(config, host, patch)?;
        let euid = &host.nic(nic)?.euid;
        let rule = config.registry.get(config.policy.inter_patch)?.rule();
        let inter = self.patches.get(&PatchId::INTER_PATCH);
        Some(Candidate {
            host: id,
            nic,
            fits: inter.is_none_or(|inter| rule.can_join(euid, &inter.euid)),
            uplink: euid.performance.get(Metric::UPLINK_KBPS).map_or(0, |range| range.lower),
            joined: host.joined,
            heard: host.heard,
        })
    }

    /// Makes a host a representative: a role in its region, and a place in the inter-patch patch.
    pub(super) fn sew(
        &mut self,
        now: Time,
        config: &BootstrapConfig,
        patch: PatchId,
        id: HostId,
        nic: u8,
    ) {
        let plugin = config.registry.get(config.policy.inter_patch);
        let (Some(host), Some(plugin)) = (self.hosts.get_mut(&id), plugin) else { return };
        let Some(region) = self.patches.get_mut(&patch) else { return };
        region.stand_down(id);
        region.representatives.push(Representative {
            host: id,
            appointed: now,
            confirmed: false,
            forwards: false,
        });
        if host.sews.is_none() {
            let Some(euid) = host.nic(nic).map(|nic| &nic.euid) else { return };
            let inter = self.patches.entry(PatchId::INTER_PATCH).or_insert_with(|| {
                let parameters = plugin.parameters(self.id, PatchId::INTER_PATCH);
                Patch::new(Scope::InterPatch, plugin.id(), parameters)
            });
            inter.enter(config, id, euid);
            host.sews = Some(nic);
        }
    }

    /// Takes the representative's role from a host that did not take it up by `now`; the patches
    /// that lost it.
    pub(super) fn relieve(&mut self, now: Time, id: HostId) -> Vec<PatchId> {
        let Some(host) = self.hosts.get_mut(&id) else { return Vec::new() };
        host.unresponsive = true;
        let mut relieved = Vec::new();
        let mut remaining = false;
        for place in &host.places {
            let Some(patch) = self.patches.get_mut(&place.patch) else { continue };
            let before = patch.representatives.len();
            patch.representatives.retain(|r| r.host != id || r.confirmed || !r.is_overdue(now));
            if patch.representatives.len() < before {
                relieved.push(place.patch);
            }
            remaining |= patch.is_represented_by(id);
        }
        for place in &host.places {
            if let Some(patch) = self.patches.get_mut(&place.patch) {
                patch.stand_down(id);
            }
        }
        if !remaining && host.sews.take().is_some() {
            self.leave(id, PatchId::INTER_PATCH);
        }
        relieved
    }
}

impl Representative {
    fn is_overdue(&self, now: Time) -> bool {
        let patience = super::REPRESENTATIVE_REPORT.saturating_mul(super::DEAD_AFTER);
        self.appointed + patience <= now
    }
}

/// The interface with which a host would sew: the one in the region if the inter-patch protocol
/// may run on it, else the first on which it may.
pub(super) fn sewing_nic(config: &BootstrapConfig, host: &Host, patch: PatchId) -> Option<u8> {
    let regional = host.places.iter().filter(|place| place.patch == patch).map(|place| place.nic);
    let all = (0..host.nics.len()).filter_map(|nic| u8::try_from(nic).ok());
    regional.chain(all).find(|&nic| host.may_run(config, config.policy.inter_patch, nic))
}

/// k_min and k_max, both at least 1.
pub(super) fn range(config: &BootstrapConfig) -> (usize, usize) {
    let min = usize::from(config.policy.representatives_min).max(1);
    let max = usize::from(config.policy.representatives_max).max(min);
    (min, max.min(Assignment::MAX_REPRESENTATIVES))
}
