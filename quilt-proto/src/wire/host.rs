//! The bodies of the frames that hosts send each other, but [`Data`](super::Data).

use super::{Ack, Beat, DecodeError, Held, Hello, Pull, Range, Reader, Segment, Wanted, Writer};

impl Hello {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.host(self.host);
        out.incarnation(self.incarnation);
        out.addresses(&self.addresses);
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            host: from.host()?,
            incarnation: from.incarnation()?,
            addresses: from.addresses()?,
        })
    }
}

impl Beat {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u64(self.stamp);
        out.u64(self.echo);
        out.u64(self.held);
        out.u16(self.next_ms);
        out.bool(self.needed);
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            stamp: from.u64()?,
            echo: from.u64()?,
            held: from.u64()?,
            next_ms: from.u16()?,
            needed: from.bool("needed")?,
        })
    }
}

impl Ack {
    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { next: from.u16()?, got: from.u64()?, held_us: from.u32()? })
    }
}

impl Segment {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        debug_assert!(self.bytes.len() <= Self::MAX_BYTES, "{} bytes", self.bytes.len());
        out.u32(self.number);
        out.u32(self.next);
        out.raw(self.bytes.get(..Self::MAX_BYTES).unwrap_or(&self.bytes));
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (number, next, bytes) = (from.u32()?, from.u32()?, from.rest());
        if bytes.len() > Self::MAX_BYTES {
            return Err(DecodeError::TooLong { len: bytes.len(), max: Self::MAX_BYTES });
        }
        Ok(Self { number, next, bytes })
    }
}

impl Held {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.host(self.host);
        out.incarnation(self.incarnation);
        out.seq(self.low);
        out.seq(self.next);
        out.seq(self.mark);
        out.list(Self::MAX_MISSING, &self.missing, |out, range| {
            out.seq(range.from);
            out.seq(range.to);
        });
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let held = Self {
            host: from.host()?,
            incarnation: from.incarnation()?,
            low: from.seq()?,
            next: from.seq()?,
            mark: from.seq()?,
            missing: from.list(Self::MAX_MISSING, Reader::range)?,
        };
        let apart = |pair: &[Range]| matches!(pair, [a, b] if a.to < b.from);
        let within = held.missing.iter().all(|r| held.low <= r.from && r.to <= held.next);
        if held.low > held.next || !within || !held.missing.windows(2).all(apart) {
            return Err(DecodeError::BadValue("missing"));
        }
        if !(held.low..=held.next).contains(&held.mark) {
            return Err(DecodeError::BadValue("mark"));
        }
        Ok(held)
    }
}

impl Pull {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.group(self.group);
        out.patch(self.patch);
        out.list(Self::MAX_WANTED, &self.wanted, |out, wanted| wanted.encode(out));
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group: from.group()?,
            patch: from.patch()?,
            wanted: from.list(Self::MAX_WANTED, Wanted::decode)?,
        })
    }
}

impl Wanted {
    pub(crate) fn encode(self, out: &mut Writer<'_>) {
        out.fragment(self.first);
        out.u16(self.last);
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let wanted = Self { first: from.fragment()?, last: from.u16()? };
        if wanted.last < wanted.first.index {
            return Err(DecodeError::BadValue("last"));
        }
        Ok(wanted)
    }
}
