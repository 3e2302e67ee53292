//! One source's messages, in order.

use super::slot::{End, Slot};
use super::{Kept, REPAIR_DEADLINE, body};
use crate::wire::{Data, Held, Range, Wanted};
use crate::{Body, FragmentId, GapCause, HostId, Incarnation, Seq, Source, Time};
use alloc::collections::VecDeque;
use core::time::Duration;
use smallvec::SmallVec;

/// However obtainable a hole looks, this long after it last moved it becomes a gap: by then it has
/// left every window (the default window is 30 s).
const HOPELESS: Duration = Duration::from_secs(30);

/// The messages of one source from the oldest that matters to the head.
#[derive(Debug)]
pub(super) struct Stream {
    /// In full, once somebody introduced it.
    host: Option<HostId>,
    /// Published here: nothing is delivered.
    own: bool,
    /// Whether it is settled where the stream begins for this host.
    placed: bool,
    /// Whether a message of it was known here: from the first one on, all are accounted for.
    begun: bool,
    /// The sequence number of the first slot.
    base: Seq,
    slots: VecDeque<Slot>,
    /// What the application gets next.
    cursor: Seq,
    /// How many slots are neither whole nor ended.
    holed: usize,
    touched: Time,
    /// Bytes of messages that were dropped since this was last taken.
    freed: usize,
    /// How many slots there were when this was last asked for.
    counted: usize,
}

/// What the application gets next of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A message.
    Message { seq: Seq, body: Body },
    /// Some that will not come.
    Gap { from: Seq, to: Seq, cause: GapCause },
}

impl Stream {
    /// This host's own.
    pub(super) fn own(me: HostId) -> Self {
        Self { own: true, placed: true, ..Self::met(Some(me)) }
    }

    /// One that was heard of.
    pub(super) fn met(host: Option<HostId>) -> Self {
        Self {
            host,
            own: false,
            placed: false,
            begun: false,
            base: Seq(0),
            slots: VecDeque::new(),
            cursor: Seq(0),
            holed: 0,
            touched: Time::ZERO,
            freed: 0,
            counted: 0,
        }
    }

    pub(super) fn introduce(&mut self, host: HostId) {
        self.host.get_or_insert(host);
    }

    pub(super) fn is_unplaced(&self) -> bool {
        !self.placed
    }

    /// Settles where the stream begins for this host.
    pub(super) fn place(&mut self, at: Seq) {
        self.placed = true;
        self.base = at;
        self.cursor = at;
    }

    /// Goes on where the stream stood when it had to make room for others.
    pub(super) fn resume(&mut self, at: Seq) {
        self.place(at);
        self.begun = true;
    }

    /// The message that comes next, as far as it is known here.
    pub(super) fn head(&self) -> Seq {
        Seq(self.base.0.saturating_add(self.slots.len() as u64))
    }

    pub(super) fn touched(&self) -> Time {
        self.touched
    }

    /// What the application gets next.
    pub(super) fn cursor(&self) -> Seq {
        self.cursor
    }

    /// Nothing of it is missing, and nothing waits for the application.
    pub(super) fn is_idle(&self) -> bool {
        !self.own && !self.is_holed() && !self.is_ready()
    }

    pub(super) fn slot(&self, seq: Seq) -> Option<&Slot> {
        self.slots.get(self.index(seq)?)
    }

    /// How many bytes went with dropped messages since the last call.
    pub(super) fn take_freed(&mut self) -> usize {
        core::mem::take(&mut self.freed)
    }

    /// How many messages are known.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many slots there were when this was last called, and how many there are.
    pub(super) fn count_slots(&mut self) -> (usize, usize) {
        let count = self.slots.len();
        (core::mem::replace(&mut self.counted, count), count)
    }

    pub(super) fn bytes(&self) -> usize {
        self.slots.iter().fold(0, |sum, slot| sum.saturating_add(slot.bytes()))
    }

    pub(super) fn publish(&mut self, slot: Slot, max_slots: usize) {
        self.touched = slot.touched();
        if self.slots.len() >= max_slots {
            self.drop_first();
        }
        self.slots.push_back(slot);
        self.cursor = self.head();
    }

