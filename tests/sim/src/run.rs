//! A whole run: hosts join, one of them publishes, some die, and what came of it.
//!
//! At 0 the source joins, at 1 s all others at once, in the order of the topology; publishing
//! starts at 5 s. Afterwards the run goes on until nothing is missing, and nothing waits in queues
//! where no host died, at most 10 s.

use crate::check::bounds::Forest;
use crate::check::liveness::Liveness;
use crate::check::{self, Invariant, Safety, Violations};
use crate::host::Life;
use crate::liar::Lie;
use crate::measure::{Deliveries, fragments};
use crate::net::DEFAULT_MTU;
use crate::population::{Population, System};
use crate::report::{self, Attached, Report};
use crate::scenario::Script;
use crate::topology::Topology;
use crate::tree::Sample;
use crate::world::{Came, HostIndex, Told, World};
use quilt_proto::{
    Counters, Group, GroupId, HostId, Incarnation, Limits, Node, Notice, Place, PublishError,
    RelayDigest, RelaySync, Rng, Seq, Source, Time,
};
use script::{Prepared, Stream};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

mod checks;
mod script;

/// The name of the group.
const GROUP: &str = "run";
/// When all others join.
pub const OTHERS_JOIN: Time = Time::from_millis(1_000);
/// When publishing starts.
pub const PUBLISHING: Time = Time::from_millis(5_000);
/// How long the run goes on at most after the last message.
pub(crate) const DRAINING: Duration = Duration::from_secs(10);
/// Duplicates of what is published within so long of the first message are not counted.
const SETTLING: Duration = Duration::from_secs(2);
/// How long a join may take.
const JOIN_TIME: Duration = Duration::from_secs(5);
/// How often what happened is looked at.
const STEP: Duration = Duration::from_millis(10);

/// What is run.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What the scenario is called.
    pub scenario: String,
    /// Where.
    pub topology: Topology,
    /// How its hosts are set up.
    pub population: Population,
    /// All that is random follows from it.
    pub seed: u64,
    /// Between two joins, so that hosts join in the order of the topology; default none. All must
    /// have joined at 5 s.
    pub join_gap: Duration,
    /// Messages a second.
    pub rate: f64,
    /// Bytes of a message.
    pub size: usize,
    /// For how long messages are published.
    pub duration: Duration,
    /// How many hosts die, and when.
    pub kill: Option<Kill>,
    /// The share of packets that are lost, once per receiver.
    pub loss: f64,
    /// What a packet costs its receiver's processor.
    pub cpu: Duration,
    /// The largest packet that every way takes, in bytes, IP header included.
    pub mtu: usize,
    /// What else happens; its workload stands instead of `rate`, `size` and `duration`.
    pub script: Script,
}

/// Hosts that die.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kill {
    /// Which part of all.
    pub fraction: f64,
    /// When, counted from the first message.
    pub at: Duration,
}

impl Spec {
    /// A run on a topology with what the paper gives: 1,000 bytes, 10 times a second, for 10 s.
    pub fn new(scenario: &str, topology: Topology, system: System) -> Self {
        let degree = if system == System::Quilt && !topology.internet { 8 } else { 6 };
        let population = Population {
            system,
            registry: None,
            order: None,
            representatives: 3,
            sync: RelaySync::default(),
            digest: RelayDigest::default(),
            degree,
            travel: quilt_proto::donet::Travel::Push,
            hops: 4,
            senses: false,
            limits: Limits::default(),
            publish_bytes_per_second: 12_500_000,
        };
        Self {
            scenario: scenario.into(),
            topology,
            population,
            seed: 1,
            join_gap: Duration::ZERO,
            rate: 10.0,
            size: 1_000,
            duration: Duration::from_secs(10),
            kill: None,
            loss: 0.0,
            cpu: Duration::ZERO,
            mtu: DEFAULT_MTU,
            script: Script::default(),
        }
    }
}

