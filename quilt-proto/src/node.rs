//! The container: everything that runs on one host.
//!
//! [`Node`] hands what comes in over the links to the memberships it is for, and lets the adapter
//! pull what they want done. The rooms: `links`, `window`, `repair`, `relay`, `patch`, `bootstrap`
//! (the member's side), and `member`, which ties them together for one group.

mod bootstrap;
mod detect;
mod links;
mod member;
mod patch;
mod relay;
mod repair;
mod turns;
mod window;

pub use relay::{RelayDigest, RelaySync};

use crate::counters::Counter;
use crate::euid::Euid;
use crate::protocol::Registry;
use crate::survey::NotMember;
use crate::wire::{Contact, Data, Frame, Hello, Nic};
use crate::{
    Action, Counters, Delivery, Event, GroupId, History, HostId, Incarnation, JoinError, Limits,
    LinkId, Machine, Notice, PatchId, Place, PublishError, PublishOptions, Rng, Seq, Standing,
    Time, Transmit, Usage,
};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use detect::Detector;
use links::{DataRef, Fill, From, Inbound, Links, Need, Urgency};
use member::{Env, Member};
use smallvec::SmallVec;

/// A foreign version is told of at most once in this time.
const FOREIGN_VERSION_PAUSE: Duration = Duration::from_secs(10);

/// What a [`Node`] is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who the host is.
    pub host: HostId,
    /// Its life: higher than any before it under the same id.
    pub incarnation: Incarnation,
    /// Where it listens, by TCP and UDP, the preferred one first; 1 to 4.
    pub addresses: SmallVec<[SocketAddr; 2]>,
    /// Its interfaces and what is known of their surroundings; 1 to 4.
    pub nics: SmallVec<[Nic; 1]>,
    /// What is sensed of the surroundings of the first interface, as far as its EUID leaves them open.
    /// Default `None`: nothing is.
    pub sensing: Option<Sensing>,
    /// The protocols that it has. [`Registry::standard`] by default.
    pub registry: Registry,
    /// The most of everything.
    pub limits: Limits,
    /// The most that this host publishes to one group, in bytes a second. Default 12.5 MB/s.
    pub publish_bytes_per_second: u64,
    /// How representatives see to it that a message crosses a region's edge once. Default
    /// [`RelaySync::Ranked`].
    pub relay_sync: RelaySync,
    /// How they know what has come before. Default [`RelayDigest::Exact`].
    pub relay_digest: RelayDigest,
}

impl Config {
    /// A host that listens at one address, where others reach it ([`Euid::reachable`]), and has the
    /// standard protocols.
    pub fn new(host: HostId, incarnation: Incarnation, address: SocketAddr) -> Self {
        let nic = Nic { address: address.ip(), euid: Euid::reachable() };
        Self {
            host,
            incarnation,
            addresses: SmallVec::from_iter([address]),
            nics: SmallVec::from_iter([nic]),
            sensing: None,
            registry: Registry::standard(),
            limits: Limits::default(),
            publish_bytes_per_second: 12_500_000,
            relay_sync: RelaySync::default(),
            relay_digest: RelayDigest::default(),
        }
    }
}

/// What a host senses by itself: with the bootstrap service's help, how it can be reached, where its
/// EUID has no connectivity options; and where that knows no router, the routers on the way to the core,
/// and who hears it by IP multicast (paper, sections 3.1 and 4.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sensing {
    /// The local DNS server, towards which routers are looked for; `None` if there is none, and they
    /// are looked for towards the bootstrap service.
    pub resolver: Option<IpAddr>,
}

/// A group to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name, 1 to 255 bytes.
    pub name: String,
    /// The group's bootstrap service, by UDP and TCP.
    pub bootstrap: SocketAddr,
    /// Create the group if nobody is in it. Default true.
    pub create: bool,
    /// What the group is to promise. The first host's wish settles it for all, for as long as
    /// somebody is in the group; whoever wishes something else afterwards is rejected. Default
    /// `None`: whatever the group has, and [`Delivery::Reliable`] where this host is the first.
    pub delivery: Option<Delivery>,
    /// What is wanted of what was published before. Default nothing.
    pub history: History,
}

