//! How a file travels as messages: a start, chunks in order, an end with the digest.
//!
//! Everything is counted by source, so the transfers of several senders never mix. A message
//! starts with four bytes and its kind; numbers are big-endian:
//!
//! | part  | kind | then |
//! |-------|------|------|
//! | start | 1    | length or 2^64-1 if unknown (8), name (rest, at most 255) |
//! | chunk | 2    | offset (8), sent at, in nanoseconds since 1970 (8), bytes (rest) |
//! | end   | 3    | length (8), SHA-256 (32) |

use crate::latency::Latencies;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::{self, Read};
use std::time::{Instant, SystemTime};

const MAGIC: &[u8; 4] = b"QTR1";
const START: u8 = 1;
const CHUNK: u8 = 2;
const END: u8 = 3;
/// The bytes of a chunk's message ahead of those of the file.
pub(crate) const CHUNK_HEAD_BYTES: usize = 21;
const MAX_NAME_BYTES: usize = 255;

/// One message of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Start { name: String, length: Option<u64> },
    Chunk { offset: u64, sent_at: u64, bytes: Bytes },
    End { length: u64, digest: Digest },
}

/// A SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest(pub(crate) [u8; 32]);

impl Digest {
    /// The digest of all that `from` gives.
    pub(crate) fn of(mut from: impl Read) -> io::Result<Self> {
        let (mut hash, mut bytes) = (Sha256::new(), [0; 64 << 10]);
        loop {
            match from.read(&mut bytes)? {
                0 => return Ok(Self(hash.finalize().into())),
                read => hash.update(&bytes[..read]),
            }
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Part {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(64);
        out.put_slice(MAGIC);
        match self {
            Self::Start { name, length } => {
                out.put_u8(START);
                out.put_u64(length.unwrap_or(u64::MAX));
                let fits = |&end: &usize| end <= MAX_NAME_BYTES && name.is_char_boundary(end);
                out.put_slice(&name.as_bytes()[..(0..=name.len()).rev().find(fits).unwrap_or(0)]);
            }
            Self::Chunk { offset, sent_at, bytes } => {
                put_chunk_head(&mut out, *offset, *sent_at);
                out.put_slice(bytes);
            }
            Self::End { length, digest } => {
                out.put_u8(END);
                out.put_u64(*length);
                out.put_slice(&digest.0);
            }
        }
        out.freeze()
    }

    /// The part that a message is; `None` if it is not of a transfer.
    pub(crate) fn decode(mut message: Bytes) -> Option<Self> {
        if message.get(..4)? != MAGIC {
            return None;
        }
        message.advance(4);
        match message.try_get_u8().ok()? {
            START => {
                let length = message.try_get_u64().ok()?;
                let name = String::from_utf8(message.to_vec()).ok()?;
                let length = (length != u64::MAX).then_some(length);
                (name.len() <= MAX_NAME_BYTES).then_some(Self::Start { name, length })
            }
            CHUNK => {
                let offset = message.try_get_u64().ok()?;
                let sent_at = message.try_get_u64().ok()?;
                Some(Self::Chunk { offset, sent_at, bytes: message })
            }
            END => {
                let length = message.try_get_u64().ok()?;
                let digest = Digest(message.as_ref().try_into().ok()?);
                Some(Self::End { length, digest })
            }
            _ => None,
        }
    }
}

/// A chunk's head behind the magic, for whoever reads the bytes of the file right behind it.
fn put_chunk_head(out: &mut BytesMut, offset: u64, sent_at: u64) {
    out.put_u8(CHUNK);
    out.put_u64(offset);
    out.put_u64(sent_at);
}

/// Nanoseconds since 1970 by the wall clock.
pub(crate) fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The sending side: offsets and the digest.
#[derive(Default)]
pub(crate) struct Outgoing {
    offset: u64,
    hash: Sha256,
}

impl Outgoing {
    /// Room for the head of a chunk, behind which its bytes are to be read.
    pub(crate) fn room(chunk_bytes: usize) -> BytesMut {
        let mut message = BytesMut::with_capacity(CHUNK_HEAD_BYTES + chunk_bytes);
        message.put_bytes(0, CHUNK_HEAD_BYTES);
        message
    }

    /// The message of the next chunk, whose bytes were read behind [`room`](Self::room).
    pub(crate) fn chunk(&mut self, message: BytesMut) -> Bytes {
        let mut message = message;
        let mut head = BytesMut::with_capacity(CHUNK_HEAD_BYTES);
        head.put_slice(MAGIC);
        put_chunk_head(&mut head, self.offset, unix_nanos());
        message[..CHUNK_HEAD_BYTES].copy_from_slice(&head);
        let bytes = &message[CHUNK_HEAD_BYTES..];
        self.hash.update(bytes);
        self.offset = self.offset.saturating_add(bytes.len() as u64);
        message.freeze()
    }

    /// The bytes so far.
    pub(crate) fn length(&self) -> u64 {
        self.offset
    }

    /// The end.
    pub(crate) fn end(self) -> (Bytes, Digest) {
        let digest = Digest(self.hash.finalize().into());
        (Part::End { length: self.offset, digest }.encode(), digest)
    }
}

/// The receiving side of one transfer.
pub(crate) struct Incoming {
    pub(crate) name: String,
    pub(crate) length: Option<u64>,
    /// The bytes so far.
    pub(crate) received: u64,
    pub(crate) latencies: Latencies,
    pub(crate) started: Instant,
    hash: Sha256,
}

/// Why a transfer cannot be whole any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Bytes from this offset on did not come.
    Hole { at: u64 },
    /// All bytes came, but they are not those that were sent.
    Digest,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hole { at } => write!(f, "the bytes from {at} on did not come"),
            Self::Digest => f.write_str("its digest is not the sender's"),
        }
    }
}

