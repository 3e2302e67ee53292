//! What the network does to packets, without hosts.

use bytes::Bytes;
use quilt_proto::{Rng, Time};
use quilt_sim::host::PORT;
use quilt_sim::net::{DropCause, Net, NicId, SwitchFault};
use quilt_sim::novelty::Load;
use quilt_sim::packet::{Body, Packet, StreamId};
use quilt_sim::tcp::Segment;
use quilt_sim::topology::{Dependence, Firewall, Gateway, Nat, Topology};
use std::net::SocketAddr;
use std::time::Duration;

const A: NicId = NicId(0);
const B: NicId = NicId(1);
const C: NicId = NicId(2);

fn lan(hosts: usize) -> Topology {
    Topology::lan(hosts).unwrap()
}

fn net(topology: Topology) -> Net {
    Net::new(topology, Rng::new(1))
}

/// A and B stand behind a gateway, C outside.
fn behind(nat: Option<Nat>, firewall: Option<Firewall>) -> Net {
    let mut topology = lan(3);
    topology.gateways.push(Gateway { nat, firewall, ..Gateway::default() });
    topology.hosts[0].gateway = Some(0);
    topology.hosts[1].gateway = Some(0);
    net(topology)
}

fn datagram(from: SocketAddr, to: SocketAddr) -> Packet {
    Packet {
        from,
        to,
        ttl: 64,
        body: Body::Datagram(Bytes::from_static(&[7; 100]).into()),
        load: Load::default(),
    }
}

fn segment(from: SocketAddr, to: SocketAddr) -> Packet {
    let (stream, segment) = (StreamId(1), Segment { syn: true, ..Segment::default() });
    Packet {
        from,
        to,
        ttl: 64,
        body: Body::Segment { stream, from_dialler: true, segment },
        load: Load::default(),
    }
}

/// Sends a packet from an interface; where and when it arrives, and as what.
fn send(net: &mut Net, at: Time, from: NicId, packet: Packet) -> Vec<(NicId, Time, Packet)> {
    let mut arrivals = Vec::new();
    net.send(at, from, packet, &mut arrivals);
    arrivals.into_iter().map(|arrival| (arrival.nic, arrival.at, arrival.packet)).collect()
}

/// Whether a datagram from one interface reaches another's address.
fn reaches(net: &mut Net, at: Time, from: NicId, to: NicId) -> bool {
    let packet = datagram(net.socket(from, PORT), net.socket(to, PORT));
    send(net, at, from, packet).iter().any(|&(nic, ..)| nic == to)
}

/// Who receives what A sends to a group that A, B and C have joined at 0.
fn hear(net: &mut Net, at: Time) -> Vec<NicId> {
    let packet = datagram(net.socket(A, PORT), group());
    send(net, at, A, packet).into_iter().map(|(nic, ..)| nic).collect()
}

fn group() -> SocketAddr {
    "239.192.0.1:20000".parse().unwrap()
}

fn join_all(net: &mut Net) {
    for nic in [A, B, C] {
        let region = net.region(nic);
        net.switch(region).join(Time::ZERO, group(), nic);
    }
}

#[test]
fn behind_a_nat_hosts_reach_each_other_and_answers_come_in_and_nothing_else() {
    let independent = Dependence::EndpointIndependent;
    let filtering = Dependence::AddressAndPortDependent;
    let timeout = Duration::from_secs(30);
    let mut net = behind(Some(Nat { mapping: independent, filtering, timeout }), None);
    assert!(reaches(&mut net, Time::ZERO, A, B) && reaches(&mut net, Time::ZERO, B, A));
    assert!(!reaches(&mut net, Time::ZERO, C, A), "private addresses mean nothing outside");
    assert_eq!(net.dropped(DropCause::NoRoute), 1);
    let far_side: SocketAddr = (net.far_side(0).unwrap(), 20_000).into();
    let out = datagram(net.socket(C, PORT), far_side);
    assert!(send(&mut net, Time::ZERO, C, out.clone()).is_empty(), "nobody has called yet");
    assert_eq!(net.dropped(DropCause::Blocked), 1);
    let call = datagram(net.socket(A, PORT), net.socket(C, PORT));
    let (to, _, called) = send(&mut net, Time::ZERO, A, call).remove(0);
    assert_eq!((to, called.from), (C, far_side), "the caller is seen as the NAT");
    let (to, _, answer) = send(&mut net, Time::ZERO, C, out.clone()).remove(0);
    assert_eq!((to, answer.to), (A, net.socket(A, PORT)));
    let late = Time::ZERO + timeout + Duration::from_millis(1);
    assert!(send(&mut net, late, C, out).is_empty(), "the mapping is forgotten");
}

