//! Guests in a poll loop that is not theirs.

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use quilt_mio::proto::{Counter, LinkError};
use quilt_mio::{
    Bootstrap, BootstrapConfig, Guest, JoinError, Message, Node, Notice, Options, PublishError, Url,
};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

/// What a test that waits in vain waits for at most.
const PATIENCE: Duration = Duration::from_secs(20);
const SERVICE: Range<usize> = 100..200;

/// A loop with a bootstrap service and hosts in it.
struct Rig {
    poll: Poll,
    events: Events,
    service: Bootstrap,
    url: Url,
    hosts: Vec<Node>,
    /// Every token that an event had.
    seen: BTreeSet<usize>,
}

impl Rig {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let config = BootstrapConfig::default();
        let service = Bootstrap::bind(poll.registry(), SERVICE, any_port(), config).unwrap();
        let url = Url::new(service.local_addr(), "tea").unwrap();
        let (events, seen) = (Events::with_capacity(64), BTreeSet::new());
        Self { poll, events, service, url, hosts: Vec::new(), seen }
    }

    /// Takes a host in; its place among the others.
    fn join(&mut self, tokens: Range<usize>) -> usize {
        let options = Options { publish_bytes_per_second: 1 << 30, ..Options::default() };
        let host = Node::join(self.poll.registry(), tokens, &self.url, options).unwrap();
        self.hosts.push(host);
        let at = self.hosts.len() - 1;
        self.until(|rig| rig.hosts[at].place().is_some());
        at
    }

    /// Waits for what is next, and lets everybody have a turn but the host `asleep`.
    fn turn(&mut self, asleep: Option<usize>) {
        let awake = |at: &usize| Some(*at) != asleep;
        let hosts = (0..self.hosts.len()).filter(awake);
        let deadlines = hosts.clone().filter_map(|at| self.hosts[at].deadline());
        let wait = deadlines.chain(self.service.deadline()).min();
        let wait = wait.map(|at| at.saturating_duration_since(Instant::now()));
        self.poll.poll(&mut self.events, wait.or(Some(PATIENCE))).unwrap();
        for event in &self.events {
            self.seen.insert(event.token().0);
            self.service.on_event(event);
            self.hosts.on_event(event);
        }
        self.service.turn();
        hosts.for_each(|at| self.hosts[at].turn());
    }

    fn until(&mut self, done: impl FnMut(&mut Self) -> bool) {
        self.until_without(None, done);
    }

    fn until_without(&mut self, asleep: Option<usize>, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < end, "it does not come about");
            self.turn(asleep);
        }
    }
}

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn messages(host: &mut Node) -> impl Iterator<Item = Message> {
    std::iter::from_fn(|| host.poll_notice()).filter_map(|notice| match notice {
        Notice::Message(message) => Some(message),
        Notice::Gap { .. } => panic!("{notice:?}"),
        _ => None,
    })
}

#[test]
fn guests_keep_to_their_tokens_and_leave_those_of_others_alone() {
    let mut rig = Rig::new();
    // As close to each other as they can be, around the loop's own.
    let ranges = [200..210, 211..221, 221..231];
    let own = Token(210);
    let mut socket = UdpSocket::bind(any_port()).unwrap();
    let interest = Interest::READABLE | Interest::WRITABLE;
    rig.poll.registry().register(&mut socket, own, interest).unwrap();
    for range in ranges.clone() {
        rig.join(range);
    }
    rig.hosts[0].publish("tea").unwrap();
    let mut heard = [0; 3];
    rig.until(|rig| {
        // Each datagram is an event for the loop's own socket.
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        heard
            .iter_mut()
            .zip(&mut rig.hosts)
            .for_each(|(heard, host)| *heard += messages(host).count());
        heard == [0, 1, 1]
    });
    assert!(rig.seen.remove(&own.0), "the loop's own socket had no event");
    let all = || ranges.iter().cloned().chain([SERVICE]);
    let strays: Vec<_> = rig.seen.iter().filter(|&at| !all().any(|r| r.contains(at))).collect();
    assert!(strays.is_empty(), "tokens {strays:?} belong to nobody");
    for range in ranges {
        assert!(rig.seen.range(range).count() > 2, "no link had an event: {:?}", rig.seen);
    }
}

#[test]
fn events_of_others_give_a_guest_nothing_to_do() {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(64);
    let config = BootstrapConfig::default();
    let mut guest = Bootstrap::bind(poll.registry(), SERVICE, any_port(), config).unwrap();
    // Its own sockets are tried once.
    while guest.deadline().is_some() {
        guest.turn();
    }
    let calls = guest.system_calls();
    let tokens = [0, SERVICE.start - 1, SERVICE.end, usize::MAX - 1];
    let sockets = tokens.map(|token| {
        let mut socket = UdpSocket::bind(any_port()).unwrap();
        poll.registry().register(&mut socket, Token(token), Interest::READABLE).unwrap();
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        socket
    });
    let mut seen = BTreeSet::new();
    while !tokens.iter().all(|token| seen.contains(token)) {
        poll.poll(&mut events, Some(PATIENCE)).unwrap();
        assert!(!events.is_empty(), "only {seen:?} had events");
        seen.extend(events.iter().map(|event| event.token().0));
        events.iter().for_each(|event| guest.on_event(event));
        assert_eq!(guest.deadline(), None);
    }
    guest.turn();
    assert_eq!(guest.system_calls(), calls);
    drop(sockets);
}

