//! How a host comes between a full host and one of its children, which goes below it (paper, section
//! 3.2.3: moves that go beyond the children of one grandparent).
//!
//! The search of a host has asked the full host and its children, so it knows what the change costs and
//! brings. The full host takes it in beyond its degree, sends the child there once the new one is in
//! its place, and lets go of one of the two if that does not work out.

use super::follow::Held;
use super::frame::Frame;
use super::tree::{Cx, Timer, Tree};
use super::values::{Displacement, Mode, Offer, Plan, slim};
use crate::HostId;
use crate::counters::Fault;
use core::time::Duration;

/// How long a host that comes between a host and its child has for it at least. Guess: its stream
/// has to open, and the child has to move.
const DISPLACING: Duration = Duration::from_millis(100);

impl Tree {
    /// Whether the best that this host can do is to come between a full host and one of its
    /// children; that host is asked then.
    pub(super) fn displace(&mut self, cx: &Cx<'_>) -> Option<HostId> {
        if self.is_in_need() || self.mode() != Mode::Full || self.room(Mode::Full) == 0 {
            return None;
        }
        let (way, weight) = (self.way(), self.weight());
        let admits = |host: HostId, offer: &Offer| {
            let below = offer.way.contains(self.me.host) || self.children.contains_key(&host);
            let free = offer.room(Mode::Full) == 0 && !offer.way.is_full() && !below;
            free && offer.way.rank() == self.rank()
        };
        let yields = |host: HostId| !way.contains(host) && !self.children.contains_key(&host);
        let search = self.search.as_ref()?;
        let me = (&slim(&self.me), way.latency, weight);
        let (worth, host, wish) = search.best_displacement(me, admits, yields)?;
        let room = self.best(cx).map(|host| way.latency.saturating_sub(search.latency(host)));
        let room = room.unwrap_or_default().as_nanos().saturating_mul(u128::from(weight));
        let latency = way.latency.saturating_sub(wish.gain);
        if worth <= room || !self.gains(latency) {
            return None;
        }
        let search = self.search.as_mut()?;
        search.pending = Some(host);
        search.displacement = Some(wish);
        Some(host)
    }

    /// Somebody would rather stand between this host and one of its children.
    pub(super) fn on_displace(&mut self, cx: &mut Cx<'_>, from: HostId, wish: Displacement) {
        let (me, nonce) = (self.me.host, wish.nonce);
        if wish.contact.host != from {
            return cx.misbehaved(from, Fault::IdentityChanged);
        }
        // What only this host plans so far can wait.
        let held = self.held.is_some() && self.planning.is_none();
        let free = !held && self.is_settled();
        let child = self.children.get(&wish.child).filter(|child| child.mode == Mode::Full);
        let full = self.room(Mode::Full) == 0;
        let worth = child.filter(|child| free && full && wish.worth(child.sketch.weight) > 0);
        if let Some(child) = worth.filter(|_| from != wish.child && !self.way().contains(from)) {
            let rtt = cx.peers().get(wish.child).and_then(|peer| peer.rtt).unwrap_or_default();
            let members = [&self.me, &wish.contact, &child.contact].map(slim);
            let plan = Plan { nonce, members: members.into(), parents: [0, 0, 1].into() };
            debug_assert_eq!(plan.parent_of(from), Some(me));
            self.end_plan(cx);
            self.held = Some(Held::carried_out(plan, true));
            let wait = rtt.saturating_mul(6).max(DISPLACING);
            cx.set_timer(Timer::Hold, cx.now() + wait);
        }
        self.on_attach(cx, from, Mode::Full, wish.contact, (nonce, wish.weight, 0));
    }

    /// A new child is in its place: whoever gives way to it is sent there.
    pub(super) fn send_displaced(&mut self, cx: &mut Cx<'_>, child: HostId) {
        let Some(held) = self.held.as_mut().filter(|held| held.displaces) else { return };
        let Some(plan) = &held.plan else { return };
        if plan.parent_of(child) != Some(self.me.host) {
            return;
        }
        held.displaces = false;
        for displaced in plan.children_of(child) {
            cx.send(displaced.host, &Frame::Invite(plan.clone()));
        }
    }
}
