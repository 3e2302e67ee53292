//! Carrying out what a run's script says.

use super::{OTHERS_JOIN, PUBLISHING, Run, Spec};
use crate::host::{Clock, Kind, Life, PORT};
use crate::net::{Burst, Net, NicId, SwitchFault};
use crate::population::Population;
use crate::scenario::{Draw, Fault, NatKind, What, Who, Workload};
use crate::topology::{Firewall, Gateway, Topology};
use quilt_proto::wire::Nic;
use quilt_proto::{Config, HostId, Incarnation, Node, Rng, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a burst of loss lasts at most.
const BURST: Duration = Duration::from_millis(50);
/// For how long a packet is held back at most.
const HELD_BACK: Duration = Duration::from_millis(40);

/// Something that is due in a run.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// A host joins.
    Join(usize),
    /// Something goes wrong, or is mended.
    Fault(Fault),
}

/// One stream of messages under way.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) host: usize,
    pub(super) due: Time,
    pub(super) end: Time,
    pub(super) gap: Duration,
    pub(super) size: usize,
}

/// The time of the world at a time of the script.
fn at(seconds: f64) -> Time {
    let since = PUBLISHING.since(Time::ZERO).as_secs_f64() + seconds;
    Time::ZERO + Duration::from_secs_f64(since.max(0.0))
}

/// The hosts of a topology that are meant.
fn chosen(who: &Who, topology: &Topology, source: usize, rng: &mut Rng) -> Vec<usize> {
    let all = 0..topology.hosts.len();
    let others = all.clone().filter(|&host| host != source);
    let mut drawn = |count: usize| {
        let mut others: Vec<usize> = others.clone().collect();
        rng.shuffle(&mut others);
        others.truncate(count);
        others
    };
    match who {
        Who::Source => vec![source],
        Who::Others => others.collect(),
        Who::All => all.collect(),
        Who::Hosts(hosts) => hosts.clone(),
        Who::Region(region) => all.filter(|&host| topology.hosts[host].region == *region).collect(),
        Who::Draw(share) => drawn((share * topology.hosts.len() as f64).round() as usize),
        Who::DrawCount(count) => drawn(*count),
    }
}

/// What a script makes of a spec before the run: hosts that are other than the topology says, and
/// what is due when.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// Hosts that know nothing of the routers around them.
    pub(super) ignorant: BTreeSet<usize>,
    pub(super) clocks: Vec<(usize, Clock)>,
    /// Where hosts have a second interface.
    pub(super) second_places: BTreeMap<usize, usize>,
    /// Hosts that join at a time of their own.
    pub(super) late: BTreeSet<usize>,
    /// What is due, the latest first.
    pub(super) deeds: Vec<(Time, Deed)>,
    pub(super) streams: Vec<Stream>,
}

impl Prepared {
    pub(super) fn new(spec: &mut Spec, source: usize) -> Self {
        let mut rng = Rng::new(spec.seed).fork("script");
        let mut prepared = Self::default();
        let script = spec.script.clone();
        for (number, one) in script.environment.iter().enumerate() {
            let hosts = chosen(&one.who, &spec.topology, source, &mut rng);
            if one.firewall || one.no_udp || one.nat.is_some() {
                let firewall = one.firewall.then_some(Firewall { blocks_udp: !one.udp_answers });
                let (name, nat) = (format!("gateway-{number}"), one.nat.map(NatKind::nat));
                let gateway = spec.topology.gateways.len();
                let no_udp = one.no_udp;
                spec.topology.gateways.push(Gateway { name, nat, firewall, no_udp });
                hosts.iter().for_each(|&host| spec.topology.hosts[host].gateway = Some(gateway));
            }
            let clock = Clock { fast_ppm: one.clock_ppm };
            prepared.clocks.extend(hosts.iter().map(|&host| (host, clock)));
            prepared.ignorant.extend(hosts.iter().filter(|_| one.ignorant));
            let places = &spec.topology.hosts;
            let in_it = |region| places.iter().position(|place| place.region == region);
            if let Some(place) = one.second_nic.and_then(in_it) {
                prepared.second_places.extend(hosts.iter().map(|&host| (host, place)));
            }
        }
        for join in &script.joins {
            for host in chosen(&join.who, &spec.topology, source, &mut rng) {
                if host != source && prepared.late.insert(host) {
                    prepared.deeds.push((at(join.at_s), Deed::Join(host)));
                }
            }
        }
        let mut workload = script.workload.clone();
        if workload.is_empty() {
            let (rate, size, duration_s) = (spec.rate, spec.size, spec.duration.as_secs_f64());
            workload.push(Workload { rate, size, duration_s, ..Workload::default() });
        }
        for one in &workload {
            let streams = chosen(&one.who, &spec.topology, source, &mut rng).into_iter();
            prepared.streams.extend(streams.map(|host| Stream {
                host,
                due: at(one.start_s),
                end: at(one.start_s) + Duration::from_secs_f64(one.duration_s),
                gap: Duration::from_secs_f64(1.0 / one.rate),
                size: one.size,
            }));
        }
        let killed = spec.kill.map(|kill| {
            let (at_s, who) = (kill.at.as_secs_f64(), Some(Who::Draw(kill.fraction)));
            Fault { at_s, who, what: What::Kill }
        });
        let drawn = script.draw.iter().flat_map(|draw| drawn(draw, spec.loss, &mut rng));
        let drawn = drawn.collect::<Vec<_>>();
        let faults = script.faults.iter().cloned().chain(killed).chain(drawn);
        prepared.deeds.extend(faults.map(|fault| (at(fault.at_s), Deed::Fault(fault))));
        prepared.deeds.sort_by_key(|&(at, _)| at);
        prepared.deeds.reverse();
        prepared
    }

