//! How near the trees that hosts form come to the best ones there are.
//!
//! In small groups, drawn by seed from the data of the built-in topologies, and in the tree over
//! the regions of data centres, all trees are tried; so what is compared with is no bound, but the
//! optimum itself.

mod exact;

pub use exact::{MAX_HOSTS, Problem};

use crate::measure::ms;
use crate::paper::{self, Fact, News, Outcome, Request, Sheet, Watch};
use crate::population::System;
use crate::run::{Run, Spec};
use crate::topology::{SiteLatency, Topology};
use quilt_proto::Rng;
use std::collections::BTreeMap;
use std::time::Duration;

/// The least hosts of a group in which there is something to choose.
const LEAST_HOSTS: usize = 4;
/// The most hosts of a small group.
const MOST_HOSTS: usize = 9;
/// The degrees of trees over small groups, and over the regions of data centres.
const DEGREES: [u8; 2] = [2, 3];
const WIDE_DEGREES: [u8; 3] = [3, 4, 8];
/// How long messages are published, from 5 s on: trees are looked at when that is over.
const LASTS: Duration = Duration::from_secs(3);

/// A tree that came of a run, beside the best one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    /// How many hosts are in it.
    pub hosts: usize,
    /// The mean latency of a client from the root, in milliseconds.
    pub mean_ms: f64,
    /// The same in the best tree of that degree.
    pub optimum_ms: f64,
    /// The same if the root sent to all itself.
    pub direct_ms: f64,
}

impl Compared {
    /// How many times the optimum it is.
    pub fn ratio(&self) -> f64 {
        if self.optimum_ms > 0.0 { self.mean_ms / self.optimum_ms } else { 1.0 }
    }
}

