//! One stream, by TCP or through a tunnel.

use super::flow::Flow;
use super::liveness::Liveness;
use super::queue::{Fill, Queue};
use super::tunnel::Tunnel;
use super::{From, LINGER};
use crate::wire::{
    Ack, Assembler, Beat, DecodeError, Frame, Hello, MAX_STREAM_PACKET_BYTES, PREFIX_BYTES,
    Segment, TAG_BYTES, flow_head,
};
use crate::{Chunks, HostId, HostTag, Limits, LinkError, Time, Transmit};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use smallvec::SmallVec;

/// A dialled stream that is not open by then never will be.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);
/// A stream whose other side has not said by then who it is is closed.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
/// One of two streams to a host stays open this long, so that what is under way arrives.
const RETIREMENT: Duration = Duration::from_secs(2);

/// A stream that takes nothing for so long while fragments wait stands still, or for one and a half round
/// trips where that is longer: until its window is open it takes something once a round trip.
const STANDSTILL: Duration = Duration::from_millis(100);
/// What is assumed of a round trip that was not measured yet (RFC 9002, section 6.2.2).
const INITIAL_ROUND_TRIP: Duration = Duration::from_millis(333);

/// Why a host asks for datagrams over a stream: it stands still, or others did.
const STANDS_STILL: u16 = 1;
const PREFERS: u16 = 2;

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is being dialled.
    Dialling,
    /// It is open, and the other side has not said who it is.
    Greeting,
    /// It is in use.
    Open,
}

/// Who is on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Other {
    /// Not known yet.
    Unknown,
    Host(HostId),
    /// A bootstrap service: no greeting, no beats.
    Service,
}

/// One stream and what waits for it.
#[derive(Debug)]
pub(super) struct Stream {
    other: Other,
    greeting: Option<Hello>,
    accepted: bool,
    phase: Phase,
    address: SocketAddr,
    /// Further addresses to dial.
    others: SmallVec<[SocketAddr; 2]>,
    inbound: Assembler,
    queue: Queue,
    liveness: Liveness,
    looked: bool,
    greeted: bool,
    /// Somebody here needs it.
    needed: bool,
    /// The other side needs it, as it last said.
    other_needs: bool,
    /// When it is closed because neither side needs it, or because another one serves the host.
    closes: Option<Time>,
    retired: bool,
    /// When it must have come further.
    patience: Option<Time>,
    scheduled: Option<Time>,
    /// What datagrams from the other side have to show.
    token: u32,
    /// Datagrams to and from the other side, since it said what they have to show.
    flow: Option<Box<Flow>>,
    /// A beat is to leave by the flow.
    beat_waits: bool,
    /// The adapter pulls the flow's datagrams.
    flow_looked: bool,
    /// Since when fragments wait and none was taken.
    waiting: Option<Time>,
    /// It stood still when its flow was tried.
    stood_still: bool,
    /// What carries it, if that is not TCP.
    tunnel: Option<Box<Tunnel>>,
}

impl Stream {
    pub(super) fn accepted(now: Time, from: SocketAddr, limits: &Limits) -> Self {
        let patience = Some(now + GREETING_TIMEOUT);
        let phase = Phase::Greeting;
        Self { accepted: true, phase, patience, ..Self::new(now, Other::Unknown, from, limits) }
    }

    /// `None` if there is no address to dial.
    pub(super) fn dialled(
        now: Time,
        host: HostId,
        addresses: &[SocketAddr],
        limits: &Limits,
    ) -> Option<Self> {
        let (&first, others) = addresses.split_first()?;
        let others = others.iter().copied().collect();
        Some(Self { others, needed: true, ..Self::new(now, Other::Host(host), first, limits) })
    }

    pub(super) fn to_service(now: Time, at: SocketAddr, limits: &Limits) -> Self {
        Self { needed: true, ..Self::new(now, Other::Service, at, limits) }
    }

    fn new(now: Time, other: Other, address: SocketAddr, limits: &Limits) -> Self {
        let max_packet =
            MAX_STREAM_PACKET_BYTES.saturating_sub(TAG_BYTES).saturating_add(PREFIX_BYTES);
        Self {
            other,
            greeting: None,
            accepted: false,
            phase: Phase::Dialling,
            address,
            others: SmallVec::new(),
            inbound: Assembler::default(),
            queue: Queue::new(max_packet, limits),
            liveness: Liveness::new(now),
            looked: false,
            greeted: false,
            needed: false,
            other_needs: false,
            closes: None,
            retired: false,
            patience: Some(now + DIAL_TIMEOUT),
            scheduled: None,
            token: 0,
            flow: None,
            beat_waits: false,
            flow_looked: false,
            waiting: None,
            stood_still: false,
            tunnel: None,
        }
    }

