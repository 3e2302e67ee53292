//! How a member of a family takes part in a plan: it says what it knows, waits, and moves when its
//! new parent invites it.
//!
//! A plan is carried out from the top down, and each step is a move like any other: the new parent
//! is in its place already and its way is checked, the old parent is left only when the new one has
//! accepted. So whatever is lost on the way, or moves at the same time, leaves a tree behind.

use super::frame::Frame;
use super::search::Search;
use super::tree::{Cx, Timer, Tree};
use super::values::{Facts, Mode, Plan, micros};
use crate::wire::Contact;
use crate::{HostId, HostTag};
use alloc::vec::Vec;
use core::time::Duration;

/// For how long a host waits for a plan at most, and takes part in no other. Guess: a few round
/// trips on the Internet.
const HOLD: Duration = Duration::from_secs(3);
/// For how long a host takes part in a plan that it was told. Guess: a few round trips on the
/// Internet.
const FOLLOW: Duration = Duration::from_millis(1_500);

/// A plan that a host takes part in.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) nonce: u64,
    /// How far down the tree the host is that may make the plan.
    level: usize,
    /// The plan, once it is told.
    pub(super) plan: Option<Plan>,
    /// Whether one of the plan's members comes between this host and a child of it.
    pub(super) displaces: bool,
}

impl Held {
    /// A plan that is known, and that nothing comes before.
    pub(super) fn carried_out(plan: Plan, displaces: bool) -> Self {
        Self { nonce: plan.nonce, level: 0, plan: Some(plan), displaces }
    }

    /// Whether the plan is none yet, and one of a host so far down the tree comes before it.
    fn yields(&self, level: usize) -> bool {
        self.plan.is_none() && level <= self.level
    }
}

impl Tree {
    /// Gives up the plan that this host makes.
    pub(super) fn end_plan(&mut self, cx: &mut Cx<'_>) {
        if self.planning.take().is_some() {
            cx.stop_timer(Timer::Plan);
            self.plan_soon(cx);
        }
    }

    /// Takes part in a plan of a host so far down the tree, and in none of one farther down until it
    /// is over.
    pub(super) fn hold(&mut self, cx: &mut Cx<'_>, nonce: u64, level: usize, wait: Duration) {
        self.held = Some(Held { nonce, level, plan: None, displaces: false });
        cx.set_timer(Timer::Hold, cx.now() + wait);
    }

    /// Sees to it that the members are where a plan has them, from this one down.
    pub(super) fn follow(&mut self, cx: &mut Cx<'_>, plan: Plan, wait: Duration) {
        self.held = Some(Held::carried_out(plan, false));
        cx.set_timer(Timer::Hold, cx.now() + wait);
        self.invite_children(cx);
    }

    /// The plan is over, or does not come.
    pub(super) fn let_loose(&mut self, cx: &mut Cx<'_>) {
        cx.stop_timer(Timer::Hold);
        let plan = self.held.take().and_then(|held| held.plan);
        let children = || self.children_of(Mode::Full).map(|(host, _)| host);
        let excess = children().count().saturating_sub(self.degree());
        // Whoever is in the plan, and weighs least, goes: the others have no part in it.
        let mut order: Vec<(bool, u32, HostId)> = Vec::new();
        for host in children().filter(|_| excess > 0) {
            let weight = self.children.get(&host).map_or(0, |child| child.sketch.weight);
            let apart = plan.as_ref().and_then(|plan| plan.place(host)).is_none();
            order.push((apart, weight, host));
        }
        order.sort_unstable();
        for (_, _, host) in order.into_iter().take(excess) {
            self.children.remove(&host);
            cx.send(host, &Frame::Detach { as_child: false });
            self.let_go(cx, host);
            self.family_changed(cx);
        }
    }

    /// Lets go of a plan as soon as everybody around this host is where the plan has them.
    pub(super) fn look_at_plan(&mut self, cx: &mut Cx<'_>) {
        let me = self.me.host;
        let Some(plan) = self.held.as_ref().and_then(|held| held.plan.as_ref()) else { return };
        let above = plan.parent_of(me).is_none_or(|parent| self.is_parent(parent));
        let here = plan.children_of(me).all(|child| self.children.contains_key(&child.host));
        let strays =
            |&host: &HostId| plan.place(host).is_some() && plan.parent_of(host) != Some(me);
        if above && here && !self.children.keys().any(strays) {
            self.let_loose(cx);
        }
    }

    /// Whether the plan has a place for that host below this one.
    pub(super) fn has_reserved(&self, host: HostId, plan: u64) -> bool {
        let held = self.held.as_ref().filter(|held| plan != 0 && held.nonce == plan);
        let parent = held.and_then(|held| held.plan.as_ref()?.parent_of(host));
        parent == Some(self.me.host)
    }