impl Group {
    /// A group with the defaults.
    pub fn new(name: impl Into<String>, bootstrap: SocketAddr) -> Self {
        let history = History::default();
        Self { name: name.into(), bootstrap, create: true, delivery: None, history }
    }
}

/// What all memberships of a host share.
#[derive(Debug)]
struct Host {
    config: Config,
    rng: Rng,
}

/// One host: its groups, patches, protocols and links.
#[derive(Debug)]
pub struct Node {
    host: Host,
    links: Links,
    members: BTreeMap<GroupId, Box<Member>>,
    /// When each membership wants to be called next.
    deadlines: BTreeSet<(Time, GroupId)>,
    scheduled: BTreeMap<GroupId, Time>,
    /// Memberships that may have something for the application.
    noticed: BTreeSet<GroupId>,
    /// Senses what is around the host, once it has joined a group.
    detector: Option<Detector>,
    now: Time,
    foreign_version: Option<Time>,
}

impl Node {
    /// A host that is in no group. All its randomness follows from `seed`.
    pub fn new(config: Config, seed: u64) -> Self {
        let hello = Hello {
            host: config.host,
            incarnation: config.incarnation,
            addresses: config.addresses.clone(),
        };
        let links = Links::new(hello, config.limits.clone(), Rng::new(seed).fork("links"));
        Self {
            host: Host { config, rng: Rng::new(seed) },
            links,
            members: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            scheduled: BTreeMap::new(),
            noticed: BTreeSet::new(),
            detector: None,
            now: Time::ZERO,
            foreign_version: None,
        }
    }

    /// Starts to join a group. [`Notice::Joined`] or [`Notice::Rejected`] follows within five
    /// seconds.
    ///
    /// # Errors
    /// The group cannot be joined; nothing has changed.
    pub fn join(&mut self, now: Time, group: Group) -> Result<GroupId, JoinError> {
        if !(1..=255).contains(&group.name.len()) {
            return Err(JoinError::BadName(group.name));
        }
        let id = GroupId::named(&group.name);
        if self.members.contains_key(&id) {
            return Err(JoinError::AlreadyJoined(id));
        }
        let max = self.host.config.limits.groups;
        if self.members.len() >= max {
            return Err(JoinError::TooManyGroups { max });
        }
        self.now = self.now.max(now);
        self.sense(self.now, Some(group.bootstrap));
        let member = Member::new(self.now, self.joins_at(), id, &group, &self.host);
        self.members.insert(id, Box::new(member));
        self.with(id, |member, env| member.on_timeout(env));
        Ok(id)
    }

    /// Publishes a message to everybody who is in the group, this host not included. Its bytes are
    /// shared, not copied.
    ///
    /// # Errors
    /// The message was not taken; nothing has changed.
    pub fn publish(&mut self, now: Time, group: GroupId, body: Bytes) -> Result<Seq, PublishError> {
        self.publish_with(now, group, body, PublishOptions::default())
    }

    /// Likewise, with a priority, with a deadline, or as a point to start from.
    ///
    /// # Errors
    /// The message was not taken; nothing has changed.
    pub fn publish_with(
        &mut self,
        now: Time,
        group: GroupId,
        body: Bytes,
        options: PublishOptions,
    ) -> Result<Seq, PublishError> {
        self.now = self.now.max(now);
        let published = self.with(group, |member, env| member.publish(env, &body, options));
        self.hand_out();
        published.unwrap_or(Err(PublishError::Closed))
    }

    /// Leaves a group politely: what others still miss is given to them first, for at most five
    /// seconds. [`Notice::Left`] follows.
    pub fn leave(&mut self, now: Time, group: GroupId) {
        self.now = self.now.max(now);
        self.with(group, |member, env| member.leave(env));
        self.hand_out();
    }

