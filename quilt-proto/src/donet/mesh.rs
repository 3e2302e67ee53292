//! The mesh as one host sees it: its partners, and what passes between it and them.

use super::cache::Cache;
use super::frame::{Frame, Known};
use super::inflow::Inflow;
use super::partner::Partner;
use super::{Donet, Travel};
use crate::counters::Fault;
use crate::protocol::{Arrival, Cx as Context, Protocol, Setup, Telling};
use crate::wire::Contact;
use crate::{FragmentId, HostId, HostTag, LinkError, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;
use smallvec::SmallVec;

pub(super) type Cx<'a> = Context<'a, Timer>;

/// What a host waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Look for partners: somebody new is known, or somebody has rested.
    Fill,
    /// Tell the partners of members.
    Gossip,
    /// Exchange a partner for a better or a more distant one.
    Refine,
    /// That host's answer to a request.
    Answer(HostId),
}

/// One host's part of the mesh.
#[derive(Debug)]
pub(super) struct Mesh {
    pub(super) contact: Contact,
    /// How many partners to look for.
    pub(super) target: usize,
    pub(super) max_partners: usize,
    travel: Travel,
    pub(super) partners: BTreeMap<HostId, Partner>,
    /// Who was asked to be a partner, and whether it was picked at random.
    pub(super) asked: BTreeMap<HostId, bool>,
    pub(super) cache: Cache,
    /// Which sources are pushed to this host.
    inflow: Inflow,
    /// A request was refused since this host last had a partner.
    pub(super) refused: bool,
    /// Fragments came since the last refinement.
    pub(super) busy: bool,
    /// The time between refinements.
    pub(super) refine_pause: Duration,
    /// When the bootstrap service may be asked for more members, and the pause after that.
    pub(super) ask_at: Time,
    pub(super) ask_pause: Duration,
}

