//! What hosts send, by kind.

use bytes::Bytes;
use quilt_proto::ipmc;
use quilt_proto::protocol::Body;
use quilt_proto::wire::{Frame, Frames, PREFIX_BYTES, Reader};
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
    /// Bytes of the packets that carry payload, without it.
    pub header_bytes: u64,
    /// Bytes of packets without payload.
    pub control_bytes: u64,
    /// Payload that was asked for, and packets that ask for it.
    pub repair_bytes: u64,
    /// Fragments that left their region.
    pub border_fragments: u64,
    /// Payload bytes that left their region without having been asked for.
    pub border_bytes: u64,
    /// Packets without payload, by millisecond.
    pub control_per_ms: Vec<u32>,
}

/// What is in a packet.
#[derive(Default)]
struct Content {
    fragments: u64,
    payload: u64,
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
    /// frame in it.
    pub(crate) fn sent(
        &mut self,
        now: Time,
        path: Path,
        bytes: &Chunks,
        leaves: bool,
        each: impl FnMut(&Frame),
    ) {
        let Content { fragments, payload, solicited, asks } = Content::of(path, bytes, each);
        let len = bytes.len() as u64;
        self.packets += 1;
        self.bytes += len;
        self.payload_bytes += payload;
        self.repair_bytes += solicited + if asks { len - payload } else { 0 };
        if payload == 0 {
            self.control_bytes += len;
            let ms = (now.as_nanos() / 1_000_000) as usize;
            if self.control_per_ms.len() <= ms {
                self.control_per_ms.resize(ms + 1, 0);
            }
            self.control_per_ms[ms] += 1;
        } else {
            self.header_bytes += len - payload;
            self.border_fragments += if leaves { fragments } else { 0 };
            self.border_bytes += if leaves { payload - solicited } else { 0 };
        }
    }
}
