//! This host as a member of one group: its patches, its window, and what ties them together.

mod data;
mod env;
mod fellows;
mod help;
mod orders;
mod protocols;
mod sewing;
mod survey;

use super::bootstrap::{Client, Due};
use super::links::{Asker, DataRef, From, Need, Urgency};
use super::patch::{Broken, Patch};
use super::relay::{Accord, Blooms};
use super::repair::Repair;
use super::window::{MAX_MESSAGE_BYTES, Window};
use super::{Group, Host};
use crate::bootstrap::{MEMBER_REPORT, REPRESENTATIVE_REPORT};
use crate::counters::{Counter, Fault};
use crate::protocol::{Arrival, Effect, ErasedProtocol, Lent, Telling};
use crate::wire::{Contact, Data, Frame, Hello, Pull, Report, Scope};
use crate::{
    Delivery, GroupId, History, HostId, LinkError, LinkId, Notice, PatchId, Place, PublishError,
    PublishOptions, RejectCause, Role, Seq, Source, Standing, Time, Trouble, Usage,
};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
pub(super) use env::Env;
use fellows::Fellows;
use help::Help;
use survey::Inquiry;

/// What is published may run ahead of the rate by this much.
const PUBLISH_AHEAD: Duration = Duration::from_millis(20);
/// How soon a publisher that was put off is looked at again.
const PUBLISH_RETRY: Duration = Duration::from_millis(2);
/// A member that leaves stays until nobody asked it for anything for so long.
const LEAVE_QUIET: Duration = Duration::from_millis(500);
/// And no longer than this.
const LEAVE_DEADLINE: Duration = Duration::from_secs(5);
/// How often a leaving member looks whether all is quiet.
const LEAVE_TICK: Duration = Duration::from_millis(50);
/// There a fragment that could not be sent to a neighbour for so long is left to be asked for.
const PUSH_TIME: Duration = Duration::from_millis(100);
/// Where words go along with other things, a neighbour gets one of its own no more often than so.
const WORD_PAUSE: Duration = Duration::from_secs(1);
/// The same where much was asked for lately: what one lacks another may have by now.
const BUSY_WORD_PAUSE: Duration = Duration::from_millis(250);

/// The application is told of full receive buffers at most once in this time.
const OVERRUN_PAUSE: Duration = Duration::from_secs(10);

/// How far the membership has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Joining,
    Joined,
    Leaving { since: Time, look: Time },
    Over,
}

/// A membership.
#[derive(Debug)]
pub(super) struct Member {
    id: GroupId,
    me: HostId,
    create: bool,
    /// What this host wishes the group to promise; what it promises, once that is known.
    delivery: Option<Delivery>,
    /// What it wants of what was published before.
    history: History,
    stage: Stage,
    client: Client,
    patches: BTreeMap<PatchId, Patch>,
    window: Window,
    repair: Repair,
    help: Help,
    broken: Broken,
    fellows: Fellows,
    /// The regions between which and the inter-patch patch this host forwards.
    forwarded: BTreeSet<PatchId>,
    /// What this host and its fellow representatives agree on, fragment by fragment.
    accord: Accord,
    blooms: Blooms,
    /// Through whom all of the inter-patch patch's fragments pass.
    hub: Option<HostId>,
    place: Option<Place>,
    admitted: bool,
    notices: VecDeque<Notice>,
    parting: Option<Notice>,
    survey: Option<Inquiry>,
    /// Until when what was published so far takes at the rate.
    paced: Time,
    /// When a publisher that was put off is looked at again.
    put_off: Option<Time>,
    /// When somebody was last given something.
    served: Time,
    /// Datagrams that the system dropped and the application was not told of, and when it last was.
    overrun: (u64, Option<Time>),
    effects: Vec<Effect>,
    /// Who is answered while a handler runs.
    asker: Option<Asking>,
    /// Handlers to call once the effects before them are carried out.
    calls: VecDeque<(PatchId, Call)>,
}

/// Whose frame a handler is called for, and by which way it came.
#[derive(Clone, Debug)]
enum Asking {
    Stream(HostId),
    Datagram(Box<Contact>, Asker),
}

/// A handler of a protocol that is still to be called.
#[derive(Debug)]
enum Call {
    Connected(HostId),
    Contacts(Vec<HostId>),
}

