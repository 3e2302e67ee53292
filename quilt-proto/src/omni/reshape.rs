//! How a host arranges anew who is below it (paper, section 3.2.3: the local moves).
//!
//! A host and some of those below it are a family. It asks them what they weigh and how far they
//! are from each other, finds the best arrangement (`plan`), and if that is better than what there
//! is, has it carried out (`follow`). A family that was arranged in vain a few times is left alone
//! until something in it changes.
//!
//! Differs from the paper: the moves are not tried one by one; the best of all their sequences
//! within a family is found at once.

use super::draft::Draft;
use super::frame::Frame;
use super::plan::MAX_FAMILY;
use super::tree::{Cx, Place, Timer, Tree};
use super::values::{Below, Facts, Mode, Plan, slim};
use crate::HostId;
use crate::wire::Contact;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

/// How soon after a change a family is looked at, between these. Guess: when hosts join at once,
/// the burst is over.
const CHANGED: (Duration, Duration) = (Duration::from_millis(60), Duration::from_millis(120));
/// The first pause after a plan that was worth nothing, doubled each time. Guess.
const VAIN: Duration = Duration::from_millis(50);
/// After so many of them a family is left alone that is too large for a plan, or of which some host did
/// not take part. Guess: most of its hosts were in one.
const CONTENT: u32 = 4;
/// How often facts are asked for. Guess: what is not measured by then will not be.
const ROUNDS: u32 = 3;
/// How long facts are waited for at least, beside two round trips to the farthest member. Guess.
const LEAST_WAIT: Duration = Duration::from_millis(3);
/// A plan is carried out for at least so long, and six round trips to the farthest member. Guess.
const LEAST_FOLLOWED: Duration = Duration::from_millis(200);
/// A round trip that is not known yet. Guess.
const UNKNOWN_RTT: Duration = Duration::from_millis(30);
/// A plan in the making.
#[derive(Debug)]
pub(super) struct Planning {
    nonce: u64,
    /// The family without its top.
    members: Vec<Below>,
    facts: Vec<Option<Facts>>,
    rounds: u32,
    /// Whether all below this host are in the family.
    whole: bool,
}

impl Planning {
    /// The family, its top first.
    fn contacts(&self, top: &Contact) -> Vec<Contact> {
        let others = self.members.iter().map(|member| member.contact.clone());
        core::iter::once(slim(top)).chain(others).collect()
    }
}

impl Tree {
    /// The family changed: there may be a better arrangement.
    pub(super) fn plan_soon(&mut self, cx: &mut Cx<'_>) {
        self.calm = 0;
        if self.planning.is_none() && !cx.is_set(Timer::Plan) {
            self.plan_after(cx, CHANGED);
        }
    }

    /// Plans anew between these times from now, or later if this host has done so often.
    fn plan_after(&mut self, cx: &mut Cx<'_>, (low, high): (Duration, Duration)) {
        self.plan_zeal.recover(cx.now());
        let factor = self.plan_zeal.factor();
        cx.set_timer_within(Timer::Plan, low.saturating_mul(factor), high.saturating_mul(factor));
    }

    /// It is time to plan, or to go on with a plan.
    pub(super) fn on_plan(&mut self, cx: &mut Cx<'_>) {
        let Some(planning) = &self.planning else { return self.start_plan(cx) };
        if planning.rounds < ROUNDS && !self.knows_all(cx) {
            return self.gather(cx);
        }
        self.conclude(cx);
    }

    /// Whether this host has its place in a settled tree, and may change what is below it.
    pub(super) fn is_settled(&self) -> bool {
        match &self.place {
            Place::Top { provisional } => !provisional,
            Place::Under(parent) => !parent.lineage.way.provisional && parent.mode == Mode::Full,
        }
    }

    fn start_plan(&mut self, cx: &mut Cx<'_>) {
        let below = self.below();
        if !self.is_settled() || below.len() < 2 {
            return;
        }
        if self.held.is_some() || self.is_moving() {
            return cx.set_timer_within(Timer::Plan, CHANGED.0, CHANGED.1);
        }
        self.end_search_in_vain(cx);
        let room = MAX_FAMILY.saturating_sub(1);
        let whole = below.len() <= room;
        let members = choose(cx, below, room);
        let facts = vec![None; members.len()];
        let nonce = cx.rng().next_u64().max(1);
        self.planning = Some(Planning { nonce, members, facts, rounds: 0, whole });
        self.gather(cx);
    }

