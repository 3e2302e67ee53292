//! What happens in the scenario of a seed.

use super::MOST_HOSTS;
use crate::population::{Digest, Sync, System};
use crate::scenario::{
    Environment, Fault, Join, NatKind, Place, Scenario, Script, What, Who, Workload,
};
use crate::topology::Topology;
use quilt_proto::Rng;
use std::time::Duration;

/// Things go wrong up to here, in seconds after the first message; then all is mended that can be.
const CALM_S: f64 = 12.0;
/// From here on everything that is published must come to all that are left.
const HEALED_S: f64 = CALM_S + 16.0;
/// For so long is published once more.
const AFTER_S: f64 = 2.0;
/// A run starts so long before its first message, and drains at most as long after its last one.
const AROUND_S: f64 = 5.0;

/// The share of packets that is lost throughout.
const LOSS: f64 = 0.0;

/// The scenario of a seed, with at most so many hosts, 8 to [`MOST_HOSTS`]. The faults that are possible in it
/// are drawn first: what never comes together where everything may happen does so where little may.
pub fn scenario(seed: u64, hosts: usize) -> Scenario {
    let mut draw = Draw(Rng::new(seed).fork("swarm"));
    let (topology, count) = draw.place(hosts.clamp(8, MOST_HOSTS));
    let system = match draw.below(10) {
        0 => System::Omni,
        1 => System::Donet,
        _ => System::Quilt,
    };
    let sync = draw.rarely().then(|| draw.one_of(&[Sync::TwoPhase, Sync::Off]));
    Scenario {
        scenario: format!("swarm-{seed}"),
        topology,
        latency: None,
        system,
        seed: Some(seed),
        k: Some(draw.within(1, 4) as u8),
        degree: Some(draw.within(3, 8) as u8),
        sync,
        digest: draw.rarely().then_some(Digest::Bloom),
        push: draw.rarely().then_some(false),
        hops: Some(draw.within(3, 6) as u8),
        sense: false,
        loss: LOSS,
        cpu_ns: if draw.rarely() { draw.within(1_000, 50_000) } else { 0 },
        mtu: None,
        script: Script {
            joins: draw.joins(),
            environment: draw.environment(count),
            workload: draw.workload(),
            faults: draw.faults(count),
            draw: None,
        },
    }
}

/// How long a run of a scenario is, in virtual time.
pub(super) fn length(scenario: &Scenario) -> Duration {
    let ends = scenario.script.workload.iter().map(|one| one.start_s + one.duration_s);
    Duration::from_secs_f64(AROUND_S + ends.fold(0.0, f64::max))
}

