//! Table 3: what each host of the synthetic topology runs, and how messages come to it.

use crate::paper::{self, Fact, News, Outcome, Request, Sheet, Watch};
use crate::population::System;
use crate::run::{Run, Spec};
use crate::topology::{Published, Topology};
use crate::traffic::Path;
use quilt_proto::{ProtocolId, Role};
use std::collections::BTreeMap;
use std::time::Duration;

/// The paper lets hosts join in the order of their ids. What comes at the same moment by streams,
/// as behind the firewall of domain 3, is admitted in no order, so each host waits for the last.
const JOIN_GAP: Duration = Duration::from_millis(180);

pub(super) fn make(request: &Request, watch: &mut Watch<'_>) -> Outcome {
    compare(spec(request.seed), watch)
}

fn spec(seed: u64) -> Spec {
    let mut spec = Spec::new("synthetic", Topology::synthetic(), System::Quilt);
    spec.seed = seed;
    spec.population.representatives = 1;
    spec.join_gap = JOIN_GAP;
    spec.duration = Duration::from_millis(100);
    spec
}

/// The table as it comes of a run.
fn compare(spec: Spec, watch: &mut Watch<'_>) -> Outcome {
    let (topology, seed) = (spec.topology.clone(), spec.seed);
    let (run, _) = paper::play(spec, watch);

    let mut sheet = Sheet::new(&[
        "domain",
        "hosts",
        "protocol_paper",
        "protocol_measured",
        "method_paper",
        "method_measured",
        "same",
    ]);
    let mut facts = Vec::new();
    for row in &topology.published {
        for (hosts, seen) in outcomes(&run, row) {
            let names = names(&topology, &hosts);
            let said = Seen { protocols: row.protocols.clone(), method: row.method.clone() };
            let same = if seen == said { "yes" } else { "DIFFERS" };
            let [protocols_said, protocols_seen] =
                [&said, &seen].map(|seen| seen.protocols.join(", "));
            let what = format!("domain {}, hosts {names}: {same}", row.domain);
            if seen != said {
                watch(News::Wrong { seed, what: &what });
            }
            let paper = format!("{protocols_said}; {}", said.method);
            facts.push(Fact::new(&what, &paper, format!("{protocols_seen}; {}", seen.method)));
            let domain = row.domain.to_string();
            let methods = [said.method, seen.method];
            let [method_said, method_seen] = methods;
            let cells = [domain, names, protocols_said, protocols_seen, method_said, method_seen];
            sheet.push(cells.into_iter().chain([same.into()]));
        }
    }
    Outcome {
        name: "table-3".into(),
        title: "Table 3. SYNTHETIC, k = 1: what hosts run, and how the first message comes".into(),
        notes: notes(&run, &topology),
        facts,
        sheet,
        plots: Vec::new(),
    }
}

/// What is in a row of the table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    protocols: Vec<String>,
    method: String,
}

/// What the hosts of a published row did; more than one group if they did not all do the same.
fn outcomes(run: &Run, row: &Published) -> Vec<(Vec<usize>, Seen)> {
    let mut groups: BTreeMap<Seen, Vec<usize>> = BTreeMap::new();
    for &host in &row.hosts {
        groups.entry(seen(run, host)).or_default().push(host);
    }
    let mut groups: Vec<_> = groups.into_iter().map(|(seen, hosts)| (hosts, seen)).collect();
    groups.sort();
    groups
}

fn seen(run: &Run, host: usize) -> Seen {
    let mut protocols = Vec::new();
    if let Some(place) = run.place(host) {
        protocols.push(protocol(place.protocol));
        if place.role == Role::Representative {
            protocols.push(protocol(ProtocolId::OMNI));
        }
    }
    let method = match run.first_message(host).map(|came| came.path) {
        None if host == run.source() => "local source",
        None => "nothing came",
        Some(Path::Stream) => "TCP",
        Some(Path::Multicast) => "IPMC",
        Some(Path::Datagram) => "UDP tunnel",
    };
    Seen { protocols, method: method.into() }
}