/// A run under way.
pub struct Run {
    pub(crate) spec: Spec,
    pub(crate) world: World,
    pub(crate) hosts: Vec<HostIndex>,
    pub(crate) service: HostIndex,
    pub(crate) source: usize,
    /// By host: its id, and which life it is in.
    ids: Vec<HostId>,
    lives: Vec<Incarnation>,
    /// What the script makes of it, and of which kinds its faults are.
    prepared: Prepared,
    disturbances: (bool, bool),
    /// When the last of what is due in the script was or will be.
    last_deed: Time,
    /// Hosts behind a partition.
    apart: BTreeSet<usize>,
    group: GroupId,
    bootstrap: SocketAddr,
    rng: Rng,
    pub(crate) asked: Vec<Time>,
    pub(crate) admitted: Vec<Option<Time>>,
    /// Who was ever gone, and who left and did not start again since.
    pub(crate) killed: Vec<bool>,
    left: Vec<bool>,
    pub(crate) killed_at: Option<Time>,
    /// How its first message came to each host.
    first: Vec<Option<Came>>,
    pub(crate) deliveries: Deliveries,
    safety: Safety,
    liveness: Liveness,
    forest: Forest,
    /// How the tree was, and how it healed.
    pub(crate) tree: Vec<Sample>,
    pub(crate) attached: Attached,
    /// All that are to be in the tree were, when publishing began.
    pub(crate) built: bool,
    /// The share of packets that is lost at random now.
    loss: f64,
    violations: Violations,
    /// Which host has which id.
    names: BTreeMap<HostId, usize>,
    /// When is looked next at where hosts stand, and at how much they have.
    next_places: Time,
    next_sizes: Time,
    /// When all queues must be empty.
    quiet_by: Time,
    /// What hosts counted in lives that are over.
    past: Counters,
    /// From when on duplicates of what is published count; known with the first message.
    settled: Option<Time>,
    /// All duplicates so far, by second.
    pub(crate) duplicates_per_s: Vec<u64>,
    pub(crate) started: Instant,
}

impl Run {
    /// Puts the hosts in their places.
    pub fn new(mut spec: Spec) -> Self {
        let started = Instant::now();
        let (mut rng, source) = begin(&spec.topology, spec.seed);
        let count = spec.topology.hosts.len();
        let prepared = Prepared::new(&mut spec, source);
        let open = |&place: &usize| spec.topology.hosts[place].gateway.is_none();
        let open: Vec<usize> = (0..count).filter(open).collect();
        let service_place = open.get(rng.index(open.len())).copied().unwrap_or(source);

        let mut world = World::new(spec.topology.clone(), spec.seed);
        world.set_cpu(spec.cpu);
        world.set_most_links(spec.population.limits.links);
        world.net().faults.loss = (spec.loss * 1e6) as u64;
        world.net().set_mtu(spec.mtu);
        world.count_control_from(OTHERS_JOIN);
        let (hosts, ids) = populate(&mut world, &spec.population, &prepared, &mut rng);
        let config = spec.population.bootstrap();
        let (service, bootstrap) = world.add_bootstrap(service_place, config, rng.next_u64());
        let group = GroupId::named(GROUP);
        world.watch_parents(group, crate::tree::whole_is(spec.population.system));
        Self {
            asked: vec![Time::MAX; count],
            admitted: vec![None; count],
            killed: vec![false; count],
            left: vec![false; count],
            killed_at: None,
            first: vec![None; count],
            deliveries: Deliveries::new(count),
            safety: Safety::default(),
            liveness: Liveness::default(),
            forest: Forest::default(),
            tree: Vec::new(),
            attached: Attached::default(),
            built: false,
            loss: spec.loss,
            violations: Violations::default(),
            names: ids.iter().copied().zip(0..).collect(),
            next_places: Time::ZERO,
            next_sizes: Time::ZERO,
            quiet_by: Time::ZERO,
            past: Counters::default(),
            settled: None,
            duplicates_per_s: Vec::new(),
            ids,
            lives: vec![Incarnation(1); count],
            disturbances: prepared.disturbances(),
            last_deed: prepared.last_deed(),
            prepared,
            apart: BTreeSet::new(),
            spec,
            world,
            hosts,
            service,
            source,
            group,
            bootstrap,
            rng,
            started,
        }
    }

    /// Plays the whole run. `progress` is told the virtual time now and then, and how many packets
    /// have come so far.
    pub fn play(mut self, progress: impl FnMut(Time, Time, u64)) -> Report {
        self.play_through(progress)
    }

