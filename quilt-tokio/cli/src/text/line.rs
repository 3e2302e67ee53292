//! One thing that happened: a line for people, an object for machines.

use crate::latency::Latencies;
use quilt_tokio::proto::{Counter, Trouble};
use quilt_tokio::{Counters, Node, Notice, Place, Url};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// One thing that happened. As JSON it has the field `event`, the name in lower case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Line {
    /// The bootstrap service is up.
    Listening { address: SocketAddr, groups: Vec<String> },
    /// The bootstrap service formed a patch.
    PatchFormed { group: String, patch: String, protocol: String, inter_patch: bool },
    /// The number of a patch's members changed.
    Members { group: String, patch: String, members: usize },
    /// Others represent a patch.
    Represented { group: String, patch: String, representatives: Vec<String> },
    /// Nobody is in a patch any more.
    PatchGone { group: String, patch: String },
    /// The host is in the group.
    Joined {
        url: String,
        host: String,
        address: SocketAddr,
        delivery: String,
        #[serde(flatten)]
        standing: Standing,
    },
    /// The host's place changed.
    PatchChanged {
        #[serde(flatten)]
        standing: Standing,
        why: String,
    },
    /// Something does not work as it should.
    Degraded { trouble: String, cure: String },
    /// It works again.
    Recovered { trouble: String },
    /// A neighbour does not keep up.
    SlowPeer { host: String },
    /// Messages are given up.
    Gap { source: String, from: u64, to: u64, why: String },
    /// A source started anew.
    SourceReset { source: String },
    /// Something was published that is not of a transfer.
    Foreign { source: String, bytes: u64 },
    /// Of a transfer the beginning was missed, or there is no place for it.
    Skipped { source: String, why: String, cure: String },
    /// A transfer begins.
    Started { source: String, name: String, length: Option<u64> },
    /// So much of it is here.
    Progress { source: String, bytes: u64, length: Option<u64> },
    /// It is here, and its digest is right.
    Complete {
        source: String,
        name: String,
        bytes: u64,
        seconds: f64,
        digest: String,
        output: Option<PathBuf>,
        duplicates_percent: f64,
        latency_ms: Milliseconds,
        /// Counts of times in buckets, from which percentiles over several hosts follow.
        latencies: Latencies,
    },
    /// It will not be whole.
    Incomplete { source: String, name: String, bytes: u64, why: String },
    /// A file was published to its end.
    Sent { url: String, bytes: u64, seconds: f64, digest: String },
    /// The group is drawn, with so many links of known round-trip time.
    Drawn { file: PathBuf, patches: usize, representatives: usize, links: usize },
    /// The host left the group.
    Left { url: String, counters: BTreeMap<String, u64> },
    /// The bootstrap service ends.
    Stopped { address: SocketAddr, counters: BTreeMap<String, u64> },
}

/// Where a host stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) patch: String,
    pub(crate) protocol: String,
    pub(crate) role: String,
}

impl From<&Place> for Standing {
    fn from(place: &Place) -> Self {
        Self {
            patch: place.patch.to_string(),
            protocol: place.protocol.to_string(),
            role: place.role.to_string(),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in patch {}, {}", self.role, self.patch, self.protocol)
    }
}

/// Percentiles of a time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Milliseconds {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl From<&Latencies> for Milliseconds {
    fn from(latencies: &Latencies) -> Self {
        Self { p50: latencies.percentile_ms(50), p99: latencies.percentile_ms(99) }
    }
}

impl Line {
    pub(crate) fn joined(url: &Url, node: &Node) -> Self {
        let unknown = Standing { patch: "?".into(), protocol: "?".into(), role: "?".into() };
        Self::Joined {
            url: url.to_string(),
            host: node.host().to_string(),
            address: node.local_addr(),
            delivery: node.place().map_or_else(String::new, |place| place.delivery.to_string()),
            standing: node.place().map_or(unknown, |place| (&place).into()),
        }
    }

    /// The line of a notice; `None` for those that each command treats in its own way.
    pub(crate) fn of(notice: &Notice) -> Option<Self> {
        Some(match notice {
            Notice::PatchChanged { place, why } => {
                Self::PatchChanged { standing: place.into(), why: why.to_string() }
            }
            Notice::Degraded(trouble) => {
                Self::Degraded { trouble: trouble.to_string(), cure: trouble_cure(trouble) }
            }
            Notice::Recovered(trouble) => Self::Recovered { trouble: trouble.to_string() },
            Notice::SlowPeer { host } => Self::SlowPeer { host: host.to_string() },
            Notice::Gap { source, from, to, cause } => Self::Gap {
                source: source.to_string(),
                from: from.0,
                to: to.0,
                why: cause.to_string(),
            },
            Notice::SourceReset { host, .. } => Self::SourceReset { source: host.to_string() },
            _ => return None,
        })
    }