    /// Enters in a host's configuration what it has and knows otherwise than most.
    pub(super) fn complete(
        &self,
        config: &mut Config,
        host: usize,
        more_nics: &[NicId],
        population: &Population,
        net: &Net,
    ) {
        for &nic in more_nics {
            let euid = population.euid(net, net.place(nic));
            config.nics.push(Nic { address: net.address(nic), euid });
            config.addresses.push(net.socket(nic, PORT));
        }
        if self.ignorant.contains(&host) {
            config.nics.iter_mut().for_each(|nic| nic.euid.topology = Default::default());
        }
    }

    /// When the last of all that is due is due, at the earliest when most hosts join.
    pub(super) fn last_deed(&self) -> Time {
        self.deeds.first().map_or(OTHERS_JOIN, |&(at, _)| at.max(OTHERS_JOIN))
    }

    /// Whether hosts die, and whether anything else is done to hosts or to the network.
    pub(super) fn disturbances(&self) -> (bool, bool) {
        let mut faults = self.deeds.iter().filter_map(|(_, deed)| match deed {
            Deed::Fault(fault) => Some(&fault.what),
            Deed::Join(_) => None,
        });
        (faults.clone().any(What::is_deadly), faults.any(|what| !what.is_deadly()))
    }
}

/// Faults, each with its remedy, in a run that loses `loss` of all packets throughout.
fn drawn(draw: &Draw, loss: f64, rng: &mut Rng) -> Vec<Fault> {
    let (low, high) = (Duration::ZERO, Duration::from_secs_f64(draw.to_s - draw.from_s));
    let pairs = (0..draw.count).flat_map(|_| {
        let late = if high.is_zero() { low } else { rng.between(low, high) };
        let what = draw.of[rng.index(draw.of.len())].clone();
        let at_s = draw.from_s + late.as_secs_f64();
        let mended = at_s + draw.lasts_s;
        let remedy = what.remedy(loss).map(|what| Fault { at_s: mended, who: None, what });
        let who = Some(Who::DrawCount(draw.hosts));
        [Some(Fault { at_s, who, what }), remedy]
    });
    pairs.flatten().collect()
}

impl Run {
    /// The configuration of a host in one of its lives.
    pub(super) fn config(&mut self, host: usize, id: HostId) -> Config {
        let address = self.world.address(host);
        let population = &self.spec.population;
        let mut config = population.config(self.world.net(), host, address, &mut self.rng);
        config.host = id;
        config.incarnation = self.lives[host];
        let nics = self.world.nics(self.hosts[host]).to_vec();
        self.prepared.complete(&mut config, host, &nics[1..], population, self.world.net());
        config
    }

    /// Carries out what is due now.
    pub(super) fn carry_out(&mut self) {
        let now = self.world.now();
        while let Some((_, deed)) = self.prepared.deeds.pop_if(|(at, _)| *at <= now) {
            match deed {
                // Who started again before has joined then.
                Deed::Join(host) if self.asked[host] < Time::MAX => {}
                Deed::Join(host) => self.join(host),
                Deed::Fault(fault) => self.strike(&fault),
            }
        }
    }

