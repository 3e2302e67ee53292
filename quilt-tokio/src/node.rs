//! A host in a group, for an application.

use crate::driver::{Driver, seed};
use crate::sockets::Bound;
use crate::{JoinError, Url};
use bytes::Bytes;
use quilt_proto::euid::{Barrier, Connectivity, Direction, Euid, Transport};
use quilt_proto::protocol::Registry;
use quilt_proto::wire::Nic;
use quilt_proto::{
    Action, Config, Counters, Event, Group, GroupId, HostId, Incarnation, Limits, LinkId, Machine,
    Notice, Place, PublishError, RejectCause, Rng, Seq, Time, Transmit,
};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

/// Notices that wait for the application outside the machine. Beyond them messages wait in the
/// window.
const INBOX: usize = 16;

/// How a host joins. The default suits a host with one interface of which nothing is known.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen, by TCP and UDP on one port. Default any port on all IPv4 interfaces; then
    /// others are told the local address that leads to the bootstrap service.
    pub bind: SocketAddr,
    /// What is known of the surroundings of the interface that `bind` names. Default: reachable
    /// by TCP and UDP, all else unknown. `Guess:` nothing senses yet whether a NAT is in the way.
    pub surroundings: Euid,
    /// Further interfaces, at most 3. Default none.
    pub more_nics: Vec<Nic>,
    /// Who the host is. Default drawn at random.
    pub host: Option<HostId>,
    /// Its life. Default the seconds of the wall clock, so that it rises with each restart.
    pub incarnation: Incarnation,
    /// The protocols it has. Default all of the core's.
    pub registry: Registry,
    /// The most of everything.
    pub limits: Limits,
    /// The most that is published, in bytes a second. Default 12.5 MB/s.
    pub publish_bytes_per_second: u64,
    /// Create the group if nobody is in it. Default true.
    pub create: bool,
}

impl Default for Options {
    fn default() -> Self {
        let reachable = |transport| Connectivity {
            transport,
            direction: Direction::Both,
            barrier: Barrier::None,
        };
        let connectivity = [Transport::Tcp, Transport::Udp].map(reachable).into();
        let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            bind: (Ipv4Addr::UNSPECIFIED, 0).into(),
            surroundings: Euid { connectivity, ..Euid::default() },
            more_nics: Vec::new(),
            host: None,
            incarnation: Incarnation(u32::try_from(clock.as_secs()).unwrap_or(u32::MAX)),
            registry: Registry::standard(),
            limits: Limits::default(),
            publish_bytes_per_second: 12_500_000,
            create: true,
        }
    }
}

/// A host that is in one group, until it leaves or is dropped.
pub struct Node {
    sender: Sender,
    readable: Arc<Notify>,
    host: HostId,
    address: SocketAddr,
    receive_buffer: usize,
}

impl Node {
    /// Takes this host into the group, over the system's sockets. Resolves within about five
    /// seconds.
    ///
    /// # Errors
    /// The host's name cannot be resolved, its own address is taken, or the group does not take
    /// it in. Nothing is left open.
    pub async fn join(url: &Url, options: Options) -> Result<Self, JoinError> {
        let resolve = |source| JoinError::Resolve { url: url.clone(), source };
        let bootstrap = url.resolve().await.map_err(resolve)?;
        let bound = Bound::bind(options.bind).await?;
        let mut address = bound.address;
        if address.ip().is_unspecified() {
            address.set_ip(local_address_to(bootstrap).await.unwrap_or(address.ip()));
        }
        let mut node = Self::new(options, address);
        node.receive_buffer = bound.receive_buffer;
        bound.drive(&node.sender.driver);
        node.admit(url, bootstrap).await
    }

    /// A node that is in no group and has nothing under it yet.
    pub(crate) fn new(options: Options, address: SocketAddr) -> Self {
        let seed = seed();
        let host =
            options.host.unwrap_or_else(|| HostId::random(&mut Rng::new(seed).fork("host id")));
        let nic = Nic { address: address.ip(), euid: options.surroundings };
        let config = Config {
            host,
            incarnation: options.incarnation,
            addresses: [address].into_iter().collect(),
            nics: std::iter::once(nic).chain(options.more_nics).collect(),
            registry: options.registry,
            limits: options.limits,
            publish_bytes_per_second: options.publish_bytes_per_second,
        };
        let (readable, writable) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let member = Member {
            node: quilt_proto::Node::new(config, seed),
            create: options.create,
            inbox: VecDeque::new(),
            state: State::Joining,
            readable: readable.clone(),
            writable: writable.clone(),
        };
        let sender = Sender { driver: Driver::new(member), group: None, writable };
        Self { sender, readable, host, address, receive_buffer: 0 }
    }

    /// Joins, and waits for the group's answer.
    pub(crate) async fn admit(
        mut self,
        url: &Url,
        bootstrap: SocketAddr,
    ) -> Result<Self, JoinError> {
        let name = url.group().to_owned();
        let join = |member: &mut Member, now| {
            let group = Group { name, bootstrap, create: member.create };
            let group = member.node.join(now, group);
            member.pump();
            group
        };
        self.sender.group = self.sender.driver.call(join).transpose()?;
        loop {
            match self.sender.driver.peek(|member| member.state.clone()) {
                State::Joining => self.readable.notified().await,
                State::Rejected(cause) => return Err(JoinError::Rejected(cause)),
                State::Joined(_) | State::Over => return Ok(self),
            }
        }
    }

