//! Filling holes: who said that he holds what, who was asked for what, and who is asked next.

use super::links::Links;
use super::window::Window;
use crate::counters::Counter;
use crate::wire::{Frame, Held, Pull, Wanted};
use crate::{FragmentId, GroupId, HostId, Limits, PatchId, Seq, Source, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

/// How often holes are looked through while there are any.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// A hole younger than this may be filled by what is under way. How long that takes is learned: the
/// time grows by half with each fragment that came unasked after all, and shrinks by a sixteenth
/// with each that did not.
const MIN_GRACE: Duration = Duration::from_millis(20);
const MAX_GRACE: Duration = Duration::from_secs(1);
/// The least on a standby, which hears of what its region has yet to get.
pub(super) const STANDBY_GRACE: Duration = Duration::from_millis(300);
/// The least where a patch repairs by multicast, which is faster.
pub(super) const MULTICAST_GRACE: Duration = Duration::from_millis(150);
/// Whoever was asked has at least this long to answer, and twice as long after each time that it
/// was not long enough: a busy host is not to be asked for more of the same.
const MIN_PATIENCE: Duration = Duration::from_millis(200);
/// And at first no longer than this, however far away it says it is.
const MAX_PATIENCE: Duration = Duration::from_secs(1);
const MAX_DOUBLINGS: u32 = 4;
/// Fragments that are asked for at once, of all neighbours.
const MAX_ASKED: usize = 512;
/// Fragments that are asked for at once, of one neighbour.
const MAX_ASKED_OF_ONE: usize = 128;
/// Holes that are looked at in one go; the others have their turn the next time.
const MAX_LOOKED: usize = 1_024;
/// Late messages that are looked at in one go; more of them say no more.
const MAX_LATE: usize = 64;
/// Fragments of one message that one entry of a request brings at most.
pub(super) const MAX_SERVED: u16 = 64;
/// The first pause before somebody is asked who did not say that he has it, doubled each time.
const GUESS_PAUSE: Duration = Duration::from_millis(100);
const MAX_GUESS_PAUSE: Duration = Duration::from_secs(1);

/// A group's repair.
#[derive(Debug)]
pub(super) struct Repair {
    words: BTreeMap<HostId, Word>,
    asked: BTreeMap<FragmentId, Ask>,
    guesses: BTreeMap<(Source, Seq), Guess>,
    grace: Duration,
    next: Option<Time>,
    /// The message whose holes are looked at first the next time; none, if that is the oldest.
    turn: Option<(Source, Seq)>,
}

/// A host's latest word on what it holds.
#[derive(Debug)]
struct Word {
    patch: PatchId,
    sources: BTreeMap<Source, Held>,
    /// What it turned out not to hold after all.
    denied: BTreeSet<(Source, Seq)>,
    asked: usize,
    /// How often in a row it did not answer in time.
    late: u32,
}

#[derive(Debug)]
struct Ask {
    of: HostId,
    until: Time,
}

#[derive(Debug)]
struct Guess {
    pause: Duration,
    next: Time,
    round: usize,
}

impl Default for Repair {
    fn default() -> Self {
        Self {
            words: BTreeMap::new(),
            asked: BTreeMap::new(),
            guesses: BTreeMap::new(),
            grace: MIN_GRACE,
            next: None,
            turn: None,
        }
    }
}

impl Repair {
    /// A neighbour said what it holds.
    pub(super) fn on_word(
        &mut self,
        host: HostId,
        patch: PatchId,
        sources: Vec<Held>,
        limits: &Limits,
    ) {
        if self.words.len() >= limits.links && !self.words.contains_key(&host) {
            return;
        }
        let word = self.words.entry(host).or_insert_with(|| Word::new(patch));
        word.patch = patch;
        for held in sources {
            let source = Source { host: held.host.tag(), incarnation: held.incarnation };
            word.denied.retain(|(denied, _)| *denied != source);
            let outlived =
                |life: &Source| life.host == source.host && life.incarnation < source.incarnation;
            word.sources.retain(|life, _| !outlived(life));
            if word.sources.len() < limits.sources || word.sources.contains_key(&source) {
                word.sources.insert(source, held);
            }
        }
    }

    /// A neighbour has not what it was asked for.
    pub(super) fn on_not_held(&mut self, host: HostId, wanted: &[Wanted]) {
        for wanted in wanted {
            let FragmentId { source, seq, .. } = wanted.first;
            self.answered(host, wanted.first, true);
            let word = self.words.get_mut(&host).filter(|word| word.denied.len() < MAX_ASKED);
            if let Some(word) = word {
                word.denied.insert((source, seq));
            }
        }
    }

    /// A fragment came from `host`, asked for or not: nobody need be asked for it any more.
    pub(super) fn answered(&mut self, host: HostId, fragment: FragmentId, solicited: bool) {
        let Some(ask) = self.asked.remove(&fragment) else { return };
        let grace = if solicited {
            self.grace.saturating_sub(self.grace.checked_div(16).unwrap_or_default())
        } else {
            self.grace.saturating_mul(3).checked_div(2).unwrap_or_default()
        };
        self.grace = grace.clamp(MIN_GRACE, MAX_GRACE);
        if let Some(word) = self.words.get_mut(&ask.of) {
            word.asked = word.asked.saturating_sub(1);
            if ask.of == host {
                word.late = 0;
            }
        }
    }

    /// There is no stream to the host any more.
    pub(super) fn forget(&mut self, host: HostId) {
        self.words.remove(&host);
        self.asked.retain(|_, ask| ask.of != host);
    }

    /// Whether a neighbour may hold a message: it said so, or has not said anything of its source,
    /// and it has not denied it.
    pub(super) fn may_hold(&self, host: HostId, source: Source, seq: Seq) -> bool {
        self.words.get(&host).is_none_or(|word| {
            let silent = !word.sources.contains_key(&source);
            word.claims(source, seq) || (silent && !word.denied.contains(&(source, seq)))
        })
    }

    /// There may be holes: look through them soon.
    pub(super) fn wake(&mut self, now: Time) {
        self.next.get_or_insert(now + TICK);
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.next
    }

    /// Who has, as it says, something that did not come here in time, and in which patch.
    pub(super) fn holders_of_late(&self, now: Time, window: &Window) -> BTreeMap<HostId, PatchId> {
        let mut holders = BTreeMap::new();
        let mut looked = 0_usize;
        window.late(now, |source, seq| {
            looked = looked.saturating_add(1);
            let holder = self.words.iter().find(|(_, word)| word.claims(source, seq));
            holders.extend(holder.map(|(&host, word)| (host, word.patch)));
            looked < MAX_LATE
        });
        holders
    }

    /// Asks for nothing, and has holes looked at again later, if at all.
    pub(super) fn rest(&mut self, next: Option<Time>) {
        self.next = next;
        self.asked.clear();
        self.guesses.clear();
        self.words.values_mut().for_each(|word| word.asked = 0);
    }

    /// Asks for what is missing, if it is time to. `neighbours` are those who may be asked
    /// although they did not say that they have it; holes younger than `least_age` are left alone.
    pub(super) fn run(
        &mut self,
        now: Time,
        group: GroupId,
        window: &Window,
        links: &mut Links,
        neighbours: &BTreeMap<HostId, PatchId>,
        least_age: Duration,
    ) {
        if self.next.is_none_or(|next| next > now) {
            return;
        }
        self.next = Some(now + TICK);
        self.forget_unanswered(now);
        let grace = self.grace.max(least_age);
        let mut requests: BTreeMap<(HostId, PatchId), Vec<Wanted>> = BTreeMap::new();
        let mut looked = 0_usize;
        window.holes(now, grace, self.turn.take(), |hole| {
            looked = looked.saturating_add(1);
            if looked > MAX_LOOKED {
                self.turn = Some((hole.first.source, hole.first.seq));
                return false;
            }
            self.plan(now, hole, links, neighbours, &mut requests);
            self.asked.len() < MAX_ASKED
        });
        for ((host, patch), wanted) in requests {
            for wanted in wanted.chunks(Pull::MAX_WANTED) {
                let fragments = wanted.iter().map(fragments).fold(0, u64::saturating_add);
                links.counters.add(Counter::FragmentsPulled, fragments);
                links.send(host, &Frame::Pull(Pull { group, patch, wanted: wanted.to_vec() }));
            }
        }
    }

    /// Decides whom to ask for which part of a hole.
    fn plan(
        &mut self,
        now: Time,
        hole: Wanted,
        links: &Links,
        neighbours: &BTreeMap<HostId, PatchId>,
        requests: &mut BTreeMap<(HostId, PatchId), Vec<Wanted>>,
    ) {
        let whole = hole.last == u16::MAX;
        let last = if whole { hole.first.index } else { hole.last };
        let mut index = hole.first.index;
        while index <= last && self.asked.len() < MAX_ASKED {
            let first = FragmentId { index, ..hole.first };
            if self.asked.contains_key(&first) {
                index = index.saturating_add(1);
                continue;
            }
            let Some((host, patch)) = self.supplier(now, first, links, neighbours) else { return };
            let rtt = links.rtt(host).unwrap_or_default();
            let late = self.words.get(&host).map_or(0, |word| word.late.min(MAX_DOUBLINGS));
            let patience = rtt.saturating_mul(4).clamp(MIN_PATIENCE, MAX_PATIENCE);
            let until = now + patience.saturating_mul(1_u32.wrapping_shl(late));
            let room = self.words.get(&host).map_or(1, Word::room).max(1);
            let mut end = index;
            let mut taken = 0_u16;
            while end <= last && taken < MAX_SERVED && usize::from(taken) < room {
                let fragment = FragmentId { index: end, ..hole.first };
                if self.asked.contains_key(&fragment) {
                    break;
                }
                self.asked.insert(fragment, Ask { of: host, until });
                taken = taken.saturating_add(1);
                end = end.saturating_add(1);
            }
            if let Some(word) = self.words.get_mut(&host) {
                word.asked = word.asked.saturating_add(usize::from(taken));
            }
            let to = if whole { u16::MAX } else { end.saturating_sub(1) };
            requests.entry((host, patch)).or_default().push(Wanted { first, last: to });
            index = end;
        }
    }

    /// Who is asked for a fragment: of those who said that they have it, and have room, the one
    /// that answers best and was asked for least; failing that, now and then, any neighbour.
    fn supplier(
        &mut self,
        now: Time,
        fragment: FragmentId,
        links: &Links,
        neighbours: &BTreeMap<HostId, PatchId>,
    ) -> Option<(HostId, PatchId)> {
        let FragmentId { source, seq, .. } = fragment;
        let claims = |(host, word): &(&HostId, &Word)| {
            word.claims(source, seq) && word.room() > 0 && links.is_up(**host)
        };
        let best = self.words.iter().filter(claims).min_by_key(|(_, word)| (word.late, word.asked));
        if let Some((&host, word)) = best {
            return Some((host, word.patch));
        }
        let guess = self.guesses.entry((source, seq)).or_insert(Guess {
            pause: GUESS_PAUSE,
            next: now + GUESS_PAUSE,
            round: 0,
        });
        if guess.next > now {
            return None;
        }
        let denies = |host: &HostId| {
            self.words.get(host).is_some_and(|word| word.denied.contains(&(source, seq)))
        };
        let able = neighbours.iter().filter(|&(host, _)| links.is_up(*host) && !denies(host));
        let able: Vec<(HostId, PatchId)> = able.map(|(&host, &patch)| (host, patch)).collect();
        guess.pause = guess.pause.saturating_mul(2).min(MAX_GUESS_PAUSE);
        guess.next = now + guess.pause;
        guess.round = guess.round.saturating_add(1);
        able.get(guess.round.checked_rem(able.len())?).copied()
    }

    fn forget_unanswered(&mut self, now: Time) {
        let words = &mut self.words;
        let mut late = BTreeSet::new();
        self.asked.retain(|_, ask| {
            if ask.until > now {
                return true;
            }
            if let Some(word) = words.get_mut(&ask.of) {
                word.asked = word.asked.saturating_sub(1);
            }
            late.insert(ask.of);
            false
        });
        for host in late {
            if let Some(word) = words.get_mut(&host) {
                word.late = word.late.saturating_add(1);
            }
        }
        self.guesses.retain(|_, guess| guess.next + MAX_GUESS_PAUSE > now);
    }
}

/// How many fragments an entry asks for; one, where the message's length is not known.
fn fragments(wanted: &Wanted) -> u64 {
    let last = if wanted.last == u16::MAX { wanted.first.index } else { wanted.last };
    u64::from(last.saturating_sub(wanted.first.index)).saturating_add(1)
}

impl Word {
    fn new(patch: PatchId) -> Self {
        Self { patch, sources: BTreeMap::new(), denied: BTreeSet::new(), asked: 0, late: 0 }
    }

    fn claims(&self, source: Source, seq: Seq) -> bool {
        let covers = |held: &Held| {
            let missing = held.missing.iter().any(|range| range.from <= seq && seq < range.to);
            held.low <= seq && seq < held.next && !missing
        };
        self.sources.get(&source).is_some_and(covers) && !self.denied.contains(&(source, seq))
    }

    fn room(&self) -> usize {
        MAX_ASKED_OF_ONE.saturating_sub(self.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::window::Meeting;
    use crate::wire::Hello;
    use crate::{History, Incarnation};

    #[test]
    fn of_many_holes_each_has_its_turn() {
        let (me, incarnation) = (HostId([0; 32]), Incarnation(1));
        let hello = Hello { host: me, incarnation, addresses: [].into_iter().collect() };
        let mut links = Links::new(hello, Limits::default());
        let mut window = Window::new(Limits::default(), me, incarnation, History::None);
        for n in 1..3 {
            let held = Held { next: Seq(3_000), mark: Seq(3_000), ..held(n) };
            window.note_head(Time::ZERO, &held, Meeting::Present);
        }
        let mut repair = Repair::default();
        for run in 1..=6 {
            let now = Time::from_millis(100 + 10 * run);
            repair.wake(Time::ZERO);
            repair.run(now, GroupId(1), &window, &mut links, &BTreeMap::new(), Duration::ZERO);
            let looked = (run as usize * MAX_LOOKED).min(6_000);
            assert_eq!(repair.guesses.len(), looked, "in run {run}");
        }
    }

    fn held(n: u8) -> Held {
        let (host, incarnation) = (HostId([n; 32]), Incarnation(1));
        let (low, next, mark) = (Seq(0), Seq(1), Seq(1));
        Held { host, incarnation, low, next, mark, missing: [].into_iter().collect() }
    }

    #[test]
    fn words_are_kept_of_no_more_hosts_than_there_are_links_and_go_with_the_stream() {
        let limits = Limits { links: 4, sources: 2, ..Limits::default() };
        let mut repair = Repair::default();
        for n in 0..9 {
            let sources = (0..9).map(held).collect();
            repair.on_word(HostId([n; 32]), PatchId(1), sources, &limits);
        }
        assert_eq!(repair.words.len(), 4);
        assert!(repair.words.values().all(|word| word.sources.len() == 2));
        (0..9).for_each(|n| repair.forget(HostId([n; 32])));
        assert!(repair.words.is_empty());
    }
}
