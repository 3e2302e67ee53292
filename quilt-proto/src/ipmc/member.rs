//! One member of an IP-multicast patch.

use super::Ipmc;
use super::census::Census;
use super::frame::Frame;
use super::hearing::Hearing;
use super::repair::Repair;
use crate::counters::Fault;
use crate::notice::Unusable;
use crate::protocol::{Arrival, Cx as Context, Protocol, Setup, Telling};
use crate::wire::Contact;
use crate::{FragmentId, HostId, LinkError, Seq, Source, Time};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use smallvec::SmallVec;

pub(super) type Cx<'a> = Context<'a, Timer>;

/// What a member waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Try again to join the address.
    Join,
    /// Look after the links, and send a beacon if one is due.
    Beacon,
    /// Ask the others whether they are there, if nothing is heard.
    Listen,
    /// Others that are there had time to be heard.
    Verdict,
    /// Ask whether the last beacon was heard.
    Check,
    /// Those that were asked had time to answer.
    Unheard,
    /// Nothing was injected here for a while.
    Quiet,
    /// Ask for what is missing.
    Nack,
    /// Give what others miss, if nobody else did.
    Answer,
    /// Look whether to send faster or slower.
    Rate,
    /// Say what was lost.
    Report,
}

/// One member.
#[derive(Debug)]
pub(super) struct Member {
    settings: Ipmc,
    contact: Contact,
    address: Option<SocketAddr>,
    interface: IpAddr,
    /// Since when the address is joined.
    pub(super) joined: Option<Time>,
    pub(super) hearing: Hearing,
    last_beacon: Option<Time>,
    /// When it last sent a beacon, or that it is here.
    pub(super) said: Option<Time>,
    /// How many members beacon.
    census: Census,
    /// The part of the pause behind the last beacon that is waited, in thousandths.
    jitter: u32,
    /// A beacon is due, however many others beacon.
    called: bool,
    /// This host injected something lately.
    injecting: bool,
    forwarder: bool,
    /// Who injected last, the latest first.
    pub(super) injectors: Vec<HostId>,
    /// What is remembered of the members; bounded by those that the container keeps.
    pub(super) seen: BTreeMap<HostId, Seen>,
    pub(super) links: BTreeMap<HostId, Attachment>,
    /// When the bootstrap service may be asked for members.
    ask_at: Time,
    pub(super) repair: Repair,
}

/// What is remembered of a member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// When its last beacon came, or when it became known.
    pub(super) beacon: Time,
    /// When something of it last came by multicast.
    pub(super) heard: Option<Time>,
    /// It is not attached to before.
    pub(super) attach_from: Time,
}

/// A link over which two members tell each other what they hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attachment {
    /// This host asked for it.
    pub(super) ours: bool,
    pub(super) since: Time,
    /// Both have agreed.
    pub(super) agreed: bool,
}

impl Seen {
    /// A member that became known, and was not heard yet.
    pub(super) fn new(now: Time) -> Self {
        Self { beacon: now, heard: None, attach_from: now }
    }
}

