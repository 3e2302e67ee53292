//! What a host knows of one partner.

use crate::{HostTag, Time};
use alloc::collections::BTreeSet;
use core::time::Duration;

/// One partner, and whether the two push to each other.
#[derive(Clone, Debug)]
pub(super) struct Partner {
    /// Since when the two are partners.
    pub(super) since: Time,
    /// It was picked at random, without a look at its latency.
    pub(super) random: bool,
    /// The two push fresh fragments to each other; if not, they only tell what they hold. Both
    /// sides keep this alike: were one direction pruned alone, a fragment from the other end of
    /// the tree would find no way.
    eager: bool,
    /// What arrives before says nothing about `eager`: it was under way when that changed.
    settled: Time,
    /// Its own partners, as it last said.
    pub(super) partners: BTreeSet<HostTag>,
}

impl Partner {
    /// How long fragments may be under way; so seldom is a partner pruned, or once grafted pruned
    /// again. Guess: 300 ms, the longer round trips of the Internet.
    const UNDER_WAY: Duration = Duration::from_millis(300);

    /// A new partner: the two push to each other until one has enough.
    pub(super) fn new(now: Time, random: bool) -> Self {
        Self { since: now, random, eager: true, settled: now, partners: BTreeSet::new() }
    }

    /// Whether the two push to each other.
    pub(super) fn is_eager(&self) -> bool {
        self.eager
    }

    /// It brought a fragment second. Whether it is to be told to stop.
    pub(super) fn prune(&mut self, now: Time) -> bool {
        let due = now >= self.settled;
        if due {
            self.set_eager(now, false);
        }
        due
    }

    /// It had a fragment that nobody pushed. Whether it is to be told to push.
    pub(super) fn graft(&mut self, now: Time) -> bool {
        let due = !self.eager;
        if due {
            self.set_eager(now, true);
        }
        due
    }

    /// It brought a fragment first. If it was pruned long ago, a prune and a graft have met on the
    /// way, and it is as good as grafted.
    pub(super) fn pushed(&mut self, now: Time) {
        self.eager |= now >= self.settled;
    }

    /// It said whether the two push to each other, or this side says so.
    pub(super) fn set_eager(&mut self, now: Time, eager: bool) {
        self.eager = eager;
        self.settled = now + Self::UNDER_WAY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_under_way_prune_once_and_a_grafted_partner_is_given_time() {
        let mut partner = Partner::new(Time::ZERO, false);
        assert!(partner.prune(Time::ZERO));
        assert!(!partner.prune(Time::from_millis(299)));
        assert!(partner.prune(Time::from_millis(300)));
        assert!(partner.graft(Time::from_millis(400)));
        assert!(!partner.graft(Time::from_millis(500)));
        assert!(!partner.prune(Time::from_millis(699)));
        assert!(partner.is_eager());
    }
}
