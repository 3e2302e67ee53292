//! Writes the first inputs of each target to `corpus/`: run it in this folder after a change of
//! the wire format or of the ops. What a fuzzer finds beyond them lies beside them.

use bytes::Bytes;
use quilt_proto::contract::{Op, address, packet};
use quilt_proto::euid::{Barrier, Connectivity, Direction, Euid, RouterId, Transport};
use quilt_proto::memory::Network;
use quilt_proto::omni::Omni;
use quilt_proto::protocol::Registry;
use quilt_proto::survey::{self, Parent, Representative};
use quilt_proto::wire::*;
use quilt_proto::{
    Bootstrap, BootstrapConfig, Config, Delivery, FragmentId, Group, GroupId, HostId, HostTag,
    Incarnation, Node, PatchId, Policy, Priority, ProtocolId, PublishOptions, Role, Seq, Source,
};
use std::collections::BTreeMap;
use std::{fs, io, path::Path, time::Duration};

/// Where the bootstrap service is, as the node's target has it.
const SERVICE: u8 = 255;
/// How many hosts talk where it is listened to what they say.
const HOSTS: u8 = 24;

fn main() -> io::Result<()> {
    for frame in all_frames() {
        let bytes = encode(&[frame]);
        write("packet", &format!("kind-{:02}", bytes[0]), &packet(2, &bytes))?;
        let [kind, flags, _, _, body @ ..] = &bytes[..] else {
            unreachable!("each frame has a head");
        };
        write("frame", &format!("kind-{kind:02}"), &[&[*kind, *flags][..], body].concat())?;
    }
    let some = encode(&all_frames()[..4]);
    write("packet", "several", &packet(2, &some))?;
    let prefixed = |frames: &[u8]| {
        let packet = packet(2, frames);
        [&Assembler::prefix(packet.len())[..], &packet].concat()
    };
    let stream = [prefixed(&some), prefixed(&[]), prefixed(&some)].concat();
    write("stream", "in-one-piece", &[&[0][..], &stream].concat())?;
    write("stream", "in-pieces", &[&[4, 1, 30, 1, 200][..], &stream].concat())?;

    for protocol in [ProtocolId::IPMC, ProtocolId::DONET, ProtocolId::OMNI] {
        write("node", &protocol.to_string(), &life_of_a_node(protocol))?;
    }
    write("bootstrap", "three-hosts", &life_of_a_service())?;

    let mut euids = Vec::new();
    [euid(), Euid::default(), Euid::reachable()]
        .iter()
        .for_each(|euid| Writer::new(&mut euids).euid(euid));
    write("euid", "three", &euids)?;
    write("answers", "admitted", &answers())?;
    write("sensing", "behind-a-nat", &sensing())?;
    for (target, protocol) in
        [("ipmc", ProtocolId::IPMC), ("donet", ProtocolId::DONET), ("omni", ProtocolId::OMNI)]
    {
        write(target, "life", &life_of_a_member())?;
        for (kind, frame) in said(protocol) {
            let mut ops = life_of_a_member();
            for op in [12, 13] {
                Op { kind: op, which: 2, payload: &frame }.encode(&mut ops);
            }
            Op { kind: 8, which: 3, payload: &[] }.encode(&mut ops);
            write(target, &format!("said-{kind:02}"), &ops)?;
        }
    }
    write("several", "hostile", &life_on_a_hostile_wire())?;

    let policy = "order ipmc omni # best first\nforbid ipmc 10.1.0.0/16\nrepresentatives 2..3\n";
    write("policy", "shown", Policy::default().to_string().as_bytes())?;
    write("policy", "written", policy.as_bytes())?;
    for (name, url) in [("v4", "quilt://127.0.0.1:7400/tea"), ("v6", "quilt://[::1]:1/a.b")] {
        write("url", name, url.as_bytes())?;
    }
    let data = Path::new("../tests/sim/data");
    let domains = fs::read(data.join("synthetic/four_domains.json"))?;
    write("topology", "domains", &[&[0][..], &domains].concat())?;
    write("topology", "matrix", b"\x010,10,3\n10,0,0.5\n4,0.5,0\n")?;
    write("topology", "triangle", b"\x0110, 3\r\n0.5\r\n")?;
    let hosts = fs::read_to_string(data.join("internet/internet951_hosts.csv"))?;
    let three: String = hosts.split_inclusive('\n').take(4).collect();
    let hosts = [b"\x02", three.as_bytes(), b"\xff12.5,3\n40\n"].concat();
    write("topology", "hosts", &hosts)
}

