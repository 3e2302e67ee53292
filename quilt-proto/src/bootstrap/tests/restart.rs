use super::hosts::{Hosts, config, open, report};
use crate::wire::Refusal;
use crate::{PatchId, ProtocolId};
use alloc::vec::Vec;
use core::time::Duration;

/// Two regions of six hosts: 1 to 6 and 7 to 12.
fn two_regions() -> Hosts {
    let mut hosts = Hosts::new(config());
    (1..=6).for_each(|n| drop(hosts.join(n, [open(n, &["a", "core"])])));
    (7..=12).for_each(|n| drop(hosts.join(n, [open(n, &["b*", "core"])])));
    hosts.run(Duration::from_secs(6));
    hosts.kill(1);
    hosts.run(Duration::from_secs(6));
    hosts
}

fn everybody(hosts: &Hosts) -> Vec<Vec<(PatchId, ProtocolId, crate::Role)>> {
    hosts.reports.keys().map(|&n| hosts.places(n)).collect()
}

#[test]
fn a_service_without_memory_learns_everything_from_reports_and_moves_nobody() {
    let mut hosts = two_regions();
    let before = everybody(&hosts);
    let known = hosts.representatives(hosts.places(2)[0].0);
    assert_eq!(known, [2, 3, 4]);
    hosts.restart_service();
    hosts.run(Duration::from_secs(30));
    assert_eq!(everybody(&hosts), before);
    let mut relearnt = hosts.representatives(hosts.places(2)[0].0);
    relearnt.sort_unstable();
    assert_eq!(relearnt, known);
    assert_eq!(hosts.directory.groups().next().unwrap().hosts.len(), 11);
}

#[test]
fn who_joins_before_any_old_member_reports_gets_the_old_patch() {
    for (old, routers) in [(2, ["a", "core"]), (7, ["b*", "core"])] {
        let mut hosts = two_regions();
        let before = everybody(&hosts);
        let patch = hosts.places(old)[0];
        hosts.restart_service();
        let joined = hosts.join(20, [open(20, &routers)]);
        assert_eq!(
            (joined.assignments[0].patch, joined.assignments[0].protocol),
            (patch.0, patch.1)
        );
        hosts.run(Duration::from_secs(30));
        hosts.kill(20);
        assert_eq!(everybody(&hosts), before, "nobody else is moved or appointed");
    }
}

#[test]
fn a_representative_that_died_with_the_service_is_replaced() {
    let mut hosts = two_regions();
    let patch = hosts.places(7)[0].0;
    assert_eq!(hosts.representatives(patch), [7, 8]);
    hosts.restart_service();
    hosts.kill(7);
    hosts.run(Duration::from_secs(30));
    assert_eq!(hosts.representatives(patch), [8, 9, 10]);
}

#[test]
fn reports_with_memberships_need_no_leave_to_create_the_group() {
    let mut hosts = two_regions();
    hosts.restart_service();
    let mut member = hosts.reports[&2].clone();
    member.create = false;
    assert!(hosts.send(member).is_ok());
    let mut elsewhere = report(1, [open(1, &["a"])]);
    elsewhere.group = crate::GroupId::named("another");
    elsewhere.create = false;
    assert_eq!(hosts.send(elsewhere), Err(Refusal::UnknownGroup));
}

#[test]
fn epochs_rise_within_one_life_and_differ_in_their_high_half_between_two() {
    let mut hosts = two_regions();
    let first = hosts.report(2).epoch;
    let second = hosts.report(2).epoch;
    assert!(first < second && first >> 32 == second >> 32);
    hosts.restart_service();
    assert_ne!(hosts.report(2).epoch >> 32, second >> 32);
}

#[test]
fn a_host_that_was_forgotten_and_is_back_gets_a_higher_epoch() {
    let mut hosts = two_regions();
    let before = hosts.report(2).epoch;
    let report = hosts.reports[&2].clone();
    hosts.kill(2);
    hosts.run(Duration::from_secs(20));
    assert_eq!(hosts.directory.groups().next().unwrap().hosts.len(), 10);
    assert!(hosts.send(report).unwrap().epoch > before);
}

#[test]
fn a_membership_that_cannot_be_is_not_believed() {
    let mut hosts = two_regions();
    hosts.restart_service();
    let mut liar = hosts.reports[&12].clone();
    liar.memberships[0].protocol = ProtocolId(999);
    liar.memberships[0].patch = PatchId(77);
    let orders = hosts.send(liar).unwrap();
    assert_ne!(orders.assignments[0].patch, PatchId(77));
}
