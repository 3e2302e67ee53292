//! The paper's SYNTHETIC network (section 5.1, Figure 7) for real: four domains of five hosts. The
//! gateways of 2, 3 and 4 are NATs, domain 3 blocks incoming UDP, 2 and 4 have IP multicast. Nothing
//! of it is told the hosts.

use crate::program::{Folder, Quilt, holds, noise, start};
use crate::{Told, trial, ways};
use libtest_mimic::Trial;
use quilt_hosts::{Conditions, Firewall, Multicast, Nat, Node, Relay, Switch};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// What the simulator has of it, so that both are of one network.
const DOMAINS: &str = include_str!("../../../sim/data/synthetic/four_domains.json");
const SERVICE: &str = "10.1.0.100";
/// How long hosts may take to find their places.
const SETTLING: Duration = Duration::from_secs(8);
const LOOK: Duration = Duration::from_millis(50);
const FILE_BYTES: usize = 1_000_000;

pub(crate) fn trials() -> Vec<Trial> {
    let table = |(name, private)| trial(name, move || table_three(private));
    let trials = [
        ("figure_seven::all hosts of four domains get what anybody publishes", Private::Different),
        ("figure_seven::they do with the same private addresses", Private::Same),
    ];
    trials.map(table).into()
}

#[derive(Deserialize)]
struct Figure {
    oneway_ms_between_domains: BTreeMap<String, f64>,
    domains: Vec<Domain>,
    published_outcome_k1: Vec<Row>,
}

#[derive(Deserialize)]
struct Domain {
    id: u8,
    hosts: Vec<u8>,
    gateway_nat: bool,
    blocks_incoming_udp: bool,
    gateway_ipmc: bool,
}

/// A row of Table 3.
#[derive(Deserialize)]
struct Row {
    domain: u8,
    hosts: Vec<u8>,
    protocols: Vec<String>,
    method: String,
}

impl Figure {
    fn read() -> Self {
        serde_json::from_str(DOMAINS).unwrap()
    }

    /// What the hosts of a domain run in Table 3.
    fn runs(&self, domain: u8) -> Vec<String> {
        let rows = self.published_outcome_k1.iter().filter(|row| row.domain == domain);
        sorted(rows.flat_map(|row| row.hosts.iter().map(|_| row.protocols.join(", "))))
    }
}

fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<_> = texts.collect();
    texts.sort();
    texts
}

impl Domain {
    /// The hosts' addresses without their last number. They are public without a NAT; behind NATs
    /// nobody sees to it that they differ.
    fn net(&self, private: Private) -> String {
        match (self.gateway_nat, private) {
            (false, _) => format!("10.{}.0", self.id),
            (true, Private::Different) => format!("192.168.{}", self.id),
            (true, Private::Same) => "192.168.0".into(),
        }
    }

    /// The address of the gateway on the outside.
    fn outer(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, self.id)
    }

    /// What its gateway does: the paper names no kind of NAT; the simulator has this one.
    fn gateway(&self) -> Node {
        let gateway = Node::router(&format!("gateway{}", self.id));
        gateway.ip(&format!("address add {}/32 dev lo", self.outer()));
        if self.gateway_nat {
            gateway.nft(&Nat::PortRestrictedCone.rules("wan", self.outer()));
        }
        if self.blocks_incoming_udp {
            gateway.nft(&Firewall::NoIncomingUdp.rules("wan"));
        }
        gateway
    }
}

/// The private addresses of several domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Private {
    Different,
    Same,
}

struct World {
    /// By number.
    hosts: BTreeMap<u8, Node>,
    /// In domain 1, with the source beside it.
    service: Node,
    _gateways: Vec<Node>,
    _switches: Vec<Switch>,
    _lines: Vec<Relay>,
}

