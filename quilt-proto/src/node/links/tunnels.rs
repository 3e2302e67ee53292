//! Tunnels among the links: who calls whom, and how one is opened and closed.
//!
//! Nothing is kept of whoever calls until it has shown the token that it was given, at its address:
//! that is made of both and of a secret. The answer is as long as the call.

use super::*;
use core::hash::Hasher;
use siphasher::sip::SipHasher13;

/// So many hosts are asked to tell another one that it is called.
const MESSENGERS: usize = 16;
/// So many hosts are called at once because others said that they want it.
const MAX_CALLS: usize = 16;

impl Links {
    /// As [`need`](Self::need), to a host that TCP does not reach: both sides have to call.
    pub(in crate::node) fn need_tunnel(
        &mut self,
        host: HostId,
        need: Need,
        addresses: &[SocketAddr],
    ) {
        if host == self.me.host || self.hosts.link(host).is_some() {
            self.need(host, need, addresses);
            // By now there may be somebody who can tell it.
            return if self.calls.contains_key(&host.tag()) && !self.is_up(host) {
                self.knock(host.tag());
            };
        }
        self.hosts.need(host, need);
        if !self.has_room() {
            return self.cannot_reach(host, LinkError::NoRoom);
        }
        let Some(stream) = Stream::calling(self.now, host, addresses, &self.limits) else {
            return self.cannot_reach(host, LinkError::Unreachable);
        };
        self.insert_call(host, stream);
        self.knock(host.tag());
    }

    /// Has a host that cannot be called yet told of the call, by those that may have a stream to it.
    fn knock(&mut self, to: HostTag) {
        let open = |(&link, entry): (&LinkId, &Link)| match entry {
            Link::Stream(stream) if stream.phase() == Phase::Open => stream.host().map(|_| link),
            _ => None,
        };
        let messengers: Vec<LinkId> = self.links.iter().filter_map(open).take(MESSENGERS).collect();
        let knock = Frame::Knock { to, by: self.me.clone() };
        messengers.into_iter().for_each(|link| {
            self.send_on(link, &knock);
        });
    }

    /// Somebody more can tell those that this host calls.
    pub(super) fn knock_on(&mut self, link: LinkId) {
        let is_open = |link: &LinkId| match self.links.get(link) {
            Some(Link::Stream(stream)) => stream.phase() == Phase::Open,
            _ => true,
        };
        let called = self.calls.iter().filter(|(_, link)| !is_open(link)).take(MAX_CALLS);
        let called: Vec<HostTag> = called.map(|(&tag, _)| tag).collect();
        for to in called {
            let knock = Frame::Knock { to, by: self.me.clone() };
            self.send_on(link, &knock);
        }
    }

    /// A host, or one that it has a stream to, would have a tunnel with this one or with one that this
    /// one has a stream to.
    pub(super) fn knocked(&mut self, from: HostId, to: HostTag, by: Hello) {
        if to == self.me.host.tag() {
            return self.answer_knock(&by);
        }
        let is_it = |(&link, entry): (&LinkId, &Link)| match entry {
            Link::Stream(stream) => stream.host().filter(|host| host.tag() == to).map(|_| link),
            Link::Multicast(_) => None,
        };
        // It goes no further than that.
        let passed = if by.host == from { self.links.iter().find_map(is_it) } else { None };
        match passed {
            Some(link) => {
                self.send_on(link, &Frame::Knock { to, by });
            }
            None => self.counters.bump(Counter::DroppedUnexpected),
        }
    }

    fn answer_knock(&mut self, by: &Hello) {
        if by.host == self.me.host || self.hosts.link(by.host).is_some() {
            return;
        }
        // Whoever lies about where somebody is has few addresses called, and each a few times.
        if self.calls.len() >= MAX_CALLS || self.links.len() >= self.limits.links {
            return self.counters.bump(Counter::LinksRefused);
        }
        if let Some(stream) = Stream::calling(self.now, by.host, &by.addresses, &self.limits) {
            let needed = self.hosts.is_needed(by.host);
            self.insert_call(by.host, stream);
            if let Some(Link::Stream(stream)) =
                self.hosts.link(by.host).and_then(|link| self.links.get_mut(&link))
            {
                stream.set_needed(self.now, needed);
            }
        }
    }

    pub(super) fn is_tunnel(&self, link: LinkId) -> bool {
        matches!(self.links.get(&link), Some(Link::Stream(stream)) if stream.is_tunnel())
    }

