//! How good trees are, and how fast they heal.

use quilt_sim::population::System;
use quilt_sim::report::Report;
use quilt_sim::run::{Kill, Run, Spec};
use quilt_sim::topology::{SiteLatency, Topology};
use std::time::Duration;

/// One tree over so many hosts in data centres, with 2 s of messages.
fn play(hosts: usize, seed: u64, kill: Option<Kill>) -> Report {
    let topology = Topology::data_center(Some(hosts), SiteLatency::Paper).unwrap();
    let mut spec = Spec::new("datacenter", topology, System::Omni);
    (spec.seed, spec.duration, spec.kill) = (seed, Duration::from_secs(2), kill);
    Run::new(spec).play(|_, _, _| {})
}

#[test]
fn a_tree_over_data_centres_comes_near_the_direct_latency() {
    for seed in 1..=3 {
        let report = play(100, seed, None);
        assert_eq!(report.violations, Vec::<String>::new());
        let last = report.series.tree.last().unwrap();
        assert_eq!((last.hosts, last.attached), (100, 100), "seed {seed}");
        let stretch = report.delivery.stretch_mean;
        assert!(stretch < 1.4, "stretch {stretch}, seed {seed}");
    }
}

#[test]
fn half_of_the_survivors_are_in_the_tree_again_soon_after_half_of_all_hosts_died() {
    for seed in 1..=3 {
        let at = Duration::from_secs(1);
        let report = play(100, seed, Some(Kill { fraction: 0.5, at }));
        assert_eq!(report.violations, Vec::<String>::new());
        let attached = report.recovery.unwrap().attached;
        let half = attached.half_after_ms.unwrap();
        assert!(half < 600.0, "half are attached after {half} ms, seed {seed}");
    }
}
