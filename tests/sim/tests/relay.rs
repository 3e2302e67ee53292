//! How often a message crosses the edge of a region, in each way of seeing to that.

use quilt_proto::{RelayDigest, RelaySync};
use quilt_sim::population::System;
use quilt_sim::report::Report;
use quilt_sim::run::{Run, Spec};
use quilt_sim::topology::{SiteLatency, Topology};
use std::time::Duration;

const HOSTS: usize = 90;
const REPRESENTATIVES: u8 = 3;

fn played(sync: RelaySync, digest: RelayDigest) -> Report {
    let topology = Topology::data_center(Some(HOSTS), SiteLatency::Paper).expect("built in");
    let mut spec = Spec::new("datacenter", topology, System::Quilt);
    spec.population.representatives = REPRESENTATIVES;
    (spec.population.sync, spec.population.digest) = (sync, digest);
    // Duplicates of the first two seconds are not counted.
    spec.duration = Duration::from_secs(3);
    let report = Run::new(spec).play(|_, _, _| {});
    assert_eq!(report.violations, Vec::<String>::new());
    assert_eq!(report.delivery.delivered, report.delivery.expected, "{sync:?} {digest:?}");
    report
}

#[test]
fn ranked_standbys_bring_each_message_in_once() {
    let report = played(RelaySync::Ranked, RelayDigest::Exact);
    assert_eq!(report.duplicates.unsolicited_percent, 0.0);
}

#[test]
fn without_sync_each_representative_brings_in_what_it_gets() {
    for digest in [RelayDigest::Exact, RelayDigest::Bloom] {
        let percent = played(RelaySync::Off, digest).duplicates.unsolicited_percent;
        assert!(percent > 100.0, "{digest:?}: {percent} %");
    }
}

#[test]
fn in_two_phases_only_representatives_get_a_message_twice_over_the_tree_and_in_the_region() {
    let report = played(RelaySync::TwoPhase, RelayDigest::Exact);
    let regions = report.patches.len() as f64;
    let more = regions * f64::from(REPRESENTATIVES - 1) / HOSTS as f64;
    let percent = report.duplicates.unsolicited_percent;
    assert!(percent > 0.0 && percent < 100.0 * more * 1.2, "{percent} %");
}
