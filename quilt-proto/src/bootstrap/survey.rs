//! How a group is put together, for a member that asks.

use super::directory::Directory;
use super::group::{Group, Patch};
use crate::survey;
use crate::wire::{Assignment, SurveyPart};
use crate::{GroupId, HostTag, PatchId};
use alloc::vec::Vec;

impl Directory {
    /// The patches of a group from one on, as many as an answer holds; `None` for who is not in
    /// the group.
    pub(super) fn survey(&self, id: GroupId, asking: HostTag, from: PatchId) -> Option<SurveyPart> {
        let group = self.group(id).filter(|group| group.tags.contains_key(&asking))?;
        let mut rest = group.patches.range(from..);
        let patches = rest.by_ref().take(SurveyPart::MAX_PATCHES);
        Some(SurveyPart {
            group: id,
            from,
            hosts: count(group.hosts.len()),
            patches: patches.map(|(&id, patch)| group.tell_of(id, patch)).collect(),
            more: rest.next().is_some(),
        })
    }
}

impl Group {
    fn tell_of(&self, id: PatchId, patch: &Patch) -> survey::Patch {
        let representatives = patch.representatives.iter().take(Assignment::MAX_REPRESENTATIVES);
        let representatives: Vec<_> = representatives
            .map(|duty| survey::Representative {
                host: duty.host.tag(),
                forwards: duty.forwards,
                parent: self.hosts.get(&duty.host).and_then(|host| host.parent),
            })
            .collect();
        survey::Patch {
            patch: id,
            scope: patch.scope,
            protocol: patch.protocol,
            members: count(patch.population),
            representatives,
        }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
