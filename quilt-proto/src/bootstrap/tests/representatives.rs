use super::hosts::{Hosts, config, group, host, open, path, report};
use crate::euid::{Metric, Range};
use crate::wire::Nic;
use crate::{Incarnation, PatchId, ProtocolId, Role, Time};
use alloc::vec::Vec;
use core::time::Duration;

/// Hosts 1 to `n` of one region, with k_min = 2 and k_max = 3.
fn region(n: u8) -> (Hosts, PatchId) {
    let mut hosts = Hosts::new(config());
    let patch = hosts.join(1, [open(1, &["a"])]).assignments[0].patch;
    (2..=n).for_each(|n| drop(hosts.join(n, [open(n, &["a"])])));
    (hosts, patch)
}

#[test]
fn the_first_of_a_region_represents_it_at_once() {
    let (mut hosts, patch) = region(0);
    let orders = hosts.report(1);
    let roles: [_; 2] =
        [0, 1].map(|at| (orders.assignments[at].patch, orders.assignments[at].role));
    let representative = Role::Representative;
    assert_eq!(roles, [(patch, representative), (PatchId::INTER_PATCH, representative)]);
    assert_eq!(orders.assignments[0].representatives[..], [host(1)]);
    assert!(orders.assignments[1].representatives.is_empty());
    assert_eq!(orders.assignments[1].protocol, ProtocolId::OMNI);
}

#[test]
fn the_service_acts_only_below_k_min_and_then_goes_up_to_k_max() {
    let (mut hosts, patch) = region(8);
    hosts.run(Duration::from_secs(6));
    assert_eq!(hosts.representatives(patch), [1, 2], "two are enough");
    hosts.kill(1);
    hosts.run(Duration::from_millis(4_100));
    assert_eq!(hosts.representatives(patch), [2, 3, 4], "one was too few, so up to three");
    hosts.kill(3);
    hosts.run(Duration::from_secs(6));
    assert_eq!(hosts.representatives(patch), [2, 4], "two are enough");
    assert_eq!(hosts.places(5).len(), 1);
    assert_eq!(hosts.places(4).len(), 2, "it was told, and it obeyed");
}

#[test]
fn all_representatives_may_die_at_once() {
    let (mut hosts, patch) = region(8);
    hosts.run(Duration::from_secs(6));
    (1..=2).for_each(|n| hosts.kill(n));
    hosts.run(Duration::from_millis(4_100));
    // The first death appointed 3 and 4, and after the second one two are enough.
    assert_eq!(hosts.representatives(patch), [3, 4]);
}

#[test]
fn a_dead_appointee_is_passed_over() {
    let (mut hosts, patch) = region(8);
    hosts.run(Duration::from_secs(6));
    (1..=4).for_each(|n| hosts.kill(n));
    hosts.run(Duration::from_secs(8));
    let appointed = hosts.representatives(patch);
    assert!(appointed.len() >= 2 && appointed.iter().all(|&n| n > 4), "{appointed:?}");
    hosts.run(Duration::from_secs(15));
    assert_eq!(hosts.directory.groups().next().unwrap().hosts.len(), 4, "the dead are forgotten");
}

#[test]
fn a_representative_that_leaves_is_replaced_at_once_and_its_fellows_are_told() {
    let (mut hosts, patch) = region(5);
    hosts.kill(2);
    hosts.directory.on_depart(hosts.now, group(), host(2), Incarnation(0));
    assert_eq!(hosts.representatives(patch), [1, 2], "an earlier life has no say");
    hosts.directory.on_depart(hosts.now, group(), host(2), Incarnation(1));
    assert_eq!(hosts.representatives(patch), [1, 3, 4]);
    let told = [(); 4].map(|()| hosts.directory.poll_unsolicited().unwrap());
    assert_eq!(told.each_ref().map(|(to, _)| *to), [1, 3, 4, 5].map(path));
    assert!(told.iter().all(|(_, orders)| orders.assignments.len() == 2));
    assert!(hosts.directory.poll_unsolicited().is_none());
}

#[test]
fn members_stand_by_and_are_told_of_each_other_and_of_the_way_in() {
    let (mut hosts, patch) = region(9);
    let orders = |hosts: &mut Hosts, n| hosts.report(n).assignments;
    for n in 1..=9 {
        let [region, inter @ ..] = &orders(&mut hosts, n)[..] else { panic!("{n} is nowhere") };
        assert_eq!(region.patch, patch);
        let roles = match n {
            1..=2 => (Role::Representative, Some(Role::Representative)),
            3..=6 => (Role::Member, Some(Role::Member)),
            _ => (Role::Member, None),
        };
        assert_eq!((region.role, inter.first().map(|inter| inter.role)), roles, "{n}");
        let told = if n <= 6 { [3, 4, 5, 6].map(host).to_vec() } else { Vec::new() };
        assert_eq!(region.standbys[..], told, "{n}");
        assert!(!(3..=6).contains(&n) || !inter[0].contacts.is_empty(), "{n} could join nobody");
    }
}

