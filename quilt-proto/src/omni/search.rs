//! The hosts that were asked to be the parent, and which of them is the best.

use super::values::{Displacement, Mode, Offer, half};
use crate::wire::Contact;
use crate::{HostId, Time};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;
use smallvec::SmallVec;

/// The most hosts that one search asks. Guess: the first eight, and six full ones' children.
const MAX_ASKED: usize = 32;

/// On each level of the tree, the children of so many hosts are asked. Guess: four levels are as deep
/// as a search gets.
const MOST_OPENED: usize = 2;

/// A place is hardly worse than another where the latency there is longer by less than one of so many
/// parts. Guess: less than what moves save later.
const HARDLY: u32 = 8;

/// An odd number with many ones and zeros, which scatters what it is multiplied with.
const SCATTER: u64 = 0x9e37_79b9_7f4a_7c15;

/// A search for a parent, or for a better one.
#[derive(Debug)]
pub(super) struct Search {
    /// Names the search, so that late answers to an earlier one are known.
    pub(super) nonce: u64,
    asked: BTreeMap<HostId, Asked>,
    /// Who is asked by a stream, since UDP brought no answer.
    streams: BTreeSet<HostId>,
    /// Streams were waited for.
    was_patient: bool,
    /// Who is asked to take this host in, and has not answered.
    pub(super) pending: Option<HostId>,
    /// When that was asked for, if it was.
    attach_sent: Option<Time>,
    /// Whether that host may have handed the question on.
    pub(super) handed_on: bool,
    /// How many hosts' children were asked, by how far these hosts are down the tree.
    opened: BTreeMap<usize, usize>,
    /// What it is asked for, if that is the place of one of its children.
    pub(super) displacement: Option<Displacement>,
}

#[derive(Debug)]
enum Asked {
    /// It has not answered since.
    Waiting(Time),
    /// It has.
    Offered(Box<Offer>, Duration),
    /// It has asked this host to come.
    Invited(Duration),
    /// It does not take this host in.
    Refused,
    /// It cannot be reached.
    Gone,
}

impl Search {
    pub(super) fn new(nonce: u64) -> Self {
        Self {
            nonce,
            asked: BTreeMap::new(),
            streams: BTreeSet::new(),
            was_patient: false,
            pending: None,
            attach_sent: None,
            handed_on: false,
            opened: BTreeMap::new(),
            displacement: None,
        }
    }

    /// A search that is over but for the answer of `host`, which has invited this one.
    pub(super) fn invited(nonce: u64, host: HostId, rtt: Duration) -> Self {
        let asked = BTreeMap::from([(host, Asked::Invited(rtt))]);
        Self {
            nonce,
            asked,
            streams: BTreeSet::new(),
            was_patient: false,
            pending: Some(host),
            attach_sent: None,
            handed_on: false,
            opened: BTreeMap::new(),
            displacement: None,
        }
    }

    /// Notes that `host` takes this one in for another that was asked to; says whether one was.
    pub(super) fn adopted(&mut self, host: HostId, now: Time) -> bool {
        let waited = self.pending.is_some();
        if waited {
            let took = self.attach_sent.map_or(Duration::ZERO, |sent| now.since(sent));
            self.asked.entry(host).or_insert(Asked::Invited(took));
            self.pending = Some(host);
        }
        waited
    }

    /// Whether nothing is known of the way to `host`, which takes this one in.
    pub(super) fn is_unasked(&self, host: HostId) -> bool {
        matches!(self.asked.get(&host), Some(Asked::Invited(_)))
    }

    /// Notes that the pending host is asked; an answer to a question that was repeated may be to the
    /// first.
    pub(super) fn asks_for_place(&mut self, now: Time) {
        self.attach_sent.get_or_insert(now);
    }

    /// Whether one more host can be asked, and that is `host`.
    pub(super) fn may_ask(&self, host: HostId) -> bool {
        self.asked.len() < MAX_ASKED && !self.asked.contains_key(&host)
    }

    /// Whether the children of a host that is so far down the tree may be asked, so that the search
    /// comes to where there is room before it has asked too many; notes it.
    pub(super) fn open(&mut self, level: usize) -> bool {
        let opened = self.opened.entry(level).or_default();
        *opened = opened.saturating_add(1);
        *opened <= MOST_OPENED
    }

    /// Notes that `host` was asked.
    pub(super) fn ask(&mut self, host: HostId, now: Time) {
        self.asked.insert(host, Asked::Waiting(now));
    }

    /// Notes that `host` is asked over a stream from now on; says whether it was not before.
    pub(super) fn ask_by_stream(&mut self, host: HostId) -> bool {
        self.streams.insert(host)
    }

