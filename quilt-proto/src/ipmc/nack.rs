//! What is missing here, and when it is asked for (RFC 5740, section 5.3; Floyd et al., "A reliable
//! multicast framework for light-weight sessions", SIGCOMM 1995).

use super::asked::Asked;
use super::tally::Passed;
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
/// What was only heard of over streams may be on its way, or wait in a receive buffer, for so long.
const UNSURE: Duration = Duration::from_millis(100);
/// The most sources of which it is remembered how far they are.
const MAX_SOURCES: usize = 1_024;
/// A request waits in one of several slots. A slot is as long as a request takes to be heard, and
/// at least this.
const MIN_SLOT: Duration = Duration::from_micros(500);
const MAX_SLOT: Duration = Duration::from_millis(20);
/// Whoever was asked has this long to answer beside a round trip, and twice as long as answers took
/// lately: a busy host is not to be asked for more of the same. Losses come in rows: only after a
/// few requests in vain does it take twice as long each time.
const PATIENCE: Duration = Duration::from_millis(3);
const MAX_PATIENCE: Duration = Duration::from_millis(200);
const QUICK_TRIES: u8 = 5;
/// Holes that are looked at in one go.
const MAX_LOOKED: usize = 512;
/// For each of them the next look is so much later at least: a host that misses much, most often since
/// it has too much to do, spends a small part of its time on looking.
const PAUSE_EACH: Duration = Duration::from_micros(4);
/// What was lost is recorded over about so many fragments, and about this time.
const RECORD: u32 = 512;
const RECORD_TIME: Duration = Duration::from_millis(250);

/// What this host misses.
#[derive(Debug)]
pub(super) struct Nack {
    waits: BTreeMap<(Source, Seq), Wait>,
    /// The message of each source before which all were sent to the address: it was begun, or
    /// somebody said so there.
    sent: BTreeMap<Source, Seq>,
    guard: Duration,
    received: u32,
    lost: u32,
    recorded: Time,
    /// How long answers take, smoothed as RFC 6298 does it, with a gain of an eighth.
    answers_take: Duration,
}

/// A message of which something is missing.
#[derive(Clone, Copy, Debug)]
struct Wait {
    /// When it is asked for.
    due: Time,
    /// Whether it was surely sent.
    sure: bool,
    /// When it was first asked for, and how often.
    asked: Option<Time>,
    tries: u8,
}

/// Something that is missing, and whether it is the end of its message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hole {
    pub(super) wanted: Wanted,
    pub(super) is_tail: bool,
}

/// How far the others are, and how many there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    pub(super) members: usize,
    pub(super) rtt: Duration,
}

impl Default for Nack {
    fn default() -> Self {
        Self {
            waits: BTreeMap::new(),
            sent: BTreeMap::new(),
            guard: MIN_GUARD,
            received: 0,
            lost: 0,
            recorded: Time::ZERO,
            answers_take: Duration::ZERO,
        }
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
        self.on_head(source, seq);
        if self.waits.get(&(source, seq)).is_some_and(|wait| wait.sure) {
            // It was late and not lost.
            self.lost = self.lost.saturating_sub(1);
            let longer = self.guard.saturating_mul(3).checked_div(2).unwrap_or_default();
            self.guard = longer.min(MAX_GUARD);
        }
    }

    /// A fragment came in a group in which nobody asks for what is missing.
    pub(super) fn on_unasked(&mut self, now: Time, passed: Passed) {
        self.received = self.received.saturating_add(1);
        match passed {
            Passed::Over(lost) => self.lost = self.lost.saturating_add(lost.min(RECORD)),
            Passed::Late => self.lost = self.lost.saturating_sub(1),
        }
        self.record(now);
    }

    /// All messages before `next` were sent to the address.
    pub(super) fn on_head(&mut self, source: Source, next: Seq) {
        if self.sent.len() >= MAX_SOURCES && !self.sent.contains_key(&source) {
            self.sent.pop_first();
        }
        let sent = self.sent.entry(source).or_insert(next);
        *sent = next.max(*sent);
    }

