//! What waits for one socket, and what goes first.

use super::lanes::Lanes;
use crate::wire::{Data, FLOW_BYTES, Frame, Header, MAX_DATAGRAM_BYTES, TAG_BYTES};
use crate::{FragmentId, GroupId, Limits, PatchId, Priority, Time, Transmit};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

/// A fragment in a queue: its name, not its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::node) struct DataRef {
    pub(in crate::node) group: GroupId,
    pub(in crate::node) patch: PatchId,
    pub(in crate::node) fragment: FragmentId,
    pub(in crate::node) priority: Priority,
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

/// The most bytes of a datagram, and of a frame in it beside its heads.
const MAX_DATAGRAM: usize = MAX_DATAGRAM_BYTES - TAG_BYTES;
const MAX_LOOSE: usize = MAX_DATAGRAM - Header::BYTES - FLOW_BYTES;

/// A queue with more fresh fragments than this is long: its link is slow, or the source too fast.
const LONG: usize = 1_024;

/// Of four fragments on a busy link one may be a repair.
const FRESH_PER_REPAIR: u8 = 3;

/// The queue of one link: control frames and words first, then repairs, then fresh fragments.
#[derive(Debug)]
pub(super) struct Queue {
    control: VecDeque<Bytes>,
    /// Control frames that may be lost, where there is a flow.
    loose: VecDeque<Bytes>,
    words: BTreeSet<(GroupId, PatchId)>,
    /// Words that may go along with the next packet of fragments.
    offers: BTreeMap<(GroupId, PatchId), Offer>,
    /// When a word was last offered.
    offered: Time,
    repairs: Lanes,
    fresh: Lanes,
    /// Fresh fragments sent since the last repair.
    since_repair: u8,
    /// Fragments that were not sent since their message's deadline had passed.
    expired: u64,
    max_packet: usize,
    max_fragments: usize,
    max_control: usize,
}

/// A word that goes out now and then.
#[derive(Clone, Copy, Debug, Default)]
struct Offer {
    /// When one was last sent, as far as words were offered since.
    last: Option<Time>,
    /// It goes along with the next packet of fragments.
    waits: bool,
}

impl Queue {
    /// A queue for packets of at most `max_packet` bytes.
    pub(super) fn new(max_packet: usize, limits: &Limits) -> Self {
        Self::empty(max_packet, limits.queued_fragments, limits.queued_control)
    }

