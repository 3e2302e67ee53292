use super::*;
use crate::scenario::{Fault, What};

#[test]
fn a_scenario_follows_from_its_seed_and_reads_back_from_its_file() {
    for seed in 0..50 {
        let drawn = scenario(seed, 40);
        assert_eq!(drawn, scenario(seed, 40));
        let text = serde_json::to_string(&drawn).expect("it can be written");
        assert_eq!(serde_json::from_str::<Scenario>(&text).ok(), Some(drawn), "{text}");
    }
}

#[test]
fn every_two_kinds_of_faults_come_together_sooner_or_later() {
    let mut tally = Tally::default();
    let report = play(&calm());
    (0..3_000).for_each(|seed| tally.add(&scenario(seed, 40), &report));
    assert_eq!(tally.kinds(), KINDS.len());
    let never: &[(&str, &str)] = &[];
    assert_eq!(tally.unseen(), never);
}

/// A small scenario in which nothing happens.
fn calm() -> Scenario {
    let text = r#"{"scenario": "calm", "topology": {"lan": 3}}"#;
    serde_json::from_str(text).expect("a scenario")
}

#[test]
fn a_few_seeds_keep_what_is_claimed_and_what_they_did_is_counted() {
    let swarm = Swarm { seeds: 0..3, hosts: 10, jobs: 2 };
    let outcome = swarm.run(|_| {});
    let broken = outcome.found.map(|found| (found.seed, found.violations));
    assert_eq!(broken, None);
    assert_eq!(outcome.runs, 3);
    assert!(outcome.tally.kinds() > 10 && outcome.events > 10_000);
}

#[test]
fn what_breaks_an_invariant_is_made_small() {
    let scenario = (0..).map(|seed| scenario(seed, 12)).find(|one| {
        let kinds = &one.script.faults;
        kinds.iter().any(is_pause) && kinds.iter().any(is_mute) && !one.script.joins.is_empty()
    });
    let scenario = scenario.expect("some seed has all of them");
    let judge = |one: &Scenario| -> Vec<String> {
        let faults = &one.script.faults;
        let both = faults.iter().any(is_pause) && faults.iter().any(is_mute);
        if both { vec!["S1 at 7 s: twice".into()] } else { vec!["S2 at 9 s: spoiled".into()] }
    };
    let violations = judge(&scenario);
    let mut told = Vec::new();
    let found = Found { seed: 3, scenario, violations, tries: 0 };
    let found = shrink::shrink(found, judge, |tries| told.push(tries));
    assert_eq!(told, (1..=found.tries).collect::<Vec<u64>>());
    let script = &found.scenario.script;
    assert_eq!(script.faults.len(), 2, "{script:?}");
    assert!(script.joins.is_empty() && script.workload.is_empty(), "{script:?}");
    assert!(found.tries > 5 && found.violations == ["S1 at 7 s: twice"]);
}

#[test]
fn what_was_found_is_written_whole_and_small_and_reads_back() {
    let folder = std::env::temp_dir().join(format!("quilt-sim-found-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder of its own");
    let (whole, small) = (scenario(7, 12), calm());
    for (scenario, more, name) in
        [(whole, "-whole", "swarm-7-whole.json"), (small, "", "swarm-7.json")]
    {
        let found = Found { seed: 7, scenario, violations: vec![], tries: 0 };
        let path = found.write(&folder, more).expect("it can be written");
        assert_eq!(path, folder.join(name));
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert_eq!(serde_json::from_str::<Scenario>(&text).ok(), Some(found.scenario));
    }
    std::fs::remove_dir_all(&folder).expect("it was its own");
}

fn is_pause(fault: &Fault) -> bool {
    fault.what == What::Pause
}

fn is_mute(fault: &Fault) -> bool {
    fault.what == What::Mute
}
