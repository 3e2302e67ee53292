//! How a host finds a parent: it asks several at once, and takes the one that puts it nearest to
//! the root (paper, section 3.2.3). Once it has one it looks for a better one, ever more rarely.
//!
//! Questions go by datagram: an offer comes after one round trip, a place after two. Who does not
//! answer is asked over a stream, in case UDP does not pass.

use super::frame::Frame;
use super::search::Search;
use super::tree::{Cx, Parent, Place, Timer, Tree};
use super::values::{Lineage, Mode, Offer, half, micros};
use crate::wire::Contact;
use crate::{HostId, euid};
use alloc::vec::Vec;
use core::time::Duration;

/// After the first offer that can be taken, further ones are waited for as long as that one took,
/// and half of it, within these bounds: whoever is farther away is no good parent. Guess.
const GATHER: (Duration, Duration) = (Duration::from_micros(500), Duration::from_millis(100));
/// How long datagrams are waited for before streams are tried. Guess: few hosts are so far away,
/// and the answer of one that is comes in time all the same.
const UDP_PATIENCE: Duration = Duration::from_millis(250);
/// How long anybody is waited for: two round trips of 350 ms, one of which opens the link. Guess.
const PATIENCE: Duration = Duration::from_millis(700);
/// A place that was asked for is asked for again after three round trips, if these are known, or
/// this. Guess.
const ATTACH_PATIENCE: Duration = Duration::from_millis(20);
/// The first and the longest pause after a search that found nothing. Guess: the first lets others
/// that lost the same parent find one.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
/// The same for a settled root that looks for other trees: it is in no need. Guess.
const SCOUT: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// After so many such searches in a row that met a tree whose root should join this one, and has not,
/// this root joins that tree: perhaps it can reach the other, and the other cannot reach it. Guess: two
/// seconds, in which a root that can has come.
const MOST_RIVALS: u32 = 8;
/// The first pause before a better parent is looked for, doubled after each search in vain. Guess.
const IMPROVE: (Duration, Duration) = (Duration::from_millis(40), Duration::from_millis(500));
/// The first pause of a host that has just come into the tree of a region: others may still look for any
/// parent, and their answers come first. Guess: longer than most of a burst takes. The hosts of the
/// inter-patch patch are few, and far from each other: what they wait is added to long ways.
const NEWCOMER_PAUSE: Duration = Duration::from_millis(150);
/// After so many searches for a better parent in vain a host is content. Guess.
const CONTENT: u32 = 7;
/// The same where the parent is near, and the way to it long: finding a better one is the parent's
/// work, which brings along all that is below it. Guess: enough to find a better place nearby.
const NEAR_CONTENT: u32 = 3;
/// So often a question for a place is passed on. Guess: more than a tree is deep.
const MAX_HOPS: u8 = 16;
/// So many of those that a full host names are asked by one in need: they are the most likely to have
/// room. Guess: two, in case one has been found by others too.
const DESCENT: usize = 2;
/// A better parent saves so much of the latency, as a part of it, and no less than the other figure:
/// less is noise. Guess.
const GAIN: (u32, Duration) = (64, Duration::from_micros(30));

impl Tree {
    /// Starts a search if none is under way: for a parent, or for a better one; `first` are asked
    /// before other members.
    pub(super) fn seek(&mut self, cx: &mut Cx<'_>, first: &[HostId]) {
        if self.search.is_some() {
            return;
        }
        if self.held.is_some() && !self.is_in_need() {
            return self.put_off_search(cx);
        }
        cx.stop_timer(Timer::Seek);
        cx.set_timer(Timer::Search, cx.now() + UDP_PATIENCE);
        self.search = Some(Search::new(cx.rng().next_u64()));
        let above = if first.is_empty() { self.above(cx) } else { None };
        let first: Vec<HostId> = first.iter().copied().chain(above).collect();
        let others = self.candidates(cx, first.len());
        for &host in first.iter().chain(&others) {
            self.ask(cx, host);
        }
        self.step(cx);
    }

    /// Asks one host, if it can be; says whether it was.
    pub(super) fn ask(&mut self, cx: &mut Cx<'_>, host: HostId) -> bool {
        if !self.may_ask(cx, host) {
            return false;
        }
        let (rank, now, in_need) = (self.rank(), cx.now(), self.is_in_need());
        let peer = cx.peers().get(host);
        let tunnels = peer.is_some_and(|peer| euid::tunnels(&self.euid, &peer.contact.euid));
        let Some(search) = &mut self.search else { return false };
        // A tunnel is no small thing: whoever has a parent has one dug at a time.
        if tunnels && !in_need && search.hosts().next().is_some() {
            return false;
        }
        search.ask(host, now);
        if tunnels {
            search.ask_by_stream(host);
            cx.need(host);
        } else {
            cx.ask(host, &Frame::Probe { nonce: search.nonce, rank });
        }
        true
    }