/// Members open streams, something is published, and time passes.
fn life_of_a_member() -> Vec<u8> {
    let mut ops = Vec::new();
    let mut op = |kind, which, payload: &[u8]| Op { kind, which, payload }.encode(&mut ops);
    op(5, 0, &[]);
    op(5, 0, &[]);
    op(11, 2, &[]);
    op(11, 3, &[]);
    op(14, 0, b"a message");
    op(8, 1, &[]);
    op(15, 0, &[]);
    ops
}

/// What members of a patch say by themselves, in a network in memory: a body of each kind of frame.
fn said(protocol: ProtocolId) -> BTreeMap<u8, Vec<u8>> {
    let mut net = Network::new(1);
    let policy = Policy { order: vec![protocol], ..Policy::default() };
    let service = Bootstrap::new(BootstrapConfig { policy, ..BootstrapConfig::default() }, 1);
    net.add_bootstrap(address(SERVICE), service);
    let mut kinds = BTreeMap::new();
    let hosts: Vec<_> = (1..=HOSTS)
        .map(|n| {
            let nics = [Nic { address: address(n).ip(), euid: euid() }].into_iter().collect();
            let config = Config::new(HostId([n; 32]), Incarnation(1), address(n));
            // So few that hosts are refused, and handed on.
            let omni = Omni { degree: 2 };
            let registry = Registry::standard().with(omni);
            let host =
                net.add_node(address(n), Node::new(Config { nics, registry, ..config }, n.into()));
            let group = Group::new("fuzz", address(SERVICE));
            net.call(host, |node, now| node.join(now, group)).expect("its first group");
            host
        })
        .collect();
    for step in 0..6_000u32 {
        if step % 100 == 0 {
            let body = vec![1; 3_000].into();
            let _ = net.call(hosts[0], |node, now| node.publish(now, group(), body));
        }
        match step {
            1_000 => net.kill(hosts[2]),
            5_000 => net.call(hosts[3], |node, now| node.leave(now, group())),
            _ => {}
        }
        net.set_loss_permille(if step < 2_000 { 0 } else { 100 });
        net.run_for(Duration::from_millis(1));
        let under_way: Vec<_> = net.under_way().map(|it| it.clone().into_bytes()).collect();
        under_way.iter().for_each(|bytes| listen(bytes, &mut kinds));
        // A packet of a stream comes in two pieces.
        for pair in under_way.windows(2) {
            listen(&pair.iter().flat_map(|bytes| bytes.iter().copied()).collect(), &mut kinds);
        }
    }
    if protocol == ProtocolId::IPMC {
        // Here, a kind without fields, is said where many are silent.
        kinds.entry(9).or_insert(vec![9]);
    }
    kinds
}

/// Takes down the regional protocol's frames in what a datagram or a stream carries.
fn listen(bytes: &Bytes, kinds: &mut BTreeMap<u8, Vec<u8>>) {
    let mut stream = Assembler::default();
    stream.push(bytes.clone());
    let on_stream = std::iter::from_fn(|| stream.next_packet().ok().flatten());
    let packets = std::iter::once(bytes.clone().into()).chain(on_stream);
    for frame in packets.filter_map(|packet| Frames::decode(packet).ok()).flatten().flatten() {
        match frame {
            Frame::Protocol { patch, body, .. } if patch != PatchId::INTER_PATCH => {
                body.first().map(|&kind| kinds.entry(kind).or_insert(body.to_vec()));
            }
            _ => {}
        }
    }
}

