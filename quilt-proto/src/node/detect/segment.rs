//! With whom this host hears and is heard by IP multicast: never assumed, always shown both ways.
//!
//! Hosts of all groups meet on one multicast address of an interface. Each tells whom it heard; who
//! is told of itself there has a *segment* with those who said so. Its name is a number that the first
//! of them drew, the least where several did, and stands in their EUIDs as a router that forwards IP
//! multicast: it says what the paper's Rm is there to say (section 3.2.1), and what a host without
//! root can verify.

use crate::euid::RouterId;
use crate::wire::Sight;
use crate::{HostTag, LinkId, Rng, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

/// Where hosts meet: an address of the organization-local scope (RFC 2365), and a port. Guess: nobody
/// else uses them; whoever does is not understood.
pub(super) const MEETING_POINT: SocketAddr =
    SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::new(239, 195, 81, 84)), 7_399);
/// How far words go: as far as those of IPMC patches.
pub(super) const TTL: u8 = 1;
/// More is not said there, in bytes a second.
pub(super) const BYTES_PER_SECOND: u64 = 100_000;
/// How often a host that nobody answers speaks at first, and how far apart.
const ROUNDS: u8 = 4;
const ROUND: Duration = Duration::from_millis(100);
/// Then somebody speaks about this often, in case somebody is there who was not heard.
const PAUSE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(60));
/// Who hears somebody new says so within this time, unless another one does before.
const ANSWER: Duration = Duration::from_millis(40);
/// The most hosts that are remembered; those who were silent longest give way.
const MAX_HEARD: usize = 256;

/// What is known of the segment of one interface.
#[derive(Debug)]
pub(super) struct Segment {
    link: LinkId,
    me: HostTag,
    rng: Rng,
    /// What this host calls a segment that has no name yet.
    number: u64,
    /// The least name that was heard, or given.
    name: Option<u64>,
    /// Somebody has said that he heard this host.
    is_heard: bool,
    /// The address is joined, or cannot be.
    joined: Option<bool>,
    heard: BTreeMap<HostTag, Time>,
    /// Those of whom nobody has said yet that he heard them.
    untold: BTreeSet<HostTag>,
    rounds: u8,
    next: Option<Time>,
}

impl Segment {
    /// The segment of the interface on which `link` is being joined.
    pub(super) fn new(link: LinkId, me: HostTag, mut rng: Rng) -> Self {
        Self {
            link,
            me,
            number: rng.next_u64().max(1),
            name: None,
            rng,
            is_heard: false,
            joined: None,
            heard: BTreeMap::new(),
            untold: BTreeSet::new(),
            rounds: 0,
            next: None,
        }
    }

    pub(super) fn link(&self) -> LinkId {
        self.link
    }

    /// The address is joined, or could not be.
    pub(super) fn on_joined(&mut self, now: Time, is_joined: bool) {
        self.joined = Some(is_joined);
        self.next = is_joined.then_some(now);
    }

    /// A host said whom it heard.
    pub(super) fn on_sight(&mut self, now: Time, from: HostTag, sight: &Sight) {
        if from == self.me {
            return;
        }
        self.is_heard |= sight.heard.contains(&self.me);
        let knows_less = match (sight.segment, self.name) {
            (Some(theirs), Some(ours)) => theirs > ours,
            _ => false,
        };
        self.name = [sight.segment, self.name].into_iter().flatten().min();
        if self.heard.insert(from, now).is_none() || sight.asks {
            self.untold.insert(from);
        }
        for tag in &sight.heard {
            self.untold.remove(tag);
        }
        self.forget();
        if !self.untold.is_empty() || knows_less {
            let wait = self.rng.between(Duration::ZERO, ANSWER);
            self.hurry(now + wait);
        } else if self.is_done() {
            // It was said.
            self.rest(now);
        }
    }

    /// What is to be said now, if anything.
    pub(super) fn on_timeout(&mut self, now: Time) -> Option<Sight> {
        self.next.filter(|next| *next <= now)?;
        self.rounds = self.rounds.saturating_add(1);
        if !self.untold.is_empty() {
            self.name.get_or_insert(self.number);
        }
        let fresh: Vec<HostTag> = self.untold.iter().copied().collect();
        let rest = self.heard.keys().copied().filter(|tag| !self.untold.contains(tag));
        let heard = fresh.iter().copied().chain(rest).take(Sight::MAX_HEARD).collect();
        for tag in fresh.iter().take(Sight::MAX_HEARD) {
            self.untold.remove(tag);
        }
        match self.untold.is_empty() {
            true => self.rest(now),
            false => self.next = Some(now + ANSWER),
        }
        Some(Sight { segment: self.name, asks: !self.is_heard, heard })
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.next
    }

    /// Whether the question is settled: somebody answered, nobody did, or nobody can; and nobody waits
    /// for an answer of this host's.
    pub(super) fn is_done(&self) -> bool {
        match self.joined {
            Some(true) => (self.is_heard || self.has_spoken()) && self.untold.is_empty(),
            Some(false) => true,
            None => false,
        }
    }

    /// The segment, once it is shown that there is one.
    pub(super) fn name(&self) -> Option<RouterId> {
        self.name.filter(|_| self.is_heard).map(RouterId)
    }

    /// How many hosts were heard; `None` where the address could not be joined.
    pub(super) fn neighbours(&self) -> Option<usize> {
        (self.joined == Some(true)).then_some(self.heard.len())
    }

    fn has_spoken(&self) -> bool {
        self.rounds >= ROUNDS
    }

    fn hurry(&mut self, at: Time) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// Says nothing for a while: a round where nobody has answered yet, else a long one.
    fn rest(&mut self, now: Time) {
        let pause = match self.is_heard || self.has_spoken() {
            true => self.rng.between(PAUSE.0, PAUSE.1),
            false => ROUND,
        };
        self.next = Some(now + pause);
    }

