//! The datagrams of the world, multicast ones included, and who has joined what.

use super::{Came, HostIndex, MOST, World};
use crate::check::bounds;
use crate::check::proof::Said;
use crate::check::wire::Way;
use crate::host::{Kind, OTHER_PORT, PORT};
use crate::net::{DropCause, NicId};
use crate::packet::{Body, DEFAULT_TTL, Packet};
use crate::traffic::Path;
use quilt_proto::wire::Frame;
use quilt_proto::{Event, LinkError, LinkId, Transmit};
use std::net::{IpAddr, SocketAddr};

impl World {
    pub(super) fn datagram(&mut self, host: usize, nic: NicId, packet: Packet) {
        let Packet { from, to, body: Body::Datagram(bytes), load, .. } = packet else { return };
        let path = if to.ip().is_multicast() { Path::Multicast } else { Path::Datagram };
        let other = self.host_from(from);
        self.came = Some(Came { path, from: other });
        let at = &mut self.hosts[host];
        let member = |&(_, &membership): &(&LinkId, &(SocketAddr, NicId))| membership == (to, nic);
        let link = match to.ip().is_multicast() {
            true => at.memberships.iter().find(member).map(|(&link, _)| link),
            false => Some(at.socket(nic, to.port())),
        };
        let Some(link) = link else { return self.net.count_drop(DropCause::Unheard) };
        let before = bounds::accounted(at.counters());
        if path == Path::Datagram {
            self.proof.got(host, from, &bytes);
        }
        self.traffic.foreign_bytes += load.foreign;
        // What a host multicasts comes back to it.
        if other != Some(HostIndex(host)) {
            self.novelty.came(host, &load);
        }
        let now = at.clock.to_local(self.now);
        at.machine_mut().handle(now, Event::Datagram { link, from, bytes });
        self.work.counted(self.now, host, before, bounds::accounted(at.counters()));
        self.work.called(host);
        self.drain(host);
    }

    pub(super) fn join_multicast(
        &mut self,
        host: usize,
        link: LinkId,
        address: SocketAddr,
        interface: IpAddr,
    ) {
        let Some(nic) = self.nic_of(host, interface) else {
            let cause = LinkError::NoSuchInterface;
            return self.handle(host, Event::Closed { link, cause });
        };
        let region = self.net.topology().hosts[self.net.place(nic)].region;
        let now = self.now;
        self.net.switch(region).join(now, address, nic);
        self.hosts[host].memberships.insert(link, (address, nic));
        self.handle(host, Event::Opened { link });
    }

    pub(super) fn leave_multicast(&mut self, address: SocketAddr, nic: NicId) {
        let region = self.net.topology().hosts[self.net.place(nic)].region;
        self.net.switch(region).leave(address, nic);
    }

    pub(super) fn look(&mut self, host: usize, link: LinkId) {
        if let Some(&(stream, side)) = self.hosts[host].streams.get(&link) {
            self.streams.ask(stream, side);
            self.pull(stream, side);
            return;
        }
        let membership = self.hosts[host].memberships.get(&link).copied();
        let mut packets = 0;
        while let Some(transmit) = self.hosts[host].machine_mut().poll_transmit(link) {
            packets += 1;
            if !self.work.goes_on(self.now, host, "packets", packets, MOST) {
                break;
            }
            let (from, to) = match (membership, transmit.to) {
                (Some((group, nic)), None) => ((nic, PORT), group),
                (_, Some(to)) => (self.socket_of(host, link, to), to),
                (None, None) => continue,
            };
            self.send_datagram(host, from, to, &transmit);
        }
    }

    /// From where a datagram of a link goes to an address.
    fn socket_of(&self, host: usize, link: LinkId, to: SocketAddr) -> (NicId, u16) {
        match link {
            LinkId::OTHER_PORT => (self.hosts[host].nics[0], OTHER_PORT),
            LinkId::OTHER_ADDRESS => (self.hosts[host].nics[1], PORT),
            _ => (self.nic_towards(host, to), PORT),
        }
    }

    pub(super) fn send_datagram(
        &mut self,
        host: usize,
        (nic, port): (NicId, u16),
        to: SocketAddr,
        transmit: &Transmit,
    ) {
        let path = if to.ip().is_multicast() { Path::Multicast } else { Path::Datagram };
        let bytes = match &mut self.hosts[host].lie {
            Some(lie) => lie.told_by_datagram(transmit.to_chunks()),
            None => transmit.to_chunks(),
        };
        let there = self.net.nic_for(to);
        let leaves = self.net.leaves(nic, to);
        let mut way = match path {
            Path::Multicast => Way::Multicast(host, to),
            Path::Datagram | Path::Stream => Way::Datagram(host, to),
        };
        let other = there.and_then(|there| self.host_at(there));
        let (now, wire, novelty) = (self.now, &mut self.wire, &mut self.novelty);
        let mut said = Said::in_bytes(bytes.len());
        let (machine, mut omni) = (&self.hosts[host].machine, false);
        let foreign = self.traffic.sent(now, path, &bytes, leaves, |frame| {
            if let Frame::Flow { token, .. } = frame {
                way = Way::Flow(host, to, *token);
            }
            omni |= machine.speaks_omni(frame);
            novelty.pack(host, frame);
            wire.sent(now, way, host, other, frame);
            said.note(frame);
        });
        if omni {
            self.traffic.was_omni(now);
        }
        let from = self.net.socket(nic, port);
        match path {
            Path::Multicast => self.proof.multicast(from.ip(), to),
            // Its application has named the service.
            _ if other.is_some_and(|at| matches!(self.hosts[at].machine, Kind::Bootstrap(_))) => {}
            Path::Datagram | Path::Stream => {
                let joined = self.hosts[host].memberships.values().map(|&(group, _)| group);
                self.proof.sent(now, host, to, said, joined);
            }
        }
        let (body, load) = (Body::Datagram(bytes), self.novelty.packed(foreign));
        self.send(nic, Packet { from, to, ttl: DEFAULT_TTL, body, load });
    }
}