/// Makes the comparison: so many small groups for each degree, and the tree over data centres once
/// for each run that is asked for.
///
/// # Errors
/// A topology cannot be made as asked, or hosts formed no tree.
pub fn make(groups: u64, request: &Request, watch: &mut Watch<'_>) -> Result<Outcome, String> {
    let mut sheet =
        Sheet::new(&["what", "seed", "hosts", "degree", "mean_ms", "optimum_ms", "direct_ms"]);
    let mut facts = Vec::new();
    let small_runs = DEGREES.len() as u64 * groups;
    watch(News::Runs(small_runs + WIDE_DEGREES.len() as u64 * request.runs.max(1)));
    for degree in DEGREES {
        let mut ratios = Vec::new();
        for seed in (0..groups).map(|nth| request.seed.wrapping_add(nth)) {
            let compared = small(seed, degree, watch)?;
            row(&mut sheet, "group", seed, degree, &compared);
            ratios.push(compared.ratio());
        }
        let what = |what: &str| format!("groups of up to {MOST_HOSTS}, degree {degree}: {what}");
        let worst = ratios.iter().copied().fold(1.0, f64::max);
        facts.push(Fact::new(&what("mean of the costs / optima"), "", shown(mean(&ratios))));
        facts.push(Fact::new(&what("worst cost / optimum"), "", shown(worst)));
    }
    for degree in WIDE_DEGREES {
        let (mut ratios, mut of_star) = (Vec::new(), Vec::new());
        for seed in request.seeds() {
            let compared = wide(seed, degree, request.hosts, watch)?;
            row(&mut sheet, "data centres", seed, degree, &compared);
            ratios.push(compared.ratio());
            of_star.push(compared.mean_ms / compared.direct_ms);
        }
        let what = |what: &str| format!("over data centres, degree {degree}: {what}");
        let star = Fact::new(&what("cost / a star's"), "Gossamer: 1.6-1.9", shown(mean(&of_star)));
        facts.push(Fact::new(&what("cost / optimum"), "", shown(mean(&ratios))));
        facts.push(star);
    }
    facts.iter_mut().for_each(|fact| fact.limit = "1".into());
    let notes = [
        "A cost is the mean latency of a client from the root along the tree; the optimum is the \
         least of all trees of that degree with the same root.",
        "Small groups are drawn from the hosts of internet and of datacenter in turn.",
        "Over data centres each region has one representative, which counts as many clients as \
         its region has hosts.",
    ];
    Ok(Outcome {
        name: "optimum".into(),
        title: "OMNI's trees beside the best ones".into(),
        facts,
        notes: notes.map(String::from).to_vec(),
        sheet,
        plots: Vec::new(),
    })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn shown(value: f64) -> String {
    format!("{value:.4}")
}

fn row(sheet: &mut Sheet, what: &str, seed: u64, degree: u8, compared: &Compared) {
    let &Compared { hosts, mean_ms, optimum_ms, direct_ms } = compared;
    let times = [mean_ms, optimum_ms, direct_ms].map(shown);
    let head = [what.to_string(), seed.to_string(), hosts.to_string(), degree.to_string()];
    sheet.push(head.into_iter().chain(times));
}

/// One tree over a few hosts, drawn by the seed.
///
/// # Errors
/// They formed no tree.
pub fn small(seed: u64, degree: u8, watch: &mut Watch<'_>) -> Result<Compared, String> {
    let mut rng = Rng::new(seed).fork("group");
    let whole = if seed.is_multiple_of(2) {
        Topology::data_center(None, SiteLatency::Paper)
    } else {
        Topology::internet(None, 1)
    };
    let whole = whole.map_err(|error| error.to_string())?;
    let mut hosts: Vec<usize> = (0..whole.hosts.len()).collect();
    rng.shuffle(&mut hosts);
    hosts.truncate(LEAST_HOSTS + rng.index(MOST_HOSTS - LEAST_HOSTS + 1));
    let mut spec = Spec::new("group", whole.part(&hosts), System::Omni);
    (spec.seed, spec.population.degree) = (seed, degree);
    compare(spec, watch, |_| 1)
}

/// The tree over the regions of data centres.
///
/// # Errors
/// There are too many hosts, or they formed no tree.
pub fn wide(
    seed: u64,
    degree: u8,
    hosts: Option<usize>,
    watch: &mut Watch<'_>,
) -> Result<Compared, String> {
    let topology = Topology::data_center(hosts, SiteLatency::Paper);
    let topology = topology.map_err(|error| error.to_string())?;
    let mut sizes: BTreeMap<u32, u64> = BTreeMap::new();
    for place in &topology.hosts {
        *sizes.entry(place.region).or_default() += 1;
    }
    let regions: Vec<u32> = topology.hosts.iter().map(|place| place.region).collect();
    let mut spec = Spec::new("datacenter", topology, System::Quilt);
    (spec.seed, spec.population.degree) = (seed, degree);
    spec.population.representatives = 1;
    compare(spec, watch, |host| sizes[&regions[host]])
}

/// Plays a run, and holds its tree beside the best one.
fn compare(
    mut spec: Spec,
    watch: &mut Watch<'_>,
    weight: impl Fn(usize) -> u64,
) -> Result<Compared, String> {
    (spec.rate, spec.duration) = (1.0, LASTS);
    let (degree, seed) = (usize::from(spec.population.degree), spec.seed);
    let topology = spec.topology.clone();
    let (run, _) = paper::play(spec, watch);
    let no_tree = || format!("there is no tree over all hosts, degree {degree}, seed {seed}");
    compare_tree(&run, &topology, degree, weight).ok_or_else(no_tree)
}

fn compare_tree(
    run: &Run,
    topology: &Topology,
    degree: usize,
    weight: impl Fn(usize) -> u64,
) -> Option<Compared> {
    let parents = run.parents();
    let root = parents.iter().find(|(_, parent)| parent.is_none()).map(|(&host, _)| host)?;
    let others = parents.keys().copied().filter(|&host| host != root);
    let hosts: Vec<usize> = std::iter::once(root).chain(others).collect();
    let place = |host: &usize| hosts.iter().position(|other| other == host);
    let row = |&from: &usize| hosts.iter().map(|&to| topology.one_way(from, to)).collect();
    let problem = Problem {
        weights: hosts.iter().map(|&host| weight(host)).collect(),
        delays: hosts.iter().map(row).collect(),
        degree,
    };
    let above: Option<Vec<usize>> = hosts[1..].iter().map(|host| place(&parents[host]?)).collect();
    let above: Vec<Option<usize>> =
        std::iter::once(None).chain(above?.into_iter().map(Some)).collect();
    let clients: u64 = problem.weights[1..].iter().sum();
    let of = |sum: u128| ms(Duration::from_nanos((sum / u128::from(clients.max(1))) as u64));
    let star: Vec<Option<usize>> =
        (0..hosts.len()).map(|host| host.checked_sub(1).map(|_| 0)).collect();
    Some(Compared {
        hosts: hosts.len(),
        mean_ms: of(problem.cost(&above)?),
        optimum_ms: of(problem.optimum()),
        direct_ms: of(problem.cost(&star)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_over_few_hosts_come_near_the_best_ones() {
        for degree in DEGREES {
            let compare = |seed| small(seed, degree, &mut |_| {}).unwrap().ratio();
            let ratios: Vec<f64> = (0..20).map(compare).collect();
            assert!(ratios.iter().all(|ratio| (1.0..=1.1).contains(ratio)), "{degree}: {ratios:?}");
            assert!(mean(&ratios) <= 1.02, "{degree}: {ratios:?}");
        }
    }
}
