//! NATs are of the kind that they claim to be. Nothing of Quilt is in it: the tests of RFC 5780,
//! with two servers that have two ports each.

use crate::{Told, trial};
use libtest_mimic::Trial;
use quilt_hosts::{Dependence, Firewall, Multicast, Nat, Node, Switch};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// How often what may have been overtaken is tried again.
const TRIES: usize = 5;
/// What takes longer does not come.
const PATIENCE: Duration = Duration::from_millis(300);
const ANY: &str = "0.0.0.0:0";
const PORTS: [u16; 2] = [3478, 3479];

pub(crate) fn trials() -> Vec<Trial> {
    let kinds = Nat::ALL.map(|nat| {
        trial(format!("nats::{nat:?} maps and filters as it claims"), move || claims(nat))
    });
    let others = [
        trial("nats::two hosts behind one have different ports", two_behind_one),
        trial("nats::each pair of kinds meets by punching or does not", pairs),
        trial("nats::firewalls let in what they claim", firewalls),
    ];
    kinds.into_iter().chain(others).collect()
}

/// Two servers in public, and room for sites.
pub(crate) struct World {
    public: Switch,
    /// By address, then by port.
    servers: [[UdpSocket; 2]; 2],
    pub(crate) hosts: [Node; 2],
}

/// Two hosts behind a gateway.
pub(crate) struct Site {
    pub(crate) hosts: [Node; 2],
    _inside: (Node, Switch),
}

impl World {
    pub(crate) fn new() -> Self {
        let public = Switch::new("public", Multicast::Flooded);
        let addresses = ["10.0.0.1", "10.0.0.2"];
        let hosts = addresses.map(|address| {
            let host = Node::new("server");
            public.plug(&host, "eth0", &format!("{address}/24"));
            host
        });
        let servers = [0, 1]
            .map(|n| PORTS.map(|port| socket(&hosts[n], &format!("{}:{port}", addresses[n]))));
        Self { public, servers, hosts }
    }

    /// A host with a public address that ends with `number`.
    pub(crate) fn host(&self, number: u8) -> Node {
        let host = Node::new(&format!("host{number}"));
        self.public.plug(&host, "eth0", &format!("10.0.0.{number}/24"));
        host
    }

    /// A site whose gateway has these rules, given its public address.
    pub(crate) fn site(&self, number: u8, rules: impl FnOnce(Ipv4Addr) -> String) -> Site {
        let outer = Ipv4Addr::new(10, 0, 0, number);
        let gateway = Node::router(&format!("gateway{number}"));
        self.public.plug(&gateway, "wan0", &format!("{outer}/24"));
        gateway.nft(&rules(outer));
        let inside = Switch::new(&format!("lan{number}"), Multicast::Flooded);
        let net = format!("192.168.{number}");
        inside.plug(&gateway, "lan0", &format!("{net}.1/24"));
        let hosts = [2, 3].map(|last| {
            let host = Node::new(&format!("host{number}-{last}"));
            inside.plug(&host, "eth0", &format!("{net}.{last}/24"));
            host.ip(&format!("route add default via {net}.1"));
            host
        });
        Site { hosts, _inside: (gateway, inside) }
    }

    fn nat(&self, number: u8, nat: Nat) -> Site {
        self.site(number, |outer| nat.rules("wan", outer))
    }

    /// Where a server sees `inside`; `None` if nothing comes there.
    fn mapped(&self, inside: &UdpSocket, address: usize, port: usize) -> Option<SocketAddr> {
        let server = &self.servers[address][port];
        inside.send_to(b"who am I", server.local_addr().unwrap()).unwrap();
        Some(receive(server)?.0)
    }

    fn mapping(&self, host: &Node) -> Dependence {
        let inside = socket(host, ANY);
        let mapped = |address, port| self.mapped(&inside, address, port).unwrap();
        let (first, port, address) = (mapped(0, 0), mapped(0, 1), mapped(1, 0));
        match (first == port, first == address) {
            (true, true) => Dependence::Endpoint,
            (true, false) => Dependence::Address,
            _ => Dependence::AddressAndPort,
        }
    }

    fn filtering(&self, host: &Node) -> Dependence {
        let inside = socket(host, ANY);
        let outer = self.mapped(&inside, 0, 0).unwrap();
        let comes_from = |address: usize, port: usize| {
            // The server that was asked answers last, so what came before its answer came in.
            (0..TRIES).any(|_| {
                self.servers[address][port].send_to(b"stranger", outer).unwrap();
                self.servers[0][0].send_to(b"friend", outer).unwrap();
                let first = receive(&inside).unwrap();
                first.1 == b"stranger" && receive(&inside).is_some()
            })
        };
        match (comes_from(1, 1), comes_from(0, 1)) {
            (true, true) => Dependence::Endpoint,
            (false, true) => Dependence::Address,
            (false, false) => Dependence::AddressAndPort,
            (true, false) => panic!("it lets in a stranger, but not the neighbour of a friend"),
        }
    }
}

fn claims(nat: Nat) {
    let world = World::new();
    let site = world.nat(11, nat);
    for host in &site.hosts {
        assert_eq!(world.mapping(host), nat.mapping(), "mapping of {host:?}");
        assert_eq!(world.filtering(host), nat.filtering(), "filtering of {host:?}");
    }
}

