//! The system's sockets under a driver: one task for each.

use crate::driver::{Carrier, Driver, Task};
use crate::error::{BindError, link_error};
use crate::{multicast, stream};
use bytes::BytesMut;
use quilt_proto::{Action, Event, LinkId, Machine, Transmit};
use socket2::SockRef;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;

/// Bytes read at once, and the piece of memory that received bytes share.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;
/// Less room than this in a chunk, and a new one is taken. A datagram that is longer is cut, and
/// refused by the machine for its length.
const SPARE_BYTES: usize = 2 << 10;
/// What is asked for as receive buffer of a datagram socket; the system may grant less.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// How often a free port is looked for that UDP has as well as TCP.
const BIND_ATTEMPTS: usize = 16;
/// The most slices of a [`Transmit`].
pub(crate) const MAX_SLICES: usize = 33;

/// The sockets that a host listens on, TCP and UDP on one port.
pub(crate) struct Bound {
    tcp: TcpListener,
    udp: UdpSocket,
    /// The address with the port in it.
    pub(crate) address: SocketAddr,
    /// The receive buffer that the system granted.
    pub(crate) receive_buffer: usize,
}

impl Bound {
    /// Listens on `address`; port 0 takes any that is free for both.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let mut attempt = 1;
        loop {
            match Self::bind_once(address).await {
                Ok(bound) => return Ok(bound),
                Err(error)
                    if error.kind() == ErrorKind::AddrInUse
                        && address.port() == 0
                        && attempt < BIND_ATTEMPTS =>
                {
                    attempt += 1;
                }
                Err(source) => return Err(BindError { address, source }),
            }
        }
    }

    async fn bind_once(address: SocketAddr) -> io::Result<Self> {
        let tcp = TcpListener::bind(address).await?;
        let address = tcp.local_addr()?;
        let udp = UdpSocket::bind(address).await?;
        let receive_buffer = ask_receive_buffer(&SockRef::from(&udp));
        Ok(Self { tcp, udp, address, receive_buffer })
    }

    /// Sets `driver` going on these sockets.
    pub(crate) fn drive<M: Machine + Send + 'static>(self, driver: &Arc<Driver<M>>) {
        let (udp, look) = (Arc::new(self.udp), Arc::new(Notify::new()));
        let listening = vec![
            Task::spawn(driver.clone().keep_time()),
            Task::spawn(accept(driver.clone(), self.tcp)),
            Task::spawn(receive_datagrams(driver.clone(), LinkId::UDP, udp.clone())),
        ];
        let send = send_datagrams(driver.clone(), LinkId::UDP, udp.clone(), None, look.clone());
        let task = Task::spawn(send);
        let links = BTreeMap::from([(LinkId::UDP, Link { look, _task: task })]);
        driver.run(Carrier::Sockets(Sockets { links, udp, _listening: listening }));
    }
}

/// Asks for a large receive buffer, and gives back what was granted.
pub(crate) fn ask_receive_buffer(socket: &SockRef<'_>) -> usize {
    // A refusal leaves the system's default, which works as well, only with more repair.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    socket.recv_buffer_size().unwrap_or(0)
}

/// All open links.
pub(crate) struct Sockets {
    links: BTreeMap<LinkId, Link>,
    udp: Arc<UdpSocket>,
    _listening: Vec<Task>,
}

struct Link {
    /// Wakes the link's writer.
    look: Arc<Notify>,
    _task: Task,
}

impl Sockets {
    pub(crate) fn has(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    /// Closes a link; false if there is none.
    pub(crate) fn remove(&mut self, link: LinkId) -> bool {
        self.links.remove(&link).is_some()
    }

    /// Sends the datagrams that wait, as far as the socket takes them.
    pub(crate) fn flush(&self, machine: &mut impl Machine) {
        while let Some(transmit) = machine.poll_transmit(LinkId::UDP) {
            if let Some(to) = transmit.to {
                let _ = try_send_datagram(&self.udp, to, &transmit);
            }
        }
    }

    pub(crate) fn accept<M: Machine + Send + 'static>(
        &mut self,
        driver: &Arc<Driver<M>>,
        link: LinkId,
        stream: TcpStream,
    ) {
        let driver = driver.clone();
        self.open(link, |look| stream::serve(driver, link, stream, look));
    }

