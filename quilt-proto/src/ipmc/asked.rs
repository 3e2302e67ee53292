//! Who asked for what lately, as every member hears it.

use super::recent::Recent;
use crate::{HostTag, Seq, Source, Time};
use core::time::Duration;
use smallvec::SmallVec;

/// A request is remembered this long: longer than it takes until it is answered, or repeated.
const MEMORY: Duration = Duration::from_millis(200);
/// Requests that follow each other within this time are of one round. Later ones come from those
/// whom the answer to the round before did not reach.
const ROUND: Duration = Duration::from_millis(3);
/// In a later round so many members are given what they miss each by itself, before it is given to
/// all. Of those that missed it at first an answer to all leaves a few, and another one would be of no
/// use to all others. Guess: 4.
const FEW: usize = 4;
/// The most messages of which requests are remembered; those of one that gave way count as the first.
const MAX_MESSAGES: usize = 1_024;

/// The messages that were asked for by multicast.
#[derive(Debug)]
pub(super) struct Asked(Recent<(Source, Seq), Entry>);

#[derive(Debug)]
struct Entry {
    /// Who asked in this round, one more than a few at most.
    by: SmallVec<[HostTag; FEW + 1]>,
    /// It is not the first round.
    again: bool,
    at: Time,
}

impl Entry {
    fn new(now: Time) -> Self {
        Self { by: SmallVec::new(), again: false, at: now }
    }

    fn is_wanted_by_several(&self) -> bool {
        self.by.len() > if self.again { FEW } else { 1 }
    }
}

impl Default for Asked {
    fn default() -> Self {
        Self(Recent::new(MAX_MESSAGES))
    }
}

impl Asked {
    /// A member asks for something of a message; whether so many have asked for it as well that it
    /// is to be given to all.
    pub(super) fn note(&mut self, now: Time, source: Source, seq: Seq, by: HostTag) -> bool {
        let entry = self.0.note((source, seq), || Entry::new(now));
        let since = now.since(entry.at);
        if since > MEMORY {
            *entry = Entry::new(now);
        } else if since > ROUND {
            entry.again = true;
            entry.by.clear();
        }
        if entry.by.len() <= FEW && !entry.by.contains(&by) {
            entry.by.push(by);
        }
        entry.at = now;
        entry.is_wanted_by_several()
    }

    /// Whether so many have asked for a message within `time` that whoever has it gives it to all.
    pub(super) fn is_wanted_by_several(
        &self,
        now: Time,
        source: Source,
        seq: Seq,
        time: Duration,
    ) -> bool {
        let entry = self.0.get(&(source, seq));
        entry.is_some_and(|entry| entry.is_wanted_by_several() && now.since(entry.at) <= time)
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
    fn what_a_few_still_miss_after_all_were_given_it_is_not_given_to_all_again() {
        let (mut asked, at) = (Asked::default(), Time::from_millis);
        asked.note(at(0), SOURCE, Seq(1), HostTag(1));
        assert!(asked.note(at(0), SOURCE, Seq(1), HostTag(2)));
        for few in 0..FEW as u64 {
            assert!(!asked.note(at(5), SOURCE, Seq(1), HostTag(3 + few)), "{few}");
        }
        assert!(asked.note(at(6), SOURCE, Seq(1), HostTag(99)), "many miss it after all");
        assert!(!asked.note(at(10), SOURCE, Seq(1), HostTag(99)));
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
