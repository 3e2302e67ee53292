//! A transfer over a long way, beside a bare stream over the same line.

use crate::lines::{BYTES, Pair, pair, stream};
use crate::program::{Folder, holds, noise, start};
use crate::{Told, trial};
use libtest_mimic::Trial;
use quilt_hosts::Conditions;
use std::time::Duration;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("long_way::a file comes over a long way, in a patch and between two", long_ways)]
}

fn long_ways() {
    let mut told = Told::new("one way  bare stream  one patch  two patches");
    for ms in [10, 40, 100] {
        let delay = Duration::from_millis(ms);
        let line = pair(Conditions { delay, ..Conditions::default() });
        let [one, two] = ["here", "there"].map(|routers| transfer(&line, routers));
        let bare = stream(&line).as_secs_f64();
        told.line(&format!("{ms:>4} ms {bare:>10.2} s {one:>8.2} s {two:>10.2} s"));
        // A stream whose work moves to datagrams takes ten times as long.
        assert!(one.max(two) < 3.0 * bare + 1.0, "{ms} ms: {one} s and {two} s, bare {bare} s");
    }
}

/// How many seconds a host at the line's other end takes to receive; hosts with the same routers
/// are in one patch.
fn transfer(line: &Pair, routers: &str) -> f64 {
    let [here, there] = &line.nodes;
    let mut service = start(here, &["bootstrap", "--json", "--listen", "10.0.0.1:7400"]);
    service.wait_for("listening");
    let (folder, bytes) = (Folder::new(), noise(BYTES, 1));
    let (input, output) = (folder.file("in", &bytes), folder.path("out"));
    let url = "quilt://10.0.0.1:7400/news";
    let join = ["join", "--json", url, "--stay", "--routers"];
    let mut near = start(here, &[&join[..], &["here"]].concat());
    near.wait_for("joined");
    let mut far = start(there, &[&join[..], &[routers, "--output", &output]].concat());
    far.wait_for("joined");
    let args = ["send", "--json", url, "--routers", "here", "--input", &input];
    let _sender = start(here, &args);
    let complete = far.wait_for("complete");
    assert!(holds(&output, &bytes));
    complete["seconds"].as_f64().unwrap()
}
