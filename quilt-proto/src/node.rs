//! The container: everything that runs on one host.

use crate::protocol::Registry;
use crate::wire::Nic;
use crate::{
    Action, Counters, Event, GroupId, HostId, Incarnation, JoinError, Limits, LinkId, Machine,
    Notice, PublishError, Seq, Time, Transmit,
};
use alloc::string::String;
use bytes::Bytes;
use core::net::SocketAddr;
use smallvec::SmallVec;

/// What a [`Node`] is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who the host is.
    pub host: HostId,
    /// Its life: higher than any before it under the same id.
    pub incarnation: Incarnation,
    /// Where it listens, by TCP and UDP, the preferred one first; 1 to 4.
    pub addresses: SmallVec<[SocketAddr; 2]>,
    /// Its interfaces and what is known of their surroundings; 1 to 4.
    pub nics: SmallVec<[Nic; 1]>,
    /// The protocols that it has.
    pub registry: Registry,
    /// The most of everything.
    pub limits: Limits,
    /// The most that this host publishes to one group, in bytes a second. Default 12.5 MB/s.
    pub publish_bytes_per_second: u64,
}

/// A group to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name, 1 to 255 bytes.
    pub name: String,
    /// The group's bootstrap service, by UDP and TCP.
    pub bootstrap: SocketAddr,
    /// Create the group if nobody is in it.
    pub create: bool,
}

/// One host: its groups, patches, protocols and links.
#[derive(Debug)]
pub struct Node {
    config: Config,
    counters: Counters,
}

impl Node {
    /// A host that is in no group. All its randomness follows from `seed`.
    pub fn new(config: Config, seed: u64) -> Self {
        let _ = seed;
        Self { config, counters: Counters::default() }
    }

    /// Starts to join a group. [`Notice::Joined`] or [`Notice::Rejected`] follows within five
    /// seconds.
    ///
    /// # Errors
    /// The group cannot be joined; nothing has changed.
    pub fn join(&mut self, now: Time, group: Group) -> Result<GroupId, JoinError> {
        let _ = (now, &self.config);
        Ok(GroupId::named(&group.name))
    }

    /// Publishes a message to everybody who is in the group, this host not included.
    ///
    /// # Errors
    /// The message was not taken; nothing has changed.
    pub fn publish(&mut self, now: Time, group: GroupId, body: Bytes) -> Result<Seq, PublishError> {
        let _ = (now, group, body);
        Err(PublishError::NotAdmitted)
    }

    /// Leaves a group politely: what others still miss is given to them first, for at most five
    /// seconds. [`Notice::Left`] follows, also if the group was not joined.
    pub fn leave(&mut self, now: Time, group: GroupId) {
        let _ = (now, group);
    }

    /// Next thing for the application. Pull it only while the application can take more: messages
    /// wait in the window until then.
    pub fn poll_notice(&mut self) -> Option<(GroupId, Notice)> {
        None
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl Machine for Node {
    fn accept(&mut self, now: Time, from: SocketAddr) -> Option<LinkId> {
        let _ = (now, from);
        None
    }

    fn handle(&mut self, now: Time, event: Event) {
        let _ = (now, event);
    }

    fn poll_action(&mut self) -> Option<Action> {
        None
    }

    fn poll_transmit(&mut self, link: LinkId) -> Option<Transmit> {
        let _ = link;
        None
    }

    fn poll_timeout(&self) -> Option<Time> {
        None
    }
}