impl Member {
    /// A membership that asks to be admitted at `first`.
    pub(super) fn new(now: Time, first: Time, id: GroupId, group: &Group, host: &Host) -> Self {
        let limits = host.config.limits.clone();
        Self {
            id,
            me: host.config.host,
            create: group.create,
            delivery: group.delivery,
            history: group.history,
            stage: Stage::Joining,
            client: Client::new(now, first, group.bootstrap),
            patches: BTreeMap::new(),
            window: Window::new(limits, host.config.host, host.config.incarnation, group.history),
            repair: Repair::default(),
            help: Help::default(),
            broken: Broken::new(),
            fellows: Fellows::default(),
            forwarded: BTreeSet::new(),
            accord: Accord::default(),
            blooms: Blooms::default(),
            hub: None,
            place: None,
            admitted: false,
            notices: VecDeque::new(),
            parting: None,
            survey: None,
            paced: now,
            put_off: None,
            served: now,
            overrun: (0, None),
            effects: Vec::new(),
            asker: None,
            calls: VecDeque::new(),
        }
    }

    pub(super) fn service(&self) -> SocketAddr {
        self.client.at()
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// What the application asks for.
    pub(super) fn publish(
        &mut self,
        env: &mut Env<'_>,
        body: &Bytes,
        options: PublishOptions,
    ) -> Result<Seq, PublishError> {
        match self.stage {
            Stage::Joined => {}
            Stage::Joining => return Err(PublishError::NotAdmitted),
            Stage::Leaving { .. } | Stage::Over => return Err(PublishError::Closed),
        }
        let max = env.host.config.limits.message_bytes.min(MAX_MESSAGE_BYTES);
        if body.len() > max {
            return Err(PublishError::TooLarge { len: body.len(), max });
        }
        let Some(origin) = self.region().map(|patch| patch.id) else {
            return Err(PublishError::NotAdmitted);
        };
        if self.is_full(env) {
            self.put_off = Some(env.now + PUBLISH_RETRY);
            return Err(PublishError::WouldBlock);
        }
        self.pace(env, body.len());
        self.fellows.busy = Some(env.now);
        let (me, incarnation) = (env.host.config.host, env.host.config.incarnation);
        let (seq, count) = self.window.publish(env.now, origin, body, options);
        let source = Source { host: me.tag(), incarnation };
        for index in 0..count {
            let fragment = crate::FragmentId { source, seq, index };
            self.inject(env, origin, fragment);
            if self.forwarded.contains(&origin) {
                self.cross(env, origin, PatchId::INTER_PATCH, fragment);
            }
        }
        self.news(env.now);
        self.settle(env);
        Ok(seq)
    }

    pub(super) fn leave(&mut self, env: &mut Env<'_>) {
        match self.stage {
            Stage::Joining => self.finish(env),
            Stage::Joined => {
                self.served = env.now;
                self.stage = Stage::Leaving { since: env.now, look: env.now + LEAVE_TICK };
            }
            Stage::Leaving { .. } | Stage::Over => {}
        }
    }

    pub(super) fn is_joining(&self) -> bool {
        self.stage == Stage::Joining
    }

    pub(super) fn place(&self) -> Option<&Place> {
        self.place.as_ref().filter(|_| self.admitted && self.stage != Stage::Over)
    }

    /// Where this host stands in each of its patches.
    pub(super) fn standings(&self) -> impl Iterator<Item = Standing> {
        self.patches.values().map(Patch::standing)
    }

    /// Enters what this membership has of what is bounded, where that is the most so far.
    pub(super) fn use_up(&self, usage: &mut Usage) {
        self.window.use_up(usage);
        let known = self.patches.values().map(|patch| patch.peers.len()).max();
        usage.known_members = usage.known_members.max(known.unwrap_or(0));
    }

    pub(super) fn poll_notice(&mut self, now: Time) -> Option<Notice> {
        if let Some(notice) = self.notices.pop_front() {
            return Some(notice);
        }
        // What was received before the end is told before it.
        let notice = if self.admitted { self.window.poll_notice(now) } else { None };
        notice.or_else(|| self.parting.take())
    }

    // What comes over links.

    pub(super) fn on_frame(&mut self, env: &mut Env<'_>, from: From, frame: Frame) {
        if self.stage == Stage::Over {
            return env.links.counters.bump(Counter::DroppedUnknownPatch);
        }
        match frame {
            Frame::Data(data) => self.on_data(env, from, data),
            Frame::Held { patch, more, sources, .. } => {
                self.on_word(env, from, patch, more, sources);
            }
            Frame::Pull(pull) => self.on_pull(env, from, &pull),
            Frame::Claim(pull) => self.on_claim(env, from, &pull),
            Frame::NotHeld(pull) => {
                if let From::Host(host) = from {
                    self.repair.on_not_held(host, &pull.wanted);
                }
            }
            Frame::Protocol { patch, body, .. } => self.on_protocol(env, from, patch, &body),
            Frame::Cookie { cookie, seen, .. } if self.is_service(from) => {
                if self.client.on_cookie(env.now, cookie, self.survey.is_some()) {
                    seen.into_iter().for_each(|at| env.seen_at(at));
                    self.ask_again(env);
                }
                self.report_if_due(env);
            }
            Frame::Orders(orders) if self.is_service(from) => self.on_orders(env, *orders),
            Frame::Refused { refusal, .. } if self.is_service(from) => {
                self.on_refused(env, refusal);
            }
            Frame::SurveyPart(part) if self.is_service(from) => self.on_survey_part(env, part),
            _ => env.links.counters.bump(Counter::DroppedUnexpected),
        }
        self.settle(env);
    }

    /// The host knows more of its surroundings, and is to report that at `at`.
    pub(super) fn on_surroundings(&mut self, env: &mut Env<'_>, at: Time) {
        if matches!(self.stage, Stage::Joining | Stage::Joined) {
            self.client.hurry(at);
            self.report_if_due(env);
            self.settle(env);
        }
    }

    /// A member on a multicast address said who it is.
    pub(super) fn on_introduction(
        &mut self,
        now: Time,
        link: LinkId,
        at: IpAddr,
        hello: &Hello,
        me: HostId,
    ) {
        for patch in self.patches.values_mut().filter(|patch| patch.multicast == Some(link)) {
            if patch.peers.get(hello.host).is_none() {
                patch.learn(now, me, super::contact(hello));
            }
            patch.prove(now, hello.host, at);
        }
    }

    pub(super) fn on_up(&mut self, env: &mut Env<'_>, host: HostId) {
        self.on_fellow_up(env, host);
        let needing = self.patches.values().filter(|patch| patch.needs().contains(&host));
        let calls: Vec<_> = needing.map(|patch| (patch.id, Call::Connected(host))).collect();
        self.calls.extend(calls);
        self.ask_for_word(env, host);
        self.settle(env);
    }

    /// There is no stream to a host any more, whoever needed it.
    pub(super) fn on_unlinked(&mut self, host: HostId) {
        self.repair.forget(host);
        self.patches.values_mut().for_each(|patch| patch.unlinked(host));
    }

    /// There is no stream any more to a host that was needed.
    pub(super) fn on_down(
        &mut self,
        env: &mut Env<'_>,
        host: HostId,
        need: Need,
        cause: LinkError,
    ) {
        match need {
            Need::Patch(_, id) => {
                let patch = self.patches.get_mut(&id);
                if patch.is_some_and(|patch| patch.release(host)) {
                    self.call(env, id, |protocol, lent| {
                        protocol.on_disconnected(lent, host, cause);
                    });
                }
            }
            Need::Relay(..) => self.on_fellow_lost(env, host),
            Need::Help(_) => self.on_helper_lost(host),
        }
        self.settle(env);
    }

    pub(super) fn on_multicast(
        &mut self,
        env: &mut Env<'_>,
        link: LinkId,
        joined: Result<(), LinkError>,
    ) {
        let patch = self.patches.values_mut().find(|patch| patch.multicast == Some(link));
        let Some(patch) = patch else { return };
        if joined.is_err() {
            patch.multicast = None;
        }
        let id = patch.id;
        self.call(env, id, |protocol, lent| protocol.on_multicast(lent, joined));
        self.settle(env);
    }

    pub(super) fn on_foreign_version(&mut self, env: &mut Env<'_>, version: u8, from: SocketAddr) {
        if self.stage == Stage::Joining && from == self.client.at() {
            return self.reject(env, RejectCause::ForeignVersion { version });
        }
        // Whoever forges addresses fills no queue that the application does not read.
        let notice = Notice::Degraded(Trouble::ForeignVersion { version, from });
        if !self.notices.contains(&notice) {
            self.notices.push_back(notice);
        }
    }

    /// The system dropped datagrams that came to a socket of this group, or to the one that all groups
    /// have. Whether there is something to tell: once in a while, with all that were dropped since.
    pub(super) fn on_overrun(&mut self, now: Time, link: LinkId, datagrams: u64) -> bool {
        let concerns = |patch: &Patch| patch.multicast == Some(link);
        if link != LinkId::UDP && !self.patches.values().any(concerns) {
            return false;
        }
        let (untold, told) = self.overrun;
        let datagrams = untold.saturating_add(datagrams);
        if told.is_some_and(|told| now < told + OVERRUN_PAUSE) {
            self.overrun = (datagrams, told);
            return false;
        }
        self.overrun = (0, Some(now));
        let told =
            |notice: &Notice| matches!(notice, Notice::Degraded(Trouble::ReceiveBufferFull { .. }));
        if self.stage == Stage::Over || self.notices.iter().any(told) {
            return false;
        }
        self.notices.push_back(Notice::Degraded(Trouble::ReceiveBufferFull { datagrams }));
        true
    }

    // Time.

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        if self.stage == Stage::Over {
            return None;
        }
        let leaving = match self.stage {
            Stage::Leaving { look, .. } => Some(look),
            _ => None,
        };
        let patches = self.patches.values().filter_map(Patch::poll_timeout).min();
        let client = Some(self.client.poll_timeout());
        let window = self.window.next_aging();
        let survey = self.survey.as_ref().map(Inquiry::poll_timeout);
        let (repair, accord) = (self.repair.poll_timeout(), self.accord.poll_timeout());
        [
            leaving,
            patches,
            self.fellows.poll_timeout(),
            client,
            window,
            repair,
            accord,
            self.put_off,
            survey,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(super) fn on_timeout(&mut self, env: &mut Env<'_>) {
        if self.stage == Stage::Over {
            return;
        }
        let now = env.now;
        for id in self.patches.keys().copied().collect::<Vec<_>>() {
            self.patch_timeout(env, id);
        }
        if self.window.next_aging().is_some_and(|at| at <= now) {
            self.window.age(now);
        }
        self.mend(env);
        self.cross_what_is_due(env);
        self.look_for_fellows(env);
        if self.put_off.is_some_and(|at| at <= now) {
            let full = self.is_full(env);
            self.put_off = full.then(|| now + PUBLISH_RETRY);
            if !full {
                self.notices.push_back(Notice::Writable);
            }
        }
        self.settle(env);
        self.survey_timeout(env);
        // Behind everything that may make it due at once.
        self.report_if_due(env);
        match self.stage {
            Stage::Leaving { since, look } if look <= now => {
                let quiet = !env.links.has_queued(self.id) && self.served + LEAVE_QUIET <= now;
                self.stage = Stage::Leaving { since, look: now + LEAVE_TICK };
                if quiet || since + LEAVE_DEADLINE <= now {
                    self.finish(env);
                }
            }
            _ => {}
        }
    }

    fn patch_timeout(&mut self, env: &mut Env<'_>, id: PatchId) {
        let (now, me) = (env.now, env.host.config.host);
        let pause = if self.repair.is_busy(env.now) { BUSY_WORD_PAUSE } else { WORD_PAUSE };
        let holds_nothing = self.window.is_empty();
        let mut effects = core::mem::take(&mut self.effects);
        while let Some(patch) = self.patches.get_mut(&id) {
            if patch.poll_timeout().is_none_or(|at| at > now) {
                break;
            }
            patch.look_at_links(env.links);
            // A word names what the others have yet to get: it goes behind that.
            if patch.multicast.is_some_and(|link| env.links.has_fresh(link)) {
                patch.put_off_word(now);
            }
            if patch.take_word(now, holds_nothing) {
                let (multicast, announces) = (patch.multicast, patch.announces());
                let along = patch.telling() == Telling::Along && !patch.rests();
                for host in patch.neighbours() {
                    if along {
                        env.links.offer_word(host, pause, self.id, id);
                    } else {
                        env.links.send_word(host, self.id, id);
                    }
                }
                if let Some(link) = multicast.filter(|_| announces) {
                    env.links.send_word_on(link, self.id, id);
                }
            }
            patch.on_timeout(now, me, &self.window, &mut effects);
            self.effects = effects;
            self.carry_out(env, id);
            effects = core::mem::take(&mut self.effects);
        }
        self.effects = effects;
    }

    fn report_if_due(&mut self, env: &mut Env<'_>) {
        match self.client.on_timeout(env.now) {
            Due::Nothing => {}
            Due::TooLate => {
                let at = self.client.at();
                self.reject(env, RejectCause::BootstrapSilent { at });
            }
            Due::Report => self.report(env),
            Due::ReportToSilent => {
                if self.stage != Stage::Joining {
                    let at = self.client.at();
                    self.notices.push_back(Notice::Degraded(Trouble::BootstrapSilent { at }));
                }
                self.report(env);
            }
        }
    }

    fn report(&mut self, env: &mut Env<'_>) {
        let config = &env.host.config;
        let works = |id: &crate::ProtocolId| !self.broken.contains_key(id);
        let protocols = config.registry.iter().map(|plugin| plugin.id()).filter(works);
        // A host whose regional protocol broke asks anew for all its places.
        let whole = self.patches.values().all(|patch| works(&patch.protocol));
        let memberships = self.patches.values().filter(|_| whole).map(Patch::membership);
        let report = Report {
            group: self.id,
            host: config.host,
            incarnation: config.incarnation,
            cookie: self.client.cookie(),
            create: self.create || self.stage != Stage::Joining,
            delivery: self.delivery,
            addresses: config.addresses.clone(),
            nics: config.nics.clone(),
            protocols: protocols.take(Report::MAX_PROTOCOLS).collect(),
            memberships: memberships.take(Report::MAX_MEMBERSHIPS).collect(),
            lost: self.fellows.lost().map(|host| host.tag()).take(Report::MAX_LOST).collect(),
            parent: self.parent(env),
        };
        self.client.send(env.now, &mut env.host.rng, env.links, &Frame::Report(Box::new(report)));
    }

    /// How long after an answer the service is told again.
    fn report_interval(&self) -> Duration {
        match self.place.as_ref().map(|place| place.role) {
            Some(Role::Representative) => REPRESENTATIVE_REPORT,
            Some(Role::Member) | None => MEMBER_REPORT,
        }
    }

    fn is_service(&self, from: From) -> bool {
        matches!(from, From::Service(at) if at == self.client.at())
    }

    /// The patch of this host's region; the first, if there are several.
    fn region(&self) -> Option<&Patch> {
        self.patches.values().find(|patch| patch.scope == Scope::Regional)
    }

    /// There is something to tell in every patch.
    fn news(&mut self, now: Time) {
        self.patches.values_mut().for_each(|patch| patch.news(now));
    }

    /// Goes, whatever still waits.
    fn finish(&mut self, env: &mut Env<'_>) {
        self.depart(env, Notice::Left);
    }

    /// Says farewell to the bootstrap service, and is over.
    fn depart(&mut self, env: &mut Env<'_>, parting: Notice) {
        self.leave_patches(env, |_| true);
        let farewell = Frame::Depart {
            group: self.id,
            host: env.host.config.host,
            incarnation: env.host.config.incarnation,
            cookie: self.client.cookie(),
        };
        self.client.send(env.now, &mut env.host.rng, env.links, &farewell);
        self.end(env, parting);
    }

    fn reject(&mut self, env: &mut Env<'_>, cause: RejectCause) {
        self.end(env, Notice::Rejected { cause });
    }

    /// Is over; `parting` is the last that the application is told.
    fn end(&mut self, env: &mut Env<'_>, parting: Notice) {
        self.leave_patches(env, |_| true);
        self.dismiss_help(env);
        self.survey = None;
        env.links.close_service(self.client.at());
        self.stage = Stage::Over;
        self.parting = Some(parting);
    }
}
