//! What parents and children tell each other.

use super::frame::Frame;
use super::heal::Fate;
use super::links::SENT_AWAY;
use super::tree::{Child, Cx, Parent, Place, Timer, Tree};
use super::values::{Lineage, MAX_CONTACTS, Mode, Sketch, bare, micros};
use crate::counters::Fault;
use crate::wire::Contact;
use crate::{HostId, Time};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

/// How often children are told the way from the root, beside every change: a cycle that stale news
/// made lives no longer, and a child that was forgotten notices. Guess: one frame a second and
/// child.
const PATH_EVERY: Duration = Duration::from_secs(1);
/// How soon children are told of new siblings. Guess: when hosts join at once, most have by then.
const SIBLINGS_DELAY: Duration = Duration::from_millis(100);
/// A child that has not opened its link by then never will: it has gone elsewhere, or its frame was
/// forged. Guess: a handshake and two of its repetitions.
const GHOST: Duration = Duration::from_secs(3);
/// A former parent is left after this at the latest. Guess: longer than any way.
const OVERLAP: Duration = Duration::from_secs(1);
impl Tree {
    /// What a child is told: where its parent stands, and who would inherit from it, hosts with
    /// fragments first.
    pub(super) fn lineage(&self, cx: &Cx<'_>) -> Lineage {
        let grandparent = self.parent().and_then(|parent| cx.peers().get(parent.host));
        let heirs = self.children_of(Mode::Full).chain(self.children_of(Mode::Digests));
        Lineage {
            way: self.way(),
            grandparent: grandparent.map(|peer| bare(&peer.contact)),
            heirs: heirs.take(MAX_CONTACTS).map(|(_, contact)| contact.clone()).collect(),
        }
    }

    /// Tells every child where it stands.
    pub(super) fn tell_children(&self, cx: &mut Cx<'_>) {
        if self.children.is_empty() {
            return;
        }
        let frame = Frame::Path(self.lineage(cx));
        self.children.keys().for_each(|&child| cx.send(child, &frame));
        cx.set_timer(Timer::Path, cx.now() + PATH_EVERY);
    }

    /// Tells the children in a moment that they have other brothers and sisters: more may follow.
    pub(super) fn tell_children_soon(&self, cx: &mut Cx<'_>) {
        cx.set_timer(Timer::Path, cx.now() + SIBLINGS_DELAY);
    }

    /// Sends all children away; they know this host's parent, and go there.
    fn shed_children(&mut self, cx: &mut Cx<'_>) {
        self.tell_children(cx);
        for child in core::mem::take(&mut self.children).into_keys() {
            cx.send(child, &Frame::Detach { as_child: false });
            self.let_go(cx, child);
        }
    }

    /// Has the parent send what this host wants now.
    pub(super) fn match_mode(&mut self, cx: &mut Cx<'_>) {
        let mode = self.mode();
        let Some(parent) = self.parent().filter(|parent| parent.mode != mode) else { return };
        let (contact, weight, rtt) = (self.me.clone(), self.weight(), micros(parent.rtt));
        cx.send(parent.host, &Frame::Attach { mode, contact, plan: 0, weight, rtt });
        if mode == Mode::Digests {
            self.shed_children(cx);
        }
    }

    pub(super) fn on_attach(
        &mut self,
        cx: &mut Cx<'_>,
        from: HostId,
        mode: Mode,
        contact: Contact,
        (plan, weight, rtt): (u64, u32, u32),
    ) {
        if contact.host != from {
            return cx.misbehaved(from, Fault::IdentityChanged);
        }
        let old = self.children.remove(&from);
        if !self.takes(from, mode, plan) {
            let others = self.others(cx);
            cx.answer(&Frame::Refuse { others });
            // A child that wanted more stays what it is until it has found another parent.
            self.children.extend(old.map(|child| (from, child)));
            return;
        }
        self.children.extend(old.map(|child| (from, child)));
        self.take_in(cx, mode, contact, (weight, rtt));
        cx.answer(&Frame::Accept { mode, lineage: self.lineage(cx) });
    }

    /// Takes a host in as a child; there are so many clients in and below it, and the round trip to
    /// it takes so many microseconds, if it is known.
    pub(super) fn take_in(
        &mut self,
        cx: &mut Cx<'_>,
        mode: Mode,
        contact: Contact,
        (weight, rtt): (u32, u32),
    ) {
        let host = contact.host;
        if let Some(search) = &mut self.search {
            search.refused(host);
        }
        let known = cx.peers().get(host).map(|peer| peer.contact.incarnation);
        if known.is_none_or(|known| known < contact.incarnation) {
            cx.learn(contact.clone());
        }
        if rtt > 0 {
            cx.took(host, Duration::from_micros(rtt.into()));
        }
        // Whoever asks opens the link, if it is not open yet.
        cx.expect(host);
        let old = self.children.remove(&host).map(|child| (child.since, child.sketch));
        let (since, sketch) = old.unwrap_or((cx.now(), Sketch { weight, ..Sketch::default() }));
        let contact = bare(&contact);
        self.children.insert(host, Child { mode, contact, since, silent: false, sketch });
        if !cx.is_set(Timer::Ghosts) {
            cx.set_timer(Timer::Ghosts, cx.now() + GHOST);
        }
        self.family_changed(cx);
        self.tell_children_soon(cx);
        self.look_at_plan(cx);
        self.step(cx);
    }

