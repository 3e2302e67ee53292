//! What was sensed around an interface: a line for each verdict, with what it rests on.

use super::bytes;
use quilt_tokio::proto::Surroundings;
use quilt_tokio::proto::euid::{
    Barrier, Connectivity, Dependence, Direction, Nat, RouterId, Transport,
};
use quilt_tokio::{RECEIVE_BUFFER_BYTES, Sensed};
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// All verdicts on one interface.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename = "surroundings")]
pub(crate) struct Verdicts {
    interface: String,
    address: IpAddr,
    udp: Verdict,
    tcp: Verdict,
    /// Who answered at each distance, the nearest first; `null` where nobody did.
    routers: Vec<Option<IpAddr>>,
    multicast: Multicast,
    receive_buffer_bytes: usize,
    /// What to do about what is not as it should be.
    advice: Vec<String>,
}

/// How others reach the host by one transport.
#[derive(Debug, Serialize)]
struct Verdict {
    /// `both`, `outbound`, `blocked` or `unknown`.
    reach: &'static str,
    /// `none`, `nat`, `firewall` or `unknown`.
    barrier: &'static str,
    /// Where the service sees its packets come from.
    mapped: Option<SocketAddr>,
    /// On what the NAT's port depends, and whom it lets in: `endpoint-independent`,
    /// `address-dependent`, `address-and-port-dependent` (RFC 4787), or `null` where that is not known.
    mapping: Option<&'static str>,
    filtering: Option<&'static str>,
    evidence: String,
}

/// Whether IP multicast works.
#[derive(Debug, Serialize)]
struct Multicast {
    /// `works`, `unproven` or `impossible`.
    verdict: &'static str,
    /// Hosts that were heard.
    neighbours: usize,
    /// The name of those who hear each other.
    segment: Option<String>,
    evidence: String,
}

impl Verdicts {
    /// The verdicts on an interface, where the service at `service` was asked, if one was.
    pub(crate) fn new(interface: String, service: Option<SocketAddr>, sensed: &Sensed) -> Self {
        let Surroundings { euid, mapped, routers, neighbours, .. } = &sensed.surroundings;
        let of = |transport| euid.connectivity.iter().find(|it| it.transport == transport);
        let (udp, tcp) = (of(Transport::Udp), of(Transport::Tcp));
        let segment = euid.topology.nearest_multicast();
        let mut verdicts = Self {
            interface,
            address: sensed.address.ip(),
            udp: Verdict::of_udp(service, udp, *mapped),
            tcp: Verdict::of_tcp(service, tcp, sensed.address.port()),
            routers: routers.clone(),
            multicast: Multicast::new(*neighbours, segment),
            receive_buffer_bytes: sensed.receive_buffer_bytes,
            advice: Vec::new(),
        };
        verdicts.advise(service.is_some());
        verdicts
    }

    fn advise(&mut self, asked: bool) {
        let mut say = |advice: &str| self.advice.push(advice.into());
        if !asked {
            say(
                "name a group's URL to learn of NATs and firewalls: quilt probe quilt://HOST:PORT/GROUP",
            );
        }
        match (self.udp.reach, self.tcp.reach) {
            ("blocked", _) => say("let UDP pass to the bootstrap service and back"),
            (_, "outbound") => {
                say("let others open TCP connections to this host, or have its NAT hand \
                                    a port on: then it can serve others, not only be served")
            }
            _ => {}
        }
        match self.multicast.verdict {
            "unproven" => {
                say("start another host on this network: one alone cannot tell whether IP \
                               multicast works; if two do not hear each other, let the switch's IGMP \
                               snooping have a querier")
            }
            "impossible" => say("let this program join IP multicast groups on the interface"),
            _ => {}
        }
        if self.receive_buffer_bytes < RECEIVE_BUFFER_BYTES {
            say(&format!("sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}"));
        }
    }
}

impl Verdict {
    fn of_udp(
        service: Option<SocketAddr>,
        option: Option<Connectivity>,
        mapped: Option<SocketAddr>,
    ) -> Self {
        let evidence = match (service, option, mapped) {
            (None, ..) => "no bootstrap service was asked".into(),
            (Some(service), None, _) => format!("{service} answered nothing by UDP"),
            (Some(service), Some(_), Some(mapped)) => format!("{service} sees {mapped}"),
            (Some(service), Some(_), None) => format!("{service} was asked"),
        };
        let mut verdict = Self::new(option, evidence);
        verdict.mapped = mapped;
        if service.is_some() && option.is_none() {
            verdict.reach = "blocked";
        }
        verdict
    }