    /// A fragment came that had to be asked for.
    pub(super) fn on_pulled(&mut self, now: Time, source: Source, seq: Seq) {
        let wait = self.waits.get_mut(&(source, seq));
        // Of a message that was asked for several times, the first one counts: rather too long.
        if let Some(asked) = wait.and_then(|wait| wait.asked.take()) {
            let sum = self.answers_take.saturating_mul(7).saturating_add(now.since(asked));
            self.answers_take = sum.checked_div(8).unwrap_or_default();
        }
        let less = self.guard.checked_div(16).unwrap_or_default();
        self.guard = self.guard.saturating_sub(less).max(MIN_GUARD);
    }

    /// Takes in all that is missing now. What is to be asked for at once, with how often it was
    /// asked for before.
    pub(super) fn look(
        &mut self,
        now: Time,
        holes: &[Hole],
        asked: &Asked,
        around: Surroundings,
        rng: &mut Rng,
    ) -> Vec<(u8, Wanted)> {
        let before = core::mem::take(&mut self.waits);
        let mut request = Vec::new();
        let mut again = None;
        for hole in holes {
            let key = (hole.wanted.first.source, hole.wanted.first.seq);
            let sure = !hole.is_tail || self.sent.get(&key.0).is_some_and(|sent| key.1 < *sent);
            // Further fragments of a message that was dealt with already.
            if self.waits.contains_key(&key) {
                if let Some((tries, _)) = again.filter(|(_, of)| *of == key) {
                    request.push((tries, hole.wanted));
                }
                continue;
            }
            let known = before.get(&key).copied();
            let due = now + if sure { around.backoff(rng) } else { UNSURE };
            let mut wait = known.unwrap_or(Wait { due, sure: false, asked: None, tries: 0 });
            if sure && !wait.sure {
                self.lost = self.lost.saturating_add(fragments(&hole.wanted));
                wait.due = due.min(wait.due);
                wait.sure = true;
            }
            if wait.due <= now {
                let pause = self.patience(around, wait.tries).saturating_add(around.backoff(rng));
                wait.due = now + pause;
                if !asked.is_wanted_by_several(now, key.0, key.1, self.patience(around, 0)) {
                    request.push((wait.tries, hole.wanted));
                    again = Some((wait.tries, key));
                    wait.asked = wait.asked.or((wait.tries == 0).then_some(now));
                    wait.tries = wait.tries.saturating_add(1);
                }
            }
            self.waits.insert(key, wait);
        }
        self.record(now);
        request
    }

    /// When something is to be asked for next, at `now` or later.
    pub(super) fn next(&self, now: Time) -> Option<Time> {
        let due = self.waits.values().map(|wait| wait.due).min()?;
        let waits = u32::try_from(self.waits.len()).unwrap_or(u32::MAX);
        Some(due.max(now + PAUSE_EACH.saturating_mul(waits)))
    }

    /// The most holes that [`look`](Self::look) is given.
    pub(super) const fn max_looked() -> usize {
        MAX_LOOKED
    }

    /// How long answers take, at least `least`.
    pub(super) fn answers_take(&self, least: Duration) -> Duration {
        self.answers_take.clamp(least, MAX_PATIENCE)
    }

    /// Lets what is long ago count for less.
    fn record(&mut self, now: Time) {
        let old = now.since(self.recorded) > RECORD_TIME;
        if old || self.received.saturating_add(self.lost) > RECORD {
            self.recorded = now;
            self.received /= 2;
            self.lost /= 2;
        }
    }

