//! How much of the payload that comes to hosts is new to them, by message.

use quilt_proto::wire::Frame;
use quilt_proto::{Counter, Counters, Seq, Source};
use std::collections::BTreeMap;

/// Payload bytes in a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Of messages that count.
    pub counted: u64,
    /// Of messages that were published too early to count.
    pub early: u64,
    /// Of either, what was not asked for and comes from another region.
    pub foreign: u64,
}

/// Payload bytes that came to hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// New to the host.
    pub first: u64,
    /// Held already, and not asked for.
    pub unsolicited: u64,
    /// Held already, and asked for.
    pub repaired: u64,
}

impl Came {
    /// What a host has counted so far.
    pub(crate) fn counted(by: &Counters) -> Self {
        Self {
            first: by.get(Counter::PayloadBytesFirst),
            unsolicited: by.get(Counter::PayloadBytesUnsolicited),
            repaired: by.get(Counter::PayloadBytesRepaired),
        }
    }

    /// Each number of this one and of another one, made into one.
    fn with(self, other: Self, one: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            first: one(self.first, other.first),
            unsolicited: one(self.unsolicited, other.unsolicited),
            repaired: one(self.repaired, other.repaired),
        }
    }
}

/// Adds up what came of messages that count: those that are published once [`Novelty::begin`] was
/// called, however early or late others come.
#[derive(Debug, Default)]
pub(crate) struct Novelty {
    counts: bool,
    /// The first message of each source that is not early, of the sources that have early ones.
    begin: BTreeMap<Source, Seq>,
    sum: Came,
}

impl Novelty {
    /// What is published from now on counts.
    pub(crate) fn begin(&mut self) {
        self.counts = true;
    }

    /// A message was published, or sent, which is early if nothing counts yet.
    pub(crate) fn published(&mut self, source: Source, seq: Seq) {
        if !self.counts {
            let begin = self.begin.entry(source).or_default();
            *begin = seq.next().max(*begin);
        }
    }

    /// Enters a frame that is sent in what is in its packet.
    pub(crate) fn load(&mut self, load: &mut Load, frame: &Frame) {
        let Frame::Data(data) = frame else { return };
        let (source, seq) = (data.fragment.source, data.fragment.seq);
        self.published(source, seq);
        let early = self.begin.get(&source).is_some_and(|&begin| seq < begin);
        *(if early { &mut load.early } else { &mut load.counted }) += data.payload.len() as u64;
    }

    /// A host took in a packet: what it had counted before, and after. A packet with early messages
    /// and others is parted by their bytes; one in which none could be seen is as the time is.
    pub(crate) fn took_in(&mut self, load: Load, before: Came, after: Came) {
        if before == after {
            return;
        }
        let part = |came: u64| match u128::from(load.counted) + u128::from(load.early) {
            0 if self.counts => came,
            0 => 0,
            all => (u128::from(came) * u128::from(load.counted) / all) as u64,
        };
        let came = after.with(before, |after, before| part(after.saturating_sub(before)));
        self.sum = self.sum.with(came, |sum, more| sum + more);
    }

    /// All that came of messages that count.
    pub(crate) fn sum(&self) -> Came {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: Load = Load { counted: 0, early: 10, foreign: 0 };
    const COUNTED: Load = Load { counted: 10, early: 0, foreign: 0 };
    const NONE: Came = Came { first: 0, unsolicited: 0, repaired: 0 };

    #[test]
    fn messages_count_by_when_they_were_published_and_not_by_when_they_come() {
        let mut novelty = Novelty::default();
        let came = Came { first: 10, unsolicited: 20, repaired: 30 };
        novelty.took_in(EARLY, NONE, came);
        novelty.begin();
        novelty.took_in(EARLY, NONE, came);
        assert_eq!(novelty.sum(), NONE);
        novelty.took_in(COUNTED, came, came);
        assert_eq!(novelty.sum(), NONE, "nothing of it was counted");
        novelty.took_in(COUNTED, NONE, came);
        assert_eq!(novelty.sum(), came);
        novelty.took_in(Load { counted: 10, early: 10, foreign: 0 }, NONE, came);
        assert_eq!(novelty.sum(), Came { first: 15, unsolicited: 30, repaired: 45 });
    }
}
