//! A scenario in a file.

use super::Script;
use super::check::{LONGEST_S, MAX_CPU_NS, check_range, check_size};
use crate::population::{Digest, ORIGINAL_TRAVEL, Sync, System};
use crate::run::Spec;
use crate::topology::{Shape, SiteLatency, Topology};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer, de};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A scenario as its file has it (JSON).
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is called.
    pub scenario: String,
    /// Where it takes place; `"synthetic"` is the paper's, with 20 hosts.
    #[serde(deserialize_with = "place")]
    pub topology: Place,
    /// Latency between data centres, of `datacenter` or a platform's file: paper (by default) or
    /// derived.
    #[serde(default)]
    pub latency: Option<SiteLatency>,
    /// What is run: quilt (by default), omni or donet.
    #[serde(default = "quilt", deserialize_with = "system", serialize_with = "named")]
    pub system: System,
    /// All that is random follows from it. Default 1.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Representatives of a region. Default 3.
    #[serde(default)]
    pub k: Option<u8>,
    /// Children of a host in a tree. Default 6 on the Internet and for omni and donet, else 8.
    #[serde(default)]
    pub degree: Option<u8>,
    /// How representatives see to it that a message crosses a region's edge once: ranked (by
    /// default), two-phase or off.
    #[serde(default)]
    pub sync: Option<Sync>,
    /// How they know what has come before: exact (by default) or bloom.
    #[serde(default)]
    pub digest: Option<Digest>,
    /// Whether DONet pushes fresh fragments (by default), or only pulls, in cycles of a second.
    #[serde(default)]
    pub push: Option<bool>,
    /// Routers that a host knows of its way to the core. Default 4.
    #[serde(default)]
    pub hops: Option<u8>,
    /// Hosts are told nothing of their surroundings, and sense them with packets of their own. Default
    /// false.
    #[serde(default)]
    pub sense: bool,
    /// The share of packets that is lost throughout. Default none.
    #[serde(default, deserialize_with = "share")]
    pub loss: f64,
    /// Nanoseconds that a packet costs its receiver's processor, at most 10 s. Default none.
    #[serde(default)]
    pub cpu_ns: u64,
    /// The largest packet that every way takes, in bytes, IP header included: 576 to 65,535.
    /// Default 1,500.
    #[serde(default)]
    pub mtu: Option<u16>,
    /// What happens.
    #[serde(default)]
    pub script: Script,
}

/// Where a scenario takes place.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// One switch with so many hosts.
    Lan(usize),
    /// The topology of Figure 7, with so many hosts; the paper's has 20.
    Synthetic(usize),
    /// Data centres, with so many hosts.
    Datacenter(usize),
    /// The Internet, with so many hosts.
    Internet(usize),
    /// The hosts of 18 ASes and their routers, so many of them.
    RouterStacks(usize),
    /// A file, by its path from the scenario's.
    File(PathBuf),
}

impl Place {
    /// The place itself; a file's path counts from `folder`.
    fn build(
        &self,
        folder: &Path,
        seed: u64,
        latency: Option<SiteLatency>,
    ) -> Result<Topology, String> {
        let may_choose = match self {
            Self::File(path) => path.extension().is_some_and(|end| end == "json"),
            _ => matches!(self, Self::Datacenter(_)),
        };
        if latency.is_some() && !may_choose {
            return Err("latency: only data centres have a choice of it; leave it out".into());
        }
        let latency = latency.unwrap_or_default();
        let built = match self {
            Self::Lan(hosts) => Topology::lan(*hosts),
            Self::Synthetic(hosts) => Topology::synthetic_of(*hosts),
            Self::Datacenter(hosts) => Topology::data_center(Some(*hosts), latency),
            Self::Internet(hosts) => Topology::internet(Some(*hosts), seed),
            Self::RouterStacks(hosts) => Topology::router_stacks(Some(*hosts), seed),
            Self::File(path) => {
                Topology::load(&folder.join(path), &Shape { hosts: None, seed, latency })
            }
        };
        built.map_err(|error| error.to_string())
    }
}

