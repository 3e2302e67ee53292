//! One seed, one run: invariant S12.

use quilt_sim::population::System;
use quilt_sim::report::Report;
use quilt_sim::run::{Kill, Run, Spec};
use quilt_sim::topology::Topology;
use std::time::Duration;

fn play(spec: &Spec, seed: u64) -> Report {
    Run::new(Spec { seed, ..spec.clone() }).play(|_, _, _| {})
}

/// All of a report except what depends on the machine.
fn without_the_simulator(report: &Report) -> serde_json::Value {
    let mut value = serde_json::to_value(report).unwrap();
    let removed = value.as_object_mut().unwrap().remove("simulator");
    assert!(removed.is_some());
    value
}

fn repeats(spec: &Spec) {
    let (first, again) = (play(spec, 1), play(spec, 1));
    assert_eq!(without_the_simulator(&first), without_the_simulator(&again));
    assert_eq!(first.simulator.events, again.simulator.events);
    let other = play(spec, 2);
    assert_ne!(first.digest, other.digest, "another seed is another run");
}

#[test]
fn a_lan_run_twice_is_the_same_run() {
    repeats(&Spec::new("lan", Topology::lan(20).unwrap(), System::Quilt));
}

#[test]
fn a_run_with_loss_deaths_and_slow_processors_twice_is_the_same_run() {
    for system in System::ALL {
        let mut spec = Spec::new("synthetic", Topology::synthetic(), system);
        spec.loss = 0.05;
        spec.kill = Some(Kill { fraction: 0.3, at: Duration::from_secs(2) });
        spec.duration = Duration::from_secs(4);
        spec.cpu = Duration::from_micros(20);
        repeats(&spec);
    }
}

#[test]
fn systems_and_faults_show_in_the_digest() {
    let spec = |system| {
        let spec = Spec::new("synthetic", Topology::synthetic(), system);
        Spec { duration: Duration::from_secs(1), ..spec }
    };
    let mut digests: Vec<String> =
        System::ALL.into_iter().map(|system| play(&spec(system), 1).digest).collect();
    digests.push(play(&Spec { loss: 0.01, ..spec(System::Quilt) }, 1).digest);
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 4);
}
