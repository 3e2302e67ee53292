//! Lines, switches and rules do what they say.

use crate::trial;
use libtest_mimic::Trial;
use quilt_hosts::{Conditions, Multicast, Node, Relay, Switch, lossy};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// A round of packets, which no buffer is too small for.
const PACKETS: usize = 20;
/// More than anything takes here, also where the question for a neighbour's hardware address is lost
/// a few times.
const PATIENCE: Duration = Duration::from_secs(20);
/// What takes longer is not waited for, but tried again.
const SOON: Duration = Duration::from_millis(30);
/// What a long transfer has.
pub(crate) const BYTES: usize = 4_000_000;
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("lines::a relay delays both ways, in order", a_relay_delays),
        trial("lines::a relay lets a stream open its window", a_relay_lets_streams_run),
        trial("lines::a relay loses and doubles as often as asked", a_relay_loses),
        trial("lines::a rule loses as often as asked", a_rule_loses),
        trial("lines::a switch sends multicast where it should", switches),
    ]
}

/// Two nodes at the ends of a line, 10.0.0.1 and 10.0.0.2, each with a socket to the other.
pub(crate) struct Pair {
    pub(crate) nodes: [Node; 2],
    sockets: [UdpSocket; 2],
    _relay: Relay,
}

pub(crate) fn pair(conditions: Conditions) -> Pair {
    let nodes = ["a", "b"].map(Node::new);
    let relay = Relay::between((&nodes[0], "line"), (&nodes[1], "line"), conditions, 1);
    let sockets = [1, 2].map(|last| {
        let node: &Node = &nodes[last - 1];
        node.ip(&format!("address add 10.0.0.{last}/24 dev line"));
        let socket = node.udp(&format!("10.0.0.{last}:9000")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    });
    sockets[0].connect("10.0.0.2:9000").unwrap();
    sockets[1].connect("10.0.0.1:9000").unwrap();
    Pair { sockets, nodes, _relay: relay }
}

impl Pair {
    /// Sends so many packets there, and counts how many come.
    fn count(&self, packets: usize) -> usize {
        // No more at once than a receive buffer takes.
        (0..packets / PACKETS).map(|round| self.count_round(round as u8)).sum()
    }

    /// A last packet, which is repeated until it comes, ends a round.
    fn count_round(&self, round: u8) -> usize {
        let [a, b] = &self.sockets;
        let send = |text: [u8; 2]| assert_eq!(a.send(&text).unwrap(), text.len());
        (0..PACKETS).for_each(|_| send([round, 0]));
        let (mut came, end) = (0, Instant::now() + PATIENCE);
        b.set_read_timeout(Some(SOON)).unwrap();
        loop {
            assert!(Instant::now() < end, "{came} came, and no last one");
            let mut text = [0; 2];
            match b.recv(&mut text) {
                Ok(_) if text == [round, 1] => return came,
                Ok(_) => came += usize::from(text == [round, 0]),
                Err(_) => send([round, 1]),
            }
        }
    }
}

fn a_relay_delays() {
    let delay = Duration::from_millis(40);
    let pair = pair(Conditions { delay, ..Conditions::default() });
    let [a, b] = &pair.sockets;
    let mut bytes = [0; 64];
    // The first packet asks for the neighbour's hardware address as well.
    a.send(b"first").unwrap();
    b.recv(&mut bytes).unwrap();
    for (from, to) in [(a, b), (b, a)] {
        let way = |_| {
            let sent = Instant::now();
            from.send(b"timed").unwrap();
            to.recv(&mut [0; 8]).unwrap();
            sent.elapsed()
        };
        // A busy machine may delay some of them more, but none less.
        let least = (0..10).map(way).min().unwrap();
        assert!((delay..delay * 2).contains(&least), "{least:?}");
    }
    for number in 0..100_u8 {
        a.send(&[number]).unwrap();
    }
    for number in 0..100 {
        assert_eq!((b.recv(&mut bytes).unwrap(), bytes[0]), (1, number));
    }
}

/// A window that did not open would let ten segments through in each round trip.
fn a_relay_lets_streams_run() {
    let delay = Duration::from_millis(40);
    let took = stream(&pair(Conditions { delay, ..Conditions::default() }));
    let shut = delay * 2 * (BYTES / (10 * 1_460)) as u32;
    assert!(took < shut / 4, "{took:?}");
}

/// How long a bare stream takes for [`BYTES`] from the first end to the second, once it is open.
pub(crate) fn stream(line: &Pair) -> Duration {
    let [a, b] = &line.nodes;
    let listener = b.enter(|| TcpListener::bind("10.0.0.2:9000")).unwrap();
    let mut dialled = a.enter(|| TcpStream::connect("10.0.0.2:9000")).unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    let started = Instant::now();
    let writer = std::thread::spawn(move || dialled.write_all(&vec![7; BYTES]));
    let mut bytes = Vec::new();
    accepted.read_to_end(&mut bytes).unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!(bytes.len(), BYTES);
    started.elapsed()
}

fn a_relay_loses() {
    let loss = Conditions { loss_per_mille: 200, ..Conditions::default() };
    let came = pair(loss).count(500);
    assert!((350..450).contains(&came), "{came} of 500 at 20 % loss");
    let twice = Conditions { duplicates_per_mille: 200, ..Conditions::default() };
    let came = pair(twice).count(500);
    assert!((550..650).contains(&came), "{came} of 500 with 20 % doubled");
}

fn a_rule_loses() {
    let pair = pair(Conditions::default());
    assert_eq!(pair.count(100), 100);
    pair.nodes[1].nft(&lossy(200));
    let came = pair.count(500);
    assert!((350..450).contains(&came), "{came} of 500 at 20 % loss");
}

fn switches() {
    for (multicast, member, other) in [
        (Multicast::Flooded, true, true),
        (Multicast::Snooped, true, false),
        (Multicast::Dropped, false, false),
    ] {
        let switch = Switch::new("lan", multicast);
        let nodes = ["sender", "member", "other"].map(Node::new);
        for (node, last) in nodes.iter().zip(1..) {
            switch.plug(node, "eth0", &format!("10.0.0.{last}/24"));
        }
        let [sender, member_node, other_node] = &nodes;
        let socket = |node: &Node, address: Ipv4Addr| {
            let socket = node.udp("0.0.0.0:9000").unwrap();
            node.enter(|| socket.join_multicast_v4(&GROUP, &address)).unwrap();
            socket.set_read_timeout(Some(SOON)).unwrap();
            socket
        };
        let hears = socket(member_node, Ipv4Addr::new(10, 0, 0, 2));
        let from = sender.udp("10.0.0.1:0").unwrap();
        // A snooping switch floods until it has asked who is a member.
        let end = Instant::now() + PATIENCE;
        loop {
            // What reaches its port reaches its interface, whether anybody there wants it or not.
            let before = frames(other_node);
            let send = |_: &usize| {
                from.send_to(b"tea", (GROUP, 9000)).unwrap();
                hears.recv(&mut [0; 8]).is_ok()
            };
            let heard = (0..PACKETS).filter(send).count() > 0;
            let there = frames(other_node) - before >= PACKETS as u64;
            if (heard, there) == (member, other) {
                break;
            }
            let seen = format!("heard {heard}, at another port {there}");
            assert!(Instant::now() < end, "{multicast:?}: {seen}");
        }
    }
}

/// How many frames came in at a node's `eth0`.
fn frames(node: &Node) -> u64 {
    let devices = node.enter(|| std::fs::read_to_string("/proc/thread-self/net/dev")).unwrap();
    let line = devices.lines().find(|line| line.trim_start().starts_with("eth0:")).unwrap();
    line.split_whitespace().nth(2).unwrap().parse().unwrap()
}
