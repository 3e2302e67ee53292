//! Filling holes: who said that he holds what, who was asked for what, and who is asked next.

mod schedule;
mod word;

use super::links::Links;
use super::window::Window;
use crate::counters::Counter;
use crate::wire::{Frame, Held, Pull, Wanted};
use crate::{FragmentId, GroupId, HostId, Limits, PatchId, Seq, Source, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;
use schedule::{MAX_SUPPLIERS, Supplier, Want};
use smallvec::SmallVec;
use word::Word;

/// How often holes are looked through while there are any.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// A hole younger than this may be filled by what is under way. How long that takes is learned: the
/// time grows by half with each fragment that came unasked after all, and shrinks by one part in 32
/// with each that did not.
const MIN_GRACE: Duration = Duration::from_millis(20);
const MAX_GRACE: Duration = Duration::from_secs(1);
/// The most where datagrams come, of which any may be lost: none waits for those before it.
const MAX_FLOW_GRACE: Duration = Duration::from_millis(100);
/// The least on a standby, which hears of what its region has yet to get.
pub(super) const STANDBY_GRACE: Duration = Duration::from_millis(300);
/// The least where a patch repairs by multicast, which is faster.
pub(super) const MULTICAST_GRACE: Duration = Duration::from_millis(150);
/// Whoever was asked has at least this long to answer, and twice as long after each time that it
/// was not long enough: a busy host is not to be asked for more of the same.
const MIN_PATIENCE: Duration = Duration::from_millis(200);
/// Less where datagrams go, of which requests and answers may be lost.
const MIN_FLOW_PATIENCE: Duration = Duration::from_millis(100);
/// And at first no longer than this, however far away it says it is.
const MAX_PATIENCE: Duration = Duration::from_secs(1);
const MAX_DOUBLINGS: u32 = 4;
/// So many fragments that were asked for in this time show that much is lost.
const BUSY: u32 = 4;
const LATELY: Duration = Duration::from_secs(1);
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
    /// How many fragments were asked for since then, and in the time before that.
    lately: (Time, [u32; 2]),
    next: Option<Time>,
    /// The message whose holes are looked at first the next time; none, if that is the oldest.
    turn: Option<(Source, Seq)>,
}

