//! Who asked for what lately, as every member hears it.

use crate::{HostTag, Seq, Source, Time};
use alloc::collections::BTreeMap;
use core::time::Duration;

/// A request is remembered this long: longer than it takes until it is answered, or repeated.
const MEMORY: Duration = Duration::from_millis(200);
/// The most messages of which requests are remembered; those of others count as the first.
const MAX_MESSAGES: usize = 1_024;

/// The messages that were asked for by multicast.
#[derive(Debug, Default)]
pub(super) struct Asked(BTreeMap<(Source, Seq), Entry>);

#[derive(Debug)]
struct Entry {
    first: HostTag,
    several: bool,
    at: Time,
}

impl Asked {
    /// A member asks for something of a message; whether another one has asked for it as well.
    pub(super) fn note(&mut self, now: Time, source: Source, seq: Seq, by: HostTag) -> bool {
        if self.0.len() >= MAX_MESSAGES {
            self.0.retain(|_, entry| now.since(entry.at) <= MEMORY);
        }
        if self.0.len() >= MAX_MESSAGES && !self.0.contains_key(&(source, seq)) {
            return false;
        }
        let fresh = Entry { first: by, several: false, at: now };
        let entry = self.0.entry((source, seq)).or_insert(fresh);
        if now.since(entry.at) > MEMORY {
            *entry = Entry { first: by, several: false, at: now };
        }
        entry.several |= entry.first != by;
        entry.at = now;
        entry.several
    }

    /// Whether two members or more have asked for a message within `time`: whoever has it gives it
    /// to all.
    pub(super) fn is_wanted_by_several(
        &self,
        now: Time,
        source: Source,
        seq: Seq,
        time: Duration,
    ) -> bool {
        let entry = self.0.get(&(source, seq));
        entry.is_some_and(|entry| entry.several && now.since(entry.at) <= time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Incarnation;

    const SOURCE: Source = Source { host: HostTag(9), incarnation: Incarnation(1) };

    #[test]
    fn one_that_asks_again_is_not_several_and_two_are_until_it_is_long_ago() {
        let (mut asked, at) = (Asked::default(), Time::from_millis);
        assert!(!asked.note(at(0), SOURCE, Seq(1), HostTag(1)));
        assert!(!asked.note(at(1), SOURCE, Seq(1), HostTag(1)));
        assert!(!asked.note(at(1), SOURCE, Seq(2), HostTag(2)));
        assert!(asked.note(at(2), SOURCE, Seq(1), HostTag(2)));
        let several = |asked: &Asked, now| {
            asked.is_wanted_by_several(at(now), SOURCE, Seq(1), Duration::from_millis(5))
        };
        assert!(several(&asked, 7));
        assert!(!several(&asked, 8));
        assert!(!asked.note(at(500), SOURCE, Seq(1), HostTag(3)), "the others have it by now");
    }

    #[test]
    fn however_much_is_asked_for_the_memory_is_bounded() {
        let mut asked = Asked::default();
        for seq in 0..10_000 {
            asked.note(Time::from_millis(seq), SOURCE, Seq(seq), HostTag(seq));
        }
        assert!(asked.0.len() <= MAX_MESSAGES);
    }
}
