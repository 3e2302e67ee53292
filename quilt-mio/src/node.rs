//! A host in a group.

use crate::driver::Driver;
use crate::{BindError, Guest, JoinError, Options, SystemCalls, Url};
use bytes::Bytes;
use mio::Registry;
use mio::event::Event;
use quilt_proto::survey::NotMember;
use quilt_proto::{Counters, GroupId, HostId, Notice, Place, PublishError, PublishOptions, Seq};
use quilt_sockets::{Listening, seed};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

/// A host in one group, as a [`Guest`] in a poll loop. It is in the group until it has left or is
/// dropped; a drop is silent, and others notice it as they notice a crash.
#[derive(Debug)]
pub struct Node {
    driver: Driver<quilt_proto::Node>,
    group: GroupId,
    address: SocketAddr,
    receive_buffer: usize,
    /// Notices that were looked at and put back.
    unread: VecDeque<Notice>,
    over: bool,
}

impl Node {
    /// Starts to take this host into a group, with its sources in `registry` under tokens of
    /// `tokens`: one for each link, at most [`Limits::links`](quilt_proto::Limits::links), and six
    /// more; beyond them links cannot be opened. [`Notice::Joined`] or [`Notice::Rejected`]
    /// follows within five seconds.
    ///
    /// Waits for the system's resolver if the URL names its host by name.
    ///
    /// # Errors
    /// The host's name cannot be resolved, its own address is taken, or the group's name is
    /// refused. Nothing is left open.
    pub fn join(
        registry: &Registry,
        tokens: Range<usize>,
        url: &Url,
        options: Options,
    ) -> Result<Self, JoinError> {
        let resolve = |source| JoinError::Resolve { url: url.clone(), source };
        let bootstrap = url.resolve().map_err(resolve)?;
        let listening = Listening::bind(options.bind)?;
        let address = listening.address_towards(bootstrap);
        let receive_buffer = listening.receive_buffer_bytes;
        let group = options.group(url.group(), bootstrap);
        let machine = options.node(address, seed());
        let mut driver = Driver::new(machine, listening, registry, tokens)
            .map_err(|source| BindError { address, source })?;
        let now = driver.now();
        let group = driver.machine.join(now, group)?;
        let unread = VecDeque::new();
        Ok(Self { driver, group, address, receive_buffer, unread, over: false })
    }

    /// Publishes a message to everybody else in the group. It goes out with the next turn, so
    /// that what is published between two turns shares packets.
    ///
    /// # Errors
    /// The message was not taken; nothing has changed. After [`PublishError::WouldBlock`] a
    /// [`Notice::Writable`] tells when to try again.
    pub fn publish(&mut self, body: impl Into<Bytes>) -> Result<Seq, PublishError> {
        self.publish_with(body, PublishOptions::default())
    }

    /// Likewise, with a priority, with a deadline, or as a point to start from.
    ///
    /// # Errors
    /// As for [`publish`](Self::publish).
    pub fn publish_with(
        &mut self,
        body: impl Into<Bytes>,
        options: PublishOptions,
    ) -> Result<Seq, PublishError> {
        let now = self.driver.now();
        self.driver.machine.publish_with(now, self.group, body.into(), options)
    }

    /// Asks how the whole group is put together. [`Notice::Surveyed`] or [`Notice::NotSurveyed`]
    /// follows within seconds, unless the membership ends before.
    ///
    /// # Errors
    /// The host is not in the group, or not yet; nothing has changed.
    pub fn survey(&mut self) -> Result<(), NotMember> {
        let now = self.driver.now();
        self.driver.machine.survey(now, self.group)
    }

    /// What happened next, if anything did. Messages wait in the window until they are pulled: ask
    /// only while the application can take more.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        if let Some(notice) = self.unread.pop_front() {
            return Some(notice);
        }
        let (_, notice) = self.driver.machine.poll_notice()?;
        self.over |=
            matches!(notice, Notice::Left | Notice::Evicted { .. } | Notice::Rejected { .. });
        Some(notice)
    }

    /// Puts notices back, to be pulled before all others.
    pub(crate) fn put_back(&mut self, notices: VecDeque<Notice>) {
        self.unread = notices;
    }

    /// Whether the last notice was pulled: the host was not taken in, was put out, or has left.
    pub fn is_over(&self) -> bool {
        self.over && self.unread.is_empty()
    }

    /// Whether everything that the host had to say was handed to the system.
    pub fn is_written(&self) -> bool {
        self.driver.is_written()
    }

    /// Begins to leave the group politely: what others still miss is given to them first, for at
    /// most five seconds. [`Notice::Left`] follows; keep the loop going until it comes and all
    /// [is written](Self::is_written).
    pub fn leave(&mut self) {
        let now = self.driver.now();
        self.driver.machine.leave(now, self.group);
        self.driver.called();
    }

    /// Whether the host waits to be admitted.
    pub fn is_joining(&self) -> bool {
        self.driver.machine.is_joining(self.group)
    }

    /// Where the host stands: its patch, what runs there, and its role. `None` before it is
    /// admitted and after it is out.
    pub fn place(&self) -> Option<&Place> {
        self.driver.machine.place(self.group)
    }

    /// Who the host is.
    pub fn host(&self) -> HostId {
        self.driver.machine.host()
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
    pub fn counters(&self) -> &Counters {
        self.driver.machine.counters()
    }

    /// The system calls that moved packets so far.
    pub fn system_calls(&self) -> SystemCalls {
        self.driver.calls().snapshot()
    }
}

impl Guest for Node {
    fn on_event(&mut self, event: &Event) {
        self.driver.on_event(event);
    }

    fn turn(&mut self) {
        self.driver.turn();
    }

    fn deadline(&self) -> Option<Instant> {
        self.driver.deadline()
    }
}
