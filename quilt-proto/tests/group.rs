//! Whole groups over a network in memory: several sites, the bootstrap service, real protocols.

#![allow(clippy::arithmetic_side_effects, reason = "a test may panic")]

mod world;

use quilt_proto::{
    Action, Bootstrap, BootstrapConfig, Config, Counter, Delivery, Event, GapCause, Group, GroupId,
    History, HostId, Incarnation, Limits, LinkId, Machine, Node, Notice, PatchId, Policy, Priority,
    ProtocolId, PublishError, PublishOptions, RejectCause, Role, Time, Trouble,
};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;
use world::{GROUP, Site, World, bootstrap, service_address};

#[test]
fn four_sites_form_their_patches_and_everybody_gets_every_message() {
    let mut world =
        World::new(1, &[Site::multicast(5), Site::multicast(5), Site::plain(5), Site::plain(5)]);
    world.join_all();
    let places: BTreeSet<_> = (0..20)
        .map(|host| (host / 5, world.place(host).patch, world.place(host).protocol))
        .collect();
    assert_eq!(places.len(), 4, "one patch a site: {places:?}");
    for (site, _, protocol) in places {
        assert_eq!(protocol, if site < 2 { ProtocolId::IPMC } else { ProtocolId::DONET });
    }
    for n in 0..50 {
        world.publish(n % 20, 3_000);
        world.run(20);
    }
    world.run(2_000);
    world.check_all_delivered();
}

#[test]
fn a_node_tells_what_it_has_and_where_it_stands() {
    let mut world = World::new(1, &[Site::multicast(3), Site::plain(3)]);
    world.join_all();
    for _ in 0..7 {
        world.publish(4, 3_000);
        world.run(50);
    }
    world.run(1_000);
    for host in 0..6 {
        let (usage, place) = (world.net.node(world.hosts[host]).usage(), world.place(host));
        // Whoever publishes is none of its own sources.
        let sources = usize::from(host != 4);
        assert_eq!((usage.groups, usage.sources), (1, sources), "{host}");
        assert_eq!(usage.window_messages, 7, "{host}");
        assert!(usage.window_bytes >= 7 * 3_000 && usage.links > 0, "{usage:?}");
        assert_eq!((usage.known_members > 0, usage.queued_fragments), (true, 0), "{usage:?}");
        assert_eq!(usage.beyond(&Limits::default()), None);
        let standings: Vec<_> = world.net.node(world.hosts[host]).standings(world.group).collect();
        assert!(
            standings.iter().any(|at| (at.patch, at.protocol) == (place.patch, place.protocol))
        );
        let between = standings.iter().any(|at| at.patch == PatchId::INTER_PATCH);
        assert_eq!(between, place.role == Role::Representative, "{standings:?}");
    }
}

#[test]
fn duplicates_are_few_once_the_meshes_have_settled() {
    let mut world = World::new(2, &[Site::multicast(6), Site::plain(6), Site::plain(6)]);
    world.join_all();
    for _ in 0..20 {
        world.publish(0, 5_000);
        world.run(50);
    }
    let settled = world.sum(Counter::PayloadBytesUnsolicited);
    let first = world.sum(Counter::PayloadBytesFirst);
    for _ in 0..100 {
        world.publish(0, 5_000);
        world.run(20);
    }
    world.run(2_000);
    world.check_all_delivered();
    let duplicates = world.sum(Counter::PayloadBytesUnsolicited) - settled;
    let first = world.sum(Counter::PayloadBytesFirst) - first;
    assert!(duplicates * 20 < first, "{duplicates} of {first} bytes came twice");
}

#[test]
fn a_message_that_waited_past_its_deadline_is_not_sent_and_its_gap_says_so() {
    let mut world = World::new(22, &[Site::plain(3)]);
    world.join_all();
    let group = world.group;
    // Its links are not pulled before the deadline has passed.
    world.net.call(world.hosts[0], |node, now| {
        let deadline = Some(Duration::from_millis(5));
        let options = PublishOptions { deadline, ..PublishOptions::default() };
        node.publish_with(now, group, vec![7; 3_000].into(), options).expect("room");
        node.publish(now, group, "after it".into()).expect("room");
        node.handle(now + Duration::from_millis(6), Event::Timeout);
    });
    assert!(world.sum(Counter::QueueExpired) > 0);
    world.told.iter_mut().for_each(Vec::clear);
    // Much less than the repair deadline: whoever asks is told that the message is over.
    world.run(500);
    for told in &world.told[1..] {
        let [Notice::Gap { from, to, cause, .. }, Notice::Message(message)] = &told[..] else {
            panic!("{told:?}");
        };
        assert_eq!((from.0, to.0, *cause), (0, 0, GapCause::Expired));
        assert_eq!(message.body.clone().into_bytes(), "after it");
    }
}

