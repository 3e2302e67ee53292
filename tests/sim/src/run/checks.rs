//! What of a run is checked while it goes on, and at its end.

use super::{JOIN_TIME, OTHERS_JOIN, Run};
use crate::check::liveness::{Place, one_tree};
use crate::check::{Circumstances, Invariant, Violations, bounds};
use crate::host::Life;
use crate::measure::ms;
use crate::tree::{self, Shape};
use quilt_proto::donet::Travel;
use quilt_proto::{RelaySync, Time};
use std::time::Duration;

/// How often is looked at who stands where.
const PLACES: Duration = Duration::from_millis(200);
/// How often that is after hosts died, until those that live are one tree again, and for how long.
const PLACES_AFTER_DEATHS: Duration = Duration::from_millis(10);
const MOST_AFTER_DEATHS: Duration = Duration::from_secs(4);
/// How long after the last fault everything that is published must come to all again. The service looks
/// after a region that lost its representatives every ten seconds.
const HEALING: Duration = Duration::from_secs(15);
/// How often is looked at how much hosts have.
const SIZES: Duration = Duration::from_secs(1);

impl Run {
    /// What this run is put through.
    pub(crate) fn circumstances(&self) -> Circumstances {
        let (hosts_die, disturbed) = self.disturbances;
        let (population, loss) = (&self.spec.population, self.loss);
        let ranked = population.sync == RelaySync::Ranked;
        let cycles = matches!(population.travel, Travel::Pull(_));
        let system = population.system;
        let far = self.spec.topology.internet;
        Circumstances { system, hosts_die, disturbed, loss, ranked, cycles, far }
    }

    /// Whether anything was done in this run that could break an invariant, as far as that differs
    /// between runs.
    pub(crate) fn looked_at(&self, what: Invariant) -> bool {
        match what {
            Invariant::L2 => self.deliveries.published_since(self.from()),
            Invariant::S9 => false,
            _ => true,
        }
    }

    /// From when on everything that is published must come.
    fn from(&self) -> Time {
        match self.disturbances {
            (false, false) => Time::ZERO,
            _ => self.last_deed + HEALING,
        }
    }

    /// Whether all that are to be in the tree over all regions are below its root.
    pub(super) fn is_built(&self) -> bool {
        let parents = self.parents();
        let shape = Shape::of(&self.spec.topology, &parents);
        parents.len() > 1 && shape.attached() == parents.len()
    }

    /// Whether a host that works waits to be admitted, and its time is not over.
    pub(super) fn may_be_admitted(&self) -> bool {
        let now = self.world.now();
        let waits = |&host: &usize| {
            let asked = self.asked[host] <= now && now <= self.asked[host] + JOIN_TIME;
            asked && self.admitted[host].is_none() && self.up(host)
        };
        (0..self.hosts.len()).any(|host| waits(&host))
    }

    /// Looks at all hosts, where that is due.
    pub(super) fn watch(&mut self) {
        let now = self.world.now();
        if now >= self.next_places {
            self.watch_places(now);
            let healing = self.killed_at.is_some_and(|at| {
                now.since(at) < MOST_AFTER_DEATHS && self.attached.whole_after_ms.is_none()
            });
            self.next_places = now + if healing { PLACES_AFTER_DEATHS } else { PLACES };
        }
        if now >= self.next_sizes {
            self.next_sizes = now + SIZES;
            self.watch_sizes(now);
        }
        for (source, seq) in self.liveness.tails(now) {
            let Some(number) = self.safety.number(source, seq) else { continue };
            for host in self.unaware(number) {
                let wanted = self.world.wanted(self.hosts[host], source);
                if wanted.is_none_or(|latest| latest < seq) {
                    self.liveness.unnoticed(now, host, source, seq);
                }
            }
        }
    }

    /// The sound members that have neither got a message nor heard that it is given up.
    fn unaware(&self, number: u64) -> Vec<usize> {
        let sound = self.alive();
        let unaware = |&host: &usize| {
            let member = sound[host] && self.admitted[host].is_some() && self.up(host);
            member && !self.deliveries.is_settled(number, host)
        };
        (0..self.hosts.len()).filter(unaware).collect()
    }

    /// Whether a host works, and can reach the others.
    fn up(&self, host: usize) -> bool {
        let up = self.world.life(self.hosts[host]) == Life::Up && !self.left[host];
        up && !self.apart.contains(&host)
    }

    /// Who is above whom in the tree over all regions; where there is one patch, in that.
    pub fn parents(&self) -> tree::Parents {
        tree::parents(&self.places())
    }