    /// Asks the bootstrap service how the whole group is put together: its patches, who represents
    /// them, and the tree between them. [`Notice::Surveyed`] follows, or [`Notice::NotSurveyed`]
    /// once a part of the answer was asked for five times within 3.1 seconds. One answer may serve
    /// several calls. If the membership ends before, none follows.
    ///
    /// # Errors
    /// This host is not a member of the group; nothing has changed.
    pub fn survey(&mut self, now: Time, group: GroupId) -> Result<(), NotMember> {
        self.now = self.now.max(now);
        self.with(group, |member, env| member.survey(env)).unwrap_or(Err(NotMember))
    }

    /// Next thing for the application. Pull it only while the application can take more: messages
    /// wait in the window until then.
    pub fn poll_notice(&mut self) -> Option<(GroupId, Notice)> {
        while let Some(&group) = self.noticed.first() {
            let member = self.members.get_mut(&group);
            let notice = member.and_then(|member| member.poll_notice(self.now));
            if let Some(notice) = notice {
                self.count(&notice);
                return Some((group, notice));
            }
            self.noticed.remove(&group);
            if self.members.get(&group).is_some_and(|member| member.is_over()) {
                self.members.remove(&group);
            }
        }
        None
    }

    /// Who the host is.
    pub fn host(&self) -> HostId {
        self.host.config.host
    }

    /// Whether the host waits to be admitted to a group.
    pub fn is_joining(&self, group: GroupId) -> bool {
        self.members.get(&group).is_some_and(|member| member.is_joining())
    }

    /// Where the host stands in a group; `None` before it is admitted and after it is out.
    pub fn place(&self, group: GroupId) -> Option<&Place> {
        self.members.get(&group).and_then(|member| member.place())
    }

    /// Where the host stands in each of its patches of a group, in the order of their ids.
    pub fn standings(&self, group: GroupId) -> impl Iterator<Item = Standing> {
        self.members.get(&group).into_iter().flat_map(|member| member.standings())
    }

