//! What is missing here, and when it is asked for (RFC 5740, section 5.3; Floyd et al., "A reliable
//! multicast framework for light-weight sessions", SIGCOMM 1995).

use super::asked::Asked;
use crate::wire::Wanted;
use crate::{Rng, Seq, Source, Time};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

/// A hole younger than this may be filled by what is under way. How long that takes is learned: the
/// time grows by half with each fragment that came late and unasked, and shrinks by a sixteenth with
/// each that had to be asked for.
const MIN_GUARD: Duration = Duration::from_millis(1);
const MAX_GUARD: Duration = Duration::from_millis(100);
/// A request waits in one of several slots. A slot is as long as a request takes to be heard, and
/// at least this.
const MIN_SLOT: Duration = Duration::from_micros(500);
const MAX_SLOT: Duration = Duration::from_millis(20);
/// Whoever was asked has this long to answer, beside a round trip. Losses come in rows: only after a
/// few requests in vain does it take twice as long each time.
const PATIENCE: Duration = Duration::from_millis(3);
const MAX_PATIENCE: Duration = Duration::from_millis(100);
const QUICK_TRIES: u8 = 5;
/// Holes that are looked at in one go.
const MAX_LOOKED: usize = 512;
/// The most fragments that the record of what was lost lately covers.
const RECORD: u32 = 512;

/// What this host misses.
#[derive(Debug)]
pub(super) struct Nack {
    waits: BTreeMap<(Source, Seq), Wait>,
    guard: Duration,
    received: u32,
    lost: u32,
}

/// A message of which something is missing.
#[derive(Clone, Copy, Debug)]
struct Wait {
    /// When it is asked for.
    due: Time,
    /// How often it was asked for.
    tries: u8,
}

/// How far the others are, and how many there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    pub(super) members: usize,
    pub(super) rtt: Duration,
}

impl Default for Nack {
    fn default() -> Self {
        Self { waits: BTreeMap::new(), guard: MIN_GUARD, received: 0, lost: 0 }
    }
}

impl Nack {
    /// How old a hole has to be.
    pub(super) fn guard(&self) -> Duration {
        self.guard
    }

    /// The part of what was sent to the address lately that did not come, in 65,535ths.
    pub(super) fn loss(&self) -> u16 {
        let all = u64::from(self.received).saturating_add(u64::from(self.lost));
        let part = u64::from(self.lost).saturating_mul(u64::from(u16::MAX)).checked_div(all);
        u16::try_from(part.unwrap_or(0)).unwrap_or(u16::MAX)
    }

    /// A fragment came that nobody had asked for.
    pub(super) fn on_pushed(&mut self, source: Source, seq: Seq) {
        self.received = self.received.saturating_add(1);
        self.record();
        if self.waits.contains_key(&(source, seq)) {
            // It was late and not lost.
            self.lost = self.lost.saturating_sub(1);
            let longer = self.guard.saturating_mul(3).checked_div(2).unwrap_or_default();
            self.guard = longer.min(MAX_GUARD);
        }
    }

    /// A fragment came that had to be asked for.
    pub(super) fn on_pulled(&mut self) {
        let less = self.guard.checked_div(16).unwrap_or_default();
        self.guard = self.guard.saturating_sub(less).max(MIN_GUARD);
    }

    /// Takes in all that is missing now. What is to be asked for at once, with how often it was
    /// asked for before.
    pub(super) fn look(
        &mut self,
        now: Time,
        holes: &[Wanted],
        asked: &Asked,
        around: Surroundings,
        rng: &mut Rng,
    ) -> Vec<(u8, Wanted)> {
        let before = core::mem::take(&mut self.waits);
        let mut request = Vec::new();
        let mut again = None;
        for hole in holes {
            let key = (hole.first.source, hole.first.seq);
            // Further fragments of a message that was dealt with already.
            if self.waits.contains_key(&key) {
                if let Some((tries, _)) = again.filter(|(_, of)| *of == key) {
                    request.push((tries, *hole));
                }
                continue;
            }
            let known = before.get(&key).copied();
            let mut wait = known.unwrap_or_else(|| {
                self.lost = self.lost.saturating_add(fragments(hole));
                Wait { due: now + around.backoff(rng), tries: 0 }
            });
            if wait.due <= now {
                let pause = around.patience(wait.tries).saturating_add(around.backoff(rng));
                wait.due = now + pause;
                if !asked.is_wanted_by_several(now, key.0, key.1, around.patience(0)) {
                    request.push((wait.tries, *hole));
                    again = Some((wait.tries, key));
                    wait.tries = wait.tries.saturating_add(1);
                }
            }
            self.waits.insert(key, wait);
        }
        self.record();
        request
    }

    /// When something is to be asked for next.
    pub(super) fn next(&self) -> Option<Time> {
        self.waits.values().map(|wait| wait.due).min()
    }

    /// The most holes that [`look`](Self::look) is given.
    pub(super) const fn max_looked() -> usize {
        MAX_LOOKED
    }

    fn record(&mut self) {
        if self.received.saturating_add(self.lost) > RECORD {
            self.received /= 2;
            self.lost /= 2;
        }
    }
}

impl Surroundings {
    /// How long this host waits whether another one asks first. Of the slots the last has half of
    /// all hosts, the one before a quarter, and so on: of however many hosts that miss the same few
    /// are in the first slot that has any (the truncated exponential of RFC 5740, section 5.3, in
    /// steps).
    pub(super) fn backoff(self, rng: &mut Rng) -> Duration {
        let slots = usize::BITS.saturating_sub(self.members.leading_zeros()).clamp(1, 12);
        let last = slots.saturating_sub(1);
        let slot = last.saturating_sub(rng.next_u64().trailing_zeros().min(last));
        let length = self.slot();
        length.saturating_mul(slot).saturating_add(rng.between(Duration::ZERO, length))
    }