    /// Whether a stream to `host` is to be opened, so that it can be asked.
    pub(super) fn awaits_stream(&self, host: HostId) -> bool {
        self.needs(host) && matches!(self.asked.get(&host), Some(Asked::Waiting(_)))
    }

    /// Whether a stream is waited for that may still open; it is said once.
    pub(super) fn is_patient_once(&mut self) -> bool {
        let waits = !self.was_patient && self.streams.iter().any(|&host| self.awaits_stream(host));
        self.was_patient |= waits;
        waits
    }

    /// Since when `host` has been asked, if it has not answered.
    pub(super) fn asked_since(&self, host: HostId) -> Option<Time> {
        match self.asked.get(&host)? {
            Asked::Waiting(since) => Some(*since),
            _ => None,
        }
    }

    /// Notes the answer of `host`, and the round trip to it.
    pub(super) fn offered(&mut self, host: HostId, offer: Offer, rtt: Duration) {
        self.asked.insert(host, Asked::Offered(Box::new(offer), rtt));
    }

    /// The round trip to `host`, as it was measured.
    pub(super) fn rtt(&self, host: HostId) -> Duration {
        match self.asked.get(&host) {
            Some(Asked::Offered(_, rtt) | Asked::Invited(rtt)) => *rtt,
            _ => Duration::ZERO,
        }
    }

    /// The round trip to `host`, which has just taken this host in: what its invitation said of it
    /// is a guess.
    pub(super) fn accepted(&self, host: HostId, now: Time) -> Duration {
        match self.asked.get(&host) {
            Some(Asked::Offered(_, rtt)) => *rtt,
            _ => self.attach_sent.map_or(Duration::ZERO, |sent| now.since(sent)),
        }
    }

    /// How far this host would be from the root below `host`.
    pub(super) fn latency(&self, host: HostId) -> Duration {
        match self.asked.get(&host) {
            Some(Asked::Offered(offer, rtt)) => offer.way.latency.saturating_add(half(*rtt)),
            _ => Duration::ZERO,
        }
    }

    /// Notes that `host` is out of the question.
    pub(super) fn refused(&mut self, host: HostId) {
        self.close(host, Asked::Refused);
    }

    /// Notes that there is no link to `host`. Says whether it had been asked.
    pub(super) fn gone(&mut self, host: HostId) -> bool {
        let was_asked = self.needs(host);
        if was_asked {
            self.close(host, Asked::Gone);
            self.streams.remove(&host);
        }
        was_asked
    }

    fn close(&mut self, host: HostId, how: Asked) {
        if let Some(asked) = self.asked.get_mut(&host) {
            *asked = how;
        }
        if self.pending == Some(host) {
            self.pending = None;
            self.attach_sent = None;
            self.displacement = None;
        }
    }

    /// Whether the search needs the link to `host`.
    pub(super) fn needs(&self, host: HostId) -> bool {
        self.streams.contains(&host)
    }

    /// Who has not answered yet.
    pub(super) fn waiting(&self) -> Vec<HostId> {
        let waiting = self.asked.iter().filter(|(_, asked)| matches!(asked, Asked::Waiting(_)));
        waiting.map(|(&host, _)| host).collect()
    }

