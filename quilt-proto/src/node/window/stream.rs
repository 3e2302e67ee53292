//! One source's messages, in order.

mod holes;
mod room;
mod taken;

pub(super) use taken::Next;

use super::seqs::Seqs;
use super::slot::{End, Slot};
use super::{Kept, LATE_WAIT, REPAIR_DEADLINE};
use crate::wire::{Data, Held, Range, Wanted};
use crate::{
    Chunks, Delivery, FragmentId, GapCause, HostId, Incarnation, Priority, Seq, Source, Time,
};
use alloc::collections::VecDeque;
use core::time::Duration;
use smallvec::SmallVec;

/// The messages of one source from the oldest that matters to the head.
#[derive(Debug)]
pub(super) struct Stream {
    /// What the group promises.
    delivery: Delivery,
    /// In full, once somebody introduced it.
    host: Option<HostId>,
    /// Published here: nothing is delivered.
    own: bool,
    /// Whether it is settled where the stream begins for this host.
    placed: bool,
    /// The sequence number of the first slot.
    base: Seq,
    slots: VecDeque<Slot>,
    /// What the application gets next, where the order is kept.
    cursor: Seq,
    /// What the application gets, the next one of each class first, where it is not; some may have left
    /// the window.
    arrived: [VecDeque<Seq>; Priority::ALL.len()],
    /// How many messages the application did not take in time, where it is not told which.
    lagged: u64,
    /// Why what lies before the base, and was not told, will not come.
    front: GapCause,
    /// Messages before this one are asked for whatever the group promises: the application wants
    /// them from before it came.
    recalled: Seq,
    /// The latest message that is a mark.
    mark: Option<Seq>,
    /// What was left of the deadline of the latest message that came, if it had one.
    lifetime: Option<Duration>,
    /// The messages that are neither whole nor ended.
    holed: Seqs,
    /// Before this none of them is given up.
    give_up_at: Time,
    /// Those that have ended and of which there is nothing to tell any more.
    ended: Seqs,
    touched: Time,
    /// Bytes of messages that were dropped since this was last taken.
    freed: usize,
    /// How many slots there were when this was last asked for.
    counted: usize,
}

impl Stream {
    /// This host's own.
    pub(super) fn own(me: HostId, delivery: Delivery) -> Self {
        Self { own: true, placed: true, ..Self::met(Some(me), delivery) }
    }

    /// One that was heard of.
    pub(super) fn met(host: Option<HostId>, delivery: Delivery) -> Self {
        Self {
            delivery,
            host,
            own: false,
            placed: false,
            base: Seq(0),
            slots: VecDeque::new(),
            cursor: Seq(0),
            arrived: Default::default(),
            lagged: 0,
            front: GapCause::WindowFull,
            recalled: Seq(0),
            mark: None,
            lifetime: None,
            holed: Seqs::default(),
            give_up_at: Time::MAX,
            ended: Seqs::default(),
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

    /// Settles where the stream begins for this host, unless that is settled.
    pub(super) fn place_first(&mut self, at: Seq) {
        if !self.placed {
            self.place(at);
        }
    }

    /// Has the stream begin at an earlier message, and all before `next` asked for: the application
    /// wants it, and was given nothing yet.
    pub(super) fn recall(&mut self, now: Time, from: Seq, next: Seq, max_slots: usize) {
        if self.own {
            return;
        }
        let from = from.max(Seq(next.0.saturating_sub(max_slots as u64)));
        self.place_first(from);
        while self.base > from && self.cursor == self.base && self.slots.len() < max_slots {
            self.slots.push_front(Slot::missing(now));
            self.base = Seq(self.base.0.saturating_sub(1));
            self.lacks(now, self.base);
            self.cursor = self.base;
        }
        self.recalled = self.recalled.max(next);
        self.extend(now, next, max_slots);
    }

    fn place(&mut self, at: Seq) {
        self.placed = true;
        self.base = at;
        self.cursor = at;
    }

    /// Goes on where the stream stood when it had to make room for others.
    pub(super) fn resume(&mut self, at: Seq) {
        self.place(at);
    }

    /// The message that comes next, as far as it is known here.
    pub(super) fn head(&self) -> Seq {
        Seq(self.base.0.saturating_add(self.slots.len() as u64))
    }

    pub(super) fn touched(&self) -> Time {
        self.touched
    }

    /// Before this message nothing is delivered any more, once nothing waits.
    pub(super) fn cursor(&self) -> Seq {
        if self.keeps_order() { self.cursor } else { self.head() }
    }

    fn keeps_order(&self) -> bool {
        self.delivery != Delivery::BestEffort
    }

    /// Nothing of it is missing, and nothing waits for the application.
    pub(super) fn is_idle(&self) -> bool {
        let ready = || Priority::ALL.into_iter().any(|class| self.is_ready_as(class));
        !self.own && !self.is_holed() && !ready()
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
        if slot.is_mark() {
            self.mark = Some(self.head());
        }
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
        let (whole, mark) = (slot.is_whole() && kept == Kept::New, slot.is_mark());
        let class = slot.priority();
        self.give_up_at = self.give_up_at.min(slot.over());
        if whole {
            self.holed.remove(seq);
            self.arrive(seq, class);
        }
        if mark {
            self.mark = self.mark.max(Some(seq));
        }
        if first {
            self.lifetime = data.options.deadline;
        }
        self.touched = self.touched.max(now);
        (kept, bytes, first)
    }

    /// Takes a neighbour's word in; true if the head is news.
    pub(super) fn note_head(&mut self, now: Time, held: &Held, max_slots: usize) -> bool {
        if self.own || held.next <= self.head() {
            return false;
        }
        self.extend(now, held.next, max_slots);
        self.touched = self.touched.max(now);
        true
    }

    /// What is held here, if the source was introduced.
    pub(super) fn held(&self, incarnation: Incarnation) -> Option<Held> {
        let host = self.host.filter(|_| self.placed)?;
        let next = self.head();
        let low = self.low();
        let mut missing: SmallVec<[Range; 2]> = SmallVec::new();
        for range in self.missing(low) {
            let full = missing.len() >= Held::MAX_MISSING;
            match missing.last_mut() {
                Some(last) if last.to == range.from => last.to = range.to,
                Some(last) if full => {
                    last.to = next;
                    break;
                }
                _ => missing.push(range),
            }
        }
        let is_here = |&seq: &Seq| low <= seq && self.slot(seq).is_some_and(Slot::tells);
        let mark = self.mark.filter(is_here).unwrap_or(next);
        Some(Held { host, incarnation, low, next, mark, missing })
    }

    /// From when on the message's time in the window counts; `None` if it is not there.
    pub(super) fn expires(&self, seq: Seq) -> Option<Time> {
        self.slot(seq).filter(|slot| slot.tells()).map(Slot::touched)
    }

    /// Whether the message is known, and no more.
    fn is_untouched(&self, seq: Seq) -> bool {
        self.slot(seq).is_some_and(Slot::is_untouched)
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
            self.lacks(now, self.head());
            self.slots.push_back(Slot::missing(now));
        }
    }
}
