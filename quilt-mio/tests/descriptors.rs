//! A process that runs out of descriptors. It has one test, since the limit is that of the process.
#![cfg(unix)]

use mio::{Events, Poll};
use quilt_mio::{Bootstrap, BootstrapConfig, Guest};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

#[test]
fn a_listener_without_descriptors_pauses_and_goes_on_when_there_are_some() {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(64);
    let any_port = ([127, 0, 0, 1], 0).into();
    let config = BootstrapConfig::default();
    let mut service = Bootstrap::bind(poll.registry(), 0..100, any_port, config).unwrap();
    let _client = TcpStream::connect(service.local_addr()).unwrap();
    let before = getrlimit(Resource::Nofile);
    let lowest_free = std::fs::File::open("/dev/null").unwrap().as_raw_fd();
    let mut none_left = before;
    none_left.current = u64::try_from(lowest_free).ok();
    setrlimit(Resource::Nofile, none_left).unwrap();

    // It tries, fails, and has something to do again only after a pause.
    let mut turn = || {
        let until = |at: Instant| at.saturating_duration_since(Instant::now());
        let wait = service.deadline().map_or(Duration::from_millis(10), until);
        poll.poll(&mut events, Some(wait)).unwrap();
        events.iter().for_each(|event| service.on_event(event));
        service.turn();
        let pauses = service.deadline().is_some_and(|at| at > Instant::now());
        (pauses, service.system_calls().read)
    };
    let end = Instant::now() + Duration::from_secs(20);
    let mut pauses = 0;
    while pauses < 3 {
        pauses += u32::from(turn().0);
        assert!(Instant::now() < end, "it does not pause");
    }

    setrlimit(Resource::Nofile, before).unwrap();
    while turn().1 == 0 {
        assert!(Instant::now() < end, "nobody takes the stream in");
    }
}
