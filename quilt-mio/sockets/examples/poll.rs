//! An adapter in one file: a loop around `poll(2)`, as a C program has it. A bootstrap service
//! and two hosts live in it; one publishes a message, and the loop ends when the other has it.
//!
//! `cargo run -p quilt-sockets --example poll`

use quilt_proto::{
    Action, Bootstrap, BootstrapConfig, Event, Group, GroupId, LinkError, LinkId, Machine, Notice,
    Time,
};
use quilt_sockets::{
    ACCEPT_PAUSE, Calls, Clock, DatagramReader, DatagramWriter, Listening, Membership, Options,
    SockRef, StreamReader, StreamWriter, connected, datagrams, dial, link_error, seed, tune,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

fn main() -> Result<(), Box<dyn Error>> {
    let any_port: SocketAddr = "127.0.0.1:0".parse()?;
    let listening = Listening::bind(any_port)?;
    let bootstrap = listening.address;
    let machine = Bootstrap::new(BootstrapConfig::default(), seed());
    let mut service = Host::new(machine, listening)?;
    let join = || -> Result<_, Box<dyn Error>> {
        let listening = Listening::bind(any_port)?;
        let node = Options::default().node(listening.address, seed());
        let mut host = Host::new(node, listening)?;
        let group = Group::new("tea", bootstrap);
        host.machine.join(host.clock.now(), group)?;
        Ok(host)
    };
    let (mut alice, mut bob) = (join()?, join()?);
    let tea = GroupId::named("tea");

    let mut published = false;
    loop {
        let mut fds = Vec::new();
        service.watch(&mut fds);
        alice.watch(&mut fds);
        bob.watch(&mut fds);
        let deadlines = [service.wait(), alice.wait(), bob.wait()];
        match poll(&mut fds, deadlines.iter().flatten().min()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        let mut ready = ready.into_iter();
        service.turn(&mut ready);
        alice.turn(&mut ready);
        bob.turn(&mut ready);

        while alice.machine.poll_notice().is_some() {}
        while let Some((_, notice)) = bob.machine.poll_notice() {
            if let Notice::Message(message) = notice {
                println!("{}: {:?}", message.source, message.body.into_bytes());
                return Ok(());
            }
        }
        if !published && alice.machine.place(tea).and(bob.machine.place(tea)).is_some() {
            alice.machine.publish(alice.clock.now(), tea, "the kettle is on".into())?;
            published = true;
        }
    }
}

/// A machine and its sockets.
struct Host<M> {
    machine: M,
    clock: Clock,
    calls: Calls,
    listener: TcpListener,
    /// When to listen again: the listener is ready all along while there is no descriptor for who
    /// knocks.
    listen_at: Option<Time>,
    links: BTreeMap<LinkId, Socket>,
    /// The links for which the machine may have something.
    asked: BTreeSet<LinkId>,
}

enum Socket {
    /// A stream, and whether it is open yet.
    Stream(TcpStream, bool, Box<(StreamReader, StreamWriter)>),
    /// A datagram socket, and where a packet without an address goes.
    Datagrams(UdpSocket, Option<SocketAddr>, Box<(DatagramReader, DatagramWriter)>),
}

impl<M: Machine> Host<M> {
    fn new(machine: M, Listening { tcp: listener, udp, .. }: Listening) -> io::Result<Self> {
        let links = BTreeMap::from([(LinkId::UDP, Socket::datagrams(udp, None)?)]);
        let (clock, calls, asked) = (Clock::start(), Calls::default(), BTreeSet::new());
        Ok(Self { machine, clock, calls, listener, listen_at: None, links, asked })
    }

    /// Says what to wait for: the listener, then every link in order.
    fn watch<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        let pauses = self.listen_at.is_some();
        let knocks = if pauses { PollFlags::empty() } else { PollFlags::IN };
        fds.push(PollFd::new(&self.listener, knocks));
        let links = self.links.iter();
        fds.extend(links.map(|(link, socket)| socket.watch(self.asked.contains(link))));
    }

    /// How long to wait at most.
    fn wait(&self) -> Option<Timespec> {
        let next = [self.machine.poll_timeout(), self.listen_at].into_iter().flatten().min()?;
        Timespec::try_from(next.since(self.clock.now())).ok()
    }

    /// Takes what became ready, in the order in which it was waited for. `poll` tells again of what
    /// is left over, so each socket gets one read and one write a turn.
    fn turn(&mut self, ready: &mut impl Iterator<Item = PollFlags>) {
        let listener = ready.next();
        let links: Vec<_> = self.links.keys().copied().zip(ready).collect();
        let now = self.clock.now();
        if self.machine.poll_timeout().is_some_and(|at| at <= now) {
            self.machine.handle(now, Event::Timeout);
        }
        self.listen_at = self.listen_at.filter(|&at| at > now);
        if listener.is_some_and(|ready| !ready.is_empty()) {
            self.accept(now);
        }
        self.act(now);
        for (link, ready) in links {
            // A link may have been closed since it was waited for.
            let Some(socket) = self.links.get_mut(&link) else { continue };
            let (machine, calls) = (&mut self.machine, &self.calls);
            match socket.serve(ready, (link, machine, now), calls) {
                Ok(true) => {}
                Ok(false) => {
                    self.asked.remove(&link);
                }
                Err(cause) => {
                    self.close(link);
                    self.machine.handle(now, Event::Closed { link, cause });
                }
            }
            self.act(now);
        }
    }

    /// Takes in who knocks.
    fn accept(&mut self, now: Time) {
        match self.listener.accept() {
            Ok((stream, from)) => {
                if let Some(link) = self.machine.accept(now, from) {
                    let opened = stream.set_nonblocking(true);
                    self.open(now, link, opened.map(|()| Socket::stream(stream, true)));
                }
            }
            Err(error) => {
                let pauses = goes_on(error).is_err();
                self.listen_at = pauses.then(|| now + ACCEPT_PAUSE);
            }
        }
    }

    /// Does what the machine wants done.
    fn act(&mut self, now: Time) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Dial { link, to, from } => {
                    let dialled = dial(to, from).map(|stream| Socket::stream(stream, false));
                    self.open(now, link, dialled);
                }
                Action::JoinMulticast { link, address, interface, ttl } => {
                    let joined = Membership { address, interface, ttl }.join();
                    let socket = joined.and_then(|socket| Socket::datagrams(socket, Some(address)));
                    if self.open(now, link, socket) {
                        self.machine.handle(now, Event::Opened { link });
                    }
                }
                // Nobody asks for it at a loopback address.
                Action::Probe { .. } => {}
                Action::Close { link } => self.close(link),
                Action::Look { link } => {
                    self.asked.insert(link);
                }
            }
        }
    }

    /// Enters a socket for a link; tells the machine if there is none.
    fn open(&mut self, now: Time, link: LinkId, opened: io::Result<Socket>) -> bool {
        match opened {
            Ok(socket) => self.links.insert(link, socket).is_none(),
            Err(error) => {
                self.machine.handle(now, Event::Closed { link, cause: link_error(&error) });
                false
            }
        }
    }

    fn close(&mut self, link: LinkId) {
        self.links.remove(&link);
        self.asked.remove(&link);
    }
}

