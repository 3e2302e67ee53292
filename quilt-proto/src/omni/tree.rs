//! A host's place in the tree: its parent, its children, and what they tell each other.

use super::frame::{Frame, Lineage, Mode, Offer, Rank, Way, bare, half};
use super::heal::Lost;
use super::search::Search;
use crate::protocol::{self, Arrival, Protocol, Setup};
use crate::wire::Contact;
use crate::{FragmentId, HostId, LinkError, PatchId, Time};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::time::Duration;
use smallvec::SmallVec;

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
    pub(super) guests: BTreeMap<HostId, Time>,
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
}

#[derive(Debug)]
pub(super) struct Child {
    /// What it is sent.
    pub(super) mode: Mode,
    pub(super) contact: Contact,
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

    /// How many more children of that mode can be taken.
    pub(super) fn room(&self, mode: Mode) -> usize {
        let settled_root = matches!(self.place, Place::Top { provisional: false });
        if self.way().is_full() || !(settled_root || self.mode() == Mode::Full) {
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
            others: self.others(cx),
        };
        self.answer(cx, from, &Frame::ProbeReply { nonce, offer });
        // It may be the root of the tree that this one has to join, and does not know.
        if self.parent().is_none() && !rank.provisional && rank < self.rank() {
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
        self.seek(cx, &[]);
    }

    fn on_frame(&mut self, cx: &mut Cx<'_>, from: HostId, frame: Frame) {
        match frame {
            Frame::Probe { nonce, rank } => self.on_probe(cx, from, nonce, rank),
            Frame::ProbeReply { nonce, offer } => self.on_offer(cx, from, nonce, offer),
            Frame::Attach { mode, contact } => self.on_attach(cx, from, mode, contact),
            Frame::Accept { mode, lineage } => self.on_accept(cx, from, mode, lineage),
            Frame::Refuse { others } => self.on_refuse(cx, from, &others),
            Frame::Path(lineage) => self.on_path(cx, from, lineage),
            Frame::Detach => self.on_detach(cx, from),
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
            Timer::Silence => self.cut(cx),
            Timer::Guests => self.see_guests_off(cx),
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

    fn neighbours(&self) -> SmallVec<[HostId; 16]> {
        let parent = self.parent().map(|parent| parent.host);
        parent.into_iter().chain(self.children.keys().copied()).collect()
    }

    /// The root.
    fn hub(&self) -> Option<HostId> {
        Some(self.rank().root)
    }

    fn parent(&self) -> Option<HostId> {
        Tree::parent(self).map(|parent| parent.host)
    }

    fn leave(&mut self, cx: &mut Cx<'_>) {
        for host in self.neighbours() {
            cx.send(host, &Frame::Detach);
        }
    }
}
