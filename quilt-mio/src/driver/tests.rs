//! The driver under a machine that does what a test says. Its work is left out of what is
//! measured, so that allocations counted here are the adapter's.

use super::*;
use allocation_counter::{measure, opt_out};
use bytes::Bytes;
use mio::{Events, Poll};
use quilt_proto::Transmit;
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// What a test that waits in vain waits for at most.
const PATIENCE: Duration = Duration::from_secs(20);
const PACKET_BYTES: usize = 1_200;

/// Says what a test has put into it, and counts what it is told.
#[derive(Debug, Default)]
struct Script {
    actions: VecDeque<Action>,
    packets: BTreeMap<LinkId, VecDeque<Transmit>>,
    links: u64,
    accepted: Vec<LinkId>,
    opened: Vec<LinkId>,
    closed: Vec<(LinkId, LinkError)>,
    bytes_received: BTreeMap<LinkId, usize>,
    datagrams_received: usize,
    pulled: u64,
}

impl Script {
    fn say(&mut self, link: LinkId, packets: impl IntoIterator<Item = Transmit>) {
        self.packets.entry(link).or_default().extend(packets);
        self.actions.push_back(Action::Look { link });
    }

    fn dial(&mut self, link: LinkId, to: SocketAddr) {
        self.actions.push_back(Action::Dial { link, to, from: None });
    }
}

impl Machine for Script {
    fn accept(&mut self, _: Time, _: SocketAddr) -> Option<LinkId> {
        self.links += 1;
        let link = LinkId(self.links);
        opt_out(|| self.accepted.push(link));
        Some(link)
    }

    fn handle(&mut self, _: Time, event: Event) {
        opt_out(|| match event {
            Event::Opened { link } => self.opened.push(link),
            Event::Closed { link, cause } => self.closed.push((link, cause)),
            Event::Received { link, bytes } => {
                *self.bytes_received.entry(link).or_default() += bytes.len();
            }
            Event::Datagram { .. } => self.datagrams_received += 1,
            Event::Timeout | Event::Overrun { .. } | Event::Hop { .. } => {}
        });
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn poll_transmit(&mut self, link: LinkId) -> Option<Transmit> {
        let packet = self.packets.get_mut(&link)?.pop_front()?;
        self.pulled += 1;
        Some(packet)
    }

    fn poll_timeout(&self) -> Option<Time> {
        (!self.actions.is_empty()).then_some(Time::ZERO)
    }
}

/// A driver in a poll loop.
struct Bench {
    poll: Poll,
    events: Events,
    driver: Driver<Script>,
    address: SocketAddr,
}

impl Bench {
    fn new(tokens: Range<usize>) -> Self {
        let (poll, events) = (Poll::new().unwrap(), Events::with_capacity(64));
        let listening = Listening::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listening.address;
        let driver = Driver::new(Script::default(), listening, poll.registry(), tokens).unwrap();
        Self { poll, events, driver, address }
    }

    fn script(&mut self) -> &mut Script {
        &mut self.driver.machine
    }

    /// One turn, after what the system has to tell within `wait` or until the deadline.
    fn turn(&mut self, wait: Duration) {
        let wait = self.driver.deadline().map_or(wait, |at| at.duration_since(Instant::now()));
        self.poll.poll(&mut self.events, Some(wait)).unwrap();
        self.events.iter().for_each(|event| self.driver.on_event(event));
        self.driver.turn();
    }

    fn until(&mut self, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < end, "nothing more happens: {:?}", self.driver.machine);
            self.turn(PATIENCE);
        }
    }

    /// The bytes that came in on a stream.
    fn received(&self, link: LinkId) -> usize {
        self.driver.machine.bytes_received.get(&link).copied().unwrap_or(0)
    }

    /// A peer with a stream to the driver, and the driver's name for it.
    fn connect(&mut self) -> (TcpStream, LinkId) {
        let peer = TcpStream::connect(self.address).unwrap();
        let streams = self.script().accepted.len();
        self.until(|bench| bench.driver.machine.accepted.len() > streams);
        (peer, self.script().accepted[streams])
    }
}

fn packet(to: Option<SocketAddr>, byte: u8, len: usize) -> Transmit {
    let mut packet = Transmit::new(to);
    packet.push_head(&[byte; 8]);
    packet.push_payload(Bytes::from(vec![byte; len - 8]));
    packet
}