    /// How long an answer may take to what was asked for so often before.
    fn patience(&self, around: Surroundings, tries: u8) -> Duration {
        let once = PATIENCE.saturating_add(around.rtt).max(self.answers_take.saturating_mul(2));
        let doublings = u32::from(tries.saturating_sub(QUICK_TRIES)).min(8);
        once.saturating_mul(1_u32.wrapping_shl(doublings)).min(MAX_PATIENCE)
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

    fn hole(seq: u64) -> Hole {
        let first = FragmentId { source: SOURCE, seq: Seq(seq), index: 0 };
        Hole { wanted: Wanted { first, last: u16::MAX }, is_tail: false }
    }

    /// When the hole is asked for, the first time from `from` on.
    fn asks(nack: &mut Nack, asked: &Asked, from: Time, rng: &mut Rng) -> (Time, u8) {
        let mut now = from;
        loop {
            let request = nack.look(now, &[hole(1)], asked, AROUND, rng);
            if let [(tries, _)] = request[..] {
                return (now, tries);
            }
            now = nack.next(now).expect("it is missing");
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
        assert!(pauses[1..].iter().all(|pause| *pause <= Duration::from_millis(205)));
        assert!(pauses[39] >= Duration::from_millis(200));
        assert!(nack.look(at, &[], &asked, AROUND, &mut rng).is_empty());
        assert_eq!(nack.next(at), None, "what came is not waited for");
    }

    #[test]
    fn who_misses_much_looks_at_it_in_proportion_more_rarely() {
        let (mut nack, asked, mut rng) = (Nack::default(), Asked::default(), Rng::new(1));
        let holes: Vec<Hole> = (0..MAX_LOOKED as u64).map(hole).collect();
        let (mut now, mut looked) = (Time::ZERO, 0);
        while now < Time::from_millis(100) {
            nack.look(now, &holes, &asked, AROUND, &mut rng);
            now = nack.next(now).expect("all are missing");
            looked += holes.len();
        }
        assert!(looked < 30_000, "{looked} looks at holes in a tenth of a second");
    }

    #[test]
    fn what_several_have_asked_for_is_not_asked_for_once_more() {
        let (mut nack, mut asked, mut rng) = (Nack::default(), Asked::default(), Rng::new(1));
        nack.look(Time::ZERO, &[hole(1)], &asked, AROUND, &mut rng);
        let due = nack.next(Time::ZERO).expect("it waits");
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
        (0..200).for_each(|_| nack.on_pulled(Time::ZERO, SOURCE, Seq(99)));
        assert_eq!(nack.guard(), MIN_GUARD);
    }

    /// Streams overtake what waits in a receive buffer.
    #[test]
    fn what_was_heard_of_over_streams_alone_is_left_time_to_come() {
        let (mut nack, asked, mut rng) = (Nack::default(), Asked::default(), Rng::new(1));
        let tail = |seq| Hole { is_tail: true, ..hole(seq) };
        nack.on_pushed(SOURCE, Seq(5));
        nack.look(Time::ZERO, &[tail(6), tail(7)], &asked, AROUND, &mut rng);
        assert_eq!(nack.next(Time::ZERO), Some(Time::from_millis(100)));
        assert_eq!(nack.loss(), 0);
        nack.on_head(SOURCE, Seq(7));
        nack.look(Time::from_millis(1), &[tail(6), tail(7)], &asked, AROUND, &mut rng);
        let due = nack.next(Time::from_millis(1)).expect("6 was sent");
        assert!(due <= Time::from_millis(6), "{due}");
        assert_eq!(nack.loss(), u16::MAX / 2);
    }

    #[test]
    fn who_answers_slowly_is_not_asked_for_the_same_again_at_once() {
        let (mut nack, asked, mut rng) = (Nack::default(), Asked::default(), Rng::new(1));
        let mut now = Time::ZERO;
        for seq in 0..40 {
            let request = loop {
                let request = nack.look(now, &[hole(seq)], &asked, AROUND, &mut rng);
                if !request.is_empty() {
                    break request;
                }
                now = nack.next(now).expect("it is missing");
            };
            assert_eq!(request.len(), 1);
            now = now + Duration::from_millis(40);
            nack.on_pulled(now, SOURCE, Seq(seq));
        }
        let (at, _) = asks(&mut nack, &asked, now, &mut rng);
        let (again, _) = asks(&mut nack, &asked, at, &mut rng);
        assert!(again.since(at) >= Duration::from_millis(75), "{:?}", again.since(at));
    }

    #[test]
    fn the_loss_is_that_of_what_came_lately() {
        let (mut nack, asked, mut rng) = (Nack::default(), Asked::default(), Rng::new(1));
        for seq in 0..2_000 {
            let now = Time::from_nanos(seq * 100_000);
            if seq < 1_000 && seq % 4 == 0 {
                nack.look(now, &[hole(seq)], &asked, AROUND, &mut rng);
            } else {
                nack.look(now, &[], &asked, AROUND, &mut rng);
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
