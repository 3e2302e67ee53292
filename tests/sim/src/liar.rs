//! Hosts that run the machine, and say something else over streams.

use bytes::Bytes;
use quilt_proto::wire::{Assembler, Frame, Frames, MAX_STREAM_PACKET_BYTES, PREFIX_BYTES};
use std::fmt;

/// Puts other frames in the place of each that a host would send over a stream.
pub struct Lie(Box<dyn FnMut(Frame) -> Vec<Frame>>);

impl Lie {
    /// What `lie` makes of each frame. Where that does not fit a packet, the truth is told.
    pub fn new(lie: impl FnMut(Frame) -> Vec<Frame> + 'static) -> Self {
        Self(Box::new(lie))
    }

    /// The packet that goes out in the place of this one.
    pub(crate) fn told(&mut self, packet: Bytes) -> Bytes {
        let inner = packet.slice(PREFIX_BYTES.min(packet.len())..);
        let Ok(frames) = Frames::decode(inner) else { return packet };
        let mut bytes = frames.header().encode().to_vec();
        for frame in frames.flatten().flat_map(&mut self.0) {
            frame.encode(&mut bytes);
        }
        if bytes.len() > MAX_STREAM_PACKET_BYTES {
            return packet;
        }
        let mut told = Assembler::prefix(bytes.len()).to_vec();
        told.append(&mut bytes);
        told.into()
    }
}

impl fmt::Debug for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lie")
    }
}