    /// Where all hosts stand that work.
    fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (host, &index) in self.hosts.iter().enumerate().filter(|&(host, _)| self.up(host)) {
            let Some(node) = self.world.node(index) else { continue };
            for at in node.standings(self.group) {
                // Who is above it may be unknown here only if it is a host of another world.
                let parent = at.parent.map(|parent| self.names.get(&parent).copied());
                let parent = parent.map(|parent| parent.unwrap_or(usize::MAX));
                places.push(Place { host, patch: at.patch, protocol: at.protocol, parent });
            }
        }
        places
    }

    fn watch_places(&mut self, now: Time) {
        let places = self.places();
        self.watch_tree(now, &places);
        let edges = places.iter().filter_map(|at| Some((at.patch, at.host, at.parent?)));
        self.forest.look(now, edges, &mut self.violations);
        if self.liveness.awaits_tree(now) {
            let live = (0..self.hosts.len()).filter(|&host| self.up(host));
            let whole = one_tree(live.collect::<Vec<_>>(), &places);
            self.liveness.tree(now, whole);
        }
    }

    /// Takes note of how good the tree is, and after deaths of how many are in it again.
    fn watch_tree(&mut self, now: Time, places: &[Place]) {
        let parents = tree::parents(places);
        if parents.len() < 2 || now < OTHERS_JOIN {
            return;
        }
        let shape = Shape::of(&self.spec.topology, &parents);
        self.tree.push(shape.sample(now));
        let Some(killed_at) = self.killed_at else { return };
        let (after, attached) = (ms(now.since(killed_at)), shape.attached());
        if attached * 2 >= parents.len() {
            self.attached.half_after_ms.get_or_insert(after);
        }
        if attached == parents.len() {
            self.attached.whole_after_ms.get_or_insert(after);
        }
    }

    fn watch_sizes(&mut self, now: Time) {
        let limits = &self.spec.population.limits;
        for (host, &index) in self.hosts.iter().enumerate() {
            if let Some(node) = self.world.node(index) {
                bounds::sizes(now, host, &node.usage(), limits, &mut self.violations);
            }
        }
        let groups = self.world.bootstrap(self.service).into_iter().flat_map(|one| one.groups());
        for group in groups {
            let all = [(group.hosts, limits.group_hosts), (group.patches.len(), limits.patches)];
            if let Some((used, limit)) = all.into_iter().find(|(used, limit)| used > limit) {
                let what = format!("the service knows {used} where {limit} are allowed");
                self.violations.add(Invariant::S8, now, what);
            }
        }
    }

    /// How many fragments wait at hosts that are up.
    pub(super) fn queued(&self) -> usize {
        let up = (0..self.hosts.len()).filter(|&host| self.up(host));
        let nodes = up.filter_map(|host| self.world.node(self.hosts[host]));
        nodes.map(|node| node.usage().queued_fragments).sum()
    }

    /// Checks what only the end can tell, and brings together all that was broken.
    pub(super) fn judge(&mut self) {
        let now = self.world.now();
        self.watch_sizes(now);
        for host in 0..self.hosts.len() {
            let late = self.admitted[host].is_none_or(|at| at.since(self.asked[host]) > JOIN_TIME);
            if late && self.up(host) && self.asked[host] + JOIN_TIME <= now {
                let what = format!("host {host} was not admitted within {JOIN_TIME:?}");
                self.violations.add(Invariant::L5, now, what);
            }
        }
        let missing = self.must_come();
        if missing > 0 {
            let what = format!("{missing} deliveries to sound hosts are missing");
            self.violations.add(Invariant::L2, now, what);
        }
        let queued = self.queued();
        if queued > 0 && now >= self.quiet_by {
            let what = format!("{queued} fragments wait in queues");
            self.violations.add(Invariant::L6, now, what);
        }
        self.liveness.end(now);
        let mut of_world = self.world.violations();
        let safety = self.safety.violations_mut();
        for part in [safety, self.liveness.violations_mut(), &mut of_world] {
            self.violations.absorb(part);
        }
        self.violations.sort();
    }

    /// How much is missing, and may still come.
    pub(super) fn missing(&self) -> u64 {
        self.deliveries.missing(&self.alive(), Time::ZERO).max(self.must_come())
    }

    /// How much is missing that must come.
    fn must_come(&self) -> u64 {
        match self.disturbances {
            (false, false) => self.deliveries.missing(&self.alive(), self.from()),
            _ => self.missing_after_healing(),
        }
    }

    /// What is missing at members that work in the end, of what was published a while after the last
    /// that happened to hosts or to the network.
    fn missing_after_healing(&self) -> u64 {
        let healed = self.from();
        let member = |host: usize| self.admitted[host].is_some_and(|at| at <= healed);
        let whole =
            |host: usize| self.up(host) && self.world.reads(self.hosts[host]) && member(host);
        let whole: Vec<bool> = (0..self.hosts.len()).map(whole).collect();
        self.deliveries.missing(&whole, healed)
    }

    /// What was broken.
    pub(crate) fn violations(&self) -> &Violations {
        &self.violations
    }
}
