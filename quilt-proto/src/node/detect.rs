//! The detector: what is around this host (paper, sections 3.1 and 4.4), from questions and answers.
//!
//! What the configuration says is not asked about. Joining waits for the answers for a second at
//! most; what comes later is reported to the bootstrap service, which may have a better place then.

mod outside;
mod routers;
mod segment;

use super::Node;
use super::links::Links;
use super::member::Env;
use crate::counters::Counter;
use crate::euid::{Barrier, Euid, Transport};
use crate::wire::{Frame, Sense, Sensed, Sight};
use crate::{Action, HostTag, LinkError, LinkId, Rng, Surroundings, Time};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use outside::Outside;
use routers::Routers;
use segment::Segment;
use smallvec::SmallVec;

/// Joining waits no longer.
const JOIN_WAIT: Duration = Duration::from_secs(1);
/// Where nobody answered, or nobody by UDP, everything is asked again after this long.
const AGAIN: Duration = Duration::from_secs(60);

/// The service is told of something new no more often than this: whoever invents neighbours has a host
/// send no more reports.
const TELL_PAUSE: Duration = Duration::from_secs(1);

/// What the detector wants done.
#[derive(Clone, Debug)]
enum Ask {
    /// Ask the bootstrap service.
    Sense { to: SocketAddr, by_stream: bool, sense: Sense },
    /// See who answers at a distance.
    Probe { link: LinkId, by: Transport, to: SocketAddr, ttl: u8, from: IpAddr },
    /// A probe is over.
    Close { link: LinkId },
    /// Say by multicast whom this host hears.
    Sight { link: LinkId, sight: Sight },
}

/// Senses the surroundings of a host's first interface.
#[derive(Debug)]
pub(super) struct Detector {
    own: SocketAddr,
    /// What was known before.
    configured: Euid,
    outside: Option<Outside>,
    routers: Option<Routers>,
    segment: Option<Segment>,
    rng: Rng,
    since: Time,
    /// When to ask everything again.
    again: Option<Time>,
    /// When the service was, or will be, told of something new last.
    told: Option<Time>,
    /// Nobody waits for it any more.
    is_settled: bool,
}

impl Detector {
    fn next_deadline(&self) -> Option<Time> {
        let outside = self.outside.as_ref().and_then(Outside::poll_timeout);
        let routers = self.routers.as_ref().and_then(Routers::poll_timeout);
        let segment = self.segment.as_ref().and_then(Segment::poll_timeout);
        let settles = (!self.is_settled).then(|| self.since + JOIN_WAIT);
        [outside, routers, segment, settles, self.again].into_iter().flatten().min()
    }

    /// Whether all has been answered, or given up.
    fn is_done(&self) -> bool {
        self.outside.as_ref().is_none_or(Outside::is_done)
            && self.routers.as_ref().is_none_or(Routers::is_done)
            && self.segment.as_ref().is_none_or(Segment::is_done)
    }

    /// What is known so far.
    fn euid(&self) -> Euid {
        let mut euid = self.configured.clone();
        if let Some(outside) = &self.outside {
            euid.connectivity = outside.connectivity();
        }
        if let Some(routers) = &self.routers {
            euid.topology = routers.stack(self.nat());
        }
        if let Some(name) = self.segment.as_ref().and_then(Segment::name) {
            euid.topology.insert(name, 1, true);
        }
        euid
    }

    /// The NAT in front of this host, or that there is none; `None` if that is not known.
    fn nat(&self) -> Option<Option<IpAddr>> {
        match &self.outside {
            Some(outside) => outside.is_known().then(|| outside.nat()),
            None => {
                let barriers = self.configured.connectivity.iter().map(|option| option.barrier);
                let nat = |barrier| match barrier {
                    Barrier::Nat(nat) => Some(nat.address),
                    Barrier::None | Barrier::Firewall => None,
                };
                (!self.configured.connectivity.is_empty()).then(|| barriers.filter_map(nat).next())
            }
        }
    }
}