#[test]
fn what_the_network_loses_is_repaired_without_a_gap() {
    for seed in 0..4 {
        let mut world = World::new(seed, &[Site::multicast(8), Site::multicast(8)]);
        world.net.set_loss_permille(100);
        world.join_all();
        for n in 0..40 {
            world.publish(n % 16, 4_000);
            world.run(20);
        }
        world.run(3_000);
        assert!(world.sum(Counter::FragmentsPulled) > 0);
        world.check_all_delivered();
    }
}

#[test]
fn where_nearly_every_multicast_is_lost_everything_arrives_all_the_same() {
    let mut world = World::new(14, &[Site::multicast(40)]);
    world.join_all();
    world.net.set_loss_permille(930);
    for _ in 0..20 {
        world.publish(0, 4_000);
        world.run(20);
    }
    world.run(9_000);
    world.check_all_delivered();
}

#[test]
fn a_representative_that_dies_in_the_middle_of_a_stream_costs_nobody_a_message() {
    for seed in 0..4 {
        let sites = [Site::multicast(6), Site::multicast(6), Site::plain(6), Site::plain(6)];
        let mut world = World::new(seed, &sites);
        world.join_all();
        for victim in [6, 12, 18] {
            let is_one = |host: &usize| world.place(*host).role == Role::Representative;
            let victim = (victim..victim + 6).find(is_one).expect("each site has one");
            for n in 0..20 {
                if n == 10 {
                    world.kill(victim);
                }
                world.publish(0, 3_000);
                world.run(20);
            }
        }
        world.run(5_000);
        world.check_all_delivered();
    }
}

#[test]
fn dead_representatives_are_replaced() {
    let mut world = World::new(3, &[Site::plain(6), Site::plain(6)]);
    world.join_all();
    for host in
        (0..6).filter(|&host| world.place(host).role == Role::Representative).collect::<Vec<_>>()
    {
        world.kill(host);
    }
    world.run(6_000);
    let appointed = (0..6).filter(|&host| world.alive[host]).map(|host| world.place(host).role);
    assert!(appointed.clone().any(|role| role == Role::Representative));
    world.publish(6, 1_000);
    world.run(1_000);
    world.check_all_delivered();
}

#[test]
fn a_group_outlives_its_bootstrap_service_and_a_new_one_learns_it() {
    let mut world = World::new(4, &[Site::multicast(4), Site::plain(4), Site::plain(2)]);
    (0..9).for_each(|host| world.join(host));
    world.run(3_000);
    let before: Vec<_> = (0..9).map(|host| world.place(host).clone()).collect();
    world.net.kill(world.service);
    for _ in 0..50 {
        world.publish(0, 3_000);
        world.run(100);
    }
    let silent = Notice::Degraded(Trouble::BootstrapSilent { at: service_address() });
    assert!(world.told[1].contains(&silent), "{:?}", world.told[1]);
    world.net.replace_bootstrap(world.service, bootstrap(99));
    world.join(9);
    world.run(8_000);
    assert!(
        world.told[1]
            .contains(&Notice::Recovered(Trouble::BootstrapSilent { at: service_address() }))
    );
    let after: Vec<_> = (0..9).map(|host| world.place(host).clone()).collect();
    let patches =
        |places: &[quilt_proto::Place]| places.iter().map(|place| place.patch).collect::<Vec<_>>();
    assert_eq!(patches(&before), patches(&after));
    assert_eq!(world.place(9).patch, world.place(8).patch);
    world.publish(9, 1_000);
    world.run(2_000);
    let newcomer = world.ids[9].tag().0;
    assert!((0..9).all(|host| world.received(host).contains_key(&newcomer)));
}

