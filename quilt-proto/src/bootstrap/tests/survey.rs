use super::hosts::{Hosts, config, group, host, open};
use crate::survey::{Parent, Representative};
use crate::wire::{Scope, SurveyPart};
use crate::{GroupId, PatchId};
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

/// Hosts `1..=sites`, each behind a router of its own.
fn apart(sites: u8) -> Hosts {
    let mut hosts = Hosts::new(config());
    for n in 1..=sites {
        hosts.join(n, [open(n, &[&format!("router-{n}")])]);
        hosts.report(n);
    }
    hosts
}

fn survey(hosts: &Hosts, from: PatchId) -> SurveyPart {
    hosts.directory.survey(group(), host(1).tag(), from).unwrap()
}

#[test]
fn the_parts_of_a_survey_name_every_patch_once_and_in_order() {
    let hosts = apart(40);
    let (mut patches, mut from) = (Vec::new(), PatchId(0));
    for _ in 0..6 {
        let part = survey(&hosts, from);
        assert_eq!((part.from, part.hosts), (from, 40));
        assert!(part.patches.len() <= SurveyPart::MAX_PATCHES);
        patches.extend(part.patches);
        if !part.more {
            break;
        }
        from = PatchId(patches.last().unwrap().patch.0 + 1);
    }
    let ids: Vec<PatchId> = patches.iter().map(|patch| patch.patch).collect();
    let known = hosts.directory.groups().next().unwrap();
    assert_eq!(ids, known.patches.keys().copied().collect::<Vec<_>>());
    assert_eq!(ids.len(), 41);
    let (inter, regions) = patches.split_first().unwrap();
    assert_eq!((inter.scope, inter.members), (Scope::InterPatch, 40));
    assert!(inter.representatives.is_empty());
    assert!(regions.iter().all(|patch| (patch.members, patch.representatives.len()) == (1, 1)));
}

#[test]
fn what_a_representative_says_of_its_parent_is_surveyed_until_it_says_otherwise() {
    let mut hosts = apart(2);
    let told = |hosts: &Hosts| {
        let patches = survey(hosts, PatchId(1)).patches;
        let all = patches.into_iter().flat_map(|patch| patch.representatives);
        all.filter(|one| one.host == host(2).tag()).collect::<Vec<Representative>>()
    };
    let stands = Representative { host: host(2).tag(), forwards: false, parent: None };
    assert_eq!(told(&hosts), [stands]);

    let round_trip = Some(Duration::from_micros(1_500));
    let parent = Some(Parent { host: host(1).tag(), round_trip });
    let report = hosts.reports.get_mut(&2).unwrap();
    report.parent = parent;
    report.memberships.iter_mut().for_each(|said| said.forwards = true);
    hosts.report(2);
    assert_eq!(told(&hosts), [Representative { forwards: true, parent, ..stands }]);
    hosts.reports.get_mut(&2).unwrap().parent = None;
    hosts.report(2);
    assert_eq!(told(&hosts)[0].parent, None);
}

#[test]
fn strangers_and_other_groups_are_not_told() {
    let hosts = apart(2);
    assert_eq!(hosts.directory.survey(group(), host(3).tag(), PatchId(0)), None);
    assert_eq!(hosts.directory.survey(GroupId::named("other"), host(1).tag(), PatchId(0)), None);
    let end = survey(&hosts, PatchId(u32::MAX));
    assert_eq!((end.patches.len(), end.more), (0, false));
}
