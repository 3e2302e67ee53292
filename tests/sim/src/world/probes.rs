//! Probes for routers, and what comes back of them.

use super::World;
use crate::net::NicId;
use crate::packet::{Body, DEFAULT_TTL, Load, Packet};
use quilt_proto::{Event, LinkError, LinkId};
use std::net::{IpAddr, SocketAddr};

/// Probes come from this port on, one each.
const FIRST_PORT: u16 = 61_000;

impl World {
    pub(super) fn probe(
        &mut self,
        host: usize,
        link: LinkId,
        (to, ttl): (SocketAddr, u8),
        from: IpAddr,
    ) {
        let Some(nic) = self.nic_of(host, from) else {
            let cause = LinkError::NoSuchInterface;
            return self.handle(host, Event::Closed { link, cause });
        };
        let probes = &mut self.hosts[host].probes;
        let free = (FIRST_PORT..=u16::MAX).find(|port| !probes.contains_key(port));
        let Some(port) = free else {
            let cause = LinkError::NoRoom;
            return self.handle(host, Event::Closed { link, cause });
        };
        probes.insert(port, link);
        let from = self.net.socket(nic, port);
        let (body, load) = (Body::Probe, Load::default());
        self.send(nic, Packet { from, to, ttl, body, load });
    }

    /// A probe came to its end, where nobody listens.
    pub(super) fn answer_probe(&mut self, nic: NicId, at: SocketAddr, prober: SocketAddr) {
        let (body, load) = (Body::Unreachable, Load::default());
        self.send(nic, Packet { from: at, to: prober, ttl: DEFAULT_TTL, body, load });
    }

    /// Word of a probe came back to the port that it was sent from.
    pub(super) fn hop(&mut self, host: usize, to: SocketAddr, at: Option<IpAddr>, is_end: bool) {
        let link = self.hosts[host].probes.get(&to.port()).copied();
        if let (Some(link), Some(at)) = (link, at) {
            self.handle(host, Event::Hop { link, at, is_end });
        }
    }
}
