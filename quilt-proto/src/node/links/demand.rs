//! What the rest of a node asks of its links.

use super::*;

impl Links {
    /// Keeps a stream to `host` open for `need`; dials it if there is none.
    pub(in crate::node) fn need(&mut self, host: HostId, need: Need, addresses: &[SocketAddr]) {
        if host == self.me.host {
            return;
        }
        self.hosts.need(host, need);
        if let Some(link) = self.hosts.link(host) {
            if let Some(Link::Stream(stream)) = self.links.get_mut(&link) {
                stream.set_needed(self.now, true);
                self.look(link);
            }
            return;
        }
        if !self.has_room() {
            return self.cannot_reach(host, LinkError::NoRoom);
        }
        let link = self.name();
        let Some(stream) = Stream::dialled(self.now, host, addresses, &self.limits) else {
            return self.cannot_reach(host, LinkError::Unreachable);
        };
        let to = stream.address();
        self.hosts.set_link(host, link);
        self.insert(link, Link::Stream(Box::new(stream)));
        self.actions.push_back(Action::Dial { link, to, from: self.dial_from(to) });
    }

    /// Tells all who need a host that there will be no stream to it.
    pub(super) fn cannot_reach(&mut self, host: HostId, cause: LinkError) {
        let needs = self.hosts.forget_needs(host);
        self.inbox.push_back(Inbound::Down { host, needs, cause });
    }

    /// Whether this host may have one more link of its own; else that is counted. The first stream on
    /// which somebody came and has not said who that is gives way.
    pub(super) fn has_room(&mut self) -> bool {
        if self.links.len() < self.limits.links {
            return true;
        }
        self.counters.bump(Counter::LinksRefused);
        let Some(link) = self.links.keys().copied().find(|&link| self.is_unknown(link)) else {
            return false;
        };
        self.drop_link(link, LinkError::NoRoom);
        true
    }

    /// Where this host listens, as it is said from now on.
    pub(in crate::node) fn listens_at(&mut self, addresses: &[SocketAddr]) {
        self.me.addresses = addresses.iter().copied().collect();
    }

    /// As [`need`](Self::need), where the other side dials.
    pub(in crate::node) fn expect(&mut self, host: HostId, need: Need) {
        if host == self.me.host {
            return;
        }
        self.hosts.need(host, need);
        let link = self.hosts.link(host).and_then(|link| self.links.get_mut(&link));
        if let Some(Link::Stream(stream)) = link {
            stream.set_needed(self.now, true);
        }
    }

    /// Gives up one need; a stream that this host dialled and nobody needs is closed after a while.
    pub(in crate::node) fn release(&mut self, host: HostId, need: Need) {
        self.hosts.release(host, need);
        if let Some(link) = self.hosts.link(host).filter(|_| !self.hosts.is_needed(host)) {
            if let Some(Link::Stream(stream)) = self.links.get_mut(&link) {
                stream.set_needed(self.now, false);
            }
            self.look(link);
            self.schedule(link);
        }
    }

    /// Whether a stream to the host is open.
    pub(in crate::node) fn is_up(&self, host: HostId) -> bool {
        self.stream_to(host).is_some_and(|stream| stream.phase() == Phase::Open)
    }

    /// Whether two beats of the host at the other end of a stream are missing.
    pub(in crate::node) fn is_silent(&self, host: HostId) -> bool {
        self.stream_to(host).is_some_and(Stream::is_silent)
    }

    /// Has a stream to a host beaten as if it had carried data then.
    pub(in crate::node) fn enliven(&mut self, host: HostId, then: Time) {
        let Some(link) = self.hosts.link(host) else { return };
        if let Some(Link::Stream(stream)) = self.links.get_mut(&link) {
            if stream.enliven(self.now, then) {
                self.schedule(link);
            }
        }
    }

    /// Whether a stream to the host is open, and its round-trip time once that is known.
    pub(in crate::node) fn state(&self, host: HostId) -> (bool, Option<Duration>) {
        self.stream_to(host)
            .map_or((false, None), |stream| (stream.phase() == Phase::Open, stream.rtt()))
    }

    pub(in crate::node) fn rtt(&self, host: HostId) -> Option<Duration> {
        self.stream_to(host)?.rtt()
    }

    /// Where the host at the other end of a stream said that it listens.
    pub(in crate::node) fn greeting(&self, host: HostId) -> Option<&Hello> {
        self.stream_to(host)?.greeting()
    }

