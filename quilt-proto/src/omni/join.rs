//! How a host finds a parent: it asks several at once, and takes the one that puts it nearest to
//! the root (paper, section 3.2.3).

use super::frame::{Frame, Lineage, Mode, Offer, half};
use super::search::Search;
use super::tree::{Cx, Parent, Place, Timer, Tree};
use crate::HostId;
use crate::wire::Contact;
use alloc::vec::Vec;
use core::time::Duration;

/// How many members are asked at first. Guess: enough that one of them is near.
const CANDIDATES: usize = 8;
/// How many a settled root asks for news of other trees. Guess: few, since it does so for ever.
const SCOUTS: usize = 4;
/// How long further offers are waited for after the first that can be taken: a host farther away
/// than that is no good parent. Guess.
const GATHER: Duration = Duration::from_millis(300);
/// How long anybody is waited for: two round trips of 500 ms, one of which opens the link. Guess.
const PATIENCE: Duration = Duration::from_secs(1);
/// The first and the longest pause after a search that found nothing. Guess: the first lets others
/// that lost the same parent find one.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// The same for a settled root that looks for other trees: it is in no need. Guess.
const SCOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

impl Tree {
    /// Starts a search if none is under way and this host has use for one; `first` are asked
    /// before other members.
    pub(super) fn seek(&mut self, cx: &mut Cx<'_>, first: &[HostId]) {
        let suited = self.parent().is_some_and(|parent| parent.mode == self.mode());
        if self.search.is_some() || suited {
            return;
        }
        cx.stop_timer(Timer::Seek);
        cx.set_timer(Timer::Search, cx.now() + PATIENCE);
        self.search = Some(Search::new(cx.rng().next_u64()));
        let mut others: Vec<_> = cx.peers().iter().map(|(host, _)| host).collect();
        cx.rng().shuffle(&mut others);
        let wanted = match self.place {
            Place::Top { provisional: false } => SCOUTS,
            _ => CANDIDATES,
        };
        let mut asked = 0_usize;
        for (n, &host) in first.iter().chain(&others).enumerate() {
            if asked < wanted || n < first.len() {
                asked = asked.saturating_add(usize::from(self.ask(cx, host)));
            }
        }
        self.step(cx);
    }

    /// Asks one host, if it can be; says whether it was.
    pub(super) fn ask(&mut self, cx: &mut Cx<'_>, host: HostId) -> bool {
        let rank = self.rank();
        let now = cx.now();
        let kin = host == self.me.host || self.children.contains_key(&host);
        let shunned = self.shunned.get(&host).is_some_and(|&until| now < until);
        if kin || shunned || self.is_parent(host) {
            return false;
        }
        let Some(search) = self.search.as_mut().filter(|search| search.may_ask(host)) else {
            return false;
        };
        search.ask(host, now);
        cx.need(host);
        cx.send(host, &Frame::Probe { nonce: search.nonce, rank });
        true
    }

    /// Asks a host that another one named.
    fn ask_contact(&mut self, cx: &mut Cx<'_>, contact: &Contact) {
        if cx.peers().get(contact.host).is_none() && contact.host != self.me.host {
            cx.learn(contact.clone());
        }
        self.ask(cx, contact.host);
    }

    /// Whether this host may become the child of `host`.
    fn admits(&self, cx: &Cx<'_>, host: HostId, offer: &Offer) -> bool {
        let way = &offer.way;
        let below_me = way.contains(self.me.host) || self.children.contains_key(&host);
        if offer.room(self.mode_at_first()) == 0 || way.is_full() || below_me {
            return false;
        }
        if self.lost.as_ref().is_some_and(|lost| lost.is_on(cx.now(), host, way)) {
            return false;
        }
        match self.place {
            Place::Under(_) => way.rank() == self.rank(),
            // Under another one that looks for a parent only if nothing better was found before.
            Place::Top { .. } => {
                way.rank() < self.rank() && (!way.provisional || self.attempts > 0)
            }
        }
    }

    fn best(&self, cx: &Cx<'_>) -> Option<HostId> {
        self.search.as_ref()?.best(|host, offer| self.admits(cx, host, offer))
    }

    pub(super) fn on_offer(&mut self, cx: &mut Cx<'_>, from: HostId, nonce: u64, offer: Offer) {
        let search = self.search.as_ref().filter(|search| search.nonce == nonce);
        let Some(since) = search.and_then(|search| search.asked_since(from)) else { return };
        let measured = cx.peers().get(from).and_then(|peer| peer.rtt);
        let rtt = measured.unwrap_or(cx.now().since(since));
        self.heir_is_alive(cx, from);
        let had_one = self.best(cx).is_some();
        let others = offer.others.clone();
        let rival = Some(&offer.way.root).filter(|_| self.is_rival(&offer)).cloned();
        if let Some(search) = &mut self.search {
            search.offered(from, offer, rtt);
        }
        match self.best(cx) {
            Some(_) if !had_one && !self.is_pending() => {
                cx.set_timer(Timer::Search, cx.now() + GATHER);
            }
            Some(_) => {}
            None => others.iter().for_each(|other| self.ask_contact(cx, other)),
        }
        if let Some(root) = rival {
            self.ask_contact(cx, &root);
        }
        self.step(cx);
    }