    fn slot(self) -> Duration {
        self.rtt.clamp(MIN_SLOT, MAX_SLOT)
    }

    /// How long an answer may take to what was asked for so often before.
    fn patience(self, tries: u8) -> Duration {
        let once = PATIENCE.saturating_add(self.rtt);
        let doublings = u32::from(tries.saturating_sub(QUICK_TRIES)).min(8);
        once.saturating_mul(1_u32.wrapping_shl(doublings)).min(MAX_PATIENCE)
    }
}

/// How many fragments an entry names; one, where the message's length is not known.
fn fragments(wanted: &Wanted) -> u32 {
    let last = if wanted.last == u16::MAX { wanted.first.index } else { wanted.last };
    u32::from(last.saturating_sub(wanted.first.index)).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FragmentId, HostTag, Incarnation};

    const SOURCE: Source = Source { host: HostTag(9), incarnation: Incarnation(1) };
    const AROUND: Surroundings = Surroundings { members: 200, rtt: Duration::from_micros(200) };

    fn hole(seq: u64) -> Wanted {
        let first = FragmentId { source: SOURCE, seq: Seq(seq), index: 0 };
        Wanted { first, last: u16::MAX }
    }

    /// When the hole is asked for, the first time from `from` on.
    fn asks(nack: &mut Nack, asked: &Asked, from: Time, rng: &mut Rng) -> (Time, u8) {
        let mut now = from;
        loop {
            let request = nack.look(now, &[hole(1)], asked, AROUND, rng);
            if let [(tries, _)] = request[..] {
                return (now, tries);
            }
            now = nack.next().expect("it is missing");
        }
    }

    #[test]
    fn a_hole_is_asked_for_after_a_back_off_and_again_ever_more_rarely() {
        let (mut nack, asked, mut rng) = (Nack::default(), Asked::default(), Rng::new(1));
        let (mut at, mut pauses) = (Time::ZERO, Vec::new());
        for tries in 0..40 {
            let (next, before) = asks(&mut nack, &asked, at, &mut rng);
            assert_eq!(u32::from(before), tries);
            pauses.push(next.since(at));
            at = next;
        }
        assert!(pauses[0] <= Duration::from_millis(4), "{:?}", pauses[0]);
        assert!(pauses[4] <= Duration::from_millis(8), "{:?}", pauses[4]);
        assert!(pauses[1..].iter().all(|pause| *pause <= Duration::from_millis(105)));
        assert!(pauses[39] >= Duration::from_millis(100));
        assert!(nack.look(at, &[], &asked, AROUND, &mut rng).is_empty());
        assert_eq!(nack.next(), None, "what came is not waited for");
    }

    #[test]
    fn what_several_have_asked_for_is_not_asked_for_once_more() {
        let (mut nack, mut asked, mut rng) = (Nack::default(), Asked::default(), Rng::new(1));
        nack.look(Time::ZERO, &[hole(1)], &asked, AROUND, &mut rng);
        let due = nack.next().expect("it waits");
        asked.note(due, SOURCE, Seq(1), HostTag(1));
        asked.note(due, SOURCE, Seq(1), HostTag(2));
        assert_eq!(nack.look(due, &[hole(1)], &asked, AROUND, &mut rng), []);
        let (at, tries) = asks(&mut nack, &asked, due, &mut rng);
        assert!(tries == 0 && at.since(due) < Duration::from_millis(20), "it gave up for too long");
    }

    #[test]
    fn of_a_thousand_that_miss_the_same_few_ask() {
        for seed in 0..20 {
            let mut rng = Rng::new(seed);
            let around = Surroundings { members: 1_000, ..AROUND };
            let mut waits: Vec<Duration> = (0..1_000).map(|_| around.backoff(&mut rng)).collect();
            waits.sort();
            // Whoever waits longer than the second one and the way between them is silent.
            let heard = waits[1] + Duration::from_micros(100);
            let asking = waits.iter().filter(|wait| **wait <= heard).count();
            assert!(asking <= 12, "{asking} ask, seed {seed}");
        }
    }

    #[test]
    fn the_guard_grows_with_what_comes_late_and_shrinks_with_what_does_not_come() {
        let (mut nack, asked, mut rng) = (Nack::default(), Asked::default(), Rng::new(1));
        for seq in 0..20 {
            nack.look(Time::ZERO, &[hole(seq)], &asked, AROUND, &mut rng);
            nack.on_pushed(SOURCE, Seq(seq));
        }
        assert_eq!((nack.guard(), nack.loss()), (MAX_GUARD, 0));
        (0..200).for_each(|_| nack.on_pulled());
        assert_eq!(nack.guard(), MIN_GUARD);
    }

    #[test]
    fn the_loss_is_that_of_what_came_lately() {
        let (mut nack, asked, mut rng) = (Nack::default(), Asked::default(), Rng::new(1));
        for seq in 0..2_000 {
            if seq < 1_000 && seq % 4 == 0 {
                nack.look(Time::ZERO, &[hole(seq)], &asked, AROUND, &mut rng);
            } else {
                nack.on_pushed(SOURCE, Seq(seq));
            }
            if seq == 999 {
                let percent = u32::from(nack.loss()) * 100 / u32::from(u16::MAX);
                assert!((23..=27).contains(&percent), "{percent} %");
            }
        }
        assert!(nack.loss() < u16::MAX / 25, "it has not forgotten: {}", nack.loss());
    }
}