impl Member {
    /// The time between two looks at whether a beacon is due, jittered.
    const BEACON: [Duration; 2] = [Duration::from_millis(750), Duration::from_millis(1_500)];
    /// The same in the time that follows close on joining.
    const FIRST_BEACONS: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(400)];
    const FIRST_TIME: Duration = Duration::from_secs(1);
    /// The beacons of a patch in a second, whatever its size: each member pauses for its number of
    /// members divided by this (RFC 3550, section 6.2), and for half as long to half as long again,
    /// reconsidered at each look (section 6.3.3): many that join at once do not all beacon at once.
    /// Who announces does not pause, as RTCP's senders have a share of their own: what is known of
    /// him tells who sent a word. Guess: 16, so that a silence of a second says something.
    const BEACONS_PER_SECOND: u32 = 16;
    /// Who does not beacon at a look says at least that it is here, so that also a silent member of a
    /// large patch learns soon that it is not heard. Beacons are not for that: each makes all others
    /// learn who it is, and forget somebody else. In a patch of up to this many members each of them
    /// says it at each look; in a larger one they pause for so long that all of them together hear no
    /// more than these do. Guess: what so many say in a second is a few kilobytes.
    const HERE_MEMBERS: u32 = 128;
    /// The longest pause, before jitter: beyond 960 members beacons are more.
    const MAX_PAUSE: Duration = Duration::from_secs(60);
    /// In thousandths.
    const JITTER: [u64; 2] = [500, 1_500];
    /// A beacon that is called for comes within this time, and not sooner after the last one than
    /// four times that.
    const HASTE: Duration = Duration::from_millis(50);
    const REST: Duration = Duration::from_millis(200);
    /// Where something was heard within this time, a crowd can be heard.
    const RECENT: Duration = Duration::from_millis(500);
    /// The pause before the address is joined again after it failed.
    const REJOIN: Duration = Duration::from_secs(5);
    /// Who has injected nothing for this long no longer announces.
    const QUIET: Duration = Duration::from_secs(10);
    /// The pause between requests for members while none is known.
    const ASK: Duration = Duration::from_secs(10);
    /// The most members remembered between two beacons.
    const MAX_SEEN: usize = 256;

    /// A member that has not joined yet; `address` is none if the patch's parameters name none.
    pub(super) fn new(settings: &Ipmc, setup: &Setup, address: Option<SocketAddr>) -> Self {
        Self {
            settings: settings.clone(),
            contact: setup.contact.clone(),
            address: address.filter(|address| address.ip().is_multicast()),
            interface: setup.interface,
            joined: None,
            hearing: Hearing::default(),
            last_beacon: None,
            said: None,
            census: Census::default(),
            jitter: 1_000,
            called: false,
            injecting: false,
            forwarder: false,
            injectors: Vec::new(),
            seen: BTreeMap::new(),
            links: BTreeMap::new(),
            ask_at: Time::ZERO,
            repair: Repair::new(settings.bytes_per_second),
        }
    }

    fn join(&self, cx: &mut Cx<'_>) {
        let Ipmc { ttl, bytes_per_second } = self.settings;
        match self.address {
            Some(address) => cx.join_multicast(address, self.interface, ttl, bytes_per_second),
            None => cx.unusable(Unusable::CannotJoin(LinkError::Unreachable)),
        }
    }

    fn on_joined(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        self.joined = Some(now);
        self.ask_at = now + Self::ASK;
        cx.set_timer_within(Timer::Beacon, Duration::ZERO, Self::HASTE);
        self.expect_to_hear(cx);
        // What was injected before could not be sent.
        if self.announces() {
            cx.announce();
        }
    }

    fn on_not_joined(&mut self, cx: &mut Cx<'_>, cause: LinkError) {
        self.joined = None;
        let hearing = [Timer::Beacon, Timer::Listen, Timer::Verdict, Timer::Check, Timer::Unheard];
        let repair = [Timer::Nack, Timer::Answer];
        hearing.into_iter().chain(repair).for_each(|timer| cx.stop_timer(timer));
        cx.set_timer(Timer::Join, cx.now() + Self::REJOIN);
        cx.unusable(Unusable::CannotJoin(cause));
    }

    fn beacon(&mut self, cx: &mut Cx<'_>) {
        let Some(joined) = self.joined else { return };
        let now = cx.now();
        if self.is_beacon_due(now, joined) {
            let [low, high] = Self::JITTER;
            let drawn = cx.rng().below(high.saturating_sub(low)).saturating_add(low);
            self.jitter = u32::try_from(drawn).unwrap_or(u32::MAX);
            self.called = false;
            self.last_beacon = Some(now);
            self.said = Some(now);
            cx.multicast(&Frame::Beacon { contact: self.contact.clone() });
            self.expect_to_be_heard(cx);
        } else if self.is_silent(now) {
            self.said = Some(now);
            cx.multicast_to_known(&Frame::Here);
            self.expect_to_be_heard(cx);
        }
        self.tend(cx);
        self.measure(cx);
        if cx.peers().is_empty() && now >= self.ask_at {
            cx.ask_contacts();
            self.ask_at = now + Self::ASK;
        }
        let first = now.since(joined) < Self::FIRST_TIME;
        let [low, high] = if first { Self::FIRST_BEACONS } else { Self::BEACON };
        cx.set_timer_within(Timer::Beacon, low, high);
    }

    /// How many members the patch has, as far as they are heard.
    pub(super) fn members(&mut self, now: Time) -> usize {
        self.census.members(now)
    }

    /// Whether this host brings the patch what comes from outside.
    pub(super) fn is_forwarder(&self) -> bool {
        self.forwarder
    }

    /// How long a member of a patch of this size pauses between two beacons.
    pub(super) fn pause(&mut self, now: Time) -> Duration {
        let members = u32::try_from(self.census.members(now)).unwrap_or(u32::MAX);
        let pause = Duration::from_secs(1).saturating_mul(members);
        pause.checked_div(Self::BEACONS_PER_SECOND).unwrap_or_default().min(Self::MAX_PAUSE)
    }

    /// Whether the patch has so many members that not each look at the time is a beacon.
    fn is_crowd(&mut self, now: Time) -> bool {
        let [_, high] = Self::BEACON;
        self.pause(now) > high
    }

    fn is_beacon_due(&mut self, now: Time, joined: Time) -> bool {
        if self.called || self.announces() || !self.is_crowd(now) {
            return true;
        }
        let pause = self.pause(now).saturating_mul(self.jitter).checked_div(1_000);
        now.since(self.last_beacon.unwrap_or(joined)) >= pause.unwrap_or_default()
    }

    /// Whether it is time to let those that know this host hear it; before its first beacon nobody does.
    fn is_silent(&mut self, now: Time) -> bool {
        let Some(said) = self.said else { return false };
        let members = u32::try_from(self.census.members(now)).unwrap_or(u32::MAX);
        let square = members.saturating_mul(members);
        let pause = Duration::from_secs(1).saturating_mul(square);
        let pause = pause.checked_div(Self::HERE_MEMBERS * Self::HERE_MEMBERS).unwrap_or_default();
        let [_, high] = Self::BEACON;
        pause <= high || now.since(said) >= pause
    }

    /// Has a beacon sent at once.
    pub(super) fn beacon_now(&mut self, cx: &mut Cx<'_>) {
        self.called = true;
        cx.set_timer(Timer::Beacon, cx.now());
    }

    /// Has a beacon sent soon, unless one was lately.
    pub(super) fn call_beacon(&mut self, cx: &mut Cx<'_>) {
        let lately = |last: Time| cx.now.since(last) < Self::REST;
        if self.joined.is_some() && !self.last_beacon.is_some_and(lately) {
            self.called = true;
            cx.set_timer_within(Timer::Beacon, Duration::ZERO, Self::HASTE);
        }
    }

    fn on_beacon(&mut self, cx: &mut Cx<'_>, from: HostId, contact: Contact) {
        if contact.host.tag() != from.tag() {
            return cx.misbehaved(from, Fault::IdentityChanged);
        }
        let now = cx.now();
        let host = contact.host;
        self.census.count(now, host.tag());
        let stranger = !self.seen.contains_key(&host);
        if !stranger || self.seen.len() < Self::MAX_SEEN {
            self.seen.entry(host).or_insert(Seen::new(now)).beacon = now;
        }
        self.hear(now, host);
        if stranger && !self.seen.contains_key(&host) {
            return;
        }
        self.learn(cx, contact);
        if stranger {
            self.attach_if_short(cx, host);
        }
    }

    fn on_attach(&mut self, cx: &mut Cx<'_>, from: HostId, contact: Contact) {
        if contact.host != from {
            return cx.misbehaved(from, Fault::IdentityChanged);
        }
        // An answer says that this host can be heard. Without one, the other asks again.
        if self.joined.is_none() {
            return;
        }
        self.learn(cx, contact);
        cx.need(from);
        if self.admit(cx.now(), from) {
            cx.send(from, &Frame::Attached);
        } else {
            cx.send(from, &Frame::Detach);
            cx.release(from);
        }
        // Who asks because it hears nothing is to hear something. In a crowd it hears what is
        // heard here, as long as anything is.
        let now = cx.now();
        if !self.hearing.is_audible(now, Self::RECENT) || !self.is_crowd(now) {
            self.call_beacon(cx);
        }
    }

    fn on_bye(&mut self, cx: &mut Cx<'_>, from: HostId) {
        self.seen.remove(&from);
        self.injectors.retain(|&injector| injector != from);
        if self.links.remove(&from).is_some() {
            cx.release(from);
        }
        cx.forget(from);
    }

    fn learn(&self, cx: &mut Cx<'_>, contact: Contact) {
        if cx.peers().get(contact.host).is_none_or(|peer| peer.contact != contact) {
            cx.learn(contact);
        }
    }

    fn inject(&mut self, cx: &mut Cx<'_>, fragment: FragmentId) {
        if !self.announces() {
            cx.announce();
        }
        // Who was silent may be forgotten by others, which know so many members only.
        if !self.injecting {
            self.call_beacon(cx);
        }
        self.injecting = true;
        cx.set_timer(Timer::Quiet, cx.now() + Self::QUIET);
        if self.joined.is_some() {
            cx.multicast_fragment(fragment);
        }
    }

    fn on_pushed(&mut self, now: Time, from: HostId) {
        self.hear(now, from);
        if self.injectors.first() != Some(&from) {
            self.injectors.retain(|&injector| injector != from);
            self.injectors.insert(0, from);
            self.injectors.truncate(Self::INJECTORS);
        }
    }

    pub(super) fn attach_frame(&self) -> Frame {
        Frame::Attach { contact: self.contact.clone() }
    }
}

