//! A host in a group, for an application.

use crate::driver::Driver;
use crate::member::{Member, Standing};
use crate::sockets::Sockets;
use crate::{BindError, JoinError, Options, SystemCalls, Url};
use bytes::Bytes;
use quilt_proto::survey::NotMember;
use quilt_proto::{
    Counters, Group, GroupId, HostId, Notice, Place, PublishError, PublishOptions, Seq,
};
use quilt_sockets::{FAREWELL, Listening, seed};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
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
        let bootstrap = resolve(url).await?;
        let listening = Listening::bind(options.bind)?;
        let (bound, receive_buffer) = (listening.address, listening.receive_buffer_bytes);
        let group = options.group(url.group(), bootstrap);
        let mut node = Self::new(options, listening.address_towards(bootstrap));
        node.receive_buffer = receive_buffer;
        Sockets::drive(listening, node.driver())
            .map_err(|source| BindError { address: bound, source })?;
        node.admit(group).await
    }

    /// A node that is in no group and has nothing under it yet.
    pub(crate) fn new(options: Options, address: SocketAddr) -> Self {
        let node = options.node(address, seed());
        let host = node.host();
        let member = Member::new(node);
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
                Standing::Joined | Standing::Over => return Ok(self),
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

    /// Likewise, with a priority, with a deadline, or as a point to start from. The deadline begins
    /// when the message is taken, not while it waits for that; at the other end up to 16 notices are
    /// taken out ahead of the application, in which neither priority nor deadline counts any more.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub async fn send_with(
        &self,
        body: impl Into<Bytes>,
        options: PublishOptions,
    ) -> Result<Seq, PublishError> {
        self.sender.send_with(body, options).await
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

    /// Asks how the whole group is put together. [`Notice::Surveyed`] or [`Notice::NotSurveyed`]
    /// follows within seconds, unless the membership ends before.
    ///
    /// # Errors
    /// The host is no longer in the group.
    pub fn survey(&self) -> Result<(), NotMember> {
        let group = self.sender.group.ok_or(NotMember)?;
        self.driver().call(|member, now| member.node.survey(now, group)).unwrap_or(Err(NotMember))
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
            // The farewell to the bootstrap service is among what waits to be written.
            self.driver().written(FAREWELL).await;
        }
    }

    /// Where the host stands: its patch, what runs there, and its role.
    pub fn place(&self) -> Option<Place> {
        let group = self.sender.group?;
        self.driver().peek(|member| member.node.place(group).cloned())
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

    /// The system calls that moved packets so far.
    pub fn system_calls(&self) -> SystemCalls {
        self.driver().calls().snapshot()
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
        self.send_with(body, PublishOptions::default()).await
    }

    /// Publishes a message; see [`Node::send_with`].
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub async fn send_with(
        &self,
        body: impl Into<Bytes>,
        options: PublishOptions,
    ) -> Result<Seq, PublishError> {
        let group = self.group.ok_or(PublishError::NotAdmitted)?;
        let body = body.into();
        loop {
            // Listening starts before trying, so that no wake-up falls between the two.
            let mut writable = std::pin::pin!(self.writable.notified());
            writable.as_mut().enable();
            let body = body.clone();
            let publish =
                |member: &mut Member, now| member.node.publish_with(now, group, body, options);
            match self.driver.call(publish) {
                Some(Err(PublishError::WouldBlock)) => writable.await,
                Some(result) => return result,
                None => return Err(PublishError::Closed),
            }
        }
    }
}

/// The address of a group's bootstrap service.
pub(crate) async fn resolve(url: &Url) -> Result<SocketAddr, JoinError> {
    let name = url.clone();
    let resolved = tokio::task::spawn_blocking(move || name.resolve()).await;
    let resolved = resolved.unwrap_or_else(|error| Err(io::Error::other(error)));
    resolved.map_err(|source| JoinError::Resolve { url: url.clone(), source })
}
