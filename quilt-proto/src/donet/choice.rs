//! Whom a host wants as a partner, and whom no longer.

use super::frame::Frame;
use super::mesh::{Cx, Mesh, Timer};
use crate::euid::contacts;
use crate::{HostId, HostTag};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

impl Mesh {
    /// The time between refinements while fragments flow.
    pub(super) const REFINE: Duration = Duration::from_secs(5);
    /// The longest time between refinements; it is doubled up to this while none flow.
    const MAX_REFINE: Duration = Duration::from_secs(40);
    /// The pause before the bootstrap service is asked for members again, at first.
    pub(super) const ASK: Duration = Duration::from_secs(1);
    /// The longest such pause; it is doubled up to this while no partner is lost.
    const MAX_ASK: Duration = Duration::from_secs(32);
    /// How long an answer may take. Guess: a dial and a few round trips across the world.
    const ANSWER: Duration = Duration::from_millis(1_500);
    /// A partner is not exchanged before its latency could be measured. Guess: 5 s.
    const TRIAL: Duration = Duration::from_secs(5);

    /// Asks known members until there are, or may come to be, enough partners.
    pub(super) fn fill(&mut self, cx: &mut Cx<'_>) {
        cx.stop_timer(Timer::Fill);
        while self.partners.len().saturating_add(self.asked.len()) < self.target {
            let Some((host, random)) = self.pick(cx) else { return self.await_members(cx) };
            self.request(cx, host, random);
        }
    }

    /// Drops the partners that are too many, then asks a random member, so that the mesh follows
    /// latency and two meshes that know of each other become one.
    pub(super) fn refine(&mut self, cx: &mut Cx<'_>) {
        while let Some(host) = self.superfluous(cx) {
            self.part(cx, host);
        }
        // Some places stay free for those that come.
        let most = self.target.midpoint(self.max_partners);
        if self.partners.len().saturating_add(self.asked.len()) < most {
            if let Some(host) = self.distant(cx) {
                self.request(cx, host, true);
            }
        }
        let doubled = self.refine_pause.saturating_mul(2).min(Self::MAX_REFINE);
        self.refine_pause = if self.busy { Self::REFINE } else { doubled };
        self.busy = false;
        let longest = self.refine_pause.saturating_mul(2);
        cx.set_timer_within(Timer::Refine, self.refine_pause, longest);
    }

    /// The partner that an isolated host takes the place of: one that can spare this host.
    pub(super) fn spare_partner(&self) -> Option<HostId> {
        let spare = self.partners.iter().filter(|(_, partner)| partner.partners.len() > 1);
        let spare = spare.max_by_key(|(_, partner)| (!partner.is_eager(), partner.partners.len()));
        spare.map(|(&host, _)| host)
    }

    fn request(&mut self, cx: &mut Cx<'_>, host: HostId, random: bool) {
        let urgent = self.refused && self.partners.is_empty();
        cx.need(host);
        cx.send(host, &Frame::Request { contact: self.contact.clone(), urgent });
        cx.set_timer(Timer::Answer(host), cx.now + Self::ANSWER);
        self.asked.insert(host, random);
    }

    /// Whom to ask next, and whether it is picked at random: one partner is, so that near hosts
    /// form no island; the others are the nearest (paper, section 3.2.2: a latency-biased
    /// randomised mesh).
    fn pick(&self, cx: &mut Cx<'_>) -> Option<(HostId, bool)> {
        let mut candidates = self.candidates(cx);
        cx.rng.shuffle(&mut candidates);
        let random = self.partners.values().map(|partner| partner.random);
        if !random.chain(self.asked.values().copied()).any(|random| random) {
            return candidates.first().map(|&host| (host, true));
        }
        let nearest = candidates.into_iter().min_by_key(|&host| self.distance(cx, host));
        nearest.map(|host| (host, false))
    }

    /// A random member that is no partner of a partner, as far as that is known: one of those
    /// brings the least. Now and then one of those all the same, since it may be near.
    fn distant(&self, cx: &mut Cx<'_>) -> Option<HostId> {
        let mut candidates = self.candidates(cx);
        if cx.rng.below(4) > 0 {
            let near: BTreeSet<HostTag> =
                self.partners.values().flat_map(|partner| partner.partners.clone()).collect();
            candidates.retain(|host| !near.contains(&host.tag()));
        }
        candidates.get(cx.rng.index(candidates.len())).copied()
    }

    /// The members that may be asked.
    fn candidates(&self, cx: &Cx<'_>) -> Vec<HostId> {
        self.cache.candidates(cx.peers, cx.now, |host| {
            !self.partners.contains_key(&host)
                && !self.asked.contains_key(&host)
                && self.can_dial(cx, host)
        })
    }

    /// Whether `host` can be dialled, as far as its surroundings and the own ones say.
    fn can_dial(&self, cx: &Cx<'_>, host: HostId) -> bool {
        let Some(peer) = cx.peers.get(host) else { return false };
        let (from, to) = (&self.contact.euid, &peer.contact.euid);
        from.connectivity.is_empty() || to.connectivity.is_empty() || !contacts(from, to).is_empty()
    }

    /// How far `host` is: its latency where it was measured, else by the routers on the way.
    fn distance(&self, cx: &Cx<'_>, host: HostId) -> (Duration, u16) {
        let peer = cx.peers.get(host);
        let rtt = peer.and_then(|peer| peer.rtt).unwrap_or(Duration::MAX);
        let own = &self.contact.euid.topology;
        let hops = peer.and_then(|peer| own.hops_to_shared(&peer.contact.euid.topology));
        (rtt, hops.unwrap_or(u16::MAX))
    }

    /// The partner to drop: of those that neither side needs, the one with the highest latency.
    ///
    /// A link is dropped only where the mesh has another way round: fragments flow and this one
    /// carries none, or the two have a partner in common.
    fn superfluous(&self, cx: &Cx<'_>) -> Option<HostId> {
        if self.partners.len() <= self.target {
            return None;
        }
        let own = self.tags();
        let one_random = self.partners.values().filter(|partner| partner.random).count() == 1;
        let spare = self.partners.iter().filter(|(_, partner)| {
            let tried = cx.now.since(partner.since) >= Self::TRIAL;
            let bypassed =
                if self.busy { !partner.is_eager() } else { !partner.partners.is_disjoint(&own) };
            let needed = partner.partners.len() < self.target || partner.random && one_random;
            tried && bypassed && !needed
        });
        let rtt = |host| cx.peers.get(host).and_then(|peer| peer.rtt);
        spare.map(|(&host, _)| host).max_by_key(|&host| rtt(host))
    }

    /// Too few members are known: waits for one to have rested, and asks for more.
    fn await_members(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        if let Some(rested) = self.cache.next_rested(cx.peers, now) {
            cx.set_timer(Timer::Fill, rested);
        }
        if now >= self.ask_at {
            cx.ask_contacts();
            self.ask_at = now + self.ask_pause;
            self.ask_pause = self.ask_pause.saturating_mul(2).min(Self::MAX_ASK);
        }
    }
}
