//! Table 4: how many patches the routers make of hosts, and how near their hosts are.

use crate::measure::{ms, quantile};
use crate::paper::{self, Fact, News, Outcome, Request, Sheet, Watch};
use crate::population::System;
use crate::run::Run;
use crate::topology::{LatencyOrigin, Topology};
use quilt_proto::PatchId;

/// Hops, patches, and the median latency in a patch and between patches, in milliseconds.
const PAPER: [(usize, u32, f64, f64); 4] =
    [(3, 513, 23.0, 473.0), (4, 403, 37.0, 518.0), (5, 327, 127.0, 973.0), (6, 241, 131.0, 1489.0)];

pub(super) fn make(request: &Request, watch: &mut Watch<'_>) -> Result<Outcome, String> {
    let mut sheet = Sheet::new(&[
        "topology",
        "hosts",
        "hops",
        "patches_paper",
        "patches",
        "alone_in_a_patch",
        "intra_ms_paper",
        "intra_ms",
        "inter_ms_paper",
        "inter_ms",
    ]);
    let mut facts = Vec::new();
    let scenarios = ["internet", "router-stacks"];
    watch(News::Runs((scenarios.len() * PAPER.len()) as u64 * request.runs.max(1)));
    for scenario in scenarios {
        for (hops, patches, intra, inter) in PAPER {
            let seen = mean(request, scenario, hops, watch)?;
            let is_paper = scenario == "internet";
            let what = format!("{scenario}, {} hosts, {hops} hops: ", seen.hosts);
            let paper = |text: String| if is_paper { text } else { "other hosts".into() };
            let fact = |what: &str, said: String, measured: String| {
                Fact::new(what, &paper(said), measured)
            };
            facts.push(fact(&(what.clone() + "patches"), patches.to_string(), fixed(seen.patches)));
            let shown = |latency: Option<f64>| latency.map_or("".into(), fixed);
            if seen.near.is_some() {
                for (name, said, measured) in
                    [("intra", intra, seen.near), ("inter", inter, seen.far)]
                {
                    let name = format!("{what}median {name} round trip, ms");
                    facts.push(fact(&name, said.to_string(), shown(measured)));
                }
            }
            let said = |value: String| if is_paper { value } else { String::new() };
            sheet.push([
                scenario.to_string(),
                seen.hosts.to_string(),
                hops.to_string(),
                said(patches.to_string()),
                fixed(seen.patches),
                fixed(seen.alone),
                said(intra.to_string()),
                shown(seen.near),
                said(inter.to_string()),
                shown(seen.far),
            ]);
        }
    }
    let notes = [
        "internet has as many hosts as the paper's, but not the same ones.",
        "Nobody measured latency between the hosts of router-stacks, so none is printed.",
    ];
    Ok(Outcome {
        name: "table-4".into(),
        title: "Table 4. Patches by the routers that hosts know of".into(),
        facts,
        notes: notes.map(String::from).to_vec(),
        sheet,
        plots: Vec::new(),
    })
}

fn fixed(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// How hosts were parted.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    hosts: usize,
    patches: f64,
    /// How many patches have one host.
    alone: f64,
    near: Option<f64>,
    far: Option<f64>,
}

/// The mean over all runs.
fn mean(
    request: &Request,
    scenario: &str,
    hops: usize,
    watch: &mut Watch<'_>,
) -> Result<Seen, String> {
    let mut sum = Seen::default();
    let runs = request.runs.max(1) as f64;
    for seed in request.seeds() {
        let mut spec = request
            .spec(scenario, System::Quilt, request.hosts, seed)
            .map_err(|error| error.to_string())?;
        spec.population.hops = hops;
        spec.population.representatives = 1;
        let topology = spec.topology.clone();
        let (mut run, progress) = paper::start(spec, watch);
        if !run.play_joins(progress) {
            return Err(format!("{scenario}, {hops} hops, seed {seed}: not all were admitted"));
        }
        let part = parted(&run, &topology);
        let add =
            |sum: Option<f64>, one: Option<f64>| one.map(|one| sum.unwrap_or(0.0) + one / runs);
        sum = Seen {
            hosts: part.hosts,
            patches: sum.patches + part.patches / runs,
            alone: sum.alone + part.alone / runs,
            near: add(sum.near, part.near),
            far: add(sum.far, part.far),
        };
    }
    Ok(sum)
}

/// Which patches the hosts of a run are in.
fn parted(run: &Run, topology: &Topology) -> Seen {
    let hosts = topology.hosts.len();
    let of_host: Vec<Option<PatchId>> =
        (0..hosts).map(|host| run.place(host).map(|place| place.patch)).collect();
    let mut sizes = std::collections::BTreeMap::new();
    for patch in of_host.iter().flatten() {
        *sizes.entry(*patch).or_insert(0_usize) += 1;
    }
    let (near, far) = match topology.latency {
        LatencyOrigin::Measured => medians(&of_host, topology),
        LatencyOrigin::Derived | LatencyOrigin::Chosen => (None, None),
    };
    let alone = sizes.values().filter(|&&size| size == 1).count() as f64;
    Seen { hosts, patches: sizes.len() as f64, alone, near, far }
}

/// The median round trip between two hosts of one patch, and between two of different patches.
fn medians(of_host: &[Option<PatchId>], topology: &Topology) -> (Option<f64>, Option<f64>) {
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for from in 0..of_host.len() {
        for to in from + 1..of_host.len() {
            let round_trip = 2.0 * ms(topology.one_way(from, to));
            let same = of_host[from] == of_host[to];
            if same { near.push(round_trip) } else { far.push(round_trip) }
        }
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        (!times.is_empty()).then(|| quantile(&times, 0.5))
    };
    (median(near), median(far))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A naive twin of the service: hosts in the order of the topology, each into the first patch
    /// that has a router of it.
    fn naive(topology: &Topology, hops: usize) -> usize {
        let mut patches: Vec<Vec<&str>> = Vec::new();
        for host in &topology.hosts {
            let near = host.routers.iter().take(hops).filter(|router| !router.is_silent());
            let near: Vec<&str> = near.map(|router| &*router.name).collect();
            let fits = |patch: &&mut Vec<&str>| {
                patch.iter().any(|router| near.contains(router))
                    || patch.is_empty() && near.is_empty()
            };
            match patches.iter_mut().find(fits) {
                Some(patch) => patch.extend(near),
                None => patches.push(near),
            }
        }
        patches.len()
    }

    #[test]
    fn four_hops_part_the_internet_about_as_in_the_paper() {
        let request =
            Request { runs: 1, seed: 1, hosts: None, full: false, command: String::new() };
        let seen = mean(&request, "internet", 4, &mut |_| {}).unwrap();
        assert_eq!(seen.hosts, 951);
        // Who joins first decides about a few hosts between two patches.
        let naive = naive(&Topology::internet(None, 1).unwrap(), 4) as f64;
        assert!((seen.patches - naive).abs() <= 0.03 * naive, "{seen:?}, naively {naive}");
        assert!((seen.patches - 403.0).abs() <= 0.1 * 403.0, "{seen:?}");
        let (near, far) = (seen.near.unwrap(), seen.far.unwrap());
        assert!(near < far / 5.0, "{seen:?}");
    }

    #[test]
    fn no_latency_is_shown_where_none_was_measured() {
        let hosts = Some(60);
        let request = Request { runs: 1, seed: 1, hosts, full: false, command: String::new() };
        let seen = mean(&request, "router-stacks", 3, &mut |_| {}).unwrap();
        assert_eq!((seen.hosts, seen.near, seen.far), (60, None, None));
    }
}
