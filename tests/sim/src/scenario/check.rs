//! Whether a script can be carried out, and whether a run is of a size that memory holds.

use super::{Script, Who};
use crate::run::{self, DRAINING, Spec};
use crate::topology::Topology;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The most deliveries of a run, messages × hosts: each has 16 bytes until the run is over.
pub const MAX_DELIVERIES: u64 = 100_000_000;
/// No time in a run is longer, in seconds: a day. What is counted by the millisecond has some hundred
/// MB then.
pub const LONGEST_S: f64 = 86_400.0;
/// The most that a packet may cost its receiver's processor, in nanoseconds: 10 s.
pub const MAX_CPU_NS: u64 = 10_000_000_000;
/// The most faults that are drawn.
const MAX_DRAWN: usize = 10_000;
/// By how much a clock may be wrong, in parts of a million: at half the speed it is far from any real
/// one, and at none a host would never be woken.
const CLOCKS_PPM: RangeInclusive<i32> = -500_000..=500_000;

/// Whether a run has no more messages, for so many hosts, than memory holds.
///
/// # Errors
/// It has; how many there are, and what to do.
pub fn check_size(spec: &Spec) -> Result<(), String> {
    let Spec { topology, script, .. } = spec;
    let messages = |rate: f64, duration_s: f64| (rate * duration_s).ceil() as u64;
    let of_script = script.workload.iter().map(|one| {
        let sources = one.who.count(topology) as u64;
        sources.saturating_mul(messages(one.rate, one.duration_s))
    });
    let messages = match script.workload.is_empty() {
        true => messages(spec.rate, spec.duration.as_secs_f64()),
        false => of_script.fold(0, u64::saturating_add),
    };
    let hosts = topology.hosts.len();
    if messages.saturating_mul(hosts as u64) <= MAX_DELIVERIES {
        return Ok(());
    }
    Err(format!(
        "{messages} messages for {hosts} hosts are more than the {MAX_DELIVERIES} deliveries that a run \
         may have; give a lower rate, a shorter duration or fewer hosts"
    ))
}

/// Whether what a key says is in a range; what it says and the range if not.
pub(super) fn check_range<T: PartialOrd + std::fmt::Display>(
    key: &str,
    value: T,
    range: &RangeInclusive<T>,
) -> Result<(), String> {
    let (low, high) = (range.start(), range.end());
    let ok = range.contains(&value).then_some(());
    ok.ok_or_else(|| format!("{key}: {value} is not from {low} to {high}"))
}

impl Script {
    /// Whether all hosts and regions that it names are there, and its numbers in their ranges.
    pub(super) fn check(&self, topology: &Topology, seed: u64) -> Result<(), String> {
        let joins = (0..).zip(&self.joins).map(|(n, join)| (format!("joins[{n}]"), &join.who));
        let others = (0..).zip(&self.environment);
        let others = others.map(|(n, one)| (format!("environment[{n}]"), &one.who));
        let loads = (0..).zip(&self.workload).map(|(n, one)| (format!("workload[{n}]"), &one.who));
        let faults = (0..).zip(&self.faults);
        let faults =
            faults.filter_map(|(n, one)| Some((format!("faults[{n}]"), one.who.as_ref()?)));
        for (place, who) in joins.chain(others).chain(loads).chain(faults) {
            who.check(topology).map_err(|why| format!("{place}: {why}"))?;
        }
        let (_, source) = run::begin(topology, seed);
        if let Some(n) = self.joins.iter().position(|join| join.who.names(source)) {
            let drawn =
                if topology.source.is_none() { format!(" of seed {seed}") } else { "".into() };
            return Err(format!(
                "joins[{n}]: host {source} is the source{drawn}, which always joins first, at -5 s; name \
                 others only"
            ));
        }
        for (n, one) in self.environment.iter().enumerate() {
            let region =
                one.second_nic.map_or(Ok(()), |region| Who::Region(region).check(topology));
            region.map_err(|why| format!("environment[{n}]: second_nic: {why}"))?;
            if one.udp_answers && !one.firewall {
                let why = "without a firewall nothing keeps them out; add \"firewall\": true";
                return Err(format!("environment[{n}]: udp_answers: {why}"));
            }
            check_range(&format!("environment[{n}]: clock_ppm"), one.clock_ppm, &CLOCKS_PPM)?;
        }
        let drawn = self.draw.as_ref().map_or(0, |draw| draw.count);
        check_range("draw: count", drawn, &(0..=MAX_DRAWN))?;
        match &self.draw {
            Some(draw) if draw.from_s > draw.to_s => Err("draw: from_s is after to_s".into()),
            Some(draw) if draw.of.is_empty() => Err("draw: there is nothing to draw from".into()),
            Some(draw) => Who::DrawCount(draw.hosts).check(topology),
            None => Ok(()),
        }
    }

    /// Whether all that it says can happen: that the run is not over before, at the latest. Where it
    /// has no workload, messages are published for `duration`.
    pub(super) fn check_times(&self, duration: Duration) -> Result<(), String> {
        let ends = self.workload.iter().map(|one| one.start_s + one.duration_s);
        let ends = ends.reduce(f64::max).unwrap_or(duration.as_secs_f64());
        let over = ends + DRAINING.as_secs_f64();
        let joins = (0..).zip(&self.joins).map(|(n, join)| (format!("joins[{n}]"), join.at_s));
        let faults = (0..).zip(&self.faults).map(|(n, one)| (format!("faults[{n}]"), one.at_s));
        let draw = self.draw.iter().map(|draw| ("draw".into(), draw.from_s));
        match joins.chain(faults).chain(draw).find(|&(_, at)| at > over) {
            Some((place, at)) => Err(format!(
                "{place}: at {at} s it can never happen, since the workload ends at {ends} s and the \
                 run {} s later at the latest; give an earlier time or a longer workload",
                DRAINING.as_secs()
            )),
            None => Ok(()),
        }
    }
}

impl Who {
    /// How many of a topology's hosts are meant, each as often as it is named.
    fn count(&self, topology: &Topology) -> usize {
        let all = topology.hosts.len();
        match self {
            Self::Source => 1,
            Self::Others => all.saturating_sub(1),
            Self::All => all,
            Self::Hosts(hosts) => hosts.len(),
            Self::Region(region) => {
                topology.hosts.iter().filter(|host| host.region == *region).count()
            }
            Self::Draw(share) => (share * all as f64).round() as usize,
            Self::DrawCount(count) => *count,
        }
    }

    /// Whether a host that is the source is meant in so many words.
    fn names(&self, source: usize) -> bool {
        match self {
            Self::Source | Self::All => true,
            Self::Hosts(hosts) => hosts.contains(&source),
            Self::Others | Self::Region(_) | Self::Draw(_) | Self::DrawCount(_) => false,
        }
    }

    fn check(&self, topology: &Topology) -> Result<(), String> {
        let count = topology.hosts.len();
        match self {
            Self::Hosts(hosts) => match hosts.iter().find(|&&host| host >= count) {
                Some(host) => Err(format!("there is no host {host}, only 0 to {}", count - 1)),
                None => Ok(()),
            },
            Self::Region(region) if !topology.hosts.iter().any(|host| host.region == *region) => {
                Err(format!("there is no region {region}"))
            }
            Self::DrawCount(drawn) if *drawn >= count => {
                Err(format!("{drawn} of {} cannot be drawn", count - 1))
            }
            _ => Ok(()),
        }
    }
}
