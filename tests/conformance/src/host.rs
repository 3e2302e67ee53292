//! A host, whatever moves its bytes.

use crate::ledger::Ledger;
use crate::remote::{Remote, Stop};
use crate::{Adapter, DEADLINE, mio, tokio};
use bytes::Bytes;
use quilt_tokio::proto::{Counter, GapCause, HostId, Incarnation, Seq, Source};
use quilt_tokio::{
    Counters, Delivery, JoinError, Notice, Options, Place, PublishError, PublishOptions, Url,
};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// What a host's loop is told.
pub(crate) enum Command {
    /// Publish this, or say at once why not.
    Publish(Bytes, PublishOptions, Sender<Result<Seq, PublishError>>),
    /// Publish all of this in order, each as soon as it is granted; an answer for each. The first
    /// error but `WouldBlock` ends it.
    Send(Vec<Bytes>, Sender<Result<Seq, PublishError>>),
    /// Whether notices are taken.
    Read(bool),
    /// Do nothing at all until the other end is dropped.
    Freeze(Receiver<()>),
    Look(Sender<View>),
    /// Leave, and drop the notices that come until that is done.
    Leave(Sender<()>),
    Stop,
}

impl Stop for Command {
    const STOP: Self = Self::Stop;
}

/// What a host's loop tells.
pub(crate) struct Outside {
    /// Who joined, or why nobody did; once.
    pub(crate) started: Sender<Result<Facts, JoinError>>,
    /// All notices but those that both kinds of loops keep to themselves: how the join ended,
    /// when to publish again, and that the group was left. Dropped after the last one.
    pub(crate) notices: Sender<Notice>,
}

/// What stays the same as long as a host lives.
pub(crate) struct Facts {
    pub(crate) id: HostId,
    pub(crate) address: SocketAddr,
    pub(crate) receive_buffer_bytes: usize,
}

/// What changes.
pub(crate) struct View {
    pub(crate) place: Option<Place>,
    pub(crate) counters: Counters,
}

/// A host in a group, its application, and what that application was told.
pub struct Host {
    remote: Option<Remote<Command>>,
    notices: Receiver<Notice>,
    facts: Facts,
    incarnation: Incarnation,
    pub(crate) ledger: Ledger,
    pub(crate) published: Vec<Bytes>,
    pub(crate) told: Vec<Notice>,
    pub(crate) reads: bool,
    over: bool,
    left: bool,
}

/// Publications under way.
#[must_use = "what was granted must be known to be looked for"]
pub struct Sending {
    bodies: Vec<Bytes>,
    granted: Receiver<Result<Seq, PublishError>>,
}

impl Host {
    /// Takes a host into the group.
    ///
    /// # Errors
    /// As the adapter says.
    pub fn join(adapter: Adapter, url: &Url, options: Options) -> Result<Self, JoinError> {
        let incarnation = options.incarnation;
        let ledger = Ledger::new(options.delivery != Some(Delivery::BestEffort));
        let (started, starting) = channel();
        let (sender, notices) = channel();
        let outside = Outside { started, notices: sender };
        let remote = match adapter {
            Adapter::Mio => mio::host(url.clone(), options, outside),
            Adapter::Tokio => tokio::host(url.clone(), options, outside),
        };
        let facts = starting.recv_timeout(DEADLINE).expect("an answer to join")?;
        Ok(Self {
            remote: Some(remote),
            notices,
            facts,
            incarnation,
            ledger,
            published: Vec::new(),
            told: Vec::new(),
            reads: true,
            over: false,
            left: false,
        })
    }

    /// Who it is.
    pub fn id(&self) -> HostId {
        self.facts.id
    }

    /// What it publishes belongs to this stream.
    pub fn source(&self) -> Source {
        Source { host: self.facts.id.tag(), incarnation: self.incarnation }
    }

    /// How many messages it has published.
    pub fn published(&self) -> usize {
        self.published.len()
    }

    /// Where others reach it.
    pub fn address(&self) -> SocketAddr {
        self.facts.address
    }

    /// What the system granted.
    pub fn receive_buffer_bytes(&self) -> usize {
        self.facts.receive_buffer_bytes
    }

    /// Where it stands.
    pub fn place(&self) -> Option<Place> {
        self.look().place
    }

    /// What it counted so far.
    pub fn counters(&self) -> Counters {
        self.look().counters
    }

    /// One of its counters.
    pub fn count(&self, counter: Counter) -> u64 {
        self.counters().get(counter)
    }

    /// Whether it was neither killed nor told that it is out of the group.
    pub fn is_alive(&self) -> bool {
        self.remote.is_some() && !self.over && !self.left
    }

    /// Whether what it has published is to be had: it is alive, or left politely.
    pub(crate) fn is_there(&self) -> bool {
        self.left || self.is_alive()
    }

    /// Publishes a message if that is granted at once.
    ///
    /// # Errors
    /// As the adapter says; nothing was published.
    pub fn publish(&mut self, body: impl Into<Bytes>) -> Result<Seq, PublishError> {
        self.publish_with(body, PublishOptions::default())
    }

    /// Likewise, with a priority, a deadline or a mark.
    ///
    /// # Errors
    /// As the adapter says; nothing was published.
    pub fn publish_with(
        &mut self,
        body: impl Into<Bytes>,
        options: PublishOptions,
    ) -> Result<Seq, PublishError> {
        let body = body.into();
        let (sender, receiver) = channel();
        self.post(Command::Publish(body.clone(), options, sender));
        let answer = receiver.recv_timeout(DEADLINE).expect("an answer to publish");
        self.record(body, answer)
    }

