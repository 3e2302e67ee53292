//! Frames on their way out.

use crate::wire::{
    Assembler, Frame, Header, MAX_DATAGRAM_BYTES, MAX_STREAM_PACKET_BYTES, PREFIX_BYTES,
    SUITE_OPEN, TAG_BYTES,
};
use crate::{HostTag, LinkId, Transmit};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;

/// A queue of encoded frames for each link, packed into packets when they are pulled.
#[derive(Debug)]
pub(super) struct Outbox {
    sender: HostTag,
    number: u64,
    queues: BTreeMap<LinkId, Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<(Option<SocketAddr>, Vec<u8>)>,
    /// The adapter was told to look at the link, and has not yet pulled it empty.
    looked: bool,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It waits, and the adapter knows.
    Waits,
    /// It waits, and the adapter must be told to look.
    Look,
    /// It is dropped: too many wait.
    Overflow,
    /// It is dropped: there is no such link.
    Gone,
}

impl Outbox {
    pub(super) fn new(sender: HostTag) -> Self {
        let sockets = [LinkId::UDP, LinkId::OTHER_PORT, LinkId::OTHER_ADDRESS];
        let queues = sockets.map(|link| (link, Queue::default())).into();
        Self { sender, number: 0, queues }
    }

    pub(super) fn open(&mut self, link: LinkId) {
        self.queues.insert(link, Queue::default());
    }

    pub(super) fn close(&mut self, link: LinkId) {
        self.queues.remove(&link);
    }

    /// Queues a frame; `to` where it goes as a datagram. At most `max` wait on a link.
    pub(super) fn push(
        &mut self,
        link: LinkId,
        to: Option<SocketAddr>,
        frame: &Frame,
        max: usize,
    ) -> Pushed {
        let Some(queue) = self.queues.get_mut(&link) else { return Pushed::Gone };
        if queue.frames.len() >= max {
            return Pushed::Overflow;
        }
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        queue.frames.push_back((to, bytes));
        if core::mem::replace(&mut queue.looked, true) { Pushed::Waits } else { Pushed::Look }
    }

    /// The next packet of a link: the frame that waits longest, and those behind it that go the
    /// same way and fit.
    pub(super) fn poll(&mut self, link: LinkId) -> Option<Transmit> {
        let queue = self.queues.get_mut(&link)?;
        let Some(&(to, _)) = queue.frames.front() else {
            queue.looked = false;
            return None;
        };
        let most = if to.is_some() { MAX_DATAGRAM_BYTES } else { MAX_STREAM_PACKET_BYTES };
        let mut room = most.saturating_sub(TAG_BYTES).saturating_sub(Header::BYTES);
        let mut transmit = Transmit::new(to);
        if to.is_none() {
            transmit.push_head(&[0; PREFIX_BYTES]);
        }
        let number = self.number;
        self.number = number.wrapping_add(1);
        let header = Header { suite: SUITE_OPEN, key_epoch: 0, sender: self.sender, number };
        transmit.push_head(&header.encode());
        while let Some((other, frame)) = queue.frames.front() {
            let Some(left) = room.checked_sub(frame.len()).filter(|_| *other == to) else { break };
            room = left;
            transmit.push_head(frame);
            queue.frames.pop_front();
        }
        if to.is_none() {
            transmit.patch_head(0, &Assembler::prefix(transmit.len().saturating_sub(PREFIX_BYTES)));
        }
        Some(transmit)
    }
}
