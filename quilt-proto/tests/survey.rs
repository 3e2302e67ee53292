//! What members learn of their whole group, over a network in memory.

#![allow(clippy::arithmetic_side_effects, reason = "a test may panic")]

mod world;

use quilt_proto::survey::{NotMember, Survey};
use quilt_proto::wire::Scope;
use quilt_proto::{HostTag, Limits, Notice, ProtocolId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use world::{Site, World, service_address};

/// What the application of a host is told of surveys, with time up to `millis`.
fn answers(world: &mut World, host: usize, millis: u64) -> Vec<Notice> {
    world.run(millis);
    let is_one =
        |notice: &Notice| matches!(notice, Notice::Surveyed(_) | Notice::NotSurveyed { .. });
    let (told, rest) = world.told[host].drain(..).partition(is_one);
    world.told[host] = rest;
    told
}

fn ask(world: &mut World, host: usize) -> Result<(), NotMember> {
    let group = world.group;
    world.net.call(world.hosts[host], |node, now| node.survey(now, group))
}

fn survey(world: &mut World, host: usize, millis: u64) -> Survey {
    ask(world, host).unwrap();
    match &answers(world, host, millis)[..] {
        [Notice::Surveyed(survey)] => survey.clone(),
        other => panic!("not one survey but {other:?}"),
    }
}

#[test]
fn a_survey_shows_every_patch_and_one_tree_with_measured_round_trips() {
    let mut world =
        World::new(1, &[Site::multicast(6), Site::multicast(5), Site::plain(4), Site::plain(1)]);
    world.net.set_latency(Duration::from_millis(5));
    world.join_all();
    world.run(3_000);
    let survey = survey(&mut world, 3, 200);
    assert_eq!((survey.group, survey.hosts), (world.group, 16));
    let (inter, regions) = survey.patches.split_first().unwrap();
    assert_eq!((inter.scope, inter.protocol), (Scope::InterPatch, ProtocolId::OMNI));
    let sizes: BTreeSet<(u16, u32)> = regions.iter().map(|p| (p.protocol.0, p.members)).collect();
    assert_eq!(sizes, BTreeSet::from([(1, 6), (1, 5), (2, 4), (2, 1)]));

    let representatives = regions.iter().flat_map(|patch| &patch.representatives);
    let parents: BTreeMap<HostTag, _> = representatives.map(|one| (one.host, one.parent)).collect();
    assert_eq!(inter.members as usize, parents.len());
    let roots = parents.values().filter(|parent| parent.is_none()).count();
    assert_eq!(roots, 1, "{parents:?}");
    for parent in parents.values().flatten() {
        let round_trip = parent.round_trip.expect("it was measured");
        assert!((9..=20).contains(&round_trip.as_millis()), "{round_trip:?}");
        assert!(parents.contains_key(&parent.host));
    }
    for patch in regions {
        let forwarders = patch.representatives.iter().filter(|one| one.forwards).count();
        assert_eq!(forwarders, 1, "{patch:?}");
    }
}

#[test]
fn a_group_of_many_patches_is_surveyed_part_by_part() {
    let sites: Vec<Site> = (0..30).map(|_| Site::plain(1)).collect();
    let mut world = World::new(2, &sites);
    world.join_all();
    let survey = survey(&mut world, 0, 200);
    assert_eq!(survey.patches.len(), 31);
    assert!(survey.patches.windows(2).all(|pair| pair[0].patch < pair[1].patch));
}

#[test]
fn a_survey_of_more_patches_than_the_limit_ends_there() {
    let sites: Vec<Site> = (0..20).map(|_| Site::plain(1)).collect();
    let mut world = World::with_limits(3, &sites, Limits { patches: 10, ..Limits::default() });
    world.join_all();
    assert_eq!(survey(&mut world, 0, 200).patches.len(), 10);
}

#[test]
fn a_survey_is_asked_for_again_where_datagrams_are_lost() {
    let mut world = World::new(4, &[Site::plain(3), Site::plain(3)]);
    world.join_all();
    world.net.set_loss_permille(400);
    for _ in 0..10 {
        assert_eq!(survey(&mut world, 1, 4_000).patches.len(), 3);
    }
}

#[test]
fn a_service_that_started_anew_answers_once_it_knows_the_member_again() {
    let mut world = World::new(5, &[Site::plain(2)]);
    world.join_all();
    let service = world.service;
    world.net.replace_bootstrap(service, world::bootstrap(77));
    assert_eq!(survey(&mut world, 0, 2_000).patches.len(), 2);
}

#[test]
fn a_survey_that_nobody_answers_is_given_up_within_four_seconds() {
    let mut world = World::new(6, &[Site::plain(2)]);
    world.join_all();
    world.net.kill(world.service);
    ask(&mut world, 0).unwrap();
    ask(&mut world, 0).unwrap();
    assert_eq!(answers(&mut world, 0, 3_000), []);
    let silent = Notice::NotSurveyed { at: service_address() };
    assert_eq!(answers(&mut world, 0, 1_000), [silent], "one answer for both");
}

#[test]
fn an_application_that_does_not_read_finds_the_last_survey_only() {
    let mut world = World::new(7, &[Site::plain(2)]);
    world.join_all();
    let host = world.hosts[0];
    world.net.set_reads(host, false);
    for _ in 0..5 {
        ask(&mut world, 0).unwrap();
        world.run(100);
    }
    world.net.set_reads(host, true);
    assert!(matches!(answers(&mut world, 0, 1)[..], [Notice::Surveyed(_)]));
}

#[test]
fn only_members_may_ask() {
    let mut world = World::new(8, &[Site::plain(2)]);
    assert_eq!(ask(&mut world, 0), Err(NotMember));
    world.join(0);
    assert_eq!(ask(&mut world, 0), Err(NotMember), "not admitted yet");
    world.run(2_000);
    assert_eq!(ask(&mut world, 0), Ok(()));
    let group = world.group;
    world.net.call(world.hosts[0], |node, now| node.leave(now, group));
    assert_eq!(ask(&mut world, 0), Err(NotMember));
}
