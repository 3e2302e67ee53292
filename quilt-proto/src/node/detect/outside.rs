//! How this host looks from outside: what NAT or firewall is in front of it (RFC 5780), whether UDP
//! passes, and whether others can open a stream to it.
//!
//! Questions go to the bootstrap service. First they have it answer from its other sockets too, to
//! which nothing was sent yet: what of that comes in tells who is let in. Then the other sockets
//! are asked: what they see tells how a NAT gives ports. Meanwhile the service is to open a stream.

use super::Ask;
use crate::euid::{
    Barrier, Connectivity, ConnectivityOptions, Dependence, Direction, Nat, Transport,
};
use crate::wire::{Reply, Sense, Sensed};
use crate::{Rng, Time};
use alloc::collections::BTreeMap;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use smallvec::SmallVec;

/// Questions that bring no answer are asked again after this long.
const ROUND: Duration = Duration::from_millis(100);
/// And so often in all.
const ROUNDS: u8 = 3;
/// Where nothing came by UDP for so long, it counts as blocked.
const UDP_TIME: Duration = Duration::from_millis(500);
/// How long an answer by TCP is waited for.
const TCP_TIME: Duration = Duration::from_millis(1_500);
/// How long a stream from outside is waited for, at least. Guess: what is let in comes after about two
/// round trips, and where a segment was lost the answer is put right later.
const STREAM_TIME: Duration = Duration::from_millis(250);

/// What is asked about this host, by one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    /// Where its datagrams come from, as the service's socket sees it.
    Seen,
    /// Whether the service's other port is let in.
    PortLetIn,
    /// Whether its other address is.
    AddressLetIn,
    /// Where its datagrams come from, as the other port sees it.
    SeenByPort,
    /// As the other address sees it.
    SeenByAddress,
    /// Where its streams come from.
    SeenByStream,
    /// Whether a stream to it can be opened.
    Stream,
}

/// How far the questions have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Who is let in.
    Filtering,
    /// How ports are given.
    Mapping,
    /// Whether the service reaches this host by TCP.
    Dialling,
    /// UDP is blocked: all by TCP.
    ByStream,
    Done,
}

/// The questions about one interface, and what they brought.
#[derive(Debug)]
pub(super) struct Outside {
    service: SocketAddr,
    own: SocketAddr,
    rng: Rng,
    step: Step,
    rounds: u8,
    /// When the step began.
    since: Time,
    next: Option<Time>,
    /// The topic of each question, by its nonce, and when it was asked.
    asked: BTreeMap<u64, (Topic, Time)>,
    /// Where this host's packets come from, as each of the service's sockets sees it.
    seen: BTreeMap<Topic, SocketAddr>,
    round_trip: Option<Duration>,
    cookie: u64,
    other_port: Option<u16>,
    other_address: Option<SocketAddr>,
    /// Whether the service could open a stream; `None` while that is not known.
    reachable: Option<bool>,
}

impl Outside {
    /// Starts to ask the service at `service` about the interface with the address `own`.
    pub(super) fn new(
        now: Time,
        service: SocketAddr,
        own: SocketAddr,
        rng: Rng,
        asks: &mut SmallVec<[Ask; 4]>,
    ) -> Self {
        let mut outside = Self {
            service,
            own,
            rng,
            step: Step::Filtering,
            rounds: 0,
            since: now,
            next: None,
            asked: BTreeMap::new(),
            seen: BTreeMap::new(),
            round_trip: None,
            cookie: 0,
            other_port: None,
            other_address: None,
            reachable: None,
        };
        outside.round(now, asks);
        outside
    }

    pub(super) fn service(&self) -> SocketAddr {
        self.service
    }

    pub(super) fn is_done(&self) -> bool {
        self.step == Step::Done
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.next
    }

    /// An answer came, by datagram or on a stream that this host opened; whether it was asked for.
    pub(super) fn on_sensed(
        &mut self,
        now: Time,
        sensed: &Sensed,
        asks: &mut SmallVec<[Ask; 4]>,
    ) -> bool {
        let Some((topic, at)) = self.asked.remove(&sensed.nonce) else { return false };
        match topic {
            Topic::Stream if sensed.unreachable => self.reachable = Some(false),
            // Only the stream itself shows that it can be opened.
            Topic::Stream => {}
            _ => {
                self.seen.insert(topic, sensed.seen);
            }
        }
        if matches!(topic, Topic::PortLetIn | Topic::AddressLetIn) {
            // Such a question went to the service's socket as well.
            self.seen.entry(Topic::Seen).or_insert(sensed.seen);
        }
        if !self.is_known() && topic != Topic::Stream {
            (self.cookie, self.round_trip) = (sensed.cookie, Some(now.since(at)));
            (self.other_port, self.other_address) = (sensed.other_port, sensed.other_address);
            self.ask(now, Topic::Stream, asks);
        }
        self.advance(now, asks);
        true
    }

