//! Floods that reach the bounds of a node: it stays within them, counts what it drops, and goes on.
//! What the service bounds has its tests in the core, as have a window's messages and queues.

#![allow(clippy::arithmetic_side_effects, reason = "a test may panic")]

mod world;

use bytes::Bytes;
use quilt_proto::contract::{Driver, Member, Op, address};
use quilt_proto::donet::{self, Known};
use quilt_proto::euid::Euid;
use quilt_proto::protocol::{Body, Registry};
use quilt_proto::wire::{Contact, Data, FRAGMENT_BYTES, Frame, Writer};
use quilt_proto::{
    Config, Counter, FragmentId, Group, GroupId, HostId, HostTag, Incarnation, JoinError, Limits,
    Node, Notice, ProtocolId, PublishOptions, Seq, Source, Usage,
};
use std::time::Duration;
use world::{Site, World};

/// What a [`Member`] is allowed of these.
const SOURCES: usize = 8;
const WINDOW_BYTES: usize = 64 << 10;

/// A member of a mesh, to which another one has opened a stream. It was there long enough to be
/// admitted.
fn member() -> Member {
    let mut member = Member::new(Registry::standard(), ProtocolId::DONET);
    member.apply(&Op { kind: Driver::<Node>::KINDS, which: 2, payload: &[] });
    member.apply(&Op { kind: 8, which: 2, payload: &[] });
    member
}

/// The frame comes on that stream.
fn say(member: &mut Member, frame: &Frame) {
    let mut payload = Vec::new();
    frame.encode(&mut payload);
    member.apply(&Op { kind: 3, which: 2, payload: &payload });
}

fn usage(member: &Member) -> Usage {
    member.driver.machine.usage()
}

fn counted(member: &Member, counter: Counter) -> u64 {
    member.driver.machine.counters().get(counter)
}

/// The first fragment of a message of `count`.
fn data(host: u64, seq: u64, count: u16) -> Frame {
    let source = Source { host: HostTag(host), incarnation: Incarnation(1) };
    Frame::Data(Data {
        group: GroupId::named("contract"),
        patch: Member::PATCH,
        fragment: FragmentId { source, seq: Seq(seq), index: 0 },
        count,
        origin: Member::PATCH,
        hops: 1,
        solicited: false,
        options: PublishOptions::default(),
        payload: Bytes::from_static(&[7; FRAGMENT_BYTES]),
    })
}

#[test]
fn groups_beyond_the_limit_are_refused_until_one_is_left() {
    let mut config = Config::new(HostId([1; 32]), Incarnation(1), address(1));
    config.limits.groups = 3;
    let mut driver = Driver::new(Node::new(config, 1));
    let mut join = |name: &str| {
        let group = Group::new(name, address(255));
        let joined = driver.machine.join(driver.now, group);
        driver.settle();
        (joined, driver.machine.usage().groups)
    };
    for (name, count) in ["a", "b", "c"].into_iter().zip(1..) {
        let (joined, groups) = join(name);
        assert_eq!((joined.is_ok(), groups), (true, count));
    }
    for name in ["d", "e"] {
        assert_eq!(join(name), (Err(JoinError::TooManyGroups { max: 3 }), 3));
    }
    driver.machine.leave(driver.now, GroupId::named("a"));
    driver.apply(&Op { kind: 8, which: 10, payload: &[] });
    while driver.machine.poll_notice().is_some() {}
    let group = Group::new("d", address(255));
    assert!(driver.machine.join(driver.now, group).is_ok());
}

#[test]
fn streams_beyond_the_limit_are_refused_and_counted() {
    let mut config = Config::new(HostId([1; 32]), Incarnation(1), address(1));
    config.limits.links = 5;
    let mut driver = Driver::new(Node::new(config, 1));
    for which in 2..22 {
        driver.apply(&Op { kind: 4, which, payload: &[] });
    }
    assert_eq!(driver.machine.usage().links, 5);
    assert_eq!(driver.machine.counters().get(Counter::LinksRefused), 15);
}