#[test]
fn an_application_that_does_not_read_delays_nobody() {
    let mut world = World::new(5, &[Site::plain(6), Site::multicast(4)]);
    world.join_all();
    world.net.set_reads(world.hosts[3], false);
    for _ in 0..30 {
        world.publish(0, 10_000);
        world.run(20);
    }
    world.run(1_000);
    assert!(!world.received(3).contains_key(&world.ids[0].tag().0));
    world.alive[3] = false;
    world.check_all_delivered();
    world.alive[3] = true;
    world.net.set_reads(world.hosts[3], true);
    world.run(0);
    world.check_all_delivered();
}

#[test]
fn equal_seeds_give_equal_digests() {
    let digest = |seed| {
        let mut world = World::new(seed, &[Site::multicast(4), Site::plain(4)]);
        world.net.set_loss_permille(50);
        world.join_all();
        for n in 0..10 {
            world.publish(n % 8, 5_000);
            world.run(30);
        }
        world.kill(2);
        world.run(3_000);
        world.net.digest()
    };
    assert_eq!(digest(6), digest(6));
    assert_ne!(digest(6), digest(7));
}

#[test]
fn two_protocols_share_one_stream_and_one_leaving_does_not_disturb_the_other() {
    let mut world = World::new(8, &[Site::plain(2)]);
    world.join_all();
    // Of two streams that were dialled at once, one stays.
    world.run(3_000);
    let streams = world.net.streams(world.hosts[0]);
    assert_eq!(streams, 1);
    // The group of the world runs the mesh; this one runs trees, within its region too.
    let policy = Policy { order: vec![ProtocolId::OMNI], ..Policy::default() };
    let trees = BootstrapConfig { policy, ..BootstrapConfig::default() };
    let trees_at = SocketAddr::from(([10, 0, 0, 2], 7_400));
    world.net.add_bootstrap(trees_at, Bootstrap::new(trees, 8));
    let sport = Group::new("sport", trees_at);
    for host in 0..2 {
        world
            .net
            .call(world.hosts[host], |node, now| node.join(now, sport.clone()))
            .expect("a join");
    }
    world.run(3_000);
    assert_eq!(world.net.streams(world.hosts[0]), streams, "both protocols use one stream");
    let protocol = |notice: &Notice| match notice {
        Notice::Joined(place) => Some(place.protocol),
        _ => None,
    };
    let protocols: BTreeSet<_> = world.told[0].iter().filter_map(protocol).collect();
    assert_eq!(protocols, BTreeSet::from([ProtocolId::DONET, ProtocolId::OMNI]));
    let send = |world: &mut World, body: &'static [u8]| {
        let group = GroupId::named("sport");
        world.net.call(world.hosts[0], |node, now| node.publish(now, group, body.into()))
    };
    send(&mut world, b"goal").expect("room");
    world.run(500);
    world.net.call(world.hosts[0], |node, now| node.leave(now, GroupId::named("sport")));
    world.run(3_000);
    assert!(world.told[0].contains(&Notice::Left));
    assert_eq!(world.net.streams(world.hosts[0]), streams, "the other group still needs it");
    world.told.iter_mut().for_each(Vec::clear);
    world.publish(0, 5_000);
    world.run(1_000);
    assert!(matches!(world.told[1][..], [Notice::Message(_)]), "{:?}", world.told[1]);
}

#[test]
fn a_payload_exists_once_however_many_links_carry_it() {
    let mut world = World::new(13, &[Site::plain(7), Site::plain(2)]);
    world.join_all();
    let body = bytes::Bytes::from(vec![7; 20_000]);
    let inside = body.as_ptr_range();
    let group = world.group;
    // Nothing of this reaches the network: the test is the adapter here.
    let copies = world.net.call(world.hosts[0], |node, now| {
        node.publish(now, group, body.clone()).expect("room");
        let mut copies = 0;
        while let Some(action) = node.poll_action() {
            let Action::Look { link } = action else { continue };
            let mut payload = 0;
            while let Some(transmit) = node.poll_transmit(link) {
                let slices = transmit.slices().filter(|slice| slice.len() > 700);
                for slice in slices {
                    assert!(inside.contains(&slice.as_ptr()), "a copy of a payload");
                    payload += slice.len();
                }
            }
            copies += payload / 19_000;
        }
        copies
    });
    assert!(copies >= 3, "{copies} links carried it");
}

