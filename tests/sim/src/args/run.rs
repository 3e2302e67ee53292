//! What `quilt-sim run` is asked for.

use super::words_without;
use quilt_sim::population::{Digest, ORIGINAL_TRAVEL, Sync, System};
use quilt_sim::run::{Kill, Spec};
use quilt_sim::scenario::{LONGEST_S, MAX_CPU_NS, Scenario, check_size};
use quilt_sim::topology::{Shape, SiteLatency, Topology};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// lan, synthetic, datacenter, internet or router-stacks; any name with --topology; or the path
    /// of a scenario in a file (.json), beside which only --seed, --json and --verify may stand.
    #[arg(required_unless_present = "file", default_value = "")]
    pub(crate) scenario: String,
    /// Read the whole scenario from a file (.json).
    #[arg(long = "scenario", value_name = "FILE", id = "file", conflicts_with = "scenario")]
    file: Option<PathBuf>,
    /// Read the topology from a file: a platform or domains (.json), NAME_hosts.csv with
    /// NAME_rtt_upper_ms.csv beside it, or a matrix of round-trip times (.csv).
    #[arg(long, value_name = "PATH")]
    topology: Option<PathBuf>,
    /// What is run: quilt, omni (one tree over all hosts) or donet (one mesh over all hosts).
    #[arg(long, default_value_t = System::Quilt)]
    system: System,
    /// How many hosts; by default as many as the topology has (lan: 100).
    #[arg(long, value_name = "N")]
    hosts: Option<usize>,
    /// Representatives of a region.
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=8))]
    k: u8,
    /// How the representatives see to it that a message crosses a region's edge once.
    #[arg(long, value_enum, default_value_t = Sync::Ranked)]
    sync: Sync,
    /// How they know what has come before.
    #[arg(long, value_enum, default_value_t = Digest::Exact)]
    digest: Digest,
    /// Children of a host in a tree; by default 8 where quilt runs in data centres, on a lan or in
    /// domains (.json), and 6 on the Internet (a .csv too) and for omni and donet.
    #[arg(long, value_name = "D", value_parser = clap::value_parser!(u8).range(1..=64))]
    degree: Option<u8>,
    /// Whether DONet pushes fresh fragments, or only pulls, in the original's cycles of a second.
    #[arg(long, value_name = "on|off", default_value = "on", value_parser = ["on", "off"])]
    push: String,
    /// Routers that a host knows of its way to the core.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=6))]
    hops: u8,
    /// Hosts are told nothing of their surroundings, and sense NATs, firewalls, routers and IP
    /// multicast with packets of their own.
    #[arg(long, conflicts_with = "hops")]
    sense: bool,
    /// All that is random follows from it. Default 1, or what the scenario's file says.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Messages a second.
    #[arg(long, value_name = "R", default_value_t = 10.0)]
    rate: f64,
    /// Bytes of a message, 8 to 16,000,000.
    #[arg(long, value_name = "B", default_value_t = 1_000)]
    size: usize,
    /// Seconds of publishing, at most a day.
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    duration: f64,
    /// Let a part of the hosts die, and somebody: 0.5@4 is half of them, 4 s after the first message.
    #[arg(long, value_name = "FRACTION@SECONDS")]
    kill: Option<KillArg>,
    /// The part of all packets that is lost, once per receiver.
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    loss: f64,
    /// Nanoseconds that a packet costs its receiver's processor.
    #[arg(long, value_name = "NS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=MAX_CPU_NS))]
    cpu_ns: u64,
    /// The largest packet that every way takes, in bytes, IP header included.
    #[arg(long, value_name = "BYTES", default_value_t = 1_500, value_parser = clap::value_parser!(u16).range(576..))]
    mtu: u16,
    /// Latency between data centres.
    #[arg(long, value_enum, default_value_t)]
    latency: SiteLatency,
    /// Play the run twice, and see whether it is the same (S12).
    #[arg(long)]
    pub(crate) verify: bool,
    /// Print nothing but the JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug)]
struct KillArg(Kill);

impl FromStr for KillArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (fraction, at) = text.split_once('@').ok_or("write FRACTION@SECONDS, as in 0.5@4")?;
        let number = |text: &str| {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            number.ok_or_else(|| format!("{text:?} is not a number"))
        };
        let (fraction, at) = (number(fraction)?, number(at)?);
        if !(0.0..=1.0).contains(&fraction) || !(0.0..=LONGEST_S).contains(&at) {
            return Err(format!("the part is from 0 to 1, and the time from 0 to {LONGEST_S}"));
        }
        Ok(Self(Kill { fraction, at: Duration::from_secs_f64(at) }))
    }
}

