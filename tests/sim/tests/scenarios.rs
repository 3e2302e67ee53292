//! Scenarios in files: what they make happen, and how they are refused.

use quilt_proto::{RelayDigest, RelaySync};
use quilt_sim::population::ORIGINAL_TRAVEL;
use quilt_sim::report::Report;
use quilt_sim::run::Run;
use quilt_sim::scenario::Scenario;
use std::path::{Path, PathBuf};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/scenarios/bad-day.json")
}

/// A scenario's text in a file of its own.
fn file(name: &str, text: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scenarios");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn play(path: &Path, seed: Option<u64>) -> Report {
    Run::new(Scenario::load(path, seed).unwrap()).play(|_, _, _| {})
}

/// A scenario of twenty hosts on a switch with this script.
fn scripted(name: &str, script: &str) -> Report {
    let text = format!(r#"{{"scenario": "mine", "topology": {{"lan": 20}}, "script": {script}}}"#);
    play(&file(name, &text), None)
}

#[test]
fn the_example_keeps_what_is_claimed_and_follows_from_its_seed() {
    let report = play(&example(), None);
    assert_eq!((&*report.scenario, report.seed, report.hosts), ("bad-day", 7, 20));
    assert_eq!(report.violations, Vec::<String>::new());
    // 60 messages of one source and 80 of another one, which are sound themselves; of the 20
    // hosts 2 die and one is late.
    assert_eq!(report.delivery.expected, (60 + 80) * 16);
    assert_eq!(report.delivery.delivered, report.delivery.expected);
    assert!(report.counters["net_partitioned"] > 0, "seed 7 draws a partition");
    assert!(report.counters["net_unheard"] > 0, "hosts were dead for a while");
    assert_eq!(play(&example(), None).digest, report.digest);
    assert_ne!(play(&example(), Some(8)).digest, report.digest);
}

#[test]
fn hosts_that_start_again_are_admitted_and_not_counted_as_sound() {
    let report = scripted(
        "restart.json",
        r#"{"faults": [{"at_s": 1, "do": "end", "who": {"hosts": [3, 4]}}, {"at_s": 2, "do": "restart"}]}"#,
    );
    assert_eq!(report.violations, Vec::<String>::new());
    assert_eq!(report.delivery.expected, 100 * 17, "without the source and the two that died");
    assert!(report.join.complete_ms.unwrap() > 6_000.0, "the last one joined at 7 s");
}

#[test]
fn a_host_that_starts_again_before_it_was_to_join_joins_once() {
    let report = scripted(
        "restart-early.json",
        r#"{"joins": [{"who": {"hosts": [3, 4]}, "at_s": 4}],
            "faults": [{"at_s": 1, "do": "end", "who": {"hosts": [3]}}, {"at_s": 2, "do": "restart"}]}"#,
    );
    assert_eq!(report.violations, Vec::<String>::new());
    let joined = report.join.complete_ms.unwrap();
    assert!((8_000.0..9_000.0).contains(&joined), "the other one joined at 9 s: {joined}");
}