    /// A stream to a host is open: if it was waited for, to ask the host, it is asked now.
    pub(super) fn ask_connected(&mut self, cx: &mut Cx<'_>, host: HostId) {
        let (now, rank) = (cx.now(), self.rank());
        if let Some(search) = self.search.as_mut().filter(|search| search.awaits_stream(host)) {
            search.ask(host, now);
            cx.send(host, &Frame::Probe { nonce: search.nonce, rank });
        }
    }

    /// Whether the search may still ask a host, and has not.
    fn may_ask(&self, cx: &Cx<'_>, host: HostId) -> bool {
        let kin = host == self.me.host || self.children.contains_key(&host);
        let shunned = self.shunned.get(&host).is_some_and(|&until| cx.now() < until);
        let search = self.search.as_ref().filter(|search| search.may_ask(host));
        search.is_some() && !kin && !shunned && !self.is_parent(host)
    }

    /// Whether it goes wherever a host that it asks finds a place for it.
    fn takes_any_place(&self) -> bool {
        self.parent().is_none() && self.held.is_none()
    }

    /// Asks a host that another one named. Whoever is not asked is not learnt either: it would take the
    /// place of one that was.
    fn ask_contact(&mut self, cx: &mut Cx<'_>, contact: &Contact) {
        let host = contact.host;
        if self.may_ask(cx, host) {
            if cx.peers().get(host).is_none() {
                cx.learn(contact.clone());
            }
            self.ask(cx, host);
        }
    }

    /// Whether this host may become the child of `host`, at that distance.
    fn admits(&self, cx: &Cx<'_>, host: HostId, offer: &Offer, rtt: Duration) -> bool {
        let way = &offer.way;
        let below_me = way.contains(self.me.host) || self.children.contains_key(&host);
        let room =
            offer.room(self.mode_at_first()) > 0 || self.takes_any_place() && offer.passes_on();
        if !room || way.is_full() || below_me {
            return false;
        }
        if self.lost.as_ref().is_some_and(|lost| lost.is_on(cx.now(), host, way)) {
            return false;
        }
        match &self.place {
            Place::Under(parent) if parent.mode == self.mode() => {
                way.rank() == self.rank() && self.gains(way.latency.saturating_add(half(rtt)))
            }
            Place::Under(_) => way.rank() == self.rank(),
            Place::Top { .. } => {
                way.rank() < self.rank() || self.rivals >= MOST_RIVALS && self.is_rival(offer)
            }
        }
    }

    /// Whether a way from the root of that latency is worth a move.
    pub(super) fn gains(&self, latency: Duration) -> bool {
        gains(latency, self.way().latency, self.move_zeal.factor())
    }

    pub(super) fn best(&self, cx: &Cx<'_>) -> Option<HostId> {
        let search = self.search.as_ref()?;
        let need = self.takes_any_place().then_some(self.mode_at_first());
        search.best(need, |host, offer, rtt| self.admits(cx, host, offer, rtt))
    }

    pub(super) fn on_offer(&mut self, cx: &mut Cx<'_>, from: HostId, nonce: u64, offer: Offer) {
        let search = self.search.as_ref().filter(|search| search.nonce == nonce);
        let Some(since) = search.and_then(|search| search.asked_since(from)) else { return };
        let rtt = cx.now().since(since);
        cx.took(from, rtt);
        self.heir_is_alive(cx, from);
        let had_one = self.best(cx).is_some();
        let (others, level) = (offer.others.clone(), offer.way.path.len());
        let latency = offer.way.latency.saturating_add(half(rtt));
        let rival = Some(&offer.way.root).filter(|_| self.is_rival(&offer)).cloned();
        if let Some(search) = &mut self.search {
            search.offered(from, offer, rtt);
        }
        match self.best(cx) {
            Some(_) if !had_one && !self.is_pending() && self.is_in_need() => {
                let gather = rtt.saturating_add(half(rtt)).clamp(GATHER.0, GATHER.1);
                cx.set_timer(Timer::Search, (since + gather).max(cx.now() + GATHER.0));
            }
            Some(_) => {}
            None if self.is_in_need() => {
                others.iter().take(DESCENT).for_each(|other| self.ask_contact(cx, other));
            }
            None => {}
        }
        let opens = !self.is_in_need() && self.is_worth_opening(cx, latency);
        if opens && self.search.as_mut().is_some_and(|search| search.open(level)) {
            others.iter().for_each(|other| self.ask_contact(cx, other));
        }
        if let Some(root) = rival {
            self.ask_contact(cx, &root);
        }
        self.step(cx);
    }