#[test]
fn the_mesh_of_a_region_and_the_wide_area_tree_share_one_stream() {
    let mut world = World::new(9, &[Site::plain(2)]);
    world.join_all();
    assert!((0..2).all(|host| world.place(host).role == Role::Representative));
    world.run(3_000);
    assert_eq!(world.net.streams(world.hosts[0]), 1);
    world.publish(1, 5_000);
    world.run(1_000);
    world.check_all_delivered();
}

#[test]
fn a_join_without_a_bootstrap_service_is_rejected_within_five_seconds() {
    let mut world = World::new(10, &[Site::plain(1)]);
    world.net.kill(world.service);
    world.join(0);
    world.run(5_000);
    let cause = RejectCause::BootstrapSilent { at: service_address() };
    assert_eq!(world.told[0], [Notice::Rejected { cause }]);
}

#[test]
fn a_group_that_nobody_is_in_is_unknown_to_whoever_does_not_create_it() {
    let mut world = World::new(11, &[Site::plain(1)]);
    let group = Group { create: false, ..Group::new("nwes", service_address()) };
    world.net.call(world.hosts[0], |node, now| node.join(now, group)).expect("a join");
    world.run(1_000);
    assert_eq!(world.told[0], [Notice::Rejected { cause: RejectCause::UnknownGroup }]);
}

#[test]
fn a_machine_goes_quiet_when_nothing_happens() {
    let mut world = World::new(12, &[Site::multicast(4), Site::plain(4)]);
    world.join_all();
    world.publish(0, 1_000);
    world.run(60_000);
    let before = world.sum(Counter::PacketsSent);
    world.run(60_000);
    let each = (world.sum(Counter::PacketsSent) - before) / 8;
    assert!(each < 200, "{each} packets a host in an idle minute");
}

#[test]
fn a_long_transfer_goes_at_the_pace_that_is_set() {
    for seed in 0..3 {
        let sites = [Site::multicast(6), Site::multicast(6), Site::plain(6), Site::plain(6)];
        let mut world = World::new(seed, &sites);
        world.join_all();
        let start = world.net.now();
        world.publish_all(seed as usize * 9, 160, 64 << 10, 3_000);
        let took = world.net.now().since(start);
        // 10 MiB at 12.5 MB/s.
        assert!(took.as_millis() >= 800, "{took:?}");
        world.run(2_000);
        world.check_all_delivered();
    }
}

#[test]
fn delivered_and_gapped_messages_are_counted_as_the_application_hears_of_them() {
    let mut world = World::new(21, &[Site::plain(3)]);
    world.join_all();
    for _ in 0..7 {
        world.publish(0, 3_000);
        world.run(20);
    }
    world.run(500);
    world.check_all_delivered();
    assert_eq!(world.sum(Counter::MessagesDelivered), 2 * 7);
    assert_eq!(world.sum(Counter::MessagesGapped), 0);
}

/// Hosts of one group with these wishes, all admitted one after the other.
fn world_with(seed: u64, sites: &[Site], wish: Option<Delivery>) -> World {
    let mut world = World::new(seed, sites);
    for host in 0..world.hosts.len() {
        let group = Group::new(GROUP, service_address());
        world.join_as(host, Group { delivery: wish, ..group });
    }
    world.run(4_000);
    assert!((0..world.hosts.len()).all(|host| world.is_joined(host)));
    world
}

fn messages(told: &[Notice]) -> Vec<u64> {
    let seq = |notice: &Notice| match notice {
        Notice::Message(message) => Some(message.seq.0),
        _ => None,
    };
    told.iter().filter_map(seq).collect()
}

#[test]
fn whoever_wishes_another_delivery_than_the_group_has_is_told_what_it_has() {
    let mut world = World::new(23, &[Site::plain(3)]);
    let group = || Group::new(GROUP, service_address());
    world.join_as(0, Group { delivery: Some(Delivery::Ordered), ..group() });
    world.run(500);
    world.join_as(1, group());
    world.join_as(2, Group { delivery: Some(Delivery::Reliable), ..group() });
    world.run(2_000);
    assert!((0..2).all(|host| world.place(host).delivery == Delivery::Ordered));
    let cause = RejectCause::OtherDelivery { has: Delivery::Ordered };
    assert_eq!(world.told[2], [Notice::Rejected { cause }]);
}

