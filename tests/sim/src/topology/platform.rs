//! Data-centre platforms: sites of clusters, as JSON.

use super::distance::{Distances, Inside, Zones};
use super::load::Text;
use super::matrix::Millis;
use super::{
    LatencyOrigin, Place, Problem, Router, Shape, SiteLatency, Topology, TopologyError, grow,
};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::num::NonZeroU64;

const GRID5000: &str = include_str!("../../data/grid5000/grid5000_2010-06.json");

/// Servers in the paper's DATA CENTER topology (section 5.1).
const PAPER_HOSTS: usize = 1_531;

/// Of a site's router stack, the switch of the cluster and the site's gateway are inside the site.
const ROUTERS_INSIDE: usize = 2;

pub(super) fn built_in(
    hosts: Option<usize>,
    latency: SiteLatency,
) -> Result<Topology, TopologyError> {
    let text = Text::built_in("grid5000_2010-06.json", GRID5000);
    let hosts = Some(hosts.unwrap_or(PAPER_HOSTS));
    let topology = read(&text, &Shape { hosts, latency, ..Shape::default() })?;
    Ok(Topology { name: "datacenter".into(), ..topology })
}

#[derive(Deserialize)]
struct Platform {
    name: String,
    intra_site_model: IntraSite,
    site_order: Vec<String>,
    site_oneway_ms_derived: Option<Vec<Vec<Millis>>>,
    site_oneway_ms_paper_range: Option<Vec<Vec<Millis>>>,
    sites: Vec<Site>,
}

/// One-way latencies of the links inside a site.
#[derive(Deserialize)]
struct IntraSite {
    host_link_ms: Millis,
    cluster_backbone_ms: Millis,
    cluster_uplink_ms: Millis,
}

impl IntraSite {
    /// Host link, cluster backbone, host link.
    fn in_cluster(&self) -> u32 {
        2 * self.host_link_ms.0 + self.cluster_backbone_ms.0
    }

    /// The same in both clusters but for one host link, and the uplink of each.
    fn between_clusters(&self) -> u32 {
        2 * (self.host_link_ms.0 + self.cluster_backbone_ms.0 + self.cluster_uplink_ms.0)
    }
}

#[derive(Deserialize)]
struct Site {
    id: String,
    ipmc_within_site: bool,
    clusters: Vec<Cluster>,
    router_stack: Vec<String>,
}

#[derive(Deserialize)]
struct Cluster {
    id: String,
    hosts: usize,
    nic_bps: Option<NonZeroU64>,
}

/// A cluster is a zone; its hosts are cut or grown in proportion.
pub(super) fn read(text: &Text, shape: &Shape) -> Result<Topology, TopologyError> {
    let platform: Platform = serde_json::from_str(&text.text)
        .map_err(|error| TopologyError::json(&text.file, &error))?;
    check_names(text, &platform)?;
    let site_rows = site_rows(text, &platform)?;
    let between_sites = site_matrix(text, &platform, shape.latency)?;

    let clusters: Vec<(usize, &Cluster)> = (platform.sites.iter().enumerate())
        .flat_map(|(site, of)| of.clusters.iter().map(move |cluster| (site, cluster)))
        .collect();
    let sizes: Vec<usize> = clusters.iter().map(|(_, cluster)| cluster.hosts).collect();
    let all = sizes.iter().fold(0_usize, |sum, &hosts| sum.saturating_add(hosts));
    grow::check_count(&text.file, all)?;
    let wanted = shape.hosts.unwrap_or(all);
    grow::check_count(&text.file, wanted)?;

    let mut places = Vec::with_capacity(wanted);
    let mut zone_of = Vec::with_capacity(wanted);
    let counts = grow::in_proportion(&sizes, wanted);
    for (zone, (&(site, cluster), count)) in clusters.iter().zip(counts).enumerate() {
        for number in 1..=count {
            places.push(place(&platform.sites[site], site, cluster, number));
            zone_of.push(zone as u32);
        }
    }
    grow::number_regions(&mut places);

    let model = &platform.intra_site_model;
    let latency = |&(from, _): &(usize, &Cluster), &(to, _): &(usize, &Cluster)| match from == to {
        true => model.between_clusters(),
        false => between_sites[site_rows[from]][site_rows[to]].0,
    };
    let between =
        clusters.iter().flat_map(|a| clusters.iter().map(move |b| latency(a, b))).collect();
    let inside = Inside::Fixed(vec![model.in_cluster(); clusters.len()]);
    let distances = Distances::Zones(Zones::new(zone_of, between, inside));
    Ok(Topology::of(&platform.name, places, LatencyOrigin::Derived, distances))
}