#[test]
fn sources_beyond_the_limit_are_dropped_and_counted_and_the_others_go_on() {
    let mut member = member();
    for host in 0..20 {
        say(&mut member, &data(100 + host, 0, 2));
    }
    assert_eq!(usage(&member).sources, SOURCES);
    assert_eq!(counted(&member, Counter::DroppedSourceLimit), 20 - SOURCES as u64);
    let first = counted(&member, Counter::PayloadBytesFirst);
    say(&mut member, &data(100, 1, 2));
    assert_eq!(counted(&member, Counter::PayloadBytesFirst), first + FRAGMENT_BYTES as u64);
}

#[test]
fn a_window_takes_no_more_bytes_than_its_limit_and_who_reads_late_is_told() {
    let mut member = member();
    for seq in 0..300 {
        say(&mut member, &data(100, seq, 1));
        assert!(usage(&member).window_bytes <= WINDOW_BYTES);
    }
    assert!(
        usage(&member).window_bytes > WINDOW_BYTES - 2 * FRAGMENT_BYTES,
        "{:?}",
        usage(&member)
    );
    let node = &mut member.driver.machine;
    let (mut messages, mut lagged) = (0, 0);
    while let Some((_, notice)) = node.poll_notice() {
        match notice {
            Notice::Message(_) => messages += 1,
            Notice::Lagged { messages, .. } => lagged += messages,
            _ => {}
        }
    }
    assert_eq!((messages + lagged, messages < 70), (300, true));
}

#[test]
fn fragments_of_messages_that_are_too_long_are_dropped_and_counted() {
    let mut member = member();
    let most = Limits::default().message_bytes.div_ceil(FRAGMENT_BYTES) as u16;
    say(&mut member, &data(100, 0, most + 1));
    assert_eq!(counted(&member, Counter::DroppedTooLong), 1);
    assert_eq!(usage(&member).window_bytes, 0);
    say(&mut member, &data(100, 0, most));
    assert_eq!(counted(&member, Counter::DroppedTooLong), 1);
}

#[test]
fn members_beyond_the_limit_make_the_longest_unheard_give_way() {
    let mut member = member();
    let most = Limits::default().known_members;
    let known = |n: u16| {
        let mut host = [9; 32];
        host[..2].copy_from_slice(&n.to_be_bytes());
        let addresses = [address(200)].into_iter().collect();
        let (incarnation, euid) = (Incarnation(1), Euid::default());
        Known { contact: Contact { host: HostId(host), incarnation, addresses, euid }, age_s: 0 }
    };
    for n in 0..200 {
        let members = (4 * n..4 * n + 4).map(known).collect();
        let mut body = Vec::new();
        donet::Frame::Members { partners: vec![], members }.encode(&mut Writer::new(&mut body));
        member.apply(&Op { kind: Driver::<Node>::KINDS + 1, which: 2, payload: &body });
    }
    assert_eq!(usage(&member).known_members, most);
}

/// Bytes that the hosts of a small group have more of after half a minute of messages, or of silence.
fn growth(world: &mut World, messages: bool) -> i64 {
    let counted = allocation_counter::measure(|| {
        for _ in 0..600 {
            if messages {
                let (group, body) = (world.group, vec![7; 3_000].into());
                let publish = |node: &mut Node, now| node.publish(now, group, body);
                world.net.call(world.hosts[0], publish).expect("room");
            }
            world.net.run_for(Duration::from_millis(50));
            for host in world.hosts.clone() {
                world.net.take_notices(host);
            }
        }
    });
    counted.bytes_current
}

#[test]
fn memory_is_flat_through_minutes_of_messages_and_of_silence() {
    let limits = Limits { window_time: Duration::from_secs(2), ..Limits::default() };
    let mut world = World::with_limits(3, &[Site::multicast(3), Site::plain(3)], limits);
    world.join_all();
    // Buffers grow to what they need at most.
    let full = growth(&mut world, true);
    growth(&mut world, false);
    let steady: Vec<i64> = [true, false, true, false, true, false]
        .into_iter()
        .map(|messages| growth(&mut world, messages))
        .collect();
    let all: i64 = steady.iter().sum();
    assert!(all < 32 << 10, "{all} more bytes after {full} at first: {steady:?}");
}