#[test]
fn every_fault_can_be_named_and_mended() {
    let faults: Vec<String> = [
        ("pause", "resume"),
        ("stop_reading", "read"),
        ("partition", "heal"),
        ("cut_off", "heal"),
        ("mute", "heal"),
        ("filter", "unfilter"),
        ("querier_off", "multicast_on"),
        ("multicast_off", "multicast_on"),
    ]
    .iter()
    .zip(1..)
    .map(|((fault, remedy), n)| {
        let (at, mended) = (f64::from(n), f64::from(n) + 0.3);
        format!(
            r#"{{"at_s": {at}, "do": "{fault}", "who": {{"hosts": [{n}]}}}}, {{"at_s": {mended}, "do": "{remedy}"}}"#
        )
    })
    .collect();
    let report = scripted("faults.json", &format!(r#"{{"faults": [{}]}}"#, faults.join(", ")));
    assert_eq!(report.violations, Vec::<String>::new());
    assert!(report.counters["net_partitioned"] > 0);
    assert_eq!(report.delivery.delivered + report.delivery.gapped, report.delivery.expected);
}

#[test]
fn drawn_faults_follow_from_the_seed() {
    let text = r#"{"scenario": "drawn", "topology": "synthetic", "script": {
        "workload": [{"duration_s": 3}],
        "draw": {"count": 5, "from_s": 0, "to_s": 2, "lasts_s": 0.2, "hosts": 2,
                 "of": ["pause", {"loss": 0.5}, {"reordering": 0.3}, {"corruption": 0.1}]}}}"#;
    let path = file("drawn.json", text);
    let digests = [1, 1, 2].map(|seed| play(&path, Some(seed)).digest);
    assert_eq!(digests[0], digests[1]);
    assert_ne!(digests[0], digests[2]);
}

#[test]
fn what_is_no_scenario_is_refused_with_file_line_and_reason() {
    let refused = |name: &str, text: &str, reasons: &[&str]| {
        let path = file(name, text);
        let why = Scenario::load(&path, None).unwrap_err().to_string();
        assert!(why.starts_with(path.to_str().unwrap()), "{why}");
        for reason in reasons {
            assert!(why.contains(reason), "{name} lacks {reason:?}: {why}");
        }
    };
    let head = "{\"scenario\": \"x\",\n\"topology\": {\"lan\": 5},\n";
    refused("cut.json", "{\"scenario\": \"x\",\n", &["line 2", "EOF"]);
    refused("key.json", &format!("{head}\"sped\": 3}}"), &["line 3", "unknown field `sped`"]);
    refused("system.json", &format!("{head}\"system\": \"x\"}}"), &["line 3", "quilt, omni or"]);
    refused("loss.json", &format!("{head}\"loss\": 2}}"), &["line 3", "0 to 1"]);
    refused("sync.json", &format!("{head}\"sync\": \"x\"}}"), &["line 3", "`two-phase`"]);
    for (key, value, why) in [("k", 9, "1 to 8"), ("degree", 0, "1 to 64"), ("hops", 7, "1 to 6")] {
        let text = format!("{head}\"{key}\": {value}}}");
        refused("range.json", &text, &[&format!("{key}: {value} is not from {why}")]);
    }
    let script = |script: &str| format!("{head}\"script\": {{\n{script}}}}}");
    let fault = script("\"faults\": [{\"at_s\": 1, \"do\": \"explode\"}]");
    refused("fault.json", &fault, &["line 4", "unknown variant `explode`", "`kill`"]);
    let size = script("\"workload\": [{\"size\": 3}]");
    refused("size.json", &size, &["line 4", "8 to 16000000"]);
    let host = script("\"joins\": [{\"who\": {\"hosts\": [5]}, \"at_s\": 1}]");
    refused("host.json", &host, &["joins[0]: there is no host 5, only 0 to 4"]);
    for who in ["\"source\"", "\"all\"", "{\"hosts\": [0, 1, 2, 3, 4]}"] {
        let join = script(&format!("\"joins\": [{{\"who\": {who}, \"at_s\": 1}}]"));
        let why = [
            "joins[0]: host ",
            " is the source of seed 1, which always joins first",
            "name others",
        ];
        refused("join.json", &join, &why);
    }
    let region = script("\"faults\": [{\"at_s\": 1, \"do\": \"pause\", \"who\": {\"region\": 9}}]");
    refused("region.json", &region, &["faults[0]: there is no region 9"]);
    for ppm in [-1_000_000, -500_001, 500_001] {
        let clock =
            script(&format!("\"environment\": [{{\"who\": \"others\", \"clock_ppm\": {ppm}}}]"));
        let why = format!("environment[0]: clock_ppm: {ppm} is not from -500000 to 500000");
        refused("clock.json", &clock, &[&why]);
    }
    let drawn = "\"draw\": {\"count\": 100000000000, \"from_s\": 0, \"to_s\": 1, \"lasts_s\": 1, \"of\": [\"kill\"]}";
    let why = "draw: count: 100000000000 is not from 0 to 10000";
    refused("draw.json", &script(drawn), &[why]);
    let much = script("\"workload\": [{\"who\": \"all\", \"rate\": 1000000, \"duration_s\": 10}]");
    refused("much.json", &much, &["50000000 messages for 5 hosts", "fewer hosts"]);
    refused("cpu.json", &format!("{head}\"cpu_ns\": 10000000001}}"), &["cpu_ns: ", "10000000000"]);
    let long = script("\"workload\": [{\"duration_s\": 90000}]");
    refused("long.json", &long, &["line 4", "0 to 86400"]);
    let never = ["faults[0]: at 20.5 s it can never happen", "ends at 10 s", "a longer workload"];
    let late =
        |more: &str| script(&format!("{more}\"faults\": [{{\"at_s\": 20.5, \"do\": \"kill\"}}]"));
    refused("late.json", &late(""), &never);
    let longer = late("\"workload\": [{\"start_s\": 9, \"duration_s\": 2}],");
    assert!(Scenario::load(&file("longer.json", &longer), None).is_ok());
    let join = script("\"joins\": [{\"who\": \"others\", \"at_s\": 21}]");
    refused("late-join.json", &join, &["joins[0]: at 21 s it can never happen"]);
    let why = Scenario::load(Path::new("/nowhere/x.json"), None).unwrap_err().to_string();
    assert!(why.starts_with("/nowhere/x.json: "), "{why}");
}

