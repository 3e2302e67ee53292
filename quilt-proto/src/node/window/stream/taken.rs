//! What the application takes of a stream.

use super::*;

/// What the application gets next of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::node::window) enum Next {
    /// A message.
    Message { seq: Seq, body: Chunks },
    /// Some that will not come.
    Gap { from: Seq, to: Seq, cause: GapCause },
    /// Some that were not taken in time, where gaps are not announced.
    Lagged { messages: u64 },
}

impl Stream {
    /// Whether something of a class waits for the application. That messages will not come is told as
    /// if it were urgent: others wait behind it.
    pub(in crate::node::window) fn is_ready_as(&self, class: Priority) -> bool {
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
    pub(in crate::node::window) fn is_done(&self, seq: Seq) -> bool {
        self.slot(seq).is_none_or(|slot| {
            let told = if self.keeps_order() { seq < self.cursor } else { slot.is_told() };
            // A reader in order is still to be told of one that expired.
            let over = slot.end().is_some() && !(slot.is_expired() && self.keeps_order() && !told);
            over || (slot.is_whole() && (self.own || told))
        })
    }

    /// Next thing of a class for the application. What expired in front of it is not delivered any more.
    pub(in crate::node::window) fn deliver(&mut self, now: Time, class: Priority) -> Option<Next> {
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
            if let Some(body) = slot.body() {
                self.cursor = seq.next();
                return Some(Next::Message { seq, body });
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
            let Some(body) = slot.as_ref().and_then(|slot| slot.body()) else { continue };
            slot.into_iter().for_each(Slot::set_told);
            return Some(Next::Message { seq, body });
        }
        None
    }

    /// A message is whole.
    pub(super) fn arrive(&mut self, seq: Seq, class: Priority) {
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
    pub(in crate::node::window) fn end(&mut self) -> Option<usize> {
        if !self.keeps_order() {
            return None;
        }
        self.index(self.cursor)?;
        Some(self.close(self.cursor, End::Gone(GapCause::SourceReset)))
    }

    /// Whether the application has yet to take, or to be told of, messages that came before this one.
    pub(super) fn lags_before(&self, seq: Seq) -> bool {
        if self.cursor < self.base {
            return self.front == GapCause::Lagged;
        }
        let lags = |slot: &Slot| slot.is_whole() || gone(slot) == Some(GapCause::Lagged);
        self.cursor < seq && self.slot(self.cursor).is_some_and(lags)
    }
}

fn gone(slot: &Slot) -> Option<GapCause> {
    match slot.end()? {
        End::Gone(cause) => Some(cause),
        End::Forgotten => None,
    }
}
