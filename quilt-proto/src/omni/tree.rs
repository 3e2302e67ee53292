//! A host's place in the tree: its parent, its children, and what they tell each other.

use super::follow::Held;
use super::frame::Frame;
use super::heal::{Fate, Lost};
use super::links::UNREACHED;
use super::reshape::Planning;
use super::search::Search;
use super::seat::Seat;
use super::values::{Lineage, Mode, Offer, Rank, Sketch, Way, bare, half};
use super::zeal::Zeal;
use crate::counters::Counter;
use crate::euid::Euid;
use crate::protocol::{self, Arrival, Protocol, Setup};
use crate::wire::Contact;
use crate::{FragmentId, HostId, LinkError, PatchId, Time};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;
use smallvec::SmallVec;

/// So many of the members that the bootstrap service named first are asked first: they represent the
/// patch, or are there for long, so they are in the tree.
const NAMED: usize = 2;

pub(super) type Cx<'a> = protocol::Cx<'a, Timer>;

/// What a tree waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The patience of the search for a parent.
    Search,
    /// The next search for a parent, or for another tree to join.
    Seek,
    /// A root that found no parent shall be one for good.
    Settle,
    /// The children are due to be told where they stand.
    Path,
    /// The parent has said nothing for too long.
    Silence,
    /// A parent that is silent has to answer.
    Verdict,
    /// The parent is due to be told what is below.
    Status,
    /// The next plan, or the next step of one.
    Plan,
    /// A plan that is waited for does not come.
    Hold,
    /// The former parent is no longer needed.
    Leave,
    /// Children that never opened their link are given up.
    Ghosts,
}

/// The protocol of one host in one patch.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) me: Contact,
    /// What lies around this host; frames do not carry it.
    pub(super) euid: Euid,
    degree: usize,
    /// Only there do hosts take digests instead of fragments.
    pub(super) inter_patch: bool,
    forwarder: bool,
    pub(super) place: Place,
    pub(super) children: BTreeMap<HostId, Child>,
    pub(super) search: Option<Search>,
    /// Searches in a row that found nothing.
    pub(super) attempts: u32,
    /// Searches in a row that met a tree whose root should have joined this one.
    pub(super) rivals: u32,
    pub(super) lost: Option<Lost>,
    /// How many clients this host serves, itself included.
    pub(super) clients: u32,
    /// What the parent was last told of those below, and when it was.
    pub(super) told: Option<Sketch>,
    pub(super) told_at: Time,
    /// The most useful members as the bootstrap service has it, until they are asked.
    named: Vec<HostId>,
    /// Who was asked whether it is a better parent.
    pub(super) asked: BTreeSet<HostId>,
    /// The parent before this one, which still sends what the new one had sent already.
    pub(super) former: Option<HostId>,
    /// The plan that this host makes.
    pub(super) planning: Option<Planning>,
    /// The plan that it takes part in.
    pub(super) held: Option<Held>,
    /// Its zeal to move, and to arrange others.
    pub(super) move_zeal: Zeal,
    pub(super) plan_zeal: Zeal,
    /// Plans in a row that were worth nothing.
    pub(super) calm: u32,
    /// Hosts that were out of reach a moment ago, and until when they are not asked again.
    pub(super) shunned: BTreeMap<HostId, Time>,
}

/// Where a host is in its tree.
#[derive(Debug)]
pub(super) enum Place {
    /// It is the root.
    Top {
        /// It looks for a parent, and hosts below it should rather look elsewhere.
        provisional: bool,
    },
    /// It has a parent.
    Under(Box<Parent>),
}

#[derive(Debug)]
pub(super) struct Parent {
    pub(super) host: HostId,
    /// What it sends this host.
    pub(super) mode: Mode,
    pub(super) rtt: Duration,
    /// What it last told.
    pub(super) lineage: Lineage,
    /// Whether datagrams pass between the two.
    pub(super) datagrams: bool,
    /// How often it was asked by datagram whether it lives, since it was heard last.
    pub(super) pings: u32,
    /// Whether its path was missed.
    pub(super) missed: bool,
}