    /// Whether a host below which this one would be so far from the root is nearer than the best
    /// parent that there is, so that it is worth to ask its children: none of these is nearer than
    /// it where the way over a third host is never shorter.
    fn is_worth_opening(&self, cx: &Cx<'_>, latency: Duration) -> bool {
        let best =
            self.best(cx).zip(self.search.as_ref()).map(|(host, search)| search.latency(host));
        let best = best.unwrap_or_else(|| self.way().latency);
        gains(latency, best, self.move_zeal.factor())
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
        let Some(search) = &mut self.search else { return };
        if let Some(host) = search.pending {
            if search.handed_on {
                // It answered before; to whom it handed the question on may be dead.
                search.refused(host);
                if self.best(cx).is_some() {
                    return self.decide(cx);
                }
            }
            let Some(search) = &mut self.search else { return };
            if search.ask_by_stream(host) {
                search.pending = Some(host);
                cx.need(host);
                return self.attach_to(cx, host);
            }
            search.refused(host);
        }
        let opens = self.search.as_mut().is_some_and(Search::is_patient_once);
        let nobody = self.best(cx).is_none();
        if nobody && (self.is_in_need() && self.ask_by_streams(cx) || opens) {
            return cx.set_timer(Timer::Search, cx.now() + PATIENCE);
        }
        self.decide(cx);
    }

    /// Asks whoever has not answered over streams; says whether there is anybody.
    fn ask_by_streams(&mut self, cx: &mut Cx<'_>) -> bool {
        let Some(search) = &mut self.search else { return false };
        let mut asked = false;
        for host in search.waiting() {
            if search.ask_by_stream(host) {
                cx.need(host);
                asked = true;
            }
        }
        asked
    }

    /// Asks the best host to be the parent, or ends the search.
    fn decide(&mut self, cx: &mut Cx<'_>) {
        if let Some(host) = self.displace(cx) {
            return self.attach_to(cx, host);
        }
        let Some(host) = self.best(cx) else { return self.give_up(cx) };
        if let Some(search) = &mut self.search {
            search.pending = Some(host);
        }
        self.attach_to(cx, host);
    }

    pub(super) fn attach_to(&mut self, cx: &mut Cx<'_>, host: HostId) {
        let weight = self.weight();
        let mode_at_first = self.mode_at_first();
        let needy = self.takes_any_place();
        let Some(search) = &mut self.search else { return };
        search.asks_for_place(cx.now());
        let (mode, contact) = (mode_at_first, self.me.clone());
        let (nonce, rtt) = (search.nonce, micros(search.rtt(host)));
        let frame = match &search.displacement {
            Some(wish) => Frame::Displace(wish.clone()),
            // Over a stream everybody answers for itself.
            None if needy && !search.needs(host) => {
                Frame::Seek { mode, contact, nonce, weight, rtt, hops: MAX_HOPS }
            }
            // Only the search that a plan began is named as the plan.
            None => Frame::Attach { mode, contact, plan: nonce, weight, rtt },
        };
        search.handed_on = matches!(frame, Frame::Seek { .. });
        let patience = if search.needs(host) {
            cx.send(host, &frame);
            PATIENCE
        } else {
            cx.ask(host, &frame);
            match search.rtt(host) {
                Duration::ZERO => UDP_PATIENCE,
                rtt => rtt.saturating_mul(3).max(ATTACH_PATIENCE),
            }
        };
        cx.set_timer(Timer::Search, cx.now() + patience);
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
        if self.is_in_need() {
            others.iter().for_each(|other| self.ask_contact(cx, other));
        }
        cx.set_timer(Timer::Search, cx.now() + UDP_PATIENCE);
        self.step(cx);
    }

