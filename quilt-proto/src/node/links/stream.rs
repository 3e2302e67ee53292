//! One TCP stream.

use super::liveness::Liveness;
use super::queue::{Fill, Queue};
use super::{From, LINGER};
use crate::wire::{
    Assembler, Beat, DecodeError, Frame, Hello, MAX_STREAM_PACKET_BYTES, PREFIX_BYTES, TAG_BYTES,
};
use crate::{HostId, Limits, LinkError, Time, Transmit};
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use smallvec::SmallVec;

/// A dialled stream that is not open by then never will be.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);
/// A stream whose other side has not said by then who it is is closed.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
/// One of two streams to a host stays open this long, so that what is under way arrives.
const RETIREMENT: Duration = Duration::from_secs(2);

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
        }
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

    pub(super) fn push(&mut self, now: Time, bytes: Bytes) {
        self.liveness.heard(now);
        self.inbound.push(bytes);
    }

    pub(super) fn next_packet(&mut self) -> Result<Option<Bytes>, DecodeError> {
        self.inbound.next_packet()
    }

    pub(super) fn on_beat(&mut self, now: Time, beat: Beat) {
        self.liveness.on_beat(now, beat);
        self.other_needs = beat.needed;
        self.consider_closing(now);
    }

    pub(super) fn carries_data(&mut self, now: Time) {
        self.liveness.carries_data(now);
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
        let wants = self.phase != Phase::Dialling && !self.looked && !self.queue.is_empty();
        self.looked |= wants;
        wants
    }

    /// Fills a packet behind its header; false if there is nothing to say.
    pub(super) fn fill(&mut self, now: Time, to: &mut Transmit, fill: &mut dyn Fill) -> bool {
        self.looked = self.phase != Phase::Dialling && self.queue.fill(to, fill);
        if self.looked {
            self.liveness.sent(now);
        }
        self.looked
    }

    /// Beats if a beat is due; the cause if the stream is over.
    pub(super) fn timeout(&mut self, now: Time) -> Option<LinkError> {
        let passed = |at: Option<Time>| at.is_some_and(|at| at <= now);
        if passed(self.closes) {
            return Some(LinkError::Ended);
        }
        if passed(self.patience) {
            return Some(LinkError::TimedOut);
        }
        if !self.beats() {
            return None;
        }
        if self.liveness.dead_at() <= now {
            return Some(LinkError::TimedOut);
        }
        if self.liveness.beat_due() <= now {
            // What waits already says that this host is alive, once the socket takes it.
            if self.queue.is_empty() {
                let beat = self.liveness.beat(now, self.needed);
                self.queue.push_control(&Frame::Beat(beat));
            }
            self.liveness.sent(now);
        }
        None
    }

    /// Whether two beats of the other side are missing, which is said once in a silence.
    pub(super) fn falls_silent(&mut self, now: Time) -> bool {
        self.beats() && self.liveness.falls_silent(now)
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        let beats = self.beats().then(|| self.liveness.beat_due().min(self.liveness.dead_at()));
        let silent = self.liveness.silent_at().filter(|_| self.beats());
        [self.closes, self.patience, beats, silent].into_iter().flatten().min()
    }

    fn beats(&self) -> bool {
        self.phase == Phase::Open && self.other != Other::Service
    }
}