/// A patch of eight that lost a tenth of 200 messages and asked for none, so many milliseconds later.
fn after_lossy_stream(seed: u64, delivery: Delivery, later: u64) -> World {
    let mut world = world_with(seed, &[Site::multicast(8)], Some(delivery));
    world.net.set_loss_permille(100);
    world.told.iter_mut().for_each(Vec::clear);
    for _ in 0..200 {
        world.publish(0, 100);
        world.run(5);
    }
    world.run(later);
    assert_eq!(world.sum(Counter::FragmentsPulled), 0);
    world
}

#[test]
fn best_effort_asks_for_nothing_announces_nothing_and_delivers_nothing_twice() {
    let world = after_lossy_stream(24, Delivery::BestEffort, 4_000);
    for told in &world.told[1..] {
        let mut seqs = messages(told);
        assert_eq!(seqs.len(), told.len(), "{told:?}");
        assert!((150..200).contains(&seqs.len()), "{} of 200 at a loss of a tenth", seqs.len());
        seqs.sort_unstable();
        seqs.dedup();
        assert_eq!(seqs.len(), told.len());
    }
}

#[test]
fn an_ordered_group_asks_for_nothing_and_announces_each_hole_soon() {
    // The last heads may be lost a few times; then no hole waits for longer than 50 ms.
    let world = after_lossy_stream(25, Delivery::Ordered, 1_000);
    for told in &world.told[1..] {
        let mut next = 0;
        for notice in told {
            let (from, to) = match notice {
                Notice::Message(message) => (message.seq.0, message.seq.0),
                Notice::Gap { from, to, cause: GapCause::NotInTime, .. } => (from.0, to.0),
                other => panic!("{other:?}"),
            };
            assert_eq!(from, next);
            next = to + 1;
        }
        assert_eq!(next, 200);
        assert!(messages(told).len() < 200, "nothing was lost");
    }
}

#[test]
fn a_mesh_settles_also_where_nothing_is_asked_for() {
    for seed in 0..4 {
        for delivery in [Delivery::BestEffort, Delivery::Ordered] {
            let mut world = World::new(30 + seed, &[Site::plain(6)]);
            for host in 0..6 {
                let group = Group::new(GROUP, service_address());
                world.join_as(host, Group { delivery: Some(delivery), ..group });
            }
            // As soon as they are admitted, while the mesh still looks for its shape.
            while !(0..6).all(|host| world.is_joined(host)) {
                world.run(10);
            }
            for _ in 0..300 {
                world.publish(0, 1_000);
                world.run(5);
            }
            world.run(1_000);
            assert_eq!(world.sum(Counter::FragmentsPulled), 0);
            for told in &world.told[1..] {
                let late = messages(told).into_iter().filter(|&seq| seq >= 150).count();
                assert_eq!(late, 150, "{delivery}, seed {seed}");
            }
        }
    }
}

#[test]
fn an_urgent_message_overtakes_those_that_wait() {
    let mut world = world_with(26, &[Site::plain(2)], Some(Delivery::BestEffort));
    world.told.iter_mut().for_each(Vec::clear);
    let group = world.group;
    world.net.call(world.hosts[0], |node, now| {
        for _ in 0..50 {
            node.publish(now, group, vec![7; 1_000].into()).expect("room");
        }
        let options = PublishOptions { priority: Priority::Urgent, ..PublishOptions::default() };
        node.publish_with(now, group, "fire".into(), options).expect("room");
    });
    world.run(500);
    let seqs = messages(&world.told[1]);
    assert_eq!((seqs.len(), seqs[0]), (51, 50), "{seqs:?}");
}