impl Incoming {
    pub(crate) fn new(name: String, length: Option<u64>) -> Self {
        Self {
            name,
            length,
            received: 0,
            latencies: Latencies::default(),
            started: Instant::now(),
            hash: Sha256::new(),
        }
    }

    /// Takes the next chunk, which reached this host at `now` (nanoseconds since 1970).
    pub(crate) fn on_chunk(
        &mut self,
        now: u64,
        offset: u64,
        sent_at: u64,
        bytes: &[u8],
    ) -> Result<(), Flaw> {
        if offset != self.received {
            return Err(Flaw::Hole { at: self.received });
        }
        self.hash.update(bytes);
        self.received = self.received.saturating_add(bytes.len() as u64);
        self.latencies.add(now.saturating_sub(sent_at) / 1_000);
        Ok(())
    }

    /// Whether the transfer is what was sent.
    pub(crate) fn verify(&self, length: u64, digest: Digest) -> Result<(), Flaw> {
        if length != self.received {
            return Err(Flaw::Hole { at: self.received });
        }
        let received: [u8; 32] = self.hash.clone().finalize().into();
        (received == digest.0).then_some(()).ok_or(Flaw::Digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(out: &mut Outgoing, bytes: &[u8]) -> Part {
        let mut message = Outgoing::room(bytes.len());
        message.put_slice(bytes);
        Part::decode(out.chunk(message)).unwrap()
    }

    fn take(incoming: &mut Incoming, part: Part) -> Result<(), Flaw> {
        let Part::Chunk { offset, sent_at, bytes } = part else { panic!("not a chunk") };
        incoming.on_chunk(sent_at, offset, sent_at, &bytes)
    }

    #[test]
    fn parts_read_back_as_they_were_written() {
        for part in [
            Part::Start { name: "ü.bin".into(), length: Some(7) },
            Part::Start { name: String::new(), length: None },
            Part::Chunk { offset: 9, sent_at: 8, bytes: Bytes::from_static(b"tea") },
            Part::End { length: 3, digest: Digest([7; 32]) },
        ] {
            assert_eq!(Part::decode(part.encode()), Some(part));
        }
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let part = Part::Start { name: "ü".repeat(200), length: None };
        let Some(Part::Start { name, .. }) = Part::decode(part.encode()) else { panic!() };
        assert_eq!(name, "ü".repeat(127));
    }

    #[test]
    fn what_is_cut_short_or_foreign_is_no_part() {
        let start = Part::Start { name: String::new(), length: Some(1) }.encode();
        let end = Part::End { length: 3, digest: Digest([7; 32]) }.encode();
        for whole in [start, end] {
            for len in 0..whole.len() {
                assert_eq!(Part::decode(whole.slice(..len)), None, "{len}");
            }
        }
        assert_eq!(Part::decode(Bytes::from_static(b"QTR1\x09abc")), None);
        assert_eq!(Part::decode(Bytes::from_static(b"hello")), None);
    }

    #[test]
    fn a_transfer_is_whole_only_with_every_byte_in_its_place() {
        let mut out = Outgoing::default();
        let parts = [chunk(&mut out, b"ab"), chunk(&mut out, b"c")];
        let (end, digest) = out.end();
        assert_eq!(Part::decode(end), Some(Part::End { length: 3, digest }));

        let mut whole = Incoming::new("f".into(), None);
        for part in parts.clone() {
            assert_eq!(take(&mut whole, part), Ok(()));
        }
        assert_eq!(whole.verify(3, digest), Ok(()));
        assert_eq!(whole.verify(3, Digest([0; 32])), Err(Flaw::Digest));

        let [first, second] = parts;
        let mut holed = Incoming::new("f".into(), None);
        assert_eq!(take(&mut holed, second), Err(Flaw::Hole { at: 0 }));
        assert_eq!(take(&mut holed, first), Ok(()));
        assert_eq!(holed.verify(3, digest), Err(Flaw::Hole { at: 2 }));
    }
}
