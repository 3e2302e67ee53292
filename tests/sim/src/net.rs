//! Between the hosts: access links, gateways, routers, switches, and the way from one to another.
//!
//! A packet leaves by its sender's access link, passes the sender's gateway, is routed, may be
//! lost, doubled, delayed or spoiled on the way, passes the receiver's gateway, and arrives by the
//! receiver's access link. Multicast packets stay within their region and are handed to each
//! member that its switches know of.

mod faults;
mod gateway;
mod pipe;
mod switch;

pub use faults::{Burst, Faults};
pub use gateway::GatewayState;
pub use pipe::Pipe;
pub use switch::{Switch, SwitchFault};

use crate::packet::{Body, Packet};
use crate::tcp;
use crate::topology::Topology;
use quilt_proto::{Rng, Time};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The largest packet that every way takes, IP header included.
pub(crate) const DEFAULT_MTU: usize = 1_500;
/// How much later than a packet its duplicate comes.
const DUPLICATE_DELAY: Duration = Duration::from_micros(100);
/// The network of hosts: interface 0 has the first address behind this one.
const HOSTS_NET: u32 = 0x0a00_0000;
/// The network of gateways' far sides: gateway 0 has the first address behind this one.
const GATEWAYS_NET: u32 = 0x6440_0000;
/// The network of routers, each of which answers from one address.
const ROUTERS_NET: u32 = 0xac10_0000;
/// The network of the DNS server.
const RESOLVERS_NET: u32 = 0xac20_0000;

/// How long word from a router towards the DNS server takes, whichever it is. Guess.
const CORE_ROUND_TRIP: Duration = Duration::from_millis(4);

/// An interface of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NicId(pub u32);

/// Why the network dropped a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropCause {
    /// An access link's queue was full.
    QueueFull,
    /// Lost at random, or in a burst.
    Lost,
    /// Nobody has the address, or no way leads there.
    NoRoute,
    /// A gateway let it not pass.
    Blocked,
    /// A partition lies between.
    Partitioned,
    /// Longer than the way takes.
    TooLong,
    /// Spoiled so that its receiver's network card threw it away.
    Spoiled,
    /// Its hops ran out.
    HopsRanOut,
    /// It came to a host that is off, or to one on which nobody listens for it.
    Unheard,
}

impl DropCause {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::QueueFull,
        Self::Lost,
        Self::NoRoute,
        Self::Blocked,
        Self::Partitioned,
        Self::TooLong,
        Self::Spoiled,
        Self::HopsRanOut,
        Self::Unheard,
    ];

    /// Its name for machines.
    pub fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "net_queue_full",
            Self::Lost => "net_lost",
            Self::NoRoute => "net_no_route",
            Self::Blocked => "net_blocked",
            Self::Partitioned => "net_partitioned",
            Self::TooLong => "net_too_long",
            Self::Spoiled => "net_spoiled",
            Self::HopsRanOut => "net_hops_ran_out",
            Self::Unheard => "net_unheard",
        }
    }
}

/// A packet on its last way: when it reaches which interface, if nothing waits in front of it
/// there ([`Net::come_in`]).
#[derive(Debug)]
pub struct Arrival {
    /// When.
    pub at: Time,
    /// Where.
    pub nic: NicId,
    /// What.
    pub packet: Packet,
}

#[derive(Debug)]
struct Nic {
    place: usize,
    address: IpAddr,
    up: Pipe,
    down: Pipe,
    /// Which side of a partition it is on.
    side: u8,
}

/// The network.
#[derive(Debug)]
pub struct Net {
    topology: Topology,
    nics: Vec<Nic>,
    gateways: Vec<GatewayState>,
    switches: BTreeMap<u32, Switch>,
    /// What goes wrong on the way.
    pub faults: Faults,
    mtu: usize,
    rng: Rng,
    drops: BTreeMap<DropCause, u64>,
    lost_bytes: u64,
    /// The number of each router.
    routers: BTreeMap<String, u32>,
}

impl Net {
    /// The network of `topology`, with an interface for each of its places, in order. All that is
    /// random in it follows from `rng`.
    pub fn new(topology: Topology, rng: Rng) -> Self {
        let mut net = Self {
            nics: Vec::new(),
            gateways: Vec::new(),
            switches: BTreeMap::new(),
            faults: Faults::default(),
            mtu: DEFAULT_MTU,
            rng,
            drops: BTreeMap::new(),
            lost_bytes: 0,
            routers: topology.router_names().map(str::to_owned).zip(0..).collect(),
            topology,
        };
        for (number, gateway) in (1..).zip(&net.topology.gateways) {
            let far_side = IpAddr::V4(Ipv4Addr::from_bits(GATEWAYS_NET + number));
            net.gateways.push(GatewayState::new(gateway, far_side));
        }
        for place in 0..net.topology.hosts.len() {
            net.add_nic(place);
        }
        net
    }

