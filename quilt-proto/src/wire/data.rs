//! The frame that carries messages.

use super::{Data, DecodeError, FRAGMENT_BYTES, Header, Reader, codec, frame};

const _: () = assert!(Header::BYTES + Data::HEAD_BYTES == 64, "the heads of a fragment");

/// What stands between the frame's head and the payload.
const FIELD_BYTES: u16 = 40;
const _: () = assert!(frame::HEAD_BYTES + FIELD_BYTES as usize == Data::HEAD_BYTES);

const SOLICITED: u8 = 0x40;

impl Data {
    /// Everything in front of the payload, the frame's head included.
    pub fn head(&self) -> [u8; Self::HEAD_BYTES] {
        debug_assert!(self.hops <= Self::MAX_HOPS, "{} hops", self.hops);
        debug_assert!(self.payload.len() <= FRAGMENT_BYTES, "{} bytes", self.payload.len());
        let solicited = if self.solicited { SOLICITED } else { 0 };
        let payload_bytes = u16::try_from(self.payload.len()).unwrap_or(u16::MAX);
        codec::pack(&[
            &[frame::DATA, self.hops.min(Self::MAX_HOPS) | solicited],
            &FIELD_BYTES.saturating_add(payload_bytes).to_be_bytes(),
            &self.group.0.to_be_bytes(),
            &self.patch.0.to_be_bytes(),
            &self.fragment.source.host.0.to_be_bytes(),
            &self.fragment.source.incarnation.0.to_be_bytes(),
            &self.fragment.seq.0.to_be_bytes(),
            &self.origin.0.to_be_bytes(),
            &self.fragment.index.to_be_bytes(),
            &self.count.to_be_bytes(),
        ])
    }

    /// Reads what stands behind the frame's head and its extension fields.
    pub(super) fn decode(flags: u8, from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (group, patch) = (from.group()?, from.patch()?);
        let (source, seq) = (from.source()?, from.seq()?);
        let origin = from.patch()?;
        let (index, count) = (from.u16()?, from.u16()?);
        if index >= count {
            return Err(DecodeError::BadValue("index"));
        }
        let payload = from.rest();
        if payload.len() > FRAGMENT_BYTES {
            return Err(DecodeError::TooLong { len: payload.len(), max: FRAGMENT_BYTES });
        }
        if index.saturating_add(1) < count && payload.len() < FRAGMENT_BYTES {
            return Err(DecodeError::Truncated { have: payload.len(), need: FRAGMENT_BYTES });
        }
        Ok(Self {
            group,
            patch,
            fragment: crate::FragmentId { source, seq, index },
            count,
            origin,
            hops: flags & Self::MAX_HOPS,
            solicited: flags & SOLICITED != 0,
            payload,
        })
    }
}
