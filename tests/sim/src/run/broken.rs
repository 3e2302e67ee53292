//! Hosts that break what is promised, each in one way: whether a run says which, when and how.

use super::tests::broken;
use super::*;
use crate::liar::Lie;
use crate::scenario::{Join, Who};
use crate::topology::SiteLatency;
use quilt_proto::wire::{Data, Frame};
use quilt_proto::{GapCause, HostTag, Message};
use std::cell::Cell;
use std::rc::Rc;

/// The host that is broken, which is not the source.
const HOST: usize = 2;

fn spec() -> Spec {
    let mut spec = Spec::new("lan", Topology::lan(4).unwrap(), System::Quilt);
    (spec.duration, spec.seed) = (Duration::from_secs(1), 7);
    spec
}

/// What a run says in which a host's application is told something else than its node says.
fn told(lie: impl FnMut(Notice) -> Vec<Notice> + 'static) -> Report {
    let mut run = Run::new(spec());
    assert_ne!(run.source(), HOST, "the seed draws another");
    run.set_lie(HOST, Lie::at_home(lie));
    run.play(|_, _, _| {})
}

/// The run broke this and nothing else, by the host and after publishing began, and the report has
/// the seed with which that can be seen again.
fn assert_only(report: &Report, invariants: &[&str]) {
    assert_eq!(broken(report), invariants, "{:?}", report.violations);
    assert_eq!(report.seed, 7);
    for what in &report.violations {
        let at = what.split(' ').nth(2).and_then(|ms| ms.parse::<f64>().ok());
        assert!(at.is_some_and(|ms| ms >= 5_000.0), "{what}");
    }
}

#[test]
fn an_application_that_is_told_a_message_again_breaks_s1_and_the_order_of_s5() {
    let report = told(|notice| match &notice {
        Notice::Message(message) if message.seq == Seq(4) => vec![notice.clone(), notice],
        _ => vec![notice],
    });
    assert_only(&report, &["S1", "S5"]);
    assert!(report.violations[0].ends_with("host 2 was told again of 4..=4 where 5 was next"));
}

#[test]
fn a_message_of_a_source_that_published_nothing_breaks_s3() {
    let report = told(|notice| match &notice {
        Notice::Message(message) if message.seq == Seq(4) => {
            let source = Source { host: HostTag(99), ..message.source };
            let forged = Message { source, seq: Seq(0), ..message.clone() };
            vec![Notice::Message(forged), notice]
        }
        _ => vec![notice],
    });
    assert_only(&report, &["S3"]);
}

#[test]
fn a_message_that_neither_comes_nor_is_told_as_a_gap_breaks_s4() {
    let mut spec = spec();
    // Of a host that joins late a run does not say that it misses something.
    spec.script.joins = vec![Join { who: Who::Hosts(vec![HOST]), at_s: -1.0 }];
    let mut run = Run::new(spec);
    run.set_lie(
        HOST,
        Lie::at_home(|notice| match &notice {
            Notice::Message(message) if message.seq == Seq(4) => vec![],
            _ => vec![notice],
        }),
    );
    let report = run.play(|_, _, _| {});
    assert_only(&report, &["S4"]);
    assert!(report.violations[0].ends_with("host 2 skipped to 5..=5 where 4 was next"));
}

#[test]
fn a_gap_that_ends_before_it_begins_breaks_s4() {
    let report = told(|notice| match &notice {
        Notice::Message(message) if message.seq == Seq(4) => {
            let (source, from, to) = (message.source, Seq(5), Seq(4));
            vec![notice, Notice::Gap { source, from, to, cause: GapCause::Unrepaired }]
        }
        _ => vec![notice],
    });
    assert_only(&report, &["S4"]);
}

#[test]
fn a_source_whose_life_is_told_to_have_been_another_breaks_s5() {
    let report = told(|notice| match &notice {
        Notice::Message(message) if message.seq == Seq(9) => {
            let (host, life) = (message.source.host, message.source.incarnation);
            vec![notice, Notice::SourceReset { host, old: life, new: life }]
        }
        _ => vec![notice],
    });
    assert_only(&report, &["S5"]);
}