    /// Puts one more interface at a place.
    pub fn add_nic(&mut self, place: usize) -> NicId {
        let id = NicId(self.nics.len() as u32);
        let address = IpAddr::V4(Ipv4Addr::from_bits(HOSTS_NET + 1 + id.0));
        let at = &self.topology.hosts[place];
        let (up, down) = (Pipe::new(at.up_bps), Pipe::new(at.down_bps));
        self.nics.push(Nic { place, address, up, down, side: 0 });
        id
    }

    /// The address of the DNS server of all hosts, somewhere in the network's core: the way there leads
    /// over all routers of a host's stack. It resolves nothing.
    pub fn resolver(&self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(RESOLVERS_NET + 1))
    }

    /// Where everything stands.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The local address of an interface.
    pub fn address(&self, nic: NicId) -> IpAddr {
        self.nics[nic.0 as usize].address
    }

    /// The place of an interface.
    pub fn place(&self, nic: NicId) -> usize {
        self.nics[nic.0 as usize].place
    }

    /// The address on the far side of the NAT in front of a place.
    pub fn far_side(&self, place: usize) -> Option<IpAddr> {
        let gateway = &self.gateways[self.topology.hosts[place].gateway?];
        gateway.translates().then(|| gateway.far_side())
    }

    /// The switches of a region.
    pub fn switch(&mut self, region: u32) -> &mut Switch {
        self.switches.entry(region).or_default()
    }

    /// Puts an interface on a side of a partition; 0 is the side of all others.
    pub fn set_side(&mut self, nic: NicId, side: u8) {
        self.nics[nic.0 as usize].side = side;
    }

    /// The largest packet that every way takes, IP header included.
    pub fn set_mtu(&mut self, bytes: usize) {
        self.mtu = bytes;
    }

    /// How much a segment carries at most.
    pub(crate) fn mss(&self) -> usize {
        self.mtu.saturating_sub(tcp::HEADER_BYTES).max(1)
    }

    /// How many packets were dropped for a reason.
    pub fn dropped(&self, why: DropCause) -> u64 {
        self.drops.get(&why).copied().unwrap_or(0)
    }

    /// Bytes that were lost at random on the way, without headers of IP, UDP and TCP, summed over
    /// receivers.
    pub fn lost_bytes(&self) -> u64 {
        self.lost_bytes
    }

    /// The interface that has a local address.
    pub fn nic_at(&self, address: IpAddr) -> Option<NicId> {
        let at = number(address, HOSTS_NET).filter(|&at| at < self.nics.len())?;
        Some(NicId(at as u32))
    }

    /// The interface that a packet to an address comes to, behind a NAT too, if one lets it in.
    pub fn nic_for(&self, to: SocketAddr) -> Option<NicId> {
        let gateway = number(to.ip(), GATEWAYS_NET).and_then(|at| self.gateways.get(at));
        match gateway {
            Some(gateway) => self.nic_at(gateway.behind(to.port())?.ip()),
            None => self.nic_at(to.ip()),
        }
    }

    /// The region of an interface.
    pub fn region(&self, nic: NicId) -> u32 {
        self.topology.hosts[self.place(nic)].region
    }

    /// Whether what an interface sends to an address leaves its region. Multicast never does;
    /// whoever is behind a NAT is elsewhere.
    pub(crate) fn leaves(&self, nic: NicId, to: SocketAddr) -> bool {
        let there = || self.nic_at(to.ip()).map(|there| self.region(there));
        !to.ip().is_multicast() && there() != Some(self.region(nic))
    }

    /// Counts a dropped packet.
    pub(crate) fn count_drop(&mut self, why: DropCause) {
        *self.drops.entry(why).or_default() += 1;
    }

    /// Sends a packet from an interface; all its arrivals go to `arrivals`.
    pub fn send(&mut self, now: Time, from: NicId, packet: Packet, arrivals: &mut Vec<Arrival>) {
        let bytes = packet.wire_bytes();
        let sent = if bytes > self.mtu {
            Err(DropCause::TooLong)
        } else {
            self.nics[from.0 as usize].up.pass(now, bytes).ok_or(DropCause::QueueFull)
        };
        let on_the_way = sent.and_then(|at| match packet.to.ip().is_multicast() {
            true => {
                self.multicast(at, from, &packet, arrivals);
                Ok(())
            }
            false => self.unicast(at, from, packet, arrivals),
        });
        if let Err(why) = on_the_way {
            self.count_drop(why);
        }
    }

    fn unicast(
        &mut self,
        at: Time,
        from: NicId,
        mut packet: Packet,
        arrivals: &mut Vec<Arrival>,
    ) -> Result<(), DropCause> {
        if packet.to.ip() == self.resolver() {
            return self.towards_the_core(at, from, packet, arrivals);
        }
        let near = self.topology.hosts[self.place(from)].gateway;
        let inside = near.and_then(|_| self.nic_at(packet.to.ip()));
        let sender = packet.from;
        let inside = inside.filter(|&to| self.topology.hosts[self.place(to)].gateway == near);
        let to = match inside {
            // Behind one gateway hosts reach each other by their own addresses.
            Some(to) => to,
            None => {
                if let Some(gateway) = near {
                    self.gateways[gateway].outward(at, &mut packet).ok_or(DropCause::Blocked)?;
                }
                self.inward(at, &mut packet)?
            }
        };
        if let Some(answer) = self.hops_ran_out(at, (from, sender), to, &packet) {
            arrivals.push(answer);
            return Err(DropCause::HopsRanOut);
        }
        self.carry(at, from, to, packet, arrivals)
    }

    /// Finds whom a packet is for, through the gateway in front of him.
    fn inward(&mut self, at: Time, packet: &mut Packet) -> Result<NicId, DropCause> {
        let gateway = number(packet.to.ip(), GATEWAYS_NET).and_then(|at| self.gateways.get_mut(at));
        if let Some(gateway) = gateway {
            gateway.inward(at, packet).ok_or(DropCause::Blocked)?;
            return self.nic_at(packet.to.ip()).ok_or(DropCause::NoRoute);
        }
        let to = self.nic_at(packet.to.ip()).ok_or(DropCause::NoRoute)?;
        if let Some(gateway) = self.topology.hosts[self.place(to)].gateway {
            let gateway = &mut self.gateways[gateway];
            if gateway.translates() {
                // Private addresses mean nothing outside.
                return Err(DropCause::NoRoute);
            }
            gateway.inward(at, packet).ok_or(DropCause::Blocked)?;
        }
        Ok(to)
    }

    /// Copies a packet to all members of its region's address.
    fn multicast(&mut self, at: Time, from: NicId, packet: &Packet, arrivals: &mut Vec<Arrival>) {
        let place = self.place(from);
        let region = self.topology.hosts[place].region;
        let Some(switch) = self.switches.get(&region).filter(|_| packet.ttl > 0) else { return };
        let forwards = self.topology.hosts[place].multicast;
        for to in switch.members(at, packet.to, from) {
            if to == from {
                // By loopback, which loses nothing.
                arrivals.push(Arrival { at, nic: to, packet: packet.clone() });
            } else if !forwards || !self.topology.hosts[self.place(to)].multicast {
                self.count_drop(DropCause::NoRoute);
            } else if let Err(why) = self.carry(at, from, to, packet.clone(), arrivals) {
                self.count_drop(why);
            }
        }
    }

    /// The way from one interface to another, and what goes wrong on it.
    fn carry(
        &mut self,
        at: Time,
        from: NicId,
        to: NicId,
        mut packet: Packet,
        arrivals: &mut Vec<Arrival>,
    ) -> Result<(), DropCause> {
        let (here, there) = (&self.nics[from.0 as usize], &self.nics[to.0 as usize]);
        if self.faults.parts(here.side, there.side) {
            return Err(DropCause::Partitioned);
        }
        let direct = self.topology.one_way(here.place, there.place);
        let fate = self.faults.draw(at, (from, to), &mut self.rng);
        if fate.lost {
            self.lost_bytes += packet.payload_bytes() as u64;
            return Err(DropCause::Lost);
        }
        if fate.spoiled && !fate.unnoticed {
            return Err(DropCause::Spoiled);
        }
        if fate.unnoticed {
            spoil(&mut packet, &mut self.rng)?;
        }
        let last_bit = self.nics[to.0 as usize].down.time_for(packet.wire_bytes());
        let at = at + direct + fate.extra + last_bit;
        let again = fate.again.then(|| packet.clone());
        arrivals.push(Arrival { at, nic: to, packet });
        if let Some(packet) = again {
            arrivals.push(Arrival { at: at + DUPLICATE_DELAY, nic: to, packet });
        }
        Ok(())
    }

    /// An arrival has come: when the packet is through the receiver's access link, behind those
    /// that came before it; `None` if the link's queue is full. What a host sent itself does not
    /// pass there.
    pub fn come_in(&mut self, now: Time, to: NicId, packet: &Packet) -> Option<Time> {
        let nic = &mut self.nics[to.0 as usize];
        if packet.from.ip() == nic.address {
            return Some(now);
        }
        let through = nic.down.come_through(now, packet.wire_bytes());
        if through.is_none() {
            self.count_drop(DropCause::QueueFull);
        }
        through
    }

    /// The answer of the router at which a packet's hops run out, if they do. A NAT turns it back to
    /// the sender's own address.
    fn hops_ran_out(
        &self,
        at: Time,
        (from, sender): (NicId, SocketAddr),
        to: NicId,
        packet: &Packet,
    ) -> Option<Arrival> {
        let (here, there) = (self.place(from), self.place(to));
        let routers = |place: usize| self.topology.hosts[place].routers.len();
        // Few packets come near the end of their hops: the way need not be looked up.
        if usize::from(packet.ttl) > routers(here) + routers(there) {
            return None;
        }
        let hops = self.hops(here, there);
        if usize::from(packet.ttl) > hops {
            return None;
        }
        let hop = packet.ttl.max(1);
        let stack = &self.topology.hosts[here].routers;
        let router = stack.get(usize::from(hop) - 1).filter(|router| !router.is_silent());
        let router = router.and_then(|router| self.router_address(&router.name));
        let whole = self.topology.one_way(here, there);
        // Routers stand evenly along the way.
        let back_and_forth = whole * 2 * u32::from(hop) / (hops as u32 + 1);
        let answer = Packet {
            from: packet.to,
            to: sender,
            ttl: crate::packet::DEFAULT_TTL,
            body: Body::TimeExceeded { hop, router },
            load: Default::default(),
        };
        Some(Arrival { at: at + back_and_forth, nic: from, packet: answer })
    }

    /// What goes to the DNS server passes all routers of its sender's stack, and ends there.
    fn towards_the_core(
        &mut self,
        at: Time,
        from: NicId,
        packet: Packet,
        arrivals: &mut Vec<Arrival>,
    ) -> Result<(), DropCause> {
        let stack = &self.topology.hosts[self.place(from)].routers;
        let router = usize::from(packet.ttl).checked_sub(1).and_then(|hop| stack.get(hop));
        let (body, why) = match router {
            Some(router) if router.is_silent() => return Err(DropCause::HopsRanOut),
            Some(router) => {
                let router = self.router_address(&router.name);
                let hop = packet.ttl;
                (Body::TimeExceeded { hop, router }, DropCause::HopsRanOut)
            }
            None => (Body::Unreachable, DropCause::Unheard),
        };
        let (ttl, load) = (crate::packet::DEFAULT_TTL, Default::default());
        let answer = Packet { from: packet.to, to: packet.from, ttl, body, load };
        arrivals.push(Arrival { at: at + CORE_ROUND_TRIP, nic: from, packet: answer });
        Err(why)
    }

    /// The address that a router answers from.
    fn router_address(&self, name: &str) -> Option<IpAddr> {
        let number = *self.routers.get(name)?;
        Some(IpAddr::V4(Ipv4Addr::from_bits(ROUTERS_NET + 1 + number)))
    }

    /// How many routers lie between two places: up to the first that both know, or all of both.
    pub fn hops(&self, from: usize, to: usize) -> usize {
        let (here, there) = (&self.topology.hosts[from].routers, &self.topology.hosts[to].routers);
        for (up, router) in here.iter().enumerate().filter(|(_, router)| !router.is_silent()) {
            if let Some(down) = there.iter().position(|other| other.name == router.name) {
                return up + 1 + down;
            }
        }
        here.len() + there.len()
    }

    /// How long a packet takes from one place to another where nothing is in its way.
    pub fn one_way(&self, from: usize, to: usize) -> Duration {
        self.topology.one_way(from, to)
    }

    /// The address and port of a host's socket on an interface.
    pub fn socket(&self, nic: NicId, port: u16) -> SocketAddr {
        (self.address(nic), port).into()
    }
}

/// Which address of a network it is, from 0; `None` if it is before the first one, or of IPv6.
fn number(address: IpAddr, network: u32) -> Option<usize> {
    let IpAddr::V4(address) = address else { return None };
    Some(address.to_bits().checked_sub(network + 1)? as usize)
}

/// Turns one bit of a datagram over. A segment in which TCP would notice it does not arrive.
fn spoil(packet: &mut Packet, rng: &mut Rng) -> Result<(), DropCause> {
    let Body::Datagram(bytes) = &mut packet.body else { return Err(DropCause::Spoiled) };
    let mut spoiled = std::mem::take(bytes).into_bytes().to_vec();
    let at = rng.index(spoiled.len());
    match spoiled.get_mut(at) {
        Some(byte) => *byte ^= 1 << rng.below(8),
        None => return Err(DropCause::Spoiled),
    }
    *bytes = spoiled.into();
    Ok(())
}
