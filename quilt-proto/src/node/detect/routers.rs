//! The routers on the way to the network's core (paper, sections 3.1 and 4.4): probes with hop limits
//! from 1 on, and who answers that they ran out.

use super::Ask;
use crate::euid::{RouterId, RouterStack, Transport};
use crate::{LinkId, Time};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use smallvec::SmallVec;

/// How far probes go.
pub(super) const HOPS: u8 = 4;
/// A probe without an answer is given up after this long.
const PATIENCE: Duration = Duration::from_millis(400);
/// So many probes are sent to each distance: by UDP, again, and by TCP.
const TRIES: u8 = 3;
/// Where probes go by UDP, plus the hop limit: ports at which nobody listens, as of old.
const FIRST_PORT: u16 = 33_434;
/// Where they go by TCP: there a resolver listens.
const TCP_PORT: u16 = 53;

/// What is known of one distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hop {
    /// A probe is under way.
    Asked { link: LinkId, until: Time, tries: u8 },
    /// This router is there.
    Router(IpAddr),
    /// The probe came to its end, or nothing comes so far.
    Beyond,
    /// Nobody answers.
    Silent,
}

/// A search for routers.
#[derive(Debug)]
pub(super) struct Routers {
    towards: IpAddr,
    /// Where probes go instead where no router is on that way.
    instead: Option<IpAddr>,
    from: IpAddr,
    hops: [Hop; HOPS as usize],
}

impl Routers {
    /// Starts to look for the routers between the interface with the address `from` and `towards`; if
    /// there are none, as to a DNS server in a home's router, those on the way to `instead`. Probes take
    /// their links' names from `name`.
    pub(super) fn new(
        now: Time,
        (towards, instead): (IpAddr, Option<IpAddr>),
        from: IpAddr,
        name: impl FnMut() -> LinkId,
        asks: &mut SmallVec<[Ask; 4]>,
    ) -> Self {
        let instead = instead.filter(|other| *other != towards);
        let mut routers = Self { towards, instead, from, hops: [Hop::Silent; HOPS as usize] };
        routers.start(now, name, asks);
        routers
    }

    fn start(
        &mut self,
        now: Time,
        mut name: impl FnMut() -> LinkId,
        asks: &mut SmallVec<[Ask; 4]>,
    ) {
        for ttl in 1..=HOPS {
            self.probe(now, ttl, 0, name(), asks);
        }
    }

    pub(super) fn is_done(&self) -> bool {
        !self.hops.iter().any(|hop| matches!(hop, Hop::Asked { .. }))
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let until = |hop: &Hop| match hop {
            Hop::Asked { until, .. } => Some(*until),
            _ => None,
        };
        self.hops.iter().filter_map(until).min()
    }

    /// Somebody on the way, or at its end, answered a probe; whether it was one of these.
    pub(super) fn on_hop(
        &mut self,
        now: Time,
        (link, at, is_end): (LinkId, IpAddr, bool),
        name: impl FnMut() -> LinkId,
        asks: &mut SmallVec<[Ask; 4]>,
    ) -> bool {
        let Some(place) = self.place(link) else { return false };
        asks.push(Ask::Close { link });
        let is_there = at == self.towards;
        // A router that lets nothing beyond is one all the same.
        let found = if is_there { Hop::Beyond } else { Hop::Router(at) };
        if let Some(hop) = self.hops.get_mut(place) {
            *hop = found;
        }
        if is_there || is_end {
            for hop in self.hops.iter_mut().skip(place.saturating_add(1)) {
                if let Hop::Asked { link, .. } = hop {
                    asks.push(Ask::Close { link: *link });
                }
                *hop = Hop::Beyond;
            }
        }
        if let Some(instead) = self.instead.filter(|_| is_there && place == 0) {
            (self.towards, self.instead) = (instead, None);
            self.start(now, name, asks);
        }
        true
    }

    /// A probe could not be sent, or ended without an answer; whether it was one of these.
    pub(super) fn on_closed(&mut self, now: Time, link: LinkId) -> bool {
        let place = self.place(link);
        if let Some(Hop::Asked { until, .. }) = place.and_then(|place| self.hops.get_mut(place)) {
            *until = now;
        }
        place.is_some()
    }

    pub(super) fn on_timeout(
        &mut self,
        now: Time,
        mut name: impl FnMut() -> LinkId,
        asks: &mut SmallVec<[Ask; 4]>,
    ) {
        for ttl in 1..=HOPS {
            let hop = self.hops.get_mut(usize::from(ttl).saturating_sub(1));
            let Some(hop) = hop else { continue };
            let Hop::Asked { link, until, tries } = *hop else { continue };
            if until > now {
                continue;
            }
            asks.push(Ask::Close { link });
            *hop = Hop::Silent;
            if tries < TRIES {
                self.probe(now, ttl, tries, name(), asks);
            }
        }
    }

    fn probe(
        &mut self,
        now: Time,
        ttl: u8,
        tries: u8,
        link: LinkId,
        asks: &mut SmallVec<[Ask; 4]>,
    ) {
        let tries = tries.saturating_add(1);
        let (by, port) = match tries {
            TRIES => (Transport::Tcp, TCP_PORT),
            _ => (Transport::Udp, FIRST_PORT.saturating_add(ttl.into())),
        };
        let to = SocketAddr::new(self.towards, port);
        if let Some(hop) = self.hops.get_mut(usize::from(ttl).saturating_sub(1)) {
            *hop = Hop::Asked { link, until: now + PATIENCE, tries };
        }
        asks.push(Ask::Probe { link, by, to, ttl, from: self.from });
    }

    fn place(&self, link: LinkId) -> Option<usize> {
        let is_it = |hop: &Hop| matches!(hop, Hop::Asked { link: asked, .. } if *asked == link);
        self.hops.iter().position(is_it)
    }

    /// Who answered at each distance, the nearest first.
    pub(super) fn found(&self) -> impl Iterator<Item = Option<IpAddr>> {
        let end = self.hops.iter().position(|hop| *hop == Hop::Beyond).unwrap_or(self.hops.len());
        self.hops.iter().take(end).map(|hop| match hop {
            Hop::Router(at) => Some(*at),
            _ => None,
        })
    }

    /// What was found so far, behind the NAT with that address: a private address says which router
    /// it is only together with the NAT. Where it is not known whether there is one, `nat` is `None`
    /// and routers with private addresses are left out.
    pub(super) fn stack(&self, nat: Option<Option<IpAddr>>) -> RouterStack {
        let mut stack = RouterStack::default();
        for (hops, at) in (1..).zip(self.found()) {
            match (at, nat) {
                (Some(at), _) if !is_private(at) => stack.insert(RouterId::at(at), hops, false),
                (Some(at), Some(nat)) => stack.insert(RouterId::behind(at, nat), hops, false),
                (Some(_), None) | (None, _) => {}
            }
        }
        stack
    }
}

/// Whether an address means something only behind one NAT (RFC 1918, 3927, 4193, 6598).
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let shared = matches!(v4.octets(), [100, 64..=127, ..]);
            v4.is_private() || v4.is_link_local() || v4.is_loopback() || shared
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
}
