//! A host in a group, for an application.

use crate::driver::{Driver, seed};
use crate::member::{Member, Standing};
use crate::sockets::Bound;
use crate::{JoinError, Options, Url};
use bytes::Bytes;
use quilt_proto::wire::Nic;
use quilt_proto::{
    Config, Counters, Group, GroupId, HostId, Notice, Place, PublishError, Rng, Seq,
};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

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
        let create = options.create;
        let mut node = Self::new(options, address);
        node.receive_buffer = bound.receive_buffer;
        bound.drive(node.driver());
        node.admit(Group { name: url.group().into(), bootstrap, create }).await
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
        let member = Member::new(quilt_proto::Node::new(config, seed));
        let (readable, writable) = (member.readable.clone(), member.writable.clone());
        let sender = Sender { driver: Driver::new(member), group: None, writable };
        Self { sender, readable, host, address, receive_buffer: 0 }
    }

    /// Joins, and waits for the group's answer.
    pub(crate) async fn admit(mut self, group: Group) -> Result<Self, JoinError> {
        let join = |member: &mut Member, now| member.node.join(now, group);
        self.sender.group = self.driver().call(join).transpose()?;
        loop {
            match self.driver().peek(|member| member.standing().clone()) {
                Standing::Joining => self.readable.notified().await,
                Standing::Rejected(cause) => return Err(JoinError::Rejected(cause)),
                Standing::Joined(_) | Standing::Over => return Ok(self),
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
            let take = |member: &mut Member, _| (member.take(), member.is_over());
            match self.driver().call(take)? {
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
            let _ = self.driver().call(|member, now| {
                member.node.leave(now, group);
                member.pump();
            });
            while self.next().await.is_some() {}
            // The farewell to the bootstrap service is among them.
            self.driver().flush();
        }
    }

    /// Where the host stands: its patch, what runs there, and its role.
    pub fn place(&self) -> Option<Place> {
        self.driver().peek(|member| match member.standing() {
            Standing::Joined(place) => Some(place.clone()),
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
        self.driver().peek(|member| member.node.counters().clone())
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