#[test]
fn a_stream_is_read_with_two_allocations_for_each_chunk_of_64_kib() {
    let mut bench = Bench::new(0..8);
    let (mut peer, link) = bench.connect();
    // Small pieces: what an allocation for each of them would cost shows.
    let (rounds, piece) = (10_000, [7; 100]);
    let measured = measure(|| {
        for round in 1..=rounds {
            peer.write_all(&piece).unwrap();
            bench.until(|bench| bench.received(link) == round * piece.len());
        }
    });
    // A chunk is given up when less than 8 KiB are left, and costs its memory and the count of
    // those who share it.
    let chunks = (rounds * piece.len()).div_ceil(56 << 10) as u64;
    assert!(measured.count_total <= 2 * chunks, "{measured:?} for {chunks} chunks");
    assert!(measured.bytes_max < 256 << 10, "{measured:?}");
}

#[test]
fn a_stream_is_written_without_an_allocation() {
    let mut bench = Bench::new(0..8);
    let (mut peer, link) = bench.connect();
    let mut received = vec![0; 16 * PACKET_BYTES];
    let mut round = |bench: &mut Bench| {
        opt_out(|| {
            bench.script().say(link, (0..16).map(|byte| packet(None, byte, PACKET_BYTES)));
        });
        bench.until(|bench| bench.driver.is_written() && bench.driver.machine.actions.is_empty());
        peer.read_exact(&mut received).unwrap();
    };
    round(&mut bench);
    let measured = measure(|| (0..100).for_each(|_| round(&mut bench)));
    assert_eq!(measured.count_total, 0, "{measured:?}");
    assert_eq!(bench.driver.calls().snapshot().packets_written, 101 * 16);
}

#[test]
fn datagrams_are_received_with_two_allocations_for_each_64_kib() {
    let mut bench = Bench::new(0..8);
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (rounds, datagram) = (3_000, [7; 200]);
    let measured = measure(|| {
        for round in 1..=rounds {
            peer.send_to(&datagram, bench.address).unwrap();
            bench.until(|bench| bench.driver.machine.datagrams_received == round);
        }
    });
    let chunks = (rounds * datagram.len()).div_ceil(64_000) as u64;
    assert!(measured.count_total <= 2 * chunks, "{measured:?} for {chunks} chunks");
}

#[test]
fn datagrams_are_sent_without_an_allocation() {
    let mut bench = Bench::new(0..8);
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let to = peer.local_addr().ok();
    let mut received = [0; PACKET_BYTES];
    let mut round = |bench: &mut Bench| {
        opt_out(|| {
            let packets = (0..16).map(|byte| packet(to, byte, PACKET_BYTES));
            bench.script().say(LinkId::UDP, packets);
        });
        bench.until(|bench| bench.driver.is_written() && bench.driver.machine.actions.is_empty());
        (0..16).for_each(|_| assert_eq!(peer.recv(&mut received).unwrap(), PACKET_BYTES));
    };
    round(&mut bench);
    let measured = measure(|| (0..100).for_each(|_| round(&mut bench)));
    assert_eq!(measured.count_total, 0, "{measured:?}");
}

#[test]
fn what_a_peer_does_not_read_stays_with_the_machine_but_for_one_packet() {
    let mut bench = Bench::new(0..8);
    let (mut peer, link) = bench.connect();
    let len = 16_000;
    let packets: Vec<_> = (0..2_000).map(|_| packet(None, 1, len)).collect();
    let measured = measure(|| {
        opt_out(|| bench.script().say(link, packets));
        bench.until(|bench| bench.driver.deadline().is_none());
    });
    assert!(measured.bytes_max < 1_024, "the adapter keeps packets: {measured:?}");
    let pulled = bench.script().pulled;
    assert!(pulled < 2_000, "the system took everything: the test proves nothing");
    assert_eq!(pulled, bench.driver.calls().snapshot().packets_written + 1);

    // Nothing is tried again until the system says so.
    let calls = bench.driver.calls().snapshot();
    (0..100).for_each(|_| bench.turn(Duration::ZERO));
    assert_eq!(bench.driver.calls().snapshot(), calls);

    // What is urgent goes out right behind the packet that is under way.
    bench.script().packets.get_mut(&link).unwrap().push_front(packet(None, 2, len));
    let reader = std::thread::spawn(move || {
        let mut received = vec![0; len];
        for number in 0..=2_000 {
            peer.read_exact(&mut received).unwrap();
            let byte = if number == pulled { 2 } else { 1 };
            assert!(received.iter().all(|&b| b == byte), "packet {number}");
        }
    });
    bench.until(|bench| bench.driver.is_written());
    reader.join().unwrap();
}