    /// How much it has of what its limits bound. Looks at every link and every patch.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage { groups: self.members.len(), ..Usage::default() };
        self.members.values().for_each(|member| member.use_up(&mut usage));
        self.links.use_up(&mut usage);
        usage
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.links.counters
    }

    fn count(&mut self, notice: &Notice) {
        match notice {
            Notice::Message(_) => self.links.counters.bump(Counter::MessagesDelivered),
            Notice::Gap { from, to, .. } => {
                self.links.counters.add(Counter::MessagesGapped, to.next().distance(*from));
            }
            _ => {}
        }
    }

    /// Hands what came in over the links to whom it is for.
    fn hand_out(&mut self) {
        while let Some(inbound) = self.links.poll_inbound() {
            match inbound {
                Inbound::Frame { from, frame } => self.on_frame(from, frame),
                Inbound::Up(host) => {
                    for group in self.members.keys().copied().collect::<Vec<_>>() {
                        self.with(group, |member, env| member.on_up(env, host));
                    }
                }
                Inbound::Down { host, needs, cause } => {
                    self.members.values_mut().for_each(|member| member.on_unlinked(host));
                    for need in needs {
                        let (Need::Patch(group, _) | Need::Relay(group, _) | Need::Help(group)) =
                            need;
                        self.with(group, |member, env| member.on_down(env, host, need, cause));
                    }
                }
                Inbound::Silent { host, needs } => {
                    for need in needs {
                        match need {
                            Need::Patch(group, patch) => {
                                self.with(group, |member, env| member.on_silent(env, host, patch));
                            }
                            Need::Relay(group, _) => {
                                self.with(group, |member, env| member.on_fellow_silent(env, host));
                            }
                            Need::Help(_) => {}
                        }
                    }
                }
                Inbound::Multicast { link, joined } if self.on_meeting_point(link, joined) => {}
                Inbound::Multicast { link, joined } => {
                    for group in self.members.keys().copied().collect::<Vec<_>>() {
                        self.with(group, |member, env| member.on_multicast(env, link, joined));
                    }
                }
                Inbound::Told { by, asker, group, patch, body } => {
                    let told = |member: &mut Member, env: &mut Env<'_>| {
                        member.on_told(env, contact(&by), asker, patch, &body);
                    };
                    if self.with(group, told).is_none() {
                        self.links.counters.bump(Counter::DroppedUnknownPatch);
                    }
                }
                Inbound::Measured { host, need: Need::Patch(group, patch), rtt } => {
                    self.with(group, |member, env| member.on_measured(env, host, patch, rtt));
                }
                Inbound::Measured { host, need: Need::Relay(group, _), .. } => {
                    self.with(group, |member, env| member.on_fellow_there(env, host));
                }
                Inbound::Measured { need: Need::Help(_), .. } => {}
                Inbound::ForeignVersion { version, from } => self.on_foreign(version, from),
                Inbound::CalledBack(sensed) => self.on_sensed(&sensed, true),
            }
        }
    }

    fn on_frame(&mut self, from: From, frame: Frame) {
        match (&frame, from) {
            (Frame::Sensed(sensed), From::Datagram(..) | From::Service(_)) => {
                return self.on_sensed(sensed, false);
            }
            (Frame::Sight(sight), From::Multicast(link, tag, at)) => {
                return self.on_sight(link, tag, at, sight);
            }
            _ => {}
        }
        let group = match &frame {
            Frame::Data(data) => data.group,
            Frame::Held { group, .. }
            | Frame::Protocol { group, .. }
            | Frame::Cookie { group, .. }
            | Frame::Refused { group, .. } => *group,
            Frame::Pull(pull) | Frame::NotHeld(pull) | Frame::Claim(pull) => pull.group,
            Frame::Orders(orders) => orders.group,
            Frame::SurveyPart(part) => part.group,
            Frame::Hello(hello) => return self.on_introduction(from, hello),
            Frame::Beat(_)
            | Frame::Flow { .. }
            | Frame::Ack(_)
            | Frame::Tunnel { .. }
            | Frame::Segment(_)
            | Frame::Knock { .. }
            | Frame::Report(_)
            | Frame::Depart { .. }
            | Frame::Survey { .. }
            | Frame::Sense(_)
            | Frame::Sensed(_)
            | Frame::Sight(_) => {
                return self.links.counters.bump(Counter::DroppedUnexpected);
            }
        };
        let is_service = |at| self.members.get(&group).is_some_and(|member| member.service() == at);
        let from = match from {
            From::Datagram(at, _) | From::Service(at) if is_service(at) => From::Service(at),
            // What was asked for by multicast comes from members.
            From::Datagram(..) if matches!(&frame, Frame::Data(data) if data.solicited) => from,
            From::Datagram(..) | From::Service(_) => {
                return self.links.counters.bump(Counter::DroppedStranger);
            }
            From::Host(_) | From::Multicast(..) => from,
        };
        if self.with(group, |member, env| member.on_frame(env, from, frame)).is_none() {
            self.links.counters.bump(Counter::DroppedUnknownPatch);
        }
    }

    fn on_introduction(&mut self, from: From, hello: &Hello) {
        let From::Multicast(link, tag, at) = from else {
            return self.links.counters.bump(Counter::DroppedUnexpected);
        };
        if hello.host.tag() != tag {
            return self.links.counters.bump(Counter::Misbehaviour);
        }
        let (now, me) = (self.now, self.host.config.host);
        for member in self.members.values_mut() {
            member.on_introduction(now, link, at, hello, me);
        }
    }

    /// The application is told how to have the system keep more.
    fn on_overrun(&mut self, link: LinkId, datagrams: u64) {
        self.links.counters.add(Counter::KernelDrops, datagrams);
        for (&group, member) in &mut self.members {
            if member.on_overrun(self.now, link, datagrams) {
                self.noticed.insert(group);
            }
        }
    }

    fn on_foreign(&mut self, version: u8, from: SocketAddr) {
        let is_service = self.members.values().any(|member| member.service() == from);
        let lately = self.foreign_version.is_some_and(|at| self.now < at + FOREIGN_VERSION_PAUSE);
        if lately && !is_service {
            return;
        }
        self.foreign_version = Some(self.now);
        for group in self.members.keys().copied().collect::<Vec<_>>() {
            self.with(group, |member, env| member.on_foreign_version(env, version, from));
        }
    }

    /// Calls one membership, and enters when it wants to be called next.
    fn with<R>(
        &mut self,
        group: GroupId,
        call: impl FnOnce(&mut Member, &mut Env<'_>) -> R,
    ) -> Option<R> {
        let member = self.members.get_mut(&group)?;
        let mut env = Env { now: self.now, host: &mut self.host, links: &mut self.links };
        let result = call(member, &mut env);
        let next = member.poll_timeout();
        self.noticed.insert(group);
        let before = self.scheduled.get(&group).copied();
        if before != next {
            if let Some(before) = before {
                self.deadlines.remove(&(before, group));
                self.scheduled.remove(&group);
            }
            if let Some(next) = next {
                self.deadlines.insert((next, group));
                self.scheduled.insert(group, next);
            }
        }
        Some(result)
    }
}