impl World {
    fn new(figure: &Figure, private: Private) -> Self {
        let (mut hosts, mut switches, mut gateways) = (BTreeMap::new(), Vec::new(), Vec::new());
        let service = Node::new("service");
        for domain in &figure.domains {
            let net = domain.net(private);
            let gateway = domain.gateway();
            let multicast =
                if domain.gateway_ipmc { Multicast::Snooped } else { Multicast::Dropped };
            let switch = Switch::new(&format!("lan{}", domain.id), multicast);
            switch.plug(&gateway, "lan0", &format!("{net}.254/24"));
            let plug = |node: &Node, last: usize| {
                switch.plug(node, "eth0", &format!("{net}.{last}/24"));
                node.ip(&format!("route add default via {net}.254"));
            };
            for (&number, last) in domain.hosts.iter().zip(1..) {
                let host = Node::new(&format!("host{number}"));
                plug(&host, last);
                hosts.insert(number, host);
            }
            if !domain.gateway_nat {
                plug(&service, 100);
            }
            gateways.push(gateway);
            switches.push(switch);
        }
        let lines = lines(figure, &gateways);
        Self { hosts, service, _gateways: gateways, _switches: switches, _lines: lines }
    }
}

/// A line between each two gateways, as long as the figure has it.
fn lines(figure: &Figure, gateways: &[Node]) -> Vec<Relay> {
    let at = |id: u8| figure.domains.iter().position(|domain| domain.id == id).unwrap();
    let line = |(pair, &ms): (&String, &f64)| {
        let (one, other) = pair.split_once('-').unwrap();
        let [one, other] = [one, other].map(|id| at(id.parse().unwrap()));
        let ends = [(one, other), (other, one)];
        let names = ends.map(|(_, to)| format!("wan{}", figure.domains[to].id));
        let conditions =
            Conditions { delay: Duration::from_secs_f64(ms / 1e3), ..Conditions::default() };
        let relay = Relay::between(
            (&gateways[one], &names[0]),
            (&gateways[other], &names[1]),
            conditions,
            1,
        );
        for ((from, to), interface) in ends.into_iter().zip(&names) {
            let [from_domain, to_domain] = [from, to].map(|index| &figure.domains[index]);
            let (here, there) = (from_domain.outer(), to_domain.outer());
            gateways[from].ip(&format!(
                "address add {here} peer {there} dev {interface}\n\
                 route replace {there} dev {interface} src {here}"
            ));
            if !to_domain.gateway_nat {
                let net = to_domain.net(Private::Different);
                gateways[from].ip(&format!("route add {net}.0/24 via {there} dev {interface}"));
            }
        }
        relay
    };
    figure.oneway_ms_between_domains.iter().map(line).collect()
}

/// Who is in the group.
struct Group {
    world: World,
    folder: Folder,
    url: String,
    _service: Quilt,
    receivers: BTreeMap<u8, Quilt>,
}

impl Group {
    /// The hosts join in the order of their numbers, as in the paper.
    fn new(figure: &Figure, private: Private) -> Self {
        let (world, folder) = (World::new(figure, private), Folder::new());
        let policy = folder.file("policy", b"representatives 1..1\n");
        let listen = format!("{SERVICE}:7400");
        let args = ["bootstrap", "--json", "--listen", &listen, "--policy", &policy];
        let mut service = start(&world.service, &args);
        service.wait_for("listening");
        let url = format!("quilt://{listen}/news");
        let mut receivers = BTreeMap::new();
        for domain in &figure.domains {
            for &number in &domain.hosts {
                let node = &world.hosts[&number];
                ways::count(node);
                let output = folder.path(&number.to_string());
                let args = ["join", "--json", &url, "--stay", "--output"];
                let mut receiver = start(node, &[&args[..], &[&output]].concat());
                receiver.wait_for("joined");
                receivers.insert(number, receiver);
            }
        }
        Self { world, folder, url, _service: service, receivers }
    }

