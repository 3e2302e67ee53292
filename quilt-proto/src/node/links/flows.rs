//! Flows among the links: whose datagram it is, and whose turn.

use super::flow::Tally;
use super::*;

/// A host of which a stream stood still where datagrams come through tries them at once for so long.
const PREFERENCE: Duration = Duration::from_secs(60);

impl Links {
    /// Draws what datagrams have to show that belong to a stream.
    pub(super) fn give_token(&mut self, link: LinkId, stream: &mut Stream) {
        let mut token = stream.token();
        while token == 0 || self.tokens.contains_key(&token) {
            token = self.rng.next_u64() as u32;
        }
        stream.set_token(token);
        self.tokens.insert(token, link);
    }

    /// Has a flow's datagrams pulled if it has any.
    pub(super) fn look_at_flow(&mut self, link: LinkId) {
        let now = self.now;
        let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return };
        if let Some(flow) = stream.flow_mut() {
            let Tally { opened, ended, sent, lost } = flow.take_tally();
            self.counters.add(Counter::FlowsOpened, opened);
            self.counters.add(Counter::FlowsEnded, ended);
            self.counters.add(Counter::FlowDatagrams, sent);
            self.counters.add(Counter::FlowLosses, lost);
        }
        if stream.take_bypass() {
            self.prefers_flows = now + PREFERENCE;
        }
        if stream.wants_flow_look(now) {
            self.flows.push_back(link);
            self.look_at_datagrams();
        } else if stream.has_open_flow() {
            // The pacer may have to earn something first.
            self.schedule(link);
        }
    }

    /// Takes in a datagram that starts with a flow's token.
    pub(super) fn flow_packet(
        &mut self,
        from: SocketAddr,
        sender: HostTag,
        token: u32,
        number: u16,
        frames: Frames,
    ) {
        let now = self.now;
        let link = self.tokens.get(&token).copied();
        let known = link.and_then(|link| match self.links.get(&link)? {
            Link::Stream(stream) => Some((link, stream.peer()?, stream.has_come(number))),
            Link::Multicast(_) => None,
        });
        let Some((link, _, again)) = known.filter(|&(_, peer, _)| peer == sender) else {
            return self.counters.bump(Counter::DroppedStranger);
        };
        if again {
            return self.counters.bump(Counter::DroppedDuplicate);
        }
        let mut counts = None;
        for frame in frames {
            let Some(Link::Stream(stream)) = self.links.get_mut(&link) else { return };
            match frame {
                Ok(Frame::Ack(ack)) => stream.on_ack(now, &ack),
                Ok(Frame::Beat(beat)) => stream.on_beat(now, beat, true),
                Ok(
                    frame @ (Frame::Data(_)
                    | Frame::Held { .. }
                    | Frame::Pull(_)
                    | Frame::NotHeld(_)),
                ) => {
                    if matches!(frame, Frame::Data(_)) {
                        stream.brings_data();
                    }
                    counts = Some(true);
                    match stream.speaker() {
                        Some(from) => self.inbox.push_back(Inbound::Frame { from, frame }),
                        None => self.counters.bump(Counter::DroppedUnexpected),
                    }
                    continue;
                }
                Ok(Frame::Segment(segment)) => {
                    counts = counts.max(Some(!segment.bytes.is_empty()));
                    if stream.on_segment(now, segment) {
                        self.read(link);
                    }
                    continue;
                }
                Ok(_) => self.counters.bump(Counter::DroppedUnexpected),
                Err(_) => self.counters.bump(Counter::DroppedMalformed),
            }
            counts = counts.or(Some(false));
        }
        if let Some(Link::Stream(stream)) = self.links.get_mut(&link) {
            stream.on_datagram(now, from, number, counts.unwrap_or(true));
        }
        self.look(link);
        self.schedule(link);
    }

    /// Whether what goes to a host goes by datagrams.
    pub(in crate::node) fn has_flow(&self, host: HostId) -> bool {
        self.stream_to(host).is_some_and(Stream::has_open_flow)
    }

    /// Queues a control frame that may be lost for a host that there is a stream to.
    pub(in crate::node) fn send_loose(&mut self, host: HostId, frame: &Frame) {
        let flow = self.has_flow(host);
        let Some(link) = self.hosts.link(host).filter(|_| flow) else {
            self.send(host, frame);
            return;
        };
        let Some(queue) = self.queue_mut(link) else { return };
        if !queue.push_loose(frame) {
            self.counters.bump(Counter::ControlOverflow);
        }
        self.look(link);
    }
}

#[cfg(test)]
mod tests;