    /// Queues a control frame for a host that there is a stream to; false if there is none.
    pub(in crate::node) fn send(&mut self, host: HostId, frame: &Frame) -> bool {
        let Some(link) = self.hosts.link(host) else { return false };
        self.send_on(link, frame)
    }

    /// Queues a control frame for a multicast address.
    pub(in crate::node) fn send_on(&mut self, link: LinkId, frame: &Frame) -> bool {
        let Some(queue) = self.queue_mut(link) else { return false };
        if !queue.push_control(frame) {
            self.counters.bump(Counter::ControlOverflow);
            self.drop_link(link, LinkError::TimedOut);
            return false;
        }
        self.look(link);
        true
    }

    /// Queues a multicast control frame behind one that says who sends it.
    pub(in crate::node) fn introduce_on(&mut self, link: LinkId, frame: &Frame) -> bool {
        let hello = Frame::Hello(self.me.clone());
        self.send_on(link, &hello) && self.send_on(link, frame)
    }

    /// Has this host's word on what it holds sent to a host.
    pub(in crate::node) fn send_word(&mut self, host: HostId, group: GroupId, patch: PatchId) {
        if let Some(link) = self.hosts.link(host) {
            self.send_word_on(link, group, patch);
        }
    }

    /// As [`send_word`](Self::send_word), but within `pause` of the last one it goes along with the
    /// next packet of fragments.
    pub(in crate::node) fn offer_word(
        &mut self,
        host: HostId,
        pause: Duration,
        group: GroupId,
        patch: PatchId,
    ) {
        let Some(link) = self.hosts.link(host) else { return };
        let now = self.now;
        let queue = self.queue_mut(link);
        if queue.is_some_and(|queue| queue.offer_word(now, pause, group, patch)) {
            self.look(link);
        }
    }

    pub(in crate::node) fn send_word_on(&mut self, link: LinkId, group: GroupId, patch: PatchId) {
        if let Some(queue) = self.queue_mut(link) {
            queue.push_word(group, patch);
            self.look(link);
        }
    }

    /// Queues a fragment for a host that there is a stream to. True if the queue just became long.
    pub(in crate::node) fn send_fragment(
        &mut self,
        host: HostId,
        data: DataRef,
        urgency: Urgency,
    ) -> bool {
        self.hosts.link(host).is_some_and(|link| self.send_fragment_on(link, data, urgency))
    }

    pub(in crate::node) fn send_fragment_on(
        &mut self,
        link: LinkId,
        data: DataRef,
        urgency: Urgency,
    ) -> bool {
        let now = self.now;
        if let Some(Link::Stream(stream)) = self.links.get_mut(&link) {
            stream.carries_data(now);
        }
        let Some(queue) = self.queue_mut(link) else { return false };
        let was_long = queue.is_long();
        let room = queue.push_data(data, urgency);
        let is_long = queue.is_long();
        if !room {
            self.counters.bump(Counter::QueueOverflow);
        }
        self.look(link);
        is_long && !was_long
    }

    /// Whether a fragment still waits to be sent unasked, to a host or to a multicast address.
    pub(in crate::node) fn is_due(
        &self,
        host: HostId,
        multicast: Option<LinkId>,
        group: GroupId,
        fragment: FragmentId,
    ) -> bool {
        let links = self.hosts.link(host).into_iter().chain(multicast);
        let mut queues = links.filter_map(|link| self.queue(link));
        queues.any(|queue| queue.is_due(group, fragment))
    }

    /// A host has a fragment: it need not be sent there unasked.
    pub(in crate::node) fn has_fragment(
        &mut self,
        host: HostId,
        group: GroupId,
        fragment: FragmentId,
    ) {
        if let Some(queue) = self.hosts.link(host).and_then(|link| self.queue_mut(link)) {
            queue.forget(group, fragment);
        }
    }

    /// A host wants nothing fresh of a patch: what waits for it is forgotten.
    pub(in crate::node) fn hold_back(&mut self, host: HostId, group: GroupId, patch: PatchId) {
        if let Some(queue) = self.hosts.link(host).and_then(|link| self.queue_mut(link)) {
            queue.hold_back(group, patch);
        }
    }

    /// Whether the queue to a host, or to a multicast address, is long.
    pub(in crate::node) fn is_slow(&self, host: HostId) -> bool {
        self.stream_to(host).is_some_and(|stream| stream.queue().is_long())
    }

    pub(in crate::node) fn is_slow_on(&self, link: LinkId) -> bool {
        matches!(self.links.get(&link), Some(Link::Multicast(it)) if it.queue().is_long())
    }