impl RunArgs {
    /// What is to be run.
    pub(crate) fn spec(&self) -> Result<Spec, String> {
        if let Some(path) = self.path() {
            Self::only_with_a_file()?;
            return Scenario::load(&path, self.seed).map_err(|error| error.to_string());
        }
        let within = |name: &str, value: f64, low: f64, high: f64| {
            let ok = (low..=high).contains(&value);
            ok.then_some(()).ok_or_else(|| format!("--{name} {value}: give {low} to {high}"))
        };
        within("rate", self.rate, 0.001, 1e6)?;
        within("duration", self.duration, 0.0, LONGEST_S)?;
        within("loss", self.loss, 0.0, 1.0)?;
        within("size", self.size as f64, 8.0, 16e6)?;
        let mut spec = Spec::new(&self.scenario, self.place()?, self.system);
        spec.seed = self.seed.unwrap_or(spec.seed);
        spec.rate = self.rate;
        spec.size = self.size;
        spec.duration = Duration::from_secs_f64(self.duration);
        spec.kill = self.deaths(spec.topology.hosts.len())?;
        spec.loss = self.loss;
        spec.cpu = Duration::from_nanos(self.cpu_ns);
        spec.mtu = self.mtu.into();
        spec.population.representatives = self.k;
        spec.population.sync = self.sync.into();
        spec.population.digest = self.digest.into();
        spec.population.hops = self.hops.into();
        spec.population.senses = self.sense;
        if self.push == "off" {
            spec.population.travel = ORIGINAL_TRAVEL;
        }
        spec.population.degree = self.degree.unwrap_or(spec.population.degree);
        check_size(&spec)?;
        Ok(spec)
    }

    /// Who of so many hosts die when: somebody, while messages are published.
    fn deaths(&self, hosts: usize) -> Result<Option<Kill>, String> {
        let Some(KillArg(kill)) = self.kill else { return Ok(None) };
        let messages = (self.duration * self.rate).ceil();
        let (at, last) = (kill.at.as_secs_f64(), (messages - 1.0) / self.rate);
        let Self { duration, .. } = self;
        let why = if at > last {
            format!(
                "no message follows, so that nothing would be seen of it, since with --duration \
                 {duration} the last one is published at {} s; give an earlier time or a longer \
                 --duration",
                last.max(0.0)
            )
        } else if at == 0.0 {
            "no message comes before it, with which those after it could be compared; give a later \
             time"
                .into()
        } else if hosts == 1 {
            "the only host is the source, which goes on; give more --hosts".into()
        } else if (kill.fraction * hosts as f64).round() == 0.0 {
            format!("of {hosts} hosts that is nobody; give at least {}", 0.5 / hosts as f64)
        } else {
            return Ok(Some(kill));
        };
        Err(format!("--kill {}@{at}: {why}", kill.fraction))
    }

    /// The file that has the scenario, if one does.
    fn path(&self) -> Option<PathBuf> {
        let named = || self.scenario.ends_with(".json").then(|| PathBuf::from(&self.scenario));
        self.file.clone().or_else(named)
    }

    /// Refuses options that would say what the scenario's file says.
    fn only_with_a_file() -> Result<(), String> {
        const ALLOWED: [&str; 4] = ["--scenario", "--seed", "--json", "--verify"];
        let name = |word: &String| word.split('=').next().unwrap_or_default().to_owned();
        let options = std::env::args().skip(1).filter(|word| word.starts_with("--"));
        let refused = options.map(|word| name(&word)).find(|name| !ALLOWED.contains(&&**name));
        refused.map_or(Ok(()), |name| Err(format!("{name}: the scenario's file says that")))
    }

    fn place(&self) -> Result<Topology, String> {
        let latency = self.latency;
        let chosen = latency != SiteLatency::default();
        if chosen && self.topology.is_none() && self.scenario != "datacenter" {
            return Err(format!(
                "--latency: {} has no choice of latencies; leave it out",
                self.scenario
            ));
        }
        let (hosts, seed) = (self.hosts, self.seed.unwrap_or(1));
        let built = match (&self.topology, &*self.scenario) {
            (Some(path), _) => Topology::load(path, &Shape { hosts, seed, latency }),
            (None, "lan") => Topology::lan(hosts.unwrap_or(100)),
            (None, "synthetic") => {
                Topology::synthetic_of(hosts.unwrap_or(Topology::SYNTHETIC_HOSTS))
            }
            (None, "datacenter") => Topology::data_center(hosts, latency),
            (None, "internet") => Topology::internet(hosts, seed),
            (None, "router-stacks") => Topology::router_stacks(hosts, seed),
            (None, other) => {
                return Err(format!(
                    "no scenario is called {other:?}; there are lan, synthetic, datacenter, \
                     internet and router-stacks, or give --topology PATH"
                ));
            }
        };
        built.map_err(|error| error.to_string())
    }

    /// The command that plays the same run again.
    pub(crate) fn replay(&self, seed: u64) -> String {
        let words = words_without(&[]);
        let seed = if self.seed.is_some() { String::new() } else { format!(" --seed {seed}") };
        format!("quilt-sim {words}{seed}")
    }
}