    fn empty(max_packet: usize, max_fragments: usize, max_control: usize) -> Self {
        Self {
            control: VecDeque::new(),
            loose: VecDeque::new(),
            words: BTreeSet::new(),
            offers: BTreeMap::new(),
            offered: Time::ZERO,
            repairs: Lanes::new(max_fragments),
            fresh: Lanes::new(max_fragments),
            since_repair: FRESH_PER_REPAIR,
            expired: 0,
            max_packet,
            max_fragments,
            max_control,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.control.is_empty() && !self.has_loose()
    }

    /// Whether anything waits that may be lost.
    pub(super) fn has_loose(&self) -> bool {
        !self.loose.is_empty() || !self.words.is_empty() || self.has_fragments()
    }

    /// Whether anything waits that a flow does not carry.
    pub(super) fn has_control(&self) -> bool {
        !self.control.is_empty()
    }

    pub(super) fn has_fragments(&self) -> bool {
        !self.repairs.is_empty() || !self.fresh.is_empty()
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
        self.control.len().max(self.loose.len())
    }

    pub(super) fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
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

    /// Queues a control frame that may be lost; if it is too long for a datagram beside its heads,
    /// as any other. False if there was no room.
    pub(super) fn push_loose(&mut self, frame: &Frame) -> bool {
        let bytes = encoded(frame);
        let lane = if bytes.len() > MAX_LOOSE { &mut self.control } else { &mut self.loose };
        let room = lane.len() < self.max_control;
        if room {
            lane.push_back(bytes);
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

    /// Has a word sent by itself if none was sent within `pause`; otherwise it goes along with the
    /// next packet of fragments. True if it goes by itself.
    pub(super) fn offer_word(
        &mut self,
        now: Time,
        pause: Duration,
        group: GroupId,
        patch: PatchId,
    ) -> bool {
        self.offered = now;
        let offer = self.offers.entry((group, patch)).or_default();
        let since = offer.last.map(|last| now.since(last));
        let alone = since.is_none_or(|since| since >= pause);
        // Late enough that it stands for the one that would go by itself.
        let late = pause.saturating_mul(3).checked_div(4).unwrap_or(pause);
        offer.waits = !alone && since.is_some_and(|since| since >= late);
        if alone {
            offer.last = Some(now);
            self.words.insert((group, patch));
        }
        alone
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
        self.control.append(&mut other.loose);
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
        if self.has_fragments() {
            self.take_offers();
        }
        // What a flow left behind.
        self.control.append(&mut self.loose);
        while let Some(frame) = self.next_control(fill) {
            if transmit.len().saturating_add(frame.len()) > self.max_packet {
                self.control.push_front(frame);
                return true;
            }
            transmit.push_head(&frame);
        }
        self.push_fragments(self.max_packet, transmit, fill);
        transmit.len() > before
    }

    /// As [`fill`](Self::fill), with what no flow carries.
    pub(super) fn fill_control(&mut self, transmit: &mut Transmit) -> bool {
        let before = transmit.len();
        while let Some(frame) = self.control.front() {
            if transmit.len().saturating_add(frame.len()) > self.max_packet {
                break;
            }
            transmit.push_head(frame);
            self.control.pop_front();
        }
        transmit.len() > before
    }

    /// Fills a datagram behind its heads with what may be lost; false if there is none.
    pub(super) fn fill_loose(&mut self, transmit: &mut Transmit, fill: &mut dyn Fill) -> bool {
        let before = transmit.len();
        if self.has_fragments() {
            self.take_offers();
        }
        let room = |transmit: &Transmit| MAX_DATAGRAM.saturating_sub(transmit.len());
        while let Some(frame) = self.next_loose(fill) {
            if frame.len() > room(transmit) {
                self.loose.push_front(frame);
                return true;
            }
            transmit.push_head(&frame);
        }
        self.push_fragments(MAX_DATAGRAM, transmit, fill);
        transmit.len() > before
    }

    /// Adds fragments up to so many bytes in all.
    fn push_fragments(&mut self, most: usize, transmit: &mut Transmit, fill: &mut dyn Fill) {
        while transmit.payload_count() < Transmit::PAYLOADS {
            let room = most.saturating_sub(transmit.len());
            if !self.push_fragment(room, transmit, fill) {
                break;
            }
        }
    }

    /// Has the words that wait for it go along with what is sent now.
    fn take_offers(&mut self) {
        for (&of, offer) in self.offers.iter_mut().filter(|(_, offer)| offer.waits) {
            *offer = Offer { last: Some(self.offered), waits: false };
            self.words.insert(of);
        }
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

    /// As [`next_control`](Self::next_control), of what may be lost. A word that is too long for a
    /// datagram goes where nothing is lost.
    fn next_loose(&mut self, fill: &mut dyn Fill) -> Option<Bytes> {
        while self.loose.is_empty() {
            let (group, patch) = self.words.pop_first()?;
            for frame in fill.word(group, patch).iter().map(encoded) {
                let long = frame.len() > MAX_LOOSE;
                if long { &mut self.control } else { &mut self.loose }.push_back(frame);
            }
        }
        self.loose.pop_front()
    }

    /// Adds the next fragment if it fits `room`; false if it does not, or if there is none.
    fn push_fragment(&mut self, room: usize, to: &mut Transmit, fill: &mut dyn Fill) -> bool {
        while let Some((data, urgency)) = self.next() {
            let Some(frame) = fill.data(&data, urgency) else {
                self.pop(urgency);
                continue;
            };
            // Whoever asked is told that it is over.
            if frame.options.is_over() && urgency == Urgency::Fresh {
                self.drop_expired();
                continue;
            }
            if frame.head_bytes().saturating_add(frame.payload.len()) > room {
                return false;
            }
            self.pop(urgency);
            to.push_head(&frame.head());
            to.push_payload(frame.payload);
            return true;
        }
        false
    }

    /// Takes out the fresh fragment whose turn it is; it took no turn.
    fn drop_expired(&mut self) {
        self.fresh.pop();
        self.expired = self.expired.saturating_add(1);
    }

    /// How many fragments were not sent since their message's deadline had passed, since the last
    /// call.
    pub(super) fn take_expired(&mut self) -> u64 {
        core::mem::take(&mut self.expired)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostTag, Incarnation, PublishOptions, Seq, Source};
    use proptest::prelude::*;
    use proptest::sample::select;

    /// Each message has one short fragment; the deadlines of odd ones have passed.
    struct Messages;

    impl Fill for Messages {
        fn data(&mut self, data: &DataRef, urgency: Urgency) -> Option<Data> {
            let over = data.fragment.seq.0 % 2 == 1;
            let deadline = over.then_some(Duration::ZERO);
            Some(Data {
                group: data.group,
                patch: data.patch,
                fragment: data.fragment,
                count: 1,
                origin: data.patch,
                hops: 0,
                solicited: urgency == Urgency::Repair,
                options: PublishOptions { priority: data.priority, deadline, mark: false },
                payload: if over { Bytes::new() } else { Bytes::from_static(&[7; 64]) },
            })
        }

        fn word(&mut self, _: GroupId, _: PatchId) -> Vec<Frame> {
            Vec::new()
        }
    }

    fn message(seq: u64, priority: Priority) -> DataRef {
        let source = Source { host: HostTag(1), incarnation: Incarnation(1) };
        let fragment = FragmentId { source, seq: Seq(seq), index: 0 };
        DataRef { group: GroupId(1), patch: PatchId(1), fragment, priority }
    }

    /// Everything that the queue sends, in order, as `(seq, was asked for, is over)`.
    fn drain(queue: &mut Queue) -> Vec<(u64, bool, bool)> {
        let mut sent = Vec::new();
        loop {
            let mut transmit = Transmit::new(None);
            transmit.push_head(
                &crate::wire::Header { suite: 0, key_epoch: 0, sender: HostTag(1), number: 0 }
                    .encode(),
            );
            if !queue.fill(&mut transmit, &mut Messages) {
                return sent;
            }
            let frames = crate::wire::Frames::decode(transmit.to_bytes()).expect("a header");
            for frame in frames {
                let Ok(Frame::Data(data)) = frame else { panic!("{frame:?}") };
                sent.push((data.fragment.seq.0, data.solicited, data.options.is_over()));
            }
        }
    }

    #[test]
    fn an_offered_word_goes_along_with_fragments_or_once_a_pause_by_itself() {
        let mut queue = Queue::new(1_200, &Limits::default());
        let (group, patch, pause) = (GroupId(1), PatchId(1), Duration::from_secs(1));
        let offer =
            |queue: &mut Queue, ms| queue.offer_word(Time::from_millis(ms), pause, group, patch);
        assert!(offer(&mut queue, 0), "the first one goes by itself");
        assert!(queue.words.pop_first().is_some());
        for ms in [250, 500, 750] {
            assert!(!offer(&mut queue, ms));
            assert!(queue.is_empty(), "it has nobody sent a packet");
        }
        queue.push_data(message(0, Priority::Normal), Urgency::Fresh);
        queue.take_offers();
        assert!(queue.words.pop_first().is_some(), "it goes along");
        let alone: Vec<u64> =
            (4..12).map(|tick| tick * 250).filter(|&ms| offer(&mut queue, ms)).collect();
        assert_eq!(alone, [1_750, 2_750]);
    }

    proptest! {
        /// Nothing whose deadline has passed leaves unasked, and each of it is counted; who asked is
        /// told. All else leaves once. While fresh fragments wait, of any four that leave at most one
        /// was asked for.
        #[test]
        fn what_is_over_stays_and_repairs_take_a_quarter(
            pushed in prop::collection::vec((select(&Priority::ALL[..]), any::<bool>()), 0..200),
        ) {
            let mut queue = Queue::new(1_200, &Limits::default());
            for (seq, (priority, asked)) in (0..).zip(&pushed) {
                let urgency = if *asked { Urgency::Repair } else { Urgency::Fresh };
                queue.push_data(message(seq, *priority), urgency);
            }
            let sent = drain(&mut queue);
            let mut seqs: Vec<u64> = sent.iter().map(|&(seq, ..)| seq).collect();
            seqs.sort_unstable();
            let due = (0..).zip(&pushed).filter(|(seq, (_, asked))| *asked || seq % 2 == 0);
            prop_assert_eq!(seqs, due.map(|(seq, _)| seq).collect::<Vec<u64>>());
            prop_assert!(sent.iter().all(|&(seq, asked, over)| over == (asked && seq % 2 == 1)));
            prop_assert_eq!(queue.take_expired() as usize, pushed.len() - sent.len());
            let last_fresh = sent.iter().rposition(|&(_, asked, _)| !asked).unwrap_or(0);
            for four in sent[..last_fresh].windows(4) {
                prop_assert!(four.iter().filter(|&&(_, asked, _)| asked).count() <= 1);
            }
        }
    }
}