    pub(crate) fn act<M: Machine + Send + 'static>(
        &mut self,
        driver: &Arc<Driver<M>>,
        action: Action,
    ) {
        let driver = driver.clone();
        match action {
            Action::Dial { link, to, from } => {
                self.open(link, |look| stream::dial(driver, link, to, from, look));
            }
            Action::JoinMulticast { link, address, interface, ttl } => {
                let membership = multicast::Membership { address, interface, ttl };
                self.open(link, |look| join_multicast(driver, link, membership, look));
            }
            Action::Close { link } => {
                self.remove(link);
            }
            Action::Look { link } => {
                if let Some(link) = self.links.get(&link) {
                    link.look.notify_one();
                }
            }
        }
    }

    fn open<F>(&mut self, link: LinkId, serve: impl FnOnce(Arc<Notify>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let look = Arc::new(Notify::new());
        let task = Task::spawn(serve(look.clone()));
        self.links.insert(link, Link { look, _task: task });
    }
}

/// Takes streams in, for ever.
async fn accept<M: Machine + Send + 'static>(driver: Arc<Driver<M>>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => driver.on_accepted(stream, from),
            // Out of descriptors, mostly: those who wait keep waiting until some are free.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Serves one IP-multicast address.
async fn join_multicast<M: Machine + Send + 'static>(
    driver: Arc<Driver<M>>,
    link: LinkId,
    membership: multicast::Membership,
    look: Arc<Notify>,
) {
    let group = Some(membership.address);
    let socket = match membership.join() {
        Ok(socket) => Arc::new(socket),
        Err(error) => return driver.on_closed(link, link_error(&error)),
    };
    if driver.on_link(link, Event::Opened { link }) {
        tokio::join!(
            receive_datagrams(driver.clone(), link, socket.clone()),
            send_datagrams(driver, link, socket, group, look),
        );
    }
}

/// Hands in what comes on a datagram socket, for ever.
async fn receive_datagrams<M: Machine + Send + 'static>(
    driver: Arc<Driver<M>>,
    link: LinkId,
    socket: Arc<UdpSocket>,
) {
    let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
    loop {
        if chunk.capacity() < SPARE_BYTES {
            chunk.reserve(CHUNK_BYTES);
        }
        // An error is word of an earlier datagram that did not arrive; the socket goes on.
        if let Ok((_, from)) = socket.recv_buf_from(&mut chunk).await {
            let bytes = chunk.split().freeze();
            driver.on_link(link, Event::Datagram { link, from, bytes });
        }
        consume_budget().await;
    }
}

/// Sends what the machine has for a datagram socket, for ever; to `group` on a multicast one.
async fn send_datagrams<M: Machine + Send + 'static>(
    driver: Arc<Driver<M>>,
    link: LinkId,
    socket: Arc<UdpSocket>,
    group: Option<SocketAddr>,
    look: Arc<Notify>,
) {
    loop {
        look.notified().await;
        loop {
            let _ = socket.writable().await;
            let Some(transmit) = driver.transmit(link) else { break };
            if let Some(to) = transmit.to.or(group) {
                send_datagram(&socket, to, &transmit).await;
            }
            consume_budget().await;
        }
    }
}

/// Sends one datagram. Whatever the system has against it, it is lost like any other.
async fn send_datagram(socket: &UdpSocket, to: SocketAddr, transmit: &Transmit) {
    while let Err(error) = try_send_datagram(socket, to, transmit) {
        if error.kind() != ErrorKind::WouldBlock || socket.writable().await.is_err() {
            return;
        }
    }
}

fn try_send_datagram(socket: &UdpSocket, to: SocketAddr, transmit: &Transmit) -> io::Result<()> {
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let slices = fill(&mut slices, transmit);
    let send = || SockRef::from(socket).send_to_vectored(slices, &to.into());
    socket.try_io(Interest::WRITABLE, send).map(drop)
}

/// The slices of `transmit`, in `slices`.
pub(crate) fn fill<'a, 'b>(
    slices: &'b mut [IoSlice<'a>; MAX_SLICES],
    transmit: &'a Transmit,
) -> &'b mut [IoSlice<'a>] {
    let mut count = 0;
    for (to, from) in slices.iter_mut().zip(transmit.slices()) {
        *to = IoSlice::new(from);
        count += 1;
    }
    &mut slices[..count]
}
