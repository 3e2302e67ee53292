//! IP multicast that stops working in the middle of a transfer: the rest comes by something else, and
//! how long nothing came is printed.

use crate::program::{DEADLINE, Feed, Folder, Quilt, holds, noise, start};
use crate::{Told, trial};
use libtest_mimic::Trial;
use quilt_hosts::{Multicast, Node, Switch};
use serde_json::Value;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What is sent at once, and how often: 1.6 MB/s.
const PIECE_BYTES: usize = 16 << 10;
const PIECE_EVERY: Duration = Duration::from_millis(10);
const PIECES: usize = 900;
/// So much has come to everybody when multicast stops.
const BEFORE: u64 = 2_000_000;
/// How often a file is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// The longest that nothing may come.
const MAX_PAUSE: Duration = Duration::from_secs(3);
/// How long the interface is down.
const DOWN: Duration = Duration::from_secs(1);
/// The host with the sender and the service, and the one that the fault is about.
const SENDER: usize = 0;
const VICTIM: usize = 2;
const HOSTS: usize = 4;

/// What happens to multicast, and what the victim runs in the end.
#[derive(Clone, Copy)]
struct Fault {
    name: &'static str,
    strike: fn(&Lan),
    then: &'static str,
}

const FAULTS: [Fault; 4] = [
    Fault { name: "a host drops it", strike: |lan| lan.hosts[VICTIM].nft(DROP), then: "donet" },
    Fault {
        name: "a switch loses a host's reports",
        strike: |lan| lan.switch.lose_reports(&lan.ports[VICTIM]),
        then: "donet",
    },
    Fault { name: "a switch drops it", strike: |lan| lan.switch.drop_multicast(), then: "donet" },
    Fault {
        name: "an interface is down for a second",
        strike: |lan| {
            lan.hosts[VICTIM].ip("link set eth0 down");
            sleep(DOWN);
            lan.hosts[VICTIM].ip("link set eth0 up");
        },
        then: "ipmc",
    },
];

pub(crate) fn trials() -> Vec<Trial> {
    let faults = FAULTS.map(|fault| {
        let name = format!("silence::{}, and the transfer goes on", fault.name);
        trial(name, move || goes_on(fault))
    });
    faults.into()
}

const DROP: &str = "
    table ip multicast {
        chain arriving {
            type filter hook input priority filter
            ip daddr 224.0.0.0/4 meta l4proto udp drop
        }
    }";

/// Hosts at one switch.
struct Lan {
    switch: Switch,
    hosts: Vec<Node>,
    /// Of the switch, by host.
    ports: Vec<String>,
}

impl Lan {
    fn new() -> Self {
        let switch = Switch::new("lan", Multicast::Snooped);
        let hosts: Vec<_> = (0..HOSTS).map(|n| Node::new(&format!("host{n}"))).collect();
        let plug = |(n, host)| switch.plug(host, "eth0", &format!("10.0.0.{}/24", n + 1));
        let ports = hosts.iter().enumerate().map(plug).collect();
        Self { switch, hosts, ports }
    }
}

fn goes_on(Fault { name, strike, then }: Fault) {
    let (lan, folder) = (Lan::new(), Folder::new());
    let listen = "10.0.0.1:7400";
    let mut service = start(&lan.hosts[SENDER], &["bootstrap", "--json", "--listen", listen]);
    service.wait_for("listening");
    let url = format!("quilt://{listen}/news");
    let around = [&url, "--routers", "gateway+ipmc"];
    let outputs: Vec<_> = (0..HOSTS).map(|n| folder.path(&n.to_string())).collect();
    let join = |(host, output): (&Node, &String)| {
        let args = ["join", "--json", "--stay", "--output", output];
        let mut receiver = start(host, &[&args[..], &around].concat());
        assert_eq!(receiver.wait_for("joined")["protocol"], "ipmc");
        receiver
    };
    let mut receivers: Vec<Quilt> = lan.hosts.iter().zip(&outputs).map(join).collect();
    let send = [&["send", "--json"][..], &around].concat();
    let mut feed = Feed::of(start(&lan.hosts[SENDER], &send));

    let mut told = Told::new(&format!("{name}:"));
    let bytes = noise(PIECE_BYTES * PIECES, 3);
    let watches: Vec<Watch> = outputs.iter().map(|output| Watch::new(output)).collect();
    std::thread::scope(|scope| {
        for watch in &watches {
            scope.spawn(|| watch.run());
        }
        scope.spawn(|| {
            for piece in bytes.chunks(PIECE_BYTES) {
                feed.write(piece);
                sleep(PIECE_EVERY);
            }
            feed.finish();
        });
        let end = Instant::now() + DEADLINE;
        while watches.iter().any(|watch| watch.bytes.load(Ordering::Relaxed) < BEFORE) {
            assert!(Instant::now() < end, "the transfer does not begin");
            sleep(LOOK);
        }
        let before = watches.iter().map(|watch| watch.pause.swap(0, Ordering::Relaxed));
        told.line(&format!("until then the longest pause is {} ms", before.max().unwrap_or(0)));
        strike(&lan);
        for receiver in &mut receivers {
            receiver.wait_for("complete");
        }
    });
    for (n, (receiver, watch)) in receivers.iter_mut().zip(&watches).enumerate() {
        assert!(holds(&outputs[n], &bytes), "host {n}");
        let pause = watch.pause.load(Ordering::Relaxed);
        let role = if n == VICTIM { ", the victim" } else { "" };
        told.line(&format!("host {n}{role} pauses for {pause} ms; {}", news(receiver)));
        if n == VICTIM {
            assert_eq!(receiver.place()["protocol"], then);
        }
        assert!(pause < MAX_PAUSE.as_millis() as u64, "host {n} pauses for {pause} ms");
    }
}

/// What a receiver said of its place since it joined.
fn news(receiver: &mut Quilt) -> String {
    let told = ["degraded", "patch_changed", "recovered"].map(|event| {
        let lines = receiver.seen(event);
        let short = |line: &Value| match event {
            "patch_changed" => format!("{} as {}: {}", line["protocol"], line["role"], line["why"]),
            _ => format!("{event}: {}", line["trouble"]),
        };
        lines.iter().map(short).collect::<Vec<_>>()
    });
    told.concat().join("; ").replace('"', "")
}

/// How a file grows.
struct Watch {
    partial: String,
    bytes: AtomicU64,
    /// The longest time for which it did not, in milliseconds.
    pause: AtomicU64,
}

impl Watch {
    fn new(output: &str) -> Self {
        let partial = format!("{output}.partial");
        Self { partial, bytes: AtomicU64::new(0), pause: AtomicU64::new(0) }
    }

    /// Watches until the file is whole, and called otherwise.
    fn run(&self) {
        let start = Instant::now();
        let mut grew = start;
        while let Ok(file) = fs::metadata(&self.partial) {
            let now = Instant::now();
            if self.bytes.swap(file.len(), Ordering::Relaxed) != file.len() {
                grew = now;
            } else {
                let pause = now - grew;
                self.pause.fetch_max(pause.as_millis() as u64, Ordering::Relaxed);
            }
            if now - start > DEADLINE {
                return;
            }
            sleep(LOOK);
        }
    }
}
