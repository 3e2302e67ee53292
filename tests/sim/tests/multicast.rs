//! Bad days of a patch with IP multicast: nothing is lost, and nobody else is disturbed.

mod lab;

use bytes::Bytes;
use lab::{Lab, lan};
use quilt_proto::{
    Config, Counter, GroupId, Limits, Node, Notice, ProtocolId, PublishError, Source, Time,
    Trouble, Unusable,
};
use quilt_sim::check;
use quilt_sim::host::{Kind, Life};
use quilt_sim::net::NicId;
use quilt_sim::world::HostIndex;
use std::time::Duration;

fn lossy(share: u64) -> Lab {
    let mut lab = Lab::new(lan(16));
    lab.join();
    lab.world.net().faults.loss = share;
    lab
}

#[test]
fn a_fifth_lost_both_ways_leaves_no_gap_within_three_seconds() {
    let mut lab = lossy(200_000);
    lab.publish(300);
    lab.run(3_000);
    lab.all_got_all();
    assert_eq!(lab.gapped, 0);
    assert!(lab.sum(Counter::FragmentsServed) > 300);
}

/// Each host knows 64 others, and who publishes was silent before.
#[test]
fn holes_are_filled_as_soon_in_a_patch_of_which_a_host_knows_a_half() {
    let mut lab = Lab::new(lan(120));
    lab.join();
    lab.run(3_000);
    lab.world.net().faults.loss = 20_000;
    let mut missing = 0;
    for _ in 0..100 {
        lab.publish(1);
        missing += (1..120).map(|host| lab.published - lab.got(host)).sum::<u64>();
    }
    lab.run(3_000);
    lab.all_got_all();
    // In 10 ms two or three hosts miss one, most of them for less than twice that.
    assert!(missing < 1_000, "{missing}");
}

/// Nothing is published behind it that would show the hole.
#[test]
fn a_lost_last_message_comes_within_300_ms() {
    for loss in [10_000, 100_000] {
        let mut lab = lossy(loss);
        for _ in 0..10 {
            let before = lab.world.net().faults.loss;
            lab.world.net().faults.loss = 1_000_000;
            lab.publish(1);
            lab.world.net().faults.loss = before;
            lab.run(290);
            assert_eq!(lab.gapped, 0);
            lab.all_got_all();
            lab.run(1_700);
        }
    }
}

#[test]
fn bursts_of_ten_milliseconds_a_second_are_filled() {
    let mut lab = lossy(0);
    for _ in 0..10 {
        lab.world.net().faults.loss = 1_000_000;
        lab.publish(1);
        lab.world.net().faults.loss = 0;
        lab.publish(50);
    }
    lab.run(300);
    lab.all_got_all();
    assert_eq!(lab.gapped, 0);
}