#[test]
fn a_newcomer_is_given_the_history_that_it_wants() {
    for delivery in Delivery::ALL {
        let mut world = World::new(27, &[Site::plain(5)]);
        for host in 0..3 {
            let group = Group::new(GROUP, service_address());
            world.join_as(host, Group { delivery: Some(delivery), ..group });
        }
        world.run(4_000);
        let group = world.group;
        for seq in 0..30 {
            let options = PublishOptions { mark: seq == 21, ..PublishOptions::default() };
            let publish = |node: &mut quilt_proto::Node, now| {
                node.publish_with(now, group, vec![seq; 2_000].into(), options)
            };
            world.net.call(world.hosts[0], publish).expect("room");
            world.run(20);
        }
        world.run(1_000);
        let wants = |history| Group { history, ..Group::new(GROUP, service_address()) };
        world.join_as(3, wants(History::Last(5)));
        world.join_as(4, wants(History::FromMark));
        world.run(3_000);
        let publish = |node: &mut quilt_proto::Node, now| node.publish(now, group, "new".into());
        world.net.call(world.hosts[0], publish).expect("room");
        world.run(2_000);
        for (host, first) in [(3, 25), (4, 21)] {
            let mut seqs = messages(&world.told[host]);
            seqs.sort_unstable();
            assert_eq!(seqs, (first..=30).collect::<Vec<u64>>(), "{delivery}, host {host}");
            let gaps = world.told[host].iter().any(|told| matches!(told, Notice::Gap { .. }));
            assert!(!gaps, "{delivery}: {:?}", world.told[host]);
        }
    }
}

#[test]
fn an_application_that_reads_nothing_for_ten_seconds_is_told_once_what_it_missed() {
    let limits = Limits { window_messages: 256, ..Limits::default() };
    let mut world = World::with_limits(28, &[Site::plain(5)], limits.clone());
    world.join_all();
    world.net.set_reads(world.hosts[3], false);
    world.told.iter_mut().for_each(Vec::clear);
    for _ in 0..1_000 {
        world.publish(0, 1_500);
        world.run(10);
        assert_eq!(world.net.node(world.hosts[3]).usage().beyond(&limits), None);
    }
    world.run(500);
    world.alive[3] = false;
    world.check_all_delivered();
    world.net.set_reads(world.hosts[3], true);
    world.run(0);
    let told = &world.told[3];
    let [Notice::Lagged { messages: lagged, .. }, Notice::Gap { from, to, cause, .. }, rest @ ..] =
        &told[..]
    else {
        panic!("{:?}", &told[..3]);
    };
    assert_eq!((from.0, to.0 + 1, *cause), (0, *lagged, GapCause::Lagged));
    assert_eq!(messages(rest), (*lagged..1_000).collect::<Vec<u64>>());
    assert_eq!(rest.len() as u64, 1_000 - lagged);
}

#[test]
fn a_message_of_the_maximum_size_is_taken_and_one_byte_more_is_not() {
    let limits = Limits { message_bytes: 50_000, ..Limits::default() };
    let mut world = World::with_limits(29, &[Site::plain(2)], limits);
    world.join_all();
    let group = world.group;
    let publish = |world: &mut World, len| {
        let body = bytes::Bytes::from(vec![7; len]);
        world.net.call(world.hosts[0], |node, now| node.publish(now, group, body))
    };
    let refused = publish(&mut world, 50_001);
    assert_eq!(refused, Err(PublishError::TooLarge { len: 50_001, max: 50_000 }));
    assert_eq!(publish(&mut world, 50_000).expect("room").0, 0, "the refused one took no number");
    world.told.iter_mut().for_each(Vec::clear);
    world.run(1_000);
    assert_eq!(messages(&world.told[1]), [0]);
}

#[test]
fn a_full_receive_buffer_is_told_once_in_ten_seconds_with_all_that_it_cost() {
    let config = Config::new(HostId([1; 32]), Incarnation(1), ([10, 0, 0, 1], 7_400).into());
    let mut node = Node::new(config, 1);
    let bootstrap = ([10, 0, 0, 9], 7_400).into();
    node.join(Time::ZERO, Group::new("g", bootstrap)).unwrap();
    let mut overrun = |millis, datagrams| {
        let now = Time::from_millis(millis);
        node.handle(now, Event::Overrun { link: LinkId::UDP, datagrams });
        node.poll_notice().map(|(_, notice)| notice)
    };
    let told = |datagrams| Some(Notice::Degraded(Trouble::ReceiveBufferFull { datagrams }));
    assert_eq!(overrun(1, 3), told(3));
    assert_eq!((overrun(2, 4), overrun(4_000, 5)), (None, None));
    assert_eq!(overrun(10_001, 6), told(15));
    assert_eq!(node.counters().get(Counter::KernelDrops), 18);
}
