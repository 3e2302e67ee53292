//! Datagrams between hosts: questions, answers, and round trips. They need no link, and may be
//! lost.
//!
//! An address that a datagram came from is believed for an answer that is no longer than the
//! question, and for nothing else; so nothing is kept about whoever asks.

use super::*;
use crate::wire::{Beat, MAX_DATAGRAM_BYTES};

/// The most round trips that are being measured; the oldest is given up.
const MAX_MEASURED: usize = 1_024;

/// A round trip that is being measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    host: HostId,
    at: SocketAddr,
    need: Need,
}

/// How a host that asked is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::node) struct Asker {
    /// Where its question came from.
    at: SocketAddr,
    /// How many bytes may still go there.
    room: usize,
}

impl Links {
    /// Takes in a datagram that came by UDP.
    pub(super) fn unicast(&mut self, from: SocketAddr, mut frames: Frames, len: usize) {
        let sender = frames.header().sender;
        let whole = frames.clone();
        if let Some(Ok(Frame::Flow { token, number })) = frames.next() {
            return self.flow_packet(from, sender, token, number, frames);
        }
        let frames = whole;
        let mut speaker: Option<Hello> = None;
        let mut asker = Asker { at: from, room: len };
        for frame in frames {
            match frame {
                Ok(Frame::Tunnel { shows, wants }) => {
                    // One answer at most, and no longer than the question.
                    return self.called(from, sender, shows, wants);
                }
                Ok(Frame::Hello(hello)) if hello.host.tag() == sender => {
                    speaker = Some(hello).filter(|hello| hello.host != self.me.host);
                }
                Ok(Frame::Beat(beat)) if beat.echo == 0 => self.echo(&mut asker, beat),
                Ok(Frame::Beat(beat)) => self.on_echo(from, sender, beat),
                Ok(Frame::Protocol { group, patch, body }) => match &speaker {
                    Some(by) => {
                        let by = by.clone();
                        let inbound = Inbound::Told { by, asker, group, patch, body };
                        self.inbox.push_back(inbound);
                    }
                    None => self.counters.bump(Counter::DroppedStranger),
                },
                Ok(frame) => {
                    let from = From::Datagram(from, sender);
                    self.inbox.push_back(Inbound::Frame { from, frame });
                }
                Err(_) => self.counters.bump(Counter::DroppedMalformed),
            }
        }
    }

    /// Sends a frame to an address by UDP; with `pad`, an answer may have the full length.
    pub(in crate::node) fn tell(&mut self, to: SocketAddr, frame: &Frame, pad: bool) {
        let bytes = self.introduced(frame);
        self.queue_datagram(to, bytes, if pad { MAX_DATAGRAM_BYTES } else { 0 });
    }

    /// Sends a frame to where a question came from, if it is not longer than that; says whether.
    pub(in crate::node) fn answer(&mut self, asker: &mut Asker, frame: &Frame) -> bool {
        let bytes = self.introduced(frame);
        let fits = self.take_room(asker, bytes.len());
        if fits {
            self.queue_datagram(asker.at, bytes, 0);
        }
        fits
    }

    /// Measures the round trip to a host by UDP, for a patch; [`Inbound::Measured`] follows, if the
    /// datagram and its echo come through.
    pub(in crate::node) fn measure(&mut self, host: HostId, at: SocketAddr, need: Need) {
        let last = self.measured.last_key_value().map_or(0, |(&stamp, _)| stamp);
        let stamp = self.now.as_nanos().max(last.saturating_add(1));
        if self.measured.len() >= MAX_MEASURED {
            self.measured.pop_first();
        }
        self.measured.insert(stamp, Measured { host, at, need });
        self.beat(at, stamp, 0);
    }

    fn beat(&mut self, to: SocketAddr, stamp: u64, echo: u64) {
        let mut bytes = Vec::new();
        Frame::Beat(Beat { stamp, echo, held: 0, next_ms: 0, needed: false }).encode(&mut bytes);
        self.queue_datagram(to, bytes, 0);
    }

    /// Gives a stamp back.
    fn echo(&mut self, asker: &mut Asker, beat: Beat) {
        let len = beat_bytes();
        if beat.stamp != 0 && self.take_room(asker, len) {
            self.beat(asker.at, 0, beat.stamp);
        }
    }

    /// A stamp came back.
    fn on_echo(&mut self, from: SocketAddr, sender: HostTag, beat: Beat) {
        let asked = self.measured.get(&beat.echo).copied();
        let asked = asked.filter(|asked| asked.at == from && asked.host.tag() == sender);
        let Some(Measured { host, need, .. }) = asked else {
            return self.counters.bump(Counter::DroppedStranger);
        };
        self.measured.remove(&beat.echo);
        let rtt = self.now.since(Time::from_nanos(beat.echo));
        self.inbox.push_back(Inbound::Measured { host, need, rtt });
    }

    /// A frame behind one that says who sends it.
    fn introduced(&self, frame: &Frame) -> Vec<u8> {
        let mut bytes = Vec::new();
        Frame::Hello(self.me.clone()).encode(&mut bytes);
        frame.encode(&mut bytes);
        bytes
    }

    fn take_room(&mut self, asker: &mut Asker, len: usize) -> bool {
        let len = len.saturating_add(Header::BYTES);
        let left = asker.room.checked_sub(len);
        match left {
            Some(left) => asker.room = left,
            None => self.counters.bump(Counter::Unproven),
        }
        left.is_some()
    }
}

/// The bytes of a beat behind the header.
fn beat_bytes() -> usize {
    let mut bytes = Vec::new();
    let beat = Beat { stamp: 0, echo: 0, held: 0, next_ms: 0, needed: false };
    Frame::Beat(beat).encode(&mut bytes);
    bytes.len()
}

#[cfg(test)]
mod tests;
