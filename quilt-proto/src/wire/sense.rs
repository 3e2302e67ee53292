//! The bodies of [`Sense`], [`Sensed`] and [`Sight`].

use super::{DecodeError, Reader, Reply, Sense, Sensed, Sight, Writer};
use alloc::vec::Vec;

impl Sense {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u64(self.nonce);
        out.u64(self.cookie);
        let (kind, port) = match self.reply {
            Reply::Here => (1, 0),
            Reply::OtherPort => (2, 0),
            Reply::OtherAddress => (3, 0),
            Reply::Stream { port } => (4, port),
        };
        out.u8(kind);
        out.u16(port);
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (nonce, cookie) = (from.u64()?, from.u64()?);
        let reply = match (from.u8()?, from.u16()?) {
            (1, _) => Reply::Here,
            (2, _) => Reply::OtherPort,
            (3, _) => Reply::OtherAddress,
            (4, port @ 1..) => Reply::Stream { port },
            _ => return Err(DecodeError::BadValue("reply")),
        };
        Ok(Self { nonce, cookie, reply })
    }
}

impl Sensed {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u64(self.nonce);
        out.u64(self.cookie);
        out.address(self.seen);
        out.u16(self.other_port.unwrap_or(0));
        out.list(1, self.other_address, |out, address| out.address(address));
        out.bool(self.unreachable);
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            nonce: from.u64()?,
            cookie: from.u64()?,
            seen: from.address()?,
            other_port: Some(from.u16()?).filter(|&port| port != 0),
            other_address: from.list::<_, Vec<_>>(1, Reader::address)?.pop(),
            unreachable: from.bool("unreachable")?,
        })
    }
}

impl Sight {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u64(self.segment.unwrap_or(0));
        out.bool(self.asks);
        out.list(Self::MAX_HEARD, &self.heard, |out, &tag| out.tag(tag));
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let segment = Some(from.u64()?).filter(|&segment| segment != 0);
        let asks = from.bool("asks")?;
        Ok(Self { segment, asks, heard: from.list(Self::MAX_HEARD, Reader::tag)? })
    }
}