#[test]
fn only_the_host_that_will_publish_is_no_host_to_join_late() {
    for seed in 1..=5 {
        let text = |joins: &str| {
            let script = format!(r#"{{"workload": [{{"duration_s": 1}}], "joins": [{joins}]}}"#);
            let text =
                format!(r#"{{"scenario": "mine", "topology": {{"lan": 5}}, "script": {script}}}"#);
            file("source.json", &text)
        };
        let source = Run::new(Scenario::load(&text(""), Some(seed)).unwrap()).source();
        for host in 0..5 {
            let join = text(&format!(r#"{{"who": {{"hosts": [{host}]}}, "at_s": 0.5}}"#));
            assert_eq!(
                Scenario::load(&join, Some(seed)).is_err(),
                host == source,
                "{seed}, {host}"
            );
        }
    }
}

#[test]
fn a_drawn_loss_is_mended_to_what_the_scenario_loses_throughout() {
    let lost = |drawn_at: i32| {
        let text = format!(
            r#"{{"scenario": "mine", "topology": {{"lan": 10}}, "loss": 0.02, "script": {{"draw":
            {{"count": 1, "from_s": {drawn_at}, "to_s": {drawn_at}, "lasts_s": 0.01,
              "of": [{{"loss": 0.5}}]}}}}}}"#
        );
        play(&file("mended.json", &text), None).counters["net_lost"]
    };
    let (before_all, after_all) = (lost(-5), lost(19));
    assert!(before_all > after_all / 2, "{before_all} and {after_all}");
}

#[test]
fn a_file_says_of_the_system_what_the_command_line_can() {
    let (keys, topology) = (r#""k": 2, "degree": 5, "hops": 3, "push": false"#, r#"{"lan": 5}"#);
    let sewing = r#""sync": "two-phase", "digest": "bloom""#;
    let text = format!(r#"{{"scenario": "mine", "topology": {topology}, {keys}, {sewing}}}"#);
    let population = Scenario::load(&file("keys.json", &text), None).unwrap().population;
    assert_eq!((population.representatives, population.degree, population.hops), (2, 5, 3));
    assert_eq!(population.travel, ORIGINAL_TRAVEL);
    assert_eq!((population.sync, population.digest), (RelaySync::TwoPhase, RelayDigest::Bloom));
}

#[test]
fn what_swarms_found_stays_mended() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/scenarios/found");
    let mut played = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let report = play(&path, None);
        assert_eq!(report.violations, Vec::<String>::new(), "{}", path.display());
        played += 1;
    }
    assert!(played > 0);
}

