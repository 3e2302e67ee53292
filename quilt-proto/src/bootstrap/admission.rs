//! Taking hosts in, and learning from them what was known before a restart.

use super::formation::MAX_PLACES;
use super::group::{Group, Host, Patch, Path, Place, Representative};
use super::representatives::{range, sewing_nic};
use super::{BootstrapConfig, DEAD_AFTER, REPRESENTATIVE_REPORT};
use crate::wire::{Assignment, Membership, Refusal, Report, Scope};
use crate::{HostId, PatchId, Role, Time};
use core::time::Duration;
use smallvec::SmallVec;

/// A host is moved to where a better protocol runs no more often.
const MOVE_PAUSE: Duration = Duration::from_secs(60);

impl Group {
    /// Takes a report in: afterwards the host is known and stands where it shall. Whether that
    /// changed anything that others can see.
    ///
    /// # Errors
    /// The host is not in the group. It is not afterwards either, unless it is `Replaced`.
    pub(super) fn admit(
        &mut self,
        now: Time,
        config: &BootstrapConfig,
        path: Path,
        report: &Report,
    ) -> Result<bool, Refusal> {
        let id = report.host;
        if self.tags.get(&id.tag()).is_some_and(|holder| *holder != id) {
            return Err(Refusal::TagTaken);
        }
        match self.hosts.get(&id).map(|known| known.incarnation) {
            Some(known) if known > report.incarnation => return Err(Refusal::Replaced),
            Some(known) if known < report.incarnation => drop(self.remove(id)),
            _ => {}
        }
        let changed = match self.hosts.remove(&id) {
            Some(host) => self.refresh(now, config, path, report, host)?,
            None => self.introduce(now, config, path, report).map(|()| true)?,
        };
        let stepped = self.step_in(now, config, report);
        self.confirm(id, &report.memberships);
        Ok(changed || stepped)
    }

    /// Takes in a host that is not known.
    fn introduce(
        &mut self,
        now: Time,
        config: &BootstrapConfig,
        path: Path,
        report: &Report,
    ) -> Result<(), Refusal> {
        if self.hosts.len() >= config.limits.group_hosts {
            return Err(Refusal::Full);
        }
        self.joins = self.joins.saturating_add(1);
        let mut host = Host::new(now, path, report, self.joins);
        for membership in &report.memberships {
            self.relearn(now, config, report.host, &mut host, membership);
        }
        // A host that stands somewhere is moved nowhere, and gets nothing more.
        if host.places.is_empty() {
            self.cover(config, report.host, &mut host)?;
        }
        self.settle_in(report, host);
        for membership in &report.memberships {
            self.relearn_role(now, config, report.host, membership);
        }
        Ok(())
    }

    /// Brings a known host up to date. It stays where it is as long as it can be there.
    fn refresh(
        &mut self,
        now: Time,
        config: &BootstrapConfig,
        path: Path,
        report: &Report,
        mut host: Host,
    ) -> Result<bool, Refusal> {
        (host.path, host.heard, host.suspect, host.unresponsive) = (path, now, false, false);
        if let Some(&address) =
            host.addresses.first().filter(|_| host.addresses != report.addresses)
        {
            self.by_address.remove(&(address, report.host));
        }
        host.addresses.clone_from(&report.addresses);
        host.parent = report.parent;
        let changed = host.nics != report.nics || host.protocols != report.protocols;
        if changed {
            host.nics.clone_from(&report.nics);
            host.protocols.clone_from(&report.protocols);
            self.recover(now, config, report.host, &mut host)?;
        }
        for place in &host.places {
            if let Some(patch) = self.patches.get_mut(&place.patch) {
                patch.remember(config, report.host);
            }
        }
        self.settle_in(report, host);
        Ok(changed)
    }

    /// Covers anew what a host's changed interfaces and protocols have left bare. Where a better
    /// protocol can run on an interface from now on, the host is moved, though not too often.
    fn recover(
        &mut self,
        now: Time,
        config: &BootstrapConfig,
        id: HostId,
        host: &mut Host,
    ) -> Result<(), Refusal> {
        let may_move = host.moved.is_none_or(|at| at + MOVE_PAUSE <= now);
        for place in core::mem::take(&mut host.places) {
            let Some(patch) = self.patches.get_mut(&place.patch) else { continue };
            let moves = may_move && host.best(config, place.nic) != Some(patch.protocol);
            match host.nic(place.nic) {
                Some(nic) if !moves && host.may_run(config, patch.protocol, place.nic) => {
                    patch.learn(config, &nic.euid);
                    host.places.push(place);
                }
                _ => {
                    host.moved = Some(now);
                    self.leave(id, place.patch);
                }
            }
        }
        self.patches.values_mut().for_each(|patch| patch.stand_down(id));
        let sews = host.sews.filter(|&nic| {
            let represents = |place: &Place| {
                self.patches.get(&place.patch).is_some_and(|patch| patch.is_represented_by(id))
            };
            host.may_run(config, config.policy.inter_patch, nic)
                && host.places.iter().any(represents)
        });
        if host.sews.is_some() && sews.is_none() {
            self.leave(id, PatchId::INTER_PATCH);
            self.patches.values_mut().for_each(|patch| patch.relieve(id));
        }
        host.sews = sews;
        let covered = self.cover(config, id, host);
        if covered.is_err() {
            self.tags.remove(&id.tag());
        }
        covered
    }

