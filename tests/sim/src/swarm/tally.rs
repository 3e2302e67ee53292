//! What happened in a swarm: a mix that never came about proves nothing.

use crate::report::Report;
use crate::scenario::{Environment, NatKind, Scenario, What};
use std::collections::{BTreeMap, BTreeSet};

/// All kinds of things that go wrong, or are other than usual.
pub const KINDS: [&str; 35] = [
    "kill",
    "end",
    "restart",
    "leave",
    "pause",
    "stop reading",
    "partition",
    "cut off",
    "mute",
    "filter",
    "querier off",
    "multicast off",
    "service off",
    "loss",
    "bursts",
    "duplication",
    "reordering",
    "jitter",
    "corruption",
    "fast clock",
    "slow clock",
    "ignorant",
    "firewall",
    "firewall that lets UDP's answers in",
    "full cone",
    "restricted",
    "port restricted",
    "symmetric",
    "late join",
    "several sources",
    "long messages",
    "fast stream",
    "slow processor",
    "relay by agreement",
    "bloom filters",
];

/// A kind, as a place in [`KINDS`].
fn kind(name: &str) -> usize {
    KINDS.iter().position(|&known| known == name).expect("a kind that is listed")
}

fn of_fault(what: &What) -> Option<usize> {
    Some(kind(match what {
        What::Kill => "kill",
        What::End => "end",
        What::Restart => "restart",
        What::Leave => "leave",
        What::Pause => "pause",
        What::StopReading => "stop reading",
        What::Partition => "partition",
        What::CutOff => "cut off",
        What::Mute => "mute",
        What::Filter => "filter",
        What::QuerierOff => "querier off",
        What::MulticastOff => "multicast off",
        What::ServiceOff => "service off",
        What::Loss(share) if *share > 0.0 => "loss",
        What::Bursts(share) if *share > 0.0 => "bursts",
        What::Duplication(share) if *share > 0.0 => "duplication",
        What::Reordering(share) if *share > 0.0 => "reordering",
        What::Jitter(1..) => "jitter",
        What::Corruption(share) if *share > 0.0 => "corruption",
        _ => return None,
    }))
}

fn of_environment(one: &Environment) -> Option<usize> {
    Some(kind(match one {
        Environment { clock_ppm: 1.., .. } => "fast clock",
        Environment { clock_ppm: ..=-1, .. } => "slow clock",
        Environment { ignorant: true, .. } => "ignorant",
        Environment { udp_answers: true, .. } => "firewall that lets UDP's answers in",
        Environment { firewall: true, .. } => "firewall",
        Environment { nat: Some(NatKind::FullCone), .. } => "full cone",
        Environment { nat: Some(NatKind::Restricted), .. } => "restricted",
        Environment { nat: Some(NatKind::PortRestricted), .. } => "port restricted",
        Environment { nat: Some(NatKind::Symmetric), .. } => "symmetric",
        _ => return None,
    }))
}

/// The kinds that there are in a scenario.
fn kinds(scenario: &Scenario) -> BTreeSet<usize> {
    let script = &scenario.script;
    let faults = script.faults.iter().filter_map(|fault| of_fault(&fault.what));
    let mut kinds: BTreeSet<usize> = faults.collect();
    kinds.extend(script.environment.iter().filter_map(of_environment));
    let load = &script.workload;
    let others = [
        ("late join", !script.joins.is_empty()),
        ("several sources", load.len() > 2),
        ("long messages", load.iter().any(|one| one.size >= 16_384)),
        ("fast stream", load.iter().any(|one| one.rate >= 100.0)),
        ("slow processor", scenario.cpu_ns > 0),
        ("relay by agreement", scenario.sync.is_some()),
        ("bloom filters", scenario.digest.is_some()),
    ];
    kinds.extend(others.iter().filter(|(_, is)| *is).map(|(name, _)| kind(name)));
    kinds
}

/// How often each kind, and each two kinds together, were in a run; and how often runs counted what.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pairs: BTreeMap<(usize, usize), u64>,
    counters: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts a run.
    pub fn add(&mut self, scenario: &Scenario, report: &Report) {
        let kinds = kinds(scenario);
        for &a in &kinds {
            for &b in kinds.range(a..) {
                *self.pairs.entry((a, b)).or_default() += 1;
            }
        }
        for (name, &count) in &report.counters {
            *self.counters.entry(name.clone()).or_default() += count;
        }
    }

    /// How many kinds there were at all.
    pub fn kinds(&self) -> usize {
        (0..KINDS.len()).filter(|&kind| self.pairs.contains_key(&(kind, kind))).count()
    }

    /// Two different kinds that were never in one run.
    pub fn unseen(&self) -> Vec<(&'static str, &'static str)> {
        let all = (0..KINDS.len()).flat_map(|a| (a + 1..KINDS.len()).map(move |b| (a, b)));
        let unseen = all.filter(|pair| !self.pairs.contains_key(pair));
        unseen.map(|(a, b)| (KINDS[a], KINDS[b])).collect()
    }

    /// What hosts and the network counted, in all runs.
    pub fn counters(&self) -> &BTreeMap<String, u64> {
        &self.counters
    }
}