    /// Plays the whole run as [`Run::play`] does, and can be looked at afterwards.
    pub fn play_through(&mut self, mut progress: impl FnMut(Time, Time, u64)) -> Report {
        let ends = self.prepared.streams.iter().map(|stream| stream.end);
        let end = ends.chain([PUBLISHING]).max().unwrap_or(PUBLISHING);
        self.join_all();
        let mut at = self.world.now();
        while at < PUBLISHING {
            at = (at + STEP * 10).min(PUBLISHING);
            self.advance(at);
            progress(at, end, self.world.events());
        }
        self.built = self.is_built();
        let last = self.publish_all(end, &mut progress);
        let end = last + DRAINING;
        self.quiet_by = end;
        // What waits for dead hosts is no news.
        let waits = |run: &Self| run.killed_at.is_none() && run.queued() > 0;
        let quiet = |run: &Self| run.missing() == 0 && !waits(run) && !run.may_be_admitted();
        while self.world.now() < end && !quiet(self) {
            self.advance(self.world.now() + STEP * 10);
            progress(self.world.now(), end, self.world.events());
        }
        self.judge();
        report::of(self)
    }

    /// Plays no further than until all hosts are admitted; whether they were before the time at
    /// which publishing would start.
    pub fn play_joins(&mut self, mut progress: impl FnMut(Time, Time, u64)) -> bool {
        self.join_all();
        while self.world.now() < PUBLISHING && self.admitted.contains(&None) {
            self.advance(self.world.now() + STEP);
            progress(self.world.now(), PUBLISHING, self.world.events());
        }
        !self.admitted.contains(&None)
    }

    /// Has a host of the topology say something else than its machine would.
    pub fn set_lie(&mut self, host: usize, lie: Lie) {
        self.world.set_lie(self.hosts[host], lie);
    }

    /// What came to whom, and when.
    pub fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }

    /// Which host publishes, as an index into the topology.
    pub fn source(&self) -> usize {
        self.source
    }

    /// Where a host of the topology stands in the group; `None` while it is not admitted.
    pub fn place(&self, host: usize) -> Option<&Place> {
        self.world.node(self.hosts[host])?.place(self.group)
    }

    /// How its first message came to a host of the topology; `None` if none came, or if the host
    /// published it. [`Came::from`] has the same indices as the topology.
    pub fn first_message(&self, host: usize) -> Option<Came> {
        self.first[host]
    }

    /// The source joins, and then all others at once or one after another.
    fn join_all(&mut self) {
        self.join(self.source);
        let source = self.source;
        let mut at = OTHERS_JOIN;
        let gaps = self.hosts.len().saturating_sub(2) as u32;
        let last = at + self.spec.join_gap * gaps;
        self.liveness.last_fault(self.prepared.last_deed().max(last));
        for host in (0..self.hosts.len()).filter(|&host| host != source) {
            if self.prepared.late.contains(&host) {
                continue;
            }
            self.advance(at);
            self.join(host);
            at = at + self.spec.join_gap;
        }
    }

    fn join(&mut self, host: usize) {
        self.asked[host] = self.world.now();
        let group = Group::new(GROUP, self.bootstrap);
        let joined = self.world.call(self.hosts[host], |node, now| node.join(now, group));
        debug_assert!(joined.is_ok(), "{joined:?}");
    }

    /// Publishes all streams; when the last message was published.
    fn publish_all(&mut self, end: Time, progress: &mut impl FnMut(Time, Time, u64)) -> Time {
        let mut last = self.world.now();
        loop {
            let streams = self.prepared.streams.iter().enumerate();
            let going = streams.filter(|(_, stream)| stream.due < stream.end);
            let Some((at, stream)) = going.min_by_key(|(_, stream)| stream.due) else {
                return last;
            };
            let stream = stream.clone();
            self.advance(stream.due);
            let Some(wait) = self.publish(&stream) else { return self.world.now() };
            self.prepared.streams[at].due = stream.due + wait;
            last = self.world.now();
            progress(stream.due, end, self.world.events());
        }
    }

    /// Publishes the next message of a stream; how long to wait for the one after it, or `None` if
    /// there will never be one.
    fn publish(&mut self, stream: &Stream) -> Option<Duration> {
        let (host, now) = (stream.host, self.world.now());
        let gone = self.killed[host] || self.prepared.late.contains(&host);
        let works = self.world.life(self.hosts[host]) == Life::Up && !self.left[host];
        if !works || gone && self.admitted[host].is_none() {
            return Some(stream.gap);
        }
        let number = self.deliveries.published();
        let (body, group) = (check::body(number, stream.size), self.group);
        if self.settled.is_some_and(|at| at <= now) {
            self.world.novelty.begin();
        }
        let publish = |node: &mut Node, now| node.publish(now, group, body.into());
        match self.world.call(self.hosts[host], publish) {
            Ok(seq) => {
                let by = Source { host: self.ids[host].tag(), incarnation: self.lives[host] };
                self.deliveries.publish(now, host, stream.size);
                self.settled.get_or_insert(now + SETTLING);
                self.world.wire.published(by, seq, fragments(stream.size));
                self.safety.published(now, by, seq, number, stream.size);
                self.liveness.published(now, host, by, seq);
                Some(stream.gap)
            }
            // The publisher waits, as an application would.
            Err(PublishError::WouldBlock) => {
                self.liveness.blocks(now, host);
                Some(Duration::from_millis(1))
            }
            Err(error) => {
                let what = format!("host {host} cannot publish: {error}");
                self.violations.add(Invariant::L2, now, what);
                None
            }
        }
    }

    /// Lets time pass, in steps after which what happened is looked at.
    fn advance(&mut self, until: Time) {
        while self.world.now() < until {
            let deed = self.prepared.deeds.last().map(|&(at, _)| at);
            let next = [until, self.world.now() + STEP].into_iter().chain(deed).min();
            let next = next.unwrap_or(until).max(self.world.now());
            self.world.run_until(next);
            self.carry_out();
            self.look();
        }
    }

    /// Takes note of what applications were told.
    fn look(&mut self) {
        for Told { at, host, notice, after, .. } in self.world.take_told() {
            let host = host.0;
            match &notice {
                Notice::Joined(_) => {
                    self.admitted[host].get_or_insert(at);
                }
                Notice::Message(message) => {
                    if let Some(number) = self.safety.number(message.source, message.seq) {
                        if number == 0 {
                            self.first[host] = after;
                        }
                        self.deliveries.deliver(number, host, at);
                    }
                }
                &Notice::Gap { source, from, to, .. } => {
                    // What was published has no holes; a gap that garbage made may be endless.
                    let numbers =
                        (from.0..=to.0).map_while(|seq| self.safety.number(source, Seq(seq)));
                    self.deliveries.gap(to.next().distance(from));
                    self.deliveries.given_up(numbers, host);
                }
                Notice::Writable => self.liveness.goes_on(at, host),
                _ => {}
            }
            self.safety.told(at, host, &notice);
        }
        self.watch();
        let second = (self.world.now().as_nanos() / 1_000_000_000) as usize;
        // The seconds that are over have all that was counted so far.
        if self.duplicates_per_s.len() < second {
            let so_far = self.world.novelty.duplicates();
            self.duplicates_per_s.resize(second, so_far);
        }
    }

    /// The hosts that were members throughout, without the source if it alone publishes.
    pub(crate) fn alive(&self) -> Vec<bool> {
        let alone = self.prepared.streams.iter().all(|stream| stream.host == self.source);
        let sound = |host: usize| !self.killed[host] && !self.prepared.late.contains(&host);
        (0..self.hosts.len()).map(|host| sound(host) && !(alone && host == self.source)).collect()
    }

    /// All hosts' counters together.
    pub(crate) fn counters(&self) -> Counters {
        let mut sum = self.past.clone();
        for node in self.hosts.iter().filter_map(|&host| self.world.node(host)) {
            sum.merge(node.counters());
        }
        sum
    }
}

