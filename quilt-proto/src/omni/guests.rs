//! Hosts that would rather be below another host than where they are, where that has no room: it
//! takes them into its family, and sees who gives way (paper, section 3.2.3: moves that go beyond
//! the children of one grandparent).

use super::frame::Frame;
use super::tree::{Cx, Tree};
use super::values::{Mode, slim};
use crate::HostId;
use crate::counters::Fault;
use crate::wire::Contact;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

/// The most guests that are remembered; those that gain least are forgotten. Guess: two families.
const MAX_GUESTS: usize = 8;
/// Everybody would like to be below the root: whoever would gain less than such a part of its latency,
/// or so little, asks nobody to make room. Guess.
const WORTH: u32 = 8;
const WORTH_LEAST: Duration = Duration::from_millis(2);
/// The most guests of one family: the others in it must find a place too.
const AT_ONCE: usize = 4;

/// A host that would like to come in.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) contact: Contact,
    /// How far it is from the root.
    pub(super) latency: Duration,
    /// How much nearer it would be.
    pub(super) gain: Duration,
    /// How many clients it serves, with all below it.
    pub(super) weight: u32,
}

impl Guest {
    /// What there may be to gain.
    fn gain(&self) -> u128 {
        self.gain.as_nanos().saturating_mul(u128::from(self.weight))
    }
}

impl Tree {
    /// A search found whoever would be a better parent than the best one with room, at that latency
    /// from the root, if it had room: it is asked to make some.
    pub(super) fn petition(&mut self, cx: &mut Cx<'_>, latency: Duration) {
        if self.is_in_need() || self.mode() != Mode::Full || self.held.is_some() {
            return;
        }
        let full = self.search.as_ref().and_then(|search| {
            search.best_full(|host, offer| {
                let below = offer.way.contains(self.me.host) || self.children.contains_key(&host);
                offer.way.rank() == self.rank() && !below && !offer.way.is_full()
            })
        });
        let Some((there, host)) = full else { return };
        let (gain, weight) = (latency.saturating_sub(there), self.weight());
        if gain.saturating_mul(WORTH) < latency.max(WORTH_LEAST) {
            return;
        }
        cx.tell(host, &Frame::Petition { contact: slim(&self.me), latency, gain, weight });
        self.petitioned = Some(host);
    }

    pub(super) fn on_petition(&mut self, cx: &mut Cx<'_>, from: HostId, guest: Guest) {
        if guest.contact.host != from {
            return cx.misbehaved(from, Fault::IdentityChanged);
        }
        let below = self.way().contains(from) || self.children.contains_key(&from);
        if below || self.mode() != Mode::Full || guest.latency <= self.way().latency {
            return;
        }
        self.guests.insert(from, guest);
        if self.guests.len() > MAX_GUESTS {
            let least = self.guests.iter().min_by_key(|(_, guest)| guest.gain());
            if let Some(least) = least.map(|(&host, _)| host) {
                self.guests.remove(&least);
            }
        }
        self.plan_soon(cx);
    }

    /// Takes out the guests of the next family, and how far they are from the root.
    pub(super) fn invited_guests(&mut self) -> Vec<(Contact, Duration)> {
        let way = self.way();
        let children = &self.children;
        self.guests.retain(|host, _| !way.contains(*host) && !children.contains_key(host));
        let mut order: Vec<_> = self.guests.iter().map(|(&h, g)| (Reverse(g.gain()), h)).collect();
        order.sort_unstable();
        order.truncate(AT_ONCE);
        let guests = order.into_iter().filter_map(|(_, host)| self.guests.remove(&host));
        guests.map(|guest| (guest.contact, guest.latency)).collect()
    }
}