    /// The service opened a stream to this host; whether it was asked for.
    pub(super) fn on_called_back(
        &mut self,
        now: Time,
        sensed: &Sensed,
        asks: &mut SmallVec<[Ask; 4]>,
    ) -> bool {
        let asked = matches!(self.asked.get(&sensed.nonce), Some((Topic::Stream, _)));
        if asked {
            self.reachable = Some(true);
            self.advance(now, asks);
        }
        asked
    }

    pub(super) fn on_timeout(&mut self, now: Time, asks: &mut SmallVec<[Ask; 4]>) {
        if self.next.is_some_and(|next| next <= now) {
            self.advance(now, asks);
        }
    }

    /// Goes on to the next step, or asks once more, if it is time.
    fn advance(&mut self, now: Time, asks: &mut SmallVec<[Ask; 4]>) {
        while let Some(step) = self.next_step(now) {
            (self.step, self.since, self.rounds, self.next) = (step, now, 0, None);
        }
        if self.next.is_none_or(|next| next <= now) {
            self.round(now, asks);
        }
    }

    /// What comes after the step under way, if that is over.
    fn next_step(&self, now: Time) -> Option<Step> {
        let patience = self.patience();
        let over = |time: Duration| self.since + time <= now;
        let asked_often =
            self.rounds >= ROUNDS && over(ROUND.saturating_mul(2).saturating_add(patience));
        let answered = self.open_topics().is_empty();
        match self.step {
            Step::Filtering if !self.seen.contains_key(&Topic::Seen) => {
                over(UDP_TIME).then_some(Step::ByStream)
            }
            Step::Filtering if answered || asked_often => Some(match self.nat() {
                Some(_) => Step::Mapping,
                None => Step::Dialling,
            }),
            Step::Mapping if answered || asked_often => Some(Step::Dialling),
            Step::Dialling if self.reachable.is_some() || over(patience.max(STREAM_TIME)) => {
                Some(Step::Done)
            }
            Step::ByStream if self.reachable.is_some() || over(TCP_TIME) => Some(Step::Done),
            _ => None,
        }
    }

    /// How long an answer is waited for.
    fn patience(&self) -> Duration {
        self.round_trip.unwrap_or(ROUND).saturating_mul(2).max(ROUND)
    }

    /// What has to be asked in this step, or once more.
    fn open_topics(&self) -> SmallVec<[Topic; 4]> {
        // Before the first answer nobody knows what sockets the service has.
        let is_known = self.cookie != 0;
        let (port, address) = (self.other_port.is_some(), self.other_address.is_some());
        let topics: &[(Topic, bool)] = match self.step {
            Step::Filtering => &[
                (Topic::Seen, true),
                (Topic::PortLetIn, port || !is_known),
                (Topic::AddressLetIn, address || !is_known),
            ],
            Step::Mapping => &[(Topic::SeenByPort, port), (Topic::SeenByAddress, address)],
            Step::ByStream => &[(Topic::SeenByStream, true)],
            Step::Dialling => &[(Topic::Stream, self.reachable.is_none())],
            Step::Done => &[],
        };
        let open =
            topics.iter().filter(|(topic, is_there)| *is_there && !self.seen.contains_key(topic));
        open.map(|(topic, _)| *topic).collect()
    }

    /// Asks what is open, and sets the time at which to look again.
    fn round(&mut self, now: Time, asks: &mut SmallVec<[Ask; 4]>) {
        let may_ask = self.rounds < if self.step == Step::ByStream { 1 } else { ROUNDS };
        if may_ask {
            self.rounds = self.rounds.saturating_add(1);
            for topic in self.open_topics() {
                self.ask(now, topic, asks);
            }
        }
        self.next = match self.step {
            Step::Done => None,
            Step::ByStream => Some(self.since + TCP_TIME),
            Step::Dialling if may_ask && self.rounds < ROUNDS => Some(now + ROUND),
            Step::Dialling => Some(self.since + self.patience().max(STREAM_TIME)),
            Step::Filtering if !may_ask && !self.seen.contains_key(&Topic::Seen) => {
                Some(self.since + UDP_TIME)
            }
            Step::Filtering | Step::Mapping if may_ask && self.rounds < ROUNDS => Some(now + ROUND),
            Step::Filtering | Step::Mapping => {
                Some(self.since + ROUND.saturating_mul(2) + self.patience())
            }
        };
    }

