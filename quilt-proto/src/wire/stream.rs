//! Packets on a stream.

use super::{DecodeError, Header, MAX_STREAM_PACKET_BYTES};
use alloc::vec::Vec;
use bytes::Bytes;
use core::mem;

/// The bytes of the length in front of each packet on a stream.
pub const PREFIX_BYTES: usize = 2;

/// Cuts the bytes of a stream into packets: each has its length in front, [`PREFIX_BYTES`] of it.
///
/// Between a `None` from [`next_packet`](Self::next_packet) and the next [`push`](Self::push) it
/// keeps at most the beginning of one packet.
#[derive(Clone, Debug, Default)]
pub struct Assembler {
    /// The beginning of a packet whose end did not come with it, prefix included.
    partial: Vec<u8>,
    /// What follows it, as it came.
    fresh: Bytes,
}

impl Assembler {
    /// What stands in front of a packet of `packet_bytes`, at most
    /// [`MAX_STREAM_PACKET_BYTES`](super::MAX_STREAM_PACKET_BYTES).
    pub fn prefix(packet_bytes: usize) -> [u8; PREFIX_BYTES] {
        debug_assert!(packet_bytes <= MAX_STREAM_PACKET_BYTES, "{packet_bytes} bytes");
        u16::try_from(packet_bytes).unwrap_or(u16::MAX).to_be_bytes()
    }

    /// Takes the next bytes of the stream, without copying them where packets lie in them whole.
    /// Call [`next_packet`](Self::next_packet) until it has none before the next push.
    pub fn push(&mut self, bytes: Bytes) {
        if self.fresh.is_empty() {
            self.fresh = bytes;
        } else {
            self.fresh = [mem::take(&mut self.fresh), bytes].concat().into();
        }
    }

    /// The next whole packet.
    ///
    /// # Errors
    /// The announced length is one that no packet has. The stream cannot be read any further, and
    /// what was pushed is forgotten.
    pub fn next_packet(&mut self) -> Result<Option<Bytes>, DecodeError> {
        let packet = self.cut();
        if packet.is_err() {
            *self = Self::default();
        }
        packet
    }

    fn cut(&mut self) -> Result<Option<Bytes>, DecodeError> {
        if !self.partial.is_empty() {
            return self.complete();
        }
        if let Some(len) = announced(&self.fresh)? {
            if len <= self.fresh.len() {
                return Ok(Some(self.fresh.split_to(len).slice(PREFIX_BYTES..)));
            }
            self.partial.reserve_exact(len);
        }
        self.fill(usize::MAX);
        Ok(None)
    }

    /// Goes on with the packet that has begun.
    fn complete(&mut self) -> Result<Option<Bytes>, DecodeError> {
        self.fill(PREFIX_BYTES);
        let Some(len) = announced(&self.partial)? else { return Ok(None) };
        self.partial.reserve_exact(len.saturating_sub(self.partial.len()));
        self.fill(len);
        if self.partial.len() < len {
            return Ok(None);
        }
        let packet = Bytes::from(mem::take(&mut self.partial));
        Ok(Some(packet.slice(PREFIX_BYTES..)))
    }

    /// Moves fresh bytes over until `partial` has `len`.
    fn fill(&mut self, len: usize) {
        let missing = len.saturating_sub(self.partial.len()).min(self.fresh.len());
        self.partial.extend_from_slice(&self.fresh.split_to(missing));
    }
}

/// The length of the packet that `bytes` start with, prefix included; `None` if the prefix is not
/// whole.
fn announced(bytes: &[u8]) -> Result<Option<usize>, DecodeError> {
    let Some(&prefix) = bytes.first_chunk::<PREFIX_BYTES>() else {
        return Ok(None);
    };
    let len = usize::from(u16::from_be_bytes(prefix));
    if len > MAX_STREAM_PACKET_BYTES {
        return Err(DecodeError::TooLong { len, max: MAX_STREAM_PACKET_BYTES });
    }
    if len < Header::BYTES {
        return Err(DecodeError::Truncated { have: len, need: Header::BYTES });
    }
    Ok(Some(len.saturating_add(PREFIX_BYTES)))
}
