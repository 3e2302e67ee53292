use super::hosts::{Hosts, config, euid, host, nic, open, report};
use crate::euid::{Barrier, Nat};
use crate::wire::{Nic, Refusal, Scope};
use crate::{Incarnation, PatchId, ProtocolId, Role};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

/// The interface of a host of the synthetic topology (paper, section 5.1 and Figure 7).
fn synthetic(n: u8) -> Nic {
    let domain = n.div_ceil(5);
    let (gateway, barrier) = match domain {
        1 => ("gateway1", Barrier::None),
        2 => ("gateway2*", Barrier::Nat(Nat::at(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 2))))),
        3 => ("gateway3", Barrier::Nat(Nat::at(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 3))))),
        _ => ("gateway4*", Barrier::Nat(Nat::at(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 4))))),
    };
    nic(domain, n, euid(barrier, &[gateway]))
}

/// Table 3 of the paper: what each host of the synthetic topology runs, with k = 1.
#[test]
fn the_four_domains_form_the_patches_of_table_3() {
    let mut config = config();
    (config.policy.representatives_min, config.policy.representatives_max) = (1, 1);
    let mut hosts = Hosts::new(config);
    (1..=20).for_each(|n| drop(hosts.join(n, [synthetic(n)])));
    hosts.run(Duration::from_secs(10));

    let mut regions = BTreeSet::new();
    for first in [1, 6, 11, 16] {
        let protocol = if [6, 16].contains(&first) { ProtocolId::IPMC } else { ProtocolId::DONET };
        let places = hosts.places(first);
        let region = places[0].0;
        let inter = (PatchId::INTER_PATCH, ProtocolId::OMNI, Role::Representative);
        assert_eq!(places, [(region, protocol, Role::Representative), inter], "host {first}");
        for n in first + 1..first + 5 {
            assert_eq!(hosts.places(n), [(region, protocol, Role::Member)], "host {n}");
        }
        assert_eq!(hosts.representatives(region), [first]);
        regions.insert(region);
    }
    assert_eq!(regions.len(), 4);
}

#[test]
fn a_host_that_senses_more_is_moved_to_a_better_patch_but_no_more_than_once_a_minute() {
    let mut hosts = Hosts::new(config());
    let protocol = |hosts: &Hosts| hosts.places(1).iter().map(|place| place.1).next();
    hosts.join(1, [open(1, &["a"])]);
    hosts.join(2, [open(2, &["a"])]);
    assert_eq!(protocol(&hosts), Some(ProtocolId::DONET));
    hosts.senses(1, open(1, &["a*"]));
    assert_eq!(protocol(&hosts), Some(ProtocolId::IPMC));
    // Where it cannot stay it is moved at once.
    hosts.senses(1, open(1, &["a"]));
    assert_eq!(protocol(&hosts), Some(ProtocolId::DONET));
    hosts.senses(1, open(1, &["a*"]));
    assert_eq!(protocol(&hosts), Some(ProtocolId::DONET), "it was moved a moment ago");
    hosts.run(Duration::from_secs(61));
    hosts.senses(1, open(1, &["a*", "b"]));
    assert_eq!(protocol(&hosts), Some(ProtocolId::IPMC));
}

#[test]
fn ipmc_patches_merge_by_union_though_it_is_not_transitive() {
    let mut hosts = Hosts::new(config());
    let patches: BTreeSet<_> = [(1, &["a*"][..]), (2, &["a*", "b*"]), (3, &["b*"])]
        .map(|(n, routers)| hosts.join(n, [open(n, routers)]).assignments[0].patch)
        .into();
    assert_eq!(patches.len(), 1, "the first and the last share the patch but no router");
}

#[test]
fn a_host_between_two_ipmc_regions_runs_the_protocol_twice() {
    let mut hosts = Hosts::new(config());
    let a = hosts.join(1, [open(1, &["a*"])]).assignments[0].patch;
    let b = hosts.join(2, [open(2, &["b*"])]).assignments[0].patch;
    let one_nic = hosts.join(3, [open(3, &["a*", "b*"])]);
    let regions: BTreeSet<_> = one_nic.assignments.iter().map(|to| (to.patch, to.nic)).collect();
    assert!(regions.is_superset(&[(a, 0), (b, 0)].into()), "{regions:?}");

    let mut hosts = Hosts::new(config());
    let two_nics = hosts.join(3, [open(3, &["a*"]), nic(1, 3, euid(Barrier::None, &["b*"]))]);
    let regional = two_nics.assignments.iter().filter(|to| to.scope == Scope::Regional);
    let regional: BTreeSet<_> = regional.map(|to| (to.patch, to.nic)).collect();
    assert_eq!(regional, [(a, 0), (b, 1)].into());
}

#[test]
fn a_forbidden_prefix_falls_to_the_next_protocol() {
    let mut config = config();
    config.policy.forbidden.push((ProtocolId::IPMC, "10.7.0.0/16".parse().unwrap()));
    let mut hosts = Hosts::new(config);
    let surroundings = euid(Barrier::None, &["a*"]);
    let allowed = hosts.join(1, [nic(6, 1, surroundings.clone())]);
    let forbidden = hosts.join(2, [nic(7, 2, surroundings)]);
    assert_eq!(allowed.assignments[0].protocol, ProtocolId::IPMC);
    assert_eq!(forbidden.assignments[0].protocol, ProtocolId::DONET);
}

