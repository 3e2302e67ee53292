//! All groups: reports in, orders out.

use super::BootstrapConfig;
use super::group::{Group, Path};
use crate::protocol::Timers;
use crate::wire::{Orders, Refusal, Report};
use crate::{GroupId, HostId, Incarnation, PatchId, Rng, Time};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

/// What the directory waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Watch {
    /// A host has been silent for too long.
    Host(GroupId, HostId),
    /// What there was to relearn of a patch is known.
    Patch(GroupId, PatchId),
}

/// Who is in which patch of which group. It knows nothing of links and frames.
#[derive(Debug)]
pub(super) struct Directory {
    config: BootstrapConfig,
    /// The groups that may exist; any if `None`.
    allowed: Option<BTreeSet<GroupId>>,
    groups: BTreeMap<GroupId, Group>,
    watches: Timers<Watch>,
    rng: Rng,
    /// The epoch of the last orders. The upper half is this life of the service; the lower half
    /// counts the orders to all hosts, so that it rises also for one that was forgotten and is back.
    epoch: u64,
    changes: u64,
    /// Hosts whose orders have changed without their having asked.
    unsolicited: VecDeque<(GroupId, HostId)>,
}

impl Directory {
    pub(super) fn new(config: BootstrapConfig, mut rng: Rng) -> Self {
        let allowed = config.groups.as_ref();
        let allowed = allowed.map(|names| names.iter().map(|name| GroupId::named(name)).collect());
        let epoch = new_life(&mut rng);
        Self {
            config,
            allowed,
            groups: BTreeMap::new(),
            watches: Timers::default(),
            rng,
            epoch,
            changes: 0,
            unsolicited: VecDeque::new(),
        }
    }

    pub(super) fn config(&self) -> &BootstrapConfig {
        &self.config
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    pub(super) fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(&id)
    }

