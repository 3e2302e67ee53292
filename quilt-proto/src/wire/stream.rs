//! Packets on a stream.

use super::{DecodeError, Header, MAX_STREAM_PACKET_BYTES, Reader};
use crate::Chunks;
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
    fresh: Chunks,
}

impl Assembler {
    /// What stands in front of a packet of `packet_bytes`, at most
    /// [`MAX_STREAM_PACKET_BYTES`].
    pub fn prefix(packet_bytes: usize) -> [u8; PREFIX_BYTES] {
        debug_assert!(packet_bytes <= MAX_STREAM_PACKET_BYTES, "{packet_bytes} bytes");
        u16::try_from(packet_bytes).unwrap_or(u16::MAX).to_be_bytes()
    }

    /// Takes the next bytes of the stream, without copying them where packets lie in them whole.
    /// Call [`next_packet`](Self::next_packet) until it has none before the next push.
    pub fn push(&mut self, bytes: impl Into<Chunks>) {
        if self.fresh.is_empty() {
            self.fresh = bytes.into();
        } else {
            self.fresh.extend(bytes.into());
        }
    }

    /// The next whole packet.
    ///
    /// # Errors
    /// The announced length is one that no packet has. The stream cannot be read any further, and
    /// what was pushed is forgotten.
    pub fn next_packet(&mut self) -> Result<Option<Chunks>, DecodeError> {
        let packet = self.cut();
        if packet.is_err() {
            *self = Self::default();
        }
        packet
    }

    fn cut(&mut self) -> Result<Option<Chunks>, DecodeError> {
        if !self.partial.is_empty() {
            return self.complete();
        }
        if let Ok(prefix) = Reader::over(&self.fresh).array() {
            let len = announced(prefix)?;
            if len <= self.fresh.len() {
                let mut packet = self.fresh.split_to(len);
                packet.split_to(PREFIX_BYTES);
                return Ok(Some(packet));
            }
            self.partial.reserve_exact(len);
        }
        self.fill(usize::MAX);
        Ok(None)
    }

    /// Goes on with the packet that has begun.
    fn complete(&mut self) -> Result<Option<Chunks>, DecodeError> {
        self.fill(PREFIX_BYTES);
        let Some(&prefix) = self.partial.first_chunk() else { return Ok(None) };
        let len = announced(prefix)?;
        self.partial.reserve_exact(len.saturating_sub(self.partial.len()));
        self.fill(len);
        if self.partial.len() < len {
            return Ok(None);
        }
        let packet = Bytes::from(mem::take(&mut self.partial));
        Ok(Some(packet.slice(PREFIX_BYTES..).into()))
    }

    /// Moves fresh bytes over until `partial` has `len`.
    fn fill(&mut self, len: usize) {
        let missing = len.saturating_sub(self.partial.len()).min(self.fresh.len());
        let moved = self.fresh.split_to(missing);
        moved.chunks().iter().for_each(|chunk| self.partial.extend_from_slice(chunk));
    }
}

