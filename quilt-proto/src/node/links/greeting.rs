//! Who is on the other side of a stream, and which of two streams to one host stays.

use super::*;

impl Links {
    pub(super) fn stream_packet(&mut self, link: LinkId, from: SocketAddr, packet: Chunks) {
        let Some(frames) = self.open_packet(from, packet) else {
            return self.drop_link(link, LinkError::Reset);
        };
        // What a tunnel carries came in datagrams that were counted.
        if !self.is_tunnel(link) {
            self.counters.bump(Counter::PacketsReceived);
        }
        for frame in frames {
            match frame {
                Ok(Frame::Hello(hello)) => self.greeted(link, &hello),
                Ok(Frame::Beat(beat)) => {
                    if let Some(Link::Stream(stream)) = self.links.get_mut(&link) {
                        stream.on_beat(self.now, beat, false);
                    }
                }
                Ok(Frame::Flow { token, number }) => {
                    let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return };
                    stream.on_token(self.now, token, number);
                    self.look(link);
                }
                Ok(Frame::Sensed(sensed)) if self.is_unknown(link) => {
                    // That is all there is to say on such a stream.
                    self.inbox.push_back(Inbound::CalledBack(sensed));
                    return self.drop_link(link, LinkError::Ended);
                }
                Ok(Frame::Knock { to, by }) => {
                    let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return };
                    match stream.speaker() {
                        Some(From::Host(host)) => self.knocked(host, to, by),
                        _ => self.counters.bump(Counter::DroppedUnexpected),
                    }
                }
                Ok(frame) => {
                    let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return };
                    if matches!(frame, Frame::Data(_)) {
                        stream.brings_data();
                    }
                    match stream.speaker() {
                        Some(from) => self.inbox.push_back(Inbound::Frame { from, frame }),
                        None => self.counters.bump(Counter::DroppedUnexpected),
                    }
                }
                Err(_) => self.counters.bump(Counter::DroppedMalformed),
            }
        }
    }

    /// Whether somebody opened a stream and has not said who that is.
    pub(super) fn is_unknown(&self, link: LinkId) -> bool {
        match self.links.get(&link) {
            Some(Link::Stream(stream)) => stream.is_accepted() && stream.host().is_none(),
            _ => false,
        }
    }

    /// The other side of a stream said who it is.
    fn greeted(&mut self, link: LinkId, hello: &Hello) {
        let host = hello.host;
        let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return };
        if stream.service().is_some() {
            // Who the service is does not matter: it is known by its address.
            return;
        }
        let was_open = stream.phase() == Phase::Open;
        if host == self.me.host || !stream.greeted(self.now, hello) {
            self.counters.bump(Counter::Misbehaviour);
            return self.drop_link(link, LinkError::Refused);
        }
        if was_open {
            return;
        }
        if stream.is_accepted() && stream.greet(&Frame::Hello(self.me.clone())) {
            self.look(link);
        }
        self.knock_on(link);
        let life = |stream: &Stream| stream.greeting().map(|known| known.incarnation);
        let former = self.stream_to(host).and_then(life).filter(|&life| life < hello.incarnation);
        if let Some(known) = former.and_then(|_| self.hosts.link(host)) {
            // The host starts anew, and what is left of its earlier life is not heard of any more.
            self.drop_link(known, LinkError::Reset);
        }
        match self.hosts.link(host) {
            Some(known) if known == link => self.inbox.push_back(Inbound::Up(host)),
            Some(known) => self.settle(host, known, link),
            None => {
                self.hosts.set_link(host, link);
                self.inbox.push_back(Inbound::Up(host));
            }
        }
    }

    /// Two streams to one host: both sides keep the one that the host with the lesser id dialled,
    /// and close the other when what is under way on it has come.
    fn settle(&mut self, host: HostId, known: LinkId, link: LinkId) {
        let dialled_by_lesser = |links: &Self, link: LinkId| match links.links.get(&link) {
            Some(Link::Stream(stream)) => stream.is_accepted() == (host < links.me.host),
            _ => false,
        };
        let known_is_up = self.is_up(host);
        let keeps_new =
            !known_is_up || dialled_by_lesser(self, link) || !dialled_by_lesser(self, known);
        let (kept, retired) = if keeps_new { (link, known) } else { (known, link) };
        let queued = match self.links.get_mut(&retired) {
            Some(Link::Stream(stream)) => stream.retire(self.now),
            _ => None,
        };
        let is_needed = self.hosts.is_needed(host);
        if let (Some(queued), Some(Link::Stream(stream))) = (queued, self.links.get_mut(&kept)) {
            stream.queue_mut().append(queued);
            stream.serve(self.now, is_needed);
        }
        self.hosts.set_link(host, kept);
        self.look(kept);
        self.schedule(kept);
        self.schedule(retired);
        if !known_is_up {
            self.inbox.push_back(Inbound::Up(host));
        }
    }
}
