//! Guests in a loop of their own.

use quilt_mio::proto::{EvictCause, HostId, Incarnation, RejectCause};
use quilt_mio::{Bootstrap, BootstrapConfig, JoinError, Loop, Message, Node, Notice, Options, Url};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a test that waits in vain waits for at most.
const PATIENCE: Duration = Duration::from_secs(20);
/// How soon the service looks whether it is asked for something.
const SOON: Duration = Duration::from_millis(5);

/// A bootstrap service in a thread of its own, until it is dropped.
struct Service {
    url: Url,
    /// Where to tell how many hosts are in each group.
    asks: Option<Sender<Sender<Vec<usize>>>>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    fn new() -> Self {
        let any_port = ([127, 0, 0, 1], 0).into();
        let service = Loop::bind(any_port, BootstrapConfig::default()).unwrap();
        let url = Url::new(service.guest().local_addr(), "tea").unwrap();
        let (asks, asked) = channel();
        let thread = std::thread::spawn(move || serve(service, &asked));
        Self { url, asks: Some(asks), thread: Some(thread) }
    }

    fn join(&self, options: Options) -> Result<Loop<Node>, JoinError> {
        Loop::join(&self.url, options)
    }

    /// How many hosts are in each group.
    fn hosts(&self) -> Vec<usize> {
        let (tell, told) = channel();
        self.asks.iter().for_each(|asks| asks.send(tell.clone()).unwrap());
        told.recv_timeout(PATIENCE).unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.asks = None;
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))));
    }
}

fn serve(mut service: Loop<Bootstrap>, asked: &Receiver<Sender<Vec<usize>>>) {
    loop {
        service.turn(Some(SOON)).unwrap();
        match asked.try_recv() {
            Ok(tell) => {
                let hosts = service.guest().groups().map(|group| group.hosts).collect();
                let _ = tell.send(hosts);
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return,
        }
    }
}

/// The messages that a host is told of, until it has so many.
fn messages(host: &mut Loop<Node>, count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    while messages.len() < count {
        match host.next_notice().unwrap() {
            Some(Notice::Message(message)) => messages.push(message),
            Some(Notice::Gap { .. }) | None => panic!("after {} messages", messages.len()),
            Some(_) => {}
        }
    }
    messages
}

#[test]
fn a_host_joins_and_the_service_has_it_no_more_once_it_has_left() {
    let service = Service::new();
    assert_eq!(service.hosts(), []);
    let host = service.join(Options::default()).unwrap();
    assert!(host.guest().place().is_some(), "joined and nowhere");
    assert_eq!(service.hosts(), [1]);
    host.leave().unwrap();
    // What it said last may still be on its way.
    let end = Instant::now() + PATIENCE;
    while !service.hosts().is_empty() {
        assert!(Instant::now() < end, "the service still has the host");
    }
}

#[test]
fn a_host_that_does_not_create_the_group_is_refused_while_nobody_is_in_it() {
    let service = Service::new();
    let guest = || Options { create: false, ..Options::default() };
    match service.join(guest()) {
        Err(JoinError::Rejected(RejectCause::UnknownGroup)) => {}
        other => panic!("{other:?}"),
    }
    let _first = service.join(Options::default()).unwrap();
    assert!(service.join(guest()).unwrap().guest().place().is_some());
}

#[test]
fn sending_beyond_the_rate_waits_and_loses_nothing() {
    const COUNT: u8 = 40;
    const LEN: usize = 10_000;
    const RATE: u64 = 400_000;
    let service = Service::new();
    let mut bob = service.join(Options::default()).unwrap();
    let bob = std::thread::spawn(move || messages(&mut bob, COUNT.into()));
    let slow = Options { publish_bytes_per_second: RATE, ..Options::default() };
    let mut alice = service.join(slow).unwrap();
    let begin = Instant::now();
    for number in 0..COUNT {
        alice.send(vec![number; LEN]).unwrap();
    }
    let took = begin.elapsed();
    alice.leave().unwrap();
    let heard = bob.join().unwrap().into_iter().map(|message| message.body.into_bytes());
    let all = (0..COUNT).map(|number| vec![number; LEN]);
    assert!(heard.eq(all), "something is missing, or out of order");
    // A second of it, of which a small part may go at once.
    assert!(took > Duration::from_millis(500), "all was sent within {took:?}");
}

#[test]
fn a_host_is_put_out_by_its_own_next_life() {
    let service = Service::new();
    let life = |number| Options {
        host: Some(HostId([7; 32])),
        incarnation: Incarnation(number),
        ..Options::default()
    };
    let mut old = service.join(life(1)).unwrap();
    let new = service.join(life(2)).unwrap();
    loop {
        match old.next_notice().unwrap() {
            Some(Notice::Evicted { cause }) => break assert_eq!(cause, EvictCause::Replaced),
            Some(_) => {}
            None => panic!("it is over without having been put out"),
        }
    }
    assert_eq!(old.next_notice().unwrap(), None);
    assert!(new.guest().place().is_some());
    assert_eq!(service.hosts(), [1]);
}