    /// Takes a fragment in; the bytes it takes, and whether it is the first of its message.
    pub(super) fn keep(&mut self, now: Time, data: &Data, max_slots: usize) -> (Kept, usize, bool) {
        let seq = data.fragment.seq;
        if self.own || seq < self.base {
            let kept = if self.own { Kept::Duplicate } else { Kept::Late };
            return (kept, 0, false);
        }
        self.extend(now, seq.next(), max_slots);
        let first = self.is_untouched(seq);
        if data.options.is_over() {
            self.freed = self.freed.saturating_add(self.expire(now, data));
            return (Kept::Over, 0, first);
        }
        let Some(slot) = self.index(seq).and_then(|at| self.slots.get_mut(at)) else {
            return (Kept::Late, 0, false);
        };
        let (kept, bytes) = slot.keep(now, data);
        if slot.is_whole() && kept == Kept::New {
            self.holed = self.holed.saturating_sub(1);
        }
        self.touched = self.touched.max(now);
        (kept, bytes, first)
    }

    /// Takes a neighbour's word in; true if the head is news.
    pub(super) fn note_head(&mut self, now: Time, held: &Held, max_slots: usize) -> bool {
        if self.own || held.next <= self.head() {
            return false;
        }
        // Nothing of the stream was known so far, and its beginning is not to be had any more.
        if !self.begun && self.base < held.low {
            self.place(held.low);
        }
        self.extend(now, held.next, max_slots);
        self.touched = self.touched.max(now);
        true
    }

    /// What is held here, if the source was introduced.
    pub(super) fn held(&self, incarnation: Incarnation) -> Option<Held> {
        let host = self.host.filter(|_| self.placed)?;
        let low = self.slots.iter().position(Slot::tells).unwrap_or(self.slots.len());
        let low = Seq(self.base.0.saturating_add(low as u64));
        let next = self.head();
        let mut missing: SmallVec<[Range; 2]> = SmallVec::new();
        if self.holed > 0 || self.slots.iter().any(|slot| slot.end().is_some()) {
            for seq in (low.0..next.0).map(Seq) {
                if self.slot(seq).is_some_and(|slot| slot.is_whole() || slot.is_expired()) {
                    continue;
                }
                let full = missing.len() >= Held::MAX_MISSING;
                match missing.last_mut() {
                    Some(last) if last.to == seq => last.to = seq.next(),
                    Some(last) if full => {
                        last.to = next;
                        break;
                    }
                    _ => missing.push(Range { from: seq, to: seq.next() }),
                }
            }
        }
        Some(Held { host, incarnation, low, next, missing })
    }

    pub(super) fn is_holed(&self) -> bool {
        self.holed > 0
    }

    pub(super) fn is_ready(&self) -> bool {
        let waits = |slot: &Slot| slot.is_whole() || slot.end().is_some();
        !self.own && (self.cursor < self.base || self.slot(self.cursor).is_some_and(waits))
    }

    /// Whether nothing waits for the message: it is whole and was delivered, or ended.
    pub(super) fn is_done(&self, seq: Seq) -> bool {
        self.slot(seq).is_none_or(|slot| {
            slot.end().is_some() || (slot.is_whole() && (self.own || seq < self.cursor))
        })
    }

    /// From when on the message's time in the window counts; `None` if it is not there.
    pub(super) fn expires(&self, seq: Seq) -> Option<Time> {
        self.slot(seq).filter(|slot| slot.tells()).map(Slot::touched)
    }

    /// Hands holes from message `from` on to `visit` until it answers false, and then answers false.
    pub(super) fn holes(
        &self,
        source: Source,
        from: Seq,
        now: Time,
        grace: Duration,
        visit: &mut impl FnMut(Wanted) -> bool,
    ) -> bool {
        let from = self.cursor.max(self.base).max(from);
        let Some(at) = self.index(from) else { return true };
        let mut left = self.holed;
        for (slot, seq) in self.slots.range(at..).zip((from.0..).map(Seq)) {
            if left == 0 {
                break;
            }
            if !slot.is_holed() {
                continue;
            }
            left = left.saturating_sub(1);
            for (index, last) in slot.holes(now, grace) {
                let first = FragmentId { source, seq, index };
                if !visit(Wanted { first, last }) {
                    return false;
                }
            }
        }
        true
    }

    /// Turns holes that are too old, unless obtainable, and those past their deadline into gaps; the
    /// bytes freed.
    pub(super) fn give_up(&mut self, now: Time, mut obtainable: impl FnMut(Seq) -> bool) -> usize {
        let mut bytes = 0_usize;
        for (slot, seq) in self.slots.iter_mut().zip((self.base.0..).map(Seq)) {
            if !slot.is_holed() {
                continue;
            }
            let still = now.since(slot.touched());
            let hopeless = still >= REPAIR_DEADLINE && (still >= HOPELESS || !obtainable(seq));
            let cause = match (slot.is_over(now), hopeless) {
                (true, _) => GapCause::Expired,
                (false, true) => GapCause::Unrepaired,
                (false, false) => continue,
            };
            bytes = bytes.saturating_add(slot.close(End::Gone(cause)));
            self.holed = self.holed.saturating_sub(1);
        }
        bytes
    }

