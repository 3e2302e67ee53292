//! What the ends of a stream send each other.

use std::ops::Range;

/// Payload bytes of a segment at most: an Ethernet frame's, without IP and TCP headers.
pub const MSS: usize = 1_448;
/// Headers of a segment, IPv4 and TCP with timestamps.
pub const HEADER_BYTES: usize = 52;

/// What one end sends the other.
#[derive(Clone, Debug, Default)]
pub struct Segment {
    /// Opens the stream; answered by one that acknowledges it.
    pub syn: bool,
    /// Answers a segment that opens the stream.
    pub accepts: bool,
    /// Nothing follows behind its bytes.
    pub fin: bool,
    /// There is no such stream.
    pub rst: bool,
    /// Where its bytes stand in the stream.
    pub seq: u64,
    /// How many bytes of the stream it carries; may be none.
    pub len: u64,
    /// Everything before it has come.
    pub ack: u64,
    /// How many bytes from `ack` on there is room for.
    pub window: u64,
    /// What has come beyond, at most three runs; the one that grew last comes first.
    pub sacked: Vec<Range<u64>>,
}

impl Segment {
    /// How many bytes it is on the wire.
    pub fn wire_bytes(&self) -> usize {
        HEADER_BYTES + self.len as usize
    }
}
