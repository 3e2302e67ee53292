//! What a run prints: one JSON object, whose keys are a contract.

use crate::check::{self, Invariant, Violation};
use crate::measure::{Quantiles, Volume, ms, quantile};
use crate::net::DropCause;
use crate::novelty::Came;
use crate::run::{OTHERS_JOIN, PUBLISHING, Run};
use crate::traffic::Traffic;
use crate::tree::Sample;
use quilt_proto::wire::Scope;
use quilt_proto::{PatchView, Time};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A player that follows a stream shows a message so long after it was published.
const PLAYBACK: Duration = Duration::from_secs(3);

/// Everything that came of a run.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are documented in the package's README")]
pub struct Report {
    pub scenario: String,
    pub system: String,
    pub seed: u64,
    pub hosts: usize,
    pub patches: Vec<Patch>,
    pub join: Join,
    pub build: Build,
    pub delivery: Delivery,
    pub duplicates: Duplicates,
    pub traffic: TrafficReport,
    pub recovery: Option<Recovery>,
    pub series: Series,
    pub counters: BTreeMap<String, u64>,
    pub violations: Vec<String>,
    pub unclaimed: Vec<String>,
    pub digest: String,
    pub simulator: Simulator,
}

#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are documented in the package's README")]
pub struct Patch {
    pub id: String,
    pub protocol: String,
    pub members: usize,
    pub representatives: usize,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are documented in the package's README")]
pub struct Join {
    pub complete_ms: Option<f64>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are documented in the package's README")]
pub struct Build {
    pub complete_ms: Option<f64>,
    pub tree_messages: Option<u64>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are documented in the package's README")]
pub struct Delivery {
    pub expected: u64,
    pub delivered: u64,
    pub gapped: u64,
    pub continuity_percent: f64,
    #[serde(flatten)]
    pub latency: Quantiles,
    pub late: u64,
    pub late_p50_ms: f64,
    pub late_p99_ms: f64,
    pub limit_p50_ms: f64,
    pub limit_p90_ms: f64,
    pub limit_p99_ms: f64,
    pub limit_max_ms: f64,
    pub limit_relay_p50_ms: f64,
    pub limit_relay_p90_ms: f64,
    pub limit_relay_p99_ms: f64,
    pub limit_relay_max_ms: f64,
    pub stretch_mean: f64,
    pub stretch_max: f64,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are documented in the package's README")]
pub struct Duplicates {
    pub unsolicited_percent: f64,
    pub repair_percent: f64,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are documented in the package's README")]
pub struct TrafficReport {
    pub control_bytes_per_host_s: f64,
    pub overhead_percent: f64,
    pub border_crossings_per_message: f64,
    pub full_copies_per_message: f64,
    pub repair_bytes_ratio: f64,
}

#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are documented in the package's README")]
pub struct Recovery {
    pub attached: Attached,
    pub full_rate_after_ms: FullRate,
    pub continuity_after_ms: Option<f64>,
    pub delivered_ratio_per_second: Vec<f64>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the keys are documented in the package's README")]
pub struct Attached {
    pub half_after_ms: Option<f64>,
    pub whole_after_ms: Option<f64>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are documented in the package's README")]
pub struct FullRate {
    pub median: Option<f64>,
    pub worst: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are documented in the package's README")]
pub struct Series {
    pub tree_messages_per_ms: Vec<u32>,
    pub omni_messages_per_ms: Vec<u32>,
    pub duplicates_per_s: Vec<u64>,
    pub control_messages_per_s: Vec<u64>,
    pub omni_messages_per_s: Vec<u64>,
    pub receivers_reached: Vec<(f64, u64)>,
    pub tree: Vec<Sample>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are documented in the package's README")]
pub struct Simulator {
    pub events: u64,
    pub events_per_second: f64,
    pub wall_s: f64,
    pub peak_mib: Option<u64>,
}

impl Report {
    /// Compares the run with another one of the same spec: unless they are the same, S12 is broken.
    pub fn verify(&mut self, again: &Self) {
        if self.digest != again.digest {
            let (one, other) = (&self.digest, &again.digest);
            self.violations.push(format!("S12 at the end: the digest was {one}, then {other}"));
        }
    }
}

/// What came of a run.
pub(crate) fn of(run: &Run) -> Report {
    let claims = check::claims(run.circumstances());
    let said = |claimed: bool| -> Vec<String> {
        let chosen =
            |one: &&Violation| (one.may_be_claimed && claims.contains(&one.invariant)) == claimed;
        run.violations().all().iter().filter(chosen).map(ToString::to_string).collect()
    };
    let broken = |what: Invariant| run.violations().all().iter().any(|one| one.invariant == what);
    let mut unclaimed = said(false);
    for what in Invariant::ALL.into_iter().filter(|&what| !broken(what)) {
        if !run.looked_at(what) {
            unclaimed.push(format!("{what} was not looked at"));
        } else if !claims.contains(&what) {
            unclaimed.push(format!("{what} was not seen broken"));
        }
    }
    Report {
        scenario: run.spec.scenario.clone(),
        system: run.spec.population.system.to_string(),
        seed: run.spec.seed,
        hosts: run.hosts.len(),
        patches: patches(run),
        join: join(run),
        build: build(run),
        delivery: delivery(run),
        duplicates: duplicates(run),
        traffic: traffic(run),
        recovery: recovery(run),
        series: series(run),
        counters: counters(run),
        violations: said(true),
        unclaimed,
        digest: format!("{:016x}", run.world.digest()),
        simulator: simulator(run),
    }
}

fn patches(run: &Run) -> Vec<Patch> {
    let service = run.world.bootstrap(run.service);
    let views = service.into_iter().flat_map(|service| service.groups());
    let regional = |patch: &PatchView| patch.scope == Scope::Regional;
    let patches = views.flat_map(|group| group.patches).filter(regional);
    let patch = |view: PatchView| Patch {
        id: view.patch.to_string(),
        protocol: view.protocol.to_string(),
        members: view.members,
        representatives: view.representatives.len(),
    };
    patches.map(patch).collect()
}

fn join(run: &Run) -> Join {
    let all: Option<Vec<Time>> = run.admitted.iter().copied().collect();
    let last = all.and_then(|times| times.into_iter().max());
    Join { complete_ms: last.map(|at| ms(at.since(OTHERS_JOIN))) }
}

/// When each host got its first parent in the tree over all regions, after its own admission. Hosts
/// that never had one are roots, or not in the tree.
fn parents(run: &Run) -> impl Iterator<Item = (Time, Time)> + '_ {
    run.hosts.iter().zip(&run.admitted).filter_map(|(&host, admitted)| {
        let parent = run.world.first_parent(host)?;
        Some(((*admitted)?, parent)).filter(|_| parent < PUBLISHING)
    })
}

fn build(run: &Run) -> Build {
    let longest = parents(run).map(|(admitted, parent)| parent.since(admitted)).max();
    let per_ms = &run.world.traffic().control_per_ms;
    let until = |at: Time| (at.as_nanos() / 1_000_000) as usize;
    let sent = |at| per_ms.iter().take(until(at) + 1).map(|&count| u64::from(count)).sum();
    Build {
        complete_ms: longest.filter(|_| run.built).map(ms),
        tree_messages: complete(run).map(sent),
    }
}

/// When the last host that is to be in the tree had a parent; `None` while one has none.
fn complete(run: &Run) -> Option<Time> {
    parents(run).map(|(_, parent)| parent).max().filter(|_| run.built)
}

fn delivery(run: &Run) -> Delivery {
    let alive = run.alive();
    let topology = &run.spec.topology;
    let mut relayed = BTreeMap::new();
    let (mut latency, mut limit, mut limit_relay) = (Vec::new(), Vec::new(), Vec::new());
    let mut stretch_max: f64 = 0.0;
    for (by, host, took) in run.deliveries.latencies(&alive) {
        let (took, direct) = (ms(took), ms(topology.one_way(by, host)));
        let relayed = relayed.entry(by).or_insert_with(|| topology.shortest_from(by));
        if direct >= 1.0 {
            stretch_max = stretch_max.max(took / direct);
        }
        latency.push(took);
        limit.push(direct);
        limit_relay.push(ms(relayed[host]));
    }
    let stretch_mean = ratio(latency.iter().sum(), limit.iter().sum());
    let delivered = latency.len() as u64;
    let (limit, limit_relay) = (Quantiles::of(limit), Quantiles::of(limit_relay));
    let late = run.deliveries.late(&alive, |by, host| topology.one_way(by, host));
    let late: Vec<f64> = late.into_iter().map(ms).collect();
    let late_deliveries = late.len() as u64;
    let late = Quantiles::of(late);
    Delivery {
        expected: run.deliveries.expected(&alive),
        delivered,
        gapped: run.deliveries.gapped(),
        continuity_percent: 100.0 * run.deliveries.continuity(&alive, PLAYBACK),
        latency: Quantiles::of(latency),
        late: late_deliveries,
        late_p50_ms: late.p50_ms,
        late_p99_ms: late.p99_ms,
        limit_p50_ms: limit.p50_ms,
        limit_p90_ms: limit.p90_ms,
        limit_p99_ms: limit.p99_ms,
        limit_max_ms: limit.max_ms,
        limit_relay_p50_ms: limit_relay.p50_ms,
        limit_relay_p90_ms: limit_relay.p90_ms,
        limit_relay_p99_ms: limit_relay.p99_ms,
        limit_relay_max_ms: limit_relay.max_ms,
        stretch_mean,
        stretch_max,
    }
}

fn duplicates(run: &Run) -> Duplicates {
    let Came { first, unsolicited, repaired } = run.world.novelty.sum();
    Duplicates {
        unsolicited_percent: 100.0 * ratio(unsolicited as f64, first as f64),
        repair_percent: 100.0 * ratio(repaired as f64, first as f64),
    }
}

fn traffic(run: &Run) -> TrafficReport {
    let traffic = run.world.traffic();
    let Volume { bytes, fragments } = run.deliveries.volume();
    let seconds = run.world.now().since(OTHERS_JOIN).as_secs_f64();
    let foreign = run.spec.topology.regions().saturating_sub(1) as f64;
    TrafficReport {
        control_bytes_per_host_s: traffic.control_bytes as f64 / run.hosts.len() as f64 / seconds,
        overhead_percent: 100.0 * ratio(traffic.header_bytes as f64, traffic.payload_bytes as f64),
        border_crossings_per_message: ratio(traffic.border_fragments as f64, fragments as f64),
        full_copies_per_message: ratio(traffic.foreign_bytes as f64, bytes as f64 * foreign),
        repair_bytes_ratio: ratio(traffic.repair_bytes as f64, run.world.lost_bytes() as f64),
    }
}

impl FullRate {
    /// Of the time of each survivor; `None` is never.
    fn of(times: Vec<Option<f64>>) -> Self {
        let never = |time: Option<f64>| time.unwrap_or(f64::INFINITY);
        let mut times: Vec<f64> = times.into_iter().map(never).collect();
        times.sort_by(f64::total_cmp);
        let at = |share| Some(quantile(&times, share)).filter(|time| time.is_finite());
        match times.is_empty() {
            true => Self { median: None, worst: None },
            false => Self { median: at(0.5), worst: at(1.0) },
        }
    }
}

/// When survivors receive everything in time again after hosts died.
fn recovery(run: &Run) -> Option<Recovery> {
    let killed_at = run.killed_at?;
    let alive = run.alive();
    let survivors = || alive.iter().enumerate().filter(|(_, alive)| **alive).map(|(host, _)| host);
    let mut before: Vec<f64> = Vec::new();
    for host in survivors() {
        let early = run.deliveries.of_host(host).filter(|&(published, _)| published < killed_at);
        before.extend(early.filter_map(|(_, took)| took.map(ms)));
    }
    before.sort_by(f64::total_cmp);
    let in_time = quantile(&before, 0.99) + 100.0;
    let mut full_rate: Vec<Option<f64>> = Vec::new();
    for host in survivors() {
        let after: Vec<_> =
            run.deliveries.of_host(host).filter(|&(published, _)| published >= killed_at).collect();
        let is_late =
            |took: Option<std::time::Duration>| took.is_none_or(|took| ms(took) > in_time);
        let first_good = after.iter().rposition(|&(_, took)| is_late(took)).map_or(0, |at| at + 1);
        full_rate.push(after.get(first_good).map(|(published, _)| ms(published.since(killed_at))));
    }
    let full_rate_after_ms = FullRate::of(full_rate);
    let back = run.deliveries.continuous_after(&alive, PLAYBACK, killed_at, 0.99);
    Some(Recovery {
        attached: run.attached,
        full_rate_after_ms,
        continuity_after_ms: back.map(ms),
        delivered_ratio_per_second: ratio_per_second(run),
    })
}

/// Which part of what was published in each second has come to the survivors within a second.
fn ratio_per_second(run: &Run) -> Vec<f64> {
    let alive = run.alive();
    let mut seconds: Vec<(u64, u64)> = Vec::new();
    for host in (0..alive.len()).filter(|&host| alive[host]) {
        for (published, took) in run.deliveries.of_host(host) {
            let second = published.since(PUBLISHING).as_secs() as usize;
            seconds.resize(seconds.len().max(second + 1), (0, 0));
            seconds[second].0 += 1;
            seconds[second].1 += u64::from(took.is_some_and(|took| took.as_secs() < 1));
        }
    }
    seconds.into_iter().map(|(all, came)| ratio(came as f64, all as f64)).collect()
}

fn series(run: &Run) -> Series {
    let Traffic { control_per_ms, omni_per_ms, .. } = run.world.traffic();
    let start = (OTHERS_JOIN.as_nanos() / 1_000_000) as usize;
    let end = complete(run).map_or(start, |at| (at.as_nanos() / 1_000_000) as usize + 1);
    let so_far = run.world.novelty.duplicates();
    let sums: Vec<u64> = run.duplicates_per_s.iter().copied().chain([so_far]).collect();
    let before = std::iter::once(0).chain(sums.iter().copied());
    let of_build =
        |per_ms: &[u32]| per_ms.get(start..end.min(per_ms.len())).unwrap_or(&[]).to_vec();
    let per_s = |per_ms: &[u32]| {
        let second = |second: &[u32]| second.iter().map(|&count| u64::from(count)).sum();
        per_ms.chunks(1_000).map(second).collect()
    };
    Series {
        tree_messages_per_ms: of_build(control_per_ms),
        omni_messages_per_ms: of_build(omni_per_ms),
        duplicates_per_s: sums.iter().zip(before).map(|(sum, before)| sum - before).collect(),
        control_messages_per_s: per_s(control_per_ms),
        omni_messages_per_s: per_s(omni_per_ms),
        receivers_reached: run.deliveries.reached(&run.alive()),
        tree: run.tree.clone(),
    }
}

fn counters(run: &Run) -> BTreeMap<String, u64> {
    let hosts = run.counters();
    let of_hosts = hosts.iter().map(|(counter, value)| (counter.name().to_owned(), value));
    let of_net = DropCause::ALL.map(|why| (why.name().to_owned(), run.world.dropped(why)));
    of_hosts.chain(of_net).filter(|&(_, value)| value > 0).collect()
}

fn simulator(run: &Run) -> Simulator {
    let wall_s = run.started.elapsed().as_secs_f64();
    let events = run.world.events();
    Simulator { events, events_per_second: events as f64 / wall_s, wall_s, peak_mib: peak_mib() }
}

/// The most memory that this process has had, as Linux tells it.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1_024)
}

/// 0 where there is nothing to compare with.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// A report in words, for people.
#[derive(Debug)]
pub struct Words<'a>(pub &'a Report);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { join, delivery, duplicates, simulator, .. } = self.0;
        let or_never = |time: Option<f64>| time.map_or("never".into(), |ms| format!("{ms:.1} ms"));
        writeln!(
            f,
            "{} on {}, seed {}: {} hosts in {} patches, all admitted after {}",
            self.0.system,
            self.0.scenario,
            self.0.seed,
            self.0.hosts,
            self.0.patches.len(),
            or_never(join.complete_ms)
        )?;
        match (self.0.build.complete_ms, self.0.build.tree_messages) {
            (Some(ms), Some(sent)) => {
                writeln!(
                    f,
                    "tree complete after {ms:.1} ms, with {sent} control messages by then"
                )?;
            }
            _ if self.0.series.tree.is_empty() => writeln!(f, "no tree over several hosts")?,
            _ => writeln!(f, "the tree was not whole when publishing began")?,
        }
        writeln!(
            f,
            "{} of {} delivered, {} in gaps; p50 {:.2} p99 {:.2} max {:.2} ms (direct: {:.2} {:.2} \
             {:.2}), stretch {:.3}; duplicates {:.3} %",
            delivery.delivered,
            delivery.expected,
            delivery.gapped,
            delivery.latency.p50_ms,
            delivery.latency.p99_ms,
            delivery.latency.max_ms,
            delivery.limit_p50_ms,
            delivery.limit_p99_ms,
            delivery.limit_max_ms,
            delivery.stretch_mean,
            duplicates.unsolicited_percent
        )?;
        if let Some(recovery) = &self.0.recovery {
            let FullRate { median, worst } = recovery.full_rate_after_ms;
            let (median, worst) = (or_never(median), or_never(worst));
            writeln!(f, "after the deaths full rate came back after {median}, at worst {worst}")?;
        }
        writeln!(
            f,
            "{} events in {:.2} s: {:.0} a second; digest {}",
            simulator.events, simulator.wall_s, simulator.events_per_second, self.0.digest
        )?;
        for unclaimed in &self.0.unclaimed {
            writeln!(f, "not claimed: {unclaimed}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
