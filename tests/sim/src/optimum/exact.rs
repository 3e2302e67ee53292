//! The best tree over a few hosts, by trying all of them.

use std::time::Duration;

/// The most hosts that are tried: there are `n` to the power of `n - 2` trees over `n`.
pub const MAX_HOSTS: usize = 10;

/// A set of hosts, by bit.
type Set = u32;

/// What a tree is wanted for; host 0 is its root.
#[derive(Clone, Debug)]
pub struct Problem {
    /// How many clients each host serves.
    pub weights: Vec<u64>,
    /// The way from each host to each.
    pub delays: Vec<Vec<Duration>>,
    /// How many children each may have.
    pub degree: usize,
}

/// A search through all trees.
struct Search<'a> {
    problem: &'a Problem,
    /// Per host, its weight times the shortest way from the root, through whatever hosts.
    least: Vec<u128>,
    best: u128,
}

impl Problem {
    /// The sum of all clients' latencies from the root in the tree that has the least, in
    /// nanoseconds.
    ///
    /// # Panics
    /// With more than [`MAX_HOSTS`] hosts, or none.
    pub fn optimum(&self) -> u128 {
        let hosts = self.weights.len();
        assert!((1..=MAX_HOSTS).contains(&hosts), "{hosts} hosts are too many to try all trees");
        let mut search = Search { problem: self, least: self.least(), best: u128::MAX };
        let others = (1..hosts).fold(0, |set, host| set | bit(host));
        search.hang(&mut vec![(0, Duration::ZERO)], 0, others, 0);
        search.best
    }

    /// The same sum in a tree that is given as the parent of each host; the root's is ignored.
    /// `None` if it is no tree.
    pub fn cost(&self, parents: &[Option<usize>]) -> Option<u128> {
        let mut sum = 0;
        for host in 1..self.weights.len() {
            let (mut at, mut latency, mut steps) = (host, Duration::ZERO, 0);
            while at != 0 {
                let above = (*parents.get(at)?)?;
                latency += *self.delays.get(above)?.get(at)?;
                (at, steps) = (above, steps + 1);
                if steps > self.weights.len() {
                    return None;
                }
            }
            sum += u128::from(self.weights[host]) * latency.as_nanos();
        }
        Some(sum)
    }

    fn least(&self) -> Vec<u128> {
        let hosts = self.weights.len();
        let mut ways = self.delays[0].clone();
        for _ in 0..hosts {
            for to in 0..hosts {
                let by = (0..hosts).map(|over| ways[over] + self.delays[over][to]).min();
                ways[to] = ways[to].min(by.unwrap_or(ways[to]));
            }
        }
        let sums = ways.iter().zip(&self.weights);
        sums.map(|(way, &weight)| way.as_nanos() * u128::from(weight)).collect()
    }
}

impl Search<'_> {
    /// Chooses the children of the host at `next` of those placed, out of those left, in every way;
    /// each tree comes once, since its hosts are placed level by level.
    fn hang(&mut self, placed: &mut Vec<(usize, Duration)>, next: usize, left: Set, cost: u128) {
        if left == 0 {
            self.best = self.best.min(cost);
            return;
        }
        let members =
            |set: Set| (1..self.problem.weights.len()).filter(move |&h| set & bit(h) != 0);
        let bound: u128 = members(left).map(|host| self.least[host]).sum();
        let Some(&(above, latency)) = placed.get(next) else { return };
        if cost + bound >= self.best {
            return;
        }
        let mut chosen = left;
        loop {
            if chosen.count_ones() as usize <= self.problem.degree {
                let before = placed.len();
                let mut more = 0;
                let children: Vec<usize> =
                    (1..self.problem.weights.len()).filter(|&h| chosen & bit(h) != 0).collect();
                for child in children {
                    let latency = latency + self.problem.delays[above][child];
                    more += latency.as_nanos() * u128::from(self.problem.weights[child]);
                    placed.push((child, latency));
                }
                self.hang(placed, next + 1, left & !chosen, cost + more);
                placed.truncate(before);
            }
            if chosen == 0 {
                return;
            }
            chosen = (chosen - 1) & left;
        }
    }
}

fn bit(host: usize) -> Set {
    1 << host
}

#[cfg(test)]
mod tests {
    use super::*;
    use quilt_proto::Rng;

    fn problem(seed: u64, hosts: usize, degree: usize) -> Problem {
        let mut rng = Rng::new(seed);
        let mut row = || (0..hosts).map(|_| Duration::from_micros(1 + rng.below(100))).collect();
        let delays = (0..hosts).map(|_| row()).collect();
        let weights = (0..hosts).map(|_| 1 + rng.below(9)).collect();
        Problem { weights, delays, degree }
    }

    /// All assignments of parents, whatever they are.
    fn naive(problem: &Problem) -> u128 {
        let hosts = problem.weights.len();
        let count = hosts.pow(hosts as u32 - 1);
        let parents = (0..count).map(|code| {
            let digit = |host: usize| code / hosts.pow(host as u32 - 1) % hosts;
            (0..hosts).map(|host| host.checked_sub(1).map(|_| digit(host))).collect::<Vec<_>>()
        });
        let fits = |parents: &Vec<Option<usize>>| {
            let children = |of| parents.iter().filter(|&&parent| parent == Some(of)).count();
            (0..hosts).all(|host| children(host) <= problem.degree)
        };
        parents.filter(fits).filter_map(|parents| problem.cost(&parents)).min().unwrap()
    }

    #[test]
    fn no_assignment_of_parents_is_better_than_the_optimum() {
        for seed in 0..30 {
            for degree in 1..=3 {
                let problem = problem(seed, 2 + seed as usize % 5, degree);
                assert_eq!(problem.optimum(), naive(&problem), "{problem:?}");
            }
        }
    }

    #[test]
    fn a_cycle_or_a_host_without_a_parent_is_no_tree() {
        let problem = problem(1, 4, 3);
        assert!(problem.cost(&[None, Some(0), Some(1), Some(2)]).is_some());
        assert_eq!(problem.cost(&[None, Some(2), Some(1), Some(0)]), None);
        assert_eq!(problem.cost(&[None, Some(0), None, Some(2)]), None);
    }
}
