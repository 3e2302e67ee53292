//! The service's sockets: links, packets and cookies around the directory.

use super::group::Path;
use super::outbox::Pushed;
use super::{Bootstrap, Stream};
use crate::wire::{Assembler, DecodeError, Frame, Frames, Header, Hello};
use crate::{
    Action, Chunks, Counter, Event, GroupId, HostTag, Incarnation, LinkId, Machine, Time, Transmit,
};
use alloc::boxed::Box;
use core::net::SocketAddr;
use core::time::Duration;
use smallvec::SmallVec;

/// A stream on which nothing came for so long is closed.
const STREAM_IDLE: Duration = Duration::from_secs(60);

/// The most deadlines that one call acts on; the next call follows at once.
const DEADLINES_PER_CALL: usize = 1_024;

/// Bytes of a packet that holds a cookie and nothing else: a frame's head, a group, a cookie, and how
/// many addresses follow; and the longest address.
const COOKIE_PACKET_BYTES: usize = Header::BYTES + 21;
const ADDRESS_BYTES: usize = 19;

impl Machine for Bootstrap {
    fn accept(&mut self, now: Time, from: SocketAddr) -> Option<LinkId> {
        self.now = self.now.max(now);
        if self.streams.len() >= self.directory.config().limits.links {
            self.counters.bump(Counter::LinksRefused);
            return None;
        }
        let link = self.name();
        self.streams.insert(link, Stream { from, assembler: Assembler::default() });
        self.idle.set(link, self.now + STREAM_IDLE);
        self.outbox.open(link);
        let hello =
            Hello { host: self.me, incarnation: Incarnation(0), addresses: SmallVec::new() };
        self.send(Path::Stream(link), &Frame::Hello(hello));
        Some(link)
    }

    fn handle(&mut self, now: Time, event: Event) {
        self.now = self.now.max(now);
        match event {
            Event::Timeout => self.on_timeout(),
            Event::Datagram { link: LinkId::UDP, from, bytes } => {
                self.on_packet(Path::Datagram(from), bytes);
            }
            Event::Datagram { link, from, bytes } => self.on_aside(link, from, bytes),
            Event::Received { link, bytes } => self.on_received(link, bytes),
            Event::Closed { link, cause } => self.on_closed(link, cause),
            Event::Opened { link } => self.on_opened(link),
            Event::Overrun { .. } | Event::Hop { .. } => {}
        }
        while let Some((path, orders)) = self.directory.poll_unsolicited() {
            self.send(path, &Frame::Orders(Box::new(orders)));
        }
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn poll_transmit(&mut self, link: LinkId) -> Option<Transmit> {
        let transmit = self.outbox.poll(link)?;
        self.counters.bump(Counter::PacketsSent);
        self.counters.add(Counter::BytesSent, transmit.len() as u64);
        Some(transmit)
    }

    fn poll_timeout(&self) -> Option<Time> {
        if !self.actions.is_empty() {
            return Some(self.now);
        }
        [self.directory.poll_timeout(), self.idle.next()].into_iter().flatten().min()
    }
}

impl Bootstrap {
    fn on_timeout(&mut self) {
        for _ in 0..DEADLINES_PER_CALL {
            let silent = self.directory.on_timeout(self.now);
            let idle = self.idle.pop(self.now);
            idle.into_iter().for_each(|link| self.close(link));
            if !silent && idle.is_none() {
                break;
            }
        }
    }

    fn on_received(&mut self, link: LinkId, bytes: Chunks) {
        let Some(stream) = self.streams.get_mut(&link) else { return };
        stream.assembler.push(bytes);
        self.idle.set(link, self.now + STREAM_IDLE);
        // A packet, or what waits behind it, can close the stream.
        while let Some(stream) = self.streams.get_mut(&link) {
            match stream.assembler.next_packet() {
                Ok(Some(packet)) => self.on_packet(Path::Stream(link), packet),
                Ok(None) => return,
                Err(_) => {
                    self.counters.bump(Counter::DroppedTruncated);
                    self.close(link);
                }
            }
        }
    }

    fn on_packet(&mut self, path: Path, packet: Chunks) {
        let len = packet.len();
        let frames = match Frames::decode(packet) {
            Ok(frames) => frames,
            Err(error) => return self.on_garbage(path, packet_counter(error)),
        };
        self.counters.bump(Counter::PacketsReceived);
        let sender = frames.sender();
        for frame in frames {
            match frame {
                // One answer to a datagram at most.
                Ok(Frame::Sense(sense)) => return self.on_sense(path, sense, len),
                Ok(frame) => {
                    if self.is_unproven(path, &frame) {
                        // One answer at most: whatever else the datagram holds is as unproven.
                        return self.challenge(path, &frame, len);
                    }
                    self.on_frame(path, sender, frame);
                }
                // A later version may have more kinds of frames.
                Err(DecodeError::UnknownKind(_)) => self.counters.bump(Counter::DroppedMalformed),
                Err(_) => return self.on_garbage(path, Counter::DroppedMalformed),
            }
        }
    }