#[derive(Debug)]
pub(super) struct Child {
    /// What it is sent.
    pub(super) mode: Mode,
    pub(super) contact: Contact,
    /// Since when it is one.
    pub(super) since: Time,
    /// Whether it has missed beats, and said nothing since.
    pub(super) silent: bool,
    /// What is below it.
    pub(super) sketch: Sketch,
}

impl Tree {
    pub(super) fn new(degree: u8, setup: &Setup) -> Self {
        Self {
            me: bare(&Contact { host: setup.me, ..setup.contact.clone() }),
            euid: setup.contact.euid.clone(),
            degree: usize::from(degree.max(1)),
            inter_patch: setup.patch == PatchId::INTER_PATCH,
            forwarder: false,
            place: Place::Top { provisional: true },
            children: BTreeMap::new(),
            search: None,
            attempts: 0,
            rivals: 0,
            lost: None,
            clients: 1,
            told: None,
            told_at: Time::ZERO,
            named: setup.named.iter().take(NAMED).copied().collect(),
            asked: BTreeSet::new(),
            former: None,
            planning: None,
            held: None,
            move_zeal: Zeal::default(),
            plan_zeal: Zeal::default(),
            calm: 0,
            shunned: BTreeMap::new(),
        }
    }

    pub(super) fn parent(&self) -> Option<&Parent> {
        match &self.place {
            Place::Under(parent) => Some(parent),
            Place::Top { .. } => None,
        }
    }

    pub(super) fn is_parent(&self, host: HostId) -> bool {
        self.parent().is_some_and(|parent| parent.host == host)
    }

    /// What this host wants of a parent.
    pub(super) fn mode(&self) -> Mode {
        if self.forwarder || !self.inter_patch { Mode::Full } else { Mode::Digests }
    }

    /// What it asks a new parent for: with a tree below it, a place in full, so that the tree finds
    /// its way under the same parent before this host steps back.
    pub(super) fn mode_at_first(&self) -> Mode {
        if self.children.is_empty() { self.mode() } else { Mode::Full }
    }

    /// The way from the root to this host.
    pub(super) fn way(&self) -> Way {
        match &self.place {
            Place::Top { provisional } => Way::top(&self.me, *provisional),
            Place::Under(parent) => parent.lineage.way.extended(self.me.host, half(parent.rtt)),
        }
    }

    pub(super) fn rank(&self) -> Rank {
        match &self.place {
            Place::Top { provisional } => Rank { provisional: *provisional, root: self.me.host },
            Place::Under(parent) => parent.lineage.way.rank(),
        }
    }

    /// How many children it sends fragments to at most.
    pub(super) fn degree(&self) -> usize {
        self.degree
    }

    /// Whether this host can have children: who gets no fragments has none to send.
    pub(super) fn serves(&self) -> bool {
        let settled_root = matches!(self.place, Place::Top { provisional: false });
        settled_root || self.mode() == Mode::Full
    }

    /// How many more children of that mode can be taken.
    pub(super) fn room(&self, mode: Mode) -> usize {
        if self.way().is_full() || !self.serves() {
            return 0;
        }
        self.degree.saturating_sub(self.children_of(mode).count())
    }

    pub(super) fn children_of(&self, mode: Mode) -> impl Iterator<Item = (HostId, &Contact)> {
        let children = self.children.iter().filter(move |(_, child)| child.mode == mode);
        children.map(|(&host, child)| (host, &child.contact))
    }