/// Of 100,000 packets a second some look like Quilt's of another version, or of another suite, and
/// some like a fragment that ends early.
#[test]
fn a_foreign_application_on_the_address_is_counted_and_disturbs_nobody() {
    let mut lab = Lab::new(lan(4));
    lab.join();
    lab.world.set_cpu(Duration::from_micros(2));
    let address = lab.world.memberships(HostIndex(1))[0];
    let strays: [&'static [u8]; 4] =
        [b"another protocol's greeting", &[7; 1_200], &[1, 9, 0, 0, 0, 0, 0, 0], &[1, 0, 0, 0]];
    let before: u64 = dropped(&lab);
    for _ in 0..50 {
        for stray in strays.iter().cycle().take(1_000) {
            lab.world.stray(3, address, Bytes::from_static(stray));
        }
        lab.publish(1);
    }
    assert!((1..4).all(|host| lab.got(host) == 50), "they come in time all the same");
    assert_eq!(lab.gapped, 0);
    // The sender's own interface hears them as well.
    assert_eq!(dropped(&lab) - before, 50_000 * 4);
    assert!((0..4).all(|host| told_unusable(&lab, host).is_none()));
}

fn dropped(lab: &Lab) -> u64 {
    let counters = [
        Counter::DroppedVersion,
        Counter::DroppedSuite,
        Counter::DroppedTruncated,
        Counter::DroppedMalformed,
        Counter::DroppedStranger,
    ];
    counters.into_iter().map(|counter| lab.sum(counter)).sum()
}

/// Nothing tells a payload of which a bit was turned over; what else comes of it is bounded, but for a
/// bit of the source's life: the receiver then believes that the source has started anew.
#[test]
fn packets_spoiled_behind_their_checksum_cost_what_was_in_them() {
    let mut lab = Lab::new(lan(6));
    lab.join();
    let faults = &mut lab.world.net().faults;
    (faults.corruption, faults.unnoticed) = (10_000, 1_000_000);
    let group = GroupId::named("lab");
    let mut seqs = Vec::new();
    for number in 0..300 {
        let body = Bytes::from(check::body(number, 500));
        seqs.push(
            lab.world.call(HostIndex(0), |node, now| node.publish(now, group, body)).unwrap(),
        );
        lab.world.run_for(Duration::from_millis(10));
    }
    let faults = &mut lab.world.net().faults;
    (faults.corruption, faults.unnoticed) = (0, 0);
    lab.world.run_for(Duration::from_secs(8));
    let (mut came, mut gone, mut misled) = ([0; 6], [0; 6], [false; 6]);
    for told in lab.world.take_told() {
        match told.notice {
            Notice::Message(message) if message.source == lab.source => came[told.host.0] += 1,
            Notice::SourceReset { .. } => misled[told.host.0] = true,
            Notice::Gap { source, from, to, .. } if source == lab.source => {
                gone[told.host.0] += seqs.iter().filter(|seq| (from..=to).contains(*seq)).count();
            }
            _ => {}
        }
    }
    assert!(misled.iter().filter(|&&misled| misled).count() <= 1, "{misled:?}");
    for host in (1..6).filter(|&host| !misled[host]) {
        assert_eq!(came[host] + gone[host], 300, "{came:?}, and {gone:?} in gaps");
        assert!(gone[host] <= 5, "{came:?}, and {gone:?} in gaps");
    }
}

/// When a host was told that IPMC does not work on it.
fn told_unusable(lab: &Lab, host: usize) -> Option<(Time, Unusable)> {
    lab.told.iter().find_map(|(at, of, notice)| match notice {
        &Notice::Degraded(Trouble::ProtocolUnusable { protocol: ProtocolId::IPMC, reason }) => {
            (*of == host).then_some((*at, reason))
        }
        _ => None,
    })
}

#[test]
fn a_port_that_drops_igmp_reports_moves_its_host_within_three_seconds() {
    for members in [4, 40] {
        let mut lab = Lab::new(lan(members));
        lab.join();
        lab.publish(50);
        let since = lab.world.now();
        lab.world.net().switch(0).filtered.insert(NicId(2));
        lab.publish(400);
        lab.run(5_000);
        lab.all_got_all();
        let (at, reason) = told_unusable(&lab, 2).expect("it was told");
        assert!(matches!(reason, Unusable::NothingHeard { .. }), "{reason}");
        assert!(at.since(since).as_millis() <= 3_000, "{:?}", at.since(since));
        assert_eq!(lab.gapped, 0);
        let others = (0..members).filter(|&host| host != 2);
        assert!(others.into_iter().all(|host| told_unusable(&lab, host).is_none()));
    }
}

#[test]
fn a_publisher_that_nobody_hears_is_moved_within_three_seconds() {
    for members in [4, 40] {
        let mut lab = Lab::new(lan(members));
        lab.join();
        lab.publish(50);
        let since = lab.world.now();
        lab.world.net().switch(0).muted.insert(NicId(0));
        lab.publish(400);
        lab.run(8_000);
        lab.all_got_all();
        let (at, reason) = told_unusable(&lab, 0).expect("it was told");
        assert!(matches!(reason, Unusable::NotHeard { .. }), "{reason}");
        assert!(at.since(since).as_millis() <= 3_000, "{:?}", at.since(since));
        assert_eq!(lab.gapped, 0);
    }
}

/// It has nothing to say, and learns it from what it says for no other purpose.
#[test]
fn a_silent_host_that_nobody_hears_is_moved_within_three_seconds_also_from_a_large_patch() {
    for members in [4, 120] {
        let mut lab = Lab::new(lan(members));
        lab.join();
        lab.publish(50);
        lab.run(2_000);
        let since = lab.world.now();
        lab.world.net().switch(0).muted.insert(NicId(2));
        lab.publish(200);
        lab.run(3_000);
        lab.all_got_all();
        let (at, reason) = told_unusable(&lab, 2).expect("it was told");
        assert!(matches!(reason, Unusable::NotHeard { .. }), "{reason}");
        assert!(at.since(since).as_millis() <= 3_000, "{:?}", at.since(since));
        assert_eq!(lab.gapped, 0);
        let others = (0..members).filter(|&host| host != 2);
        assert!(others.into_iter().all(|host| told_unusable(&lab, host).is_none()));
    }
}

#[test]
fn an_interface_that_goes_down_and_comes_back_loses_nothing() {
    let mut lab = lossy(0);
    lab.publish(20);
    lab.world.net().set_side(NicId(3), 1);
    lab.world.net().faults.walls.extend([(0, 1), (1, 0)]);
    lab.publish(100);
    lab.world.net().faults.walls.clear();
    lab.publish(100);
    lab.run(5_000);
    lab.all_got_all();
    assert_eq!(lab.gapped, 0);
}

#[test]
fn a_receiver_that_stands_still_again_and_again_delays_nobody_else() {
    let mut lab = lossy(0);
    for _ in 0..3 {
        lab.world.pause(HostIndex(3));
        lab.publish(50);
        let others = (1..16).filter(|&host| host != 3);
        assert!(others.into_iter().all(|host| lab.got(host) == lab.published));
        lab.world.resume(HostIndex(3));
        lab.publish(50);
    }
    lab.run(1_000);
    lab.all_got_all();
}

/// Its window holds a tenth of what is published: the rest is told as one gap, after `Lagged`.
#[test]
fn an_application_that_reads_nothing_for_ten_seconds_keeps_within_its_limits() {
    let limits = Limits { window_bytes: 50_000, ..Limits::default() };
    let mut lab = Lab::limited(lan(6), limits);
    lab.join();
    lab.world.set_reads(HostIndex(2), false);
    lab.publish(1_000);
    assert!([1, 3, 4, 5].into_iter().all(|host| lab.got(host) == 1_000));
    lab.world.set_reads(HostIndex(2), true);
    lab.run(1_000);
    assert_eq!(lab.got(2) + lab.gapped, 1_000);
    assert!((50..=100).contains(&lab.got(2)), "{}", lab.got(2));
    let lagged = |(_, host, notice): &&(Time, usize, Notice)| {
        *host == 2 && matches!(notice, Notice::Lagged { .. })
    };
    assert_eq!(lab.told.iter().filter(lagged).count(), 1);
}

/// The longest message that the limits allow comes whole through loss, and the one after it, too.
#[test]
fn a_message_of_the_maximum_size_and_one_byte_is_refused_and_disturbs_nobody() {
    let max = 40_000;
    let limits = Limits { message_bytes: max, ..Limits::default() };
    let mut lab = Lab::limited(lan(5), limits);
    lab.join();
    lab.world.net().faults.loss = 20_000;
    let group = GroupId::named("lab");
    let publish = |lab: &mut Lab, len: usize| {
        let body = Bytes::from(vec![7; len]);
        lab.world.call(HostIndex(0), |node, now| node.publish(now, group, body))
    };
    let refused = publish(&mut lab, max + 1);
    assert_eq!(refused, Err(PublishError::TooLarge { len: max + 1, max }));
    let first = publish(&mut lab, max).unwrap();
    assert_eq!(publish(&mut lab, max + 1).unwrap_err(), refused.unwrap_err());
    assert_eq!(publish(&mut lab, 1), Ok(first.next()), "what was refused took no number");
    lab.world.run_for(Duration::from_secs(3));
    let mut came: Vec<(usize, u64, usize)> = Vec::new();
    for told in lab.world.take_told() {
        match told.notice {
            Notice::Message(it) => came.push((told.host.0, it.seq.0, it.body.len())),
            notice => assert!(!matches!(notice, Notice::Gap { .. }), "{notice:?}"),
        }
    }
    came.sort_unstable();
    let both = |host| [(host, first.0, max), (host, first.0 + 1, 1)];
    assert_eq!(came, (1..5).flat_map(both).collect::<Vec<_>>());
}

#[test]
fn a_source_that_restarts_at_any_moment_is_told_once_and_its_new_life_is_complete() {
    for moment in [0, 1, 5, 40, 700, 3_000] {
        let mut lab = lossy(20_000);
        lab.publish(30);
        lab.world.kill(HostIndex(0), Life::Off);
        // What its old life said comes, or is told as a gap.
        lab.run(4_000 + moment);
        lab.delivered.fill(0);
        (lab.published, lab.gapped) = (0, 0);
        let host = lab.world.node(HostIndex(0)).expect("a node").host();
        let config = Config { host, ..lab.config(0, 2) };
        lab.source = Source { host: config.host.tag(), incarnation: config.incarnation };
        lab.world.restart(HostIndex(0), Kind::Node(Box::new(Node::new(config, moment))));
        lab.join_one(0);
        lab.run(3_000);
        lab.publish(30);
        lab.run(3_000);
        lab.all_got_all();
        let resets = |host| {
            let is_it = |(_, of, notice): &&(Time, usize, Notice)| {
                *of == host && matches!(notice, Notice::SourceReset { .. })
            };
            lab.told.iter().filter(is_it).count()
        };
        let counts: Vec<usize> = (1..16).map(resets).collect();
        assert_eq!(counts, [1; 15], "after {moment} ms");
    }
}
