//! The real program: what it prints, and how it ends.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const README: &str = include_str!("../README.md");

fn program(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quilt-sim")).args(words).output().unwrap()
}

/// The object on the last line.
fn report(output: &Output) -> Value {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

/// The words are refused with code 2, and every one of `reasons` is said.
fn refused(words: &[&str], reasons: &[&str]) {
    let output = program(words);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
    assert!(output.stdout.is_empty(), "{words:?}");
    for reason in reasons {
        assert!(said.contains(reason), "{words:?} lacks {reason:?}: {said}");
    }
}

/// The path of every value in a report, with dots; items of a list are described together, and the
/// counters too.
fn paths(path: String, value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) if path != "counters" => {
            let below = |key: &String| match path.is_empty() {
                true => key.clone(),
                false => format!("{path}.{key}"),
            };
            object.iter().for_each(|(key, value)| paths(below(key), value, all));
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|item| paths(path.clone(), item, all));
        }
        _ => {
            all.insert(path);
        }
    }
}

/// The keys that the README's table explains.
fn explained() -> BTreeSet<String> {
    let table = README.split("\n| Key | Meaning |\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let keys = table.lines().skip(1).map(|row| row.split('|').nth(1).unwrap());
    keys.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned)).collect()
}

/// Where tests put files.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("program");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn runs_print_the_keys_that_the_readme_explains_and_no_others() {
    let output = program(&["run", "lan", "--hosts", "20", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "nothing but the object");
    assert_eq!(output.stdout.iter().filter(|&&byte| byte == b'\n').count(), 1);
    let calm = report(&output);
    let deadly = report(&program(&["run", "synthetic", "--kill", "0.2@1", "--json"]));
    let mut printed = BTreeSet::new();
    [&calm, &deadly].iter().for_each(|report| paths(String::new(), report, &mut printed));
    assert_eq!(printed, explained());
    assert_eq!(calm["hosts"], 20);
    assert_eq!(calm["delivery"]["delivered"], 1_900);
    assert_eq!(calm["recovery"], Value::Null);
    assert_eq!(calm["violations"], Value::Array(vec![]));
    assert!(calm["counters"]["packets_received"].as_u64().unwrap() > 0);
}

#[test]
fn a_run_with_deaths_tells_of_the_recovery() {
    let words = ["run", "synthetic", "--kill", "0.2@1", "--duration", "3", "--loss", "0.01"];
    let output = program(&words);
    let report = report(&output);
    let recovery = &report["recovery"];
    assert!(recovery["full_rate_after_ms"].get("median").is_some());
    assert!(recovery["full_rate_after_ms"].get("worst").is_some());
    assert_eq!(recovery["delivered_ratio_per_second"].as_array().unwrap().len(), 3);
    assert!(report["counters"]["net_lost"].as_u64().unwrap() > 0);
    assert!(report["counters"]["net_unheard"].as_u64().unwrap() > 0);
    assert!(!output.stderr.is_empty(), "a summary in words");
}

