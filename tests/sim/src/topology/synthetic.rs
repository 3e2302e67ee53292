//! Domains behind gateways, as JSON: the paper's SYNTHETIC topology.

use super::distance::{Distances, Inside, Zones};
use super::load::Text;
use super::matrix::Millis;
use super::{
    Dependence, Firewall, Gateway, LatencyOrigin, Nat, Place, Problem, Published, Router, Shape,
    Topology, TopologyError, grow,
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const FOUR_DOMAINS: &str = include_str!("../../data/synthetic/four_domains.json");

/// The paper names no kind of NAT. The usual one of homes: hole punching works through it, as the
/// UDP tunnel to host 16 in Table 3 asks for; nobody comes in uncalled. The timeout is the least
/// that RFC 4787 permits (REQ-5).
const NAT: Nat = Nat {
    mapping: Dependence::EndpointIndependent,
    filtering: Dependence::AddressAndPortDependent,
    timeout: Duration::from_secs(120),
};

pub(super) fn built_in(hosts: Option<usize>) -> Result<Topology, TopologyError> {
    let text = Text::built_in("four_domains.json", FOUR_DOMAINS);
    let topology = read(&text, &Shape { hosts, ..Shape::default() })?;
    Ok(Topology { name: "synthetic".into(), ..topology })
}

#[derive(Deserialize)]
struct Domains {
    name: String,
    oneway_ms_between_domains: BTreeMap<String, Millis>,
    oneway_ms_inside_a_domain: Millis,
    source_host: Option<u32>,
    domains: Vec<Domain>,
    #[serde(default)]
    published_outcome_k1: Vec<Row>,
}

#[derive(Deserialize)]
struct Domain {
    id: u32,
    hosts: Vec<u32>,
    gateway_nat: bool,
    blocks_incoming_udp: bool,
    gateway_ipmc: bool,
}

#[derive(Deserialize)]
struct Row {
    domain: u32,
    hosts: Vec<u32>,
    protocols: Vec<String>,
    method: String,
}

/// A domain is a zone.
pub(super) fn read(text: &Text, shape: &Shape) -> Result<Topology, TopologyError> {
    let mut file: Domains = serde_json::from_str(&text.text)
        .map_err(|error| TopologyError::json(&text.file, &error))?;
    check_names(text, &file)?;
    let have = file.domains.iter().fold(0, |sum: usize, domain| sum + domain.hosts.len());
    let wanted = shape.hosts.unwrap_or(have);
    grow::check_count(&text.file, have)?;
    grow::check_count(&text.file, wanted)?;
    if wanted != have {
        resize(text, &mut file, wanted)?;
    }

    let ids: Vec<u32> = file.domains.iter().flat_map(|domain| domain.hosts.clone()).collect();
    let index = |id: u32, field: &str| {
        let problem = || Problem::Unknown { what: "host", name: id.to_string() };
        let unknown = || text.fault_at_first(&format!("\"{field}\""), problem());
        ids.iter().position(|&other| other == id).ok_or_else(unknown)
    };
    let mut places = Vec::with_capacity(wanted);
    let mut gateways = Vec::new();
    for (region, domain) in file.domains.iter().enumerate() {
        let gateway = gateway(domain).map(|gateway| {
            gateways.push(gateway);
            gateways.len() - 1
        });
        let multicast = domain.gateway_ipmc;
        places.extend(domain.hosts.iter().map(|host| Place {
            name: host.to_string(),
            region: region as u32,
            multicast,
            routers: vec![Router { name: format!("gw-{}", domain.id), multicast }],
            gateway,
            ..Place::default()
        }));
    }
    let published = file.published_outcome_k1.iter().map(|row| {
        Ok(Published {
            domain: row.domain,
            hosts: row
                .hosts
                .iter()
                .map(|&id| index(id, "published_outcome_k1"))
                .collect::<Result<_, _>>()?,
            protocols: row.protocols.clone(),
            method: row.method.clone(),
        })
    });
    let published = published.collect::<Result<_, TopologyError>>()?;
    let source = file.source_host.map(|id| index(id, "source_host")).transpose()?;

    let zone_of = places.iter().map(|place| place.region).collect();
    let inside = Inside::Fixed(vec![file.oneway_ms_inside_a_domain.0; file.domains.len()]);
    let zones = Zones::new(zone_of, between(text, &file)?, inside);
    let topology = Topology::of(&file.name, places, LatencyOrigin::Chosen, Distances::Zones(zones));
    Ok(Topology { gateways, source, published, ..topology })
}

/// Gives the domains as many hosts as are wanted, in the proportions of the file: the first ones
/// stay, and more have the next free numbers. What the paper says of the file's hosts is left out,
/// and so is a source that does not stay.
fn resize(text: &Text, file: &mut Domains, wanted: usize) -> Result<(), TopologyError> {
    let shares: Vec<usize> = file.domains.iter().map(|domain| domain.hosts.len()).collect();
    let taken: BTreeSet<u32> =
        file.domains.iter().flat_map(|domain| domain.hosts.clone()).collect();
    let mut numbers = (1..).filter(|id| !taken.contains(id));
    for (domain, hosts) in file.domains.iter_mut().zip(grow::in_proportion(&shares, wanted)) {
        if hosts == 0 {
            let problem = Problem::EmptyDomain { domain: domain.id, wanted };
            return Err(TopologyError::new(&text.file, problem));
        }
        domain.hosts.truncate(hosts);
        let more = hosts - domain.hosts.len();
        domain.hosts.extend(numbers.by_ref().take(more));
    }
    file.published_outcome_k1.clear();
    let stays = |id: &u32| file.domains.iter().any(|domain| domain.hosts.contains(id));
    file.source_host = file.source_host.filter(stays);
    Ok(())
}

fn gateway(domain: &Domain) -> Option<Gateway> {
    let firewall = Firewall { blocks_udp: domain.blocks_incoming_udp };
    let gateway = Gateway {
        name: format!("gw-{}", domain.id),
        nat: domain.gateway_nat.then_some(NAT),
        firewall: domain.blocks_incoming_udp.then_some(firewall),
        no_udp: false,
    };
    (gateway.nat.is_some() || gateway.firewall.is_some()).then_some(gateway)
}

fn check_names(text: &Text, file: &Domains) -> Result<(), TopologyError> {
    let mut seen = BTreeSet::new();
    for domain in &file.domains {
        let hosts = domain.hosts.iter().map(|&host| ("host", host));
        for (what, id) in std::iter::once(("domain", domain.id)).chain(hosts) {
            if !seen.insert((what, id)) {
                let problem = Problem::Duplicate { what, name: id.to_string() };
                return Err(text.fault_at_last(&format!("\"id\":{}", domain.id), problem));
            }
        }
    }
    Ok(())
}

/// The full matrix; each pair of domains is in the file once, in either order.
fn between(text: &Text, file: &Domains) -> Result<Vec<u32>, TopologyError> {
    let row = |id: &str| file.domains.iter().position(|domain| domain.id.to_string() == id);
    let near = |key: &str, problem| text.fault_at_first(&format!("\"{key}\""), problem);
    let zones = file.domains.len();
    let mut full = vec![None; zones * zones];
    for (key, &Millis(micros)) in &file.oneway_ms_between_domains {
        let pair = key.split_once('-').and_then(|(from, to)| Some((row(from)?, row(to)?)));
        let Some((from, to)) = pair.filter(|(from, to)| from != to) else {
            let problem = Problem::Unknown { what: "pair of domains", name: key.clone() };
            return Err(near(key, problem));
        };
        if full[from * zones + to].is_some() {
            let problem = Problem::Duplicate { what: "pair of domains", name: key.clone() };
            return Err(near(key, problem));
        }
        full[from * zones + to] = Some(micros);
        full[to * zones + from] = Some(micros);
    }
    let cell = |(index, micros): (usize, Option<u32>)| {
        let (from, to) = (index / zones, index % zones);
        let what = || format!("domains {}-{}", file.domains[from].id, file.domains[to].id);
        let hole = || near("oneway_ms_between_domains", Problem::Hole { what: what() });
        if from == to { Ok(0) } else { micros.ok_or_else(hole) }
    };
    full.into_iter().enumerate().map(cell).collect()
}
