//! What is lent to a membership while it handles something.

use super::super::Host;
use super::super::links::{Links, Need};
use crate::euid::{self, Barrier, Connectivity, Direction, Nat, Transport};
use crate::wire::Contact;
use crate::{HostId, Time};
use core::net::SocketAddr;

/// What the member's handlers work with beside the member itself.
pub(in crate::node) struct Env<'a> {
    pub(in crate::node) now: Time,
    pub(in crate::node) host: &'a mut Host,
    pub(in crate::node) links: &'a mut Links,
}

impl Env<'_> {
    /// Keeps a stream to a host open for `need`, through a tunnel where TCP cannot open one.
    pub(super) fn need(&mut self, host: HostId, need: Need, contact: Option<&Contact>) {
        let addresses = contact.map(|contact| &contact.addresses[..]).unwrap_or_default();
        let nics = &self.host.config.nics;
        let by_tunnel = |of: &Contact| nics.iter().all(|nic| euid::tunnels(&nic.euid, &of.euid));
        match contact.is_some_and(by_tunnel) {
            true => self.links.need_tunnel(host, need, addresses),
            false => self.links.need(host, need, addresses),
        }
    }

    /// The service sees this host at an address. Behind a NAT others find it there too.
    pub(in crate::node) fn seen_at(&mut self, at: SocketAddr) {
        let config = &mut self.host.config;
        let options = config.nics.iter().flat_map(|nic| nic.euid.connectivity.iter());
        let is_mapped = |it: Connectivity| {
            let behind = |nat: Nat| nat.address == at.ip();
            it.transport == Transport::Udp && matches!(it.barrier, Barrier::Nat(nat) if behind(nat))
        };
        if !options.into_iter().any(is_mapped) || config.addresses.contains(&at) {
            return;
        }
        // The one that was there before is no more.
        config.addresses.retain(|known| known.ip() != at.ip());
        if config.addresses.len() < Contact::MAX_ADDRESSES {
            config.addresses.push(at);
            self.links.listens_at(&config.addresses);
        }
    }
    /// The service has opened a stream to this host at an address, where that is behind a NAT.
    pub(in crate::node) fn reached_at(&mut self, at: SocketAddr) {
        let config = &mut self.host.config;
        let mut options = config.nics.iter().flat_map(|nic| nic.euid.connectivity.iter());
        let is_reached = options.any(|it| {
            it.transport == Transport::Tcp
                && it.direction == Direction::Both
                && matches!(it.barrier, Barrier::Nat(_))
        });
        let room = config.addresses.len() < Contact::MAX_ADDRESSES;
        if is_reached && room && !config.addresses.contains(&at) {
            config.addresses.push(at);
            self.links.listens_at(&config.addresses);
        }
    }
}
