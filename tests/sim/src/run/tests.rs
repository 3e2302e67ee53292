use super::*;

fn run(hosts: usize) -> Run {
    let mut spec = Spec::new("lan", Topology::lan(hosts).unwrap(), System::Quilt);
    spec.duration = Duration::from_secs(1);
    Run::new(spec)
}

/// The invariants that a report calls broken, claimed or not.
fn broken(report: &Report) -> Vec<&str> {
    let all = report.violations.iter().chain(&report.unclaimed);
    let mut names: Vec<&str> = all.filter_map(|what| what.split(' ').next()).collect();
    names.dedup();
    names
}

#[test]
fn a_host_that_cannot_be_reached_breaks_both_promises_of_liveness() {
    let mut run = run(4);
    assert_ne!(run.source, 2, "the seed draws another");
    run.world.net().set_side(crate::net::NicId(2), 1);
    run.world.net().faults.walls.extend([(0, 1), (1, 0)]);
    let report = run.play(|_, _, _| {});
    assert_eq!(broken(&report), ["L5", "L2"]);
    assert_eq!((report.violations.len(), report.unclaimed.len()), (2, 0), "both are claimed");
    assert!(report.violations[0].contains("host 2"), "{:?}", report.violations);
}

#[test]
fn a_message_with_other_bytes_than_were_published_breaks_s2() {
    let mut run = run(4);
    run.world.net().faults.corruption = 300_000;
    // The open suite has no tag: what the checksum does not tell is delivered.
    run.world.net().faults.unnoticed = 1_000_000;
    let report = run.play(|_, _, _| {});
    assert!(broken(&report).contains(&"S2"), "{:?}", broken(&report));
    assert!(!broken(&report).contains(&"S13"), "garbage is counted too");
}

#[test]
fn a_sound_run_breaks_nothing_and_the_source_and_the_service_never_die() {
    let mut spec = Spec::new("synthetic", Topology::synthetic(), System::Quilt);
    spec.duration = Duration::from_secs(3);
    spec.kill = Some(Kill { fraction: 1.0, at: Duration::from_secs(1) });
    let report = Run::new(spec).play(|_, _, _| {});
    assert_eq!(report.delivery.expected, 0, "all others die");
    assert_eq!(report.violations, [""; 0]);
    let report = run(6).play(|_, _, _| {});
    assert_eq!((report.violations.len(), report.unclaimed.len()), (0, 0));
    assert_eq!(report.delivery.delivered, 5 * 10);
}

#[test]
fn a_datagram_that_is_not_counted_once_breaks_s13() {
    let mut run = run(4);
    run.world.unaccounted.push((Time::from_millis(7), HostIndex(2)));
    let report = run.play(|_, _, _| {});
    assert_eq!(report.violations, ["S13 at 7.000 ms: host 2 did not count a datagram once"]);
}
