//! The system's sockets under a driver: one task for each.

use crate::driver::{Carrier, Driver, Task};
use crate::error::{BindError, link_error};
use crate::{datagrams, multicast, stream};
use quilt_proto::{Action, Event, LinkId, Machine};
use socket2::SockRef;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Notify;

/// What is asked for as receive buffer of a datagram socket; the system may grant less.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// How often a free port is looked for that UDP has as well as TCP.
const BIND_ATTEMPTS: usize = 16;

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
            Task::spawn(datagrams::receive(driver.clone(), LinkId::UDP, udp.clone())),
        ];
        let send = datagrams::send(driver.clone(), LinkId::UDP, udp.clone(), None, look.clone());
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
                let _ = datagrams::try_send(&self.udp, to, &transmit);
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
            datagrams::receive(driver.clone(), link, socket.clone()),
            datagrams::send(driver, link, socket, group, look),
        );
    }
}