/// All questions are answered, as those of a host behind a NAT; a stream comes, routers and neighbours.
fn sensing() -> Vec<u8> {
    let mut ops = Vec::new();
    let answer = &encode(&[Frame::Sensed(sensed())])[4 + 8..];
    let mut op = |kind, which, payload: &[u8]| Op { kind, which, payload }.encode(&mut ops);
    (0..3).for_each(|question| op(0, question, answer));
    // Of 11 kinds of ops the first beyond 64 is number 9.
    (0..6).for_each(|link| op(66 + 5, link, &[]));
    let sight = Sight { segment: Some(5), asks: true, heard: vec![HostTag(1)] };
    op(66 + 1, 1, &encode(&[Frame::Sight(sight)]));
    (3..8).for_each(|question| op(0, question, answer));
    op(66 + 4, 2, &[]);
    op(1, 3, answer);
    (0..8).for_each(|_| op(66 + 9, 0, &[]));
    ops
}

/// What the service says to a host that joins.
fn answers() -> Vec<u8> {
    let mut ops = Vec::new();
    let said = [
        Frame::Cookie { group: group(), cookie: 7, seen: Some(address(1)) },
        Frame::Orders(Box::new(orders(ProtocolId::DONET))),
        Frame::Refused { group: group(), refusal: Refusal::Full },
        Frame::SurveyPart(survey_part()),
    ];
    for (kind, frame) in said.iter().enumerate() {
        // Behind the frame's head and its group.
        let body = &encode(std::slice::from_ref(frame))[4 + 8..];
        Op { kind: kind as u8, which: 0, payload: body }.encode(&mut ops);
    }
    ops
}

/// Messages, while packets are cut, replaced, made longer and changed.
fn life_on_a_hostile_wire() -> Vec<u8> {
    let mut ops = Vec::new();
    let mut op = |kind, which, payload: &[u8]| Op { kind, which, payload }.encode(&mut ops);
    (0..8).for_each(|_| op(0, 250, &[]));
    for round in 0..6 {
        op(1, round, &[round; 2_000]);
        op(0, 1, &[]);
        op(2 + round % 4, round, &[0, 0, 1, 0, 0, 0, 0, 8]);
        op(0, 50, &[]);
    }
    ops
}

/// It is admitted, told its place, dialled, sent messages, publishes, waits and leaves.
fn life_of_a_node(protocol: ProtocolId) -> Vec<u8> {
    let mut ops = Vec::new();
    let mut op = |kind, which, payload: &[u8]| Op { kind, which, payload }.encode(&mut ops);
    op(1, SERVICE, &encode(&[Frame::Cookie { group: group(), cookie: 7, seen: Some(address(1)) }]));
    op(1, SERVICE, &encode(&[Frame::Orders(Box::new(orders(protocol)))]));
    op(5, 0, &[]);
    op(5, 0, &[]);
    op(4, 2, &[]);
    op(3, 2, &encode(&[Frame::Hello(hello(2))]));
    op(3, 2, &encode(&[Frame::Data(data(0)), held()]));
    op(1, 2, &encode(&[Frame::Data(data(2))]));
    op(7, 50, &[]);
    op(1, 3, &encode(&[Frame::Knock { to: HostTag(u64::from_be_bytes([1; 8])), by: hello(3) }]));
    op(1, 3, &encode(&[Frame::Tunnel { shows: 0, wants: 5 }]));
    op(1, 3, &encode(&[Frame::Flow { token: 5, number: 0 }, segment()]));
    op(7, 250, &[]);
    op(0xf1, 0, b"a message of its own");
    op(0xf3, 0, &[]);
    let part = SurveyPart { from: PatchId::INTER_PATCH, ..survey_part() };
    op(1, SERVICE, &encode(&[Frame::SurveyPart(part)]));
    op(9, 0, &[]);
    op(3, 2, &encode(&[Frame::Pull(pull())]));
    op(6, 0, &[]);
    op(8, 5, &[]);
    op(0xf2, 0, &[]);
    op(8, 60, &[]);
    ops
}