#[test]
fn a_firewall_that_blocks_udp_lets_tcp_answers_in() {
    let mut net = behind(None, Some(Firewall { blocks_udp: true }));
    let (a, c) = (net.socket(A, PORT), net.socket(C, PORT));
    assert!(send(&mut net, Time::ZERO, C, segment(c, a)).is_empty(), "nobody has called yet");
    assert_eq!(send(&mut net, Time::ZERO, A, segment(a, c)).len(), 1);
    assert_eq!(send(&mut net, Time::ZERO, C, segment(c, a)).len(), 1);
    assert!(reaches(&mut net, Time::ZERO, A, C));
    assert!(!reaches(&mut net, Time::ZERO, C, A), "UDP, even if it answers");
    assert_eq!(net.dropped(DropCause::Blocked), 2);
}

#[test]
fn a_partition_cuts_the_directions_that_it_names() {
    let mut net = net(lan(3));
    net.set_side(B, 1);
    let all = |net: &mut Net| {
        [(A, B), (B, A), (A, C)].map(|(from, to)| reaches(net, Time::ZERO, from, to))
    };
    assert_eq!(all(&mut net), [true, true, true]);
    net.faults.walls.insert((0, 1));
    assert_eq!(all(&mut net), [false, true, true], "one way");
    net.faults.walls.insert((1, 0));
    assert_eq!(all(&mut net), [false, false, true], "both ways");
    assert_eq!(net.dropped(DropCause::Partitioned), 3);
    net.faults.walls.clear();
    assert_eq!(all(&mut net), [true, true, true]);
}

#[test]
fn what_is_longer_than_the_way_takes_is_dropped_and_counted() {
    let mut net = net(lan(2));
    net.set_mtu(128);
    assert!(reaches(&mut net, Time::ZERO, A, B), "100 bytes and 28 of headers");
    net.set_mtu(127);
    assert!(!reaches(&mut net, Time::ZERO, A, B));
    assert_eq!(net.dropped(DropCause::TooLong), 1);
}

#[test]
fn a_spoiled_packet_does_not_arrive_unless_its_checksum_does_not_tell() {
    let mut net = net(lan(2));
    net.faults.corruption = 1_000_000;
    let (a, b) = (net.socket(A, PORT), net.socket(B, PORT));
    assert!(!reaches(&mut net, Time::ZERO, A, B));
    assert!(send(&mut net, Time::ZERO, A, segment(a, b)).is_empty());
    assert_eq!(net.dropped(DropCause::Spoiled), 2);
    net.faults.unnoticed = 1_000_000;
    assert!(send(&mut net, Time::ZERO, A, segment(a, b)).is_empty(), "TCP always notices");
    for _ in 0..50 {
        let (_, _, packet) = send(&mut net, Time::ZERO, A, datagram(a, b)).remove(0);
        let Body::Datagram(bytes) = packet.body else { panic!("it was a datagram") };
        let bytes = bytes.into_bytes();
        let turned: u32 = bytes.iter().map(|byte| (byte ^ 7).count_ones()).sum();
        assert_eq!((bytes.len(), turned), (100, 1), "one bit is turned over");
    }
}