impl Mesh {
    /// The time between two rounds of gossip, jittered. Guess: about as often as CoolStreaming.
    const GOSSIP: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(3)];

    /// A host without partners.
    pub(super) fn new(settings: &Donet, setup: &Setup) -> Self {
        let max_partners = settings.max_partners.clamp(1, Frame::MAX_PARTNERS);
        Self {
            contact: setup.contact.clone(),
            target: settings.partners.clamp(1, max_partners),
            max_partners,
            travel: Travel::decode(&setup.parameters),
            partners: BTreeMap::new(),
            asked: BTreeMap::new(),
            cache: Cache::default(),
            inflow: Inflow::default(),
            refused: false,
            busy: false,
            refine_pause: Self::REFINE,
            ask_at: Time::ZERO,
            ask_pause: Self::ASK,
        }
    }

    fn on_request(&mut self, cx: &mut Cx<'_>, from: HostId, contact: Contact, urgent: bool) {
        if contact.host != from {
            return cx.misbehaved(from, Fault::IdentityChanged);
        }
        cx.learn(contact);
        cx.need(from);
        let full = |mesh: &Self| mesh.partners.len() >= mesh.max_partners;
        if full(self) && !self.partners.contains_key(&from) {
            match self.spare_partner().filter(|_| urgent) {
                Some(spare) => self.part(cx, spare),
                None => return self.refuse(cx, from),
            }
        }
        cx.send(from, &Frame::Accept);
        self.add(cx, from, false);
    }

    fn refuse(&mut self, cx: &mut Cx<'_>, from: HostId) {
        let now = cx.now();
        let members = self.cache.sample(cx.peers, now, cx.rng, from);
        cx.send(from, &Frame::Refuse { members });
        cx.release(from);
        // Two requests may have met on the way: this answers both.
        self.asked.remove(&from);
        cx.stop_timer(Timer::Answer(from));
        self.cache.refused(from, now);
    }

    fn on_accept(&mut self, cx: &mut Cx<'_>, from: HostId) {
        // Where two requests meet, each counts as the answer to the other.
        let Some(random) = self.asked.get(&from).copied() else { return };
        if self.partners.len() < self.max_partners {
            return self.add(cx, from, random);
        }
        self.asked.remove(&from);
        cx.stop_timer(Timer::Answer(from));
        self.farewell(cx, from);
    }

    fn on_refuse(&mut self, cx: &mut Cx<'_>, from: HostId, members: Vec<Known>) {
        if self.asked.remove(&from).is_none() {
            return;
        }
        cx.stop_timer(Timer::Answer(from));
        cx.release(from);
        self.refused = true;
        self.cache.refused(from, cx.now());
        self.fill(cx);
        self.hear(cx, members);
    }

    fn on_members(
        &mut self,
        cx: &mut Cx<'_>,
        from: HostId,
        partners: Vec<HostTag>,
        members: Vec<Known>,
    ) {
        match self.partners.get_mut(&from) {
            Some(partner) => partner.partners = partners.into_iter().collect(),
            // It takes this host for a partner.
            None if !self.asked.contains_key(&from) => {
                cx.need(from);
                self.farewell(cx, from);
            }
            None => {}
        }
        self.hear(cx, members);
    }

    fn on_bye(&mut self, cx: &mut Cx<'_>, from: HostId, leaves: bool) {
        if leaves {
            self.cache.left(from, cx.now());
            cx.forget(from);
        } else {
            self.cache.refused(from, cx.now());
        }
        if self.drop_host(cx, from) {
            cx.release(from);
            self.mend(cx);
        }
    }

    /// `host` is a partner from now on.
    fn add(&mut self, cx: &mut Cx<'_>, host: HostId, random: bool) {
        let now = cx.now();
        let random = self.asked.remove(&host).unwrap_or(random);
        cx.stop_timer(Timer::Answer(host));
        self.cache.met(host, now);
        self.refused = false;
        self.partners.insert(host, Partner::new(now, random));
        let members = self.gossip_for(cx, host);
        cx.send(host, &members);
        cx.announce();
    }

    /// `host` is a partner no more, and is told so.
    pub(super) fn part(&mut self, cx: &mut Cx<'_>, host: HostId) {
        self.partners.remove(&host);
        self.cache.refused(host, cx.now());
        self.farewell(cx, host);
    }

    fn farewell(&self, cx: &mut Cx<'_>, host: HostId) {
        cx.send(host, &Frame::Bye { leaves: false });
        cx.release(host);
    }

    /// Takes `host` out of the partners and of those asked. Whether it was there.
    fn drop_host(&mut self, cx: &mut Cx<'_>, host: HostId) -> bool {
        cx.stop_timer(Timer::Answer(host));
        let asked = self.asked.remove(&host).is_some();
        self.partners.remove(&host).is_some() || asked
    }

    /// A partner was lost: one at least must push to this host, and the place is to be filled.
    fn mend(&mut self, cx: &mut Cx<'_>) {
        if !self.partners.values().any(Partner::is_eager) {
            let rtt = |host: &HostId| cx.peers.get(*host).and_then(|peer| peer.rtt);
            let nearest =
                self.partners.keys().min_by_key(|host| rtt(host).unwrap_or(Duration::MAX));
            if let Some(nearest) = nearest.copied() {
                self.graft(cx, nearest);
            }
        }
        self.ask_pause = Self::ASK;
        self.ask_at = self.ask_at.min(cx.now() + Self::ASK);
        self.fill(cx);
    }

    fn graft(&mut self, cx: &mut Cx<'_>, host: HostId) {
        let now = cx.now();
        if self.partners.get_mut(&host).is_some_and(|partner| partner.graft(now)) {
            cx.send(host, &Frame::Graft);
        }
    }

    fn gossip(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        self.cache.tidy(cx.peers, now);
        for &host in self.partners.keys() {
            self.cache.saw(host, now);
        }
        for &host in self.partners.keys() {
            let members = self.gossip_for(cx, host);
            cx.send(host, &members);
        }
        let [low, high] = Self::GOSSIP;
        cx.set_timer_within(Timer::Gossip, low, high);
        self.fill(cx);
    }

    fn gossip_for(&self, cx: &mut Cx<'_>, host: HostId) -> Frame {
        let members = self.cache.sample(cx.peers, cx.now, cx.rng, host);
        let partners = self.partners.keys().filter(|&&partner| partner != host);
        Frame::Members { partners: partners.map(HostId::tag).collect(), members }
    }

    fn hear(&mut self, cx: &mut Cx<'_>, members: Vec<Known>) {
        let (now, me) = (cx.now(), cx.me());
        for known in members.into_iter().filter(|known| known.contact.host != me) {
            if let Some(news) = self.cache.hear(cx.peers, now, known) {
                cx.learn(news);
                // The member is in `peers` once this handler has returned.
                cx.set_timer(Timer::Fill, now);
            }
        }
    }

    fn on_no_answer(&mut self, cx: &mut Cx<'_>, host: HostId) {
        self.asked.remove(&host);
        self.farewell(cx, host);
        self.failed(cx, host);
        self.fill(cx);
    }

    fn failed(&mut self, cx: &mut Cx<'_>, host: HostId) {
        if self.cache.failed(host, cx.now(), cx.peers().len()) {
            cx.forget(host);
        }
    }

    /// The tags of this host's partners.
    pub(super) fn tags(&self) -> BTreeSet<HostTag> {
        self.partners.keys().map(HostId::tag).collect()
    }
}