/// Three hosts ask, prove their addresses, stand somewhere; one leaves and one falls silent.
fn life_of_a_service() -> Vec<u8> {
    let mut ops = Vec::new();
    let mut op = |kind, which, payload: &[u8]| Op { kind, which, payload }.encode(&mut ops);
    for host in 1..4 {
        let report = encode(&[Frame::Report(Box::new(report(host)))]);
        let room = MAX_DATAGRAM_BYTES - Header::BYTES - report.len();
        op(1, host, &[report.clone(), padding(room)].concat());
        op(0xf0, host, &report);
    }
    op(4, 4, &[]);
    op(3, 4, &encode(&[Frame::Report(Box::new(report(4)))]));
    let (host, incarnation) = (HostId([1; 32]), Incarnation(1));
    op(
        0xf0,
        2,
        &encode(&[Frame::Survey { group: group(), cookie: 0, from: PatchId::INTER_PATCH }]),
    );
    op(0xf0, 1, &encode(&[Frame::Depart { group: group(), host, incarnation, cookie: 0 }]));
    for reply in [Reply::Here, Reply::OtherPort, Reply::OtherAddress, Reply::Stream { port: 9 }] {
        op(0xf0, 1, &encode(&[Frame::Sense(Sense { nonce: 5, cookie: 0, reply })]));
    }
    op(5, 0, &[]);
    op(6, 0, &[]);
    for _ in 0..8 {
        op(8, 10, &[]);
    }
    ops
}

fn all_frames() -> Vec<Frame> {
    let group = group();
    let (host, incarnation) = (HostId([2; 32]), Incarnation(1));
    vec![
        Frame::Hello(hello(2)),
        Frame::Beat(Beat { stamp: 1, echo: 2, held: 3, next_ms: 1_000, needed: true }),
        Frame::Flow { token: 5, number: 0 },
        Frame::Ack(Ack { next: 2, got: 3, held_us: 700 }),
        Frame::Tunnel { shows: 0, wants: 5 },
        segment(),
        Frame::Knock { to: source().host, by: hello(3) },
        Frame::Data(data(2)),
        held(),
        Frame::Pull(pull()),
        Frame::NotHeld(pull()),
        Frame::Claim(pull()),
        Frame::Protocol { group, patch: PatchId(9), body: Bytes::from_static(b"body") },
        Frame::Report(Box::new(report(2))),
        Frame::Cookie { group, cookie: 7, seen: Some(address(1)) },
        Frame::Orders(Box::new(orders(ProtocolId::DONET))),
        Frame::Refused { group, refusal: Refusal::Full },
        Frame::Depart { group, host, incarnation, cookie: 7 },
        Frame::Survey { group, cookie: 7, from: PatchId(1) },
        Frame::SurveyPart(survey_part()),
        Frame::Sense(Sense { nonce: 5, cookie: 7, reply: Reply::OtherPort }),
        Frame::Sensed(sensed()),
        Frame::Sight(Sight { segment: Some(5), asks: true, heard: vec![source().host] }),
    ]
}

fn sensed() -> Sensed {
    let (other_port, other_address) = (Some(9), Some(address(3)));
    Sensed { nonce: 5, cookie: 7, seen: address(2), other_port, other_address, unreachable: false }
}

/// The first of a tunnel's stream, with a Hello in it.
fn segment() -> Frame {
    let inner = packet(2, &encode(&[Frame::Hello(hello(2))]));
    let bytes = [&Assembler::prefix(inner.len())[..], &inner].concat().into();
    Frame::Segment(Segment { number: 0, next: 0, bytes })
}

fn hello(n: u8) -> Hello {
    let addresses = [address(n)].into_iter().collect();
    Hello { host: HostId([n; 32]), incarnation: Incarnation(1), addresses }
}