    fn of_tcp(service: Option<SocketAddr>, option: Option<Connectivity>, port: u16) -> Self {
        let evidence = match (service, option) {
            (None, _) => "no bootstrap service was asked".into(),
            (Some(service), None) => format!("{service} did not answer"),
            (Some(service), Some(it)) if it.direction == Direction::Outbound => {
                format!("{service} opened no stream to port {port}")
            }
            (Some(service), Some(_)) => format!("{service} opened a stream to port {port}"),
        };
        Self::new(option, evidence)
    }

    fn new(option: Option<Connectivity>, evidence: String) -> Self {
        let nat = |nat: Nat| (nat.mapping.map(name), nat.filtering.map(name));
        let (barrier, (mapping, filtering)) = match option.map(|it| it.barrier) {
            Some(Barrier::None) => ("none", (None, None)),
            Some(Barrier::Nat(it)) => ("nat", nat(it)),
            Some(Barrier::Firewall) => ("firewall", (None, None)),
            None => ("unknown", (None, None)),
        };
        let reach = match option.map(|it| it.direction) {
            Some(Direction::Both) => "both",
            Some(Direction::Inbound) => "inbound",
            Some(Direction::Outbound) => "outbound",
            None => "unknown",
        };
        Self { reach, barrier, mapped: None, mapping, filtering, evidence }
    }
}

/// As RFC 4787 calls it.
fn name(dependence: Dependence) -> &'static str {
    match dependence {
        Dependence::EndpointIndependent => "endpoint-independent",
        Dependence::AddressDependent => "address-dependent",
        Dependence::AddressAndPortDependent => "address-and-port-dependent",
    }
}

impl Multicast {
    fn new(neighbours: Option<usize>, segment: Option<RouterId>) -> Self {
        let segment = segment.map(|segment| segment.to_string());
        let (verdict, evidence) = match (neighbours, &segment) {
            (None, _) => ("impossible", "the group address could not be joined".into()),
            (Some(_), Some(_)) => ("works", "another host said that it hears this one".into()),
            (Some(0), None) => ("unproven", "nobody was heard".into()),
            (Some(heard), None) => (
                "unproven",
                format!("{heard} heard, and none of them said that it hears this host"),
            ),
        };
        Self { verdict, neighbours: neighbours.unwrap_or(0), segment, evidence }
    }
}

impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { udp, tcp, multicast, receive_buffer_bytes, .. } = self;
        writeln!(f, "{} {}", self.interface, self.address)?;
        writeln!(f, "  udp        {udp}")?;
        writeln!(f, "  tcp        {tcp}")?;
        let hops = self.routers.iter().map(|it| it.map_or("?".into(), |it| it.to_string()));
        let hops: Vec<String> = hops.collect();
        let answered = self.routers.iter().any(Option::is_some);
        let hops = if answered { hops.join(" > ") } else { "none answered".into() };
        writeln!(f, "  routers    {hops}")?;
        writeln!(f, "  multicast  {}: {}", multicast.verdict, multicast.evidence)?;
        let (granted, asked) =
            (bytes(*receive_buffer_bytes as u64), bytes(RECEIVE_BUFFER_BYTES as u64));
        write!(f, "  buffers    {granted} to receive, of {asked} asked for")?;
        self.advice.iter().try_for_each(|advice| write!(f, "\n  advice     {advice}"))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reach = match self.reach {
            "both" => "can be reached",
            "outbound" => "cannot be reached, reaches others",
            "inbound" => "can be reached, reaches nobody",
            "blocked" => "is blocked",
            _ => "is not known",
        };
        write!(f, "{reach}")?;
        match self.barrier {
            "nat" => {
                let of = |it: Option<&'static str>| it.unwrap_or("not known");
                let (mapping, filtering) = (of(self.mapping), of(self.filtering));
                write!(f, "; behind a NAT")?;
                if self.mapped.is_some() {
                    write!(f, " (mapping {mapping}, filtering {filtering})")?;
                }
            }
            "firewall" => write!(f, "; behind a firewall")?,
            _ => {}
        }
        write!(f, ": {}", self.evidence)
    }
}