    /// Publishes a message, and waits until it is granted.
    ///
    /// # Errors
    /// As the adapter says; nothing was published.
    pub fn send(&mut self, body: impl Into<Bytes>) -> Result<Seq, PublishError> {
        let body = body.into();
        let sending = self.start_sending(vec![body.clone()]);
        let answer = sending.granted.recv_timeout(DEADLINE).expect("an answer to send");
        self.record(body, answer)
    }

    /// Publishes messages one after the other, without waiting for the end of it.
    pub fn start_sending(&mut self, bodies: Vec<Bytes>) -> Sending {
        let (sender, granted) = channel();
        self.post(Command::Send(bodies.clone(), sender));
        Sending { bodies, granted }
    }

    /// Waits until the publications are granted, or cannot be granted any more.
    ///
    /// # Errors
    /// As the adapter says of the first message that was not published.
    pub fn finish_sending(&mut self, sending: Sending) -> Result<(), PublishError> {
        for body in sending.bodies {
            match sending.granted.recv_timeout(DEADLINE) {
                Ok(answer) => self.record(body, answer)?,
                Err(RecvTimeoutError::Disconnected) => return Err(PublishError::Closed),
                Err(RecvTimeoutError::Timeout) => panic!("a publication is not granted in time"),
            };
        }
        Ok(())
    }

    /// Publishes all of this.
    ///
    /// # Panics
    /// Something is not granted.
    pub fn send_all(&mut self, bodies: Vec<Bytes>) {
        let sending = self.start_sending(bodies);
        self.finish_sending(sending).expect("all is granted");
    }

    /// The application reads, or does nothing of the kind.
    pub fn read(&mut self, reads: bool) {
        self.reads = reads;
        self.post(Command::Read(reads));
    }

    /// Stops the whole host, its sockets and timers, as a stopped process, until what this returns
    /// is dropped.
    pub fn freeze(&self) -> Sender<()> {
        let (thaw, frozen) = channel();
        self.post(Command::Freeze(frozen));
        thaw
    }

    /// What it is told next; `None` after the end.
    ///
    /// # Panics
    /// Nothing comes in time.
    pub fn next_notice(&mut self) -> Option<Notice> {
        self.next_within(DEADLINE).unwrap_or_else(|| panic!("nothing comes; told: {:?}", self.told))
    }

    /// Takes all that waits.
    pub fn drain(&mut self) {
        while let Some(Some(_)) = self.next_within(Duration::ZERO) {}
    }

    /// Waits for a notice that is neither a message nor a gap, and takes it out of what it was told.
    ///
    /// # Panics
    /// It does not come in time.
    pub fn wait_for(&mut self, what: &str, is_it: impl Fn(&Notice) -> bool) -> Notice {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(at) = self.told.iter().position(&is_it) {
                return self.told.remove(at);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if !matches!(self.next_within(left), Some(Some(_))) {
                panic!("no {what}; told: {:?}", self.told);
            }
        }
    }

    /// Waits until it has, or has given up, everything of `source` before message number `count`.
    pub fn wait_for_messages(&mut self, source: Source, count: usize) {
        let deadline = Instant::now() + DEADLINE;
        while self.ledger.reached(source) < count as u64 {
            let left = deadline.saturating_duration_since(Instant::now());
            if !matches!(self.next_within(left), Some(Some(_))) {
                let reached = self.ledger.reached(source);
                panic!("{reached} of {count} messages; told: {:?}", self.told);
            }
        }
    }

    /// The other notices than messages and gaps that it was told of and nobody waited for.
    pub fn told(&mut self) -> Vec<Notice> {
        self.drain();
        std::mem::take(&mut self.told)
    }

    /// Takes all notices up to the last one.
    ///
    /// # Panics
    /// The last one does not come in time.
    pub fn drain_to_the_end(&mut self) {
        while self.next_notice().is_some() {}
    }

    /// How many messages each gap has that it was told of, of which stream, and its cause.
    pub fn gaps(&self) -> &[(Source, u64, GapCause)] {
        self.ledger.gaps()
    }

    /// The first message of a stream that it was given, or told that it will not get.
    pub fn first_of(&self, source: Source) -> Option<Seq> {
        self.ledger.first_of(source)
    }

    /// How many messages it was given.
    pub fn received(&self) -> u64 {
        self.ledger.messages()
    }

    /// Leaves politely, and waits until that is done.
    pub fn leave(&mut self) {
        let (sender, receiver) = channel();
        self.post(Command::Leave(sender));
        receiver.recv_timeout(DEADLINE).expect("leaving ends");
        self.left = true;
    }

    /// Ends it without a farewell, as if its process had been killed.
    pub fn kill(&mut self) {
        self.remote = None;
        self.drain_to_the_end();
    }

    /// `None` if nothing comes, `Some(None)` after the end.
    fn next_within(&mut self, time: Duration) -> Option<Option<Notice>> {
        let notice = match self.notices.recv_timeout(time) {
            Ok(notice) => notice,
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => {
                self.over = true;
                return Some(None);
            }
        };
        if !self.ledger.enter(&notice) {
            self.told.push(notice.clone());
        }
        Some(Some(notice))
    }

    fn record(
        &mut self,
        body: Bytes,
        answer: Result<Seq, PublishError>,
    ) -> Result<Seq, PublishError> {
        let seq = answer?;
        assert_eq!(seq.0, self.published.len() as u64, "sequence numbers count from 0 by 1");
        self.published.push(body);
        Ok(seq)
    }

    fn look(&self) -> View {
        let (sender, receiver) = channel();
        self.post(Command::Look(sender));
        receiver.recv_timeout(DEADLINE).expect("the host runs")
    }

    fn post(&self, command: Command) {
        self.remote.as_ref().expect("the host was not killed").post(command);
    }
}