    /// Whether somebody has not answered yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.asked.values().any(|asked| matches!(asked, Asked::Waiting(_)))
    }

    /// Whether nobody was there to be asked.
    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// The full host between which and one of its children `me`, so far from the root, would best
    /// be, if all three have been asked or done so; and how much that is worth, as weight times
    /// nanoseconds. `admits` says who can be parent, `yields` who can give way.
    pub(super) fn best_displacement(
        &self,
        me: (&Contact, Duration, u32),
        admits: impl Fn(HostId, &Offer) -> bool,
        yields: impl Fn(HostId) -> bool,
    ) -> Option<(u128, HostId, Displacement)> {
        let (contact, now, weight) = me;
        let offered = || {
            self.asked.iter().filter_map(|(&host, asked)| match asked {
                Asked::Offered(offer, rtt) => Some((host, offer, half(*rtt))),
                _ => None,
            })
        };
        let mut best: Option<(u128, HostId, Displacement)> = None;
        for (child, of_child, apart) in offered().filter(|&(child, ..)| yields(child)) {
            let Some(&above) = of_child.way.path.iter().rev().nth(1) else { continue };
            let parent =
                offered().find(|(host, offer, _)| host.tag() == above && admits(*host, offer));
            let Some((parent, of_parent, far)) = parent else { continue };
            let latency = of_parent.way.latency.saturating_add(far);
            let wish = Displacement {
                nonce: self.nonce,
                contact: contact.clone(),
                weight,
                gain: now.saturating_sub(latency),
                child,
                loss: latency.saturating_add(apart).saturating_sub(of_child.way.latency),
            };
            let worth = wish.worth(of_child.weight);
            if worth > best.as_ref().map_or(0, |(worth, ..)| *worth) {
                best = Some((worth, parent, wish));
            }
        }
        best
    }

    /// Everybody whose link it needs.
    pub(super) fn hosts(&self) -> impl Iterator<Item = HostId> {
        self.streams.iter().copied()
    }

    /// The best of the offers that are admitted: in a settled tree rather than in a provisional
    /// one, and with the least latency from the root to this host. A host in `need` of a place
    /// of that mode takes one with room before one that would pass it on, and of those that are
    /// hardly worse than the best one at random, so that not all go to the same.
    pub(super) fn best(
        &self,
        need: Option<Mode>,
        admits: impl Fn(HostId, &Offer, Duration) -> bool,
    ) -> Option<HostId> {
        let offers = self.asked.iter().filter_map(|(&host, asked)| match asked {
            Asked::Offered(offer, rtt) if admits(host, offer, *rtt) => {
                let latency = offer.way.latency.saturating_add(half(*rtt));
                let full = need.is_some_and(|mode| offer.room(mode) == 0);
                Some(((offer.way.provisional, full), latency, host))
            }
            _ => None,
        });
        let offers: SmallVec<[_; 8]> = offers.collect();
        let &(kind, least, best) = offers.iter().min()?;
        if need.is_none() {
            return Some(best);
        }
        let most = least.saturating_add(least.checked_div(HARDLY).unwrap_or_default());
        let alike = offers.iter().filter(|offer| offer.0 == kind && offer.1 <= most);
        let draw = |host: HostId| (host.tag().0 ^ self.nonce).wrapping_mul(SCATTER);
        alike.map(|&(_, _, host)| host).min_by_key(|&host| draw(host))
    }
}

#[cfg(test)]
mod tests {
    use super::super::values::Way;
    use super::*;
    use crate::protocol::bench::{contact, host};

    fn search(offers: &[(u8, bool, u64, u64)]) -> Search {
        let mut search = Search::new(1);
        for &(n, provisional, latency, rtt) in offers {
            let way = Way {
                latency: Duration::from_millis(latency),
                ..Way::top(&contact(n), provisional)
            };
            let offer = Offer { way, room_full: 1, room_digests: 1, weight: 1, others: Vec::new() };
            search.ask(host(n), Time::ZERO);
            search.offered(host(n), offer, Duration::from_millis(rtt));
        }
        search
    }

    #[test]
    fn the_least_latency_from_the_root_wins() {
        let search = search(&[(1, false, 30, 10), (2, false, 10, 48), (3, false, 0, 80)]);
        assert_eq!(search.best(None, |_, _, _| true), Some(host(2)));
        assert_eq!(search.best(None, |candidate, _, _| candidate != host(2)), Some(host(1)));
        assert_eq!(search.best(None, |_, _, _| false), None);
    }

    #[test]
    fn a_settled_tree_is_better_than_a_provisional_one() {
        let search = search(&[(1, true, 0, 1), (2, false, 90, 90)]);
        assert_eq!(search.best(None, |_, _, _| true), Some(host(2)));
    }

    #[test]
    fn whoever_is_refused_or_gone_offers_nothing_more() {
        let mut search = search(&[(1, false, 1, 1), (2, false, 2, 2), (3, false, 3, 3)]);
        search.pending = Some(host(1));
        search.refused(host(1));
        assert_eq!(search.pending, None);
        assert!(!search.gone(host(2)), "it was not asked over a stream");
        assert!(search.ask_by_stream(host(2)) && !search.ask_by_stream(host(2)));
        assert_eq!(search.hosts().collect::<Vec<_>>(), [host(2)]);
        assert!(search.gone(host(2)) && !search.gone(host(2)));
        assert_eq!(search.best(None, |_, _, _| true), Some(host(3)));
    }

    #[test]
    fn an_answer_to_a_question_that_was_repeated_is_timed_from_the_first() {
        let mut search = Search::invited(1, host(1), Duration::ZERO);
        search.asks_for_place(Time::from_millis(10));
        search.asks_for_place(Time::from_millis(30));
        assert_eq!(search.accepted(host(1), Time::from_millis(34)), Duration::from_millis(24));
    }
}