/// The length of a packet with this in front of it, which is counted in.
fn announced(prefix: [u8; PREFIX_BYTES]) -> Result<usize, DecodeError> {
    let len = usize::from(u16::from_be_bytes(prefix));
    if len > MAX_STREAM_PACKET_BYTES {
        return Err(DecodeError::TooLong { len, max: MAX_STREAM_PACKET_BYTES });
    }
    if len < Header::BYTES {
        return Err(DecodeError::Truncated { have: len, need: Header::BYTES });
    }
    Ok(len.saturating_add(PREFIX_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// All packets of a stream that is there at once.
    fn naive(mut stream: &[u8]) -> Vec<Bytes> {
        let mut packets = Vec::new();
        while let [high, low, rest @ ..] = stream {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            let Some((packet, behind)) = rest.split_at_checked(len) else { break };
            packets.push(Bytes::copy_from_slice(packet));
            stream = behind;
        }
        packets
    }

    fn stream(packets: &[Vec<u8>]) -> Vec<u8> {
        let with_prefix = |p: &Vec<u8>| [&Assembler::prefix(p.len())[..], p].concat();
        packets.iter().flat_map(with_prefix).collect()
    }

    fn drain(assembler: &mut Assembler) -> Vec<Bytes> {
        let packets = core::iter::from_fn(|| assembler.next_packet().expect("a good stream"));
        packets.map(Chunks::into_bytes).collect()
    }

    proptest! {
        #[test]
        fn packets_come_out_wherever_the_stream_is_cut(
            packets in vec(vec(any::<u8>(), Header::BYTES..90), 0..12),
            missing in 0_usize..40,
            cuts in vec(1_usize..100, 0..60),
            drains in vec(any::<bool>(), 60),
            pieces in 1_usize..4,
        ) {
            let mut whole = stream(&packets);
            whole.truncate(whole.len().saturating_sub(missing));
            let mut rest = Bytes::from(whole.clone());
            let mut assembler = Assembler::default();
            let mut got = Vec::new();
            let mut drains: VecDeque<bool> = drains.into();
            for cut in cuts {
                let mut fresh = rest.split_to(cut.min(rest.len()));
                let piece = fresh.len().div_ceil(pieces).max(1);
                let starts = (0..fresh.len()).step_by(piece);
                let piece = |_| fresh.split_to(piece.min(fresh.len()));
                assembler.push(starts.map(piece).collect::<Chunks>());
                if drains.pop_front() == Some(true) {
                    got.extend(drain(&mut assembler));
                }
            }
            assembler.push(rest);
            got.extend(drain(&mut assembler));
            prop_assert_eq!(got, naive(&whole));
        }

        #[test]
        fn no_stream_panics_it(chunks in vec(vec(any::<u8>(), 0..40), 0..20)) {
            let mut assembler = Assembler::default();
            for chunk in chunks {
                assembler.push(chunk);
                while let Ok(Some(packet)) = assembler.next_packet() {
                    prop_assert!((Header::BYTES..=MAX_STREAM_PACKET_BYTES).contains(&packet.len()));
                }
            }
        }
    }

    #[test]
    fn a_packet_that_came_whole_is_not_copied() {
        let mut assembler = Assembler::default();
        let received = Bytes::from(stream(&[[1; 30].to_vec(), [2; 30].to_vec()]));
        assembler.push(received.clone());
        let packets = drain(&mut assembler);
        assert_eq!(packets.len(), 2);
        assert!(packets.iter().all(|p| received.as_ptr_range().contains(&p.as_ptr())));
    }

    #[test]
    fn a_length_that_no_packet_has_ends_the_stream_and_frees_what_it_held() {
        let max = MAX_STREAM_PACKET_BYTES;
        let cases = [
            (max + 1, DecodeError::TooLong { len: max + 1, max }),
            (Header::BYTES - 1, DecodeError::Truncated { have: 19, need: 20 }),
        ];
        for (len, error) in cases {
            let [high, low] = u16::try_from(len).expect("two bytes").to_be_bytes();
            for chunks in [&[&[high, low, 0][..]][..], &[&[high], &[low]]] {
                let mut assembler = Assembler::default();
                let mut last = Ok(None);
                for chunk in chunks {
                    assembler.push(Bytes::copy_from_slice(chunk));
                    last = assembler.next_packet();
                }
                assert_eq!(last, Err(error));
                assert!(assembler.partial.is_empty() && assembler.fresh.is_empty());
            }
        }
    }

    #[test]
    fn the_longest_packet_fits_byte_by_byte_and_no_more_is_kept() {
        let mut assembler = Assembler::default();
        let bytes = stream(&[alloc::vec![3; MAX_STREAM_PACKET_BYTES]]);
        let mut got = Vec::new();
        for byte in bytes {
            assembler.push(Bytes::copy_from_slice(&[byte]));
            got.extend(drain(&mut assembler));
            assert!(assembler.fresh.is_empty());
            assert!(assembler.partial.capacity() <= PREFIX_BYTES + MAX_STREAM_PACKET_BYTES);
        }
        assert_eq!(got, [alloc::vec![3; MAX_STREAM_PACKET_BYTES]]);
    }
}
