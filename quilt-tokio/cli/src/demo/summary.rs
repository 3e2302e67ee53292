//! What the demo says at its end.

use super::crew::Receiver;
use crate::latency::Latencies;
use crate::text::{Milliseconds, Standing, bytes};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// The last line of `quilt demo --json`.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    hosts: usize,
    patches: Vec<Patch>,
    bytes: u64,
    seconds: f64,
    receivers_complete: usize,
    duplicates_percent: f64,
    latency_ms: Milliseconds,
    digest_ok: bool,
}

/// A regional patch as its members describe it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Patch {
    pub(crate) id: String,
    pub(crate) protocol: String,
    pub(crate) members: usize,
    pub(crate) representatives: usize,
}

/// The patches of these hosts, in the order of their ids.
pub(crate) fn patches(standings: &[Standing]) -> Vec<Patch> {
    let mut patches = BTreeMap::new();
    for Standing { patch: id, protocol, role } in standings {
        let patch = patches.entry(id).or_insert_with(|| Patch {
            id: id.clone(),
            protocol: protocol.clone(),
            members: 0,
            representatives: 0,
        });
        patch.members += 1;
        patch.representatives += usize::from(role == "representative");
    }
    patches.into_values().collect()
}

impl Summary {
    pub(crate) fn new(
        receivers: &[Receiver],
        standings: &[Standing],
        bytes: u64,
        seconds: f64,
        digest_ok: bool,
    ) -> Self {
        let complete: Vec<_> = receivers.iter().filter_map(|r| r.complete.as_ref()).collect();
        let mut latencies = Latencies::default();
        complete.iter().for_each(|complete| latencies.merge(&complete.latencies));
        let duplicates: f64 = complete.iter().map(|complete| complete.duplicates_percent).sum();
        Self {
            hosts: receivers.len(),
            patches: patches(standings),
            bytes,
            seconds,
            receivers_complete: complete.len(),
            duplicates_percent: duplicates / complete.len().max(1) as f64,
            latency_ms: (&latencies).into(),
            digest_ok,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hosts, seconds, receivers_complete, duplicates_percent, latency_ms, .. } = self;
        write!(
            f,
            "{receivers_complete} of {hosts} receivers hold {} after {seconds:.2} s; duplicates \
             {duplicates_percent:.2} %, latency p50 {:.1} ms p99 {:.1} ms; digest check: {}",
            bytes(self.bytes),
            latency_ms.p50,
            latency_ms.p99,
            if self.digest_ok { "every file is the very one" } else { "FAILED" }
        )
    }
}

/// One row for each receiver.
pub(crate) fn table(receivers: &[Receiver]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<10} {:<9} {:<8} {:<14} {:>11} {:>10} {:>9} {:>9}",
        "host", "patch", "protocol", "role", "received", "duplicates", "p50", "p99"
    );
    for receiver in receivers {
        let unknown = String::from("?");
        let (patch, protocol, role) = match &receiver.standing {
            Some(Standing { patch, protocol, role }) => (patch, protocol, role),
            None => (&unknown, &unknown, &unknown),
        };
        let received = bytes(receiver.received).to_string();
        let _ = write!(
            text,
            "{:<10} {patch:<9} {protocol:<8} {role:<14} {received:>11}",
            receiver.name
        );
        let _ = match &receiver.complete {
            Some(complete) => writeln!(
                text,
                " {:>8.2} % {:>6.1} ms {:>6.1} ms",
                complete.duplicates_percent, complete.latency_ms.p50, complete.latency_ms.p99
            ),
            None => writeln!(text, " incomplete"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_counted_from_what_their_members_say() {
        let standing = |patch: &str, role: &str| Standing {
            patch: patch.into(),
            protocol: "ipmc".into(),
            role: role.into(),
        };
        let standings = [
            standing("b", "member"),
            standing("a", "representative"),
            standing("b", "representative"),
        ];
        let counted: Vec<_> = patches(&standings)
            .into_iter()
            .map(|patch| (patch.id, patch.members, patch.representatives))
            .collect();
        assert_eq!(counted, [("a".into(), 1, 1), ("b".into(), 2, 1)]);
    }
}
