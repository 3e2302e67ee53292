//! How messages leave a stream.

use super::*;

impl Stream {
    /// The first message that has not ended.
    pub(super) fn low(&self) -> Seq {
        let ended = self.ended.ranges(self.base).next().filter(|range| range.from == self.base);
        ended.map_or(self.base, |range| range.to)
    }

    /// Lets a delivered message go; returns the bytes freed.
    pub(in crate::node::window) fn forget(&mut self, seq: Seq) -> usize {
        let tells = self.slot(seq).is_some_and(Slot::tells);
        let bytes = if tells { self.close(seq, End::Forgotten) } else { 0 };
        self.trim();
        bytes
    }

    /// Lets the oldest message go to make room, delivered or not; returns the bytes freed. What is
    /// missing counts as well: whatever the order in which messages come, those that go are one stretch.
    pub(in crate::node::window) fn evict_oldest(&mut self) -> usize {
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

    /// Drops the oldest message; undelivered, it lies in the gap in front of the base.
    pub(in crate::node::window) fn drop_first(&mut self) {
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

    /// Ends a message, if it is known; the bytes freed.
    pub(super) fn close(&mut self, seq: Seq, end: End) -> usize {
        let Some(slot) = self.index(seq).and_then(|at| self.slots.get_mut(at)) else { return 0 };
        let bytes = slot.close(end);
        let tells = slot.tells();
        self.holed.remove(seq);
        if !tells {
            self.ended.insert(seq);
        }
        bytes
    }

    pub(super) fn leap(&mut self, to: Seq) {
        while !self.slots.is_empty() {
            self.drop_first();
        }
        self.base = to;
    }

    /// Drops ended slots at the front that the application is past.
    pub(super) fn trim(&mut self) {
        let order = self.keeps_order();
        while (!order || self.base < self.cursor)
            && self.slots.front().is_some_and(|slot| !slot.tells())
        {
            self.slots.pop_front();
            self.pass_base();
        }
    }

    /// The first message is known no more.
    fn pass_base(&mut self) {
        self.holed.remove(self.base);
        self.ended.remove(self.base);
        self.base = self.base.next();
    }
}
