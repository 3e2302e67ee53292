//! Tables of hosts with the routers in front of them, with a latency matrix or without.

use super::distance::{Distances, Stacks};
use super::load::Text;
use super::{
    LatencyOrigin, MAX_HOSTS, Place, Problem, Router, Shape, Topology, TopologyError, grow, matrix,
};
use csv::StringRecord;
use std::collections::{BTreeMap, BTreeSet};

const INTERNET_HOSTS: &str = include_str!("../../data/internet/internet951_hosts.csv");
const INTERNET_MATRIX: &str = include_str!("../../data/internet/internet951_rtt_upper_ms.csv");
const ROUTER_STACKS: &str = include_str!("../../data/routers/router_stacks.csv");

pub(super) fn internet(hosts: Option<usize>, seed: u64) -> Result<Topology, TopologyError> {
    let table = Text::built_in("internet951_hosts.csv", INTERNET_HOSTS);
    let matrix = Text::built_in("internet951_rtt_upper_ms.csv", INTERNET_MATRIX);
    measured("internet", &table, &matrix, &Shape { hosts, seed, ..Shape::default() })
}

pub(super) fn router_stacks(hosts: Option<usize>, seed: u64) -> Result<Topology, TopologyError> {
    let table = Text::built_in("router_stacks.csv", ROUTER_STACKS);
    unmeasured("router-stacks", &table, &Shape { hosts, seed, ..Shape::default() })
}

/// Hosts with measured latency.
pub(super) fn measured(
    name: &str,
    table: &Text,
    latencies: &Text,
    shape: &Shape,
) -> Result<Topology, TopologyError> {
    let places = read(table)?;
    let matrix = matrix::read(latencies)?;
    if matrix.hosts != places.len() {
        let (have, need) = (matrix.hosts, places.len());
        let problem = Problem::OtherSize { have, need, other: table.file.clone() };
        return Err(TopologyError::new(&latencies.file, problem));
    }
    matrix::topology(name, &table.file, &places, matrix, shape)
}

/// Hosts of which only the routers are known.
fn unmeasured(name: &str, table: &Text, shape: &Shape) -> Result<Topology, TopologyError> {
    let places = read(table)?;
    let wanted = shape.hosts.unwrap_or(places.len());
    grow::check_count(&table.file, wanted)?;
    let places = grow::places(&places, &grow::repeat(places.len(), wanted, shape.seed));
    let mut numbers = BTreeMap::new();
    let mut number = |router: &Router| {
        let next = numbers.len() as u32;
        *numbers.entry(router.name.clone()).or_insert(next)
    };
    let mut hops = Vec::with_capacity(places.len());
    for place in &places {
        let mut stack = [Stacks::SILENT; Stacks::HOPS];
        for (slot, router) in stack.iter_mut().zip(&place.routers) {
            if !router.is_silent() {
                *slot = number(router);
            }
        }
        hops.push(stack);
    }
    let region_of = places.iter().map(|place| place.region).collect();
    let distances = Distances::Stacks(Stacks { hops, region_of });
    let topology = Topology::of(name, places, LatencyOrigin::Chosen, distances);
    Ok(Topology { internet: true, ..topology })
}

/// Where the columns are that matter.
struct Columns {
    count: usize,
    host: usize,
    /// What makes a region; every host has its own if there is none.
    region: Vec<usize>,
    /// Hop 1 first.
    hops: Vec<usize>,
}

impl Columns {
    fn of(header: &StringRecord) -> Result<Self, Problem> {
        let find = |name: &str| header.iter().position(|column| column == name);
        let host = find("host").ok_or(Problem::NoColumn { column: "host" })?;
        let hops = (1..).map_while(|hop| find(&format!("hop{hop}"))).collect();
        let region = ["asn", "metro"].into_iter().filter_map(find).collect();
        Ok(Self { count: header.len(), host, region, hops })
    }
}

fn read(text: &Text) -> Result<Vec<Place>, TopologyError> {
    let mut reader = matrix::csv_reader(&text.text);
    let mut record = StringRecord::new();
    if !matrix::next(&mut reader, text, &mut record)? {
        return Err(TopologyError::new(&text.file, Problem::Empty));
    }
    let columns =
        Columns::of(&record).map_err(|problem| TopologyError::at_line(&text.file, 1, problem))?;
    let mut places = Vec::new();
    let mut names = BTreeSet::new();
    let mut regions = BTreeMap::new();
    while matrix::next(&mut reader, text, &mut record)? {
        let line = matrix::line_of(&record, text);
        let fault = |column, problem| Err(TopologyError::at(&text.file, line, column, problem));
        if record.len() != columns.count {
            let problem = Problem::Ragged { have: record.len(), need: columns.count };
            return Err(TopologyError::at_line(&text.file, line, problem));
        }
        let read = [columns.host].into_iter().chain(columns.region.iter().copied());
        let mut read = read.chain(columns.hops.iter().copied());
        if let Some(empty) = read.find(|&column| record[column].is_empty()) {
            return fault(empty, Problem::Hole { what: "this column here".into() });
        }
        let name = record[columns.host].to_owned();
        if !names.insert(name.clone()) {
            return fault(columns.host, Problem::Duplicate { what: "host", name });
        }
        if places.len() == MAX_HOSTS {
            let problem = Problem::TooManyHosts { hosts: places.len() + 1 };
            return Err(TopologyError::at_line(&text.file, line, problem));
        }
        let next = regions.len() as u32;
        let region: Vec<String> =
            columns.region.iter().map(|&column| record[column].to_owned()).collect();
        let region = if region.is_empty() { vec![name.clone()] } else { region };
        let router = |&hop: &usize| Router { name: record[hop].to_owned(), multicast: false };
        places.push(Place {
            name,
            region: *regions.entry(region).or_insert(next),
            routers: columns.hops.iter().map(router).collect(),
            ..Place::default()
        });
    }
    grow::check_count(&text.file, places.len())?;
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn silent_routers_bring_no_hosts_together() {
        let text = "host,asn,hop1,hop2\na,7,r1,*\nb,7,r2,*\nc,7,r3,r1\n";
        let table = Text::built_in("stacks.csv", text);
        let stacks = unmeasured("stacks", &table, &Shape::default()).unwrap();
        assert_eq!(stacks.one_way(0, 1), Duration::from_millis(10));
        // One link from a to r1, and two from there to c.
        assert_eq!(stacks.one_way(0, 2), Duration::from_micros(1_500));
    }
}