    fn on_frame(&mut self, path: Path, sender: HostTag, frame: Frame) {
        match (frame, path) {
            (Frame::Report(report), _) if report.host.tag() == sender => {
                let answer = match self.directory.on_report(self.now, path, &report) {
                    Ok(orders) => Frame::Orders(Box::new(orders)),
                    Err(refusal) => Frame::Refused { group: report.group, refusal },
                };
                self.send(path, &answer);
            }
            (Frame::Depart { group, host, incarnation, .. }, _) if host.tag() == sender => {
                self.directory.on_depart(self.now, group, host, incarnation);
            }
            (Frame::Survey { group, from, .. }, _) => {
                match self.directory.survey(group, sender, from) {
                    Some(part) => self.send(path, &Frame::SurveyPart(part)),
                    None => self.counters.bump(Counter::DroppedUnexpected),
                }
            }
            (Frame::Hello(_) | Frame::Beat(_), Path::Stream(_)) => {}
            _ => self.counters.bump(Counter::DroppedUnexpected),
        }
    }

    /// Whether a frame asks for something from an address that may be forged.
    fn is_unproven(&self, path: Path, frame: &Frame) -> bool {
        let Path::Datagram(from) = path else { return false };
        request(frame).is_some_and(|(_, cookie)| !self.cookies.is_valid(self.now, from, cookie))
    }

    /// Answers an unproven request with a cookie, never with more bytes than came in.
    fn challenge(&mut self, path: Path, frame: &Frame, len: usize) {
        self.counters.bump(Counter::Unproven);
        let (Path::Datagram(from), Some((group, _))) = (path, request(frame)) else { return };
        if len >= COOKIE_PACKET_BYTES {
            let cookie = self.cookies.cookie(self.now, from);
            let seen = Some(from).filter(|_| len >= COOKIE_PACKET_BYTES + ADDRESS_BYTES);
            self.send(path, &Frame::Cookie { group, cookie, seen });
        }
    }

    fn on_garbage(&mut self, path: Path, counter: Counter) {
        self.counters.bump(counter);
        if let Path::Stream(link) = path {
            self.close(link);
        }
    }

    pub(super) fn send(&mut self, path: Path, frame: &Frame) {
        match path {
            Path::Datagram(to) => self.queue(LinkId::UDP, Some(to), frame),
            Path::Stream(link) => self.queue(link, None, frame),
        }
    }

    /// Queues a frame for a link; `to` where it goes as a datagram.
    pub(super) fn queue(&mut self, link: LinkId, to: Option<SocketAddr>, frame: &Frame) {
        let max = self.directory.config().limits.queued_control;
        match self.outbox.push(link, to, frame, max) {
            Pushed::Look => self.actions.push_back(Action::Look { link }),
            Pushed::Overflow => {
                self.counters.bump(Counter::ControlOverflow);
                if to.is_none() {
                    self.close(link);
                }
            }
            Pushed::Waits | Pushed::Gone => {}
        }
    }

    fn close(&mut self, link: LinkId) {
        self.forget(link);
        self.actions.push_back(Action::Close { link });
    }

    pub(super) fn name(&mut self) -> LinkId {
        self.last_link = LinkId(self.last_link.0.saturating_add(1));
        self.last_link
    }

    pub(super) fn forget(&mut self, link: LinkId) {
        self.streams.remove(&link);
        self.forget_callback(link);
        self.idle.stop(link);
        self.outbox.close(link);
    }
}

/// The group and the cookie of a frame that asks the service for something.
fn request(frame: &Frame) -> Option<(GroupId, u64)> {
    match frame {
        Frame::Report(report) => Some((report.group, report.cookie)),
        Frame::Depart { group, cookie, .. } | Frame::Survey { group, cookie, .. } => {
            Some((*group, *cookie))
        }
        _ => None,
    }
}

pub(super) fn packet_counter(error: DecodeError) -> Counter {
    match error {
        DecodeError::UnknownVersion(_) => Counter::DroppedVersion,
        DecodeError::UnknownSuite(_) => Counter::DroppedSuite,
        _ => Counter::DroppedTruncated,
    }
}
