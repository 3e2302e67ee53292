//! The frame that carries messages.

use super::{Data, DecodeError, FRAGMENT_BYTES, Header, Reader, TAG_BYTES, codec, frame};
use crate::{Priority, PublishOptions};
use core::time::Duration;
use smallvec::SmallVec;

const _: () = assert!(Header::BYTES + Data::HEAD_BYTES == 64, "the heads of a fragment");
const _: () = assert!(
    Header::BYTES + Data::MAX_HEAD_BYTES + FRAGMENT_BYTES + TAG_BYTES <= super::MAX_DATAGRAM_BYTES,
    "a fragment with options fits a datagram"
);

/// What stands between the frame's head and the payload.
const FIELD_BYTES: u16 = 40;
const _: () = assert!(frame::HEAD_BYTES + FIELD_BYTES as usize == Data::HEAD_BYTES);

const SOLICITED: u8 = 0x40;

/// The extension field with priority and mark, and its bits.
const CLASS: u8 = 1;
const PRIORITY: u8 = 0x03;
const MARK: u8 = 0x04;
/// The extension field with what is left of the deadline, in microseconds.
const DEADLINE: u8 = 2;

impl Data {
    /// Everything in front of the payload, the frame's head included.
    pub fn head(&self) -> SmallVec<[u8; Self::MAX_HEAD_BYTES]> {
        debug_assert!(self.hops <= Self::MAX_HOPS, "{} hops", self.hops);
        debug_assert!(self.payload.len() <= FRAGMENT_BYTES, "{} bytes", self.payload.len());
        let solicited = if self.solicited { SOLICITED } else { 0 };
        let payload_bytes = u16::try_from(self.payload.len()).unwrap_or(u16::MAX);
        let plain: [u8; Self::HEAD_BYTES] = codec::pack(&[
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
        ]);
        let mut head = SmallVec::from_slice(&plain);
        if self.options != PublishOptions::default() {
            self.insert_options(&mut head);
        }
        head
    }

    /// How many bytes [`head`](Self::head) has.
    pub fn head_bytes(&self) -> usize {
        Self::HEAD_BYTES.saturating_add(option_bytes(&self.options))
    }

    /// Puts the extension fields behind the frame's head, and into its length.
    fn insert_options(&self, head: &mut SmallVec<[u8; Self::MAX_HEAD_BYTES]>) {
        let PublishOptions { priority, deadline, mark } = self.options;
        let block_bytes = u8::try_from(option_bytes(&self.options)).unwrap_or(0);
        let mut block: SmallVec<[u8; 10]> = SmallVec::new();
        block.push(block_bytes.saturating_sub(1));
        let class = priority as u8 | if mark { MARK } else { 0 };
        if has_class(&self.options) {
            block.extend_from_slice(&[CLASS, 1, class]);
        }
        if let Some(left) = deadline {
            block.extend_from_slice(&[DEADLINE, 4]);
            block.extend_from_slice(&micros(left).to_be_bytes());
        }
        let body = FIELD_BYTES.saturating_add(u16::from(block_bytes));
        let len = body.saturating_add(u16::try_from(self.payload.len()).unwrap_or(u16::MAX));
        if let [_, flags, high, low, ..] = &mut head[..] {
            *flags |= frame::EXTENDED;
            [*high, *low] = len.to_be_bytes();
        }
        head.insert_from_slice(frame::HEAD_BYTES, &block);
    }

    /// Reads what stands behind the frame's head; `extensions` are the bytes of its extension
    /// fields.
    pub(super) fn decode(
        flags: u8,
        extensions: Option<&[u8]>,
        from: &mut Reader<'_>,
    ) -> Result<Self, DecodeError> {
        let options = extensions.map_or(Ok(PublishOptions::default()), options)?;
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
        if options.is_over() && !payload.is_empty() {
            return Err(DecodeError::BadValue("deadline"));
        }
        let whole = index.saturating_add(1) == count || payload.len() == FRAGMENT_BYTES;
        if !whole && !options.is_over() {
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
            options,
            payload,
        })
    }
}

fn has_class(options: &PublishOptions) -> bool {
    options.mark || options.priority != Priority::default()
}

/// The bytes of the extension fields, their length in front included; 0 if there are none.
fn option_bytes(options: &PublishOptions) -> usize {
    let class = if has_class(options) { 3 } else { 0 };
    match options.deadline {
        Some(_) => 7_usize.saturating_add(class),
        None if class > 0 => 4,
        None => 0,
    }
}

/// What is left of a deadline; what is not over does not become so by rounding.
fn micros(left: Duration) -> u32 {
    let nanos = left.min(PublishOptions::MAX_DEADLINE).as_nanos();
    u32::try_from(nanos.div_ceil(1_000)).unwrap_or(u32::MAX)
}

/// Reads the fields that are known, and steps over others.
fn options(mut fields: &[u8]) -> Result<PublishOptions, DecodeError> {
    let mut options = PublishOptions::default();
    while let [kind, len, rest @ ..] = fields {
        let (have, need) = (rest.len(), usize::from(*len));
        let split = rest.split_at_checked(need);
        let (value, behind) = split.ok_or(DecodeError::Truncated { have, need })?;
        match (*kind, value) {
            (CLASS, [bits]) => {
                let class = usize::from(bits & PRIORITY);
                options.priority = Priority::ALL.get(class).copied().unwrap_or_default();
                options.mark = bits & MARK != 0;
            }
            (DEADLINE, &[a, b, c, d]) => {
                let left = u32::from_be_bytes([a, b, c, d]);
                options.deadline = Some(Duration::from_micros(left.into()));
            }
            (CLASS | DEADLINE, _) => return Err(DecodeError::BadValue("option")),
            _ => {}
        }
        fields = behind;
    }
    if fields.is_empty() { Ok(options) } else { Err(DecodeError::Truncated { have: 1, need: 2 }) }
}