impl Node {
    /// Starts to sense the surroundings of the host's first interface, as far as its EUID leaves them
    /// open; how it can be reached, with the help of the bootstrap service at `service`, and not at all
    /// without one. Joining a group does so by itself; [`surroundings`](Self::surroundings) tells what
    /// came of it. Once started it changes nothing; at a loopback address there is nothing to sense.
    pub fn sense(&mut self, now: Time, service: Option<SocketAddr>) {
        self.now = self.now.max(now);
        let now = self.now;
        let config = &self.host.config;
        let (Some(nic), Some(&own)) = (config.nics.first(), config.addresses.first()) else {
            return;
        };
        let Some(sensing) = config.sensing.filter(|_| self.detector.is_none()) else { return };
        if own.ip().is_loopback() {
            return self.is_alone();
        }
        let (configured, me) = (nic.euid.clone(), config.host.tag());
        let mut rng = self.host.rng.fork("detector");
        let mut asks = SmallVec::new();
        let asked = service.filter(|_| configured.connectivity.is_empty());
        let outside =
            asked.map(|service| Outside::new(now, service, own, rng.fork("outside"), &mut asks));
        let is_unknown = configured.topology.is_unknown();
        let links = &mut self.links;
        let service = service.map(|service| service.ip());
        let towards = match (sensing.resolver, service) {
            (Some(resolver), service) => Some((resolver, service)),
            (None, Some(service)) => Some((service, None)),
            (None, None) => None,
        };
        let routers = towards
            .filter(|_| is_unknown)
            .map(|to| Routers::new(now, to, own.ip(), || links.name(), &mut asks));
        let segment = is_unknown.then(|| {
            let (at, rate) = (segment::MEETING_POINT, segment::BYTES_PER_SECOND);
            let link = links.join_multicast(at, own.ip(), segment::TTL, rate);
            Segment::new(link, me, rng.fork("segment"))
        });
        self.detector = Some(Detector {
            own,
            configured,
            outside,
            routers,
            segment,
            rng,
            since: now,
            again: None,
            told: None,
            is_settled: false,
        });
        self.carry_out(asks);
    }

    /// Whoever can speak with this host at all is on the same machine, where nothing is in the way.
    fn is_alone(&mut self) {
        let nic = self.host.config.nics.first_mut();
        if let Some(nic) = nic.filter(|nic| nic.euid.connectivity.is_empty()) {
            nic.euid.connectivity = Euid::reachable().connectivity;
        }
    }

    /// What was sensed so far of the surroundings of the host's first interface.
    pub fn surroundings(&self) -> Surroundings {
        let nic = self.host.config.nics.first();
        let detector = self.detector.as_ref();
        let routers = detector.and_then(|detector| detector.routers.as_ref());
        Surroundings {
            euid: nic.map(|nic| nic.euid.clone()).unwrap_or_default(),
            mapped: detector.and_then(|it| it.outside.as_ref()).and_then(Outside::mapped),
            routers: routers.map(|routers| routers.found().collect()).unwrap_or_default(),
            neighbours: detector.and_then(|it| it.segment.as_ref()).and_then(Segment::neighbours),
            is_settled: detector.is_none_or(Detector::is_done),
        }
    }

    /// Until when a membership that begins now waits for the detector.
    pub(super) fn joins_at(&self) -> Time {
        let detector = self.detector.as_ref().filter(|detector| !detector.is_settled);
        detector.map_or(self.now, |detector| detector.since + JOIN_WAIT)
    }

    /// The bootstrap service answered, or `by_stream` opened one to this host.
    pub(super) fn on_sensed(&mut self, sensed: &Sensed, by_stream: bool) {
        let now = self.now;
        let known = self.advance(|detector, _, asks| match &mut detector.outside {
            Some(outside) if by_stream => outside.on_called_back(now, sensed, asks),
            Some(outside) => outside.on_sensed(now, sensed, asks),
            None => false,
        });
        if !known {
            self.links.counters.bump(Counter::DroppedStranger);
        }
    }

    /// Somebody answered a probe.
    pub(super) fn on_hop(&mut self, link: LinkId, at: IpAddr, is_end: bool) {
        let now = self.now;
        self.advance(|detector, links, asks| {
            let hop = (link, at, is_end);
            let routers = detector.routers.as_mut();
            routers.is_some_and(|it| it.on_hop(now, hop, || links.name(), asks))
        });
    }

    /// The address on which hosts meet is joined, or cannot be; whether the link is that.
    pub(super) fn on_meeting_point(&mut self, link: LinkId, joined: Result<(), LinkError>) -> bool {
        let now = self.now;
        self.advance(|detector, _, _| {
            let segment = detector.segment.as_mut().filter(|segment| segment.link() == link);
            segment.is_some_and(|segment| {
                segment.on_joined(now, joined.is_ok());
                true
            })
        })
    }

    /// A host told there whom it heard. What comes from this machine shows nothing of the network.
    pub(super) fn on_sight(&mut self, link: LinkId, from: HostTag, at: IpAddr, sight: &Sight) {
        let now = self.now;
        let known = self.advance(|detector, _, _| {
            let is_near = at == detector.own.ip();
            let segment = detector.segment.as_mut().filter(|segment| segment.link() == link);
            segment.is_some_and(|segment| {
                if !is_near {
                    segment.on_sight(now, from, sight);
                }
                true
            })
        });
        if !known {
            self.links.counters.bump(Counter::DroppedStranger);
        }
    }

