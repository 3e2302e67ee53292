//! How a tree goes on without a host that it lost.

use super::frame::Frame;
use super::links::{SENT_AWAY, UNREACHED};
use super::tree::{Cx, Parent, Place, Timer, Tree};
use super::values::Way;
use crate::{HostId, HostTag, Time};
use alloc::vec::Vec;
use core::time::Duration;

/// When a host that has found no parent becomes a root: at a random time between these. Guess: by
/// then every member that it knows has had several chances to answer.
const SETTLE: (Duration, Duration) = (Duration::from_millis(1_500), Duration::from_millis(2_500));
/// How long each heir to the root has before the next one takes over. Guess: a link notices within
/// half a second that its host is dead, and then the next one waits no longer.
const HEIR_WAIT: Duration = Duration::from_millis(500);
/// For how long hosts are avoided whose path leads over the parent that was lost: they may not
/// know yet that it is. Guess: twice what a link needs to notice.
const MOURNING: Duration = Duration::from_secs(1);

/// A parent that has not told the path for so long is asked whether it lives. Guess: two paths are
/// missing.
const PATH_MISSED: Duration = Duration::from_millis(2_200);
/// If it lives but still tells none after this, it has forgotten this child.
const FORGOTTEN: Duration = Duration::from_millis(2_800);
/// How often a silent parent is asked, and how far apart: one datagram may be lost.
const PINGS: u32 = 3;
const PING_PAUSE: Duration = Duration::from_millis(20);
/// How long it has for an answer at least, beside one and a half round trips. Guess.
const LEAST_VERDICT: Duration = Duration::from_millis(30);

/// What became of a parent that is none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is dead, out of reach, or leaves: nobody should hang below it, and whoever is its heir
    /// inherits.
    Gone,
    /// It lives, and sends this host elsewhere.
    SentAway,
}

/// A parent that was lost.
#[derive(Debug)]
pub(super) struct Lost {
    tag: HostTag,
    /// Until when who has it on the path is avoided.
    until: Time,
    /// If it was the root, the heirs before this host; they may be joined whatever they know.
    before: Vec<HostId>,
    /// If it was the root, whether this host is one of its heirs.
    heir: bool,
}

impl Lost {
    fn new(parent: &Parent, me: HostId, now: Time) -> Self {
        let lineage = &parent.lineage;
        // From a root that was looking for another tree to join nobody inherits: it has found one.
        let was_root = !lineage.way.provisional && lineage.way.root.host == parent.host;
        let heirs = lineage.heirs.iter().map(|contact| contact.host).filter(|_| was_root);
        let heirs: Vec<HostId> = heirs.collect();
        Self {
            tag: parent.host.tag(),
            until: now + MOURNING,
            heir: heirs.contains(&me),
            before: heirs.into_iter().take_while(|&heir| heir != me).collect(),
        }
    }

    /// Whether it speaks against `host` as a parent that it is on its way.
    pub(super) fn is_on(&self, now: Time, host: HostId, way: &Way) -> bool {
        now < self.until && way.path.contains(&self.tag) && !self.before.contains(&host)
    }

    /// Whether this host inherits now.
    fn inherits(&self) -> bool {
        self.heir && self.before.is_empty()
    }
}

impl Tree {
    /// The parent is gone: this host becomes the root in its place, or looks for another parent
    /// among its relatives and whoever else is known.
    pub(super) fn orphaned(&mut self, cx: &mut Cx<'_>, fate: Fate) {
        let Place::Under(parent) =
            core::mem::replace(&mut self.place, Place::Top { provisional: true })
        else {
            return;
        };
        cx.stop_timer(Timer::Silence);
        cx.stop_timer(Timer::Verdict);
        self.end_search(cx);
        self.attempts = 0;
        let lost = Lost::new(&parent, self.me.host, cx.now());
        self.lost = Some(lost).filter(|_| fate == Fate::Gone);
        if self.lost.as_ref().is_some_and(Lost::inherits) {
            return self.settle(cx);
        }
        self.settle_later(cx);
        self.tell_children(cx);
        let relatives = self.relatives(cx, &parent);
        self.seek(cx, &relatives);
    }

    /// The parent's parent, the root, the parent's other children, and the rest of the path as far
    /// as its hosts are known.
    fn relatives(&self, cx: &mut Cx<'_>, parent: &Parent) -> Vec<HostId> {
        let lineage = &parent.lineage;
        let named = lineage.grandparent.iter().chain([&lineage.way.root]).chain(&lineage.heirs);
        let named = named.filter(|contact| ![self.me.host, parent.host].contains(&contact.host));
        let mut relatives = Vec::new();
        for contact in named {
            if cx.peers().get(contact.host).is_none() {
                cx.learn(contact.clone());
            }
            relatives.push(contact.host);
        }
        let known = cx.peers().iter().map(|(host, _)| host).filter(|&host| host != parent.host);
        relatives.extend(known.filter(|&host| lineage.way.contains(host)));
        relatives
    }

