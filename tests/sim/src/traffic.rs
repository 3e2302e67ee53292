//! What hosts send, by kind.

use bytes::Bytes;
use quilt_proto::ipmc;
use quilt_proto::protocol::Body;
use quilt_proto::wire::{Frame, Frames, Header, PREFIX_BYTES, Reader};
use quilt_proto::{Chunks, Time};

/// By which way a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// A stream.
    Stream,
    /// A datagram for one host.
    Datagram,
    /// A datagram for a multicast address.
    Multicast,
}

/// Bytes and packets that all hosts sent, each transmission once.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes of packets, without IP, UDP and TCP headers.
    pub bytes: u64,
    /// Payload bytes in them.
    pub payload_bytes: u64,
    /// Heads of the frames that carry payload, and of their packets.
    pub header_bytes: u64,
    /// Bytes of all other frames, and heads of the packets that carry nothing else.
    pub control_bytes: u64,
    /// Payload that was asked for, and packets that ask for it.
    pub repair_bytes: u64,
    /// Fragments that left their region.
    pub border_fragments: u64,
    /// Payload bytes that came into a region without having been asked for.
    pub foreign_bytes: u64,
    /// From when on control bytes count.
    pub counts_from: Time,
    /// Packets without payload, by millisecond.
    pub control_per_ms: Vec<u32>,
    /// Packets with frames of OMNI, by millisecond.
    pub omni_per_ms: Vec<u32>,
}

/// What is in a packet.
#[derive(Default)]
struct Content {
    fragments: u64,
    payload: u64,
    /// Heads of the frames with payload.
    heads: u64,
    solicited: u64,
    asks: bool,
}

impl Content {
    fn of(path: Path, bytes: &Chunks, mut each: impl FnMut(&Frame)) -> Self {
        let mut packet = bytes.clone();
        if path == Path::Stream {
            packet.split_to(PREFIX_BYTES);
        }
        let mut content = Self::default();
        for frame in Frames::decode(packet).into_iter().flatten().flatten() {
            each(&frame);
            match frame {
                Frame::Data(data) => {
                    let len = data.payload.len() as u64;
                    content.fragments += 1;
                    content.payload += len;
                    content.heads += data.head_bytes() as u64;
                    content.solicited += if data.solicited { len } else { 0 };
                }
                Frame::Pull(_) => content.asks = true,
                Frame::Protocol { body, .. } => {
                    content.asks |= path == Path::Multicast && is_nack(&body);
                }
                _ => {}
            }
        }
        content
    }
}

/// Whether a frame of IPMC, the protocol that multicasts, asks for something.
fn is_nack(body: &Bytes) -> bool {
    matches!(ipmc::Frame::decode(&mut Reader::new(body)), Ok(ipmc::Frame::Nack { .. }))
}

impl Traffic {
    /// Counts a packet that a host sends, and whether it leaves its region; `each` is shown each
    /// frame in it. How many payload bytes leave the region without having been asked for.
    pub(crate) fn sent(
        &mut self,
        now: Time,
        path: Path,
        bytes: &Chunks,
        leaves: bool,
        each: impl FnMut(&Frame),
    ) -> u64 {
        let Content { fragments, payload, heads, solicited, asks } = Content::of(path, bytes, each);
        let len = bytes.len() as u64;
        let packet_head =
            Header::BYTES as u64 + if path == Path::Stream { PREFIX_BYTES as u64 } else { 0 };
        let headers = if fragments > 0 { heads + packet_head } else { 0 };
        let control = len.saturating_sub(payload + headers);
        self.packets += 1;
        self.bytes += len;
        self.payload_bytes += payload;
        self.repair_bytes += solicited + if asks { len - payload } else { 0 };
        self.header_bytes += headers;
        if now >= self.counts_from {
            self.control_bytes += control;
        }
        if payload == 0 {
            count(&mut self.control_per_ms, now);
        } else {
            self.border_fragments += if leaves { fragments } else { 0 };
        }
        if leaves { payload - solicited } else { 0 }
    }

    /// The packet that was counted just now has frames of OMNI.
    pub(crate) fn was_omni(&mut self, now: Time) {
        count(&mut self.omni_per_ms, now);
    }
}

/// One more in the millisecond that it is.
fn count(per_ms: &mut Vec<u32>, now: Time) {
    let ms = (now.as_nanos() / 1_000_000) as usize;
    if per_ms.len() <= ms {
        per_ms.resize(ms + 1, 0);
    }
    per_ms[ms] += 1;
}