impl Machine for Node {
    fn accept(&mut self, now: Time, from: SocketAddr) -> Option<LinkId> {
        self.now = self.now.max(now);
        self.links.accept(self.now, from)
    }

    fn handle(&mut self, now: Time, event: Event) {
        self.now = self.now.max(now);
        let now = self.now;
        match event {
            Event::Timeout => {
                self.links.timeout(now);
                self.on_detector_timeout();
                while let Some(&(_, group)) = self.deadlines.first().filter(|&&(at, _)| at <= now) {
                    self.with(group, |member, env| member.on_timeout(env));
                    // Whatever a membership asks for, it is called once for one timeout.
                    if let Some(&at) = self.scheduled.get(&group).filter(|&&at| at <= now) {
                        debug_assert!(false, "a membership asks for a time that has come");
                        self.deadlines.remove(&(at, group));
                        self.scheduled.remove(&group);
                    }
                }
            }
            Event::Datagram { link, from, bytes } => self.links.datagram(now, link, from, bytes),
            Event::Overrun { link, datagrams } => self.on_overrun(link, datagrams),
            Event::Opened { link } => self.links.opened(now, link),
            Event::Received { link, bytes } => self.links.received(now, link, bytes),
            Event::Hop { link, at, is_end } => self.on_hop(link, at, is_end),
            Event::Closed { link, .. } if self.on_probe_closed(link) => {}
            Event::Closed { link, cause } => self.links.closed(now, link, cause),
        }
        self.hand_out();
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.links.poll_action()
    }

    fn poll_transmit(&mut self, link: LinkId) -> Option<Transmit> {
        self.links.poll_transmit(link, &mut Shelf { members: &self.members, now: self.now })
    }

    fn poll_timeout(&self) -> Option<Time> {
        if self.links.has_actions() {
            return Some(self.now);
        }
        let members = self.deadlines.first().map(|&(at, _)| at);
        let deadlines = [self.links.next_deadline(), members, self.detector_deadline()];
        deadlines.into_iter().flatten().min()
    }
}

/// Where queued fragments and words are fetched from when they are sent.
struct Shelf<'a> {
    members: &'a BTreeMap<GroupId, Box<Member>>,
    now: Time,
}

impl Fill for Shelf<'_> {
    fn data(&mut self, data: &DataRef, urgency: Urgency) -> Option<Data> {
        self.members.get(&data.group)?.outgoing(self.now, data, urgency)
    }

    fn word(&mut self, group: GroupId, patch: PatchId) -> Vec<Frame> {
        self.members.get(&group).map_or_else(Vec::new, |member| member.word(patch))
    }
}

/// A host as it introduced itself: its surroundings are not known.
fn contact(hello: &Hello) -> Contact {
    Contact {
        host: hello.host,
        incarnation: hello.incarnation,
        addresses: hello.addresses.clone(),
        euid: Euid::default(),
    }
}
