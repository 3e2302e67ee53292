//! The tree that hosts form, and how good it is.

use crate::check::liveness::Place;
use crate::measure::{ms, quantile};
use crate::population::System;
use crate::topology::Topology;
use crate::world::InTree;
use quilt_proto::{PatchId, ProtocolId, Time};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Who is in a tree, and who is above whom.
pub type Parents = BTreeMap<usize, Option<usize>>;

/// The largest of the trees that the hosts of a patch form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    /// How many hosts there are in the patch.
    pub hosts: usize,
    /// How far each host of the tree is from its root, along the tree, in milliseconds, one way, in
    /// ascending order; the root is left out.
    pub latencies_ms: Vec<f64>,
    /// The hosts from the root to the farthest host, both included.
    pub depth: usize,
}

/// How the tree was at one time.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are documented in the package's README")]
pub struct Sample {
    pub at_ms: f64,
    pub hosts: usize,
    pub attached: usize,
    pub depth: usize,
    pub mean_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

/// Who is above whom in the tree over all regions; where there is only one patch, in that one.
pub fn parents(places: &[Place]) -> Parents {
    let between = |place: &&Place| place.patch == PatchId::INTER_PATCH;
    let regions: BTreeSet<PatchId> = places.iter().map(|place| place.patch).collect();
    let sewn = regions.len() > 2;
    let of_tree = places.iter().filter(|place| place.protocol == ProtocolId::OMNI);
    let chosen = of_tree.filter(|place| sewn == between(place));
    chosen.map(|place| (place.host, place.parent)).collect()
}

/// Which places are in the tree over all regions that a system builds; over all hosts where it has
/// but one region.
pub fn whole_is(system: System) -> InTree {
    match system {
        System::Quilt => |at| at.patch == PatchId::INTER_PATCH,
        System::Omni | System::Donet => |at| at.protocol == ProtocolId::OMNI,
    }
}

impl Shape {
    /// The largest tree among these hosts, with the propagation that the topology says.
    pub fn of(topology: &Topology, parents: &Parents) -> Self {
        let mut below: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (&host, parent) in parents {
            if let Some(parent) = parent {
                below.entry(*parent).or_default().push(host);
            }
        }
        let roots = parents.iter().filter(|(_, parent)| parent.is_none());
        let trees = roots.map(|(&root, _)| Self::below(topology, &below, root));
        let largest = trees.max_by_key(|tree| tree.latencies_ms.len()).unwrap_or_default();
        Self { hosts: parents.len(), ..largest }
    }

    fn below(topology: &Topology, children: &BTreeMap<usize, Vec<usize>>, root: usize) -> Self {
        let mut latencies_ms = Vec::new();
        let mut level = vec![(root, Duration::ZERO)];
        let mut depth = 0;
        while !level.is_empty() {
            depth += 1;
            let mut next = Vec::new();
            for (host, latency) in level {
                for &child in children.get(&host).map_or(&[][..], Vec::as_slice) {
                    let latency = latency + topology.one_way(host, child);
                    latencies_ms.push(ms(latency));
                    next.push((child, latency));
                }
            }
            level = next;
        }
        latencies_ms.sort_by(f64::total_cmp);
        Self { hosts: 0, latencies_ms, depth }
    }

    /// How many hosts are in the tree, its root included.
    pub fn attached(&self) -> usize {
        (self.latencies_ms.len() + 1).min(self.hosts)
    }

    /// The mean distance from the root, in milliseconds; 0 for a root alone.
    pub fn mean_ms(&self) -> f64 {
        self.latencies_ms.iter().sum::<f64>() / self.latencies_ms.len().max(1) as f64
    }

    /// As it is said in a report.
    pub fn sample(&self, at: Time) -> Sample {
        Sample {
            at_ms: ms(at.since(Time::ZERO)),
            hosts: self.hosts,
            attached: self.attached(),
            depth: self.depth,
            mean_ms: self.mean_ms(),
            p99_ms: quantile(&self.latencies_ms, 0.99),
            max_ms: self.latencies_ms.last().copied().unwrap_or(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Topology;

    fn place(host: usize, patch: u32, parent: Option<usize>) -> Place {
        let patch = if patch == 0 { PatchId::INTER_PATCH } else { PatchId(patch) };
        Place { host, patch, protocol: ProtocolId::OMNI, parent }
    }

    #[test]
    fn the_largest_tree_between_the_regions_is_measured() {
        let topology = Topology::lan(6).expect("six hosts");
        let places = [
            place(0, 1, None),
            place(1, 2, None),
            place(0, 0, None),
            place(1, 0, Some(0)),
            place(2, 0, Some(1)),
            place(3, 0, None),
            place(4, 0, Some(3)),
        ];
        let shape = Shape::of(&topology, &parents(&places));
        let link = ms(topology.one_way(0, 1));
        assert!(link > 0.0);
        assert_eq!((shape.hosts, shape.attached(), shape.depth), (5, 3, 3));
        assert_eq!(shape.latencies_ms, [link, 2.0 * link]);
        assert_eq!(shape.mean_ms(), 1.5 * link);
        let alone = Shape::of(&topology, &parents(&places[..1]));
        assert_eq!((alone.attached(), alone.mean_ms()), (1, 0.0));
    }
}