    /// A host above this one may arrange a family anew.
    pub(super) fn on_gather(
        &mut self,
        cx: &mut Cx<'_>,
        from: HostId,
        nonce: u64,
        wait_ms: u16,
        members: &[Contact],
    ) {
        let Some(place) = members.iter().position(|member| member.host == self.me.host) else {
            return;
        };
        let level = self.way().path.iter().position(|&tag| tag == from.tag());
        let free = |level| self.held.as_ref().is_none_or(|held| held.yields(level));
        let moving = self.search.as_ref().is_some_and(|search| search.pending.is_some());
        let level = level.filter(|&level| free(level) && !moving && !self.is_in_need());
        let ready = level.is_some();
        if let Some(level) = level {
            // What is planned above comes first.
            self.end_plan(cx);
            self.end_search_in_vain(cx);
            let wait = Duration::from_millis(u64::from(wait_ms)).min(HOLD);
            self.hold(cx, nonce, level, wait);
            self.measure_members(cx, place, members);
        }
        let facts = self.facts(cx, nonce, ready, members);
        cx.answer(&Frame::Facts(facts));
    }

    /// Measures what is not known: of two members one does it.
    pub(super) fn measure_members(&self, cx: &mut Cx<'_>, place: usize, members: &[Contact]) {
        for (other, member) in members.iter().enumerate().filter(|&(other, _)| other != place) {
            let odd = place.saturating_add(other) & 1 == 1;
            let mine = (place < other) == odd || place == 0;
            let peer = cx.peers().get(member.host);
            let known = peer.is_some_and(|peer| peer.rtt.is_some());
            let unknown = peer.is_none();
            if unknown {
                cx.learn(member.clone());
            }
            if mine && other != 0 && !known {
                cx.measure(member.host);
            }
        }
    }

    /// What this host knows of itself and its family.
    pub(super) fn facts(&self, cx: &Cx<'_>, nonce: u64, ready: bool, members: &[Contact]) -> Facts {
        let within = |host: &HostId| members.iter().any(|member| member.host == *host);
        let outside = self.children.iter().filter(|(host, _)| !within(host));
        let (mut slots, mut weight) = (self.degree(), self.clients);
        for (_, child) in outside {
            slots = slots.saturating_sub(usize::from(child.mode == Mode::Full));
            weight = weight.saturating_add(child.sketch.weight);
        }
        let known = |rtt: Duration| micros(rtt).max(1);
        let rtt = |host| cx.peers().get(host).and_then(|peer| peer.rtt).map_or(0, known);
        Facts {
            nonce,
            ready,
            parent: self.parent().map_or(HostTag(0), |parent| parent.host.tag()),
            slots: u8::try_from(slots).unwrap_or(u8::MAX),
            weight,
            rtts: members.iter().map(|member| rtt(member.host)).collect(),
        }
    }

    /// The parent that the plan has for this host, which is in its place, invites it; or its parent
    /// sends it there.
    pub(super) fn on_invite(&mut self, cx: &mut Cx<'_>, from: HostId, plan: Plan) {
        let nonce = plan.nonce;
        let Some(above) = plan.parent_of(self.me.host) else { return };
        let waited = self.held.as_ref().is_some_and(|h| h.nonce == nonce && h.plan.is_none());
        let sent = above != from && self.is_parent(from) && !self.is_moving();
        if !(sent || waited && above == from) {
            return;
        }
        let Some(inviter) = plan.members.iter().find(|member| member.host == above).cloned() else {
            return;
        };
        self.end_plan(cx);
        self.held = Some(Held::carried_out(plan, false));
        // Time for those below to come, and for those who go to go.
        cx.set_timer(Timer::Hold, cx.now() + FOLLOW);
        if self.is_parent(above) {
            self.invite_children(cx);
            return self.look_at_plan(cx);
        }
        // Whoever was sent is about as far from where it goes as from where it is.
        let here = self.parent().map(|parent| parent.rtt).filter(|_| sent).unwrap_or_default();
        if cx.peers().get(above).is_none() {
            cx.learn(inviter);
        }
        let rtt = cx.peers().get(above).and_then(|peer| peer.rtt).unwrap_or(here);
        self.end_search(cx);
        self.search = Some(Search::invited(nonce, above, rtt));
        self.attach_to(cx, above);
    }

    /// This host is where the plan has it: its children of the plan come next.
    pub(super) fn invite_children(&mut self, cx: &mut Cx<'_>) {
        let Some(plan) = self.held.as_ref().and_then(|held| held.plan.as_ref()) else { return };
        let children: Vec<&Contact> = plan.children_of(self.me.host).collect();
        for child in children {
            if cx.peers().get(child.host).is_none() {
                cx.learn(child.clone());
            }
            cx.tell(child.host, &Frame::Invite(plan.clone()));
        }
    }
}