/// As the paper writes it.
fn protocol(id: ProtocolId) -> String {
    match id {
        ProtocolId::IPMC => "IPMC".into(),
        ProtocolId::DONET => "DONet".into(),
        ProtocolId::OMNI => "OMNI".into(),
        other => other.to_string(),
    }
}

/// `1`, or `2~5`, as the paper writes it; or the names one by one if some between are not there.
fn names(topology: &Topology, hosts: &[usize]) -> String {
    let name = |host: usize| topology.hosts[host].name.clone();
    match hosts {
        [only] => name(*only),
        [first, .., last] if last - first + 1 == hosts.len() => {
            format!("{}~{}", name(*first), name(*last))
        }
        _ => hosts.iter().map(|&host| name(host)).collect::<Vec<_>>().join(" "),
    }
}

/// From whom the representatives have the message: the paper says it of two (section 5.2).
fn notes(run: &Run, topology: &Topology) -> Vec<String> {
    let represents = |&host: &usize| {
        host != run.source()
            && run.place(host).is_some_and(|place| place.role == Role::Representative)
    };
    let name = |host: usize| topology.hosts[host].name.clone();
    let from = |host: usize| {
        let from = run.first_message(host).and_then(|came| came.from);
        let whom = from.map_or("nobody that can be told".into(), |from| name(from.0));
        format!("Host {} has the message from {whom}.", name(host))
    };
    let represented = (0..topology.hosts.len()).filter(represents).map(from);
    let paper = "The paper: by latency alone 11 and 16 would be below 6, but 11 is below 1.";
    let unreadable = "The paper's method of host 1 cannot be read in the text at hand; \"local \
                      source\" is a guess at it.";
    represented.chain([paper.into(), unreadable.into()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(seed: u64) -> Outcome {
        let request = Request { runs: 1, seed, hosts: None, full: false, command: String::new() };
        make(&request, &mut |news| {
            if let News::Wrong { what, .. } = news {
                panic!("{what}");
            }
        })
    }

    #[test]
    fn all_rows_of_the_synthetic_run_are_the_papers() {
        for seed in 1..=3 {
            let table = table(seed);
            assert!(
                table.notes.contains(&"Host 16 has the message from 6.".into()),
                "{:?}",
                table.notes
            );
            let rows = &table.sheet.rows;
            assert_eq!(rows.len(), 8, "{rows:?}");
            let differing: Vec<_> = rows.iter().filter(|row| row[6] != "yes").collect();
            assert!(differing.is_empty(), "seed {seed}: {differing:?}");
        }
    }

    #[test]
    fn hosts_that_sense_their_surroundings_make_the_same_table() {
        for seed in 1..=3 {
            let mut spec = spec(seed);
            spec.population.senses = true;
            // Hosts sense for up to a second before they join, and the first message comes after 5 s.
            spec.join_gap = Duration::from_millis(100);
            let table = compare(spec, &mut |news| {
                if let News::Wrong { what, .. } = news {
                    panic!("seed {seed}: {what}");
                }
            });
            assert!(table.sheet.rows.iter().all(|row| row[6] == "yes"), "{:?}", table.sheet.rows);
            assert_eq!(table.sheet.rows.len(), 8);
        }
    }

    #[test]
    fn the_table_does_not_only_repeat_what_was_published() {
        let mut spec = Spec::new("synthetic", Topology::synthetic(), System::Omni);
        spec.duration = Duration::from_millis(100);
        let mut wrong = Vec::new();
        let table = compare(spec, &mut |news| {
            if let News::Wrong { what, .. } = news {
                wrong.push(what.to_owned());
            }
        });
        assert_eq!(table.sheet.rows.iter().filter(|row| row[6] == "DIFFERS").count(), wrong.len());
        assert!(wrong.len() >= 8 && wrong[0].starts_with("domain 1, "), "{wrong:?}");
    }
}