    fn ask(&mut self, now: Time, topic: Topic, asks: &mut SmallVec<[Ask; 4]>) {
        let nonce = self.rng.next_u64();
        self.asked.insert(nonce, (topic, now));
        let reply = match topic {
            Topic::PortLetIn => Reply::OtherPort,
            Topic::AddressLetIn => Reply::OtherAddress,
            Topic::Stream => Reply::Stream { port: self.own.port() },
            _ => Reply::Here,
        };
        let to = match (topic, self.other_port) {
            (Topic::SeenByPort, Some(port)) => SocketAddr::new(self.service.ip(), port),
            (Topic::SeenByAddress, _) => self.other_address.unwrap_or(self.service),
            _ => self.service,
        };
        let by_stream = self.step == Step::ByStream;
        let sense = Sense { nonce, cookie: self.cookie, reply };
        asks.push(Ask::Sense { to, by_stream, sense });
    }

    /// Whether anything was learnt.
    pub(super) fn is_known(&self) -> bool {
        self.cookie != 0
    }

    /// Where this host's datagrams come from, as the service sees it.
    pub(super) fn mapped(&self) -> Option<SocketAddr> {
        self.seen.get(&Topic::Seen).copied()
    }

    /// The address of the NAT in front of this host, if there is one.
    pub(super) fn nat(&self) -> Option<IpAddr> {
        let seen = self.seen.get(&Topic::Seen).or(self.seen.get(&Topic::SeenByStream))?.ip();
        (seen.to_canonical() != self.own.ip().to_canonical()).then_some(seen)
    }

    /// On what the ports of the NAT depend. Guess: where the service has no other address, a NAT
    /// that gives one port towards two of its ports does so towards everybody.
    fn mapping(&self) -> Option<Dependence> {
        let here = self.seen.get(&Topic::Seen)?;
        let same = |topic| self.seen.get(&topic).map(|there| there == here);
        match (same(Topic::SeenByPort), same(Topic::SeenByAddress)) {
            (Some(false), _) => Some(Dependence::AddressAndPortDependent),
            (_, Some(false)) => Some(Dependence::AddressDependent),
            (Some(true), Some(true)) => Some(Dependence::EndpointIndependent),
            (Some(true), None) if self.other_address.is_none() => {
                Some(Dependence::EndpointIndependent)
            }
            _ => None,
        }
    }

    /// On what it depends who is let in, the worse where that cannot be told.
    fn filtering(&self) -> Option<Dependence> {
        self.other_port?;
        Some(match () {
            () if self.seen.contains_key(&Topic::AddressLetIn) => Dependence::EndpointIndependent,
            () if self.seen.contains_key(&Topic::PortLetIn) => Dependence::AddressDependent,
            () => Dependence::AddressAndPortDependent,
        })
    }

    /// What was found so far, as the options of an EUID. Nothing says that a host can be reached
    /// that was not; of whom nothing is known it is assumed that it can open streams, since it could
    /// be in no group otherwise.
    pub(super) fn connectivity(&self) -> ConnectivityOptions {
        if !self.is_known() {
            let (transport, direction) = (Transport::Tcp, Direction::Outbound);
            return [Connectivity { transport, direction, barrier: Barrier::None }].into();
        }
        let direction = |is_reached| if is_reached { Direction::Both } else { Direction::Outbound };
        let is_reached = self.reachable == Some(true);
        let tcp = Connectivity {
            transport: Transport::Tcp,
            direction: direction(is_reached),
            barrier: match self.nat() {
                Some(address) => Barrier::Nat(Nat::at(address)),
                None if is_reached => Barrier::None,
                None => Barrier::Firewall,
            },
        };
        let udp = self.mapped().map(|_| {
            let (mapping, filtering) = (self.mapping(), self.filtering());
            let open = Some(Dependence::EndpointIndependent);
            let (is_open, barrier) = match self.nat() {
                Some(address) => (
                    mapping == open && filtering == open,
                    Barrier::Nat(Nat { address, mapping, filtering }),
                ),
                // Guess: who lets in the service's other port, and streams, lets in others too.
                None => match filtering {
                    Some(Dependence::EndpointIndependent) => (true, Barrier::None),
                    Some(Dependence::AddressDependent) if is_reached => (true, Barrier::None),
                    Some(_) => (false, Barrier::Firewall),
                    None => (false, Barrier::None),
                },
            };
            Connectivity { transport: Transport::Udp, direction: direction(is_open), barrier }
        });
        [tcp].into_iter().chain(udp).collect()
    }
}

#[cfg(test)]
mod tests;
