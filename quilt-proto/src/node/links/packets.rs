//! Packets as they go out.

use super::*;

impl Links {
    /// Next packet for a link. `fill` brings the fragments and the words that the queues only
    /// name.
    pub(in crate::node) fn poll_transmit(
        &mut self,
        link: LinkId,
        fill: &mut dyn Fill,
    ) -> Option<Transmit> {
        let transmit = match link {
            LinkId::UDP => self.next_datagram(fill),
            // What a tunnel carries goes by datagrams.
            _ if self.is_tunnel(link) => None,
            _ => self.next_packet(link, fill),
        };
        if let Some(transmit) = &transmit {
            self.counters.bump(Counter::PacketsSent);
            self.counters.add(Counter::BytesSent, transmit.len() as u64);
        }
        transmit
    }

    fn header(&mut self) -> [u8; Header::BYTES] {
        let number = self.packet_number;
        self.packet_number = number.saturating_add(1);
        let sender = self.me.host.tag();
        Header { suite: wire::SUITE_OPEN, key_epoch: 0, sender, number }.encode()
    }

    fn next_datagram(&mut self, fill: &mut dyn Fill) -> Option<Transmit> {
        if let Some((to, frame)) = self.datagrams.pop_front() {
            let mut transmit = Transmit::new(Some(to));
            transmit.push_head(&self.header());
            transmit.push_payload(frame);
            return Some(transmit);
        }
        while let Some((to, data)) = self.replies.pop() {
            let Some(data) = fill.data(&data, Urgency::Repair) else { continue };
            let mut transmit = Transmit::new(Some(to));
            transmit.push_head(&self.header());
            transmit.push_head(&data.head());
            transmit.push_payload(data.payload);
            return Some(transmit);
        }
        while let Some(link) = self.flows.pop_front() {
            if let Some(transmit) = self.flow_datagram(link, fill) {
                self.flows.push_back(link);
                return Some(transmit);
            }
        }
        self.datagrams_looked = false;
        None
    }

    /// The next datagram of a flow; `None` if it has nothing to say just now.
    fn flow_datagram(&mut self, link: LinkId, fill: &mut dyn Fill) -> Option<Transmit> {
        let now = self.now;
        self.fill_tunnel(link, fill);
        let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return None };
        let mut transmit = Transmit::new(None);
        transmit.push_head(&[0; Header::BYTES]);
        let filled = stream.fill_datagram(now, &mut transmit, fill);
        let expired = stream.queue_mut().take_expired();
        self.counters.add(Counter::QueueExpired, expired);
        self.schedule(link);
        if !filled {
            return None;
        }
        let header = self.header();
        transmit.patch_head(0, &header);
        Some(transmit)
    }

    pub(super) fn next_packet(&mut self, link: LinkId, fill: &mut dyn Fill) -> Option<Transmit> {
        let now = self.now;
        let mut transmit = Transmit::new(None);
        let filled = match self.links.get_mut(&link)? {
            Link::Stream(stream) => {
                transmit.push_head(&[0; wire::PREFIX_BYTES]);
                transmit.push_head(&[0; Header::BYTES]);
                stream.fill(now, &mut transmit, fill)
            }
            Link::Multicast(multicast) => {
                transmit.push_head(&[0; Header::BYTES]);
                multicast.fill(&mut transmit, fill)
            }
        };
        let expired = self.queue_mut(link).map_or(0, Queue::take_expired);
        self.counters.add(Counter::QueueExpired, expired);
        if !filled {
            self.schedule(link);
            return None;
        }
        let header = self.header();
        let is_stream = matches!(self.links.get(&link), Some(Link::Stream(_)));
        let at = if is_stream { wire::PREFIX_BYTES } else { 0 };
        let len = u16::try_from(transmit.len().saturating_sub(at)).unwrap_or(u16::MAX);
        if is_stream {
            transmit.patch_head(0, &len.to_be_bytes());
        }
        transmit.patch_head(at, &header);
        Some(transmit)
    }
}