    fn send(&self, from: &Node, bytes: &[u8]) {
        let input = self.folder.file("input", bytes);
        let sent = start(from, &["send", "--json", &self.url, "--input", &input]).end();
        assert!(sent.status.success(), "{}", sent.stderr);
    }

    /// Waits until as many hosts of each domain run what Table 3 has, whichever they are; how long.
    fn settle(&mut self, figure: &Figure) -> Option<Duration> {
        let started = Instant::now();
        while started.elapsed() < SETTLING {
            let settled = figure.domains.iter().all(|domain| {
                let runs = domain.hosts.iter().map(|&host| self.runs(host).0);
                sorted(runs) == figure.runs(domain.id)
            });
            if settled {
                return Some(started.elapsed());
            }
            std::thread::sleep(LOOK);
        }
        None
    }

    /// Waits until a host has it all; in which time it came, in seconds.
    fn receive(&mut self, host: u8, bytes: &[u8]) -> f64 {
        let complete = self.receivers.get_mut(&host).unwrap().wait_for("complete");
        assert!(holds(&self.folder.path(&host.to_string()), bytes), "host {host}");
        complete["seconds"].as_f64().unwrap()
    }

    /// What a host runs, as the paper writes it, and in which patch.
    fn runs(&mut self, host: u8) -> (String, String) {
        let place = self.receivers.get_mut(&host).unwrap().place();
        let regional = match place["protocol"].as_str().unwrap() {
            "ipmc" => "IPMC",
            "donet" => "DONet",
            other => other,
        };
        let wide = if place["role"] == "representative" { ", OMNI" } else { "" };
        (format!("{regional}{wide}"), place["patch"].as_str().unwrap().to_owned())
    }
}

/// Which hosts share a patch depends on who senses what first, so that is only printed. What must
/// hold is that everybody has it all, and nobody relies on what its gateway does not let through.
fn table_three(private: Private) {
    let figure = Figure::read();
    let mut group = Group::new(&figure, private);
    let settled = group.settle(&figure);
    let bytes = noise(FILE_BYTES, 7);
    group.send(&group.world.service, &bytes);

    let mut told = Told::new(&format!("Table 3, private addresses {private:?}:"));
    told.line("domain host  patch     runs          by            seconds  in the paper");
    let mut wrong = Vec::new();
    for row in &figure.published_outcome_k1 {
        let domain = figure.domains.iter().find(|domain| domain.id == row.domain).unwrap();
        let paper = format!("{} by {}", row.protocols.join(", "), row.method);
        for host in &row.hosts {
            let seconds = group.receive(*host, &bytes);
            let ((runs, patch), way) = (group.runs(*host), ways::most(&group.world.hosts[host]));
            let said = if paper == format!("{runs} by {way}") { "the same" } else { &paper };
            let from = row.domain;
            told.line(&format!(
                "{from:>6} {host:>4}  {patch}  {runs:12}  {way:12}  {seconds:7.2}  {said}"
            ));
            let no_multicast = !domain.gateway_ipmc && (runs.contains("IPMC") || way == "IPMC");
            if no_multicast || (domain.blocks_incoming_udp && way != "TCP") {
                wrong.push(format!("host {host} runs {runs} by {way}"));
            }
        }
    }
    let after = settled.map_or("not settled".into(), |after| format!("settled after {after:.2?}"));
    told.line(&format!("{after} when the source began"));
    assert!(wrong.is_empty(), "there is no such thing: {wrong:?}");

    // Whoever is behind a NAT can publish as well.
    for domain in &figure.domains[1..] {
        let bytes = noise(FILE_BYTES, 7 + u64::from(domain.id));
        group.send(&group.world.hosts[&domain.hosts[0]], &bytes);
        let hosts = figure.domains.iter().flat_map(|domain| &domain.hosts);
        let slowest = hosts.map(|host| group.receive(*host, &bytes)).fold(0.0, f64::max);
        told.line(&format!("from domain {}, the last one after {slowest:.2} s", domain.id));
    }
}
