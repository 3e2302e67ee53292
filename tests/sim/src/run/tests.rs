use super::*;
use crate::report::Duplicates;
use crate::scenario::{Fault, What};
use crate::topology::SiteLatency;

fn run(hosts: usize) -> Run {
    let mut spec = Spec::new("lan", Topology::lan(hosts).unwrap(), System::Quilt);
    spec.duration = Duration::from_secs(1);
    Run::new(spec)
}

/// The invariants that a report calls broken, claimed or not, but for what hosts say unasked.
pub(super) fn broken(report: &Report) -> Vec<&str> {
    let unbroken = |what: &&String| {
        let ends = [" was not seen broken", " was not looked at"];
        ends.iter().any(|end| what.ends_with(end)) || what.contains(" unasked, ")
    };
    let unclaimed = report.unclaimed.iter().filter(|what| !unbroken(what));
    let all = report.violations.iter().chain(unclaimed);
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
    assert_eq!(broken(&report), ["L1", "L5", "L2"]);
    assert_eq!(report.violations.len(), 3, "all are claimed");
    assert!(report.violations[1].contains("host 2"), "{:?}", report.violations);
}

#[test]
fn a_run_without_messages_goes_on_until_the_time_to_join_is_over() {
    let mut spec = Spec::new("lan", Topology::lan(20).unwrap(), System::Quilt);
    (spec.duration, spec.cpu) = (Duration::ZERO, Duration::from_millis(900));
    let report = Run::new(spec).play(|_, _, _| {});
    assert_eq!(report.join.complete_ms, None);
    assert!(broken(&report).contains(&"L5"), "{:?}", report.violations);
}

#[test]
fn a_tree_that_is_not_whole_when_publishing_begins_is_not_called_complete() {
    let mut spec = Spec::new("lan", Topology::lan(12).unwrap(), System::Omni);
    spec.duration = Duration::from_secs(1);
    let whole = Run::new(spec.clone()).play(|_, _, _| {}).build;
    assert!(whole.complete_ms.is_some() && whole.tree_messages.is_some(), "{whole:?}");
    let mut run = Run::new(spec);
    run.world.net().faults.loss = 900_000;
    let report = run.play(|_, _, _| {});
    let last = report.series.tree.iter().rfind(|at| at.at_ms <= 5_000.0);
    assert!(last.is_none_or(|at| at.attached < at.hosts), "{last:?}");
    assert_eq!((report.build.complete_ms, report.build.tree_messages), (None, None));
}

#[test]
fn where_nothing_was_published_late_enough_l2_was_not_looked_at() {
    let says = |report: &Report| report.unclaimed.contains(&"L2 was not looked at".to_string());
    let mut spec = Spec::new("lan", Topology::lan(6).unwrap(), System::Quilt);
    spec.kill = Some(Kill { fraction: 0.3, at: Duration::from_secs(1) });
    assert!(says(&Run::new(spec.clone()).play(|_, _, _| {})));
    spec.duration = Duration::from_secs(18);
    let report = Run::new(spec.clone()).play(|_, _, _| {});
    assert!(!says(&report), "{:?}", report.unclaimed);
    // Loss that lasts is loss, whatever the run began with.
    (spec.kill, spec.duration) = (None, Duration::from_secs(2));
    spec.script.faults = vec![Fault { at_s: 1.0, who: None, what: What::Loss(1.0) }];
    let report = Run::new(spec).play(|_, _, _| {});
    assert!(report.delivery.delivered < report.delivery.expected);
    assert!(says(&report) && report.violations.is_empty(), "{:?}", report.unclaimed);
}

#[test]
fn a_message_with_other_bytes_than_were_published_breaks_s2() {
    let mut spec = Spec::new("lan", Topology::lan(4).unwrap(), System::Quilt);
    // So many that the body of one is struck whatever the seed.
    (spec.duration, spec.rate) = (Duration::from_secs(1), 100.0);
    let mut run = Run::new(spec);
    run.world.net().faults.corruption = 100_000;
    // The open suite has no tag: what the checksum does not tell is delivered.
    run.world.net().faults.unnoticed = 1_000_000;
    let report = run.play(|_, _, _| {});
    assert!(broken(&report).contains(&"S2"), "{:?} {:?}", report.violations, report.unclaimed);
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
    assert_eq!(broken(&report), [""; 0]);
    assert_eq!(report.delivery.delivered, 5 * 10);
}

#[test]
fn two_runs_that_differ_break_s12() {
    let mut report = run(4).play(|_, _, _| {});
    let again = run(4).play(|_, _, _| {});
    report.verify(&again);
    assert_eq!(report.violations, [""; 0]);
    report.verify(&run(5).play(|_, _, _| {}));
    assert_eq!(broken(&report), ["S12"]);
}

#[test]
fn what_is_not_claimed_is_listed_with_whether_it_was_seen_broken() {
    let lossy = || {
        let mut run = run(4);
        run.loss = 0.01;
        run
    };
    let report = lossy().play(|_, _, _| {});
    let unbroken = ["S9 was not looked at", "L1 was not seen broken", "L3 was not seen broken"];
    let listed = |report: &Report| -> Vec<String> {
        report.unclaimed.iter().filter(|what| !what.contains(" unasked, ")).cloned().collect()
    };
    assert_eq!(listed(&report), unbroken);
    let mut other = lossy();
    other.liveness.tree(Time::from_millis(9_000), Err("torn".into()));
    let report = other.play(|_, _, _| {});
    assert_eq!(report.violations, [""; 0], "it fails no run");
    assert!(listed(&report)[0].starts_with("L1 at 9000.000 ms: 3s after"), "{report:?}");
    assert_eq!(listed(&report)[1..], [unbroken[0], unbroken[2]]);
}

