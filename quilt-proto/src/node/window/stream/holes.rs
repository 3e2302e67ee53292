//! What is missing of a stream, and when it is given up.

use super::*;

/// However obtainable a hole looks, this long after it last moved it becomes a gap: by then it has
/// left every window (the default window is 30 s).
const HOPELESS: Duration = Duration::from_secs(30);
/// Whether one that is due still looks obtainable is asked again after this.
const AGAIN: Duration = Duration::from_millis(100);

impl Stream {
    /// Whether others are asked for a message that is missing.
    fn is_wanted(&self, seq: Seq) -> bool {
        self.delivery == Delivery::Reliable || seq < self.recalled
    }

    /// Whether something is missing that others are to be asked for.
    pub(in crate::node::window) fn has_wants(&self) -> bool {
        self.holed.first().is_some_and(|seq| self.is_wanted(seq))
    }

    pub(in crate::node::window) fn is_holed(&self) -> bool {
        !self.holed.is_empty()
    }

    /// What is not here from `low` on, in order; ranges may touch.
    pub(super) fn missing(&self, low: Seq) -> impl Iterator<Item = Range> {
        let (mut holed, mut ended) =
            (self.holed.ranges(low).peekable(), self.ended.ranges(low).peekable());
        core::iter::from_fn(move || match (holed.peek(), ended.peek()) {
            (Some(hole), Some(end)) if end.from < hole.from => ended.next(),
            (Some(_), _) => holed.next(),
            (None, _) => ended.next(),
        })
    }

    /// Hands holes from message `from` on to `visit` until it answers false, and then answers false.
    pub(in crate::node::window) fn holes(
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
    pub(in crate::node::window) fn late(&self, now: Time) -> impl Iterator<Item = Seq> {
        let is_late = move |slot: &Slot| {
            let still = now.since(slot.touched());
            (LATE_WAIT..LATE_WAIT.saturating_mul(2)).contains(&still)
        };
        self.holed.iter(self.base).filter(move |&seq| self.slot(seq).is_some_and(is_late))
    }

    /// How long a missing message is still worth asking for.
    pub(in crate::node::window) fn left(&self, now: Time, seq: Seq) -> Duration {
        let Some(slot) = self.slot(seq) else { return Duration::ZERO };
        let over = match self.lifetime {
            Some(lifetime) if slot.is_untouched() => slot.touched() + lifetime,
            _ => slot.over(),
        };
        if over == Time::MAX { Duration::MAX } else { over.since(now) }
    }

    /// Turns holes that are too old, unless obtainable, and those past their deadline into gaps; the
    /// bytes freed.
    pub(in crate::node::window) fn give_up(
        &mut self,
        now: Time,
        mut obtainable: impl FnMut(Seq) -> bool,
    ) -> usize {
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
                    let due = slot.touched() + patience;
                    let again = if due > now { due } else { now + AGAIN };
                    self.give_up_at = self.give_up_at.min(again).min(slot.over());
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
    pub(super) fn expire(&mut self, now: Time, data: &Data) -> usize {
        let slot = self.index(data.fragment.seq).and_then(|at| self.slots.get_mut(at));
        let Some(bytes) = slot.and_then(|slot| slot.expire(now, data)) else { return 0 };
        self.holed.remove(data.fragment.seq);
        bytes
    }

    /// A message is known, and nothing of it here.
    pub(super) fn lacks(&mut self, now: Time, seq: Seq) {
        self.holed.insert(seq);
        let soonest = if self.delivery == Delivery::Ordered { LATE_WAIT } else { REPAIR_DEADLINE };
        self.give_up_at = self.give_up_at.min(now + soonest);
    }
}