struct Draw(Rng);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    /// Both included.
    fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.below(high - low + 1)
    }

    /// A time between two others, in seconds, in steps of a hundredth.
    fn time(&mut self, from: f64, to: f64) -> f64 {
        let hundredths = |seconds: f64| (seconds * 100.0).round();
        let steps = self.within(0, (hundredths(to) - hundredths(from)).max(0.0) as u64);
        (hundredths(from) + steps as f64) / 100.0
    }

    fn rarely(&mut self) -> bool {
        self.below(6) == 0
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.0.index(all.len())].clone()
    }

    fn some(&mut self, hosts: usize) -> Who {
        let most = (hosts / 3).max(1) as u64;
        Who::DrawCount(self.within(1, most) as usize)
    }

    /// Where, and with how many hosts.
    fn place(&mut self, hosts: usize) -> (Place, usize) {
        let hosts = self.within(6, hosts as u64) as usize;
        match self.below(5) {
            0 => (Place::Synthetic(Topology::SYNTHETIC_HOSTS), Topology::SYNTHETIC_HOSTS),
            1 => (Place::Lan(hosts), hosts),
            2 => (Place::Internet(hosts), hosts),
            _ => (Place::Datacenter(hosts), hosts),
        }
    }

    fn joins(&mut self) -> Vec<Join> {
        let count = if self.rarely() { 1 + self.below(3) } else { 0 };
        (0..count)
            .map(|_| Join { who: Who::DrawCount(1), at_s: self.time(-3.0, CALM_S - 1.0) })
            .collect()
    }

    fn environment(&mut self, hosts: usize) -> Vec<Environment> {
        let mut all = Vec::new();
        for kind in 0..9 {
            if self.below(8) > 0 {
                continue;
            }
            let clock = self.within(100, 20_000) as i32;
            let mut one = Environment {
                who: self.some(hosts),
                clock_ppm: 0,
                ignorant: false,
                firewall: false,
                udp_answers: false,
                nat: None,
                no_udp: false,
                second_nic: None,
            };
            match kind {
                0 => one.clock_ppm = clock,
                1 => one.clock_ppm = -clock,
                2 => one.ignorant = true,
                3 => one.firewall = true,
                4 => one.nat = Some(NatKind::FullCone),
                5 => one.nat = Some(NatKind::Restricted),
                6 => one.nat = Some(NatKind::PortRestricted),
                7 => one.nat = Some(NatKind::Symmetric),
                _ => (one.firewall, one.udp_answers) = (true, true),
            }
            all.push(one);
        }
        all
    }

    /// One to three sources while things go wrong, and the first of them once more when all is well.
    fn workload(&mut self) -> Vec<Workload> {
        let sources = [1, 1, 1, 2, 3][self.0.index(5)];
        let mut all = Vec::new();
        for number in 0..sources {
            // Much of little, or little of much.
            let (rate, size) = match self.rarely() {
                true => (5.0, 40_000),
                false => {
                    (self.one_of(&[2.0, 10.0, 40.0, 200.0]), self.one_of(&[8, 300, 1_000, 5_000]))
                }
            };
            all.push(Workload {
                who: if number == 0 { Who::Source } else { Who::DrawCount(1) },
                start_s: self.time(0.0, 2.0),
                duration_s: self.time(4.0, CALM_S),
                rate,
                size,
            });
        }
        let (rate, size) = (5.0, 2_000);
        all.push(Workload { who: Who::Source, start_s: HEALED_S, duration_s: AFTER_S, rate, size });
        all
    }

    fn faults(&mut self, hosts: usize) -> Vec<Fault> {
        use What::*;
        let deadly = [Kill, End, Leave];
        let of_hosts = [Pause, StopReading, Partition, CutOff, Mute, Filter];
        let of_regions = [QuerierOff, MulticastOff];
        let everywhere = [
            Loss(0.05),
            Bursts(0.01),
            Duplication(0.2),
            Reordering(0.2),
            Corruption(0.05),
            Jitter(20),
            ServiceOff,
        ];
        let all = deadly.into_iter().chain(of_hosts).chain(of_regions).chain(everywhere);
        // So many in a hundred kinds are possible.
        let share = self.one_of(&[10, 25, 50]);
        let mut faults = Vec::new();
        for what in all {
            if self.below(100) >= share {
                continue;
            }
            for _ in 0..self.within(1, 2) {
                faults.extend(self.fault(what.clone(), hosts));
            }
        }
        // Whoever stands still or apart by then no longer does.
        let mended = [Resume, Read, Heal, Unfilter, MulticastOn, ServiceOn];
        let calm = [Loss(LOSS), Bursts(0.0), Duplication(0.0), Reordering(0.0), Corruption(0.0)];
        let calm = calm.into_iter().chain([Jitter(0)]);
        if !faults.is_empty() {
            let remedies = mended.into_iter().chain(calm);
            faults.extend(remedies.map(|what| Fault { at_s: CALM_S, who: None, what }));
        }
        faults
    }

    /// One fault, and as a rule its remedy a while later.
    fn fault(&mut self, what: What, hosts: usize) -> Vec<Fault> {
        let at_s = self.time(-3.5, CALM_S - 1.0);
        let remedy = what.remedy(LOSS).filter(|_| !what.is_deadly() || self.below(2) == 0);
        let mended = self.time(at_s + 0.1, CALM_S);
        let who = Some(self.some(hosts));
        let remedy = remedy.map(|what| Fault { at_s: mended, who: None, what });
        [Some(Fault { at_s, who, what }), remedy].into_iter().flatten().collect()
    }
}