#[test]
fn a_host_that_starts_again_in_a_life_that_it_had_breaks_s14() {
    let mut run = Run::new(spec());
    run.disturbances = (true, true);
    run.join_all();
    run.advance(PUBLISHING);
    let Prepared { streams, .. } = &run.prepared;
    let stream = Stream { host: HOST, ..streams[0].clone() };
    for life in 1..=2 {
        assert!(run.publish(&stream).is_some(), "life {life}");
        run.advance(run.world.now() + STEP);
        if life == 1 {
            run.world.kill(run.hosts[HOST], Life::Down);
            // It does not know that it has lived.
            run.lives[HOST] = Incarnation(0);
            run.restart(HOST);
            run.advance(run.world.now() + Duration::from_secs(1));
        }
    }
    run.judge();
    let report = report::of(&run);
    assert_only(&report, &["S14"]);
    assert!(report.violations[0].ends_with(" was given 0 where 1 was next"));
}

#[test]
fn a_last_message_that_nobody_hears_of_for_two_seconds_breaks_l3() {
    let mut run = Run::new(spec());
    let clock = Rc::new(Cell::new(Time::ZERO));
    let (now, last) = (clock.clone(), PUBLISHING + Duration::from_millis(800));
    let source = run.source();
    run.set_lie(
        source,
        Lie::everywhere(move |frame| {
            let silent = last <= now.get() && now.get() < last + Duration::from_secs(3);
            if silent { vec![] } else { vec![frame] }
        }),
    );
    let report = run.play(|now, _, _| clock.set(now));
    assert_only(&report, &["L3"]);
    assert_eq!(report.delivery.delivered, report.delivery.expected, "it came after all");
}

#[test]
fn a_source_that_may_publish_once_in_ten_seconds_breaks_l4() {
    let mut spec = spec();
    (spec.population.publish_bytes_per_second, spec.duration) = (100, Duration::from_secs(7));
    assert_only(&Run::new(spec).play(|_, _, _| {}), &["L4"]);
}

#[test]
fn a_service_that_says_more_than_it_was_asked_breaks_s10() {
    let mut run = Run::new(spec());
    // A question that is not padded is shorter than so many answers.
    (0..4).for_each(|host| run.set_lie(host, Lie::everywhere(|frame| vec![frame])));
    let lie = |frame: Frame| match frame {
        Frame::Cookie { .. } => vec![frame; 30],
        _ => vec![frame],
    };
    run.world.set_lie(run.service, Lie::everywhere(lie));
    let report = run.play(|_, _, _| {});
    assert_eq!((broken(&report), report.seed), (vec!["S10"], 7), "{:?}", report.violations);
    assert!(report.violations[0].starts_with("S10 at 0."), "{:?}", report.violations);
}

#[test]
fn a_host_that_answers_more_than_it_was_asked_breaks_s10() {
    let topology = Topology::data_center(Some(20), SiteLatency::Paper).unwrap();
    let mut run = Run::new(Spec { topology, ..spec() });
    let lie = |frame: Frame| match &frame {
        Frame::Beat(beat) if beat.echo != 0 => vec![frame; 20],
        _ => vec![frame],
    };
    (0..20).for_each(|host| run.set_lie(host, Lie::everywhere(lie)));
    let report = run.play(|_, _, _| {});
    let names: Vec<&str> = report.violations.iter().map(|what| &what[..4]).collect();
    assert!(names.contains(&"S10 "), "{:?}", report.violations);
}

#[test]
fn a_host_that_says_it_was_asked_for_what_nobody_asked_for_breaks_s6() {
    let mut spec = spec();
    spec.population.system = System::Omni;
    let mut run = Run::new(spec);
    let lie = |frame: Frame| match frame {
        Frame::Data(data) => vec![Frame::Data(Data { solicited: true, ..data })],
        _ => vec![frame],
    };
    run.set_lie(run.source(), Lie::new(lie));
    assert_only(&run.play(|_, _, _| {}), &["S6"]);
}