#[test]
fn a_broken_invariant_that_is_claimed_ends_with_code_1_and_the_command_to_replay_it() {
    // So slow a processor admits nobody in time.
    let output =
        program(&["run", "lan", "--hosts", "20", "--duration", "1", "--cpu-ns", "900000000"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    let violated = said.lines().find(|line| line.starts_with("violated: L5 at ")).expect(&said);
    assert!(violated.contains("(seed 1); replay: quilt-sim run lan --hosts 20"), "{violated}");
    assert!(violated.ends_with(" --seed 1"), "{violated}");
    assert!(!report(&output)["violations"].as_array().unwrap().is_empty());
}

#[test]
fn a_word_that_a_shell_would_cut_is_quoted_in_the_command_to_replay_a_run() {
    let folder = folder();
    let path = folder.join("it's mine.csv");
    std::fs::write(&path, "0,5,7\n5,0,2\n7,2,0\n").unwrap();
    let path = path.to_str().unwrap();
    let words = ["run", "of mine", "--topology", path, "--duration", "1", "--cpu-ns", "3000000000"];
    let said = String::from_utf8(program(&words).stderr).unwrap();
    let quoted = path.replace('\'', r"'\''");
    let replay = format!("replay: quilt-sim run 'of mine' --topology '{quoted}' --duration 1 ");
    assert!(said.contains(&replay), "{said}");
}

#[test]
fn a_scenario_in_a_file_is_played_and_verified() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/scenarios/bad-day.json");
    let output = program(&["run", path, "--verify", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let named = report(&program(&["run", "--scenario", path, "--seed", "7", "--json"]));
    assert_eq!(report(&output)["digest"], named["digest"], "7 is the file's seed");
    refused(&["run", path, "--loss", "0.1"], &["--loss", "the scenario's file says that"]);
    refused(&["run", "/nowhere/x.json"], &["/nowhere/x.json"]);
}

#[test]
fn bad_requests_are_refused_with_a_reason() {
    refused(&["run", "nowhere"], &["nowhere", "lan, synthetic, datacenter"]);
    refused(&["run", "lan", "--kill", "0.5"], &["--kill", "0.5@4"]);
    refused(&["run", "lan", "--kill", "1.5@4"], &["--kill", "from 0 to 1"]);
    refused(&["run", "lan", "--kill", "x@4"], &["--kill", "\"x\" is not a number"]);
    let late = ["--kill 0.5@9.95", "no message follows", "at 9.9 s", "a longer --duration"];
    refused(&["run", "lan", "--kill", "0.5@9.95"], &late);
    refused(&["run", "lan", "--duration", "0", "--kill", "0.5@0"], &["no message follows"]);
    let first = ["--kill 0.5@0", "no message comes before it", "give a later time"];
    refused(&["run", "lan", "--kill", "0.5@0"], &first);
    let nobody = ["--kill 0@1", "of 100 hosts that is nobody", "at least 0.005"];
    refused(&["run", "lan", "--kill", "0@1"], &nobody);
    refused(&["run", "lan", "--kill", "0.004@1"], &["--kill 0.004@1", "nobody"]);
    refused(&["run", "lan", "--hosts", "1", "--kill", "1@1"], &["the only host is the source"]);
    refused(&["run", "lan", "--rate", "0"], &["--rate 0", "0.001"]);
    refused(&["run", "lan", "--rate", "many"], &["--rate", "many"]);
    refused(&["run", "lan", "--loss", "2"], &["--loss 2", "0 to 1"]);
    refused(&["run", "lan", "--size", "7"], &["--size 7", "8"]);
    refused(&["run", "lan", "--loss", "nan"], &["--loss NaN", "0 to 1"]);
    refused(&["run", "lan", "--size", "16000001"], &["--size 16000001", "8 to 16000000"]);
    refused(&["run", "lan", "--mtu", "575"], &["--mtu", "575 is not in 576..=65535"]);
    refused(&["run", "lan", "--cpu-ns", "10000000001"], &["--cpu-ns", "..=10000000000"]);
    refused(&["run", "lan", "--kill", "nan@1"], &["--kill", "\"nan\" is not a number"]);
    refused(&["run", "lan", "--degree", "0"], &["--degree", "0 is not in 1..=64"]);
    refused(&["run", "lan", "--k", "0"], &["--k", "0 is not in 1..=8"]);
    refused(&["run", "lan", "--hosts", "0"], &["lan"]);
    let none = ["--latency: lan has no choice of latencies; leave it out"];
    refused(&["run", "lan", "--latency", "derived"], &none);
    refused(&["run", "datacenter", "--latency", "x"], &["--latency", "paper, derived"]);
    refused(&["run", "lan", "--system", "carrier-pigeon"], &["carrier-pigeon", "omni or donet"]);
}

#[test]
fn a_run_that_no_memory_holds_is_refused_with_its_size() {
    let much = ["run", "lan", "--rate", "1000000", "--duration", "86400"];
    let said = ["86400000000 messages for 100 hosts", "100000000 deliveries", "a lower rate"];
    refused(&much, &said);
    refused(&["run", "lan", "--duration", "86401"], &["--duration 86401", "0 to 86400"]);
}

#[test]
fn what_is_made_of_runs_refuses_options_that_it_would_ignore() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("refused");
    let out = out.to_str().unwrap();
    let refused = |words: &[&str], reasons: &[&str]| {
        refused(&[words, &["--out", out]].concat(), reasons);
    };
    refused(&["table", "3", "--runs", "10"], &["table 3 is one run", "leave out --runs"]);
    refused(&["table", "3", "--hosts", "7"], &["table 3 is one run", "--hosts"]);
    refused(&["table", "4", "--full"], &["unexpected argument '--full'"]);
    refused(&["table", "5"], &["5 is not in 3..=4"]);
    refused(&["figure", "8", "--full"], &["figure 8 is at the paper's rates", "leave out --full"]);
    refused(&["figure", "15", "--full"], &["figure 15 is at the paper's rates"]);
    refused(&["figure", "16"], &["16 is not in 8..=15"]);
    refused(&["figure", "9", "--hosts", "1"], &["--hosts", "1 is not in 2.."]);
    refused(&["bad", "--full"], &["unexpected argument '--full'"]);
    refused(&["bad", "--hosts", "9"], &["of 9 hosts 10 % are nobody", "10 hosts or more"]);
    refused(&["optimum", "--full"], &["unexpected argument '--full'"]);
    refused(&["optimum", "--groups", "0"], &["--groups", "0 is not in 1..=100000"]);
}

#[test]
fn a_folder_that_cannot_be_made_is_refused_before_any_run() {
    let folder = folder();
    let file = folder.join("a-file");
    std::fs::write(&file, "").unwrap();
    let out = file.join("below");
    let out = out.to_str().unwrap();
    refused(&["table", "3", "--out", out], &["--out ", out, "name a folder that can be made"]);
    refused(&["swarm", "--seeds", "0..1", "--out", out], &["--out ", out]);
}

#[test]
fn swarms_of_no_sense_are_refused_and_the_last_seeds_there_are_are_played_once() {
    let last = "18446744073709551614..18446744073709551615";
    let output = program(&["swarm", "--seeds", last, "--jobs", "2", "--hosts", "8"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("1 seeds, 0 broken; "), "{said}");
    refused(&["swarm", "--seeds", last, "--jobs", "1025"], &["--jobs", "1025 is not in 1..=1024"]);
    refused(&["swarm", "--seeds", last, "--jobs", "0"], &["--jobs", "0 is not in 1..=1024"]);
    refused(&["swarm", "--seeds", last, "--hosts", "10001"], &["--hosts", "8..=10000"]);
    refused(&["swarm", "--seeds", "5..5"], &["--seeds", "there is no seed in it"]);
}

#[test]
fn a_bad_topology_file_is_refused_with_file_line_and_reason() {
    let folder = folder();
    for (name, text, line, reason) in [
        ("negative.csv", "0,5,7\n5,0,-2\n7,2,0\n", ", line 2", "-2 ms is negative"),
        ("ragged.csv", "0,5,7\n5,0\n7,2,0\n", ", line 2", ""),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        refused(&["run", "mine", "--topology", path], &[path, line, reason]);
    }
    refused(&["run", "mine", "--topology", "/nowhere/x.csv"], &["/nowhere/x.csv"]);
}

#[test]
fn the_readme_s_own_topology_is_one() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    std::fs::create_dir_all(&folder).unwrap();
    let command = README.lines().find(|line| line.contains("--topology")).unwrap();
    let words: Vec<&str> = command.split_once(" -- ").unwrap().1.split(' ').collect();
    let named = words[words.iter().position(|word| *word == "--topology").unwrap() + 1];
    let lines = README.split(&format!("\n`{named}` is a matrix")).nth(1).unwrap();
    let rows: Vec<&str> = lines.split('`').skip(1).step_by(2).take(3).collect();
    std::fs::write(folder.join(named), rows.join("\n")).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_quilt-sim"));
    let output = program.args(&words).arg("--json").current_dir(&folder).output().unwrap();
    assert_eq!(report(&output)["hosts"], 3, "{output:?}");
}
