//! Bad days of a DONet mesh: it is split, somebody comes late, the source starts again.

use quilt_sim::report::Report;
use quilt_sim::run::Run;
use quilt_sim::scenario::Scenario;
use std::path::Path;

/// A mesh of forty hosts of the Internet with this script.
fn scripted(name: &str, seed: u64, script: &str) -> Run {
    let text = format!(
        r#"{{"scenario": "{name}", "topology": {{"internet": 40}}, "system": "donet", "script": {script}}}"#
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bad-days");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{name}-{seed}.json"));
    std::fs::write(&path, text).unwrap();
    Run::new(Scenario::load(&path, Some(seed)).unwrap())
}

fn nobody_misses_anything(name: &str, script: &str) {
    for seed in 1..=3 {
        let report: Report = scripted(name, seed, script).play(|_, _, _| {});
        assert_eq!(report.violations, Vec::<String>::new(), "seed {seed}");
        let delivery = report.delivery;
        assert!(delivery.expected > 0);
        assert_eq!((delivery.delivered, delivery.gapped), (delivery.expected, 0), "seed {seed}");
    }
}

#[test]
fn a_mesh_that_is_split_in_two_and_healed_loses_nobody_a_message() {
    nobody_misses_anything(
        "split",
        r#"{"workload": [{"duration_s": 6, "rate": 20}],
            "faults": [{"at_s": 1.5, "do": "partition", "who": {"draw": 0.5}},
                       {"at_s": 3.5, "do": "heal"}]}"#,
    );
}

#[test]
fn a_source_that_starts_again_is_heard_in_both_lives_by_all() {
    nobody_misses_anything(
        "restart",
        r#"{"workload": [{"duration_s": 6, "rate": 20},
                         {"who": {"hosts": [12]}, "duration_s": 6, "rate": 20}],
            "faults": [{"at_s": 2, "do": "end", "who": {"hosts": [12]}},
                       {"at_s": 3, "do": "restart"}]}"#,
    );
}

#[test]
fn who_comes_in_the_middle_of_a_stream_gets_what_is_recent_and_not_its_beginning() {
    let script = r#"{"joins": [{"who": {"hosts": [7]}, "at_s": 8}],
                     "workload": [{"duration_s": 12, "rate": 20}]}"#;
    let mut run = scripted("late", 1, script);
    let report = run.play_through(|_, _, _| {});
    assert_eq!(report.violations, Vec::<String>::new());
    let came = |from: f64, to: f64| {
        let all = run.deliveries().of_host(7);
        let published = all.filter(|(published, _)| {
            (from..to).contains(&(published.as_nanos() as f64 / 1e9 - 5.0))
        });
        published.filter(|(_, took)| took.is_some()).count()
    };
    assert_eq!(came(0.0, 5.0), 0, "what was long past");
    // The run ends as soon as those have everything that were there from the start.
    assert_eq!(came(9.5, 11.0), 30, "all since it was there");
}
