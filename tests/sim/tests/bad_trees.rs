//! Bad days of a tree: what is claimed of every run holds, and the tree is whole afterwards.

use quilt_sim::population::System;
use quilt_sim::report::Report;
use quilt_sim::run::{Run, Spec};
use quilt_sim::scenario::{Fault, Script, What, Who, Workload};
use quilt_sim::topology::{SiteLatency, Topology};

const HOSTS: usize = 60;

/// One tree over data centres, in which one host publishes for so long while things go wrong.
fn play(seed: u64, who: Who, duration_s: f64, faults: Vec<(f64, Option<Who>, What)>) -> Report {
    let topology = Topology::data_center(Some(HOSTS), SiteLatency::Paper).unwrap();
    let mut spec = Spec::new("datacenter", topology, System::Omni);
    spec.seed = seed;
    let faults = faults.into_iter().map(|(at_s, who, what)| Fault { at_s, who, what }).collect();
    let workload = vec![Workload { who, duration_s, ..Workload::default() }];
    spec.script = Script { faults, workload, ..Script::default() };
    Run::new(spec).play(|_, _, _| {})
}

fn is_whole(report: &Report, hosts: usize) {
    let seed = report.seed;
    assert_eq!(report.violations, Vec::<String>::new(), "seed {seed}");
    let last = report.series.tree.last().unwrap();
    assert_eq!((last.hosts, last.attached), (hosts, hosts), "seed {seed}");
}

#[test]
fn a_tree_that_grew_while_three_of_ten_packets_were_lost_is_whole_once_they_come() {
    for seed in 1..=3 {
        let lossy = vec![(-3.8, None, What::Loss(0.3)), (1.0, None, What::Loss(0.0))];
        let report = play(seed, Who::Source, 8.0, lossy);
        is_whole(&report, HOSTS);
        assert_eq!(report.delivery.delivered, report.delivery.expected, "seed {seed}");
    }
}

#[test]
fn hosts_of_which_nothing_is_heard_for_five_seconds_come_back_into_the_tree() {
    for seed in 1..=3 {
        let mute = vec![(1.0, Some(Who::DrawCount(3)), What::Mute), (6.0, None, What::Heal)];
        let report = play(seed, Who::Source, 12.0, mute);
        is_whole(&report, HOSTS);
    }
}

#[test]
fn a_stream_goes_on_when_the_root_falls_silent() {
    for seed in 1..=3 {
        // The first host that joined is the root. It hears nothing more itself.
        let dead = vec![(2.0, Some(Who::Source), What::Pause)];
        let report = play(seed, Who::DrawCount(1), 8.0, dead);
        is_whole(&report, HOSTS - 1);
        let missing = report.delivery.expected - report.delivery.delivered;
        assert!(missing <= report.delivery.expected / HOSTS as u64, "{missing}, seed {seed}");
    }
}

#[test]
fn a_stream_goes_on_when_the_root_dies() {
    for seed in 1..=3 {
        // The first host that joined is the root; another one publishes.
        let dead = vec![(2.0, Some(Who::Source), What::Kill)];
        let report = play(seed, Who::DrawCount(1), 8.0, dead);
        is_whole(&report, HOSTS - 1);
        assert_eq!(report.delivery.delivered, report.delivery.expected, "seed {seed}");
        let whole = report.recovery.unwrap().attached.whole_after_ms.unwrap();
        assert!(whole <= 3_000.0, "all are attached after {whole} ms, seed {seed}");
    }
}