fn two_behind_one() {
    for nat in Nat::ALL {
        let world = World::new();
        let site = world.nat(11, nat);
        let sockets = site.hosts.each_ref().map(|host| socket(host, ANY));
        let outer = sockets.each_ref().map(|inside| world.mapped(inside, 0, 0).unwrap());
        assert_ne!(outer[0], outer[1], "{nat:?}");
        for (inside, outer) in sockets.iter().zip(outer) {
            world.servers[0][0].send_to(outer.to_string().as_bytes(), outer).unwrap();
            assert_eq!(receive(inside).unwrap().1, outer.to_string().as_bytes(), "{nat:?}");
        }
    }
}

/// Both ends learn their outer address of a server, are told each other's, and send there. It works
/// but where one maps anew for each other end, and the other lets in only whom it spoke to by port.
fn pairs() {
    let world = World::new();
    let sites: Vec<_> = (11..)
        .zip(Nat::ALL.into_iter().chain(Nat::ALL))
        .map(|(n, nat)| world.nat(n, nat))
        .collect();
    let end = |index: usize| {
        let inside = socket(&sites[index].hosts[0], ANY);
        let outer = world.mapped(&inside, 0, 0).unwrap();
        (inside, outer)
    };
    let mut told = Told::new(&format!("{:20} {:20} punching", "one", "other"));
    for (a, one) in Nat::ALL.into_iter().enumerate() {
        for (b, other) in Nat::ALL.into_iter().enumerate().skip(a) {
            // The second four sites are of the same kinds, for pairs of equals.
            let met = punch(end(a), end(b + Nat::ALL.len()));
            let [left, right] = [one, other].map(|nat| format!("{nat:?}"));
            told.line(&format!("{left:20} {right:20} {met}"));
            assert_eq!(met, may_meet(one, other), "{one:?} and {other:?}");
        }
    }
}

pub(crate) fn may_meet(one: Nat, other: Nat) -> bool {
    let strict = |nat: Nat| nat.filtering() == Dependence::AddressAndPort;
    let anew = |nat: Nat| nat.mapping() == Dependence::AddressAndPort;
    !(anew(one) && strict(other) || anew(other) && strict(one))
}

/// Whether something comes through in both directions, answers to wherever it came from included.
fn punch(one: (UdpSocket, SocketAddr), other: (UdpSocket, SocketAddr)) -> bool {
    let ends = [(&one.0, other.1), (&other.0, one.1)];
    let mut heard = [None; 2];
    for _ in 0..TRIES {
        for ((inside, outer), heard) in ends.into_iter().zip(heard) {
            inside.send_to(b"punch", heard.unwrap_or(outer)).unwrap();
        }
        for ((inside, _), heard) in ends.into_iter().zip(&mut heard) {
            let timeout = inside.read_timeout().unwrap();
            inside.set_read_timeout(Some(PATIENCE / 10)).unwrap();
            *heard = receive(inside).map(|(from, _)| from).or(*heard);
            inside.set_read_timeout(timeout).unwrap();
        }
    }
    heard.iter().all(Option::is_some)
}

fn firewalls() {
    let world = World::new();
    for (number, firewall) in
        [Firewall::Stateful, Firewall::NoIncomingUdp, Firewall::NoUdp].into_iter().enumerate()
    {
        let site = world.site(11 + number as u8, |_| firewall.rules("wan"));
        let net = format!("192.168.{}", 11 + number);
        for server in &world.hosts {
            server.ip(&format!("route add {net}.0/24 via 10.0.0.{}", 11 + number));
        }
        let [host, _] = &site.hosts;
        let (inside, server) = (socket(host, ANY), &world.servers[0][0]);
        let address = SocketAddr::new(format!("{net}.2").parse().unwrap(), port(&inside));

        server.send_to(b"uncalled", address).unwrap();
        assert!(receive(&inside).is_none(), "{firewall:?} lets UDP in uncalled");
        let went_out = world.mapped(&inside, 0, 0);
        assert_eq!(went_out.is_some(), firewall != Firewall::NoUdp, "{firewall:?} outwards");
        server.send_to(b"answer", address).unwrap();
        let came_in = receive(&inside).is_some();
        assert_eq!(came_in, firewall == Firewall::Stateful, "{firewall:?} answers");

        let listen = |node: &Node| node.enter(|| TcpListener::bind("0.0.0.0:8000").unwrap());
        let (_there, _here) = (listen(&world.hosts[0]), listen(host));
        let dial = |from: &Node, to: &str| {
            let to = format!("{to}:8000").parse().unwrap();
            from.enter(|| TcpStream::connect_timeout(&to, PATIENCE).is_ok())
        };
        assert!(dial(host, "10.0.0.1"), "{firewall:?}: TCP outwards");
        assert!(!dial(&world.hosts[0], &format!("{net}.2")), "{firewall:?}: TCP inwards");
    }
}

fn socket(node: &Node, address: &str) -> UdpSocket {
    let socket = node.udp(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn port(socket: &UdpSocket) -> u16 {
    socket.local_addr().unwrap().port()
}

/// What comes next, and from where; `None` if nothing comes.
fn receive(socket: &UdpSocket) -> Option<(SocketAddr, Vec<u8>)> {
    let mut bytes = [0; 64];
    match socket.recv_from(&mut bytes) {
        Ok((len, from)) => Some((from, bytes[..len].into())),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("{socket:?}: {error}"),
    }
}