    /// A host below the one that was asked for a place has one.
    pub(super) fn on_adopt(
        &mut self,
        cx: &mut Cx<'_>,
        from: HostId,
        nonce: u64,
        (mode, lineage): (Mode, Lineage),
    ) {
        let now = cx.now();
        let search = self.search.as_mut().filter(|search| search.nonce == nonce);
        if !search.is_some_and(|search| search.adopted(from, now)) {
            return cx.answer(&Frame::Detach { as_child: true });
        }
        cx.learn_asker();
        self.on_accept(cx, from, mode, lineage);
        if self.is_parent(from) {
            // How long it took says little of how far it is.
            cx.measure(from);
        }
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
            return cx.answer(&Frame::Detach { as_child: true });
        };
        let unasked = search.is_unasked(from);
        let way = &lineage.way;
        let wrong = unasked && self.parent().is_none() && way.rank() >= self.rank();
        let lost =
            unasked && self.lost.as_ref().is_some_and(|lost| lost.is_on(cx.now(), from, way));
        let Some(search) = &mut self.search else { return };
        if wrong || lost || way.contains(self.me.host) || way.is_full() {
            search.refused(from);
            cx.answer(&Frame::Detach { as_child: true });
            return self.decide(cx);
        }
        let rtt = search.accepted(from, cx.now());
        cx.took(from, rtt);
        let datagrams = !search.needs(from);
        let (pings, missed) = (0, false);
        let parent = Parent { host: from, mode, rtt, lineage, datagrams, pings, missed };
        self.move_under(cx, parent);
        self.rivals = 0;
        self.end_search(cx);
        self.invite_children(cx);
        self.look_at_plan(cx);
        self.move_zeal.spend(cx.now());
        self.seek_later(cx);
    }

    /// Ends a search without a parent, and plans the next one.
    fn give_up(&mut self, cx: &mut Cx<'_>) {
        let search = self.search.as_ref();
        let nobody = search.is_some_and(Search::is_empty);
        let full_tree =
            search.and_then(|search| search.best(None, |_, o, _| o.way.rank() < self.rank()));
        let is_rival = |_, offer: &Offer, _| self.is_rival(offer);
        let rival = search.and_then(|search| search.best(None, is_rival)).is_some();
        let settled = matches!(self.place, Place::Top { provisional: false });
        self.rivals = if rival { self.rivals.saturating_add(1) } else { 0 };
        if rival || full_tree.is_some() && settled {
            // There is another tree, which is no reason to look for it more rarely.
            self.attempts = 0;
        }
        self.end_search(cx);
        if nobody || (self.attempts > 0 && self.parent().is_none()) {
            cx.ask_contacts();
        }
        self.seek_later(cx);
    }

    /// Plans the next search: the more have failed, the later, and not at the same time as others.
    pub(super) fn seek_later(&mut self, cx: &mut Cx<'_>) {
        let (first, longest) = match self.place {
            Place::Top { provisional: false } => SCOUT,
            Place::Under(_) if self.is_content() => return,
            Place::Under(_) if !self.is_in_need() => {
                let waits = self.move_zeal.is_new() && !self.inter_patch;
                (if waits { NEWCOMER_PAUSE } else { IMPROVE.0 }, IMPROVE.1)
            }
            _ => RETRY,
        };
        let factor = 1_u32.checked_shl(self.attempts).unwrap_or(u32::MAX);
        let delay = first.saturating_mul(factor).min(longest);
        let eager = if self.is_in_need() { 1 } else { self.move_zeal.factor() };
        let delay = delay.saturating_mul(eager);
        self.attempts = self.attempts.saturating_add(1);
        cx.set_timer_within(Timer::Seek, half(delay), delay);
    }

    /// Whether this host has asked somebody to take it in.
    pub(super) fn is_moving(&self) -> bool {
        self.is_pending() || self.is_in_need() && self.search.is_some()
    }

    /// Whether a better parent was looked for often enough; more often where the last link is a good
    /// part of the way.
    fn is_content(&self) -> bool {
        let times = if self.is_far_out() { CONTENT.saturating_mul(2) } else { NEAR_CONTENT };
        !self.is_in_need() && self.attempts >= times
    }

    /// Ends a search for a better parent.
    pub(super) fn end_search_in_vain(&mut self, cx: &mut Cx<'_>) {
        if self.search.is_some() {
            self.end_search(cx);
            self.put_off_search(cx);
        }
    }

    /// Searches after the pause before, since something came between.
    fn put_off_search(&mut self, cx: &mut Cx<'_>) {
        self.attempts = self.attempts.saturating_sub(1);
        self.seek_later(cx);
    }

    /// Ends the search and gives up the links that only it needed.
    pub(super) fn end_search(&mut self, cx: &mut Cx<'_>) {
        cx.stop_timer(Timer::Search);
        if let Some(search) = self.search.take() {
            search.hosts().for_each(|host| self.let_go(cx, host));
        }
    }
}

/// Whether one latency is so much less than another that it is worth a move; so many times as much
/// as at first.
fn gains(latency: Duration, now: Duration, factor: u32) -> bool {
    let least = now.checked_div(GAIN.0).unwrap_or_default().max(GAIN.1);
    latency.saturating_add(least.saturating_mul(factor)) <= now
}
