//! What waits for one socket, and what goes first.

use super::lanes::Lanes;
use crate::wire::{Data, Frame};
use crate::{FragmentId, GroupId, Limits, PatchId, Transmit};
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;

/// A fragment in a queue: its name, not its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::node) struct DataRef {
    pub(in crate::node) group: GroupId,
    pub(in crate::node) patch: PatchId,
    pub(in crate::node) fragment: FragmentId,
}

/// What kind of fragment it is to the one it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::node) enum Urgency {
    /// New.
    Fresh,
    /// Asked for.
    Repair,
}

/// Brings what queues only name, at the moment when it is sent.
pub(in crate::node) trait Fill {
    /// The fragment; `None` if it has left the window.
    fn data(&mut self, data: &DataRef, urgency: Urgency) -> Option<Data>;
    /// This host's word on what it holds, in as many frames as it takes.
    fn word(&mut self, group: GroupId, patch: PatchId) -> Vec<Frame>;
}

/// Most control frames are no longer, and so are written without growing.
const USUAL_CONTROL_BYTES: usize = 128;

/// A queue with more fresh fragments than this is long: its link is slow, or the source too fast.
const LONG: usize = 1_024;

/// Of four fragments on a busy link one may be a repair.
const FRESH_PER_REPAIR: u8 = 3;

/// The queue of one link: control frames and words first, then repairs, then fresh fragments.
#[derive(Debug)]
pub(super) struct Queue {
    control: VecDeque<Bytes>,
    words: BTreeSet<(GroupId, PatchId)>,
    repairs: Lanes,
    fresh: Lanes,
    /// Fresh fragments sent since the last repair.
    since_repair: u8,
    max_packet: usize,
    max_fragments: usize,
    max_control: usize,
}

impl Queue {
    /// A queue for packets of at most `max_packet` bytes.
    pub(super) fn new(max_packet: usize, limits: &Limits) -> Self {
        Self::empty(max_packet, limits.queued_fragments, limits.queued_control)
    }

    fn empty(max_packet: usize, max_fragments: usize, max_control: usize) -> Self {
        Self {
            control: VecDeque::new(),
            words: BTreeSet::new(),
            repairs: Lanes::new(max_fragments),
            fresh: Lanes::new(max_fragments),
            since_repair: FRESH_PER_REPAIR,
            max_packet,
            max_fragments,
            max_control,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.control.is_empty()
            && self.words.is_empty()
            && self.repairs.is_empty()
            && self.fresh.is_empty()
    }

    pub(super) fn is_long(&self) -> bool {
        self.fresh.len() > LONG.min(self.max_fragments)
    }

    /// How many fragments wait.
    pub(super) fn fragments(&self) -> usize {
        self.fresh.len().saturating_add(self.repairs.len())
    }

    /// How many control frames wait.
    pub(super) fn controls(&self) -> usize {
        self.control.len()
    }

    pub(super) fn has_queued(&self, group: GroupId) -> bool {
        self.fresh.holds(group) || self.repairs.holds(group)
    }

    /// False if there was no room.
    pub(super) fn push_control(&mut self, frame: &Frame) -> bool {
        let room = self.control.len() < self.max_control;
        if room {
            self.control.push_back(encoded(frame));
        }
        room
    }

    /// Puts a control frame in front of all others.
    pub(super) fn push_first(&mut self, frame: &Frame) {
        self.control.push_front(encoded(frame));
    }

    pub(super) fn push_word(&mut self, group: GroupId, patch: PatchId) {
        self.words.insert((group, patch));
    }

    /// Takes a fragment in; false if another one was dropped to make room.
    pub(super) fn push_data(&mut self, data: DataRef, urgency: Urgency) -> bool {
        match urgency {
            Urgency::Repair => self.repairs.push(data),
            Urgency::Fresh => self.fresh.push(data),
        }
    }

    /// Whether a fragment is to be sent unasked.
    pub(super) fn is_due(&self, group: GroupId, fragment: FragmentId) -> bool {
        self.fresh.contains(group, fragment)
    }

    /// The other end has a fragment: it need not be sent unasked.
    pub(super) fn forget(&mut self, group: GroupId, fragment: FragmentId) {
        self.fresh.forget(group, fragment);
    }

    /// The other end wants nothing fresh of a patch.
    pub(super) fn hold_back(&mut self, group: GroupId, patch: PatchId) {
        self.fresh.clear(group, patch);
    }

    /// Hands everything over, and is empty.
    pub(super) fn take(&mut self) -> Self {
        let empty = Self::empty(self.max_packet, self.max_fragments, self.max_control);
        core::mem::replace(self, empty)
    }

    /// Takes over what waited in another queue.
    pub(super) fn append(&mut self, mut other: Self) {
        self.control.append(&mut other.control);
        self.words.append(&mut other.words);
        while let Some(data) = other.repairs.pop() {
            self.repairs.push(data);
        }
        while let Some(data) = other.fresh.pop() {
            self.fresh.push(data);
        }
    }

    /// Fills a packet behind its header; false if there is nothing to say.
    pub(super) fn fill(&mut self, transmit: &mut Transmit, fill: &mut dyn Fill) -> bool {
        let before = transmit.len();
        while let Some(frame) = self.next_control(fill) {
            if transmit.len().saturating_add(frame.len()) > self.max_packet {
                self.control.push_front(frame);
                return true;
            }
            transmit.push_head(&frame);
        }
        while transmit.payload_count() < Transmit::PAYLOADS {
            let room = self.max_packet.saturating_sub(transmit.len());
            if !self.push_fragment(room, transmit, fill) {
                break;
            }
        }
        transmit.len() > before
    }

    /// Takes out the next control frame. Words are fetched one at a time and behind what waits
    /// already, so that they take no room from it.
    fn next_control(&mut self, fill: &mut dyn Fill) -> Option<Bytes> {
        while self.control.is_empty() {
            let (group, patch) = self.words.pop_first()?;
            self.control.extend(fill.word(group, patch).iter().map(encoded));
        }
        self.control.pop_front()
    }

    /// Adds the next fragment if it fits `room`; false if it does not, or if there is none.
    fn push_fragment(&mut self, room: usize, to: &mut Transmit, fill: &mut dyn Fill) -> bool {
        while let Some((data, urgency)) = self.next() {
            let Some(frame) = fill.data(&data, urgency) else {
                self.pop(urgency);
                continue;
            };
            if Data::HEAD_BYTES.saturating_add(frame.payload.len()) > room {
                return false;
            }
            self.pop(urgency);
            to.push_head(&frame.head());
            to.push_payload(frame.payload);
            return true;
        }
        false
    }

    /// The fragment whose turn it is.
    fn next(&mut self) -> Option<(DataRef, Urgency)> {
        let repair = self.repairs.next().map(|data| (data, Urgency::Repair));
        if self.since_repair >= FRESH_PER_REPAIR && repair.is_some() {
            return repair;
        }
        self.fresh.next().map(|data| (data, Urgency::Fresh)).or(repair)
    }

    fn pop(&mut self, urgency: Urgency) {
        match urgency {
            Urgency::Repair => {
                self.repairs.pop();
                self.since_repair = 0;
            }
            Urgency::Fresh => {
                self.fresh.pop();
                self.since_repair = self.since_repair.saturating_add(1);
            }
        }
    }
}

fn encoded(frame: &Frame) -> Bytes {
    let mut bytes = Vec::with_capacity(USUAL_CONTROL_BYTES);
    frame.encode(&mut bytes);
    bytes.into()
}