    /// A link is gone; whether it was a probe.
    pub(super) fn on_probe_closed(&mut self, link: LinkId) -> bool {
        let now = self.now;
        self.advance(|detector, _, _| {
            detector.routers.as_mut().is_some_and(|it| it.on_closed(now, link))
        })
    }

    pub(super) fn on_detector_timeout(&mut self) {
        let now = self.now;
        if self.detector_deadline().is_none_or(|at| at > now) {
            return;
        }
        self.advance(|detector, links, asks| {
            if let Some(outside) = &mut detector.outside {
                outside.on_timeout(now, asks);
                if detector.again.is_some_and(|at| at <= now) {
                    detector.again = None;
                    let rng = detector.rng.fork("again");
                    *outside = Outside::new(now, outside.service(), detector.own, rng, asks);
                }
            }
            if let Some(routers) = &mut detector.routers {
                routers.on_timeout(now, || links.name(), asks);
            }
            if let Some(segment) = &mut detector.segment {
                let (link, sight) = (segment.link(), segment.on_timeout(now));
                asks.extend(sight.map(|sight| Ask::Sight { link, sight }));
            }
            true
        });
    }

    pub(super) fn detector_deadline(&self) -> Option<Time> {
        self.detector.as_ref()?.next_deadline()
    }

    /// Has the detector get on, carries out what it asks for, and tells memberships what is new; what
    /// `call` returns.
    fn advance(
        &mut self,
        call: impl FnOnce(&mut Detector, &mut Links, &mut SmallVec<[Ask; 4]>) -> bool,
    ) -> bool {
        let mut asks = SmallVec::new();
        let Some(detector) = &mut self.detector else { return false };
        let taken = call(detector, &mut self.links, &mut asks);
        if !taken {
            return false;
        }
        let is_done = detector.is_done();
        let was_settled = detector.is_settled;
        detector.is_settled |= is_done || detector.since + JOIN_WAIT <= self.now;
        let is_settled = detector.is_settled;
        let by_udp = detector.outside.as_ref().is_none_or(|it| it.mapped().is_some());
        if is_done && !by_udp {
            detector.again.get_or_insert(self.now + AGAIN);
        }
        self.carry_out(asks);
        let changed = self.take_over();
        if is_settled && (changed || !was_settled) {
            self.tell_of_surroundings();
        }
        true
    }

    /// Has all memberships report what is around this host: at once, but not more often than once in a
    /// while.
    fn tell_of_surroundings(&mut self) {
        let now = self.now;
        let Some(detector) = &mut self.detector else { return };
        let at = detector.told.map_or(now, |told| now.max(told + TELL_PAUSE));
        detector.told = Some(at.min(now + TELL_PAUSE));
        let groups: Vec<_> = self.members.keys().copied().collect();
        for group in groups {
            self.with(group, |member, env| member.on_surroundings(env, at));
        }
    }

    fn carry_out(&mut self, asks: SmallVec<[Ask; 4]>) {
        for ask in asks {
            match ask {
                Ask::Sense { to, by_stream: true, sense } => {
                    self.links.send_to_service(to, &Frame::Sense(sense), false);
                }
                Ask::Sense { to, by_stream: false, sense } => {
                    let bytes = Sensed::DATAGRAM_BYTES;
                    self.links.send_datagram(to, &Frame::Sense(sense), bytes);
                }
                Ask::Probe { link, by, to, ttl, from } => {
                    self.links.probe(Action::Probe { link, by, to, ttl, from });
                }
                Ask::Sight { link, sight } => {
                    self.links.send_on(link, &Frame::Sight(sight));
                }
                Ask::Close { link } => self.links.probe(Action::Close { link }),
            }
        }
    }

    /// Enters what the detector knows; whether that is new.
    fn take_over(&mut self) -> bool {
        let Some(detector) = &self.detector else { return false };
        let (euid, own) = (detector.euid(), detector.own);
        let mapped = detector.outside.as_ref().and_then(Outside::mapped);
        let Some(nic) = self.host.config.nics.first_mut() else { return false };
        let changed = nic.euid != euid;
        nic.euid = euid;
        let mut env = Env { now: self.now, host: &mut self.host, links: &mut self.links };
        if let Some(mapped) = mapped {
            env.seen_at(mapped);
            // Where a NAT turns streams to this host, it does so at the port that the host has.
            env.reached_at(SocketAddr::new(mapped.ip(), own.port()));
        }
        changed
    }
}