impl Socket {
    fn stream(stream: TcpStream, open: bool) -> Self {
        tune(&SockRef::from(&stream));
        Self::Stream(stream, open, Box::default())
    }

    fn datagrams(socket: UdpSocket, group: Option<SocketAddr>) -> io::Result<Self> {
        let halves = datagrams(&SockRef::from(&socket))?;
        Ok(Self::Datagrams(socket, group, halves.into()))
    }

    fn watch(&self, asked: bool) -> PollFd<'_> {
        let flags = if asked { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        match self {
            Self::Stream(stream, false, _) => PollFd::new(stream, PollFlags::OUT),
            Self::Stream(stream, ..) => PollFd::new(stream, flags),
            Self::Datagrams(socket, ..) => PollFd::new(socket, flags),
        }
    }

    /// One read and one write, as far as the socket is ready: whether the machine may have more
    /// for it, or the cause if it is over.
    fn serve(
        &mut self,
        ready: PollFlags,
        (link, machine, now): (LinkId, &mut impl Machine, Time),
        calls: &Calls,
    ) -> Result<bool, LinkError> {
        // What ends a stream shows when it is read.
        let readable = ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
        let writable = ready.contains(PollFlags::OUT);
        match self {
            Self::Stream(_, false, _) if ready.is_empty() => {}
            Self::Stream(stream, open @ false, _) => {
                *open = connected(&SockRef::from(&*stream)).map_err(|error| link_error(&error))?;
                if *open {
                    machine.handle(now, Event::Opened { link });
                }
            }
            Self::Stream(stream, true, halves) => {
                let (socket, (reader, writer)) = (SockRef::from(&*stream), &mut **halves);
                if readable {
                    match reader.read(&socket, calls) {
                        Ok(bytes) if bytes.is_empty() => return Err(LinkError::Ended),
                        Ok(bytes) => {
                            machine.handle(now, Event::Received { link, bytes: bytes.into() })
                        }
                        Err(error) => goes_on(error)?,
                    }
                }
                if writable {
                    let has_more = writer.fill(|| machine.poll_transmit(link));
                    writer.flush(&socket, calls).or_else(goes_on)?;
                    return Ok(has_more);
                }
            }
            Self::Datagrams(socket, group, halves) => {
                let (socket, (reader, writer)) = (SockRef::from(&*socket), &mut **halves);
                if readable {
                    // An error is word of an earlier datagram that did not arrive.
                    let _ = reader.read(&socket, calls, |from, bytes| {
                        machine.handle(now, Event::Datagram { link, from, bytes: bytes.into() });
                    });
                }
                if writable {
                    writer.fill(*group, calls, || machine.poll_transmit(link));
                    let has_more = !writer.is_empty();
                    let _ = writer.flush(&socket, calls);
                    return Ok(has_more);
                }
            }
        }
        Ok(true)
    }
}

fn goes_on(error: io::Error) -> Result<(), LinkError> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(()),
        _ => Err(link_error(&error)),
    }
}
