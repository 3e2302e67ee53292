use super::*;
use crate::net::{Net, NicId};
use crate::population::System;
use crate::run::Spec;
use crate::scenario::Workload;
use crate::topology::{Dependence, Gateway, Nat, SiteLatency, Topology};
use quilt_proto::Rng;

/// A second of messages of a length, over data centres.
fn large(size: usize) -> Spec {
    let topology = Topology::data_center(Some(27), SiteLatency::Paper).unwrap();
    let mut spec = Spec::new("datacenter", topology, System::Quilt);
    (spec.size, spec.duration) = (size, Duration::from_secs(1));
    spec
}

#[test]
fn crossings_are_counted_in_fragments_however_packets_carry_them() {
    let spec = large(20_000);
    let foreign = spec.topology.regions() as f64 - 1.0;
    let report = Run::new(spec).play(|_, _, _| {});
    assert_eq!(report.delivery.delivered, report.delivery.expected);
    // Each fragment enters each region but its own.
    let TrafficReport { border_crossings_per_message, full_copies_per_message, .. } =
        report.traffic;
    assert!((foreign..1.5 * foreign).contains(&border_crossings_per_message), "{report:?}");
    assert!((1.0..1.5).contains(&full_copies_per_message), "{full_copies_per_message}");
}

#[test]
fn crossings_and_copies_are_of_what_a_scenario_publishes_itself() {
    let in_words = Run::new(large(5_000)).play(|_, _, _| {});
    let mut spec = large(8);
    spec.script.workload =
        vec![Workload { size: 5_000, duration_s: 1.0, rate: spec.rate, ..Workload::default() }];
    let in_a_script = Run::new(spec).play(|_, _, _| {});
    assert_eq!(in_words.digest, in_a_script.digest);
    let ratios = |report: &Report| {
        (report.traffic.border_crossings_per_message, report.traffic.full_copies_per_message)
    };
    assert_eq!(ratios(&in_words), ratios(&in_a_script));
}

#[test]
fn who_is_behind_a_nat_is_elsewhere_and_multicast_never_leaves() {
    let mut topology = Topology::lan(3).unwrap();
    let free = Dependence::EndpointIndependent;
    let nat = Nat { mapping: free, filtering: free, timeout: Duration::from_secs(30) };
    topology.gateways.push(Gateway { nat: Some(nat), ..Gateway::default() });
    topology.hosts[2].gateway = Some(0);
    let net = Net::new(topology, Rng::new(1));
    let leaves = |to: std::net::IpAddr| net.leaves(NicId(0), (to, 20_000).into());
    assert!(leaves(net.far_side(2).unwrap()));
    assert!(!leaves(net.address(NicId(1))));
    assert!(!leaves("239.0.0.1".parse().unwrap()));
}

#[test]
fn the_median_of_recovery_is_of_all_survivors_also_those_that_never_recover() {
    let of = |times: &[Option<f64>]| {
        let FullRate { median, worst } = FullRate::of(times.to_vec());
        (median, worst)
    };
    assert_eq!(of(&[Some(3.0), Some(1.0), Some(2.0)]), (Some(2.0), Some(3.0)));
    assert_eq!(of(&[Some(3.0), None, Some(2.0), Some(1.0), None]), (Some(3.0), None));
    assert_eq!(of(&[Some(1.0), None, None]), (None, None));
    assert_eq!(of(&[]), (None, None));
}