fn data(index: u16) -> Data {
    let len = if index == 2 { 5 } else { FRAGMENT_BYTES };
    Data {
        group: group(),
        patch: PatchId(9),
        fragment: FragmentId { source: source(), seq: Seq(0), index },
        count: 3,
        origin: PatchId(9),
        hops: 1,
        solicited: false,
        options: PublishOptions {
            priority: Priority::High,
            deadline: Some(Duration::from_secs(5)),
            mark: true,
        },
        payload: vec![7; len].into(),
    }
}

fn held() -> Frame {
    let held = Held {
        host: HostId([2; 32]),
        incarnation: Incarnation(1),
        low: Seq(0),
        next: Seq(9),
        mark: Seq(7),
        missing: [Range { from: Seq(3), to: Seq(5) }].into_iter().collect(),
    };
    Frame::Held { group: group(), patch: PatchId(9), more: false, sources: vec![held] }
}

fn pull() -> Pull {
    let first = FragmentId { source: source(), seq: Seq(0), index: 1 };
    Pull { group: group(), patch: PatchId(9), wanted: vec![Wanted { first, last: u16::MAX }] }
}

fn report(n: u8) -> Report {
    Report {
        group: group(),
        host: HostId([n; 32]),
        incarnation: Incarnation(1),
        cookie: 0,
        create: true,
        delivery: Some(Delivery::Reliable),
        addresses: [address(n)].into_iter().collect(),
        nics: [Nic { address: address(n).ip(), euid: euid() }].into_iter().collect(),
        protocols: [ProtocolId::IPMC, ProtocolId::DONET, ProtocolId::OMNI].into_iter().collect(),
        memberships: [].into_iter().collect(),
        lost: [].into_iter().collect(),
        parent: None,
    }
}

/// A representative's: a place in a region and one in the wide area.
fn orders(protocol: ProtocolId) -> Orders {
    let assignment = |patch, scope, protocol| Assignment {
        patch,
        scope,
        protocol,
        role: Role::Representative,
        nic: 0,
        parameters: Bytes::new(),
        euid: euid(),
        representatives: [HostId([1; 32]), HostId([2; 32])].into_iter().collect(),
        standbys: [HostId([3; 32])].into_iter().collect(),
        contacts: vec![contact(2), contact(3)],
    };
    let region = assignment(PatchId(9), Scope::Regional, protocol);
    let wide_area = assignment(PatchId::INTER_PATCH, Scope::InterPatch, ProtocolId::OMNI);
    let assignments = [region, wide_area].into_iter().collect();
    Orders { group: group(), epoch: 1, delivery: Delivery::Reliable, assignments }
}

fn survey_part() -> SurveyPart {
    let round_trip = Some(Duration::from_micros(1_500));
    let parent = Some(Parent { host: HostTag(1), round_trip });
    let patch = survey::Patch {
        patch: PatchId(9),
        scope: Scope::Regional,
        protocol: ProtocolId::IPMC,
        members: 3,
        representatives: vec![Representative { host: source().host, forwards: true, parent }],
    };
    SurveyPart { group: group(), from: PatchId(1), hosts: 3, more: true, patches: vec![patch] }
}

fn contact(n: u8) -> Contact {
    let Hello { host, incarnation, addresses } = hello(n);
    Contact { host, incarnation, addresses, euid: euid() }
}

fn euid() -> Euid {
    let mut euid = Euid::default();
    let (direction, barrier) = (Direction::Both, Barrier::None);
    for transport in [Transport::Tcp, Transport::Udp] {
        euid.connectivity.insert(Connectivity { transport, direction, barrier });
    }
    euid.topology.insert(RouterId::named("gateway"), 1, true);
    euid
}

fn source() -> Source {
    Source { host: HostTag(u64::from_be_bytes([2; 8])), incarnation: Incarnation(1) }
}

fn group() -> GroupId {
    GroupId::named("fuzz")
}

fn encode(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| frame.encode(&mut bytes));
    bytes
}

fn write(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = Path::new("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}
