//! Two hosts alone in a group, in each pair of places: what comes from one to the other.

use crate::nats::{Site, World, may_meet};
use crate::program::{Feed, Folder, Quilt, holds, noise, start};
use crate::{Told, trial};
use libtest_mimic::Trial;
use quilt_hosts::{Firewall, Nat, Node};
use std::time::{Duration, Instant};

const SERVICE: &str = "10.0.0.1:7400";
/// What is sent, in chunks of 64 KiB of which the last one waits until it is full.
const FILE_BYTES: usize = 200_000;
const BEGUN: usize = 3 * (64 << 10);
/// What has not come then does not come.
const PATIENCE: Duration = Duration::from_secs(6);
/// How often a file is looked for.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("matrix::what comes between two hosts follows from their NATs", everything)]
}

/// Where a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Public,
    Behind(Nat),
    /// Behind a gateway that lets no UDP through, and is a NAT for the rest.
    NoUdp,
}

impl Place {
    pub(crate) const ALL: [Self; 6] = [
        Self::Public,
        Self::Behind(Nat::FullCone),
        Self::Behind(Nat::RestrictedCone),
        Self::Behind(Nat::PortRestrictedCone),
        Self::Behind(Nat::Symmetric),
        Self::NoUdp,
    ];

    /// A host in such a place, and what its network is made of.
    pub(crate) fn host(self, world: &World, number: u8) -> (Node, Option<Site>) {
        let rules = |outer| match self {
            Self::Public => None,
            Self::Behind(nat) => Some(nat.rules("wan", outer)),
            Self::NoUdp => {
                let nat = Nat::PortRestrictedCone.rules("wan", outer);
                Some(nat + &Firewall::NoUdp.rules("wan"))
            }
        };
        if self == Self::Public {
            return (world.host(number), None);
        }
        let site = world.site(number, |outer| rules(outer).unwrap_or_default());
        (site.hosts[0].clone(), Some(site))
    }

    /// Whether there is a way between two hosts: a stream to a public place, or a hole punched by UDP
    /// (RFC 5128).
    fn reaches(self, other: Self) -> bool {
        match (self, other) {
            (Self::Public, _) | (_, Self::Public) => true,
            (Self::Behind(one), Self::Behind(other)) => may_meet(one, other),
            (Self::NoUdp, _) | (_, Self::NoUdp) => false,
        }
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Behind(nat) => format!("{nat:?}"),
            other => format!("{other:?}"),
        }
    }
}

/// A receiver, and whoever sends to it and stays.
struct Pair {
    from: Place,
    to: Place,
    output: String,
    _receiver: Quilt,
    _sender: Feed,
    came: Option<Duration>,
}

fn everything() {
    let world = World::new();
    let mut service = start(&world.hosts[0], &["bootstrap", "--json", "--listen", SERVICE]);
    service.wait_for("listening");
    // Two of each kind, for pairs of equals.
    let [senders, receivers] = [11, 21].map(|first| {
        let host = |(number, place): (u8, Place)| (place, place.host(&world, number));
        (first..).zip(Place::ALL).map(host).collect::<Vec<_>>()
    });
    let (folder, bytes) = (Folder::new(), noise(FILE_BYTES, 5));
    let mut receiving = Vec::new();
    for (from, (sender, _)) in &senders {
        for (to, (receiver, _)) in &receivers {
            let name = format!("{}-{}", from.name(), to.name());
            let (url, output) = (format!("quilt://{SERVICE}/{name}"), folder.path(&name));
            let args =
                ["join", "--json", &url, "--stay", "--routers", "there", "--output", &output];
            let receiver = start(receiver, &args);
            receiving.push((*from, *to, output, receiver, sender, url));
        }
    }
    let sending = |(from, to, output, mut receiver, sender, url): (_, _, _, Quilt, _, String)| {
        receiver.wait_for("joined");
        let sender = start(sender, &["send", "--json", &url, "--routers", "here"]);
        (from, to, output, receiver, sender)
    };
    let sending: Vec<_> = receiving.into_iter().map(sending).collect();
    let ready = |(from, to, output, _receiver, sender)| {
        let mut sender = Feed::of(sender);
        sender.write(&bytes);
        Pair { from, to, output, _receiver, _sender: sender, came: None }
    };
    let mut pairs: Vec<Pair> = sending.into_iter().map(ready).collect();
    let sent = Instant::now();
    while sent.elapsed() < PATIENCE && pairs.iter().any(|pair| pair.came.is_none()) {
        for pair in &mut pairs {
            // It is not whole as long as the sender stays.
            if pair.came.is_none() && holds(&format!("{}.partial", pair.output), &bytes[..BEGUN]) {
                pair.came = Some(sent.elapsed());
            }
        }
        std::thread::sleep(LOOK);
    }
    let mut told = Told::new(&format!("{:20} {:20} it comes", "from", "to"));
    for Pair { from, to, came, .. } in &pairs {
        let came = came.map_or("no".into(), |after| format!("after {after:.2?}"));
        told.line(&format!("{:20} {:20} {came}", from.name(), to.name()));
    }
    for Pair { from, to, came, .. } in &pairs {
        assert_eq!(came.is_some(), from.reaches(*to), "from {from:?} to {to:?}");
    }
}
