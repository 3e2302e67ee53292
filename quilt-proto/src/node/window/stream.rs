//! One source's messages, in order.

use super::seqs::Seqs;
use super::slot::{End, Slot};
use super::{Kept, LATE_WAIT, REPAIR_DEADLINE, body};
use crate::wire::{Data, Held, Range, Wanted};
use crate::{
    Body, Delivery, FragmentId, GapCause, HostId, Incarnation, Priority, Seq, Source, Time,
};
use alloc::collections::VecDeque;
use core::time::Duration;
use smallvec::SmallVec;

/// However obtainable a hole looks, this long after it last moved it becomes a gap: by then it has
/// left every window (the default window is 30 s).
const HOPELESS: Duration = Duration::from_secs(30);

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
    /// Whether a message of it was known here: from the first one on, all are accounted for.
    begun: bool,
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

/// What the application gets next of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A message.
    Message { seq: Seq, body: Body },
    /// Some that will not come.
    Gap { from: Seq, to: Seq, cause: GapCause },
    /// Some that were not taken in time, where gaps are not announced.
    Lagged { messages: u64 },
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
            begun: false,
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
            self.begun = true;
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
        self.begun = true;
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

    /// Whether others are asked for a message that is missing.
    fn is_wanted(&self, seq: Seq) -> bool {
        self.delivery == Delivery::Reliable || seq < self.recalled
    }

    /// Whether something is missing that others are to be asked for.
    pub(super) fn has_wants(&self) -> bool {
        self.holed.first().is_some_and(|seq| self.is_wanted(seq))
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

    /// What is not here from `low` on, in order; ranges may touch.
    fn missing(&self, low: Seq) -> impl Iterator<Item = Range> {
        let (mut holed, mut ended) =
            (self.holed.ranges(low).peekable(), self.ended.ranges(low).peekable());
        core::iter::from_fn(move || match (holed.peek(), ended.peek()) {
            (Some(hole), Some(end)) if end.from < hole.from => ended.next(),
            (Some(_), _) => holed.next(),
            (None, _) => ended.next(),
        })
    }

    pub(super) fn is_holed(&self) -> bool {
        !self.holed.is_empty()
    }

    /// Whether something of a class waits for the application. That messages will not come is told as
    /// if it were urgent: others wait behind it.
    pub(super) fn is_ready_as(&self, class: Priority) -> bool {
        if !self.keeps_order() {
            let waits = self.arrived.get(class as usize).is_some_and(|queue| !queue.is_empty());
            return waits || (class == Priority::Urgent && self.lagged > 0);
        }
        if self.own || self.cursor < self.base {
            return !self.own && class == Priority::Urgent;
        }
        self.slot(self.cursor).is_some_and(|slot| match gone(slot) {
            Some(_) => class == Priority::Urgent,
            None => slot.is_whole() && class == slot.priority(),
        })
    }

    /// Whether nothing waits for the message: it is whole and was delivered, or ended.
    pub(super) fn is_done(&self, seq: Seq) -> bool {
        self.slot(seq).is_none_or(|slot| {
            let told = if self.keeps_order() { seq < self.cursor } else { slot.is_told() };
            // A reader in order is still to be told of one that expired.
            let over = slot.end().is_some() && !(slot.is_expired() && self.keeps_order() && !told);
            over || (slot.is_whole() && (self.own || told))
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
        let from = if self.keeps_order() { from.max(self.cursor) } else { from };
        let from = from.max(self.base);
        for seq in self.holed.iter(from).take_while(|&seq| self.is_wanted(seq)) {
            let Some(slot) = self.slot(seq) else { continue };
            for (index, last) in slot.holes(now, grace) {
                let first = FragmentId { source, seq, index };
                if !visit(Wanted { first, last }) {
                    return false;
                }
            }
        }
        true
    }

    /// The messages that are missing since [`LATE_WAIT`], and not since twice that.
    pub(super) fn late(&self, now: Time) -> impl Iterator<Item = Seq> {
        let is_late = move |slot: &Slot| {
            let still = now.since(slot.touched());
            (LATE_WAIT..LATE_WAIT.saturating_mul(2)).contains(&still)
        };
        self.holed.iter(self.base).filter(move |&seq| self.slot(seq).is_some_and(is_late))
    }

    /// Turns holes that are too old, unless obtainable, and those past their deadline into gaps; the
    /// bytes freed.
    pub(super) fn give_up(&mut self, now: Time, mut obtainable: impl FnMut(Seq) -> bool) -> usize {
        let mut bytes = 0_usize;
        if now < self.give_up_at {
            return bytes;
        }
        self.give_up_at = Time::MAX;
        let (delivery, recalled) = (self.delivery, self.recalled);
        let mut from = self.base;
        while let Some(seq) = self.holed.next(from) {
            from = seq.next();
            let Some(slot) = self.index(seq).and_then(|at| self.slots.get_mut(at)) else { break };
            let still = now.since(slot.touched());
            let wanted = delivery == Delivery::Reliable || seq < recalled;
            let (patience, cause) = match delivery {
                Delivery::Ordered if !wanted => (LATE_WAIT, GapCause::NotInTime),
                _ => (REPAIR_DEADLINE, GapCause::Unrepaired),
            };
            let waits = wanted && still < HOPELESS;
            let cause = match slot.is_over(now) {
                true => GapCause::Expired,
                false if still < patience || (waits && obtainable(seq)) => {
                    let at = (slot.touched() + patience).min(slot.over());
                    self.give_up_at = self.give_up_at.min(at);
                    continue;
                }
                false => cause,
            };
            let silent = delivery == Delivery::BestEffort && cause != GapCause::Expired;
            let end = if silent { End::Forgotten } else { End::Gone(cause) };
            bytes = bytes.saturating_add(self.close(seq, end));
        }
        self.trim();
        bytes
    }

    /// Somebody said that a message's deadline has passed; the bytes freed.
    fn expire(&mut self, now: Time, data: &Data) -> usize {
        let slot = self.index(data.fragment.seq).and_then(|at| self.slots.get_mut(at));
        let Some(bytes) = slot.and_then(|slot| slot.expire(now, data)) else { return 0 };
        self.holed.remove(data.fragment.seq);
        bytes
    }

    /// A message is known, and nothing of it here.
    fn lacks(&mut self, now: Time, seq: Seq) {
        self.holed.insert(seq);
        let soonest = if self.delivery == Delivery::Ordered { LATE_WAIT } else { REPAIR_DEADLINE };
        self.give_up_at = self.give_up_at.min(now + soonest);
    }

    /// Ends a message, if it is known; the bytes freed.
    fn close(&mut self, seq: Seq, end: End) -> usize {
        let Some(slot) = self.index(seq).and_then(|at| self.slots.get_mut(at)) else { return 0 };
        let bytes = slot.close(end);
        let tells = slot.tells();
        self.holed.remove(seq);
        if !tells {
            self.ended.insert(seq);
        }
        bytes
    }

    /// How long a missing message is still worth asking for.
    pub(super) fn left(&self, now: Time, seq: Seq) -> Duration {
        let Some(slot) = self.slot(seq) else { return Duration::ZERO };
        let over = match self.lifetime {
            Some(lifetime) if slot.is_untouched() => slot.touched() + lifetime,
            _ => slot.over(),
        };
        if over == Time::MAX { Duration::MAX } else { over.since(now) }
    }

    /// Whether the message is known, and no more.
    fn is_untouched(&self, seq: Seq) -> bool {
        self.slot(seq).is_some_and(Slot::is_untouched)
    }

    /// Next thing of a class for the application. What expired in front of it is not delivered any more.
    pub(super) fn deliver(&mut self, now: Time, class: Priority) -> Option<Next> {
        if self.own {
            return None;
        }
        if !self.keeps_order() {
            return self.deliver_arrived(now, class);
        }
        let seq = self.cursor;
        let (mut to, cause) = if seq < self.base {
            let front = core::mem::replace(&mut self.front, GapCause::WindowFull);
            (Seq(self.base.0.saturating_sub(1)), front)
        } else {
            self.expire_whole(now, seq);
            let slot = self.slot(seq)?;
            if let Some(fragments) = slot.body() {
                self.cursor = seq.next();
                return Some(Next::Message { seq, body: body(fragments) });
            }
            (seq, gone(slot)?)
        };
        loop {
            let next = to.next();
            if cause == GapCause::Expired {
                self.expire_whole(now, next);
            }
            if self.slot(next).and_then(gone) != Some(cause) {
                break;
            }
            to = next;
        }
        self.cursor = to.next();
        self.trim();
        Some(Next::Gap { from: seq, to, cause })
    }

    /// A whole message whose deadline passed while it waited for the application is given up.
    fn expire_whole(&mut self, now: Time, seq: Seq) {
        if self.slot(seq).is_some_and(|slot| slot.is_whole() && slot.is_over(now)) {
            let bytes = self.close(seq, End::Gone(GapCause::Expired));
            self.freed = self.freed.saturating_add(bytes);
        }
    }

    /// Next thing for the application, where the order is not kept.
    fn deliver_arrived(&mut self, now: Time, class: Priority) -> Option<Next> {
        if self.lagged > 0 {
            return Some(Next::Lagged { messages: core::mem::take(&mut self.lagged) });
        }
        while let Some(seq) = self.arrived.get_mut(class as usize)?.pop_front() {
            self.expire_whole(now, seq);
            let slot = self.index(seq).and_then(|at| self.slots.get_mut(at));
            let Some(fragments) = slot.as_ref().and_then(|slot| slot.body()) else { continue };
            slot.into_iter().for_each(Slot::set_told);
            return Some(Next::Message { seq, body: body(fragments) });
        }
        None
    }

    /// A message is whole.
    fn arrive(&mut self, seq: Seq, class: Priority) {
        if self.keeps_order() {
            return;
        }
        self.arrived.get_mut(class as usize).into_iter().for_each(|queue| queue.push_back(seq));
        // Those that left the window are still named.
        let named = self.arrived.iter().fold(0_usize, |sum, queue| sum.saturating_add(queue.len()));
        if named > self.slots.len().saturating_mul(2) {
            let (slots, base) = (&self.slots, self.base);
            let waits = |seq: &Seq| {
                let at = seq.0.checked_sub(base.0).and_then(|at| usize::try_from(at).ok());
                at.and_then(|at| slots.get(at)).is_some_and(Slot::is_whole)
            };
            self.arrived.iter_mut().for_each(|queue| queue.retain(waits));
        }
    }

    /// Ends the stream: the first message that will not be delivered any more becomes a gap. The
    /// bytes freed, if there was one.
    pub(super) fn end(&mut self) -> Option<usize> {
        if !self.keeps_order() {
            return None;
        }
        self.index(self.cursor)?;
        Some(self.close(self.cursor, End::Gone(GapCause::SourceReset)))
    }

    /// Lets a delivered message go; returns the bytes freed.
    pub(super) fn forget(&mut self, seq: Seq) -> usize {
        let tells = self.slot(seq).is_some_and(Slot::tells);
        let bytes = if tells { self.close(seq, End::Forgotten) } else { 0 };
        self.trim();
        bytes
    }

    /// Lets the oldest message go to make room, delivered or not; returns the bytes freed. What is
    /// missing counts as well: whatever the order in which messages come, those that go are one stretch.
    pub(super) fn evict_oldest(&mut self) -> usize {
        let seq = self.low();
        if self.is_done(seq) {
            return self.forget(seq);
        }
        let whole = self.slot(seq).is_some_and(Slot::is_whole);
        if self.keeps_order() {
            let lagged = whole || self.lags_before(seq);
            let cause = if lagged { GapCause::Lagged } else { GapCause::WindowFull };
            return self.close(seq, End::Gone(cause));
        }
        let bytes = self.close(seq, End::Forgotten);
        self.lagged = self.lagged.saturating_add(u64::from(whole));
        self.trim();
        bytes
    }

    /// Whether the application has yet to take, or to be told of, messages that came before this one.
    fn lags_before(&self, seq: Seq) -> bool {
        if self.cursor < self.base {
            return self.front == GapCause::Lagged;
        }
        let lags = |slot: &Slot| slot.is_whole() || gone(slot) == Some(GapCause::Lagged);
        self.cursor < seq && self.slot(self.cursor).is_some_and(lags)
    }

    /// The first message that has not ended.
    fn low(&self) -> Seq {
        let ended = self.ended.ranges(self.base).next().filter(|range| range.from == self.base);
        ended.map_or(self.base, |range| range.to)
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
            self.lacks(now, self.head());
            self.slots.push_back(Slot::missing(now));
        }
    }

    /// Drops the oldest message; undelivered, it lies in the gap in front of the base.
    pub(super) fn drop_first(&mut self) {
        let Some(slot) = self.slots.pop_front() else { return };
        let lagged = slot.is_whole() || slot.end() == Some(End::Gone(GapCause::Lagged));
        if self.own || !lagged {
            // Nothing of it waited for the application.
        } else if !self.keeps_order() {
            self.lagged = self.lagged.saturating_add(u64::from(!slot.is_told()));
        } else if self.cursor <= self.base {
            self.front = GapCause::Lagged;
        }
        self.freed = self.freed.saturating_add(slot.bytes());
        self.pass_base();
    }

    /// The first message is known no more.
    fn pass_base(&mut self) {
        self.holed.remove(self.base);
        self.ended.remove(self.base);
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
        let order = self.keeps_order();
        while (!order || self.base < self.cursor)
            && self.slots.front().is_some_and(|slot| !slot.tells())
        {
            self.slots.pop_front();
            self.pass_base();
        }
    }
}

fn gone(slot: &Slot) -> Option<GapCause> {
    match slot.end()? {
        End::Gone(cause) => Some(cause),
        End::Forgotten => None,
    }
}