    /// A stream through a tunnel to a host at one of these addresses.
    pub(super) fn calling(
        now: Time,
        host: HostId,
        addresses: &[SocketAddr],
        limits: &Limits,
    ) -> Option<Self> {
        let tunnel = Some(Box::new(Tunnel::calling(now, host.tag(), addresses)));
        Self::dialled(now, host, addresses.get(..1)?, limits).map(|it| Self { tunnel, ..it })
    }

    /// A stream through a tunnel that the host at `from` has called for.
    pub(super) fn called(now: Time, from: SocketAddr, peer: HostTag, limits: &Limits) -> Self {
        let tunnel = Some(Box::new(Tunnel::calling(now, peer, &[from])));
        Self { tunnel, ..Self::accepted(now, from, limits) }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.accepted
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn host(&self) -> Option<HostId> {
        match self.other {
            Other::Host(host) => Some(host),
            Other::Unknown | Other::Service => None,
        }
    }

    pub(super) fn service(&self) -> Option<SocketAddr> {
        (self.other == Other::Service).then_some(self.address)
    }

    pub(super) fn serves(&self, at: SocketAddr) -> bool {
        self.service() == Some(at) && self.closes.is_none()
    }

    /// Whose frames come over it; `None` before the greeting.
    pub(super) fn speaker(&self) -> Option<From> {
        match self.other {
            Other::Host(host) if self.phase == Phase::Open => Some(From::Host(host)),
            Other::Service => Some(From::Service(self.address)),
            Other::Host(_) | Other::Unknown => None,
        }
    }

    /// How the other side introduced itself.
    pub(super) fn greeting(&self) -> Option<&Hello> {
        self.greeting.as_ref()
    }

    pub(super) fn rtt(&self) -> Option<Duration> {
        self.liveness.rtt()
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(super) fn queue_mut(&mut self) -> &mut Queue {
        &mut self.queue
    }

    pub(super) fn scheduled_mut(&mut self) -> &mut Option<Time> {
        &mut self.scheduled
    }

    /// Moves on to the host's next address, if the stream is still being dialled.
    pub(super) fn next_address(&mut self, now: Time) -> Option<SocketAddr> {
        if self.phase != Phase::Dialling || self.others.is_empty() {
            return None;
        }
        self.patience = Some(now + DIAL_TIMEOUT);
        self.address = self.others.remove(0);
        Some(self.address)
    }

    /// The dialled stream is open: say who speaks.
    pub(super) fn opened(&mut self, now: Time, hello: &Frame) {
        self.liveness = Liveness::new(now);
        if self.other == Other::Service {
            self.phase = Phase::Open;
            self.patience = None;
            return;
        }
        self.phase = Phase::Greeting;
        self.patience = Some(now + GREETING_TIMEOUT);
        self.greet(hello);
    }

    /// Puts the greeting in front, once; true if it was not said before.
    pub(super) fn greet(&mut self, hello: &Frame) -> bool {
        let first = !core::mem::replace(&mut self.greeted, true);
        if first {
            self.queue.push_first(&Frame::Flow { token: self.token, number: 0 });
            self.queue.push_first(hello);
        }
        first
    }

    /// The other side said who it is; false if it is not who it should be.
    pub(super) fn greeted(&mut self, now: Time, hello: &Hello) -> bool {
        let expected = match self.other {
            Other::Unknown => true,
            Other::Host(host) => host == hello.host,
            Other::Service => false,
        };
        let same_life =
            self.greeting.as_ref().is_none_or(|known| known.incarnation == hello.incarnation);
        if !expected || !same_life {
            return false;
        }
        self.other = Other::Host(hello.host);
        self.greeting = Some(hello.clone());
        self.phase = Phase::Open;
        self.patience = None;
        self.liveness.heard(now);
        true
    }

    pub(super) fn tunnel_mut(&mut self) -> Option<&mut Tunnel> {
        self.tunnel.as_deref_mut()
    }

    pub(super) fn is_tunnel(&self) -> bool {
        self.tunnel.is_some()
    }

    /// Who sends the flow's datagrams, as far as that is known.
    pub(super) fn peer(&self) -> Option<HostTag> {
        let host = self.host().map(|host| host.tag());
        host.or_else(|| self.tunnel.as_ref().map(|tunnel| tunnel.peer()))
    }

    /// Whether it is a tunnel that is not open, and calls at `from` among others.
    pub(super) fn calls(&self, from: SocketAddr) -> bool {
        self.flow.is_none() && self.tunnel.as_ref().is_some_and(|tunnel| tunnel.calls(from))
    }

    /// The other side of the tunnel is at `at`, where datagrams have to show `token`. True if that is
    /// news; false also where it is someone else by now.
    pub(super) fn bored(&mut self, now: Time, at: SocketAddr, token: u32) -> bool {
        let Some(tunnel) = self.tunnel.as_mut() else { return false };
        if self.flow.is_some() {
            return false;
        }
        tunnel.found(now, at, token);
        self.address = at;
        let mut flow = Flow::new(now, at, token);
        flow.start(now);
        self.flow = Some(Box::new(flow));
        true
    }

    /// What the other side of a flow wants to be shown.
    pub(super) fn far_token(&self) -> Option<u32> {
        self.flow.as_ref().map(|flow| flow.token())
    }

    /// A piece of the tunnel's stream came; true if the stream goes on.
    pub(super) fn on_segment(&mut self, now: Time, segment: Segment) -> bool {
        let Some(tunnel) = self.tunnel.as_mut() else { return false };
        let come = tunnel.on_segment(segment);
        let goes_on = !come.is_empty();
        come.into_iter().for_each(|bytes| self.push(now, bytes.into()));
        goes_on
    }

    pub(super) fn set_token(&mut self, token: u32) {
        self.token = token;
    }

    pub(super) fn token(&self) -> u32 {
        self.token
    }

    pub(super) fn has_open_flow(&self) -> bool {
        self.flow.as_ref().is_some_and(|flow| flow.is_open())
    }

    /// The other side said what datagrams to it have to show, and why it wants them, if it does.
    pub(super) fn on_token(&mut self, now: Time, token: u32, why: u16) {
        let listens = self.greeting.as_ref().and_then(|hello| hello.addresses.first());
        let at = listens.copied().unwrap_or(self.address);
        if self.flow.as_ref().is_none_or(|flow| flow.token() != token) {
            self.flow = Some(Box::new(Flow::new(now, at, token)));
        }
        if let Some(flow) = self.flow.as_mut().filter(|_| why != 0) {
            flow.start(now);
            self.stood_still |= why == STANDS_STILL;
        }
    }

    /// A datagram came that shows this stream's token; `counts` if it is to be acknowledged.
    pub(super) fn on_datagram(&mut self, now: Time, from: SocketAddr, number: u16, counts: bool) {
        self.liveness.heard(now);
        if let Some(tunnel) = &mut self.tunnel {
            tunnel.heard();
        }
        if let Some(flow) = &mut self.flow {
            flow.on_datagram(now, from, number, counts);
        }
    }

    /// Whether a datagram of that number came before.
    pub(super) fn has_come(&self, number: u16) -> bool {
        self.flow.as_ref().is_some_and(|flow| flow.has_come(number))
    }

    pub(super) fn flow_mut(&mut self) -> Option<&mut Flow> {
        self.flow.as_deref_mut()
    }

    pub(super) fn on_ack(&mut self, now: Time, ack: &Ack) {
        if let Some(flow) = &mut self.flow {
            flow.on_ack(now, ack);
        }
    }

    pub(super) fn push(&mut self, now: Time, bytes: Chunks) {
        self.liveness.heard(now);
        self.inbound.push(bytes);
    }

    pub(super) fn next_packet(&mut self) -> Result<Option<Chunks>, DecodeError> {
        self.inbound.next_packet()
    }

    /// A beat came over the stream, or by the flow: there it tells how far the other side is.
    pub(super) fn on_beat(&mut self, now: Time, beat: Beat, by_flow: bool) {
        if by_flow || !self.has_open_flow() {
            self.liveness.on_beat(now, beat);
        }
        self.other_needs = beat.needed;
        self.consider_closing(now);
    }

    pub(super) fn carries_data(&mut self, now: Time) {
        self.liveness.carries_data(now);
        self.waiting.get_or_insert(now);
    }

    pub(super) fn brings_data(&mut self) {
        self.liveness.brings_data();
    }

    /// Whether somebody here needs it. The other side is told when that changes.
    pub(super) fn set_needed(&mut self, now: Time, needed: bool) {
        if self.needed != needed {
            self.needed = needed;
            if self.beats() {
                let beat = self.liveness.beat(now, needed);
                self.queue.push_control(&Frame::Beat(beat));
            }
            self.consider_closing(now);
        }
    }

    /// Who dialled a stream closes it when neither side has needed it for a while.
    fn consider_closing(&mut self, now: Time) {
        if self.needed || self.other_needs || self.accepted {
            self.closes = self.closes.filter(|_| self.retired);
        } else {
            self.closes.get_or_insert(now + LINGER);
        }
    }

    /// This stream serves the host, although another one may have done so before.
    pub(super) fn serve(&mut self, now: Time, needed: bool) {
        self.retired = false;
        self.closes = None;
        self.set_needed(now, needed);
    }

    /// Another stream serves the host; what waits is handed over.
    pub(super) fn retire(&mut self, now: Time) -> Option<Queue> {
        self.closes = Some(now + RETIREMENT);
        self.retired = true;
        Some(self.queue.take())
    }

    /// Whether the adapter must be told to pull; it is told once.
    pub(super) fn wants_look(&mut self) -> bool {
        let waits =
            if self.has_open_flow() { self.queue.has_control() } else { !self.queue.is_empty() };
        let by_adapter = self.phase != Phase::Dialling && !self.is_tunnel();
        let wants = by_adapter && !self.looked && waits;
        self.looked |= wants;
        wants
    }

    /// Whether the flow's datagrams must be pulled; it is said once.
    pub(super) fn wants_flow_look(&mut self, now: Time) -> bool {
        let wants = !self.flow_looked && self.has_datagram(now);
        self.flow_looked |= wants;
        wants
    }

    fn has_datagram(&mut self, now: Time) -> bool {
        let waits = self.queue.has_loose() && self.phase == Phase::Open;
        let flows = self.phase == Phase::Open || self.is_tunnel();
        let takes_more = self.takes_control();
        let Some(flow) = self.flow.as_mut().filter(|_| flows) else { return false };
        let segment = |tunnel: &Tunnel| takes_more || tunnel.is_due(now, flow.timeout());
        let sends = self.beat_waits || self.tunnel.as_deref().is_some_and(segment);
        flow.is_due(now) || flow.is_open() && (sends || waits && flow.may_carry(now))
    }

    /// Whether the tunnel takes what must not be lost and waits.
    pub(super) fn takes_control(&self) -> bool {
        let has_room = self.tunnel.as_ref().is_some_and(|tunnel| tunnel.has_room());
        has_room && self.has_open_flow() && self.queue.has_control()
    }

    /// Fills a datagram behind its header; false if there is nothing to say, or not yet.
    pub(super) fn fill_datagram(
        &mut self,
        now: Time,
        to: &mut Transmit,
        fill: &mut dyn Fill,
    ) -> bool {
        self.flow_looked = self.has_datagram(now);
        let Some(flow) = self.flow.as_mut().filter(|_| self.flow_looked) else { return false };
        to.to = Some(flow.at());
        let number = flow.take_number();
        to.push_head(&flow_head(flow.token(), number));
        let quiet = to.len();
        let ack = flow.take_ack(now);
        if let Some(ack) = ack {
            to.push_head(&ack.head());
        }
        let beats = core::mem::take(&mut self.beat_waits) && flow.is_open();
        if beats {
            let mut bytes = Vec::new();
            Frame::Beat(self.liveness.beat(now, self.needed)).encode(&mut bytes);
            to.push_head(&bytes);
        }
        let timeout = flow.timeout();
        let tunnel = self.tunnel.as_mut().filter(|_| flow.is_open());
        let segment = tunnel.and_then(|tunnel| tunnel.take_segment(now, timeout));
        if let Some(segment) = &segment {
            let mut bytes = Vec::new();
            Frame::Segment(segment.clone()).encode(&mut bytes);
            to.push_head(&bytes);
        }
        let open = self.phase == Phase::Open;
        let carries = open && flow.may_carry(now) && self.queue.fill_loose(to, fill);
        let carries = carries || segment.is_some_and(|segment| !segment.bytes.is_empty());
        let tries = ack.is_none() && flow.tries(now);
        if !tries && to.len() == quiet {
            self.flow_looked = false;
            return false;
        }
        if carries || tries {
            flow.on_sent(now, number, to.len());
            self.waiting = self.queue.has_fragments().then_some(now);
        }
        self.liveness.sent(now);
        true
    }

    /// Fills a packet behind its header; false if there is nothing to say.
    pub(super) fn fill(&mut self, now: Time, to: &mut Transmit, fill: &mut dyn Fill) -> bool {
        self.looked = match self.phase {
            Phase::Dialling => false,
            _ if self.has_open_flow() => self.queue.fill_control(to),
            Phase::Greeting | Phase::Open => {
                self.waiting = None;
                self.queue.fill(to, fill)
            }
        };
        if self.looked {
            self.liveness.sent(now);
        }
        if self.queue.has_fragments() {
            self.waiting.get_or_insert(now);
        }
        self.looked
    }

    /// Beats if a beat is due; the cause if the stream is over.
    /// With `prefers_flows`, a flow is tried before the stream stands still.
    pub(super) fn timeout(&mut self, now: Time, prefers_flows: bool) -> Option<LinkError> {
        let passed = |at: Option<Time>| at.is_some_and(|at| at <= now);
        if passed(self.closes) {
            return Some(LinkError::Ended);
        }
        if passed(self.patience) {
            return Some(LinkError::TimedOut);
        }
        if let Some(flow) = &mut self.flow {
            flow.on_timeout(now);
        }
        if !self.beats() {
            return None;
        }
        if self.liveness.dead_at() <= now {
            return Some(LinkError::TimedOut);
        }
        self.consider_flow(now, prefers_flows);
        if self.liveness.beat_due() <= now {
            // Datagrams may cease to come through, and a stream may stand still.
            self.beat_waits = self.has_open_flow();
            // What waits already says that this host is alive, once the socket takes it.
            let beat = match self.beat_waits {
                true if self.queue.has_control() => None,
                true => Some(self.liveness.second_beat(self.needed)),
                false if !self.queue.is_empty() => None,
                false => Some(self.liveness.beat(now, self.needed)),
            };
            if let Some(beat) = beat {
                self.queue.push_control(&Frame::Beat(beat));
            }
            self.liveness.sent(now);
        }
        None
    }

    /// Tries a flow where the stream stands still, or others did.
    fn consider_flow(&mut self, now: Time, prefers: bool) {
        let round_trip = self.rtt().unwrap_or(INITIAL_ROUND_TRIP);
        let longest = round_trip.saturating_mul(3).checked_div(2).unwrap_or(round_trip);
        let standstill = STANDSTILL.max(longest);
        let waits = self.waiting.is_some_and(|since| since + standstill <= now);
        if waits && self.queue.has_fragments() {
            self.try_flow(now, STANDS_STILL);
        } else if prefers && (self.needed || self.other_needs) {
            self.try_flow(now, PREFERS);
        }
    }

    fn try_flow(&mut self, now: Time, why: u16) {
        if self.flow.as_mut().is_some_and(|flow| flow.start(now)) {
            self.stood_still = why == STANDS_STILL;
            self.queue.push_control(&Frame::Flow { token: self.token, number: why });
        }
    }

    /// Whether datagrams came through where the stream stood still; it is said once.
    pub(super) fn take_bypass(&mut self) -> bool {
        self.has_open_flow() && core::mem::take(&mut self.stood_still)
    }

    /// Whether two beats of the other side are missing, which is said once in a silence. They may
    /// stand behind something that was lost.
    pub(super) fn falls_silent(&mut self, now: Time) -> bool {
        let falls = self.beats() && self.liveness.falls_silent(now);
        if falls {
            self.try_flow(now, STANDS_STILL);
        }
        falls
    }

    /// Whether two beats of the other side are missing, and that was noticed.
    pub(super) fn is_silent(&self) -> bool {
        self.liveness.is_silent()
    }

    /// It is beaten as if it had carried data then; true if sooner than before.
    pub(super) fn enliven(&mut self, now: Time, then: Time) -> bool {
        self.liveness.enliven(now, then)
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        let beats = self.beats().then(|| self.liveness.beat_due().min(self.liveness.dead_at()));
        let silent = self.liveness.silent_at().filter(|_| self.beats());
        let flow = self.flow.as_ref().filter(|_| self.beats() || self.is_tunnel());
        let timeout = flow.map(|flow| flow.timeout()).unwrap_or_default();
        let waits = self.queue.has_loose() && self.phase == Phase::Open;
        let flow = flow.and_then(|flow| flow.next_deadline(self.flow_looked, waits));
        let sends = self.has_open_flow() && !self.flow_looked;
        let timeout = Some(timeout).filter(|_| sends);
        let tunnel = self.tunnel.as_ref().and_then(|tunnel| tunnel.next_deadline(timeout));
        [self.closes, self.patience, beats, silent, flow, tunnel].into_iter().flatten().min()
    }

    fn beats(&self) -> bool {
        self.phase == Phase::Open && self.other != Other::Service
    }
}