impl Protocol for Member {
    type Timer = Timer;
    type Frame = Frame;

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.join(cx);
    }

    fn on_frame(&mut self, cx: &mut Cx<'_>, from: HostId, frame: Frame) {
        match frame {
            Frame::Beacon { contact } => self.on_beacon(cx, from, contact),
            Frame::Attach { contact } => self.on_attach(cx, from, contact),
            Frame::Attached => {
                if let Some(link) = self.links.get_mut(&from) {
                    link.agreed = true;
                    self.hearing.on_answer();
                }
            }
            Frame::Detach => self.on_detach(cx, from),
            Frame::Bye => self.on_bye(cx, from),
            Frame::Check => self.on_check(cx, from),
            Frame::Here => self.hear(cx.now(), from),
            Frame::Heard { ms_ago } => self.on_heard(cx, ms_ago),
            Frame::Nack { of, loss, wanted } => self.on_nack(cx, from, (of, loss), &wanted),
        }
    }

    /// Only who injects a fragment multicasts it: whoever pulled it did so alone.
    fn on_fragment(&mut self, cx: &mut Cx<'_>, arrival: Arrival, fragment: FragmentId) {
        match arrival {
            Arrival::Injected => self.inject(cx, fragment),
            Arrival::Pushed(from) => {
                self.came(cx, fragment);
                self.on_pushed(cx.now(), from);
            }
            Arrival::Pulled(_) => self.repair.on_pulled(cx.now(), fragment),
        }
    }

    fn on_repair(&mut self, cx: &mut Cx<'_>, fragment: FragmentId) {
        self.on_given(cx, fragment);
    }

    fn on_head(&mut self, _: &mut Cx<'_>, source: Source, next: Seq) {
        self.repair.on_head(source, next);
    }

    fn on_missing(&mut self, cx: &mut Cx<'_>) {
        self.notice_holes(cx);
    }

    fn on_duplicate(&mut self, cx: &mut Cx<'_>, from: HostId, _: FragmentId) {
        self.on_pushed(cx.now(), from);
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, timer: Timer) {
        match timer {
            Timer::Join => self.join(cx),
            Timer::Beacon => self.beacon(cx),
            Timer::Listen => self.listen(cx),
            Timer::Verdict => self.judge(cx),
            Timer::Check => self.check(cx),
            Timer::Unheard => self.judge_unheard(cx),
            Timer::Quiet => self.injecting = false,
            Timer::Nack => self.ask(cx),
            Timer::Answer => self.answer(cx),
            Timer::Rate => self.adapt(cx),
            Timer::Report => self.report(cx),
        }
    }

    fn on_disconnected(&mut self, cx: &mut Cx<'_>, host: HostId, _: LinkError) {
        if self.links.remove(&host).is_some() {
            self.avoid(cx.now(), host, cx.now() + Self::LOST);
            self.attach_some(cx);
        }
    }

    fn on_multicast(&mut self, cx: &mut Cx<'_>, joined: Result<(), LinkError>) {
        match joined {
            Ok(()) => self.on_joined(cx),
            Err(cause) => self.on_not_joined(cx, cause),
        }
    }

    fn on_forwarder(&mut self, cx: &mut Cx<'_>, forwarder: bool) {
        self.forwarder = forwarder;
        if forwarder {
            cx.announce();
            self.call_beacon(cx);
        }
    }

    fn neighbours(&self) -> SmallVec<[HostId; 16]> {
        self.links.iter().filter(|(_, link)| link.agreed).map(|(&host, _)| host).collect()
    }

    fn announces(&self) -> bool {
        self.injecting || self.forwarder
    }

    /// Holes show by multicast, and are mended there; streams are for what that does not bring.
    fn telling(&self) -> Telling {
        Telling::Along
    }

    fn leave(&mut self, cx: &mut Cx<'_>) {
        if self.joined.is_some() {
            cx.multicast(&Frame::Bye);
        }
        for &host in self.links.keys() {
            cx.send(host, &Frame::Bye);
        }
    }
}
