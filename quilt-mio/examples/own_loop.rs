//! A poll loop of one's own, with a socket and a timer of its own, and Quilt as a guest beside
//! them: what comes in by UDP, one line a datagram, is published to a group.
//!
//! `cargo run -p quilt-mio --example own_loop` has the group's bootstrap service and two hosts in
//! one loop, sends itself five lines, one at each beat of the timer, and ends.

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use quilt_mio::{Bootstrap, BootstrapConfig, Guest, Node, Notice, Options, PublishError, Url};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The loop's own token. Those of the guests begin at a thousand.
const LINES: Token = Token(0);
const BEAT: Duration = Duration::from_millis(50);
const BEATS: u32 = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let any_port: SocketAddr = "127.0.0.1:0".parse()?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(64);

    let registry = poll.registry();
    let mut service =
        Bootstrap::bind(registry, 1_000..2_000, any_port, BootstrapConfig::default())?;
    let url = Url::new(service.local_addr(), "lines")?;
    let publisher = Node::join(registry, 2_000..3_000, &url, Options::default())?;
    let listener = Node::join(registry, 3_000..4_000, &url, Options::default())?;
    // Guests of one kind may live in a `Vec`, which is a guest as well.
    let mut hosts = vec![publisher, listener];

    let mut lines = Lines::bind(any_port)?;
    registry.register(&mut lines.socket, LINES, Interest::READABLE)?;
    let mut beats = Beats { next: Instant::now() + BEAT, said: 0 };
    let mut heard = 0;

    while !hosts.iter().all(|host| host.is_over() && host.is_written()) {
        let deadlines = [service.deadline(), hosts.deadline()];
        let next = deadlines.into_iter().flatten().fold(beats.next, Instant::min);
        let wait = next.saturating_duration_since(Instant::now());
        match poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            match event.token() {
                LINES => lines.readable = true,
                _ => {
                    service.on_event(event);
                    hosts.on_event(event);
                }
            }
        }

        // A host receives what is published after it has become a member.
        beats.turn(&lines.socket, hosts.iter().all(|host| host.place().is_some()))?;
        service.turn();
        hosts.turn();
        for (name, host) in ["publisher", "listener"].into_iter().zip(&mut hosts) {
            heard += tell(name, host);
        }
        // After the notices, since one may have said that there is room again.
        lines.publish(&mut hosts[0])?;
        if heard == BEATS {
            hosts.iter_mut().for_each(Node::leave);
        }
    }
    Ok(())
}

/// A timer that has nothing to do with Quilt.
struct Beats {
    next: Instant,
    said: u32,
}

impl Beats {
    /// When it is time, sends the socket a line, once somebody `listens`.
    fn turn(&mut self, socket: &UdpSocket, listens: bool) -> io::Result<()> {
        if self.next > Instant::now() {
            return Ok(());
        }
        self.next += BEAT;
        if self.said < BEATS && listens {
            self.said += 1;
            let line = format!("beat {} of {BEATS}", self.said);
            socket.send_to(line.as_bytes(), socket.local_addr()?)?;
        }
        Ok(())
    }
}

/// Prints what a host is told; how many messages were among it.
fn tell(name: &str, host: &mut Node) -> u32 {
    let mut messages = 0;
    while let Some(notice) = host.poll_notice() {
        match notice {
            Notice::Message(message) => {
                messages += 1;
                let line = message.body.into_bytes();
                println!("{name} hears {:?}", String::from_utf8_lossy(&line));
            }
            other => println!("{name}: {other:?}"),
        }
    }
    messages
}

/// A socket that has nothing to do with Quilt.
struct Lines {
    socket: UdpSocket,
    /// The poll tells only once that there is something to read.
    readable: bool,
    /// A line that the group has no room for yet. The others wait in the socket meanwhile.
    waiting: Option<Vec<u8>>,
}

impl Lines {
    fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { socket: UdpSocket::bind(address)?, readable: false, waiting: None })
    }

    /// Publishes what has come in, as far as the group takes it.
    fn publish(&mut self, node: &mut Node) -> Result<(), Box<dyn std::error::Error>> {
        while let Some(line) = self.next()? {
            match node.publish(line.clone()) {
                Ok(_) => {}
                Err(PublishError::WouldBlock | PublishError::NotAdmitted) => {
                    self.waiting = Some(line);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.waiting.take() {
            None => self.read(),
            line => Ok(line),
        }
    }

    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = vec![0; 1_500];
        while self.readable {
            match self.socket.recv(&mut line) {
                Ok(len) => {
                    line.truncate(len);
                    return Ok(Some(line));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}