#[test]
fn a_link_for_which_no_token_is_left_fails_and_the_next_one_gets_that_of_a_closed_one() {
    // The listener, the UDP socket and one link.
    let tokens = 5..8;
    let mut bench = Bench::new(tokens);
    let there = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = there.local_addr().unwrap();
    bench.script().dial(LinkId(1_001), to);
    bench.script().dial(LinkId(1_002), to);
    let address = SocketAddr::from(([239, 255, 77, 78], 27_478));
    let interface = [127, 0, 0, 1].into();
    let multicast = Action::JoinMulticast { link: LinkId(1_003), address, interface, ttl: 0 };
    bench.script().actions.push_back(multicast);
    bench.until(|bench| !bench.driver.machine.opened.is_empty());
    assert_eq!(bench.script().opened, [LinkId(1_001)]);
    let no_room = |link| (LinkId(link), LinkError::NoRoom);
    assert_eq!(bench.script().closed, [no_room(1_002), no_room(1_003)]);

    // Somebody who dials is not left hanging.
    let (mut peer, link) = bench.connect();
    bench.until(|bench| bench.driver.machine.closed.len() > 2);
    assert_eq!(bench.script().closed[2], (link, LinkError::NoRoom));
    assert!(matches!(peer.read(&mut [0]), Ok(0) | Err(_)));

    bench.script().actions.push_back(Action::Close { link: LinkId(1_001) });
    bench.script().dial(LinkId(1_004), to);
    bench.until(|bench| bench.driver.machine.opened.len() > 1);
    assert_eq!(bench.script().opened[1], LinkId(1_004));
}

#[test]
fn too_few_tokens_to_listen_are_an_error() {
    let poll = Poll::new().unwrap();
    for tokens in [0..0, 0..1] {
        let listening = Listening::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let driver = Driver::new(Script::default(), listening, poll.registry(), tokens);
        assert_eq!(link_error(&driver.unwrap_err()), LinkError::NoRoom);
    }
}

#[test]
fn a_turn_takes_a_part_of_a_flood_and_further_turns_take_the_rest() {
    let mut bench = Bench::new(0..8);
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..100 {
        peer.send_to(&[7; 10], bench.address).unwrap();
    }
    bench.turn(PATIENCE);
    let after_one_turn = bench.script().datagrams_received;
    assert!((1..100).contains(&after_one_turn), "{after_one_turn} in the first turn");
    let mut turns = 1;
    // No event is needed: the deadline says that there is more.
    while bench.driver.deadline().is_some_and(|at| at <= Instant::now()) {
        let calls = bench.driver.calls().snapshot();
        bench.driver.turn();
        turns += 1;
        assert!(bench.driver.calls().snapshot().receive <= calls.receive + 1);
    }
    assert_eq!(bench.script().datagrams_received, 100);
    assert!(turns > 2, "{turns} turns");
}

#[test]
fn a_stream_that_floods_gets_one_read_a_turn_like_all_others() {
    let mut bench = Bench::new(0..8);
    let ((mut loud, loud_link), (mut quiet, quiet_link)) = (bench.connect(), bench.connect());
    loud.set_nonblocking(true).unwrap();
    let mut sent = 0;
    while let Ok(len) = loud.write(&[7; 1 << 16]) {
        sent += len;
    }
    quiet.write_all(b"x").unwrap();
    let mut turns = 0;
    while bench.received(quiet_link) == 0 {
        bench.turn(PATIENCE);
        turns += 1;
        assert!(bench.received(loud_link) <= turns * (64 << 10));
    }
    assert!(bench.received(loud_link) < sent, "{sent} bytes are no flood");
    bench.until(|bench| bench.received(loud_link) == sent);
}

#[test]
fn a_link_in_the_place_of_one_that_was_closed_gets_one_read_a_turn_too() {
    let mut bench = Bench::new(0..8);
    let (mut former, former_link) = bench.connect();
    former.write_all(b"x").unwrap();
    // Its readiness is known, and nothing was made of it.
    bench.poll.poll(&mut bench.events, Some(PATIENCE)).unwrap();
    bench.events.iter().for_each(|event| bench.driver.on_event(event));
    bench.driver.slots.close(former_link);
    let mut loud = TcpStream::connect(bench.address).unwrap();
    loud.set_nonblocking(true).unwrap();
    while loud.write(&[7; 1 << 16]).is_ok() {}
    let reads = |bench: &Bench| bench.driver.calls().snapshot().read;
    for _ in 0..4 {
        let before = reads(&bench);
        bench.turn(PATIENCE);
        assert!(reads(&bench) <= before + 1);
    }
    assert!(reads(&bench) > 1, "it was read from");
}
