//! Which hosts are needed, by whom, and over which stream they are reached.

use super::Need;
use crate::{HostId, LinkId};
use alloc::collections::{BTreeMap, BTreeSet};

/// The hosts that are linked or needed.
#[derive(Debug, Default)]
pub(super) struct Hosts(BTreeMap<HostId, Entry>);

#[derive(Debug, Default)]
struct Entry {
    link: Option<LinkId>,
    needs: BTreeSet<Need>,
}

impl Hosts {
    pub(super) fn link(&self, host: HostId) -> Option<LinkId> {
        self.0.get(&host)?.link
    }

    pub(super) fn set_link(&mut self, host: HostId, link: LinkId) {
        self.0.entry(host).or_default().link = Some(link);
    }

    pub(super) fn clear_link(&mut self, host: HostId) {
        if let Some(entry) = self.0.get_mut(&host) {
            entry.link = None;
        }
        self.tidy(host);
    }

    pub(super) fn is_needed(&self, host: HostId) -> bool {
        self.0.get(&host).is_some_and(|entry| !entry.needs.is_empty())
    }

    pub(super) fn need(&mut self, host: HostId, need: Need) {
        self.0.entry(host).or_default().needs.insert(need);
    }

    pub(super) fn release(&mut self, host: HostId, need: Need) {
        if let Some(entry) = self.0.get_mut(&host) {
            entry.needs.remove(&need);
        }
        self.tidy(host);
    }

    pub(super) fn needs(&self, host: HostId) -> BTreeSet<Need> {
        self.0.get(&host).map(|entry| entry.needs.clone()).unwrap_or_default()
    }

    /// Drops all needs, and returns them.
    pub(super) fn forget_needs(&mut self, host: HostId) -> BTreeSet<Need> {
        let needs = self.0.get_mut(&host).map(|entry| core::mem::take(&mut entry.needs));
        self.tidy(host);
        needs.unwrap_or_default()
    }

    fn tidy(&mut self, host: HostId) {
        if self.0.get(&host).is_some_and(|entry| entry.link.is_none() && entry.needs.is_empty()) {
            self.0.remove(&host);
        }
    }
}
