//! Latencies as they are stored, and the shortest ways that follow from them.

use quilt_proto::Rng;

/// One-way latencies in microseconds between any two hosts.
#[derive(Clone, Debug)]
pub(super) enum Distances {
    Zones(Zones),
    Stacks(Stacks),
}

impl Distances {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Zones(zones) => zones.zone_of.len(),
            Self::Stacks(stacks) => stacks.hops.len(),
        }
    }

    pub(super) fn one_way(&self, from: usize, to: usize) -> u32 {
        match self {
            _ if from == to => 0,
            Self::Zones(zones) => zones.one_way(from, to),
            Self::Stacks(stacks) => stacks.one_way(from, to),
        }
    }

    /// The least one-way latency from `from` to each host through any hosts.
    pub(super) fn shortest_from(&self, from: usize) -> Vec<u64> {
        match self {
            Self::Zones(zones) => zones.shortest_from(from),
            Self::Stacks(stacks) => dijkstra(stacks.hops.len(), from, |a, b| self.one_way(a, b)),
        }
    }
}

/// Hosts in zones: all hosts of a zone have the same latencies to all hosts of another one. A
/// cluster of a data centre is a zone, as is a measured host with the copies that stand beside it.
#[derive(Clone, Debug)]
pub(super) struct Zones {
    zone_of: Vec<u32>,
    zones: usize,
    /// Row by row, from the row's zone to the column's.
    between: Vec<u32>,
    inside: Inside,
}

/// Latencies between the hosts of one zone.
#[derive(Clone, Debug)]
pub(super) enum Inside {
    /// One figure for each zone.
    Fixed(Vec<u32>),
    /// Each pair has one of these, chosen by its indices and the seed.
    Drawn { seed: u64, from: Vec<u32> },
}

impl Zones {
    /// `between` is a full matrix, row by row; `zone_of` holds its row for each host.
    pub(super) fn new(zone_of: Vec<u32>, between: Vec<u32>, inside: Inside) -> Self {
        let zones = between.len().isqrt();
        debug_assert_eq!(zones * zones, between.len());
        debug_assert!(zone_of.iter().all(|&zone| (zone as usize) < zones));
        Self { zone_of, zones, between, inside }
    }

    fn between(&self, from: usize, to: usize) -> u32 {
        self.between[from * self.zones + to]
    }

    fn one_way(&self, from: usize, to: usize) -> u32 {
        let (here, there) = (self.zone_of[from], self.zone_of[to]);
        if here != there {
            return self.between(here as usize, there as usize);
        }
        match &self.inside {
            Inside::Fixed(latencies) => latencies[here as usize],
            Inside::Drawn { seed, from: latencies } => {
                let pair = (from.min(to) as u64) << 32 | from.max(to) as u64;
                latencies[Rng::new(seed ^ pair).index(latencies.len())]
            }
        }
    }

    /// Only zones matter on the way: no host of a zone is nearer to the rest than another.
    fn shortest_from(&self, from: usize) -> Vec<u64> {
        let home = self.zone_of[from] as usize;
        let mut populated = vec![false; self.zones];
        self.zone_of.iter().for_each(|&zone| populated[zone as usize] = true);
        let zones: Vec<usize> = (0..self.zones).filter(|&zone| populated[zone]).collect();
        let start = zones.partition_point(|&zone| zone < home);
        let least = dijkstra(zones.len(), start, |a, b| self.between(zones[a], zones[b]));

        let mut to_zone = vec![0; self.zones];
        let mut out_and_back = u64::MAX;
        for (&zone, &way) in zones.iter().zip(&least).filter(|&(&zone, _)| zone != home) {
            to_zone[zone] = way;
            out_and_back = out_and_back.min(way + u64::from(self.between(zone, home)));
        }

        let neighbours: Vec<usize> =
            (0..self.zone_of.len()).filter(|&host| self.zone_of[host] as usize == home).collect();
        let start = neighbours.partition_point(|&host| host < from);
        let near = self.shortest_inside(&neighbours, start);
        let mut all: Vec<u64> = self.zone_of.iter().map(|&zone| to_zone[zone as usize]).collect();
        for (&host, way) in neighbours.iter().zip(near) {
            all[host] = way.min(out_and_back);
        }
        all[from] = 0;
        all
    }

    fn shortest_inside(&self, hosts: &[usize], start: usize) -> Vec<u64> {
        match &self.inside {
            // A detour through a third host of the zone takes twice as long.
            Inside::Fixed(_) => {
                hosts.iter().map(|&host| u64::from(self.one_way(hosts[start], host))).collect()
            }
            Inside::Drawn { .. } => {
                dijkstra(hosts.len(), start, |a, b| self.one_way(hosts[a], hosts[b]))
            }
        }
    }
}

/// Hosts of which only the routers are known.
#[derive(Clone, Debug)]
pub(super) struct Stacks {
    /// Routers from the host outwards, [`Stacks::SILENT`] if they are not known.
    pub(super) hops: Vec<[u32; Stacks::HOPS]>,
    pub(super) region_of: Vec<u32>,
}