#[derive(Debug)]
struct Ask {
    of: HostId,
    at: Time,
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
            lately: (Time::ZERO, [0; 2]),
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
        word.say(sources, limits);
    }

    /// A neighbour has not what it was asked for.
    pub(super) fn on_not_held(&mut self, host: HostId, wanted: &[Wanted]) {
        for wanted in wanted {
            let FragmentId { source, seq, .. } = wanted.first;
            let of_it = (wanted.first, FragmentId { index: wanted.last, ..wanted.first });
            let asked = self.asked.range(of_it.0..=of_it.1).filter(|(_, ask)| ask.of == host);
            let asked: SmallVec<[FragmentId; 8]> = asked.map(|(&fragment, _)| fragment).collect();
            let Some(word) = self.words.get_mut(&host) else { continue };
            word.asked = word.asked.saturating_sub(asked.len());
            word.deny(source, seq);
            for fragment in asked {
                self.asked.remove(&fragment);
            }
        }
    }

    /// A fragment came from `host`, asked for or not: nobody need be asked for it any more.
    pub(super) fn came(
        &mut self,
        now: Time,
        host: HostId,
        rtt: Option<Duration>,
        fragment: FragmentId,
        solicited: bool,
    ) {
        if let Some(word) = self.words.get_mut(&host) {
            word.came(fragment);
        }
        let Some(ask) = self.asked.remove(&fragment) else { return };
        let grace = if solicited {
            self.grace.saturating_sub(self.grace.checked_div(32).unwrap_or_default())
        } else {
            self.grace.saturating_mul(3).checked_div(2).unwrap_or_default()
        };
        self.grace = grace.clamp(MIN_GRACE, MAX_GRACE);
        if let Some(word) = self.words.get_mut(&ask.of) {
            word.asked = word.asked.saturating_sub(1);
            if ask.of == host {
                word.answer(now, ask.at, rtt.unwrap_or_default());
            }
        }
    }

    /// There is no stream to the host any more.
    pub(super) fn forget(&mut self, host: HostId) {
        self.words.remove(&host);
        self.asked.retain(|_, ask| ask.of != host);
    }

    /// Whether much was asked for lately.
    pub(super) fn is_busy(&self, now: Time) -> bool {
        let (since, [count, before]) = self.lately;
        let age = now.since(since);
        let counted = if age < LATELY { count.saturating_add(before) } else { count };
        age < LATELY.saturating_mul(2) && counted >= BUSY
    }

    /// So many fragments are asked for now.
    fn note_asked(&mut self, now: Time, fragments: u32) {
        let (since, [count, _]) = self.lately;
        if now.since(since) >= LATELY {
            self.lately =
                (now, [0, if now.since(since) < LATELY.saturating_mul(2) { count } else { 0 }]);
        }
        let [count, _] = &mut self.lately.1;
        *count = count.saturating_add(fragments);
    }

    /// Whether a neighbour may hold a message: it said so, or has not said anything of its source,
    /// and it has not denied it.
    pub(super) fn may_hold(&self, host: HostId, source: Source, seq: Seq) -> bool {
        self.words.get(&host).is_none_or(|word| {
            word.claims(source, seq) || (!word.knows(source) && !word.denies(source, seq))
        })
    }

    /// There may be holes: look through them at `at`, if not before.
    pub(super) fn wake(&mut self, at: Time) {
        self.next.get_or_insert(at);
    }

    /// Holes are looked through again at `at`, not before.
    pub(super) fn put_off(&mut self, at: Time) {
        self.next = self.next.map(|next| next.max(at));
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
        if self.asked.len() >= MAX_ASKED {
            return;
        }
        let most = if self.words.keys().any(|&host| links.has_flow(host)) {
            MAX_FLOW_GRACE
        } else {
            MAX_GRACE
        };
        let grace = self.grace.min(most).max(least_age);
        let mut round = Round::new(&self.words, links);
        let mut looked = 0_usize;
        window.holes(now, grace, self.turn.take(), |hole| {
            looked = looked.saturating_add(1);
            if looked > MAX_LOOKED || round.wants.len() >= MAX_LOOKED {
                self.turn = Some((hole.first.source, hole.first.seq));
                return false;
            }
            let left = window.left(now, hole.first.source, hole.first.seq);
            if !round.gather(hole, left, &self.words, &self.asked) {
                self.guess(now, hole, links, neighbours, &mut round.requests);
            }
            true
        });
        self.assign(now, &mut round, links);
        for ((host, patch), wanted) in round.requests {
            for wanted in wanted.chunks(Pull::MAX_WANTED) {
                let fragments = wanted.iter().map(fragments).fold(0, u64::saturating_add);
                links.counters.add(Counter::FragmentsPulled, fragments);
                self.note_asked(now, u32::try_from(fragments).unwrap_or(u32::MAX));
                links
                    .send_loose(host, &Frame::Pull(Pull { group, patch, wanted: wanted.to_vec() }));
            }
        }
    }

    /// Asks for what somebody holds.
    fn assign(&mut self, now: Time, round: &mut Round, links: &Links) {
        let Round { hosts, suppliers, wants, names, requests } = round;
        let most = MAX_ASKED.saturating_sub(self.asked.len());
        schedule::assign(wants, suppliers, most, |at, of| {
            let (Some(&hole), Some(&(host, patch))) = (names.get(at), hosts.get(of)) else {
                return;
            };
            let patience = patience(host, &self.words, links);
            // Where somebody else has it too, that one is asked soon.
            let others = wants.get(at).is_some_and(|want| want.holders.count_ones() > 1);
            let until = now + if others { patience.min(MAX_PATIENCE) } else { patience };
            self.asked.insert(hole.first, Ask { of: host, at: now, until });
            if let Some(word) = self.words.get_mut(&host) {
                word.asked = word.asked.saturating_add(1);
            }
            add(requests.entry((host, patch)).or_default(), hole);
        });
    }

    /// Of what nobody says that he holds, any neighbour is asked now and then.
    fn guess(
        &mut self,
        now: Time,
        hole: Wanted,
        links: &Links,
        neighbours: &BTreeMap<HostId, PatchId>,
        requests: &mut Requests,
    ) {
        let FragmentId { source, seq, .. } = hole.first;
        if self.asked.contains_key(&hole.first) || self.asked.len() >= MAX_ASKED {
            return;
        }
        let guess = self.guesses.entry((source, seq)).or_insert(Guess {
            pause: GUESS_PAUSE,
            next: now + GUESS_PAUSE,
            round: 0,
        });
        if guess.next > now {
            return;
        }
        let denies = |host: &HostId| self.words.get(host).is_some_and(|w| w.denies(source, seq));
        let able = neighbours.iter().filter(|&(host, _)| links.is_up(*host) && !denies(host));
        let able: Vec<(HostId, PatchId)> = able.map(|(&host, &patch)| (host, patch)).collect();
        guess.pause = guess.pause.saturating_mul(2).min(MAX_GUESS_PAUSE);
        guess.next = now + guess.pause;
        guess.round = guess.round.saturating_add(1);
        let turn = guess.round.checked_rem(able.len());
        let Some(&(host, patch)) = turn.and_then(|turn| able.get(turn)) else { return };
        let until = now + patience(host, &self.words, links);
        self.asked.insert(hole.first, Ask { of: host, at: now, until });
        if let Some(word) = self.words.get_mut(&host) {
            word.asked = word.asked.saturating_add(1);
        }
        let last = if hole.last == u16::MAX { u16::MAX } else { hole.first.index };
        requests.entry((host, patch)).or_default().push(Wanted { last, ..hole });
    }

    fn forget_unanswered(&mut self, now: Time) {
        let words = &mut self.words;
        // Who is late with what it was asked for before it was late last is late once.
        let mut late = BTreeSet::new();
        self.asked.retain(|_, ask| {
            if ask.until > now {
                return true;
            }
            if let Some(word) = words.get_mut(&ask.of) {
                word.asked = word.asked.saturating_sub(1);
                if ask.at >= word.was_late {
                    late.insert(ask.of);
                }
            }
            false
        });
        for host in late {
            if let Some(word) = words.get_mut(&host) {
                word.late = word.late.saturating_add(1);
                word.was_late = now;
            }
        }
        self.guesses.retain(|_, guess| guess.next + MAX_GUESS_PAUSE > now);
    }
}