/// What a run draws from, and its source: the topology's, or the first that is drawn.
pub(crate) fn begin(topology: &Topology, seed: u64) -> (Rng, usize) {
    let mut rng = Rng::new(seed).fork("run");
    let source = topology.source.unwrap_or_else(|| rng.index(topology.hosts.len()));
    (rng, source)
}

/// Puts a host in each place of the world's topology; the hosts and their ids.
fn populate(
    world: &mut World,
    population: &Population,
    prepared: &Prepared,
    rng: &mut Rng,
) -> (Vec<HostIndex>, Vec<HostId>) {
    let (mut hosts, mut ids) = (Vec::new(), Vec::new());
    for place in 0..world.net().topology().hosts.len() {
        let address = world.address(place);
        let mut config = population.config(world.net(), place, address, rng);
        let second = prepared.second_places.get(&place).map(|&other| world.net().add_nic(other));
        prepared.complete(&mut config, place, second.as_slice(), population, world.net());
        ids.push(config.host);
        let host = world.add_node(place, Node::new(config, rng.next_u64()));
        second.into_iter().for_each(|nic| world.give_nic(host, nic));
        hosts.push(host);
    }
    for &(host, clock) in &prepared.clocks {
        world.set_clock(hosts[host], clock);
    }
    (hosts, ids)
}

#[cfg(test)]
mod broken;
#[cfg(test)]
mod sloppy;
#[cfg(test)]
mod tests;