    /// Whether `host` can become a child. Two hosts that ask each other at once: the one with the
    /// smaller id becomes the parent.
    pub(super) fn takes(&self, host: HostId, mode: Mode, plan: u64) -> bool {
        let asked_too = self.search.as_ref().is_some_and(|search| search.pending == Some(host));
        let yields = asked_too && self.me.host > host;
        // A plan from a time when this host still served does not count.
        (self.room(mode) > 0 || self.serves() && self.has_reserved(host, plan))
            && !self.way().contains(host)
            && !yields
    }

    pub(super) fn on_path(&mut self, cx: &mut Cx<'_>, from: HostId, lineage: Lineage) {
        let me = self.me.host;
        let Place::Under(parent) = &mut self.place else {
            return cx.answer(&Frame::Detach { as_child: true });
        };
        if parent.host != from {
            if self.former == Some(from) {
                return;
            }
            return cx.answer(&Frame::Detach { as_child: true });
        }
        if lineage.way.contains(me) || lineage.way.is_full() {
            return self.cut(cx);
        }
        let moved = !lineage.way.is_along(&parent.lineage.way);
        parent.lineage = lineage;
        parent.rtt = cx.peers().get(from).and_then(|peer| peer.rtt).unwrap_or(parent.rtt);
        self.await_path(cx);
        if moved {
            self.tell_children(cx);
        }
    }

    /// Moves under a new parent, with everything below.
    pub(super) fn move_under(&mut self, cx: &mut Cx<'_>, parent: Parent) {
        let (host, mode) = (parent.host, parent.mode);
        // Where the two change places, the new parent has not said yet that it is no child any more.
        self.children.remove(&host);
        // Whoever lost its parent may have come back to the one before.
        self.former = self.former.filter(|&former| former != host);
        let old = core::mem::replace(&mut self.place, Place::Under(Box::new(parent)));
        cx.need(host);
        if let Place::Under(old) = old {
            self.leave_later(cx, &old);
        }
        self.attempts = 0;
        self.lost = None;
        self.told = None;
        self.told_at = Time::ZERO;
        cx.stop_timer(Timer::Status);
        self.status_soon(cx);
        cx.stop_timer(Timer::Settle);
        cx.stop_timer(Timer::Seek);
        self.await_path(cx);
        match mode {
            Mode::Full => self.tell_children(cx),
            Mode::Digests => self.shed_children(cx),
        }
        self.match_mode(cx);
    }

    /// Gives up children that never opened their link.
    pub(super) fn drop_ghosts(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        let unlinked = |host: &HostId| !cx.peers().get(*host).is_some_and(|peer| peer.linked);
        let mut waiting: Vec<(Time, HostId)> = Vec::new();
        for (&host, child) in self.children.iter().filter(|(host, _)| unlinked(host)) {
            waiting.push((child.since + GHOST, host));
        }
        let next = waiting.iter().map(|&(at, _)| at).filter(|&at| at > now).min();
        for (_, host) in waiting.into_iter().filter(|&(at, _)| at <= now) {
            self.children.remove(&host);
            cx.tell(host, &Frame::Detach { as_child: false });
            self.let_go(cx, host);
            self.family_changed(cx);
        }
        if let Some(next) = next {
            cx.set_timer(Timer::Ghosts, next);
        }
    }

    /// Leaves a former parent once what it is about to send has come: the new one may have sent the
    /// same before this host was its child.
    fn leave_later(&mut self, cx: &mut Cx<'_>, old: &Parent) {
        // It may have come back before it left.
        self.former = self.former.filter(|&former| !self.is_parent(former));
        self.leave_former(cx);
        if self.is_parent(old.host) {
            return;
        }
        let new = self.parent().map(|parent| parent.rtt).unwrap_or_default();
        let lag = old.lineage.way.latency.saturating_sub(self.way().latency);
        let overlap = lag.saturating_add(new).saturating_add(old.rtt).min(OVERLAP);
        self.former = Some(old.host);
        cx.set_timer(Timer::Leave, cx.now() + overlap);
    }

    /// Leaves the former parent now.
    pub(super) fn leave_former(&mut self, cx: &mut Cx<'_>) {
        cx.stop_timer(Timer::Leave);
        if let Some(former) = self.former.take() {
            cx.send(former, &Frame::Detach { as_child: true });
            self.let_go(cx, former);
        }
    }

    /// A host is no child any more.
    pub(super) fn on_child_gone(&mut self, cx: &mut Cx<'_>, from: HostId) {
        if self.children.remove(&from).is_some() {
            self.let_go(cx, from);
            self.family_changed(cx);
            self.tell_children_soon(cx);
            self.look_at_plan(cx);
        }
    }

    /// A host is no parent any more.
    pub(super) fn on_parent_gone(&mut self, cx: &mut Cx<'_>, from: HostId, fate: Fate) {
        if self.former == Some(from) {
            self.leave_former(cx);
        } else if self.is_parent(from) {
            self.shun(cx, from, SENT_AWAY);
            self.orphaned(cx, fate);
            self.let_go(cx, from);
        }
    }
}
