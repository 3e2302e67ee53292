//! The hosts that were asked to be the parent, and which of them is the best.

use super::frame::{Offer, half};
use crate::{HostId, Time};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::time::Duration;

/// The most hosts that one search asks. Guess: the first eight, and six full ones' children.
const MAX_ASKED: usize = 32;

/// A search for a parent.
#[derive(Debug)]
pub(super) struct Search {
    /// Names the search, so that late answers to an earlier one are known.
    pub(super) nonce: u64,
    asked: BTreeMap<HostId, Asked>,
    /// Who is asked to take this host in, and has not answered.
    pub(super) pending: Option<HostId>,
}

#[derive(Debug)]
enum Asked {
    /// It has not answered since.
    Waiting(Time),
    /// It has.
    Offered(Box<Offer>, Duration),
    /// It does not take this host in.
    Refused,
    /// There is no link to it any more.
    Gone,
}

impl Search {
    pub(super) fn new(nonce: u64) -> Self {
        Self { nonce, asked: BTreeMap::new(), pending: None }
    }

    /// Whether one more host can be asked, and that is `host`.
    pub(super) fn may_ask(&self, host: HostId) -> bool {
        self.asked.len() < MAX_ASKED && !self.asked.contains_key(&host)
    }

    /// Notes that `host` was asked.
    pub(super) fn ask(&mut self, host: HostId, now: Time) {
        self.asked.insert(host, Asked::Waiting(now));
    }

    /// The link to `host` has just opened: the question leaves only now.
    pub(super) fn restart(&mut self, host: HostId, now: Time) {
        if let Some(Asked::Waiting(since)) = self.asked.get_mut(&host) {
            *since = now;
        }
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
            Some(Asked::Offered(_, rtt)) => *rtt,
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
        self.close(host, Asked::Gone);
        was_asked
    }

    fn close(&mut self, host: HostId, how: Asked) {
        if let Some(asked) = self.asked.get_mut(&host) {
            *asked = how;
        }
        self.pending = self.pending.filter(|&pending| pending != host);
    }

    /// Whether the search needs the link to `host`.
    pub(super) fn needs(&self, host: HostId) -> bool {
        self.asked.get(&host).is_some_and(|asked| !matches!(asked, Asked::Gone))
    }

    /// Whether somebody has not answered yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.asked.values().any(|asked| matches!(asked, Asked::Waiting(_)))
    }

    /// Whether nobody was there to be asked.
    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// Everybody whose link it needs.
    pub(super) fn hosts(&self) -> impl Iterator<Item = HostId> {
        self.asked.keys().copied().filter(|&host| self.needs(host))
    }

    /// The best of the offers that are admitted: in a settled tree rather than in a provisional
    /// one, and with the least latency from the root to this host.
    pub(super) fn best(&self, admits: impl Fn(HostId, &Offer) -> bool) -> Option<HostId> {
        let offers = self.asked.iter().filter_map(|(&host, asked)| match asked {
            Asked::Offered(offer, rtt) if admits(host, offer) => {
                let latency = offer.way.latency.saturating_add(half(*rtt));
                Some((offer.way.provisional, latency, host))
            }
            _ => None,
        });
        offers.min().map(|(_, _, host)| host)
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Way;
    use super::*;
    use crate::protocol::bench::{contact, host};
    use alloc::vec::Vec;

    fn search(offers: &[(u8, bool, u64, u64)]) -> Search {
        let mut search = Search::new(1);
        for &(n, provisional, latency, rtt) in offers {
            let way = Way {
                latency: Duration::from_millis(latency),
                ..Way::top(&contact(n), provisional)
            };
            let offer = Offer { way, room_full: 1, room_digests: 1, others: Vec::new() };
            search.ask(host(n), Time::ZERO);
            search.offered(host(n), offer, Duration::from_millis(rtt));
        }
        search
    }

    #[test]
    fn the_least_latency_from_the_root_wins() {
        let search = search(&[(1, false, 30, 10), (2, false, 10, 48), (3, false, 0, 80)]);
        assert_eq!(search.best(|_, _| true), Some(host(2)));
        assert_eq!(search.best(|candidate, _| candidate != host(2)), Some(host(1)));
        assert_eq!(search.best(|_, _| false), None);
    }

    #[test]
    fn a_settled_tree_is_better_than_a_provisional_one() {
        let search = search(&[(1, true, 0, 1), (2, false, 90, 90)]);
        assert_eq!(search.best(|_, _| true), Some(host(2)));
    }

    #[test]
    fn whoever_is_refused_or_gone_offers_nothing_more() {
        let mut search = search(&[(1, false, 1, 1), (2, false, 2, 2), (3, false, 3, 3)]);
        search.pending = Some(host(1));
        search.refused(host(1));
        assert_eq!(search.pending, None);
        assert!(search.gone(host(2)) && !search.gone(host(2)));
        assert_eq!(search.best(|_, _| true), Some(host(3)));
        assert_eq!(search.hosts().collect::<Vec<_>>(), [host(1), host(3)]);
    }
}