    /// Whether the offer comes out of a settled tree that has to join this root's: asking its root
    /// tells it so.
    fn is_rival(&self, offer: &Offer) -> bool {
        let settled = matches!(self.place, Place::Top { provisional: false });
        settled && !offer.way.provisional && offer.way.rank() > self.rank()
    }

    fn is_pending(&self) -> bool {
        self.search.as_ref().is_some_and(|search| search.pending.is_some())
    }

    /// Decides if everybody who was asked has answered.
    pub(super) fn step(&mut self, cx: &mut Cx<'_>) {
        if self.search.as_ref().is_some_and(|search| !search.is_waiting()) && !self.is_pending() {
            self.decide(cx);
        }
    }

    /// The patience of the search is at its end.
    pub(super) fn on_patience(&mut self, cx: &mut Cx<'_>) {
        if let Some(search) = &mut self.search {
            if let Some(host) = search.pending {
                search.refused(host);
            }
            self.decide(cx);
        }
    }

    /// Asks the best host to be the parent, or ends the search.
    fn decide(&mut self, cx: &mut Cx<'_>) {
        let Some(host) = self.best(cx) else { return self.give_up(cx) };
        if let Some(search) = &mut self.search {
            search.pending = Some(host);
        }
        let mode = self.mode_at_first();
        cx.send(host, &Frame::Attach { mode, contact: self.me.clone() });
        cx.set_timer(Timer::Search, cx.now() + PATIENCE);
    }

    pub(super) fn on_refuse(&mut self, cx: &mut Cx<'_>, from: HostId, others: &[Contact]) {
        if self.is_parent(from) {
            // The parent has no room for what this host wants now; somebody else may.
            return self.seek(cx, &[]);
        }
        let Some(search) = self.search.as_mut().filter(|search| search.pending == Some(from))
        else {
            return;
        };
        search.refused(from);
        if self.best(cx).is_some() {
            return self.decide(cx);
        }
        others.iter().for_each(|other| self.ask_contact(cx, other));
        cx.set_timer(Timer::Search, cx.now() + PATIENCE);
        self.step(cx);
    }

    pub(super) fn on_accept(
        &mut self,
        cx: &mut Cx<'_>,
        from: HostId,
        mode: Mode,
        lineage: Lineage,
    ) {
        match &mut self.place {
            Place::Under(parent) if parent.host == from => {
                parent.mode = mode;
                if mode == self.mode() {
                    return self.end_search(cx);
                }
                return self.match_mode(cx);
            }
            _ => {}
        }
        let Some(search) = self.search.as_mut().filter(|search| search.pending == Some(from))
        else {
            return self.answer(cx, from, &Frame::Detach);
        };
        if lineage.way.contains(self.me.host) || lineage.way.is_full() {
            search.refused(from);
            self.answer(cx, from, &Frame::Detach);
            return self.decide(cx);
        }
        let parent = Parent { host: from, mode, rtt: search.rtt(from), lineage };
        self.move_under(cx, parent);
        self.end_search(cx);
    }

    /// Ends a search without a parent, and plans the next one.
    fn give_up(&mut self, cx: &mut Cx<'_>) {
        let search = self.search.as_ref();
        let nobody = search.is_some_and(Search::is_empty);
        let full_tree = search.and_then(|search| search.best(|_, o| o.way.rank() < self.rank()));
        if full_tree.is_some() && matches!(self.place, Place::Top { provisional: false }) {
            // There is another tree, which is no reason to look for it more rarely.
            self.attempts = 0;
        }
        self.end_search(cx);
        if nobody || self.attempts > 0 {
            cx.ask_contacts();
        }
        self.seek_later(cx);
    }

    /// Plans the next search: the more have failed, the later, and not at the same time as others.
    pub(super) fn seek_later(&mut self, cx: &mut Cx<'_>) {
        let (first, longest) = match self.place {
            Place::Top { provisional: false } => SCOUT,
            _ => RETRY,
        };
        let factor = 1_u32.checked_shl(self.attempts).unwrap_or(u32::MAX);
        let delay = first.saturating_mul(factor).min(longest);
        self.attempts = self.attempts.saturating_add(1);
        cx.set_timer_within(Timer::Seek, half(delay), delay);
    }

    /// Ends the search and gives up the links that only it needed.
    pub(super) fn end_search(&mut self, cx: &mut Cx<'_>) {
        cx.stop_timer(Timer::Search);
        if let Some(search) = self.search.take() {
            search.hosts().for_each(|host| self.let_go(cx, host));
        }
    }
}