    /// Whether fragments wait to be sent to a multicast address unasked.
    pub(in crate::node) fn has_fresh(&self, link: LinkId) -> bool {
        self.queue(link).is_some_and(Queue::has_fresh)
    }

    /// Sends no more than so many bytes a second to a multicast address, and never more than its
    /// ceiling.
    pub(in crate::node) fn pace(&mut self, link: LinkId, bytes_per_second: u64) {
        let now = self.now;
        if let Some(Link::Multicast(multicast)) = self.links.get_mut(&link) {
            multicast.pace(now, bytes_per_second);
        }
    }

    /// Queues a fragment that a member asked for as a datagram. Where too many wait, the oldest one of
    /// the lowest class is dropped, and asked for again.
    pub(in crate::node) fn send_fragment_to(&mut self, to: SocketAddr, data: DataRef) {
        if !self.replies.push(to, data) {
            self.counters.bump(Counter::QueueOverflow);
        }
        self.look_at_datagrams();
    }

    pub(super) fn look_at_datagrams(&mut self) {
        if !core::mem::replace(&mut self.datagrams_looked, true) {
            self.actions.push_back(Action::Look { link: LinkId::UDP });
        }
    }

    /// Whether anything of the group waits to be sent.
    pub(in crate::node) fn has_queued(&self, group: GroupId) -> bool {
        self.links.values().any(|link| match link {
            Link::Stream(stream) => stream.queue().has_queued(group),
            Link::Multicast(multicast) => multicast.queue().has_queued(group),
        })
    }

    pub(in crate::node) fn join_multicast(
        &mut self,
        address: SocketAddr,
        interface: IpAddr,
        ttl: u8,
        bytes_per_second: u64,
    ) -> LinkId {
        let link = self.name();
        if !self.has_room() {
            let joined = Err(LinkError::NoRoom);
            self.inbox.push_back(Inbound::Multicast { link, joined });
            return link;
        }
        let multicast = Multicast::new(bytes_per_second, &self.limits);
        self.insert(link, Link::Multicast(Box::new(multicast)));
        self.actions.push_back(Action::JoinMulticast { link, address, interface, ttl });
        link
    }

    pub(in crate::node) fn close_multicast(&mut self, link: LinkId) {
        if self.remove(link).is_some() {
            self.actions.push_back(Action::Close { link });
        }
    }

    /// Sends a frame by UDP, as a datagram of at least so many bytes.
    pub(in crate::node) fn send_datagram(
        &mut self,
        to: SocketAddr,
        frame: &Frame,
        at_least: usize,
    ) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.queue_datagram(to, bytes, at_least);
    }

    /// Queues a datagram, padded to `at_least` so many bytes.
    pub(super) fn queue_datagram(&mut self, to: SocketAddr, mut bytes: Vec<u8>, at_least: usize) {
        let room = at_least.saturating_sub(Header::BYTES).saturating_sub(bytes.len());
        if room > 0 {
            bytes.extend_from_slice(&wire::padding(room));
        }
        if self.datagrams.len() >= self.limits.queued_control {
            self.datagrams.pop_front();
            self.counters.bump(Counter::ControlOverflow);
        }
        self.datagrams.push_back((to, bytes.into()));
        self.look_at_datagrams();
    }

    /// Sends a frame to a bootstrap service over a stream, which is dialled if there is none, or
    /// if the one that there is brings no answers: it has no beats that would tell.
    pub(in crate::node) fn send_to_service(&mut self, at: SocketAddr, frame: &Frame, anew: bool) {
        if let Some(link) = self.service_link(at).filter(|_| anew) {
            self.drop_link(link, LinkError::TimedOut);
        }
        let link = match self.service_link(at) {
            Some(link) => link,
            // It is asked again.
            None if !self.has_room() => return,
            None => {
                let link = self.name();
                let stream = Stream::to_service(self.now, at, &self.limits);
                self.insert(link, Link::Stream(Box::new(stream)));
                self.actions.push_back(Action::Dial { link, to: at, from: self.dial_from(at) });
                link
            }
        };
        self.send_on(link, frame);
    }

    pub(in crate::node) fn close_service(&mut self, at: SocketAddr) {
        if let Some(link) = self.service_link(at) {
            if let Some(Link::Stream(stream)) = self.links.get_mut(&link) {
                stream.set_needed(self.now, false);
            }
            self.schedule(link);
        }
    }
}