    fn strike(&mut self, Fault { who, what, .. }: &Fault) {
        let all = Who::All;
        let who = who.as_ref().unwrap_or(&all);
        let hosts = chosen(who, &self.spec.topology, self.source, &mut self.rng);
        match what {
            What::Kill => self.kill(&hosts, Life::Off),
            What::End => self.kill(&hosts, Life::Down),
            What::Leave => self.leave(&hosts),
            What::ServiceOff => self.world.kill(self.service, Life::Off),
            What::ServiceOn => self.restart_service(),
            What::Restart => hosts.into_iter().for_each(|host| self.restart(host)),
            What::Pause => hosts.iter().for_each(|&host| self.world.pause(self.hosts[host])),
            What::Resume => hosts.iter().for_each(|&host| self.world.resume(self.hosts[host])),
            What::StopReading => hosts.iter().for_each(|&host| self.set_reads(host, false)),
            What::Read => hosts.iter().for_each(|&host| self.set_reads(host, true)),
            What::Partition => self.part(&hosts, &[(0, 1), (1, 0)]),
            What::CutOff => self.part(&hosts, &[(0, 1)]),
            What::Mute => self.part(&hosts, &[(1, 0)]),
            What::Heal => {
                self.apart.clear();
                self.world.net().faults.walls.clear();
                (0..self.hosts.len()).for_each(|host| self.set_side(host, 0));
            }
            What::Filter | What::Unfilter => {
                for host in hosts {
                    let region = self.spec.topology.hosts[host].region;
                    let filtered = &mut self.world.net().switch(region).filtered;
                    match what {
                        What::Filter => filtered.insert(nic(host)),
                        _ => filtered.remove(&nic(host)),
                    };
                }
            }
            What::QuerierOff => {
                let since = self.world.now();
                self.switch(&hosts, SwitchFault::NoQuerier { since });
            }
            What::MulticastOff => self.switch(&hosts, SwitchFault::Dead),
            What::MulticastOn => self.switch(&hosts, SwitchFault::None),
            _ => self.spoil(what),
        }
    }

    /// Changes what goes wrong with packets everywhere.
    fn spoil(&mut self, what: &What) {
        let faults = &mut self.world.net().faults;
        let millionths = |share: f64| (share * 1e6) as u64;
        match *what {
            What::Loss(share) => (faults.loss, self.loss) = (millionths(share), share),
            What::Bursts(share) => {
                faults.burst = Some(Burst { begins: millionths(share), lasts: BURST });
            }
            What::Duplication(share) => faults.duplication = millionths(share),
            What::Reordering(share) => {
                (faults.reordering, faults.held_back) = (millionths(share), HELD_BACK);
            }
            What::Corruption(share) => faults.corruption = millionths(share),
            What::Jitter(ms) => faults.jitter = Duration::from_millis(ms.into()),
            _ => {}
        }
    }

    /// Who of these may be gone: not the source, unless it alone is meant, and does not publish.
    fn mortal(&self, hosts: &[usize]) -> Vec<usize> {
        let publishes = self.prepared.streams.iter().any(|stream| stream.host == self.source);
        let source = hosts == [self.source] && !publishes;
        hosts.iter().copied().filter(|&host| source || host != self.source).collect()
    }

    /// Ends hosts.
    fn kill(&mut self, hosts: &[usize], life: Life) {
        for host in self.mortal(hosts) {
            self.world.kill(self.hosts[host], life);
            self.killed[host] = true;
            self.killed_at.get_or_insert(self.world.now());
            self.next_places = self.world.now();
        }
    }

    /// Members leave in good order.
    fn leave(&mut self, hosts: &[usize]) {
        let group = self.group;
        for host in self.mortal(hosts) {
            if self.world.life(self.hosts[host]) == Life::Up {
                self.world.call(self.hosts[host], |node, now| node.leave(now, group));
                (self.killed[host], self.left[host]) = (true, true);
            }
        }
    }

    /// Starts the service again where it was, without any memory, if it is off.
    fn restart_service(&mut self) {
        if self.world.life(self.service) == Life::Off {
            let seed = self.rng.next_u64();
            self.world.restart_bootstrap(self.service, self.spec.population.bootstrap(), seed);
        }
    }

    /// Starts a dead host again, in its next life.
    pub(super) fn restart(&mut self, host: usize) {
        if !matches!(self.world.life(self.hosts[host]), Life::Off | Life::Down) {
            return;
        }
        self.lives[host] = Incarnation(self.lives[host].0 + 1);
        if let Some(node) = self.world.node(self.hosts[host]) {
            self.past.merge(node.counters());
        }
        let config = self.config(host, self.ids[host]);
        let node = Node::new(config, self.rng.next_u64());
        self.world.wire.restarted(host);
        self.world.restart(self.hosts[host], Kind::Node(Box::new(node)));
        self.safety.restarted(host);
        (self.admitted[host], self.left[host]) = (None, false);
        self.join(host);
    }

    fn set_reads(&mut self, host: usize, reads: bool) {
        self.world.set_reads(self.hosts[host], reads);
    }

    /// Puts all interfaces of a host on a side of a partition.
    fn set_side(&mut self, host: usize, side: u8) {
        for nic in self.world.nics(self.hosts[host]).to_vec() {
            self.world.net().set_side(nic, side);
        }
    }

    fn part(&mut self, hosts: &[usize], walls: &[(u8, u8)]) {
        hosts.iter().for_each(|&host| self.set_side(host, 1));
        self.world.net().faults.walls.extend(walls);
        self.apart.extend(hosts);
    }

    fn switch(&mut self, hosts: &[usize], fault: SwitchFault) {
        for &host in hosts {
            let region = self.spec.topology.hosts[host].region;
            self.world.net().switch(region).fault = fault;
        }
    }
}

/// The interface of a host of the topology.
fn nic(host: usize) -> NicId {
    NicId(host as u32)
}