impl Protocol for Mesh {
    type Timer = Timer;
    type Frame = Frame;

    fn start(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        for (host, _) in cx.peers().iter() {
            self.cache.saw(host, now);
        }
        self.ask_at = now + Self::ASK;
        cx.set_timer_within(Timer::Gossip, Duration::ZERO, Self::GOSSIP[1]);
        cx.set_timer_within(Timer::Refine, Duration::ZERO, self.refine_pause);
        self.fill(cx);
    }

    fn on_frame(&mut self, cx: &mut Cx<'_>, from: HostId, frame: Frame) {
        match frame {
            Frame::Request { contact, urgent } => self.on_request(cx, from, contact, urgent),
            Frame::Accept => self.on_accept(cx, from),
            Frame::Refuse { members } => self.on_refuse(cx, from, members),
            Frame::Members { partners, members } => self.on_members(cx, from, partners, members),
            // From a host that has just been dropped, these were under way.
            Frame::Prune | Frame::Graft => {
                if let Some(partner) = self.partners.get_mut(&from) {
                    partner.set_eager(cx.now(), frame == Frame::Graft);
                    if frame == Frame::Prune {
                        cx.hold_back(from);
                    }
                }
            }
            Frame::Bye { leaves } => self.on_bye(cx, from, leaves),
        }
    }

    fn on_fragment(&mut self, cx: &mut Cx<'_>, arrival: Arrival, fragment: FragmentId) {
        self.busy = true;
        if self.travel != Travel::Push {
            return;
        }
        match arrival {
            Arrival::Injected => {}
            Arrival::Pushed(from) => {
                self.inflow.pushed(cx.now(), fragment.source, from);
                if let Some(partner) = self.partners.get_mut(&from) {
                    partner.pushed(cx.now());
                }
            }
            // Nobody pushed it. Where others of the source are pushed, the link is only too slow for
            // all of them, and another one would bring most of them twice.
            Arrival::Pulled(from) if !self.inflow.flows(cx.now(), fragment.source) => {
                self.graft(cx, from);
            }
            Arrival::Pulled(_) => {}
        }
        let from = arrival.from();
        // What had to be asked for was lost on its way here: whoever pushes the source has it.
        let feeder = match arrival {
            Arrival::Pulled(_) => self.inflow.feeder(cx.now(), fragment.source),
            Arrival::Pushed(_) | Arrival::Injected => None,
        };
        for (&host, partner) in &self.partners {
            if partner.is_eager() && ![from, feeder].contains(&Some(host)) {
                cx.send_fragment(host, fragment);
            }
        }
    }

    fn on_duplicate(&mut self, cx: &mut Cx<'_>, from: HostId, fragment: FragmentId) {
        let feeds = self.inflow.feeder(cx.now(), fragment.source) == Some(from);
        // What comes late from whoever pushes the source was asked for too soon.
        if feeds || !self.inflow.prunes(cx.now(), fragment.source) {
            return;
        }
        // The last one that pushes is kept, whatever it brings.
        let others = self.partners.iter().any(|(&host, other)| host != from && other.is_eager());
        let Some(partner) = self.partners.get_mut(&from).filter(|_| others) else { return };
        if partner.prune(cx.now()) {
            cx.send(from, &Frame::Prune);
            cx.hold_back(from);
        }
    }

    fn on_missed(&mut self, cx: &mut Cx<'_>, host: HostId) {
        self.graft(cx, host);
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, timer: Timer) {
        match timer {
            Timer::Fill => self.fill(cx),
            Timer::Gossip => self.gossip(cx),
            Timer::Refine => self.refine(cx),
            Timer::Answer(host) => self.on_no_answer(cx, host),
        }
    }

    fn on_contacts(&mut self, cx: &mut Cx<'_>, hosts: &[HostId]) {
        let now = cx.now();
        hosts.iter().for_each(|&host| self.cache.saw(host, now));
        self.fill(cx);
    }

    fn on_disconnected(&mut self, cx: &mut Cx<'_>, host: HostId, _: LinkError) {
        if self.drop_host(cx, host) {
            self.failed(cx, host);
            self.mend(cx);
        }
    }

    fn telling(&self) -> Telling {
        match self.travel {
            Travel::Push => Telling::Along,
            Travel::Pull(cycle_ms) => Telling::Cycle(Duration::from_millis(cycle_ms.into())),
        }
    }

    fn neighbours(&self) -> SmallVec<[HostId; 16]> {
        self.partners.keys().copied().collect()
    }

    fn leave(&mut self, cx: &mut Cx<'_>) {
        for &host in self.partners.keys().chain(self.asked.keys()) {
            cx.send(host, &Frame::Bye { leaves: true });
        }
    }
}