type Requests = BTreeMap<(HostId, PatchId), Vec<Wanted>>;

/// What is asked for in one go, and of whom it may be.
struct Round {
    hosts: Vec<(HostId, PatchId)>,
    suppliers: Vec<Supplier>,
    wants: Vec<Want>,
    /// What each of `wants` is.
    names: Vec<Wanted>,
    requests: Requests,
}

impl Round {
    /// All who have said what they hold, and have room.
    fn new(words: &BTreeMap<HostId, Word>, links: &Links) -> Self {
        let able = |(host, word): &(&HostId, &Word)| word.room() > 0 && links.is_up(**host);
        let (mut hosts, mut suppliers) = (Vec::new(), Vec::new());
        for (&host, word) in words.iter().filter(able).take(MAX_SUPPLIERS) {
            hosts.push((host, word.patch));
            let rtt = links.rtt(host).unwrap_or_default();
            let Word { pace, asked, late, .. } = *word;
            suppliers.push(Supplier { rtt, pace, asked, most: MAX_ASKED_OF_ONE, late });
        }
        let (wants, names, requests) = (Vec::new(), Vec::new(), Requests::new());
        Self { hosts, suppliers, wants, names, requests }
    }

    /// Takes in the fragments of a hole that nobody is asked for; false if nobody has them.
    fn gather(
        &mut self,
        hole: Wanted,
        left: Duration,
        words: &BTreeMap<HostId, Word>,
        asked: &BTreeMap<FragmentId, Ask>,
    ) -> bool {
        let FragmentId { source, seq, .. } = hole.first;
        let claims = |host| words.get(host).is_some_and(|word| word.claims(source, seq));
        let bits = self.hosts.iter().zip(0_u32..).filter(|((host, _), _)| claims(host));
        let holders = bits.fold(0_u64, |bits, (_, at)| bits | 1_u64.wrapping_shl(at));
        let whole = hole.last == u16::MAX;
        let last = if whole { hole.first.index } else { hole.last };
        for index in hole.first.index..=last {
            let first = FragmentId { index, ..hole.first };
            if holders == 0 || self.wants.len() >= MAX_LOOKED {
                break;
            }
            if !asked.contains_key(&first) {
                self.wants.push(Want { holders, left });
                self.names.push(Wanted { first, last: if whole { u16::MAX } else { index } });
            }
        }
        holders != 0
    }
}

/// Adds a fragment to what one host is asked for, to the last entry where it follows on that.
fn add(to: &mut Vec<Wanted>, hole: Wanted) {
    let follows = |last: &&mut Wanted| {
        let count = last.last.saturating_sub(last.first.index);
        let next = FragmentId { index: last.last.saturating_add(1), ..last.first };
        last.last < u16::MAX.saturating_sub(1)
            && hole.last < u16::MAX
            && next == hole.first
            && count < MAX_SERVED.saturating_sub(1)
    };
    match to.last_mut().filter(follows) {
        Some(last) => last.last = hole.last,
        None => to.push(hole),
    }
}

/// How long a host has to answer.
fn patience(host: HostId, words: &BTreeMap<HostId, Word>, links: &Links) -> Duration {
    let rtt = links.rtt(host).unwrap_or_default();
    let word = words.get(&host);
    let late = word.map_or(0, |word| word.late.min(MAX_DOUBLINGS));
    let (trips, least) =
        if links.has_flow(host) { (2, MIN_FLOW_PATIENCE) } else { (4, MIN_PATIENCE) };
    let patience = word.and_then(Word::usual).unwrap_or_default().max(rtt.saturating_mul(trips));
    let patience = patience.clamp(least, MAX_PATIENCE);
    patience.saturating_mul(1_u32.wrapping_shl(late))
}

/// How many fragments an entry asks for; one, where the message's length is not known.
fn fragments(wanted: &Wanted) -> u64 {
    let last = if wanted.last == u16::MAX { wanted.first.index } else { wanted.last };
    u64::from(last.saturating_sub(wanted.first.index)).saturating_add(1)
}

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;