#[test]
fn whoever_stands_by_is_named_before_near_members_only_to_those_on_duty() {
    let (mut hosts, _) = region(30);
    let standbys = [3, 4, 5, 6].map(host);
    for n in 1..=30 {
        hosts.reports.get_mut(&n).unwrap().memberships[0].wants_contacts = true;
        let orders = hosts.report(n);
        let named = orders.assignments[0].contacts.iter().map(|contact| contact.host);
        let others: Vec<_> = named.filter(|other| ![1, 2].map(host).contains(other)).collect();
        let first = others.iter().take_while(|other| standbys.contains(other)).count();
        match n {
            1..=2 => assert_eq!(first, 4, "{n}"),
            3..=6 => assert_eq!(first, 3, "{n}"),
            _ => assert!(first < 3, "all would ask the same few: {n}"),
        }
    }
}

#[test]
fn who_stands_by_is_believed_that_it_stepped_in_only_if_it_has_lost_all_representatives() {
    let (mut hosts, patch) = region(9);
    let mut claim = |n: u8, lost: &[u8]| {
        let mut report = hosts.reports[&n].clone();
        report.memberships[0].role = Role::Representative;
        report.lost = lost.iter().map(|&n| host(n).tag()).collect();
        hosts.send(report).unwrap();
        hosts.representatives(patch)
    };
    assert_eq!(claim(3, &[1]), [1, 2], "one is left");
    assert_eq!(claim(8, &[1, 2]), [1, 2], "it does not stand by");
    assert_eq!(claim(3, &[1, 2]), [1, 2, 3]);
}

#[test]
fn orders_are_repeated_until_they_are_obeyed() {
    let (mut hosts, _) = region(5);
    hosts.kill(2);
    hosts.directory.on_depart(hosts.now, group(), host(2), Incarnation(1));
    while hosts.directory.poll_unsolicited().is_some() {} // lost on the way
    let before = hosts.reports[&3].clone();
    for _ in 0..2 {
        let orders = hosts.directory.on_report(hosts.now, path(3), &before).unwrap();
        assert_eq!(orders.assignments.len(), 2);
        assert!(!orders.assignments[1].contacts.is_empty(), "it is new there");
    }
}

#[test]
fn a_representative_found_dead_by_another_is_replaced_sooner() {
    let (mut hosts, patch) = region(5);
    hosts.run(Duration::from_millis(2_100));
    hosts.kill(2);
    hosts.reports.get_mut(&1).unwrap().lost.push(host(2).tag());
    hosts.run(Duration::from_millis(1_500));
    assert_eq!(hosts.representatives(patch), [1, 3, 4]);
}

#[test]
fn a_representative_wrongly_found_dead_stays() {
    let (mut hosts, patch) = region(5);
    hosts.reports.get_mut(&1).unwrap().lost.push(host(2).tag());
    hosts.run(Duration::from_secs(9));
    assert_eq!(hosts.representatives(patch), [1, 2]);
}

#[test]
fn who_is_not_in_the_region_has_no_say_about_its_representatives() {
    let (mut hosts, patch) = region(2);
    hosts.run(Duration::from_millis(2_100));
    let mut stranger = report(9, [open(9, &["b"])]);
    stranger.lost.push(host(2).tag());
    hosts.send(stranger).unwrap();
    hosts.kill(2);
    hosts.run(Duration::from_millis(1_600));
    assert_eq!(hosts.representatives(patch), [1, 2]);
}

#[test]
fn capacity_decides_only_among_more_candidates_than_needed() {
    let fast = |n: u8, uplink: u32| -> Nic {
        let mut nic = open(n, &["a"]);
        let range = Range { lower: uplink, upper: uplink };
        nic.euid.performance.insert(Metric::UPLINK_KBPS, range);
        nic
    };
    for (size, expected) in [(4, [1, 3, 4]), (6, [1, 5, 6])] {
        let mut hosts = Hosts::new(config());
        let patch = hosts.join(1, [open(1, &["a"])]).assignments[0].patch;
        (2..=size).for_each(|n| drop(hosts.join(n, [fast(n, 100 * u32::from(n))])));
        hosts.kill(2);
        hosts.directory.on_depart(Time::ZERO, group(), host(2), Incarnation(1));
        let mut appointed = hosts.representatives(patch);
        appointed.sort_unstable();
        assert_eq!(appointed, expected);
    }
}

#[test]
fn who_lacks_the_inter_patch_protocol_is_not_appointed() {
    let mut hosts = Hosts::new(config());
    let mut lacking = report(1, [open(1, &["a"])]);
    lacking.protocols.retain(|protocol| *protocol != ProtocolId::OMNI);
    let patch = hosts.send(lacking).unwrap().assignments[0].patch;
    assert!(hosts.representatives(patch).is_empty());
    hosts.join(2, [open(2, &["a"])]);
    assert_eq!(hosts.representatives(patch), [2]);
}
