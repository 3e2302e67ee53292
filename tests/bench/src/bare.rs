//! Bare datagrams: what the system does without Quilt. Nothing is repaired; so that nothing is
//! lost, the sender waits for each batch.

use crate::{RECEIVERS, Rig, Tally};
use bytes::Bytes;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use quilt_sockets::{Membership, SockRef};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The payload of a datagram at most, as in Quilt's.
const DATAGRAM_BYTES: usize = 1_136;
/// Datagrams moved by one call at most.
const BATCH: usize = 64;
/// Datagrams of a batch to each receiver at most: well within its buffer.
const UNDER_WAY: usize = 512;
/// As much as Quilt asks for.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// Whatever has not come by then was lost.
const PATIENCE: Duration = Duration::from_secs(5);
const STOP: Token = Token(usize::MAX);

/// How the copies are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// One datagram for each receiver.
    Unicast,
    /// One datagram, which the system hands to every member of an IP-multicast address.
    Multicast,
}

/// A bare sender and its receivers.
pub struct Bare {
    socket: std::net::UdpSocket,
    targets: Vec<SockaddrIn>,
    tally: Arc<Tally>,
    progress: Arc<(Mutex<()>, Condvar)>,
    stop: Waker,
    receivers: Option<JoinHandle<()>>,
}

impl Bare {
    /// Sockets on loopback, and one thread that receives for all.
    ///
    /// # Errors
    /// The system refuses a socket.
    pub fn new(copies: Copies) -> io::Result<Self> {
        let (sockets, socket, targets) = match copies {
            Copies::Unicast => unicast()?,
            Copies::Multicast => multicast()?,
        };
        let progress = Arc::new((Mutex::new(()), Condvar::new()));
        let woken = progress.clone();
        let tally = Arc::new(Tally::new(move || {
            let _held = woken.0.lock();
            woken.1.notify_all();
        }));
        let poll = Poll::new()?;
        let stop = Waker::new(poll.registry(), STOP)?;
        let counting = tally.clone();
        let receivers = std::thread::spawn(move || receive(poll, sockets, &counting));
        Ok(Self { socket, targets, tally, progress, stop, receivers: Some(receivers) })
    }

    /// Sends datagrams to all targets, and counts them as wanted.
    fn send(&self, pieces: &[&[u8]]) {
        let slices: Vec<[IoSlice<'_>; 1]> = pieces.iter().map(|p| [IoSlice::new(p)]).collect();
        for target in &self.targets {
            self.tally.want((pieces.len() * RECEIVERS / self.targets.len()) as u64);
            let mut sent = 0;
            while sent < slices.len() {
                let rest = &slices[sent..];
                let mut headers = MultiHeaders::<SockaddrIn>::preallocate(rest.len(), None);
                let to = vec![Some(*target); rest.len()];
                let fd = self.socket.as_raw_fd();
                let flags = MsgFlags::empty();
                let results = sendmmsg(fd, &mut headers, rest, to, [], flags);
                sent += results.expect("loopback takes datagrams").count();
            }
        }
    }

    /// Waits until nothing is under way.
    fn wait(&self) {
        let (lock, progress) = &*self.progress;
        let mut held = lock.lock().expect("nobody panics with it");
        while self.tally.missing() > 0 {
            let waited = progress.wait_timeout(held, PATIENCE).expect("nobody panics with it");
            assert!(!waited.1.timed_out(), "lost: {} datagrams", self.tally.missing());
            held = waited.0;
        }
    }
}

impl Rig for Bare {
    fn pass(&mut self, body: &Bytes, times: u64) {
        let pieces: Vec<&[u8]> = body.chunks(DATAGRAM_BYTES).collect();
        // A batch is sent whole, and waited for whole.
        let at_once = (UNDER_WAY / pieces.len()).clamp(1, BATCH);
        let mut left = times;
        while left > 0 {
            let messages = left.min(at_once as u64);
            left -= messages;
            let batch = pieces.repeat(messages as usize);
            batch.chunks(BATCH).for_each(|batch| self.send(batch));
            self.wait();
        }
    }

    fn system_calls(&self) -> Option<(u64, u64)> {
        None
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.stop.wake();
        let _ = self.receivers.take().map(JoinHandle::join);
    }
}

type Sockets = (Vec<UdpSocket>, std::net::UdpSocket, Vec<SockaddrIn>);

fn unicast() -> io::Result<Sockets> {
    let socket = |_| {
        let socket = UdpSocket::bind(([127, 0, 0, 1], 0).into())?;
        SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        Ok(socket)
    };
    let sockets: Vec<_> = (0..RECEIVERS).map(socket).collect::<io::Result<_>>()?;
    let targets = sockets.iter().map(|socket| target(socket.local_addr()?));
    let targets = targets.collect::<io::Result<_>>()?;
    Ok((sockets, std::net::UdpSocket::bind("127.0.0.1:0")?, targets))
}

fn multicast() -> io::Result<Sockets> {
    let port = std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = SocketAddr::from((Ipv4Addr::new(239, 255, 44, 44), port));
    let interface = Ipv4Addr::LOCALHOST.into();
    let membership = Membership { address, interface, ttl: 1 };
    let sockets = (0..RECEIVERS).map(|_| Ok(UdpSocket::from_std(membership.join()?)));
    let sockets = sockets.collect::<io::Result<_>>()?;
    let sender = membership.join()?;
    sender.set_nonblocking(false)?;
    Ok((sockets, sender, vec![target(address)?]))
}

fn target(address: SocketAddr) -> io::Result<SockaddrIn> {
    let v4 = |address: SocketAddrV4| address.into();
    match address {
        SocketAddr::V4(address) => Ok(v4(address)),
        SocketAddr::V6(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Receives on all sockets, until it is told to stop.
fn receive(mut poll: Poll, mut sockets: Vec<UdpSocket>, tally: &Tally) {
    for (at, socket) in sockets.iter_mut().enumerate() {
        poll.registry().register(socket, Token(at), Interest::READABLE).expect("a new socket");
    }
    let mut events = Events::with_capacity(64);
    let mut buffers = vec![[0_u8; 2_048]; BATCH];
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    loop {
        poll.poll(&mut events, None).expect("a poll");
        for event in &events {
            let Some(socket) = sockets.get(event.token().0) else { return };
            loop {
                let mut slices: Vec<[IoSliceMut<'_>; 1]> =
                    buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
                let fd = socket.as_raw_fd();
                let flags = MsgFlags::MSG_DONTWAIT;
                let received = recvmmsg(fd, &mut headers, slices.iter_mut(), flags, None);
                match received.map(Iterator::count) {
                    Ok(count) => tally.add(count as u64),
                    Err(_) => break,
                }
            }
        }
    }
}