    pub(crate) fn left(url: impl fmt::Display, counters: &Counters) -> Self {
        Self::Left { url: url.to_string(), counters: named(counters) }
    }

    pub(crate) fn stopped(address: SocketAddr, counters: &Counters) -> Self {
        Self::Stopped { address, counters: named(counters) }
    }
}

/// The counters that are not zero, by name.
fn named(counters: &Counters) -> BTreeMap<String, u64> {
    let counted = counters.iter().filter(|&(_, value)| value > 0);
    counted.map(|(counter, value)| (counter.name().to_owned(), value)).collect()
}

fn write_counters(f: &mut fmt::Formatter<'_>, counters: &BTreeMap<String, u64>) -> fmt::Result {
    counters.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
}

fn trouble_cure(trouble: &Trouble) -> String {
    match trouble {
        Trouble::BootstrapSilent { at } => {
            format!("start it again with: quilt bootstrap --listen {at}")
        }
        Trouble::ProtocolUnusable { .. } => {
            "the next protocol takes over; another interface can be tried with --bind NAME".into()
        }
        Trouble::ForeignVersion { .. } => "see: quilt --version".into(),
        Trouble::UnknownProtocol { protocol } => {
            format!("forbid {protocol} in the policy, or upgrade this program")
        }
        _ => "nothing to do".into(),
    }
}

/// The share of payload bytes that came more than once, in per cent of those that were new.
pub(crate) fn duplicates_percent(counters: &Counters) -> f64 {
    let duplicates = counters
        .get(Counter::PayloadBytesUnsolicited)
        .saturating_add(counters.get(Counter::PayloadBytesRepaired));
    match counters.get(Counter::PayloadBytesFirst) {
        0 => 0.0,
        first => 100.0 * duplicates as f64 / first as f64,
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use super::{bytes as human, count};
        match self {
            Self::Listening { address, groups } => {
                let group = groups.first().map_or("GROUP", String::as_str);
                write!(
                    f,
                    "bootstrap service listens on {address}; in another terminal: quilt join \
                     quilt://{address}/{group}"
                )
            }
            Self::PatchFormed { .. }
            | Self::Members { .. }
            | Self::Represented { .. }
            | Self::PatchGone { .. } => self.patch(f),
            Self::Joined { url, host, standing, .. } => write!(
                f,
                "joined as {host}: {standing}; in another terminal: quilt send {url} < FILE"
            ),
            Self::PatchChanged { standing, why } => write!(f, "now {standing}: {why}"),
            Self::Degraded { trouble, cure } => write!(f, "degraded: {trouble}; {cure}"),
            Self::Recovered { trouble } => write!(f, "works again: {trouble}"),
            Self::SlowPeer { host } => {
                write!(f, "{host} is slow; what it misses is repaired later")
            }
            Self::Gap { source, from, to, why } => {
                write!(f, "messages {from} to {to} of {source} are lost: {why}")
            }
            Self::SourceReset { source } => write!(f, "{source} started anew"),
            Self::Foreign { source, bytes } => {
                write!(
                    f,
                    "{} from {source} are of no transfer; send with: quilt send",
                    human(*bytes)
                )
            }
            Self::Skipped { source, why, cure } => {
                write!(f, "skipping the transfer of {source}: {why}; {cure}")
            }
            Self::Started { source, name, length } => match length {
                Some(length) => write!(f, "receiving {name} of {source}, {}", human(*length)),
                None => write!(f, "receiving {name} of {source}"),
            },
            Self::Progress { source, bytes, .. } => write!(f, "{} of {source}", human(*bytes)),
            Self::Complete { .. } => self.complete(f),
            Self::Incomplete { source, name, bytes, why } => write!(
                f,
                "{name} of {source} is broken after {}: {why}; send it again with: quilt send",
                human(*bytes)
            ),
            Self::Sent { url, bytes, seconds, digest } => write!(
                f,
                "sent {} in {seconds:.2} s ({}/s), sha256 {digest}; receivers that come later \
                 need: quilt send {url} < FILE",
                human(*bytes),
                human((*bytes as f64 / seconds.max(1e-9)) as u64)
            ),
            Self::Drawn { file, patches, representatives, .. } => write!(
                f,
                "the patchwork is drawn, {} and {}; look at it: {}",
                count(*patches, "patch", "patches"),
                count(*representatives, "representative", "representatives"),
                file.display()
            ),
            Self::Left { url, counters } => {
                f.write_str("left; counted:")?;
                write_counters(f, counters)?;
                write!(f, "; join again with: quilt join {url}")
            }
            Self::Stopped { address, counters } => {
                f.write_str("stopped; counted:")?;
                write_counters(f, counters)?;
                write!(
                    f,
                    "; running groups go on, start again with: quilt bootstrap --listen {address}"
                )
            }
        }
    }
}