/// Why a scenario cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is no scenario; the reason ends with its line and column.
    #[error("{}, line {}: {error}", path.display(), error.line())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Why.
        error: serde_json::Error,
    },
    /// What the file asks for cannot be.
    #[error("{}: {reason}", path.display())]
    Impossible {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Scenario {
    /// Reads a scenario, and what is to be run for it; `seed` is used rather than the file's.
    ///
    /// # Errors
    /// The file, or the topology that it names, cannot be read or makes no sense; with file, reason,
    /// and line where there is one.
    pub fn load(path: &Path, seed: Option<u64>) -> Result<Spec, ScenarioError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ScenarioError::Unreadable { path: path.into(), error })?;
        let scenario: Self = serde_json::from_str(&text)
            .map_err(|error| ScenarioError::Malformed { path: path.into(), error })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let impossible = |reason| ScenarioError::Impossible { path: path.into(), reason };
        scenario.spec(folder, seed).map_err(impossible)
    }

    /// What is to be run; paths count from `folder`, and `seed` is used rather than its own.
    ///
    /// # Errors
    /// What it asks for cannot be; why.
    pub fn spec(self, folder: &Path, seed: Option<u64>) -> Result<Spec, String> {
        for (key, given, range) in
            [("k", self.k, 1..=8), ("degree", self.degree, 1..=64), ("hops", self.hops, 1..=6)]
        {
            given.map_or(Ok(()), |value| check_range(key, value, &range))?;
        }
        self.mtu.map_or(Ok(()), |bytes| check_range("mtu", bytes, &(576..=u16::MAX)))?;
        check_range("cpu_ns", self.cpu_ns, &(0..=MAX_CPU_NS))?;
        let seed = seed.or(self.seed).unwrap_or(1);
        let topology = self.topology.build(folder, seed, self.latency)?;
        self.script.check(&topology, seed)?;
        let mut spec = Spec::new(&self.scenario, topology, self.system);
        self.script.check_times(spec.duration)?;
        spec.seed = seed;
        spec.loss = self.loss;
        spec.cpu = Duration::from_nanos(self.cpu_ns);
        spec.mtu = self.mtu.map_or(spec.mtu, Into::into);
        spec.population.representatives = self.k.unwrap_or(spec.population.representatives);
        spec.population.degree = self.degree.unwrap_or(spec.population.degree);
        spec.population.sync = self.sync.map_or(spec.population.sync, Into::into);
        spec.population.digest = self.digest.map_or(spec.population.digest, Into::into);
        spec.population.hops = self.hops.map_or(spec.population.hops, Into::into);
        spec.population.senses = self.sense;
        if self.push == Some(false) {
            spec.population.travel = ORIGINAL_TRAVEL;
        }
        spec.script = self.script;
        check_size(&spec)?;
        Ok(spec)
    }
}

/// A place, or the name of the one that needs no number.
fn place<'de, D: Deserializer<'de>>(from: D) -> Result<Place, D::Error> {
    struct Either;

    impl<'de> de::Visitor<'de> for Either {
        type Value = Place;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("\"synthetic\" or an object, as in {\"lan\": 20}")
        }

        fn visit_str<E: de::Error>(self, name: &str) -> Result<Place, E> {
            let synthetic =
                (name == "synthetic").then_some(Place::Synthetic(Topology::SYNTHETIC_HOSTS));
            synthetic.ok_or_else(|| E::invalid_value(de::Unexpected::Str(name), &self))
        }

        fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Place, A::Error> {
            Place::deserialize(de::value::MapAccessDeserializer::new(map))
        }
    }

    from.deserialize_any(Either)
}

fn quilt() -> System {
    System::Quilt
}

fn system<'de, D: Deserializer<'de>>(from: D) -> Result<System, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

fn named<S: Serializer>(system: &System, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(system)
}

/// A number within bounds.
fn within<'de, D: Deserializer<'de>>(from: D, low: f64, high: f64) -> Result<f64, D::Error> {
    let number = f64::deserialize(from)?;
    if (low..=high).contains(&number) {
        return Ok(number);
    }
    let expected: &dyn de::Expected = &&*format!("{low} to {high}");
    Err(D::Error::invalid_value(de::Unexpected::Float(number), expected))
}

pub(super) fn share<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    within(from, 0.0, 1.0)
}

pub(super) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    within(from, -5.0, LONGEST_S)
}

pub(super) fn span<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    within(from, 0.0, LONGEST_S)
}

pub(super) fn rate<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    within(from, 0.001, 1e6)
}

pub(super) fn size<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    within(from, 8.0, 16e6).map(|size| size as usize)
}
