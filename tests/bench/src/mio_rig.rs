//! Quilt in poll loops: the publisher in the caller's thread, the service and all receivers in
//! another.

use crate::site::{HOSTS, Protocol, group_name, options};
use crate::{RECEIVERS, Rig, Tally};
use bytes::Bytes;
use mio::{Events, Poll, Token, Waker};
use quilt_mio::{Bootstrap, BootstrapConfig, Guest, Node, Notice, PublishError, Url};
use std::error::Error;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The waker's token, beyond all hosts'.
const WAKE: Token = Token(usize::MAX >> 1);
/// Messages published before the loop turns.
const BATCH: u64 = 32;
/// How long the meshes and trees are left alone before anything is measured.
const SETTLING: Duration = Duration::from_secs(3);

/// A publisher and receivers on quilt-mio.
pub struct MioRig {
    publisher: Party<Node>,
    tally: Arc<Tally>,
    shared: Arc<Shared>,
    stop: Waker,
    receivers: Option<JoinHandle<()>>,
}

/// What the receivers' thread says of itself.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    settled: AtomicUsize,
    calls: AtomicU64,
}

/// Guests in one loop.
struct Party<G> {
    poll: Poll,
    events: Events,
    guest: G,
}

impl<G: Guest> Party<G> {
    fn turn(&mut self, at_most: Option<Duration>) {
        let until = |at: Instant| at.saturating_duration_since(Instant::now());
        let wait = [self.guest.deadline().map(until), at_most].into_iter().flatten().min();
        self.poll.poll(&mut self.events, wait).expect("a poll");
        for event in &self.events {
            self.guest.on_event(event);
        }
        self.guest.turn();
    }
}

/// The service and the receivers.
struct Audience {
    service: Bootstrap,
    nodes: Vec<Node>,
}

impl Guest for Audience {
    fn on_event(&mut self, event: &mio::event::Event) {
        self.service.on_event(event);
        self.nodes.on_event(event);
    }

    fn turn(&mut self) {
        self.service.turn();
        self.nodes.turn();
    }

    fn deadline(&self) -> Option<Instant> {
        [self.service.deadline(), self.nodes.deadline()].into_iter().flatten().min()
    }
}

/// The tokens set aside for a host.
fn tokens(host: usize) -> Range<usize> {
    const EACH: usize = 1 << 16;
    host * EACH..(host + 1) * EACH
}

impl MioRig {
    /// A settled group whose patch runs `protocol`.
    ///
    /// # Errors
    /// The group cannot be set up.
    pub fn new(protocol: Protocol) -> Result<Self, Box<dyn Error>> {
        let poll = Poll::new()?;
        let any_port = ([127, 0, 0, 1], 0).into();
        let config = BootstrapConfig::default();
        let service = Bootstrap::bind(poll.registry(), tokens(HOSTS), any_port, config)?;
        let url = Url::new(service.local_addr(), &group_name())?;
        let join = |n| Node::join(poll.registry(), tokens(n), &url, options(protocol, n));
        let nodes = (1..HOSTS).map(join).collect::<Result<Vec<_>, _>>()?;
        let stop = Waker::new(poll.registry(), WAKE)?;
        let guest = Audience { service, nodes };
        let audience = Party { poll, events: Events::with_capacity(256), guest };

        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let guest = Node::join(poll.registry(), tokens(0), &url, options(protocol, 0))?;
        let publisher = Party { poll, events: Events::with_capacity(256), guest };
        let tally = Arc::new(Tally::new(move || {
            let _ = waker.wake();
        }));
        let shared = Arc::new(Shared::default());
        let (counting, telling) = (tally.clone(), shared.clone());
        let receivers =
            std::thread::spawn(move || receive(audience, protocol, &counting, &telling));
        let mut rig = Self { publisher, tally, shared, stop, receivers: Some(receivers) };
        rig.settle(protocol);
        Ok(rig)
    }

    fn settle(&mut self, protocol: Protocol) {
        let mut since = Instant::now();
        while since.elapsed() < SETTLING {
            self.turn(Some(Duration::from_millis(10)));
            let settled = self.shared.settled.load(SeqCst) == RECEIVERS;
            if !settled || !stands(&self.publisher.guest, protocol) {
                since = Instant::now();
            }
        }
    }

    fn turn(&mut self, at_most: Option<Duration>) {
        self.publisher.turn(at_most);
        while self.publisher.guest.poll_notice().is_some() {}
    }
}

/// Whether a host is in a patch that runs `protocol`.
fn stands(node: &Node, protocol: Protocol) -> bool {
    node.place().is_some_and(|place| place.protocol.to_string() == protocol.name())
}

/// Turns the receivers' loop until it is told to stop.
fn receive(mut party: Party<Audience>, protocol: Protocol, tally: &Tally, shared: &Shared) {
    while !shared.stop.load(SeqCst) {
        party.turn(None);
        let mut got = 0;
        for node in &mut party.guest.nodes {
            while let Some(notice) = node.poll_notice() {
                match notice {
                    Notice::Message(_) => got += 1,
                    Notice::Gap { .. } => panic!("a gap: {notice:?}"),
                    _ => {}
                }
            }
        }
        let nodes = &party.guest.nodes;
        let settled = nodes.iter().filter(|node| stands(node, protocol)).count();
        shared.settled.store(settled, SeqCst);
        shared.calls.store(nodes.iter().map(|node| node.system_calls().total()).sum(), SeqCst);
        tally.add(got);
    }
}

impl Rig for MioRig {
    fn pass(&mut self, body: &Bytes, times: u64) {
        self.tally.want(times * RECEIVERS as u64);
        let mut left = times;
        while left > 0 {
            let mut wait = Some(Duration::ZERO);
            for _ in 0..left.min(BATCH) {
                match self.publisher.guest.publish(body.clone()) {
                    Ok(_) => left -= 1,
                    Err(PublishError::WouldBlock) => wait = None,
                    Err(error) => panic!("cannot publish: {error}"),
                }
            }
            self.turn(wait);
        }
        while self.tally.missing() > 0 {
            self.turn(None);
        }
    }

    fn system_calls(&self) -> Option<(u64, u64)> {
        let publisher = self.publisher.guest.system_calls().total();
        Some((publisher, self.shared.calls.load(SeqCst)))
    }
}

impl Drop for MioRig {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        let _ = self.stop.wake();
        let _ = self.receivers.take().map(JoinHandle::join);
    }
}
