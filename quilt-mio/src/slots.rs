//! The links of one guest, by token.

use crate::datagrams::Datagrams;
use crate::probe::Probe;
use crate::stream::Stream;
use mio::event::{Event, Source};
use mio::{Interest, Registry, Token};
use quilt_proto::LinkId;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::ops::Range;

/// The links of one guest. Each has a slot, whose number says its token; slots are used again.
#[derive(Debug)]
pub(crate) struct Slots {
    registry: Registry,
    tokens: Range<usize>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    of_link: BTreeMap<LinkId, usize>,
    /// The slots that can get on, each once.
    ready: VecDeque<usize>,
}

/// A link's socket, and what it can do at once.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) link: LinkId,
    pub(crate) socket: Socket,
    pub(crate) ready: Readiness,
    queued: bool,
}

/// What a socket can do at once, until it says otherwise.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    /// It may have something to read.
    pub(crate) readable: bool,
    /// It may take something.
    pub(crate) writable: bool,
    /// The machine may have something for it.
    pub(crate) asked: bool,
}

#[derive(Debug)]
pub(crate) enum Socket {
    Stream(Box<Stream>),
    Datagrams(Box<Datagrams>),
    Probe(Box<Probe>),
}

impl Socket {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Stream(stream) => stream.source(),
            Self::Datagrams(datagrams) => datagrams.source(),
            Self::Probe(probe) => &mut **probe,
        }
    }

    fn is_open(&self) -> bool {
        match self {
            Self::Stream(stream) => stream.is_open(),
            Self::Datagrams(_) | Self::Probe(_) => true,
        }
    }
}

impl Slot {
    fn can_get_on(&self) -> bool {
        let Readiness { readable, writable, asked } = self.ready;
        // A stream that is being dialled becomes writable once there is news of it.
        readable || (writable && (asked || !self.socket.is_open()))
    }
}

impl Slots {
    /// No links yet; those to come get tokens of `tokens`.
    pub(crate) fn new(registry: Registry, tokens: Range<usize>) -> Self {
        Self {
            registry,
            tokens,
            slots: Vec::new(),
            free: Vec::new(),
            of_link: BTreeMap::new(),
            ready: VecDeque::new(),
        }
    }

    /// Registers a link's socket. One that is open is tried before the first event.
    ///
    /// # Errors
    /// All tokens are taken, or the system refuses; nothing has changed.
    pub(crate) fn insert(&mut self, link: LinkId, mut socket: Socket) -> io::Result<()> {
        let at = self.free.last().copied().unwrap_or(self.slots.len());
        let token = self.tokens.start.saturating_add(at);
        if token >= self.tokens.end {
            return Err(ErrorKind::OutOfMemory.into());
        }
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(socket.source(), Token(token), interest)?;
        let open = socket.is_open();
        let ready = Readiness { readable: open, writable: open, asked: false };
        let slot = Some(Slot { link, socket, ready, queued: false });
        match self.free.pop() {
            Some(at) => self.slots[at] = slot,
            None => self.slots.push(slot),
        }
        self.of_link.insert(link, at);
        self.wake(at);
        Ok(())
    }

    /// Takes note of what a socket can do. An event of a socket that is gone meets an empty slot,
    /// or costs the next one there a call in vain.
    pub(crate) fn on_event(&mut self, event: &Event) {
        let Token(token) = event.token();
        let Some(at) = token.checked_sub(self.tokens.start) else { return };
        if let Some(Some(slot)) = self.slots.get_mut(at) {
            slot.ready.readable |= event.is_readable() || event.is_read_closed();
            slot.ready.writable |= event.is_writable() || event.is_write_closed();
            if event.is_error() {
                slot.ready.readable = true;
                slot.ready.writable = true;
            }
            self.wake(at);
        }
    }

    /// The machine has something to say on a link.
    pub(crate) fn look(&mut self, link: LinkId) {
        if let Some(&at) = self.of_link.get(&link) {
            self.slots[at].iter_mut().for_each(|slot| slot.ready.asked = true);
            self.wake(at);
        }
    }

    /// Closes a link; false if there is none.
    pub(crate) fn close(&mut self, link: LinkId) -> bool {
        let slot = self.of_link.remove(&link).and_then(|at| Some((at, self.slots[at].take()?)));
        let Some((at, mut slot)) = slot else { return false };
        // Closing the socket ends its registration, whatever is said here.
        let _ = self.registry.deregister(slot.socket.source());
        if slot.queued {
            // Or the slot's next link would stand there twice.
            self.ready.retain(|&ready| ready != at);
        }
        self.free.push(at);
        true
    }

    /// How many links may get on.
    pub(crate) fn count_ready(&self) -> usize {
        self.ready.len()
    }

    /// Whether no link has anything to write.
    pub(crate) fn are_idle(&self) -> bool {
        self.slots.iter().flatten().all(|slot| !slot.ready.asked)
    }

    /// Lets the next link that can get on do so; the link with what came of it.
    pub(crate) fn serve_next<E>(
        &mut self,
        serve: impl FnOnce(&mut Slot) -> Result<(), E>,
    ) -> Option<(LinkId, Result<(), E>)> {
        let at = self.ready.pop_front()?;
        let slot = self.slots.get_mut(at)?.as_mut()?;
        slot.queued = false;
        let served = (slot.link, serve(slot));
        self.wake(at);
        Some(served)
    }

    /// Enters a link that can get on.
    fn wake(&mut self, at: usize) {
        let Some(Some(slot)) = self.slots.get_mut(at) else { return };
        if slot.can_get_on() && !slot.queued {
            slot.queued = true;
            self.ready.push_back(at);
        }
    }
}
