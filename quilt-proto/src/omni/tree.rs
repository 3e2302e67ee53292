//! A host's place in the tree: its parent, its children, and what they tell each other.

use super::frame::{Frame, Lineage, MAX_CONTACTS, Mode, Offer, Rank, Way, bare};
use super::heal::Lost;
use super::search::Search;
use crate::counters::{Counter, Fault};
use crate::protocol::{self, Arrival, Protocol, Setup};
use crate::wire::Contact;
use crate::{FragmentId, HostId, LinkError, PatchId, Time};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

/// How often children are told the way from the root, beside every change: a cycle that stale news
/// made lives no longer, and a child that was forgotten notices. Guess: one frame a second and
/// child.
const PATH_EVERY: Duration = Duration::from_secs(1);
/// A parent that says nothing for so long has forgotten this child; links notice dead hosts much
/// earlier. Guess: five frames in a row are not lost on a live link.
const PARENT_SILENCE: Duration = Duration::from_secs(5);
/// How long the link to a host that is neither parent nor child is kept after an answer, so that
/// the answer gets out, and the host's next question finds the link. Guess: a search and a half.
const GUEST_STAY: Duration = Duration::from_secs(3);
/// The most of them; further ones get no answer. Guess: a burst of joiners at the root.
const MAX_GUESTS: usize = 64;

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
    /// Somebody's link is no longer kept.
    Guests,
}

/// The protocol of one host in one patch.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) me: Contact,
    degree: usize,
    /// Only there do hosts take digests instead of fragments.
    inter_patch: bool,
    forwarder: bool,
    pub(super) place: Place,
    pub(super) children: BTreeMap<HostId, Child>,
    pub(super) search: Option<Search>,
    /// Searches in a row that found nothing.
    pub(super) attempts: u32,
    pub(super) lost: Option<Lost>,
    /// Hosts that were out of reach a moment ago, and until when they are not asked again.
    pub(super) shunned: BTreeMap<HostId, Time>,
    /// Hosts that were answered, and until when the link to them is kept.
    guests: BTreeMap<HostId, Time>,
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
    Under(Parent),
}

#[derive(Debug)]
pub(super) struct Parent {
    pub(super) host: HostId,
    /// What it sends this host.
    pub(super) mode: Mode,
    pub(super) rtt: Duration,
    /// What it last told.
    pub(super) lineage: Lineage,
}

#[derive(Debug)]
pub(super) struct Child {
    mode: Mode,
    contact: Contact,
}