#[test]
fn fragments_that_wait_when_all_is_over_break_l6() {
    let mut run = Run::new(Spec::new("lan", Topology::lan(4).unwrap(), System::Donet));
    run.play_joins(|_, _, _| {});
    run.world.run_until(PUBLISHING);
    run.world.net().faults.loss = 1_000_000;
    for _ in 0..2_000 {
        let (source, group) = (run.hosts[run.source], run.group);
        let _ = run.world.call(source, |node, now| node.publish(now, group, vec![0; 1_000].into()));
        run.world.run_for(Duration::from_micros(100));
    }
    assert_eq!(run.violations.names(), []);
    run.judge();
    assert!(run.violations.names().contains(&Invariant::L6), "{:?}", run.violations.names());
}

#[test]
fn a_datagram_that_is_not_counted_once_breaks_s13() {
    let mut run = run(4);
    run.world.work.counted(Time::from_millis(7), 2, 5, 5);
    let report = run.play(|_, _, _| {});
    assert_eq!(report.violations, ["S13 at 7.000 ms: host 2 did not count a datagram once"]);
}

#[test]
fn what_is_new_to_hosts_is_counted_by_when_it_was_published_and_nothing_is_where_all_is_early() {
    for system in System::ALL {
        let topology = Topology::data_center(Some(40), SiteLatency::Paper).unwrap();
        let mut spec = Spec::new("datacenter", topology, system);
        spec.population.sync = RelaySync::Off;
        (spec.duration, spec.size, spec.loss) = (Duration::from_secs(3), 5_000, 0.02);
        let mut run = Run::new(spec.clone());
        let report = run.play_through(|_, _, _| {});
        assert_eq!(report.delivery.delivered, report.delivery.expected);
        let of_the_third_second = 10 * 5_000 * (40 - 1);
        assert_eq!(run.world.novelty.sum().first, of_the_third_second, "{system}");
        let percent = report.duplicates.unsolicited_percent;
        assert!(percent > 0.0 || system != System::Quilt, "{percent} %");
        spec.duration = Duration::from_secs(2);
        let report = Run::new(spec).play(|_, _, _| {});
        let Duplicates { unsolicited_percent, repair_percent } = report.duplicates;
        assert_eq!((unsolicited_percent, repair_percent), (0.0, 0.0), "{system}");
    }
}

#[test]
fn what_builds_the_tree_is_told_apart_from_other_messages() {
    let shares = [System::Quilt, System::Omni].map(|system| {
        let topology = Topology::data_center(Some(40), SiteLatency::Paper).unwrap();
        let mut spec = Spec::new("datacenter", topology, system);
        spec.duration = Duration::from_secs(1);
        let series = Run::new(spec).play(|_, _, _| {}).series;
        assert_eq!(series.omni_messages_per_s[0], 0, "{system}: there is one host and no tree yet");
        let [omni, all] = [&series.omni_messages_per_ms, &series.tree_messages_per_ms]
            .map(|per_ms| per_ms.iter().sum::<u32>());
        assert!(0 < omni && omni < all, "{system}: {omni} of {all}");
        f64::from(omni) / f64::from(all)
    });
    assert!(shares[0] < shares[1], "a tree over all hosts needs more of them: {shares:?}");
}

#[test]
fn the_default_degree_follows_the_topology_and_not_what_the_scenario_is_called() {
    let degree = |name: &str, topology: Result<Topology, _>, system| {
        Spec::new(name, topology.unwrap(), system).population.degree
    };
    let centers = || Topology::data_center(Some(20), SiteLatency::Paper);
    for name in ["internet", "mine"] {
        assert_eq!(degree(name, centers(), System::Quilt), 8, "{name}");
        assert_eq!(degree(name, Topology::lan(3), System::Quilt), 8, "{name}");
        assert_eq!(degree(name, Topology::internet(Some(20), 1), System::Quilt), 6, "{name}");
        assert_eq!(degree(name, Topology::router_stacks(Some(20), 1), System::Quilt), 6, "{name}");
        assert_eq!(degree(name, centers(), System::Omni), 6, "{name}");
        let part = Topology::internet(Some(20), 1).unwrap().part(&[1, 2]);
        assert_eq!(degree(name, Ok(part), System::Quilt), 6, "{name}");
    }
}

#[test]
fn a_host_with_a_second_interface_has_it_in_each_of_its_lives() {
    let topology = Topology::data_center(Some(27), SiteLatency::Paper).unwrap();
    let mut spec = Spec::new("datacenter", topology, System::Quilt);
    let script = r#"{"environment": [{"who": {"hosts": [1]}, "second_nic": 8}]}"#;
    spec.script = serde_json::from_str(script).unwrap();
    let mut run = Run::new(spec);
    let [first, second] = *run.world.nics(run.hosts[1]) else { panic!("two are asked for") };
    assert_eq!([first, second].map(|nic| run.world.net().region(nic)), [0, 8]);
    let config = run.config(1, run.ids[1]);
    let addresses = [first, second].map(|nic| run.world.net().address(nic));
    assert_eq!(addresses, [0, 1].map(|nic| config.nics[nic].address));
    assert_eq!(addresses, [0, 1].map(|nic| config.addresses[nic].ip()));
    assert_ne!(config.nics[0].euid, config.nics[1].euid, "it stands elsewhere");
    assert_eq!(run.world.nics(run.hosts[2]).len(), 1);
}