impl Stacks {
    pub(super) const HOPS: usize = 6;
    pub(super) const SILENT: u32 = u32::MAX;
    /// Guess: a link in or near an access network.
    const LINK_MICROS: u32 = 500;
    /// Guess: two hosts of one AS that have no router in common.
    const SAME_REGION_MICROS: u32 = 10_000;
    /// Guess: two ASes; about half of the median round trip between PlanetLab hosts.
    const OTHER_REGION_MICROS: u32 = 65_000;

    fn one_way(&self, from: usize, to: usize) -> u32 {
        let (here, there) = (&self.hops[from], &self.hops[to]);
        let links = here.iter().zip(1_u32..).filter_map(|(hop, out)| {
            let same = |other: &u32| other == hop && *hop != Self::SILENT;
            there.iter().zip(1_u32..).find(|(other, _)| same(other)).map(|(_, back)| out + back)
        });
        match links.min() {
            Some(links) => links * Self::LINK_MICROS,
            None if self.region_of[from] == self.region_of[to] => Self::SAME_REGION_MICROS,
            None => Self::OTHER_REGION_MICROS,
        }
    }
}

/// The least sums of `weight` from `start` to each of `n` nodes, every pair of which is an edge: a
/// heap would only make that slower.
fn dijkstra(n: usize, start: usize, weight: impl Fn(usize, usize) -> u32) -> Vec<u64> {
    let mut least = vec![u64::MAX; n];
    let mut open: Vec<usize> = (0..n).filter(|&node| node != start).collect();
    least[start] = 0;
    let mut at = start;
    while !open.is_empty() {
        let mut nearest = 0;
        for (index, &node) in open.iter().enumerate() {
            least[node] = least[node].min(least[at] + u64::from(weight(at, node)));
            if least[node] < least[open[nearest]] {
                nearest = index;
            }
        }
        at = open.swap_remove(nearest);
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair through every host, until nothing gets shorter.
    fn floyd_warshall(distances: &Distances) -> Vec<Vec<u64>> {
        let n = distances.len();
        let mut least: Vec<Vec<u64>> =
            (0..n).map(|a| (0..n).map(|b| distances.one_way(a, b).into()).collect()).collect();
        for via in 0..n {
            for a in 0..n {
                for b in 0..n {
                    least[a][b] = least[a][b].min(least[a][via] + least[via][b]);
                }
            }
        }
        least
    }

    fn check(distances: &Distances) {
        let expected = floyd_warshall(distances);
        for (from, expected) in expected.into_iter().enumerate() {
            assert_eq!(distances.shortest_from(from), expected, "from {from}");
        }
    }

    fn random_zones(rng: &mut Rng, zones: usize, hosts: usize) -> (Vec<u32>, Vec<u32>) {
        let mut latency = |a, b| if a == b { 0 } else { 1 + rng.below(1_000) as u32 };
        let between =
            (0..zones).flat_map(|a| (0..zones).map(move |b| (a, b))).map(|(a, b)| latency(a, b));
        let between = between.collect();
        ((0..hosts).map(|_| rng.index(zones) as u32).collect(), between)
    }

    #[test]
    fn shortest_ways_equal_those_of_floyd_and_warshall() {
        for seed in 0..20 {
            let mut rng = Rng::new(seed);
            // One host a zone, several with a fixed latency inside, several with a drawn one: ways
            // inside a zone are longer than some detours.
            let (_, between) = random_zones(&mut rng, 24, 0);
            let own = Zones::new((0..24).collect(), between, Inside::Fixed(vec![0; 24]));
            check(&Distances::Zones(own));
            let (zone_of, between) = random_zones(&mut rng, 6, 24);
            let fixed = Inside::Fixed((0..6).map(|_| 1 + rng.below(600) as u32).collect());
            check(&Distances::Zones(Zones::new(zone_of.clone(), between.clone(), fixed)));
            let drawn = Inside::Drawn { seed, from: (0..9).map(|n| 1 + n * 100).collect() };
            check(&Distances::Zones(Zones::new(zone_of, between, drawn)));
        }
    }

    #[test]
    fn shortest_ways_between_stacks_equal_those_of_floyd_and_warshall() {
        let mut rng = Rng::new(1);
        let hops = (0..30).map(|_| {
            std::array::from_fn(|_| match rng.below(40) as u32 {
                0 => Stacks::SILENT,
                router => router,
            })
        });
        let hops = hops.collect();
        let region_of = (0..30).map(|host| host / 10).collect();
        check(&Distances::Stacks(Stacks { hops, region_of }));
    }

    #[test]
    fn stacks_meet_at_the_nearest_router_that_both_have() {
        const S: u32 = Stacks::SILENT;
        let hops = vec![
            [1, 2, 3, 4, 5, S],
            [1, 2, 3, 4, 5, S],
            [9, 1, 7, 4, 8, S],
            [21, 22, 23, 24, 25, S],
        ];
        let stacks = Stacks { hops, region_of: vec![0, 0, 0, 1] };
        assert_eq!(stacks.one_way(0, 1), 2 * Stacks::LINK_MICROS);
        assert_eq!(stacks.one_way(0, 2), 3 * Stacks::LINK_MICROS);
        assert_eq!(stacks.one_way(0, 3), Stacks::OTHER_REGION_MICROS);
    }
}