    /// Counts everything that [`groups`](Self::groups) could show anew.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Takes a report in; what the host shall do.
    ///
    /// # Errors
    /// The host is not in the group, and nothing is known of it.
    pub(super) fn on_report(
        &mut self,
        now: Time,
        path: Path,
        report: &Report,
    ) -> Result<Orders, Refusal> {
        let id = report.group;
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(&id)) {
            return Err(Refusal::UnknownGroup);
        }
        if !self.groups.contains_key(&id) {
            if !report.create && report.memberships.is_empty() {
                return Err(Refusal::UnknownGroup);
            }
            if self.groups.len() >= self.config.limits.groups {
                return Err(Refusal::Full);
            }
        }
        let delivery = report.delivery.unwrap_or_default();
        let group = self.groups.entry(id).or_insert_with(|| Group::new(id, delivery));
        group.agree(report)?;
        let stood: BTreeSet<PatchId> = group.patches_of(report.host).collect();
        let admitted = group.admit(now, &self.config, path, report);
        let stands: BTreeSet<PatchId> = group.patches_of(report.host).collect();
        let suspects = group.suspect(report);
        if stood != stands || admitted == Ok(true) {
            self.changes = self.changes.wrapping_add(1);
        }
        suspects.into_iter().for_each(|suspect| self.watch_host(id, suspect));
        self.watch_host(id, report.host);
        for &patch in stood.union(&stands) {
            self.appoint(now, id, patch, Some(report.host));
        }
        self.forget_if_empty(id);
        admitted?;
        // An admitted host has orders.
        self.orders(id, report.host).ok_or(Refusal::UnknownGroup)
    }

    /// A host leaves in good order. One that was replaced by a later life of its own does not
    /// take that with it.
    pub(super) fn on_depart(&mut self, now: Time, id: GroupId, host: HostId, life: Incarnation) {
        let Some(group) = self.groups.get(&id) else { return };
        if group.hosts.get(&host).is_some_and(|known| known.incarnation <= life) {
            self.remove(now, id, host);
        }
    }

    /// What a host must be told without having asked, and the way to it.
    pub(super) fn poll_unsolicited(&mut self) -> Option<(Path, Orders)> {
        while let Some((group, host)) = self.unsolicited.pop_front() {
            let path = self.groups.get(&group).and_then(|group| group.hosts.get(&host));
            if let (Some(path), Some(orders)) =
                (path.map(|host| host.path), self.orders(group, host))
            {
                return Some((path, orders));
            }
        }
        None
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.watches.next()
    }

    /// Acts on one deadline that has come; false if none has.
    pub(super) fn on_timeout(&mut self, now: Time) -> bool {
        match self.watches.pop(now) {
            Some(Watch::Host(group, host)) => self.on_silence(now, group, host),
            Some(Watch::Patch(group, patch)) => self.appoint(now, group, patch, None),
            None => return false,
        }
        true
    }

    /// A host is dead, unless it was only appointed and does not know it yet.
    fn on_silence(&mut self, now: Time, id: GroupId, host: HostId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let relieved = group.relieve(now, host);
        if group.deadline(host).is_some_and(|deadline| deadline <= now) {
            return self.remove(now, id, host);
        }
        self.changes = self.changes.wrapping_add(1);
        self.watch_host(id, host);
        relieved.into_iter().for_each(|patch| self.appoint(now, id, patch, None));
    }

    fn remove(&mut self, now: Time, id: GroupId, host: HostId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let patches = group.remove(host);
        self.changes = self.changes.wrapping_add(1);
        self.watches.stop(Watch::Host(id, host));
        patches.into_iter().for_each(|patch| self.appoint(now, id, patch, None));
        self.forget_if_empty(id);
    }

    /// Appoints representatives where they are too few, and those who stand by for them. All of both
    /// but `asking` are told unasked: they must agree at once on who forwards.
    fn appoint(&mut self, now: Time, id: GroupId, patch: PatchId, asking: Option<HostId>) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let settled = group.patches.get(&patch).and_then(|patch| patch.settled);
        if let Some(settled) = settled.filter(|&settled| now < settled) {
            return self.watches.set(Watch::Patch(id, patch), settled);
        }
        let appointed = group.appoint(now, &self.config, patch);
        let others = group.stand_by(now, &self.config, patch);
        if appointed.is_empty() && !others {
            return;
        }
        self.changes = self.changes.wrapping_add(1);
        let region = group.patches.get(&patch);
        let fellows: BTreeSet<HostId> =
            region.into_iter().flat_map(|region| region.on_duty()).collect();
        // They need each other's addresses.
        group.tell_contacts(&fellows);
        let told = fellows.into_iter().filter(|&host| asking != Some(host));
        self.unsolicited.extend(told.map(|host| (id, host)));
        appointed.into_iter().for_each(|host| self.watch_host(id, host));
    }

    fn orders(&mut self, group: GroupId, host: HostId) -> Option<Orders> {
        let group = self.groups.get(&group)?;
        // When a life has given all its numbers out, the next one begins.
        self.epoch = match self.epoch as u32 {
            u32::MAX => new_life(&mut self.rng),
            _ => self.epoch.wrapping_add(1),
        };
        group.orders(host, self.epoch, &mut self.rng)
    }

    fn watch_host(&mut self, id: GroupId, host: HostId) {
        let deadline = self.groups.get(&id).and_then(|group| group.deadline(host));
        match deadline {
            Some(deadline) => self.watches.set(Watch::Host(id, host), deadline),
            None => self.watches.stop(Watch::Host(id, host)),
        }
    }

    fn forget_if_empty(&mut self, id: GroupId) {
        if self.groups.get(&id).is_some_and(|group| group.hosts.is_empty()) {
            self.groups.remove(&id);
        }
    }
}

/// The first epoch of a life of the service: see [`Orders::epoch`].
fn new_life(rng: &mut Rng) -> u64 {
    rng.next_u64() >> 32 << 32
}