impl Line {
    /// What the bootstrap service says of patches.
    fn patch(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PatchFormed { group, patch, protocol, inter_patch: true } => {
                write!(f, "{group}: patch {patch}, {protocol}, sews the others together")
            }
            Self::PatchFormed { group, patch, protocol, .. } => {
                write!(f, "{group}: patch {patch} is formed, {protocol}")
            }
            Self::Members { group, patch, members } => {
                let members = super::count(*members, "member", "members");
                write!(f, "{group}: patch {patch} has {members}")
            }
            Self::Represented { group, patch, representatives } => {
                write!(f, "{group}: patch {patch} is represented by ")?;
                match &representatives[..] {
                    [] => f.write_str("nobody"),
                    some => f.write_str(&some.join(", ")),
                }
            }
            Self::PatchGone { group, patch } => write!(f, "{group}: patch {patch} is gone"),
            _ => Ok(()),
        }
    }

    fn complete(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Complete {
            name,
            bytes,
            seconds,
            digest,
            output,
            duplicates_percent,
            latency_ms,
            ..
        } = self
        else {
            return Ok(());
        };
        write!(
            f,
            "{name} is whole: {} in {seconds:.2} s, duplicates {duplicates_percent:.1} %, latency \
             p50 {:.1} ms p99 {:.1} ms, sha256 {digest}",
            super::bytes(*bytes),
            latency_ms.p50,
            latency_ms.p99
        )?;
        match output {
            Some(output) => write!(f, "; check it with: sha256sum {}", output.display()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_from_its_json() {
        let standing =
            Standing { patch: "01".into(), protocol: "ipmc".into(), role: "member".into() };
        for line in [
            Line::Listening { address: ([127, 0, 0, 1], 1).into(), groups: vec![] },
            Line::Joined {
                url: "u".into(),
                host: "h".into(),
                address: ([127, 0, 0, 1], 2).into(),
                delivery: "reliable".into(),
                standing,
            },
            Line::Progress { source: "s".into(), bytes: 7, length: None },
            complete(),
            Line::Left { url: "u".into(), counters: BTreeMap::from([("packets_sent".into(), 1)]) },
        ] {
            assert_eq!(
                serde_json::from_str::<Line>(&serde_json::to_string(&line).unwrap()).unwrap(),
                line
            );
        }
    }

    #[test]
    fn one_of_a_thing_is_told_in_the_singular() {
        let members = |members| Line::Members { group: "g".into(), patch: "p".into(), members };
        let drawn = |patches, representatives| Line::Drawn {
            file: "f".into(),
            patches,
            representatives,
            links: 0,
        };
        for (line, text) in [
            (members(1), "g: patch p has 1 member"),
            (members(2), "g: patch p has 2 members"),
            (drawn(1, 1), "the patchwork is drawn, 1 patch and 1 representative; look at it: f"),
            (drawn(2, 0), "the patchwork is drawn, 2 patches and 0 representatives; look at it: f"),
        ] {
            assert_eq!(line.to_string(), text);
        }
    }

    fn complete() -> Line {
        let mut latencies = Latencies::default();
        latencies.add(1_000);
        Line::Complete {
            source: "s".into(),
            name: "f".into(),
            bytes: 2_048,
            seconds: 0.5,
            digest: "ab".into(),
            output: Some("f".into()),
            duplicates_percent: 1.0,
            latency_ms: (&latencies).into(),
            latencies,
        }
    }

    #[test]
    fn lines_end_with_what_to_type_next() {
        let listening =
            Line::Listening { address: ([127, 0, 0, 1], 7400).into(), groups: vec!["tea".into()] };
        assert_eq!(
            listening.to_string(),
            "bootstrap service listens on 127.0.0.1:7400; in another terminal: quilt join \
             quilt://127.0.0.1:7400/tea"
        );
        assert_eq!(
            complete().to_string(),
            "f is whole: 2.00 KiB in 0.50 s, duplicates 1.0 %, latency p50 1.0 ms p99 1.0 ms, \
             sha256 ab; check it with: sha256sum f"
        );
    }
}
