//! Whether a script can be carried out.

use super::{Script, Who};
use crate::run::DRAINING;
use crate::topology::Topology;
use std::time::Duration;

impl Script {
    /// Whether all hosts and regions that it names are there.
    pub(super) fn check(&self, topology: &Topology) -> Result<(), String> {
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
        for (n, one) in self.environment.iter().enumerate() {
            let region =
                one.second_nic.map_or(Ok(()), |region| Who::Region(region).check(topology));
            region.map_err(|why| format!("environment[{n}]: second_nic: {why}"))?;
        }
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