    fn on_probe(&mut self, cx: &mut Cx<'_>, from: HostId, nonce: u64, rank: Rank) {
        let room = |mode| u8::try_from(self.room(mode)).unwrap_or(u8::MAX);
        let offer = Offer {
            way: self.way(),
            room_full: room(Mode::Full),
            room_digests: room(Mode::Digests),
            weight: self.weight(),
            others: self.others(cx),
        };
        cx.answer(&Frame::ProbeReply { nonce, offer });
        // It may be the root of the tree that this one has to join, and does not know.
        if self.parent().is_none() && !rank.provisional && rank < self.rank() {
            if cx.peers().get(from).is_none() {
                cx.learn_asker();
            }
            self.ask(cx, from);
            self.seek(cx, &[from]);
        }
    }
}

impl Protocol for Tree {
    type Timer = Timer;
    type Frame = Frame;

    fn start(&mut self, cx: &mut Cx<'_>) {
        if cx.peers().is_empty() {
            return self.settle(cx);
        }
        self.settle_later(cx);
        let named = core::mem::take(&mut self.named);
        self.seek(cx, &named);
    }

    fn on_frame(&mut self, cx: &mut Cx<'_>, from: HostId, frame: Frame) {
        if let Some(child) = self.children.get_mut(&from) {
            child.silent = false;
        }
        match frame {
            Frame::Probe { nonce, rank } => self.on_probe(cx, from, nonce, rank),
            Frame::ProbeReply { nonce, offer } => self.on_offer(cx, from, nonce, offer),
            Frame::Attach { mode, contact, plan, weight, rtt } => {
                self.on_attach(cx, from, mode, contact, (plan, weight, rtt))
            }
            Frame::Accept { mode, lineage } => self.on_accept(cx, from, mode, lineage),
            Frame::Seek { mode, contact, nonce, weight, rtt, hops } => {
                let seat = Seat { mode, contact, nonce, weight, hops };
                self.on_seek(cx, from, seat, rtt);
            }
            Frame::Adopt { nonce, mode, lineage } => {
                self.on_adopt(cx, from, nonce, (mode, lineage));
            }
            Frame::Refuse { others } => self.on_refuse(cx, from, &others),
            Frame::Path(lineage) => self.on_path(cx, from, lineage),
            Frame::Detach { as_child: true } => self.on_child_gone(cx, from),
            Frame::Detach { as_child: false } => self.on_parent_gone(cx, from, Fate::SentAway),
            Frame::Leave => {
                self.on_child_gone(cx, from);
                self.on_parent_gone(cx, from, Fate::Gone);
            }
            Frame::Status(sketch) => self.on_status(cx, from, sketch),
            Frame::Gather { nonce, wait_ms, members } => {
                self.on_gather(cx, from, nonce, wait_ms, &members);
            }
            Frame::Facts(facts) => self.on_facts(cx, from, facts),
            Frame::Displace(displacement) => self.on_displace(cx, from, displacement),
            Frame::Invite(plan) => self.on_invite(cx, from, plan),
        }
    }

    fn on_datagram(&mut self, cx: &mut Cx<'_>, from: HostId, frame: Frame) {
        match frame {
            // What answers something that this host asked, or can do no harm.
            Frame::Probe { .. }
            | Frame::ProbeReply { .. }
            | Frame::Attach { .. }
            | Frame::Accept { .. }
            | Frame::Seek { .. }
            | Frame::Adopt { .. }
            | Frame::Refuse { .. }
            | Frame::Gather { .. }
            | Frame::Facts(_)
            | Frame::Displace(_)
            | Frame::Invite(_) => self.on_frame(cx, from, frame),
            Frame::Detach { .. } if !cx.peers().get(from).is_some_and(|peer| peer.linked) => {
                self.on_frame(cx, from, frame);
            }
            Frame::Path(_) | Frame::Status(_) | Frame::Detach { .. } | Frame::Leave => {
                cx.count(Counter::DroppedUnexpected)
            }
        }
    }

    fn on_measured(&mut self, cx: &mut Cx<'_>, host: HostId, rtt: Duration) {
        let Place::Under(parent) = &mut self.place else { return };
        if parent.host == host {
            cx.stop_timer(Timer::Verdict);
            // Of one that was not asked before it was the parent, only the least was known.
            if rtt.saturating_mul(2) < core::mem::replace(&mut parent.rtt, rtt) {
                self.tell_children(cx);
            }
        }
    }

