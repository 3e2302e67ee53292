//! The main job by hand: join, send, and what arrives.

mod common;

use common::{Feed, Folder, Quilt, holds, noise};

#[test]
fn what_is_sent_is_written_to_the_output_and_the_receiver_ends() {
    let (_bootstrap, address) = Quilt::bootstrap(&[]);
    let (folder, bytes) = (Folder::new(), noise(300_000, 1));
    let (url, output) = (format!("quilt://{address}/tea"), folder.path("out"));
    let receiver = Quilt::join(&url, &["--output", &output]);
    let input = folder.file("in", &bytes);
    let sent = Quilt::start(&["send", &url, "--input", &input]).end();
    assert!(sent.status.success(), "{}", sent.stderr);
    assert!(receiver.end().status.success());
    assert!(holds(&output, &bytes));
    assert!(!std::fs::exists(format!("{output}.partial")).unwrap());
}

#[test]
fn without_an_output_the_payload_goes_to_standard_output_and_nothing_else() {
    let (_bootstrap, address) = Quilt::bootstrap(&[]);
    let url = format!("quilt://{address}/tea");
    let receiver = Quilt::start(&["join", &url, "--once"]);
    let mut watcher = Quilt::join(&url, &[]);
    let mut feed = Feed::start(&url, &[]);
    feed.write(b"one\ntwo\n");
    feed.finish();
    watcher.wait_for("complete");
    let end = receiver.end();
    assert_eq!(end.stdout, ["one", "two"]);
    assert!(end.stderr.contains("joined as"), "{}", end.stderr);
    assert!(end.status.success());
}

#[test]
fn who_comes_in_the_middle_of_a_transfer_has_all_of_it_if_that_is_wanted() {
    let (_bootstrap, address) = Quilt::bootstrap(&[]);
    let (folder, bytes) = (Folder::new(), noise(400_000, 4));
    let (url, output) = (format!("quilt://{address}/tea"), folder.path("out"));
    let mut early = Quilt::join(&url, &[]);
    let mut feed = Feed::start(&url, &[]);
    feed.write(&bytes[..200_000]);
    early.wait_for("started");
    let late = Quilt::join(&url, &["--history", "mark", "--output", &output]);
    feed.write(&bytes[200_000..]);
    feed.finish();
    let end = late.end();
    assert!(end.status.success(), "{}", end.stderr);
    assert!(holds(&output, &bytes));
}

#[test]
fn two_senders_at_once_do_not_mix() {
    let (_bootstrap, address) = Quilt::bootstrap(&[]);
    let folder = Folder::new();
    let (url, output) = (format!("quilt://{address}/tea"), folder.path("out"));
    let mut receiver = Quilt::join(&url, &["--output", &output, "--stay"]);
    let (a, b) = (noise(400_000, 1), noise(400_000, 2));
    let mut feeds = [Feed::start(&url, &[]), Feed::start(&url, &[])];
    for (from_a, from_b) in a.chunks(50_000).zip(b.chunks(50_000)) {
        feeds[0].write(from_a);
        feeds[1].write(from_b);
    }
    let [first, second] = feeds;
    first.finish();
    receiver.wait_for("complete");
    assert!(holds(&output, &a));
    second.finish();
    receiver.wait_for("complete");
    assert!(holds(&output, &b));
    assert!(receiver.seen("incomplete").is_empty());
}

#[test]
fn the_demo_delivers_the_very_bytes_to_every_receiver() {
    let (folder, bytes) = (Folder::new(), noise(1_000_000, 3));
    let input = folder.file("in", &bytes);
    let picture = folder.path("demo.svg");
    let args = ["demo", "--hosts", "8", "--json", "--input", &input, "--graph", &picture];
    let end = Quilt::start(&args).end();
    assert!(end.status.success(), "{}", end.stderr);
    assert_eq!(end.stdout.len(), 1, "{:?}", end.stdout);
    assert!(std::fs::exists(&picture).unwrap());
    let summary: serde_json::Value = serde_json::from_str(end.stdout.last().unwrap()).unwrap();
    assert_eq!(summary["hosts"], 8);
    assert_eq!(summary["bytes"], 1_000_000);
    assert_eq!(summary["receivers_complete"], 8);
    assert_eq!(summary["digest_ok"], true);
    let patches = summary["patches"].as_array().unwrap();
    let protocols = |name: &str| patches.iter().filter(|patch| patch["protocol"] == name).count();
    assert_eq!((protocols("ipmc"), patches.len() > 2), (2, true), "{patches:?}");
    for key in ["seconds", "duplicates_percent"] {
        assert!(summary[key].is_number(), "{key}");
    }
    assert!(summary["latency_ms"]["p50"].is_number() && summary["latency_ms"]["p99"].is_number());
}