    fn insert_call(&mut self, host: HostId, stream: Stream) {
        let link = self.name();
        self.hosts.set_link(host, link);
        self.calls.insert(host.tag(), link);
        self.insert(link, Link::Stream(Box::new(stream)));
        self.call(link);
    }

    /// Calls the other side of a tunnel, if it is time.
    pub(super) fn call(&mut self, link: LinkId) {
        let now = self.now;
        let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return };
        let wants = stream.token();
        let Some((at, shows)) = stream.tunnel_mut().and_then(|tunnel| tunnel.take_call(now)) else {
            return;
        };
        at.into_iter().for_each(|at| self.send_tunnel(at, shows, wants));
        self.schedule(link);
    }

    fn send_tunnel(&mut self, to: SocketAddr, shows: u32, wants: u32) {
        self.send_datagram(to, &Frame::Tunnel { shows, wants }, 0);
    }

    /// Tells the other side of a tunnel that there is none any more.
    pub(super) fn say_over(&mut self, link: LinkId) {
        let Some(Link::Stream(stream)) = self.links.get(&link) else { return };
        if let Some(shows) = stream.far_token() {
            let at = stream.address();
            self.send_tunnel(at, shows, 0);
        }
    }

    /// Somebody calls, or answers a call, or says that a tunnel is over.
    pub(super) fn called(&mut self, from: SocketAddr, sender: HostTag, shows: u32, wants: u32) {
        let now = self.now;
        let calling = self.calls.get(&sender).copied().filter(|link| match self.links.get(link) {
            Some(Link::Stream(stream)) => stream.calls(from),
            _ => false,
        });
        if let Some(link) = calling {
            let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return };
            let token = stream.token();
            if shows != token {
                return self.send_tunnel(from, wants, token);
            }
            return self.bored(link, from, wants);
        }
        if let Some(link) = self.tokens.get(&shows).copied().filter(|_| shows != 0) {
            let Some(Link::Stream(stream)) = self.links.get(&link) else { return };
            let is_it = stream.is_tunnel() && stream.peer() == Some(sender);
            match stream.far_token() {
                Some(known) if is_it && known == wants => return,
                _ if !is_it => return self.counters.bump(Counter::DroppedStranger),
                // It is over, or begins anew.
                _ => self.forget(link, LinkError::Reset),
            }
        }
        let token = self.token_for(from, sender);
        if wants == 0 {
            return;
        }
        if shows == 0 {
            return self.send_tunnel(from, wants, token);
        }
        // An answer to a call that was made in this host's name is no call.
        if shows != token {
            return self.counters.bump(Counter::DroppedStranger);
        }
        if self.links.len() >= self.limits.links {
            return self.counters.bump(Counter::LinksRefused);
        }
        let mut stream = Stream::called(now, from, sender, &self.limits);
        stream.set_token(token);
        let link = self.name();
        self.insert(link, Link::Stream(Box::new(stream)));
        self.bored(link, from, wants);
    }

    /// The other side has shown what it had to.
    fn bored(&mut self, link: LinkId, at: SocketAddr, token: u32) {
        let (now, hello) = (self.now, Frame::Hello(self.me.clone()));
        let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return };
        if stream.bored(now, at, token) && !stream.is_accepted() {
            stream.opened(now, &hello);
        }
        self.call(link);
        self.look(link);
        self.schedule(link);
    }

    /// What a host at an address has to show, that is not called from here.
    fn token_for(&self, from: SocketAddr, sender: HostTag) -> u32 {
        let mut hasher = SipHasher13::new_with_keys(self.secret[0], self.secret[1]);
        match from.ip() {
            IpAddr::V4(ip) => hasher.write_u32(ip.to_bits()),
            IpAddr::V6(ip) => hasher.write_u128(ip.to_bits()),
        }
        hasher.write_u16(from.port());
        hasher.write_u64(sender.0);
        (hasher.finish() as u32).max(1)
    }

    /// Moves what must not be lost from the queue into the tunnel, as far as that takes it.
    pub(super) fn fill_tunnel(&mut self, link: LinkId, fill: &mut dyn Fill) {
        let takes = |links: &Self| match links.links.get(&link) {
            Some(Link::Stream(stream)) => stream.takes_control(),
            _ => false,
        };
        while takes(self) {
            let Some(packet) = self.next_packet(link, fill) else { return };
            let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return };
            if let Some(tunnel) = stream.tunnel_mut() {
                tunnel.write(packet.to_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests;
