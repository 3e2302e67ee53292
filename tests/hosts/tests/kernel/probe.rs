//! What `quilt probe` says of each place, beside what is there.

use crate::matrix::Place;
use crate::nats::World;
use crate::program::{Quilt, start};
use crate::{Told, trial};
use libtest_mimic::Trial;
use quilt_hosts::{Nat, Node};
use serde_json::Value;

const SERVICE: &str = "10.0.0.1:7400";
/// The service's other address, without which it cannot tell all NATs apart.
const OTHER: &str = "10.0.0.200";

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "probe::each kind of NAT is called what it is, and nothing is promised that fails",
        places,
    )]
}

/// Starts to look around from a host.
fn probe(host: &Node) -> Quilt {
    start(host, &["probe", "--json", &format!("quilt://{SERVICE}/any")])
}

fn verdicts(probe: Quilt) -> Value {
    let end = probe.end();
    assert!(end.status.success(), "{}", end.stderr);
    serde_json::from_str(&end.stdout[0]).unwrap()
}

fn places() {
    let world = World::new();
    world.hosts[0].ip(&format!("address add {OTHER}/24 dev eth0"));
    let other = format!("{OTHER}:7400");
    let args = ["bootstrap", "--json", "--listen", SERVICE, "--other-address", &other];
    let mut service = start(&world.hosts[0], &args);
    service.wait_for("listening");

    let mut told = Told::new(&format!(
        "{:20} {:9} {:26} {:26} {:9} {}",
        "place", "udp", "mapping", "filtering", "tcp", "multicast"
    ));
    let mut wrong = Vec::new();
    for (number, place) in (11..).zip(Place::ALL) {
        let (host, site) = place.host(&world, number);
        // With another host of the site, or of the public place, IP multicast is shown to work.
        let second = match &site {
            Some(site) => site.hosts[1].clone(),
            None => world.host(number + 100),
        };
        let seen = verdicts(probe(&host));
        let url = format!("quilt://{SERVICE}/neighbours{number}");
        let mut neighbour = start(&second, &["join", "--json", "--stay", &url]);
        neighbour.wait_for("joined");
        let both = verdicts(probe(&host));
        let text =
            |path: &str| seen.pointer(path).and_then(Value::as_str).unwrap_or("-").to_owned();
        let [udp, tcp] = ["/udp/reach", "/tcp/reach"].map(text);
        let [mapping, filtering] = ["/udp/mapping", "/udp/filtering"].map(text);
        let multicast = both["multicast"]["verdict"].as_str().unwrap_or("-");
        told.line(&format!(
            "{:20} {udp:9} {mapping:26} {filtering:26} {tcp:9} {multicast}",
            place.name()
        ));
        let (open, known) = match place {
            Place::Public => (Some("both"), ["-".into(), "-".into()]),
            Place::Behind(nat) => {
                let open = if nat == Nat::FullCone { "both" } else { "outbound" };
                let known = [nat.mapping(), nat.filtering()].map(|it| it.rfc_4787().to_owned());
                (Some(open), known)
            }
            Place::NoUdp => (Some("blocked"), ["-".into(), "-".into()]),
        };
        if Some(&*udp) != open || [mapping, filtering] != known {
            wrong.push(place.name());
        }
        let (public, reached) = (place == Place::Public, tcp == "both");
        assert!(!reached || public || place == Place::Behind(Nat::FullCone), "{}", place.name());
        assert!(reached || !public, "a public place cannot be reached: {seen}");
        assert_eq!(seen["multicast"]["verdict"], "unproven", "{seen}");
        assert_eq!(multicast, "works", "{both}");
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