    /// Asks the members for what is not known yet.
    fn gather(&mut self, cx: &mut Cx<'_>) {
        let Some(planning) = &mut self.planning else { return };
        planning.rounds = planning.rounds.saturating_add(1);
        let contacts = planning.contacts(&self.me);
        let (nonce, first) = (planning.nonce, planning.rounds == 1);
        let rtt = |host| cx.peers().get(host).and_then(|peer| peer.rtt).unwrap_or(UNKNOWN_RTT);
        let farthest = planning.members.iter().map(|member| rtt(member.contact.host)).max();
        let pause = farthest.unwrap_or_default().saturating_mul(2).max(LEAST_WAIT);
        // Until the next round, and the way down through the family.
        let wait = pause.saturating_mul(3);
        let wait_ms = u16::try_from(wait.as_millis()).unwrap_or(u16::MAX);
        for (member, facts) in planning.members.iter().zip(&planning.facts) {
            let host = member.contact.host;
            if cx.peers().get(host).is_none() {
                cx.learn(member.contact.clone());
            }
            let whole =
                facts.as_ref().is_some_and(|facts| facts.rtts.iter().skip(1).all(|&r| r > 0));
            if first || !whole {
                cx.tell(host, &Frame::Gather { nonce, wait_ms, members: contacts.clone() });
            }
        }
        self.measure_members(cx, 0, &contacts);
        let level = self.way().path.len().saturating_sub(1);
        self.hold(cx, nonce, level, wait);
        cx.set_timer(Timer::Plan, cx.now() + pause);
    }

    pub(super) fn on_facts(&mut self, cx: &mut Cx<'_>, from: HostId, facts: Facts) {
        let Some(planning) = self.planning.as_mut().filter(|p| p.nonce == facts.nonce) else {
            return;
        };
        let place = planning.members.iter().position(|member| member.contact.host == from);
        let fits = facts.rtts.len() == planning.members.len().saturating_add(1);
        if let Some(cell) = place.and_then(|place| planning.facts.get_mut(place)).filter(|_| fits) {
            *cell = Some(facts);
            if self.knows_all(cx) {
                self.conclude(cx);
            }
        }
    }

    fn knows_all(&self, cx: &Cx<'_>) -> bool {
        self.planning.as_ref().is_some_and(|planning| self.draft(cx, planning).is_whole())
    }

    /// What is known of the family.
    fn draft(&self, cx: &Cx<'_>, planning: &Planning) -> Draft {
        let contacts = planning.contacts(&self.me);
        let own = self.facts(cx, planning.nonce, true, &contacts);
        let (mut facts, mut parents) = (vec![Some(own)], vec![None]);
        for said in &planning.facts {
            parents.push(said.as_ref().and_then(|facts| {
                contacts.iter().position(|contact| contact.host.tag() == facts.parent)
            }));
            facts.push(said.clone());
        }
        Draft { facts, parents }
    }

    /// Enough is known, or will not be: is there a better arrangement?
    fn conclude(&mut self, cx: &mut Cx<'_>) {
        let Some(planning) = self.planning.take() else { return };
        cx.stop_timer(Timer::Plan);
        let complete = self.draft(cx, &planning).is_complete();
        let plan = self.better(cx, &planning);
        let rtt = |host| cx.peers().get(host).and_then(|peer| peer.rtt).unwrap_or(UNKNOWN_RTT);
        let farthest = planning.members.iter().map(|member| rtt(member.contact.host)).max();
        let farthest = farthest.unwrap_or_default();
        let Some(plan) = plan else {
            self.let_loose(cx);
            self.calm = self.calm.saturating_add(1);
            if !(planning.whole && complete) && self.calm < CONTENT {
                let pause = farthest.max(VAIN).saturating_mul(1_u32.wrapping_shl(self.calm));
                self.plan_after(cx, (pause, pause.saturating_mul(2)));
            }
            return;
        };
        self.calm = 0;
        self.plan_zeal.spend(cx.now());
        let wait = farthest.saturating_mul(6).max(LEAST_FOLLOWED);
        self.follow(cx, plan, wait);
        self.plan_after(cx, CHANGED);
    }

    /// A plan that is better than what there is.
    fn better(&self, cx: &Cx<'_>, planning: &Planning) -> Option<Plan> {
        let (chosen, parents) = self.draft(cx, planning).better(self.plan_zeal.factor())?;
        let contacts = planning.contacts(&self.me);
        let members = chosen.iter().filter_map(|&place| contacts.get(place).cloned()).collect();
        Some(Plan { nonce: planning.nonce, members, parents })
    }
}

/// Some of the hosts below: all if they are few enough, else children and some hosts that are below
/// these, at random.
fn choose(cx: &mut Cx<'_>, below: Vec<Below>, room: usize) -> Vec<Below> {
    if below.len() <= room {
        return below;
    }
    let (mut children, mut others): (Vec<usize>, Vec<usize>) =
        (0..below.len()).partition(|&at| below.get(at).is_some_and(|b| b.above.is_none()));
    cx.rng().shuffle(&mut children);
    cx.rng().shuffle(&mut others);
    let deep = room.div_ceil(2).min(others.len());
    children.truncate(room.saturating_sub(deep).max(1));
    let mut chosen = children;
    // A host comes with the one above it; as often as the tree is deep, one more level comes in.
    while chosen.len() < room {
        let fits = |&&at: &&usize| {
            let above = below.get(at).and_then(|b| b.above);
            !chosen.contains(&at) && above.is_some_and(|above| chosen.contains(&above))
        };
        let Some(&next) = others.iter().find(fits) else { break };
        chosen.push(next);
    }
    chosen.sort_unstable();
    let place = |old: usize| chosen.iter().position(|&at| at == old);
    let members = chosen.iter().filter_map(|&at| below.get(at));
    members.map(|b| Below { above: b.above.and_then(place), ..b.clone() }).collect()
}
