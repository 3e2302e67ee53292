//! Packets: the header, and the frames behind it.

use super::{
    DecodeError, Frame, MAX_STREAM_PACKET_BYTES, Reader, SUITE_OPEN, VERSION, codec, frame,
};
use crate::{Chunks, HostTag};
use alloc::vec::Vec;

/// What every packet starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The security suite; [`SUITE_OPEN`] in this version.
    pub suite: u8,
    /// Which of the group's keys; 0 in the open suite.
    pub key_epoch: u16,
    /// Who sent the packet.
    pub sender: HostTag,
    /// Rises with each packet of the sender.
    pub number: u64,
}

impl Header {
    /// Its bytes on the wire.
    pub const BYTES: usize = 20;

    /// Its bytes, the format's version in front.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        codec::pack(&[
            &[VERSION, self.suite],
            &self.key_epoch.to_be_bytes(),
            &self.sender.0.to_be_bytes(),
            &self.number.to_be_bytes(),
        ])
    }

    /// Reads it, the version first: of another one nothing else is known.
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = from.u8()?;
        if version != VERSION {
            return Err(DecodeError::UnknownVersion(version));
        }
        let header = Self {
            suite: from.u8()?,
            key_epoch: from.u16()?,
            sender: HostTag(from.u64()?),
            number: from.u64()?,
        };
        if header.suite != SUITE_OPEN || header.key_epoch != 0 {
            return Err(DecodeError::UnknownSuite(header.suite));
        }
        Ok(header)
    }
}

/// The frames of one received packet, decoded one by one.
#[derive(Clone, Debug)]
pub struct Frames {
    header: Header,
    rest: Chunks,
}

impl Frames {
    /// Checks the header of a received packet.
    ///
    /// # Errors
    /// The packet is too short, too long, or of another version, suite or key epoch.
    pub fn decode(packet: impl Into<Chunks>) -> Result<Self, DecodeError> {
        let mut rest = packet.into();
        let (len, max) = (rest.len(), MAX_STREAM_PACKET_BYTES);
        let header = Header::decode(&mut Reader::over(&rest))?;
        if len > max {
            return Err(DecodeError::TooLong { len, max });
        }
        rest.split_to(Header::BYTES);
        Ok(Self { header, rest })
    }

    /// The packet's header.
    pub fn header(&self) -> Header {
        self.header
    }

    /// Who sent the packet.
    pub fn sender(&self) -> HostTag {
        self.header.sender
    }

    /// Cuts the next frame off; its kind, its flags and what stands behind its head.
    fn cut(&mut self) -> Result<(u8, u8, Chunks), DecodeError> {
        let mut from = Reader::over(&self.rest);
        let (kind, flags) = (from.u8()?, from.u8()?);
        let len = usize::from(from.u16()?);
        from.need(len)?;
        self.rest.split_to(frame::HEAD_BYTES);
        Ok((kind, flags, self.rest.split_to(len)))
    }
}

impl Iterator for Frames {
    type Item = Result<Frame, DecodeError>;

    /// The next frame. After an error in one frame the next is still read, as long as the length of
    /// the bad one is known.
    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match self.cut() {
                Ok((kind, flags, body)) => match Frame::decode(kind, flags, &body).transpose() {
                    None => {}
                    frame => return frame,
                },
                Err(error) => {
                    self.rest = Chunks::default();
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// A frame of `len` bytes that says nothing and that receivers step over; no bytes at all if `len`
/// is less than a frame's head of 4. It fills the first [`Report`](super::Report) up to
/// [`MAX_DATAGRAM_BYTES`](super::MAX_DATAGRAM_BYTES), since the bootstrap service answers with no
/// more than it got.
pub fn padding(len: usize) -> Vec<u8> {
    let Some(body) = len.checked_sub(frame::HEAD_BYTES) else { return Vec::new() };
    let body = u16::try_from(body).unwrap_or(u16::MAX);
    let [high, low] = body.to_be_bytes();
    let mut bytes = Vec::from([frame::PADDING, 0, high, low]);
    bytes.resize(frame::HEAD_BYTES.saturating_add(usize::from(body)), 0);
    bytes
}
