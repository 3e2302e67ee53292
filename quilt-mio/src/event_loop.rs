//! A poll loop for guests that have none.

use crate::{BindError, Bootstrap, BootstrapConfig, Guest, JoinError, Node, Options, Url};
use bytes::Bytes;
use mio::{Events, Poll};
use quilt_proto::{Notice, PublishError, PublishOptions, Seq};
use quilt_sockets::FAREWELL;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Events taken from the system at once.
const EVENTS: usize = 256;
/// Tokens for the guest: more than any system has sockets for it.
const TOKENS: Range<usize> = 0..1 << 20;

/// A poll loop with a guest in it. It goes on only while one of its methods is called: there is no
/// thread behind it.
#[derive(Debug)]
pub struct Loop<G> {
    poll: Poll,
    events: Events,
    guest: G,
}

impl<G: Guest> Loop<G> {
    /// A loop in which `guest` lives, whose sources are registered with `poll`.
    pub fn new(poll: Poll, guest: G) -> Self {
        Self { poll, events: Events::with_capacity(EVENTS), guest }
    }

    /// Waits until the guest can get on, but for no longer than `at_most`, and lets it.
    ///
    /// # Errors
    /// The system's poll failed.
    pub fn turn(&mut self, at_most: Option<Duration>) -> io::Result<()> {
        let until = |at: Instant| at.saturating_duration_since(Instant::now());
        let wait = [self.guest.deadline().map(until), at_most].into_iter().flatten().min();
        match self.poll.poll(&mut self.events, wait) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &self.events {
            self.guest.on_event(event);
        }
        self.guest.turn();
        Ok(())
    }

    /// The guest.
    pub fn guest(&self) -> &G {
        &self.guest
    }

    /// The guest, to call it.
    pub fn guest_mut(&mut self) -> &mut G {
        &mut self.guest
    }
}

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The group did not take it.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The system's poll failed.
    #[error("the system's event loop failed: {0}")]
    Poll(#[from] io::Error),
}

impl Loop<Node> {
    /// Takes this host into a group. Returns within about five seconds.
    ///
    /// # Errors
    /// Those of [`Node::join`], or the group does not take the host in. Nothing is left open.
    pub fn join(url: &Url, options: Options) -> Result<Self, JoinError> {
        let poll = Poll::new().map_err(JoinError::Loop)?;
        let node = Node::join(poll.registry(), TOKENS, url, options)?;
        let mut joining = Self::new(poll, node);
        let mut early = VecDeque::new();
        loop {
            match joining.guest.poll_notice() {
                Some(Notice::Joined(_)) => break,
                Some(Notice::Rejected { cause }) => return Err(JoinError::Rejected(cause)),
                Some(notice) => early.push_back(notice),
                None if joining.guest.is_over() => break,
                None => joining.turn(None).map_err(JoinError::Loop)?,
            }
        }
        joining.guest.put_back(early);
        Ok(joining)
    }

    /// Publishes a message to everybody else in the group; goes on with the loop while too much is
    /// under way.
    ///
    /// # Errors
    /// The message is too large, the host is no longer in the group, or the system's poll failed.
    /// It was not sent.
    pub fn send(&mut self, body: impl Into<Bytes>) -> Result<Seq, SendError> {
        self.send_with(body, PublishOptions::default())
    }

    /// Likewise, with a priority, with a deadline, or as a point to start from. The deadline begins
    /// when the message is taken, not while it waits for that.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn send_with(
        &mut self,
        body: impl Into<Bytes>,
        options: PublishOptions,
    ) -> Result<Seq, SendError> {
        let body = body.into();
        loop {
            match self.guest.publish_with(body.clone(), options) {
                Err(PublishError::WouldBlock) => self.turn(None)?,
                result => return Ok(result?),
            }
        }
    }

    /// What happened next, however long it takes; `None` after the last notice. Admission and
    /// [`Notice::Writable`] are not among them: [`join`](Self::join) and [`send`](Self::send) wait
    /// for these.
    ///
    /// # Errors
    /// The system's poll failed.
    pub fn next_notice(&mut self) -> io::Result<Option<Notice>> {
        loop {
            match self.guest.poll_notice() {
                Some(Notice::Joined(_) | Notice::Writable) => {}
                None if !self.guest.is_over() => self.turn(None)?,
                notice => return Ok(notice),
            }
        }
    }

    /// Leaves the group politely: what others still miss is given to them first, for at most five
    /// seconds. Notices that come meanwhile are dropped.
    ///
    /// # Errors
    /// The system's poll failed.
    pub fn leave(mut self) -> io::Result<()> {
        self.guest.leave();
        while self.next_notice()?.is_some() {}
        let until = Instant::now() + FAREWELL;
        while !self.guest.is_written() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.turn(Some(left))?;
        }
        Ok(())
    }
}

impl Loop<Bootstrap> {
    /// Serves on `address` by TCP and UDP; port 0 takes any that is free for both.
    ///
    /// # Errors
    /// The address cannot be listened on. Nothing is left open.
    pub fn bind(address: SocketAddr, config: BootstrapConfig) -> Result<Self, BindError> {
        let poll = Poll::new().map_err(|source| BindError { address, source })?;
        let service = Bootstrap::bind(poll.registry(), TOKENS, address, config)?;
        Ok(Self::new(poll, service))
    }
}