impl Tree {
    pub(super) fn new(degree: u8, setup: &Setup) -> Self {
        Self {
            me: bare(&Contact { host: setup.me, ..setup.contact.clone() }),
            degree: usize::from(degree.max(1)),
            inter_patch: setup.patch == PatchId::INTER_PATCH,
            forwarder: false,
            place: Place::Top { provisional: true },
            children: BTreeMap::new(),
            search: None,
            attempts: 0,
            lost: None,
            shunned: BTreeMap::new(),
            guests: BTreeMap::new(),
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

    /// The way from the root to this host.
    pub(super) fn way(&self) -> Way {
        match &self.place {
            Place::Top { provisional } => Way::top(&self.me, *provisional),
            Place::Under(parent) => parent.lineage.way.extended(self.me.host, parent.rtt / 2),
        }
    }

    pub(super) fn rank(&self) -> Rank {
        match &self.place {
            Place::Top { provisional } => Rank { provisional: *provisional, root: self.me.host },
            Place::Under(parent) => parent.lineage.way.rank(),
        }
    }

    /// How many more children of that mode can be taken.
    fn room(&self, mode: Mode) -> usize {
        let settled_root = matches!(self.place, Place::Top { provisional: false });
        if self.way().is_full() || !(settled_root || self.mode() == Mode::Full) {
            return 0;
        }
        self.degree.saturating_sub(self.children_of(mode).count())
    }

    fn children_of(&self, mode: Mode) -> impl Iterator<Item = (HostId, &Contact)> {
        let children = self.children.iter().filter(move |(_, child)| child.mode == mode);
        children.map(|(&host, child)| (host, &child.contact))
    }

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

    /// Some of the children that could have children, other ones each time.
    fn some_children(&self, cx: &mut Cx<'_>) -> Vec<Contact> {
        let mut hosts: Vec<_> = self.children_of(Mode::Full).collect();
        cx.rng().shuffle(&mut hosts);
        hosts.into_iter().take(MAX_CONTACTS).map(|(_, contact)| contact.clone()).collect()
    }

    /// Tells every child where it stands.
    pub(super) fn tell_children(&mut self, cx: &mut Cx<'_>) {
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

    /// Whether the link to `host` serves for anything.
    pub(super) fn uses(&self, host: HostId) -> bool {
        self.is_parent(host)
            || self.children.contains_key(&host)
            || self.guests.contains_key(&host)
            || self.search.as_ref().is_some_and(|search| search.needs(host))
    }

    /// Gives up the link to `host` if it serves for nothing any more.
    pub(super) fn let_go(&self, cx: &mut Cx<'_>, host: HostId) {
        if !self.uses(host) {
            cx.release(host);
        }
    }

    /// Sends a frame to a host whoever it is, and keeps the link for a while.
    pub(super) fn answer(&mut self, cx: &mut Cx<'_>, to: HostId, frame: &Frame) {
        if self.guests.len() >= MAX_GUESTS && !self.guests.contains_key(&to) {
            return cx.count(Counter::DroppedUnexpected);
        }
        cx.need(to);
        cx.send(to, frame);
        self.guests.insert(to, cx.now() + GUEST_STAY);
        if !cx.is_set(Timer::Guests) {
            cx.set_timer(Timer::Guests, cx.now() + GUEST_STAY);
        }
    }

    fn see_guests_off(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        let gone: Vec<_> =
            self.guests.iter().filter(|&(_, &until)| until <= now).map(|(&host, _)| host).collect();
        for host in gone {
            self.guests.remove(&host);
            self.let_go(cx, host);
        }
        if let Some(&next) = self.guests.values().min() {
            cx.set_timer(Timer::Guests, next);
        }
    }

    fn on_probe(&mut self, cx: &mut Cx<'_>, from: HostId, nonce: u64, rank: Rank) {
        let room = |mode| u8::try_from(self.room(mode)).unwrap_or(u8::MAX);
        let offer = Offer {
            way: self.way(),
            room_full: room(Mode::Full),
            room_digests: room(Mode::Digests),
            children: self.some_children(cx),
        };
        self.answer(cx, from, &Frame::ProbeReply { nonce, offer });
        // It may be the root of the tree that this one has to join, and does not know.
        if self.parent().is_none() && !rank.provisional && rank < self.rank() {
            self.ask(cx, from);
            self.seek(cx, &[from]);
        }
    }

    fn on_attach(&mut self, cx: &mut Cx<'_>, from: HostId, mode: Mode, contact: Contact) {
        if contact.host != from {
            return cx.misbehaved(from, Fault::IdentityChanged);
        }
        let old = self.children.remove(&from);
        if !self.takes(from, mode) {
            let children = self.some_children(cx);
            self.answer(cx, from, &Frame::Refuse { children });
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

    fn on_path(&mut self, cx: &mut Cx<'_>, from: HostId, lineage: Lineage) {
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
        let old = core::mem::replace(&mut self.place, Place::Under(parent));
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

    fn on_detach(&mut self, cx: &mut Cx<'_>, from: HostId) {
        if self.children.remove(&from).is_some() {
            self.let_go(cx, from);
            self.tell_children(cx);
        } else if self.is_parent(from) {
            self.shun(cx, from);
            self.orphaned(cx);
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
        self.seek(cx, &[]);
    }

    fn on_frame(&mut self, cx: &mut Cx<'_>, from: HostId, frame: Frame) {
        match frame {
            Frame::Probe { nonce, rank } => self.on_probe(cx, from, nonce, rank),
            Frame::ProbeReply { nonce, offer } => self.on_offer(cx, from, nonce, offer),
            Frame::Attach { mode, contact } => self.on_attach(cx, from, mode, contact),
            Frame::Accept { mode, lineage } => self.on_accept(cx, from, mode, lineage),
            Frame::Refuse { children } => self.on_refuse(cx, from, &children),
            Frame::Path(lineage) => self.on_path(cx, from, lineage),
            Frame::Detach => self.on_detach(cx, from),
        }
    }

    fn on_fragment(&mut self, cx: &mut Cx<'_>, arrival: Arrival, fragment: FragmentId) {
        let from = arrival.from();
        let parent = self.parent().map(|parent| parent.host);
        let below = self.children_of(Mode::Full).map(|(host, _)| host);
        for host in parent.into_iter().chain(below).filter(|&host| Some(host) != from) {
            cx.send_fragment(host, fragment);
        }
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
            Timer::Silence => self.cut(cx),
            Timer::Guests => self.see_guests_off(cx),
        }
    }

    fn on_contacts(&mut self, cx: &mut Cx<'_>, _: &[HostId]) {
        // A root goes on looking in its own time: its tree works, and it asks for contacts itself.
        if matches!(self.place, Place::Top { provisional: true }) {
            self.seek(cx, &[]);
        }
    }

    fn on_connected(&mut self, cx: &mut Cx<'_>, host: HostId) {
        if let Some(search) = &mut self.search {
            search.restart(host, cx.now());
        }
    }

    fn on_disconnected(&mut self, cx: &mut Cx<'_>, host: HostId, cause: LinkError) {
        // Whoever closes a link in good order is alive.
        if cause != LinkError::Ended {
            self.shun(cx, host);
        }
        self.guests.remove(&host);
        let was_asked = self.search.as_mut().is_some_and(|search| search.gone(host));
        if self.children.remove(&host).is_some() {
            self.tell_children(cx);
        }
        if self.is_parent(host) {
            return self.orphaned(cx);
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

    fn neighbours(&self) -> Vec<HostId> {
        let parent = self.parent().map(|parent| parent.host);
        parent.into_iter().chain(self.children.keys().copied()).collect()
    }

    fn leave(&mut self, cx: &mut Cx<'_>) {
        for host in self.neighbours() {
            cx.send(host, &Frame::Detach);
        }
    }
}