#[test]
fn of_several_fitting_patches_the_nearest_is_joined() {
    let mut hosts = Hosts::new(config());
    let far = hosts.join(1, [open(1, &["leaf1", "spine1"])]).assignments[0].patch;
    let near = hosts.join(2, [open(2, &["leaf2", "spine2"])]).assignments[0].patch;
    assert_ne!(far, near);
    let joined = hosts.join(3, [open(3, &["leaf2", "x", "spine1"])]);
    assert_eq!(joined.assignments[0].patch, near);
}

#[test]
fn a_host_whose_protocol_fails_is_moved_to_the_next() {
    let mut hosts = Hosts::new(config());
    assert_eq!(hosts.join(1, [open(1, &["a*"])]).assignments[0].protocol, ProtocolId::IPMC);
    let mut report = report(1, [open(1, &["a*"])]);
    report.protocols.retain(|protocol| *protocol != ProtocolId::IPMC);
    let moved = hosts.send(report).unwrap();
    let protocols: Vec<_> = moved.assignments.iter().map(|to| to.protocol).collect();
    assert_eq!(protocols, [ProtocolId::DONET, ProtocolId::OMNI]);
    assert_eq!(hosts.directory.groups().map(|group| group.patches.len()).sum::<usize>(), 2);
}

#[test]
fn a_host_that_fits_nothing_is_refused_and_leaves_no_state() {
    let mut hosts = Hosts::new(config());
    let unknown = nic(0, 1, Default::default());
    assert_eq!(hosts.send(report(1, [unknown.clone()])), Err(Refusal::NoProtocol));
    assert_eq!(hosts.directory.groups().count(), 0);
    assert_eq!(hosts.directory.poll_timeout(), None);
    // Also if it fitted before.
    hosts.join(1, [open(1, &["a*"])]);
    assert_eq!(hosts.send(report(1, [unknown])), Err(Refusal::NoProtocol));
    assert_eq!(hosts.directory.groups().count(), 0);
}

#[test]
fn groups_that_do_not_exist_are_unknown() {
    let mut hosts = Hosts::new(config());
    let mut shy = report(1, [open(1, &["a"])]);
    shy.create = false;
    assert_eq!(hosts.send(shy.clone()), Err(Refusal::UnknownGroup));
    hosts.join(2, [open(2, &["a"])]);
    assert!(hosts.send(shy).is_ok());

    let mut config = config();
    config.groups = Some(["other".into()].into());
    let refused = Hosts::new(config).send(report(1, [open(1, &["a"])]));
    assert_eq!(refused, Err(Refusal::UnknownGroup));
}

#[test]
fn tags_and_incarnations_decide_who_is_who() {
    let mut hosts = Hosts::new(config());
    hosts.join(1, [open(1, &["a"])]);
    let mut other = report(1, [open(2, &["a"])]);
    other.host.0[31] ^= 1;
    assert_eq!(hosts.send(other), Err(Refusal::TagTaken));

    let mut later = report(1, [open(1, &["b"])]);
    later.incarnation = Incarnation(2);
    let moved = hosts.send(later).unwrap();
    assert_eq!(hosts.send(report(1, [open(1, &["a"])])), Err(Refusal::Replaced));
    let group = hosts.directory.groups().next().unwrap();
    assert_eq!(group.hosts[&host(1)].incarnation, Incarnation(2));
    let patches: Vec<_> = group.patches.keys().copied().collect();
    assert_eq!(patches, [PatchId::INTER_PATCH, moved.assignments[0].patch], "the old one is gone");
}

#[test]
fn limits_refuse_further_hosts_and_patches() {
    let mut config = config();
    config.limits.group_hosts = 3;
    config.limits.patches = 3;
    config.policy.order = [ProtocolId::DONET].into();
    let mut hosts = Hosts::new(config);
    hosts.join(1, [open(1, &["a"])]);
    hosts.join(2, [open(2, &["b"])]);
    assert_eq!(hosts.send(report(3, [open(3, &["c"])])), Err(Refusal::Full), "patches");
    hosts.join(3, [open(3, &["a"])]);
    assert_eq!(hosts.send(report(4, [open(4, &["a"])])), Err(Refusal::Full), "hosts");
}

#[test]
fn contacts_go_to_whoever_is_new_or_asks_representatives_first() {
    let mut hosts = Hosts::new(config());
    (1..=9).for_each(|n| drop(hosts.join(n, [open(n, &["a"])])));
    let orders = hosts.join(10, [open(10, &["a"])]);
    let contacts: Vec<_> =
        orders.assignments[0].contacts.iter().map(|contact| contact.host.0[0]).collect();
    assert_eq!(contacts.iter().collect::<BTreeSet<_>>().len(), 9);
    assert_eq!(contacts[..2].iter().copied().collect::<BTreeSet<_>>(), [1, 2].into());
    assert!(hosts.report(10).assignments[0].contacts.is_empty(), "it is at home now");
    let mut asking = hosts.reports[&10].clone();
    asking.memberships[0].wants_contacts = true;
    assert_eq!(hosts.send(asking).unwrap().assignments[0].contacts.len(), 9);
}