    fn on_silent(&mut self, cx: &mut Cx<'_>, host: HostId) {
        if self.is_parent(host) {
            self.suspect(cx);
        } else if let Some(child) = self.children.get_mut(&host) {
            child.silent = true;
        }
    }

    fn on_fragment(&mut self, cx: &mut Cx<'_>, arrival: Arrival, fragment: FragmentId) {
        // What a leaf has pulled, the tree has already.
        let own = arrival == Arrival::Injected;
        let above = self.parent().filter(|parent| own || parent.mode == Mode::Full);
        let above = above.map(|parent| parent.host);
        let below = self.children_of(Mode::Full).map(|(host, _)| host);
        let others = above.into_iter().chain(below).filter(|&host| Some(host) != arrival.from());
        others.for_each(|host| cx.send_fragment(host, fragment));
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, timer: Timer) {
        match timer {
            Timer::Search => self.on_patience(cx),
            Timer::Seek => {
                self.match_mode(cx);
                self.seek(cx, &[]);
            }
            Timer::Settle => self.settle(cx),
            Timer::Path => self.tell_children(cx),
            Timer::Silence => self.on_silence(cx),
            Timer::Verdict => self.on_verdict(cx),
            Timer::Status => self.tell_parent(cx),
            Timer::Plan => self.on_plan(cx),
            Timer::Hold => self.let_loose(cx),
            Timer::Leave => self.leave_former(cx),
            Timer::Ghosts => self.drop_ghosts(cx),
        }
    }

    fn on_connected(&mut self, cx: &mut Cx<'_>, host: HostId) {
        self.ask_connected(cx, host);
        // What was said before the link was open is lost.
        if self.children.contains_key(&host) {
            cx.send(host, &Frame::Path(self.lineage(cx)));
        }
        if self.is_parent(host) {
            // It answers if it has sent this host away in the meantime.
            self.told = None;
            self.status_soon(cx);
        }
    }

    fn on_disconnected(&mut self, cx: &mut Cx<'_>, host: HostId, cause: LinkError) {
        // Whoever closes a link in good order is alive.
        if cause != LinkError::Ended {
            self.shun(cx, host, UNREACHED);
        }
        let was_asked = self.search.as_mut().is_some_and(|search| search.gone(host));
        if self.children.remove(&host).is_some() {
            self.family_changed(cx);
            self.tell_children(cx);
        }
        self.former = self.former.filter(|&former| former != host);
        if self.is_parent(host) {
            return self.orphaned(cx, Fate::Gone);
        }
        self.heir_is_dead(cx, host);
        if was_asked {
            self.step(cx);
        }
    }

    fn on_forwarder(&mut self, cx: &mut Cx<'_>, forwarder: bool) {
        self.forwarder = forwarder;
        self.match_mode(cx);
    }

    fn neighbours(&self) -> SmallVec<[HostId; 16]> {
        let parent = self.parent().map(|parent| parent.host);
        parent.into_iter().chain(self.children.keys().copied()).collect()
    }

    /// The clients in and below a child that is sent messages. How many the parent's side has is not
    /// known: it counts as more than all that is below this host.
    fn served_by(&self, host: HostId) -> usize {
        let served = match self.children.get(&host) {
            Some(child) if child.mode == Mode::Digests => 0,
            Some(child) => child.sketch.weight.max(1),
            None => self.weight(),
        };
        usize::try_from(served).unwrap_or(usize::MAX)
    }

    /// The root.
    fn hub(&self) -> Option<HostId> {
        Some(self.rank().root)
    }

    fn parent(&self) -> Option<HostId> {
        Tree::parent(self).map(|parent| parent.host)
    }

    fn leave(&mut self, cx: &mut Cx<'_>) {
        self.leave_former(cx);
        for host in self.neighbours() {
            cx.send(host, &Frame::Leave);
        }
    }
}
