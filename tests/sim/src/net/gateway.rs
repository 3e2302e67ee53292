//! NATs and stateful firewalls.

use crate::packet::{Body, Packet};
use crate::topology::{Dependence, Firewall, Gateway, Nat};
use quilt_proto::Time;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a firewall remembers a conversation by UDP (RFC 4787 asks NATs for two minutes, most
/// give less).
const UDP_MEMORY: Duration = Duration::from_secs(30);
/// How long a TCP stream is remembered without a packet.
const TCP_MEMORY: Duration = Duration::from_secs(7_440);
const FIRST_PORT: u16 = 20_000;

/// A gateway at work.
#[derive(Debug)]
pub struct GatewayState {
    nat: Option<Nat>,
    firewall: Option<Firewall>,
    no_udp: bool,
    far_side: IpAddr,
    next_port: u16,
    /// Mappings by what they are for, and by their port.
    mappings: BTreeMap<Key, u16>,
    ports: BTreeMap<u16, Mapping>,
    /// Conversations that a firewall knows: inside, outside.
    known: BTreeMap<(bool, SocketAddr, SocketAddr), Time>,
}

/// What shares a mapping (RFC 4787, section 4.1): the inner address, and of the outer one as much
/// as the NAT looks at.
type Key = (bool, SocketAddr, Option<IpAddr>, Option<u16>);

#[derive(Debug)]
struct Mapping {
    key: Key,
    inner: SocketAddr,
    used: Time,
    /// To whom it has sent.
    peers: BTreeMap<SocketAddr, Time>,
}

fn is_tcp(packet: &Packet) -> bool {
    matches!(packet.body, Body::Segment { .. })
}

impl GatewayState {
    pub(super) fn new(gateway: &Gateway, far_side: IpAddr) -> Self {
        Self {
            nat: gateway.nat,
            firewall: gateway.firewall,
            no_udp: gateway.no_udp,
            far_side,
            next_port: FIRST_PORT,
            mappings: BTreeMap::new(),
            ports: BTreeMap::new(),
            known: BTreeMap::new(),
        }
    }

    /// Whether it is a NAT.
    pub fn translates(&self) -> bool {
        self.nat.is_some()
    }

    /// Its address on the far side.
    pub fn far_side(&self) -> IpAddr {
        self.far_side
    }

    /// Whom it turns what comes to one of its ports to, if it lets it in.
    pub(super) fn behind(&self, port: u16) -> Option<SocketAddr> {
        self.ports.get(&port).map(|mapping| mapping.inner)
    }

    /// Forgets all mappings and conversations, as after a restart.
    pub fn forget(&mut self) {
        self.mappings.clear();
        self.ports.clear();
        self.known.clear();
    }

    /// A packet from inside; `None` if it is stopped.
    pub(super) fn outward(&mut self, now: Time, packet: &mut Packet) -> Option<()> {
        let tcp = is_tcp(packet);
        if self.no_udp && !tcp {
            return None;
        }
        if self.firewall.is_some() {
            self.known.insert((tcp, packet.from, packet.to), now);
        }
        let Some(nat) = &self.nat else { return Some(()) };
        let (peer_ip, peer_port) = match nat.mapping {
            Dependence::EndpointIndependent => (None, None),
            Dependence::AddressDependent => (Some(packet.to.ip()), None),
            Dependence::AddressAndPortDependent => (Some(packet.to.ip()), Some(packet.to.port())),
        };
        let key = (tcp, packet.from, peer_ip, peer_port);
        let port = self.mapping(now, key)?;
        let mapping = self.ports.get_mut(&port)?;
        mapping.used = now;
        mapping.peers.insert(packet.to, now);
        packet.from = (self.far_side, port).into();
        Some(())
    }

    /// The port of a mapping, made if there is none that is still remembered.
    fn mapping(&mut self, now: Time, key: Key) -> Option<u16> {
        let remembered = self.mappings.get(&key).copied().filter(|port| {
            self.ports.get(port).is_some_and(|mapping| now.since(mapping.used) < self.memory(key.0))
        });
        if let Some(port) = remembered {
            return Some(port);
        }
        if let Some(stale) = self.mappings.remove(&key) {
            self.ports.remove(&stale);
        }
        let port = self.next_port;
        self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
        if let Some(evicted) = self.ports.remove(&port) {
            self.mappings.remove(&evicted.key);
        }
        self.mappings.insert(key, port);
        let inner = key.1;
        self.ports.insert(port, Mapping { key, inner, used: now, peers: BTreeMap::new() });
        Some(port)
    }

    /// A packet from outside, which it turns to the host inside; `None` if it is stopped.
    pub(super) fn inward(&mut self, now: Time, packet: &mut Packet) -> Option<()> {
        let tcp = is_tcp(packet);
        if self.no_udp && !tcp {
            return None;
        }
        if self.nat.is_some() {
            packet.to = self.translate(now, tcp, packet)?;
        }
        if let Some(firewall) = &self.firewall {
            let memory = if tcp { TCP_MEMORY } else { UDP_MEMORY };
            let talk = (tcp, packet.to, packet.from);
            let known = self.known.get(&talk).is_some_and(|&at| now.since(at) < memory);
            if !known || (!tcp && firewall.blocks_udp) {
                return None;
            }
            self.known.insert(talk, now);
        }
        Some(())
    }

    fn translate(&self, now: Time, tcp: bool, packet: &Packet) -> Option<SocketAddr> {
        let mapping = self.ports.get(&packet.to.port()).filter(|mapping| mapping.key.0 == tcp)?;
        if now.since(mapping.used) >= self.memory(tcp) {
            return None;
        }
        let from = packet.from;
        let lets_in = match self.nat.as_ref()?.filtering {
            Dependence::EndpointIndependent => true,
            Dependence::AddressDependent => mapping.peers.keys().any(|to| to.ip() == from.ip()),
            Dependence::AddressAndPortDependent => mapping.peers.contains_key(&from),
        };
        lets_in.then_some(mapping.inner)
    }

    fn memory(&self, tcp: bool) -> Duration {
        match &self.nat {
            Some(nat) if !tcp => nat.timeout,
            _ => TCP_MEMORY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const INSIDE: &str = "10.0.0.1:7400";

    fn nat(mapping: Dependence, filtering: Dependence) -> GatewayState {
        let nat = Nat { mapping, filtering, timeout: Duration::from_secs(30) };
        let gateway = Gateway { nat: Some(nat), ..Gateway::default() };
        GatewayState::new(&gateway, "100.64.0.1".parse().unwrap())
    }

    fn packet(from: &str, to: SocketAddr) -> Packet {
        let body = Body::Datagram(Bytes::from_static(b"tea").into());
        Packet { from: from.parse().unwrap(), to, ttl: 64, body, load: Default::default() }
    }

    /// The outer address that a packet from inside to `to` gets.
    fn out(gateway: &mut GatewayState, now: Time, to: &str) -> SocketAddr {
        let mut packet = packet(INSIDE, to.parse().unwrap());
        gateway.outward(now, &mut packet).unwrap();
        packet.from
    }

    fn comes_in(gateway: &mut GatewayState, now: Time, from: &str, to: SocketAddr) -> bool {
        let mut packet = packet(from, to);
        let passes = gateway.inward(now, &mut packet).is_some();
        assert!(!passes || packet.to == INSIDE.parse().unwrap());
        passes
    }

    #[test]
    fn mappings_depend_on_as_much_of_the_far_end_as_the_nat_looks_at() {
        let targets = ["1.0.0.1:1", "1.0.0.1:2", "1.0.0.2:1"];
        for (mapping, distinct) in [
            (Dependence::EndpointIndependent, 1),
            (Dependence::AddressDependent, 2),
            (Dependence::AddressAndPortDependent, 3),
        ] {
            let mut gateway = nat(mapping, Dependence::EndpointIndependent);
            let seen = targets.map(|to| out(&mut gateway, Time::ZERO, to));
            let seen: std::collections::BTreeSet<_> = seen.into_iter().collect();
            assert_eq!(seen.len(), distinct, "{mapping:?}");
        }
    }

    #[test]
    fn filters_let_in_whom_they_should() {
        for (filtering, expected) in [
            (Dependence::EndpointIndependent, [true, true, true]),
            (Dependence::AddressDependent, [true, true, false]),
            (Dependence::AddressAndPortDependent, [true, false, false]),
        ] {
            let mut gateway = nat(Dependence::EndpointIndependent, filtering);
            let outer = out(&mut gateway, Time::ZERO, "1.0.0.1:1");
            let froms = ["1.0.0.1:1", "1.0.0.1:2", "1.0.0.2:1"];
            let seen = froms.map(|from| comes_in(&mut gateway, Time::ZERO, from, outer));
            assert_eq!(seen, expected, "{filtering:?}");
        }
    }

    #[test]
    fn a_mapping_that_is_not_used_is_forgotten_and_replaced() {
        let mut gateway = nat(Dependence::EndpointIndependent, Dependence::EndpointIndependent);
        let outer = out(&mut gateway, Time::ZERO, "1.0.0.1:1");
        let later = Time::from_millis(29_999);
        assert!(comes_in(&mut gateway, later, "1.0.0.1:1", outer));
        let late = Time::from_millis(30_000);
        assert!(!comes_in(&mut gateway, late, "1.0.0.1:1", outer));
        assert_ne!(out(&mut gateway, late, "1.0.0.1:1"), outer);
    }

    #[test]
    fn where_there_is_no_udp_none_passes_and_tcp_does_in_both_directions() {
        let gateway = Gateway { no_udp: true, ..Gateway::default() };
        let mut gateway = GatewayState::new(&gateway, "100.64.0.1".parse().unwrap());
        let (inside, outside) = (INSIDE.parse().unwrap(), "1.0.0.1:1".parse().unwrap());
        assert!(!comes_in(&mut gateway, Time::ZERO, "1.0.0.1:1", inside));
        assert!(gateway.outward(Time::ZERO, &mut packet(INSIDE, outside)).is_none());
        let (stream, segment) = (crate::packet::StreamId(0), crate::tcp::Segment::default());
        let body = Body::Segment { stream, from_dialler: true, segment };
        let mut segment = Packet { body, ..packet("1.0.0.1:1", inside) };
        assert!(gateway.inward(Time::ZERO, &mut segment).is_some());
        assert!(gateway.outward(Time::ZERO, &mut segment).is_some());
    }

    #[test]
    fn a_firewall_lets_answers_in_and_nothing_else() {
        let firewall = Some(Firewall { blocks_udp: false });
        let gateway = Gateway { firewall, ..Gateway::default() };
        let mut gateway = GatewayState::new(&gateway, "100.64.0.1".parse().unwrap());
        let inside = INSIDE.parse().unwrap();
        assert!(!comes_in(&mut gateway, Time::ZERO, "1.0.0.1:1", inside));
        out(&mut gateway, Time::ZERO, "1.0.0.1:1");
        assert!(comes_in(&mut gateway, Time::ZERO, "1.0.0.1:1", inside));
        assert!(!comes_in(&mut gateway, Time::ZERO, "1.0.0.2:1", inside));
        gateway.forget();
        assert!(!comes_in(&mut gateway, Time::ZERO, "1.0.0.1:1", inside));
    }
}