    /// Puts a host (back) into the table.
    fn settle_in(&mut self, report: &Report, mut host: Host) {
        let said = report.memberships.iter();
        host.reported = said.map(|said| (said.patch, said.wants_contacts)).collect();
        self.tags.insert(report.host.tag(), report.host);
        if let Some(&address) = host.addresses.first() {
            self.by_address.insert((address, report.host));
        }
        self.hosts.insert(report.host, host);
    }

    /// Believes an unknown host that it is in a regional patch, if it may be: so a service that
    /// has lost its memory gets it back, and nobody is moved.
    fn relearn(
        &mut self,
        now: Time,
        config: &BootstrapConfig,
        id: HostId,
        host: &mut Host,
        said: &Membership,
    ) {
        let wanted = config.policy.order.contains(&said.protocol)
            && host.may_run(config, said.protocol, said.nic);
        let regional = said.scope == Scope::Regional && said.patch != PatchId::INTER_PATCH;
        let known = self.patches.get(&said.patch);
        let room = known.is_some() || self.patches.len() < config.limits.patches;
        let agrees = known.is_none_or(|patch| patch.protocol == said.protocol);
        let again = host.places.iter().any(|place| place.patch == said.patch);
        if !(wanted && regional && room && agrees) || again || host.places.len() >= MAX_PLACES {
            return;
        }
        let patch = self
            .patches
            .entry(said.patch)
            .or_insert_with(|| Patch::new(said.scope, said.protocol, said.parameters.clone()));
        // By then every living representative has reported at least twice.
        let settled = now + REPRESENTATIVE_REPORT.saturating_mul(DEAD_AFTER);
        patch.settled.get_or_insert(settled);
        self.enter(config, id, host, Place { patch: said.patch, nic: said.nic });
    }

    /// Believes a host that it represents its region, unless the region has enough who do.
    fn relearn_role(&mut self, now: Time, config: &BootstrapConfig, id: HostId, said: &Membership) {
        let Some(patch) = self.patches.get(&said.patch) else { return };
        let Some(host) = self.hosts.get(&id) else { return };
        let stands = host.places.iter().any(|place| place.patch == said.patch);
        let settled = patch.settled.is_none_or(|settled| settled <= now);
        let most = if settled { range(config).1 } else { Assignment::MAX_REPRESENTATIVES };
        let room = patch.representatives.len() < most;
        let nic = sewing_nic(config, host, said.patch);
        if let Some(nic) = nic.filter(|_| said.role == Role::Representative && stands && room) {
            self.sew(now, config, said.patch, id, nic);
        }
    }

    /// Believes a host that stands by that it stepped in, if it has lost all representatives; whether
    /// one did.
    pub(super) fn step_in(&mut self, now: Time, config: &BootstrapConfig, report: &Report) -> bool {
        let id = report.host;
        let mut stepped = false;
        for said in report.memberships.iter().filter(|said| said.role == Role::Representative) {
            let Some(patch) = self.patches.get(&said.patch) else { continue };
            let lost = |one: &Representative| report.lost.contains(&one.host.tag());
            let all_lost = patch.representatives.iter().all(lost);
            let nic = self.hosts.get(&id).and_then(|host| sewing_nic(config, host, said.patch));
            if let Some(nic) = nic.filter(|_| all_lost && patch.standbys.contains(&id)) {
                self.sew(now, config, said.patch, id, nic);
                stepped = true;
            }
        }
        stepped
    }

    /// Marks those whom an admitted host has found dead and who represent a region with it, or stand
    /// by; whom.
    pub(super) fn suspect(&mut self, report: &Report) -> SmallVec<[HostId; 2]> {
        let regions: SmallVec<[PatchId; 2]> = self.patches_of(report.host).collect();
        let regions = regions.iter().filter_map(|patch| self.patches.get(patch));
        let duties = regions.flat_map(|patch| patch.on_duty());
        let lost: SmallVec<_> = duties
            .filter(|host| *host != report.host && report.lost.contains(&host.tag()))
            .collect();
        for host in &lost {
            if let Some(host) = self.hosts.get_mut(host) {
                host.suspect = true;
            }
        }
        lost
    }

    /// Notes which of a host's appointments have reached it, and for which regions it forwards.
    fn confirm(&mut self, id: HostId, memberships: &[Membership]) {
        for said in memberships.iter().filter(|said| said.role == Role::Representative) {
            let Some(patch) = self.patches.get_mut(&said.patch) else { continue };
            for duty in patch.representatives.iter_mut().filter(|duty| duty.host == id) {
                (duty.confirmed, duty.forwards) = (true, said.forwards);
            }
        }
    }
}
