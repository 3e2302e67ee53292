//! Small worlds with real nodes: what happens to hosts, and what their applications see of it.

mod lab;

use lab::{Lab, lan};
use quilt_proto::{Counter, Node, Time};
use quilt_sim::host::{Clock, Kind, Life};
use quilt_sim::net::{DropCause, NicId, SwitchFault};
use quilt_sim::topology::{Dependence, Firewall, Gateway, Nat, Topology};
use quilt_sim::world::HostIndex;
use std::time::Duration;

#[test]
fn a_paused_host_gets_what_came_in_the_meantime_when_it_goes_on() {
    let mut lab = Lab::new(lan(5));
    lab.join();
    lab.world.pause(HostIndex(3));
    lab.publish(20);
    lab.run(500);
    assert_eq!(lab.got(3), 0);
    assert_eq!(lab.got(2), 20, "others are not held up");
    lab.world.resume(HostIndex(3));
    lab.run(50);
    assert_eq!(lab.got(3), 20, "its system kept them");
    lab.all_got_all();
}

#[test]
fn a_partition_keeps_messages_from_one_side_and_they_come_when_it_heals() {
    for one_way in [false, true] {
        let mut lab = Lab::new(lan(6));
        lab.join();
        for host in [4, 5] {
            lab.world.net().set_side(NicId(host), 1);
        }
        lab.world.net().faults.walls.insert((0, 1));
        if !one_way {
            lab.world.net().faults.walls.insert((1, 0));
        }
        lab.publish(5);
        lab.run(1_000);
        assert_eq!((lab.got(3), lab.got(4)), (5, 0), "one way: {one_way}");
        assert!(lab.world.dropped(DropCause::Partitioned) > 0);
        lab.world.net().faults.walls.clear();
        lab.run(5_000);
        lab.all_got_all();
    }
}

#[test]
fn behind_nats_and_firewalls_that_block_udp_everybody_gets_everything() {
    let nat = |mapping, filtering| {
        let timeout = Duration::from_secs(30);
        (Some(Nat { mapping, filtering, timeout }), None)
    };
    let symmetric = Dependence::AddressAndPortDependent;
    let gateways = [
        nat(Dependence::EndpointIndependent, Dependence::EndpointIndependent),
        nat(symmetric, symmetric),
        (None, Some(Firewall { blocks_udp: false })),
        (None, Some(Firewall { blocks_udp: true })),
    ];
    for (nat, firewall) in gateways {
        let mut topology = lan(8);
        topology.gateways.push(Gateway { nat, firewall, ..Gateway::default() });
        for place in &mut topology.hosts[4..] {
            (place.region, place.multicast, place.gateway) = (1, false, Some(0));
            place.routers[0].name = "inner".into();
            place.routers[0].multicast = false;
        }
        let mut lab = Lab::new(topology);
        lab.join();
        lab.publish(20);
        lab.run(3_000);
        lab.all_got_all();
    }
}

#[test]
fn a_region_without_multicast_that_works_still_gets_everything() {
    for fault in [SwitchFault::NoQuerier { since: Time::from_millis(2_000) }, SwitchFault::Dead] {
        let mut lab = Lab::new(lan(6));
        lab.join();
        lab.world.net().switch(0).fault = fault;
        lab.world.run_for(Duration::from_secs(270));
        lab.publish(10);
        lab.run(5_000);
        lab.all_got_all();
    }
    let mut lab = Lab::new(lan(6));
    lab.world.net().switch(0).filtered.insert(NicId(2));
    lab.join();
    lab.publish(10);
    lab.run(10_000);
    lab.all_got_all();
}

#[test]
fn clocks_that_run_fast_or_slow_harm_nothing() {
    let mut lab = Lab::new(Topology::synthetic());
    for (host, fast_ppm) in [(1, 500_000), (5, -500_000), (9, 200), (13, -200)] {
        lab.world.set_clock(HostIndex(host), Clock { fast_ppm });
    }
    lab.join();
    lab.publish(20);
    lab.run(5_000);
    lab.all_got_all();
}

#[test]
fn a_way_that_takes_only_short_packets_is_counted_and_nothing_is_delivered_wrong() {
    let mut lab = Lab::new(lan(4));
    lab.join();
    lab.world.net().set_mtu(400);
    lab.publish(3);
    lab.run(1_000);
    assert!(lab.world.dropped(DropCause::TooLong) > 0);
    assert_eq!(lab.got(2), 0);
    lab.world.net().set_mtu(1_500);
    lab.run(8_000);
    assert_eq!(lab.got(2) + lab.gapped, 3, "each is delivered or given up");
}

#[test]
fn spoiled_packets_are_counted_and_never_delivered() {
    let mut lab = Lab::new(lan(6));
    lab.join();
    lab.world.net().faults.corruption = 50_000;
    lab.publish(100);
    lab.run(5_000);
    assert!(lab.world.dropped(DropCause::Spoiled) > 10);
    lab.all_got_all();
}

#[test]
fn what_comes_twice_or_out_of_order_is_delivered_once_and_in_order() {
    for topology in [lan(6), Topology::synthetic()] {
        let mut lab = Lab::new(topology);
        lab.join();
        let faults = &mut lab.world.net().faults;
        (faults.duplication, faults.reordering) = (500_000, 300_000);
        faults.held_back = Duration::from_millis(40);
        lab.publish(100);
        lab.run(5_000);
        lab.all_got_all();
        assert!(lab.sum(Counter::DroppedDuplicate) > 10);
    }
}

#[test]
fn a_host_whose_process_ended_starts_again_and_takes_part() {
    for life in [Life::Down, Life::Off] {
        let mut lab = Lab::new(Topology::synthetic());
        lab.join();
        let host = HostIndex(7);
        lab.world.kill(host, life);
        assert_eq!(lab.world.life(host), life);
        lab.run(2_000);
        lab.publish(5);
        lab.run(1_000);
        assert_eq!(lab.got(7), 0);
        let config = lab.config(7, 2);
        lab.world.restart(host, Kind::Node(Box::new(Node::new(config, 99))));
        lab.safety.restarted(7);
        lab.join_one(7);
        lab.run(3_000);
        lab.publish(5);
        lab.run(3_000);
        assert_eq!(lab.got(7), 5, "what was published since");
    }
}

#[test]
fn a_slow_processor_makes_deliveries_late_and_loses_nothing() {
    let took = |cpu| {
        let mut lab = Lab::new(lan(4));
        lab.join();
        lab.world.set_cpu(cpu);
        let published = lab.world.now();
        lab.publish(5);
        lab.run(3_000);
        lab.all_got_all();
        lab.last_delivery.since(published)
    };
    let (none, slow) = (took(Duration::ZERO), took(Duration::from_millis(30)));
    assert_eq!(none.as_millis(), 40, "one every 10 ms");
    assert!(slow >= Duration::from_millis(4 * 30), "{slow:?}");
}

#[test]
fn an_application_that_does_not_read_is_told_later() {
    let mut lab = Lab::new(lan(4));
    lab.join();
    lab.world.set_reads(HostIndex(2), false);
    lab.publish(10);
    lab.run(500);
    assert_eq!((lab.got(1), lab.got(2)), (10, 0));
    lab.world.set_reads(HostIndex(2), true);
    lab.run(500);
    lab.all_got_all();
}