#[test]
fn hosts_behind_a_nat_of_any_kind_get_everything() {
    for kind in ["full-cone", "restricted", "port-restricted", "symmetric"] {
        let inside = r#"{"hosts": [3, 4, 5]}"#;
        let script = format!(r#"{{"environment": [{{"who": {inside}, "nat": "{kind}"}}]}}"#);
        let topology = r#"{"internet": 20}"#;
        let text = format!(r#"{{"scenario": "mine", "topology": {topology}, "script": {script}}}"#);
        let report = play(&file(&format!("nat-{kind}.json"), &text), None);
        assert_eq!(report.violations, Vec::<String>::new(), "{kind}");
        assert_eq!(report.delivery.delivered, report.delivery.expected, "{kind}");
        assert_eq!(report.delivery.expected, 100 * 19, "{kind}");
    }
    let text = r#"{"scenario": "mine", "topology": {"lan": 5},
        "script": {"environment": [{"who": "others", "nat": "square"}]}}"#;
    let error = Scenario::load(&file("nat-square.json", text), None).unwrap_err().to_string();
    assert!(error.contains("square") && error.contains("symmetric"), "{error}");
}

#[test]
fn hosts_behind_a_nat_of_any_rules_get_everything_and_so_do_those_without_udp() {
    let rules = ["endpoint-independent", "address-dependent", "address-and-port-dependent"];
    let nats = rules.iter().flat_map(|mapping| {
        rules.iter().map(move |filtering| {
            let rules = format!(r#""mapping": "{mapping}", "filtering": "{filtering}""#);
            format!(r#""nat": {{"rules": {{{rules}, "timeout_s": 20}}}}"#)
        })
    });
    for (kind, number) in nats.chain([r#""no_udp": true"#.into()]).zip(1..) {
        let script = format!(r#"{{"environment": [{{"who": {{"hosts": [3, 4, 5]}}, {kind}}}]}}"#);
        let text = format!(
            r#"{{"scenario": "mine", "topology": {{"internet": 20}}, "script": {script}}}"#
        );
        let report = play(&file(&format!("rules-{number}.json"), &text), None);
        assert_eq!(report.violations, Vec::<String>::new(), "{kind}");
        assert_eq!(report.delivery.delivered, report.delivery.expected, "{kind}");
        assert_eq!(report.delivery.expected, 100 * 19, "{kind}");
    }
    let nat = r#"{"rules": {"mapping": "square", "filtering": "address-dependent"}}"#;
    let text = format!(
        r#"{{"scenario": "mine", "topology": {{"lan": 5}},
        "script": {{"environment": [{{"who": "others", "nat": {nat}}}]}}}}"#
    );
    let error = Scenario::load(&file("rules-square.json", &text), None).unwrap_err().to_string();
    assert!(error.contains("square") && error.contains("address-and-port-dependent"), "{error}");
}

#[test]
fn hosts_behind_a_firewall_get_everything_by_datagrams_too_where_it_lets_their_answers_in() {
    let blocked = ["", r#", "udp_answers": true"#].map(|more| {
        let one = format!(r#"{{"who": {{"hosts": [3, 4, 5]}}, "firewall": true{more}}}"#);
        let text = format!(
            r#"{{"scenario": "mine", "topology": {{"internet": 20}},
            "script": {{"environment": [{one}]}}}}"#
        );
        let report = play(&file("firewall.json", &text), None);
        assert_eq!(report.violations, Vec::<String>::new(), "{more}");
        assert_eq!(report.delivery.delivered, 100 * 19, "{more}");
        report.counters.get("net_blocked").copied().unwrap_or(0)
    });
    assert!(blocked[0] > blocked[1], "{blocked:?}");
    let text = r#"{"scenario": "mine", "topology": {"lan": 5},
        "script": {"environment": [{"who": "others", "udp_answers": true}]}}"#;
    let error = Scenario::load(&file("answers.json", text), None).unwrap_err().to_string();
    assert!(error.contains("environment[0]: udp_answers: without a firewall"), "{error}");
}

