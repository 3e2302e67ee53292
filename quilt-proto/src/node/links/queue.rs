//! What waits for one socket, and what goes first.

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

/// A queue with more fresh fragments than this is long: its link is slow, or the source too fast.
const LONG: usize = 1_024;

/// Of four fragments on a busy link one may be a repair (design.md, section 8).
const FRESH_PER_REPAIR: u8 = 3;

/// The queue of one link: control frames and words first, then repairs, then fresh fragments, for
/// which the patches take turns.
#[derive(Debug)]
pub(super) struct Queue {
    control: VecDeque<Bytes>,
    words: BTreeSet<(GroupId, PatchId)>,
    repairs: VecDeque<DataRef>,
    /// What `repairs` holds, since one who waits asks again.
    repairing: BTreeSet<(GroupId, FragmentId)>,
    lanes: VecDeque<Lane>,
    /// Fresh fragments sent since the last repair.
    since_repair: u8,
    fresh: usize,
    max_packet: usize,
    max_fragments: usize,
    max_control: usize,
}

#[derive(Debug)]
struct Lane {
    of: (GroupId, PatchId),
    queue: VecDeque<DataRef>,
}

impl Queue {
    /// A queue for packets of at most `max_packet` bytes.
    pub(super) fn new(max_packet: usize, limits: &Limits) -> Self {
        Self {
            control: VecDeque::new(),
            words: BTreeSet::new(),
            repairs: VecDeque::new(),
            repairing: BTreeSet::new(),
            lanes: VecDeque::new(),
            since_repair: FRESH_PER_REPAIR,
            fresh: 0,
            max_packet,
            max_fragments: limits.queued_fragments,
            max_control: limits.queued_control,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.control.is_empty()
            && self.words.is_empty()
            && self.repairs.is_empty()
            && self.fresh == 0
    }

    pub(super) fn is_long(&self) -> bool {
        self.fresh > LONG.min(self.max_fragments)
    }

    pub(super) fn has_queued(&self, group: GroupId) -> bool {
        self.lanes.iter().any(|lane| lane.of.0 == group && !lane.queue.is_empty())
            || self.repairs.iter().any(|data| data.group == group)
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

    /// Takes a fragment in; returns how many others were dropped to make room.
    pub(super) fn push_data(&mut self, data: DataRef, urgency: Urgency) -> u64 {
        if urgency == Urgency::Repair {
            if self.repairing.insert((data.group, data.fragment)) {
                self.repairs.push_back(data);
            }
            let over = self.repairs.len() > self.max_fragments;
            return u64::from(over && self.pop_repair().is_some());
        }
        let of = (data.group, data.patch);
        match self.lanes.iter_mut().find(|lane| lane.of == of) {
            Some(lane) => lane.queue.push_back(data),
            None => self.lanes.push_back(Lane { of, queue: VecDeque::from([data]) }),
        }
        self.fresh = self.fresh.saturating_add(1);
        if self.fresh <= self.max_fragments {
            return 0;
        }
        let longest = self.lanes.iter_mut().max_by_key(|lane| lane.queue.len());
        let dropped = longest.is_some_and(|lane| lane.queue.pop_front().is_some());
        self.fresh = self.fresh.saturating_sub(usize::from(dropped));
        u64::from(dropped)
    }

    /// Hands everything over, and is empty.
    pub(super) fn take(&mut self) -> Self {
        let empty = Self {
            control: VecDeque::new(),
            words: BTreeSet::new(),
            repairs: VecDeque::new(),
            repairing: BTreeSet::new(),
            lanes: VecDeque::new(),
            fresh: 0,
            ..*self
        };
        core::mem::replace(self, empty)
    }

    /// Takes over what waited in another queue.
    pub(super) fn append(&mut self, mut other: Self) {
        self.control.append(&mut other.control);
        self.words.append(&mut other.words);
        for data in other.repairs {
            self.push_data(data, Urgency::Repair);
        }
        for data in other.lanes.into_iter().flat_map(|lane| lane.queue) {
            self.push_data(data, Urgency::Fresh);
        }
    }

    /// Fills a packet behind its header; false if there is nothing to say.
    pub(super) fn fill(&mut self, transmit: &mut Transmit, fill: &mut dyn Fill) -> bool {
        let before = transmit.len();
        while let Some((group, patch)) = self.words.pop_first() {
            self.control.extend(fill.word(group, patch).iter().map(encoded));
        }
        while let Some(frame) = self.control.front() {
            if transmit.len().saturating_add(frame.len()) > self.max_packet {
                return true;
            }
            transmit.push_head(frame);
            self.control.pop_front();
        }
        while transmit.payload_count() < Transmit::PAYLOADS {
            let room = self.max_packet.saturating_sub(transmit.len());
            if !self.push_fragment(room, transmit, fill) {
                break;
            }
        }
        transmit.len() > before
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
        let repair = self.repairs.front().map(|&data| (data, Urgency::Repair));
        if self.since_repair >= FRESH_PER_REPAIR && repair.is_some() {
            return repair;
        }
        while self.lanes.front().is_some_and(|lane| lane.queue.is_empty()) {
            self.lanes.pop_front();
        }
        let fresh = self.lanes.front().and_then(|lane| lane.queue.front());
        fresh.map(|&data| (data, Urgency::Fresh)).or(repair)
    }

    fn pop(&mut self, urgency: Urgency) {
        match urgency {
            Urgency::Repair => {
                self.pop_repair();
                self.since_repair = 0;
            }
            Urgency::Fresh => {
                if let Some(mut lane) = self.lanes.pop_front() {
                    lane.queue.pop_front();
                    self.fresh = self.fresh.saturating_sub(1);
                    self.lanes.push_back(lane);
                }
                self.since_repair = self.since_repair.saturating_add(1);
            }
        }
    }

    fn pop_repair(&mut self) -> Option<DataRef> {
        let data = self.repairs.pop_front()?;
        self.repairing.remove(&(data.group, data.fragment));
        Some(data)
    }
}

fn encoded(frame: &Frame) -> Bytes {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes.into()
}