#[test]
fn a_host_without_tokens_to_listen_is_refused_and_one_with_few_has_few_links() {
    let mut rig = Rig::new();
    let none = Node::join(rig.poll.registry(), 300..301, &rig.url, Options::default());
    match none {
        Err(JoinError::Bind(error)) => assert_eq!(error.cause(), LinkError::NoRoom),
        other => panic!("{other:?}"),
    }
    rig.join(400..500);
    rig.join(500..600);
    rig.join(600..700);
    // One link has to do for a host that others would like to have several to.
    let poor = rig.join(300..303);
    let count = 50;
    for number in 0..count {
        rig.hosts[0].publish(vec![number; 100]).unwrap();
    }
    let mut heard = Vec::new();
    rig.until(|rig| {
        (0..poor).for_each(|at| drop(messages(&mut rig.hosts[at]).last()));
        heard.extend(messages(&mut rig.hosts[poor]).map(|message| message.body.into_bytes()[0]));
        heard.len() == usize::from(count)
    });
    assert!(heard.into_iter().eq(0..count));
}

#[test]
fn what_is_published_between_two_turns_shares_packets_and_calls() {
    let mut rig = Rig::new();
    let (alice, bob) = (rig.join(300..400), rig.join(400..500));
    let before = rig.hosts[alice].system_calls();
    let count = 1_000;
    for number in 0..count {
        rig.hosts[alice].publish(format!("message {number}")).unwrap();
    }
    assert_eq!(rig.hosts[alice].system_calls(), before, "publishing makes no calls");
    let mut heard = 0;
    rig.until(|rig| {
        heard += messages(&mut rig.hosts[bob]).count();
        heard == count
    });
    let after = rig.hosts[alice].system_calls();
    let (packets, calls) =
        (after.packets_written - before.packets_written, after.total() - before.total());
    // Some of either are words and beats.
    assert!(packets < 100, "{packets} packets");
    assert!(calls < 200, "{calls} calls, {before:?} to {after:?}");
}

#[test]
fn what_a_host_that_hangs_does_not_take_stays_in_the_core_and_reaches_it_when_it_goes_on() {
    let mut rig = Rig::new();
    // One of so many that it holds up nobody.
    let hosts: Vec<usize> = (3..9).map(|n| rig.join(n * 100..(n + 1) * 100)).collect();
    let (alice, asleep) = (hosts[0], hosts[1]);
    // More than the system takes for a peer that does not read.
    let (count, body) = (400, bytes::Bytes::from(vec![7; 50_000]));
    let (mut published, mut heard) = (0, vec![0; hosts.len()]);
    let mut waits = false;
    rig.until_without(Some(asleep), |rig| {
        while published < count {
            match rig.hosts[alice].publish(body.clone()) {
                Ok(_) => published += 1,
                Err(PublishError::WouldBlock) => break,
                Err(error) => panic!("{error}"),
            }
        }
        for at in hosts.iter().copied().filter(|&at| at != asleep) {
            heard[at] += messages(&mut rig.hosts[at]).count();
            // Of what the core has handed out all is written, but for one packet a link.
            let host = &rig.hosts[at];
            let calls = host.system_calls();
            let written = calls.packets_written + calls.datagrams_sent + calls.datagrams_refused;
            let unwritten = host.counters().get(Counter::PacketsSent) - written;
            waits |= unwritten > 0;
            assert!(unwritten <= hosts.len() as u64, "{unwritten} packets wait in the adapter");
        }
        heard.iter().sum::<usize>() == count * (hosts.len() - 2)
    });
    assert!(waits, "the system took everything: the test proves nothing");
    rig.until(|rig| {
        for &at in &hosts {
            heard[at] += messages(&mut rig.hosts[at]).count();
        }
        heard[asleep] == count
    });
}

#[test]
fn a_host_that_leaves_before_it_is_admitted_is_not_done_until_its_farewell_is_written() {
    let mut rig = Rig::new();
    let mut host =
        Node::join(rig.poll.registry(), 0..50, &rig.url, Options::default()).expect("a free port");
    host.turn();
    let calls = host.system_calls();
    host.leave();
    assert_eq!(host.poll_notice(), Some(Notice::Left));
    assert!(host.is_over() && !host.is_written(), "the service has not heard of it");
    while !host.is_written() {
        rig.poll.poll(&mut rig.events, Some(Duration::ZERO)).unwrap();
        rig.events.iter().for_each(|event| host.on_event(event));
        host.turn();
    }
    assert!(host.system_calls().datagrams_sent > calls.datagrams_sent);
}