#[test]
fn a_scenario_takes_place_wherever_the_command_line_can() {
    let load = |place: &str| {
        let text = format!(r#"{{"scenario": "mine", "topology": {place}}}"#);
        Scenario::load(&file("place.json", &text), None)
    };
    let hosts = |place: &str| {
        let topology = load(place).unwrap().topology;
        (topology.name, topology.hosts.len())
    };
    assert_eq!(hosts(r#""synthetic""#), ("synthetic".into(), 20));
    assert_eq!(hosts(r#"{"synthetic": 40}"#), ("synthetic".into(), 40));
    assert_eq!(hosts(r#"{"router-stacks": 60}"#).1, 60);
    let site_to_site = |latency: &str| {
        let place = format!(r#"{{"datacenter": 100}}, "latency": "{latency}""#);
        load(&place).unwrap().topology.range().unwrap().1
    };
    assert_eq!(site_to_site("paper").as_millis(), 12);
    assert!(site_to_site("derived") < site_to_site("paper"));
    for (place, why) in [
        (r#""lan""#, r#"line 1: invalid value: string "lan", expected "synthetic" or an object"#),
        (r#"{"moon": 3}"#, "line 1: unknown variant `moon`, expected one of `lan`"),
        (r#"{"lan": 3}, "latency": "derived""#, "latency: only data centres have a choice of it"),
        (r#"{"datacenter": 3}, "latency": "none""#, "expected `paper` or `derived`"),
    ] {
        let error = load(place).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn streams_keep_to_any_mtu_and_datagrams_that_are_longer_do_not_arrive() {
    for (mtu, too_long) in [(700, true), (1_500, false), (9_000, false)] {
        let text = format!(r#"{{"scenario": "mine", "topology": {{"lan": 5}}, "mtu": {mtu}}}"#);
        let report = play(&file(&format!("mtu-{mtu}.json"), &text), None);
        assert_eq!(report.delivery.delivered, 100 * 4, "{mtu}");
        assert_eq!(report.counters.contains_key("net_too_long"), too_long, "{mtu}");
    }
    let text = r#"{"scenario": "mine", "topology": {"lan": 5}, "mtu": 500}"#;
    let error = Scenario::load(&file("mtu-500.json", text), None).unwrap_err().to_string();
    assert!(error.contains("mtu: 500 is not from 576 to 65535"), "{error}");
}

#[test]
fn hosts_with_a_second_interface_in_another_region_get_everything() {
    let scenario = |region: u32| {
        let who = r#""who": {"hosts": [1, 2]}"#;
        let script = format!(r#"{{"environment": [{{{who}, "second_nic": {region}}}]}}"#);
        let topology = r#"{"datacenter": 27}"#;
        format!(r#"{{"scenario": "mine", "topology": {topology}, "script": {script}}}"#)
    };
    let mut run = Run::new(Scenario::load(&file("nics.json", &scenario(8)), None).unwrap());
    let report = run.play_through(|_, _, _| {});
    assert_eq!(report.violations, Vec::<String>::new());
    assert_eq!(report.delivery.delivered, 100 * 26);
    let path = file("no-such-region.json", &scenario(99));
    let error = Scenario::load(&path, None).unwrap_err().to_string();
    assert!(error.contains("environment[0]: second_nic: there is no region 99"), "{error}");
}
