//! What parents and children tell each other.

use super::frame::{Frame, Lineage, MAX_CONTACTS, Mode, bare};
use super::tree::{Child, Cx, Parent, Place, Timer, Tree};
use crate::HostId;
use crate::counters::Fault;
use crate::wire::Contact;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

/// How often children are told the way from the root, beside every change: a cycle that stale news
/// made lives no longer, and a child that was forgotten notices. Guess: one frame a second and
/// child.
const PATH_EVERY: Duration = Duration::from_secs(1);
/// A parent that says nothing for so long has forgotten this child; links notice dead hosts much
/// earlier. Guess: five frames in a row are not lost on a live link.
const PARENT_SILENCE: Duration = Duration::from_secs(5);

impl Tree {
    /// What a child is told: where its parent stands, and who would inherit from it, hosts with
    /// fragments first.
    fn lineage(&self, cx: &Cx<'_>) -> Lineage {
        let grandparent = self.parent().and_then(|parent| cx.peers().get(parent.host));
        let heirs = self.children_of(Mode::Full).chain(self.children_of(Mode::Digests));
        Lineage {
            way: self.way(),
            grandparent: grandparent.map(|peer| bare(&peer.contact)),
            heirs: heirs.take(MAX_CONTACTS).map(|(_, contact)| contact.clone()).collect(),
        }
    }

    /// Who may have room if this host has none: its children, other ones each time; or its parent
    /// and the other children there.
    pub(super) fn others(&self, cx: &mut Cx<'_>) -> Vec<Contact> {
        let mut others: Vec<_> = self.children_of(Mode::Full).map(|(_, contact)| contact).collect();
        cx.rng().shuffle(&mut others);
        let parent = self.parent().and_then(|parent| cx.peers().get(parent.host));
        let parent = parent.map(|peer| bare(&peer.contact));
        let siblings = self.parent().map_or(&[][..], |parent| &parent.lineage.heirs);
        let others = others.into_iter().chain(&parent).chain(siblings);
        others.take(MAX_CONTACTS).cloned().collect()
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

    /// Sends all children away; they know this host's parent, and go there.
    fn shed_children(&mut self, cx: &mut Cx<'_>) {
        self.tell_children(cx);
        for child in core::mem::take(&mut self.children).into_keys() {
            self.answer(cx, child, &Frame::Detach);
        }
    }

    /// Has the parent send what this host wants now.
    pub(super) fn match_mode(&mut self, cx: &mut Cx<'_>) {
        let mode = self.mode();
        let Some(parent) = self.parent().filter(|parent| parent.mode != mode) else { return };
        cx.send(parent.host, &Frame::Attach { mode, contact: self.me.clone() });
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
    ) {
        if contact.host != from {
            return cx.misbehaved(from, Fault::IdentityChanged);
        }
        let old = self.children.remove(&from);
        if !self.takes(from, mode) {
            let others = self.others(cx);
            self.answer(cx, from, &Frame::Refuse { others });
            // A child that wanted more stays what it is until it has found another parent.
            self.children.extend(old.map(|child| (from, child)));
            return;
        }
        if let Some(search) = &mut self.search {
            search.refused(from);
        }
        let known = cx.peers().get(from).map(|peer| peer.contact.incarnation);
        if known.is_none_or(|known| known < contact.incarnation) {
            cx.learn(contact.clone());
        }
        cx.need(from);
        let child = Child { mode, contact: bare(&contact) };
        self.children.insert(from, child);
        cx.send(from, &Frame::Accept { mode, lineage: self.lineage(cx) });
        self.tell_children(cx);
        self.step(cx);
    }

    /// Whether `host` can become a child. Two hosts that ask each other at once: the one with the
    /// smaller id becomes the parent.
    fn takes(&self, host: HostId, mode: Mode) -> bool {
        let asked_too = self.search.as_ref().is_some_and(|search| search.pending == Some(host));
        let yields = asked_too && self.me.host > host;
        self.room(mode) > 0 && !self.way().contains(host) && !yields
    }

    pub(super) fn on_path(&mut self, cx: &mut Cx<'_>, from: HostId, lineage: Lineage) {
        let me = self.me.host;
        let Place::Under(parent) = &mut self.place else {
            return self.answer(cx, from, &Frame::Detach);
        };
        if parent.host != from {
            return self.answer(cx, from, &Frame::Detach);
        }
        if lineage.way.contains(me) || lineage.way.is_full() {
            return self.cut(cx);
        }
        let moved = !lineage.way.is_along(&parent.lineage.way);
        parent.lineage = lineage;
        parent.rtt = cx.peers().get(from).and_then(|peer| peer.rtt).unwrap_or(parent.rtt);
        cx.set_timer(Timer::Silence, cx.now() + PARENT_SILENCE);
        if moved {
            self.tell_children(cx);
        }
    }

    /// Moves under a new parent, with everything below.
    pub(super) fn move_under(&mut self, cx: &mut Cx<'_>, parent: Parent) {
        let mode = parent.mode;
        let old = core::mem::replace(&mut self.place, Place::Under(Box::new(parent)));
        if let Place::Under(old) = old {
            self.answer(cx, old.host, &Frame::Detach);
        }
        self.attempts = 0;
        self.lost = None;
        cx.stop_timer(Timer::Settle);
        cx.stop_timer(Timer::Seek);
        cx.set_timer(Timer::Silence, cx.now() + PARENT_SILENCE);
        match mode {
            Mode::Full => self.tell_children(cx),
            Mode::Digests => self.shed_children(cx),
        }
        self.match_mode(cx);
    }

    pub(super) fn on_detach(&mut self, cx: &mut Cx<'_>, from: HostId) {
        if self.children.remove(&from).is_some() {
            self.let_go(cx, from);
            self.tell_children(cx);
        } else if self.is_parent(from) {
            self.shun(cx, from);
            self.orphaned(cx);
            self.let_go(cx, from);
        }
    }
}