    fn forget(&mut self) {
        while self.heard.len() > MAX_HEARD {
            let oldest = self.heard.iter().min_by_key(|&(&tag, &at)| (at, tag));
            let Some(oldest) = oldest.map(|(&tag, _)| tag) else { return };
            self.heard.remove(&oldest);
            self.untold.remove(&oldest);
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
mod tests {
    use super::*;

    const WAY: Duration = Duration::from_micros(200);

    /// Hosts on one switch, which hands on to a port only what comes after it has noticed it.
    struct Lan {
        segments: BTreeMap<u64, Segment>,
        since: BTreeMap<u64, Time>,
        /// Whose words nobody hears.
        mute: BTreeSet<u64>,
        on_the_way: Vec<(Time, u64, Sight)>,
        now: Time,
        words: usize,
    }

    impl Lan {
        fn new() -> Self {
            Self {
                segments: BTreeMap::new(),
                since: BTreeMap::new(),
                mute: BTreeSet::new(),
                on_the_way: Vec::new(),
                now: Time::ZERO,
                words: 0,
            }
        }

        /// A host comes, of whom the switch knows after `noticed`.
        fn come(&mut self, n: u64, noticed: Duration) {
            let mut segment = Segment::new(LinkId(9), HostTag(n), Rng::new(n));
            segment.on_joined(self.now, true);
            self.segments.insert(n, segment);
            self.since.insert(n, self.now + noticed);
        }

        fn run(&mut self, time: Duration) {
            let end = self.now + time;
            loop {
                let comes = self.on_the_way.iter().map(|(at, ..)| *at);
                let wakes = self.segments.values().filter_map(Segment::poll_timeout);
                let Some(next) = comes.chain(wakes).min().filter(|next| *next <= end) else {
                    break;
                };
                self.now = next;
                let now = self.now;
                let (due, later) =
                    core::mem::take(&mut self.on_the_way).into_iter().partition(|it| it.0 <= now);
                self.on_the_way = later;
                let due: Vec<(Time, u64, Sight)> = due;
                for (_, from, sight) in due {
                    for (n, segment) in &mut self.segments {
                        if *n != from && self.since[n] <= now && !self.mute.contains(&from) {
                            segment.on_sight(now, HostTag(from), &sight);
                        }
                    }
                }
                for (&n, segment) in &mut self.segments {
                    if let Some(sight) = segment.on_timeout(now) {
                        self.words += 1;
                        self.on_the_way.push((now + WAY, n, sight));
                    }
                }
            }
            self.now = end;
        }

        fn names(&self) -> BTreeSet<Option<RouterId>> {
            self.segments.values().map(Segment::name).collect()
        }
    }

    #[test]
    fn one_host_alone_promises_nothing_and_the_second_one_shows_both_at_once() {
        let mut lan = Lan::new();
        lan.come(1, Duration::ZERO);
        lan.run(Duration::from_secs(1));
        assert!(lan.segments[&1].is_done() && lan.segments[&1].name().is_none());
        lan.come(2, Duration::ZERO);
        lan.run(ANSWER * 2 + WAY * 4);
        let names = lan.names();
        assert!(names.len() == 1 && !names.contains(&None), "{names:?}");
    }

    #[test]
    fn many_that_come_at_once_agree_on_a_name_with_few_words() {
        let mut lan = Lan::new();
        (1..=100).for_each(|n| lan.come(n, Duration::ZERO));
        lan.run(Duration::from_millis(300));
        let names = lan.names();
        assert!(names.len() == 1 && !names.contains(&None), "{names:?}");
        assert!(lan.words <= 250, "{} words of 100 hosts", lan.words);
        let name = names.into_iter().next();
        // Whoever comes later takes the name that there is, and the others go on resting.
        let before = lan.words;
        lan.come(101, Duration::ZERO);
        lan.run(Duration::from_millis(300));
        assert_eq!(lan.names().into_iter().next(), name);
        assert!(lan.names().len() == 1 && lan.words - before <= 8, "{}", lan.words - before);
        let before = lan.words;
        lan.run(Duration::from_secs(600));
        assert!(lan.words - before <= 40, "{} words in ten minutes", lan.words - before);
    }

    #[test]
    fn who_misses_the_first_answer_is_given_another() {
        let mut lan = Lan::new();
        (1..=3).for_each(|n| lan.come(n, Duration::ZERO));
        lan.run(Duration::from_secs(1));
        lan.come(4, Duration::from_millis(60));
        lan.run(Duration::from_millis(400));
        assert!(lan.names().len() == 1, "{:?}", lan.names());
    }

    #[test]
    fn who_is_not_heard_has_no_segment_though_it_hears() {
        let mut lan = Lan::new();
        lan.mute.insert(3);
        (1..=3).for_each(|n| lan.come(n, Duration::ZERO));
        lan.run(Duration::from_secs(300));
        assert!(lan.segments[&1].name().is_some() && lan.segments[&3].name().is_none());
        assert_eq!(lan.segments[&3].neighbours(), Some(2));
    }

    #[test]
    fn hosts_that_are_remembered_are_bounded() {
        let mut lan = Lan::new();
        lan.come(1, Duration::ZERO);
        for n in 2..2_000 {
            let sight = Sight { segment: None, asks: true, heard: Vec::new() };
            let segment = lan.segments.get_mut(&1).unwrap();
            segment.on_sight(Time::from_millis(n), HostTag(n), &sight);
            assert!(segment.heard.len() <= MAX_HEARD && segment.untold.len() <= MAX_HEARD);
        }
    }
}
