//! By which way most of what a host gets comes, as its kernel counts it.

use quilt_hosts::Node;
use serde_json::Value;
use std::process::Command;

/// The names of the counters, and of the ways as the paper's Table 3 has them.
const WAYS: [(&str, &str); 4] = [
    ("from_itself", "local source"),
    ("by_multicast", "IPMC"),
    ("by_tcp", "TCP"),
    ("by_udp", "UDP tunnel"),
];

/// Counts from now on. A host's own multicasts come back to it, and do not count.
pub(crate) fn count(node: &Node) {
    let counters = WAYS.map(|(counter, _)| format!("counter {counter} {{}}\n"));
    node.nft(&format!(
        "table ip ways {{
            {}
            chain arriving {{
                type filter hook input priority filter
                ip daddr 224.0.0.0/4 fib saddr type local return
                iifname lo counter name from_itself return
                ip daddr 224.0.0.0/4 counter name by_multicast return
                meta l4proto tcp counter name by_tcp return
                meta l4proto udp counter name by_udp
            }}
        }}",
        counters.concat()
    ));
}

/// The way by which most bytes came so far.
pub(crate) fn most(node: &Node) -> &'static str {
    let mut list = Command::new("nft");
    let list = list.args(["--json", "list", "counters", "table", "ip", "ways"]);
    let output = node.enter(|| list.output()).unwrap();
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let bytes = |counter: &str| {
        let counters = listed["nftables"].as_array().unwrap().iter().map(|entry| &entry["counter"]);
        let mut found = counters.filter(|entry| entry["name"] == counter);
        found.next().unwrap()["bytes"].as_u64().unwrap()
    };
    WAYS.iter().max_by_key(|(counter, _)| bytes(counter)).unwrap().1
}
