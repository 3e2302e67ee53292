//! Hosts of a DONet mesh that lie about what they hold, or give nothing: nobody else misses anything.

use quilt_proto::wire::{Data, Frame};
use quilt_sim::liar::{self, Lie};
use quilt_sim::population::System;
use quilt_sim::report::Report;
use quilt_sim::run::{Run, Spec};
use quilt_sim::topology::Topology;
use std::time::Duration;

const HOSTS: usize = 40;

/// A mesh in which three of ten hosts lie, but not the source.
fn with_liars(seed: u64, lie: fn(Frame) -> Vec<Frame>) -> Report {
    let topology = Topology::internet(Some(HOSTS), seed).unwrap();
    let mut spec = Spec::new("liars", topology, System::Donet);
    (spec.seed, spec.rate, spec.duration) = (seed, 20.0, Duration::from_secs(5));
    let mut run = Run::new(spec);
    let source = run.source();
    let liars = (0..HOSTS).filter(|&host| host != source).step_by(3).take(HOSTS * 3 / 10);
    liars.for_each(|host| run.set_lie(host, Lie::new(lie)));
    run.play(|_, _, _| {})
}

/// All hosts got all, and nobody was told of a gap.
fn nobody_misses_anything(lie: fn(Frame) -> Vec<Frame>) {
    for seed in 1..=2 {
        let report = with_liars(seed, lie);
        let delivery = report.delivery;
        assert_eq!((delivery.delivered, delivery.gapped), (delivery.expected, 0), "seed {seed}");
    }
}

#[test]
fn a_partner_that_advertises_what_it_does_not_have_costs_nobody_a_message() {
    nobody_misses_anything(liar::claim_all);
}

#[test]
fn a_partner_that_never_answers_costs_nobody_a_message() {
    nobody_misses_anything(|frame| match frame {
        Frame::Data(Data { solicited: true, .. }) | Frame::NotHeld(_) => vec![],
        other => vec![other],
    });
}

#[test]
fn a_partner_that_answers_with_the_wrong_fragment_costs_nobody_a_message() {
    nobody_misses_anything(liar::answer_wrongly);
}

#[test]
fn a_partner_that_only_takes_costs_nobody_a_message() {
    nobody_misses_anything(liar::withhold);
}

#[test]
fn a_partner_that_floods_requests_costs_nobody_a_message() {
    nobody_misses_anything(liar::ask_for_all);
}
