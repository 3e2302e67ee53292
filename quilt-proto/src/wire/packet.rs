//! Packets: the header, and the frames behind it.

use super::{DecodeError, Frame};
use crate::HostTag;
use bytes::Bytes;

/// What every packet starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The security suite; [`SUITE_OPEN`](super::SUITE_OPEN) in this version.
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
}

/// The frames of one received packet, decoded one by one.
#[derive(Clone, Debug)]
pub struct Frames {
    header: Header,
    rest: Bytes,
}

impl Frames {
    /// Checks the header of a received packet.
    ///
    /// # Errors
    /// The packet is too short, too long, or of another version, suite or key epoch.
    pub fn decode(packet: Bytes) -> Result<Self, DecodeError> {
        let _ = packet;
        Err(DecodeError::UnknownVersion(0))
    }

    /// The packet's header.
    pub fn header(&self) -> Header {
        self.header
    }
}

impl Iterator for Frames {
    type Item = Result<Frame, DecodeError>;

    /// The next frame. After an error in one frame the next is still read, as long as the length of
    /// the bad one is known.
    fn next(&mut self) -> Option<Self::Item> {
        let _ = &self.rest;
        None
    }
}