    /// Somebody said that a message's deadline has passed; the bytes freed.
    fn expire(&mut self, now: Time, data: &Data) -> usize {
        let slot = self.index(data.fragment.seq).and_then(|at| self.slots.get_mut(at));
        let Some(bytes) = slot.and_then(|slot| slot.expire(now, data)) else { return 0 };
        self.holed = self.holed.saturating_sub(1);
        bytes
    }

    /// Whether the message is known, and no more.
    fn is_untouched(&self, seq: Seq) -> bool {
        self.slot(seq).is_some_and(Slot::is_untouched)
    }

    /// Next thing for the application.
    pub(super) fn deliver(&mut self) -> Option<Next> {
        if self.own {
            return None;
        }
        let seq = self.cursor;
        if seq < self.base {
            self.cursor = self.base;
            let to = Seq(self.base.0.saturating_sub(1));
            return Some(Next::Gap { from: seq, to, cause: GapCause::WindowFull });
        }
        let slot = self.slot(seq)?;
        if let Some(fragments) = slot.body() {
            self.cursor = seq.next();
            return Some(Next::Message { seq, body: body(fragments) });
        }
        let cause = gone(slot)?;
        let mut to = seq;
        while self.slot(to.next()).and_then(gone) == Some(cause) {
            to = to.next();
        }
        self.cursor = to.next();
        self.trim();
        Some(Next::Gap { from: seq, to, cause })
    }

    /// Ends the stream: the first message that will not be delivered any more becomes a gap. The
    /// bytes freed, if there was one.
    pub(super) fn end(&mut self) -> Option<usize> {
        let at = self.index(self.cursor)?;
        Some(self.slots.get_mut(at)?.close(End::Gone(GapCause::SourceReset)))
    }

    /// Lets a delivered message go; returns the bytes freed.
    pub(super) fn forget(&mut self, seq: Seq) -> usize {
        let slot = self.index(seq).and_then(|at| self.slots.get_mut(at));
        let bytes = slot.filter(|slot| slot.tells()).map_or(0, |slot| slot.close(End::Forgotten));
        self.trim();
        bytes
    }

    /// Lets a message go to make room, delivered or not; returns the bytes freed.
    pub(super) fn evict(&mut self, seq: Seq) -> usize {
        if self.is_done(seq) {
            return self.forget(seq);
        }
        let Some(slot) = self.index(seq).and_then(|at| self.slots.get_mut(at)) else { return 0 };
        let cause = if slot.is_whole() {
            GapCause::Lagged
        } else {
            self.holed = self.holed.saturating_sub(1);
            GapCause::WindowFull
        };
        slot.close(End::Gone(cause))
    }

    fn index(&self, seq: Seq) -> Option<usize> {
        let at = seq.0.checked_sub(self.base.0)?;
        usize::try_from(at).ok().filter(|&at| at < self.slots.len())
    }

    /// Makes slots up to `head`. Where they are more than `max_slots`, the oldest go.
    fn extend(&mut self, now: Time, head: Seq, max_slots: usize) {
        // A leap beyond the whole window: nothing of what lies between could be kept.
        let leap = head.distance(self.head());
        if leap > max_slots as u64 {
            self.leap(Seq(head.0.saturating_sub(max_slots as u64)));
        }
        while self.head() < head {
            if self.slots.len() >= max_slots {
                self.drop_first();
            }
            self.begun = true;
            self.slots.push_back(Slot::missing(now));
            self.holed = self.holed.saturating_add(1);
        }
    }

    /// Drops the oldest message; undelivered, it lies in the gap in front of the base.
    fn drop_first(&mut self) {
        let Some(slot) = self.slots.pop_front() else { return };
        self.freed = self.freed.saturating_add(slot.bytes());
        self.holed = self.holed.saturating_sub(usize::from(slot.is_holed()));
        self.base = self.base.next();
    }

    fn leap(&mut self, to: Seq) {
        while !self.slots.is_empty() {
            self.drop_first();
        }
        self.base = to;
    }

    /// Drops ended slots at the front that the application is past.
    fn trim(&mut self) {
        while self.base < self.cursor && self.slots.front().is_some_and(|slot| !slot.tells()) {
            self.slots.pop_front();
            self.base = self.base.next();
        }
    }
}

fn gone(slot: &Slot) -> Option<GapCause> {
    match slot.end()? {
        End::Gone(cause) => Some(cause),
        End::Forgotten => None,
    }
}