fn place(of: &Site, site: usize, cluster: &Cluster, number: usize) -> Place {
    let routers = of.router_stack.iter().enumerate().map(|(hop, name)| Router {
        name: name.replace("<cluster>", &cluster.id),
        multicast: of.ipmc_within_site && hop < ROUTERS_INSIDE,
    });
    Place {
        name: format!("{}-{number}.{}", cluster.id, of.id),
        region: site as u32,
        multicast: of.ipmc_within_site,
        routers: routers.collect(),
        gateway: None,
        up_bps: cluster.nic_bps.map(NonZeroU64::get),
        down_bps: cluster.nic_bps.map(NonZeroU64::get),
    }
}

fn check_names(text: &Text, platform: &Platform) -> Result<(), TopologyError> {
    let mut seen = BTreeSet::new();
    for site in &platform.sites {
        let clusters = site.clusters.iter().map(|cluster| ("cluster", &cluster.id));
        for (what, id) in std::iter::once(("site", &site.id)).chain(clusters) {
            if !seen.insert((what, id)) {
                let problem = Problem::Duplicate { what, name: id.clone() };
                return Err(text.fault_at_last(&format!("\"{id}\""), problem));
            }
        }
    }
    Ok(())
}

/// The row of each site in the matrices.
fn site_rows(text: &Text, platform: &Platform) -> Result<Vec<usize>, TopologyError> {
    let (order, sites) = (&platform.site_order, &platform.sites);
    if order.len() != sites.len() {
        let (have, need, other) = (order.len(), sites.len(), "the list of sites".into());
        return Err(text.fault_at_first("\"site_order\"", Problem::OtherSize { have, need, other }));
    }
    // As many names as sites, and each site found: each name is there once.
    let row = |site: &Site| {
        let unknown = || {
            let problem = Problem::Unknown { what: "row in site_order for", name: site.id.clone() };
            text.fault_at_first("\"site_order\"", problem)
        };
        order.iter().position(|id| *id == site.id).ok_or_else(unknown)
    };
    sites.iter().map(row).collect()
}

fn site_matrix<'a>(
    text: &Text,
    platform: &'a Platform,
    latency: SiteLatency,
) -> Result<&'a [Vec<Millis>], TopologyError> {
    let (field, matrix) = match latency {
        SiteLatency::Paper => ("site_oneway_ms_paper_range", &platform.site_oneway_ms_paper_range),
        SiteLatency::Derived => ("site_oneway_ms_derived", &platform.site_oneway_ms_derived),
    };
    let Some(matrix) = matrix else {
        return Err(text.fault_at_first("\"sites\":[", Problem::Hole { what: field.into() }));
    };
    let need = platform.sites.len();
    if matrix.len() != need {
        let (have, other) = (matrix.len(), "the list of sites".into());
        return Err(text.fault_at_first(field, Problem::OtherSize { have, need, other }));
    }
    for (index, row) in matrix.iter().enumerate() {
        if row.len() != need {
            let problem = Problem::NotSquare { row: index + 1, have: row.len(), need };
            return Err(text.fault_at_first(field, problem));
        }
        if row[index].0 != 0 {
            let problem = Problem::Diagonal { millis: f64::from(row[index].0) / 1_000.0 };
            return Err(text.fault_at_first(field, problem));
        }
    }
    Ok(matrix)
}