    /// The parent told the path: it will be missed again in a while.
    pub(super) fn await_path(&mut self, cx: &mut Cx<'_>) {
        if let Place::Under(parent) = &mut self.place {
            parent.missed = false;
        }
        cx.stop_timer(Timer::Verdict);
        cx.set_timer(Timer::Silence, cx.now() + PATH_MISSED);
    }

    /// The parent has not told the path for a while.
    pub(super) fn on_silence(&mut self, cx: &mut Cx<'_>) {
        let Place::Under(parent) = &mut self.place else { return };
        if core::mem::replace(&mut parent.missed, true) {
            return self.cut(cx);
        }
        cx.set_timer(Timer::Silence, cx.now() + FORGOTTEN);
        self.suspect(cx);
    }

    /// The parent may be dead. It is asked by datagram, which no queue and no repetition delays;
    /// where datagrams do not pass, only the link can tell.
    pub(super) fn suspect(&mut self, cx: &mut Cx<'_>) {
        let Place::Under(parent) = &mut self.place else { return };
        if parent.datagrams && !cx.is_set(Timer::Verdict) {
            parent.pings = 0;
            self.on_verdict(cx);
        }
    }

    /// The parent has not answered yet: it is asked once more, or counts as dead.
    pub(super) fn on_verdict(&mut self, cx: &mut Cx<'_>) {
        let Place::Under(parent) = &mut self.place else { return };
        let (host, rtt) = (parent.host, parent.rtt);
        if parent.pings >= PINGS {
            // It may be that only datagrams do not pass any more.
            cx.send(host, &Frame::Detach { as_child: true });
            self.shun(cx, host, UNREACHED);
            self.orphaned(cx, Fate::Gone);
            return self.let_go(cx, host);
        }
        parent.pings = parent.pings.saturating_add(1);
        let last = parent.pings >= PINGS;
        let answer = rtt.saturating_mul(3).checked_div(2).unwrap_or(rtt).max(LEAST_VERDICT);
        cx.measure(host);
        cx.set_timer(Timer::Verdict, cx.now() + if last { answer } else { PING_PAUSE });
    }

    /// Gives up a parent that has forgotten this host, or that is below it, and looks for another.
    pub(super) fn cut(&mut self, cx: &mut Cx<'_>) {
        let Some(parent) = self.parent().map(|parent| parent.host) else { return };
        cx.send(parent, &Frame::Detach { as_child: true });
        self.shun(cx, parent, SENT_AWAY);
        self.orphaned(cx, Fate::SentAway);
        self.let_go(cx, parent);
    }

    /// The heirs before this one are given up as they are found dead.
    pub(super) fn heir_is_dead(&mut self, cx: &mut Cx<'_>, host: HostId) {
        let Some(lost) = &mut self.lost else { return };
        let heirs = lost.before.len();
        lost.before.retain(|&heir| heir != host);
        if lost.before.len() < heirs && lost.inherits() {
            self.settle(cx);
        }
    }

    /// An heir before this one lives: it will be the root, and this host has time to join it.
    pub(super) fn heir_is_alive(&mut self, cx: &mut Cx<'_>, host: HostId) {
        let Some(lost) = &mut self.lost else { return };
        if lost.heir && lost.before.contains(&host) {
            lost.heir = false;
            self.settle_later(cx);
        }
    }

    /// Plans to become a root for good if no parent is found.
    pub(super) fn settle_later(&self, cx: &mut Cx<'_>) {
        let rank = self.lost.as_ref().filter(|lost| lost.heir).map(|lost| lost.before.len());
        match rank.and_then(|rank| u32::try_from(rank).ok()) {
            Some(rank) => cx.set_timer(Timer::Settle, cx.now() + HEIR_WAIT.saturating_mul(rank)),
            None => cx.set_timer_within(Timer::Settle, SETTLE.0, SETTLE.1),
        }
    }

    /// Becomes a root for good, unless there is a parent; goes on looking for other trees.
    pub(super) fn settle(&mut self, cx: &mut Cx<'_>) {
        if !matches!(self.place, Place::Top { provisional: true }) {
            return;
        }
        self.place = Place::Top { provisional: false };
        self.attempts = 0;
        cx.stop_timer(Timer::Settle);
        self.tell_children(cx);
        if self.search.is_none() {
            self.seek_later(cx);
        }
    }
}