#[test]
fn packets_are_doubled_and_overtake_each_other_as_they_are_told_to() {
    let mut net = net(lan(2));
    let (a, b) = (net.socket(A, PORT), net.socket(B, PORT));
    net.faults.duplication = 1_000_000;
    assert_eq!(send(&mut net, Time::ZERO, A, datagram(a, b)).len(), 2);
    net.faults.duplication = 0;
    (net.faults.reordering, net.faults.held_back) = (500_000, Duration::from_millis(5));
    let mut times = Vec::new();
    for ms in 0..100 {
        times.push(send(&mut net, Time::from_millis(10 + ms), A, datagram(a, b))[0].1);
    }
    assert!(times.windows(2).any(|pair| pair[1] < pair[0]), "some overtake");
    let last = Time::from_millis(109 + 5 + 1);
    assert!(times.iter().all(|&at| at < last));
}

#[test]
fn without_a_querier_a_region_falls_silent_after_260_seconds() {
    let mut net = net(lan(3));
    join_all(&mut net);
    net.switch(0).fault = SwitchFault::NoQuerier { since: Time::ZERO };
    assert_eq!(hear(&mut net, Time::from_millis(259_999)), [A, B, C]);
    assert_eq!(hear(&mut net, Time::from_millis(260_001)), [A], "only by its own loopback");
    net.switch(0).fault = SwitchFault::None;
    assert_eq!(hear(&mut net, Time::from_millis(270_000)), [A, B, C]);
}

#[test]
fn a_port_that_filters_reports_and_a_dead_switch_hear_nothing() {
    let mut net = net(lan(3));
    join_all(&mut net);
    net.switch(0).filtered.insert(B);
    assert_eq!(hear(&mut net, Time::ZERO), [A, C]);
    net.switch(0).fault = SwitchFault::Dead;
    assert_eq!(hear(&mut net, Time::ZERO), [A]);
}

#[test]
fn multicast_stays_in_its_region_and_needs_switches_that_forward_it() {
    let mut topology = lan(3);
    topology.hosts[2].region = 1;
    let mut net1 = net(topology.clone());
    join_all(&mut net1);
    assert_eq!(hear(&mut net1, Time::ZERO), [A, B]);
    topology.hosts.iter_mut().for_each(|place| place.multicast = false);
    let mut net2 = net(topology);
    join_all(&mut net2);
    assert_eq!(hear(&mut net2, Time::ZERO), [A]);
    assert_eq!(net2.dropped(DropCause::NoRoute), 1);
}

#[test]
fn the_router_at_which_hops_run_out_answers_unless_it_is_silent() {
    let mut topology = lan(2);
    for place in &mut topology.hosts {
        let name = format!("r{}", place.name);
        place.routers[0].name = name;
    }
    let mut net = net(topology);
    let (a, b) = (net.socket(A, PORT), net.socket(B, PORT));
    let mut answers = Vec::new();
    for ttl in 1..=3 {
        let packet = Packet { ttl, ..datagram(a, b) };
        for (nic, _, packet) in send(&mut net, Time::ZERO, A, packet) {
            answers.push((nic, packet.body));
        }
    }
    let seen: Vec<String> = answers.iter().map(|answer| format!("{answer:?}")).collect();
    assert!(seen[0].contains("TimeExceeded { hop: 1, router: Some(172.16.0.1)"), "{seen:?}");
    assert!(seen[1].contains("TimeExceeded { hop: 2"), "{seen:?}");
    assert!(answers[2].0 == B && matches!(answers[2].1, Body::Datagram(_)), "{seen:?}");
    assert_eq!(net.dropped(DropCause::HopsRanOut), 2);
}

#[test]
fn what_is_far_away_does_not_hold_up_what_is_near() {
    let mut net = net(Topology::synthetic());
    let (near, to) = (A, B);
    let ways = 2..net.topology().hosts.len();
    let far = ways.max_by_key(|&from| net.one_way(from, 1)).map(|from| NicId(from as u32)).unwrap();
    let mut times = [far, near].map(|from| {
        let packet = datagram(net.socket(from, PORT), net.socket(to, PORT));
        let (nic, at, packet) = send(&mut net, Time::ZERO, from, packet).remove(0);
        (at, nic, packet)
    });
    assert!(times[1].0 < times[0].0);
    times.reverse();
    for (at, nic, packet) in times {
        assert_eq!(net.come_in(at, nic, &packet), Some(at), "nothing waits in front of it");
    }
}