    /// Publishes a message to everybody else in the group; waits while too much is under way.
    ///
    /// # Errors
    /// The message is too large, or this host is no longer in the group. It was not sent.
    pub async fn send(&self, body: impl Into<Bytes>) -> Result<Seq, PublishError> {
        self.sender.send(body).await
    }

    /// What happened next; `None` after the last notice. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Notice> {
        loop {
            let take = |member: &mut Member, _| {
                let notice = member.inbox.pop_front();
                member.pump();
                (notice, matches!(member.state, State::Over))
            };
            match self.sender.driver.call(take)? {
                (Some(notice), _) => return Some(notice),
                (None, true) => return None,
                (None, false) => self.readable.notified().await,
            }
        }
    }

    /// A handle that publishes to the same group; it can be cloned and given to other tasks.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Leaves the group politely: what others still miss is given to them first, for at most five
    /// seconds. Notices that come meanwhile are dropped.
    pub async fn leave(&mut self) {
        if let Some(group) = self.sender.group {
            let _ = self.sender.driver.call(|member, now| {
                member.node.leave(now, group);
                member.pump();
            });
            while self.next().await.is_some() {}
            // The farewell to the bootstrap service is among them.
            self.sender.driver.flush();
        }
    }

    /// Where the host stands: its patch, what runs there, and its role.
    pub fn place(&self) -> Option<Place> {
        self.sender.driver.peek(|member| match &member.state {
            State::Joined(place) => Some(place.clone()),
            _ => None,
        })
    }

    /// Who the host is.
    pub fn host(&self) -> HostId {
        self.host
    }

    /// Where others reach the host.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The bytes that the system granted as receive buffer of the UDP socket; 4 MiB are asked for.
    pub fn receive_buffer_bytes(&self) -> usize {
        self.receive_buffer
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.sender.driver.peek(|member| member.node.counters().clone())
    }

    pub(crate) fn driver(&self) -> &Arc<Driver<Member>> {
        &self.sender.driver
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.sender.driver.stop();
        self.sender.writable.notify_waiters();
    }
}

/// Publishes to the group of the [`Node`] that it was taken from.
#[derive(Clone)]
pub struct Sender {
    driver: Arc<Driver<Member>>,
    group: Option<GroupId>,
    writable: Arc<Notify>,
}

impl Sender {
    /// Publishes a message; see [`Node::send`].
    ///
    /// # Errors
    /// The message is too large, or the host is no longer in the group. It was not sent.
    pub async fn send(&self, body: impl Into<Bytes>) -> Result<Seq, PublishError> {
        let group = self.group.ok_or(PublishError::NotAdmitted)?;
        let body = body.into();
        loop {
            // Listening starts before trying, so that no wake-up falls between the two.
            let mut writable = std::pin::pin!(self.writable.notified());
            writable.as_mut().enable();
            let body = body.clone();
            let publish = |member: &mut Member, now| member.node.publish(now, group, body);
            match self.driver.call(publish) {
                Some(Err(PublishError::WouldBlock)) => writable.await,
                Some(result) => return result,
                None => return Err(PublishError::Closed),
            }
        }
    }
}

/// The node's machine with what stands between it and the application.
pub(crate) struct Member {
    node: quilt_proto::Node,
    create: bool,
    inbox: VecDeque<Notice>,
    state: State,
    readable: Arc<Notify>,
    writable: Arc<Notify>,
}

#[derive(Clone)]
enum State {
    Joining,
    Joined(Place),
    Rejected(RejectCause),
    Over,
}

impl Member {
    /// Pulls notices while there is room for them.
    fn pump(&mut self) {
        while self.inbox.len() < INBOX {
            let Some((_, notice)) = self.node.poll_notice() else { break };
            match &notice {
                Notice::Joined(place) => self.state = State::Joined(place.clone()),
                Notice::PatchChanged { place, .. } => self.state = State::Joined(place.clone()),
                Notice::Rejected { cause } => self.state = State::Rejected(cause.clone()),
                Notice::Left | Notice::Evicted { .. } => self.state = State::Over,
                _ => {}
            }
            match notice {
                Notice::Writable => self.writable.notify_waiters(),
                Notice::Joined(_) => {}
                other => self.inbox.push_back(other),
            }
            self.readable.notify_one();
        }
        // Behind a full inbox no word of writability comes through: let senders try. The same
        // where the group is over, which ends them.
        if self.inbox.len() >= INBOX || matches!(self.state, State::Over) {
            self.writable.notify_waiters();
        }
    }
}

impl Machine for Member {
    fn accept(&mut self, now: Time, from: SocketAddr) -> Option<LinkId> {
        self.node.accept(now, from)
    }

    fn handle(&mut self, now: Time, event: Event) {
        self.node.handle(now, event);
        self.pump();
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.node.poll_action()
    }

    fn poll_transmit(&mut self, link: LinkId) -> Option<Transmit> {
        let transmit = self.node.poll_transmit(link);
        self.pump();
        transmit
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.node.poll_timeout()
    }
}

/// The local address from which the system would send to `remote`.
async fn local_address_to(remote: SocketAddr) -> io::Result<IpAddr> {
    let any = if remote.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(remote).await?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_address_that_others_are_told_is_the_one_that_leads_to_the_service() {
        let address = local_address_to(([127, 0, 0, 1], 9).into()).await.unwrap();
        assert_eq!(address, IpAddr::from([127, 0, 0, 1]));
    }
}
