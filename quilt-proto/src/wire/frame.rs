//! Frames: their head, and which body belongs to which kind.

use super::{
    Ack, Beat, Data, DecodeError, Frame, Held, Hello, MAX_CONTROL_BYTES, MAX_PROTOCOL_BODY_BYTES,
    Orders, Pull, Reader, Refusal, Report, Segment, Sense, Sensed, Sight, SurveyPart, Writer,
    codec,
};
use crate::Chunks;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;

/// Kind, flags, and the length of what follows.
pub(super) const HEAD_BYTES: usize = 4;

/// The flag that says that extension fields stand in front of the body.
pub(super) const EXTENDED: u8 = 0x80;

pub(super) const PADDING: u8 = 0;
const HELLO: u8 = 1;
const BEAT: u8 = 2;
pub(super) const DATA: u8 = 3;
const HELD: u8 = 4;
const PULL: u8 = 5;
const NOT_HELD: u8 = 6;
const PROTOCOL: u8 = 7;
const CLAIM: u8 = 9;
const FLOW: u8 = 10;
const ACK: u8 = 11;
const TUNNEL: u8 = 12;
pub(super) const SEGMENT: u8 = 13;
const KNOCK: u8 = 14;
const REPORT: u8 = 16;
const COOKIE: u8 = 17;
const ORDERS: u8 = 18;
const REFUSED: u8 = 19;
const DEPART: u8 = 20;
const SURVEY: u8 = 21;
const SURVEY_PART: u8 = 22;
const SENSE: u8 = 23;
const SENSED: u8 = 24;
const SIGHT: u8 = 25;

impl Frame {
    /// Appends the frame, in one piece. To send a [`Data`] without copying its payload, put the
    /// payload behind [`Data::head`] instead.
    ///
    /// It is at most [`MAX_CONTROL_BYTES`] long, or a fragment. What is beyond a stated maximum is
    /// a defect, and left out; what [`Report`] and [`Orders`] leave out is said there.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Self::Data(data) = self {
            out.extend_from_slice(&data.head());
            out.extend_from_slice(&data.payload);
            return;
        }
        if let Self::Flow { token, number } = self {
            return out.extend_from_slice(&flow_head(*token, *number));
        }
        if let Self::Ack(ack) = self {
            return out.extend_from_slice(&ack.head());
        }
        let start = out.len();
        let end = start.saturating_add(MAX_CONTROL_BYTES);
        let mut out = Writer::new(out);
        out.raw(&[self.kind(), 0, 0, 0]);
        self.encode_body(&mut out, end);
        debug_assert!(out.len() <= end, "a frame of kind {} is too long", self.kind());
        let len = out.len().saturating_sub(start).saturating_sub(HEAD_BYTES);
        out.overwrite(
            start.saturating_add(2),
            &u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes(),
        );
    }

    /// Reads what stands behind the head; `None` for padding.
    pub(super) fn decode(kind: u8, flags: u8, body: &Chunks) -> Result<Option<Self>, DecodeError> {
        const MAX: usize = MAX_CONTROL_BYTES - HEAD_BYTES;
        if kind == PADDING {
            return Ok(None);
        }
        if kind != DATA && body.len() > MAX {
            return Err(DecodeError::TooLong { len: body.len(), max: MAX });
        }
        let mut from = Reader::over(body);
        let extensions = if flags & EXTENDED != 0 { Some(extensions(&mut from)?) } else { None };
        let frame = if kind == DATA {
            Self::Data(Data::decode(flags, extensions.as_deref(), &mut from)?)
        } else {
            extensions.map_or(Ok(()), |fields| skip(&fields))?;
            Self::decode_body(kind, &mut from)?
        };
        from.finish()?;
        Ok(Some(frame))
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => HELLO,
            Self::Beat(_) => BEAT,
            Self::Flow { .. } => FLOW,
            Self::Ack(_) => ACK,
            Self::Tunnel { .. } => TUNNEL,
            Self::Segment(_) => SEGMENT,
            Self::Knock { .. } => KNOCK,
            Self::Data(_) => DATA,
            Self::Held { .. } => HELD,
            Self::Pull(_) => PULL,
            Self::NotHeld(_) => NOT_HELD,
            Self::Protocol { .. } => PROTOCOL,
            Self::Claim(_) => CLAIM,
            Self::Report(_) => REPORT,
            Self::Cookie { .. } => COOKIE,
            Self::Orders(_) => ORDERS,
            Self::Refused { .. } => REFUSED,
            Self::Depart { .. } => DEPART,
            Self::Survey { .. } => SURVEY,
            Self::SurveyPart(_) => SURVEY_PART,
            Self::Sense(_) => SENSE,
            Self::Sensed(_) => SENSED,
            Self::Sight(_) => SIGHT,
        }
    }

    /// Writes the body, up to byte `end`.
    fn encode_body(&self, out: &mut Writer<'_>, end: usize) {
        match self {
            Self::Data(_) | Self::Flow { .. } | Self::Ack(_) => {
                debug_assert!(false, "these are written in one piece");
            }
            Self::Hello(hello) => hello.encode(out),
            Self::Beat(beat) => beat.encode(out),
            Self::Tunnel { shows, wants } => {
                out.u32(*shows);
                out.u32(*wants);
            }
            Self::Segment(segment) => segment.encode(out),
            Self::Knock { to, by } => {
                out.tag(*to);
                by.encode(out);
            }
            Self::Held { group, patch, more, sources } => {
                out.group(*group);
                out.patch(*patch);
                out.bool(*more);
                out.list(Held::MAX_SOURCES, sources, |out, held| held.encode(out));
            }
            Self::Pull(pull) | Self::NotHeld(pull) | Self::Claim(pull) => pull.encode(out),
            Self::Protocol { group, patch, body } => {
                debug_assert!(body.len() <= MAX_PROTOCOL_BODY_BYTES, "{} bytes", body.len());
                out.group(*group);
                out.patch(*patch);
                out.raw(body.get(..MAX_PROTOCOL_BODY_BYTES).unwrap_or(body));
            }
            Self::Report(report) => report.encode(out, end),
            Self::Cookie { group, cookie, seen } => {
                out.group(*group);
                out.u64(*cookie);
                out.list(1, seen, |out, &seen| out.address(seen));
            }
            Self::Orders(orders) => orders.encode(out, end),
            Self::Refused { group, refusal } => {
                out.group(*group);
                refusal.encode(out);
            }
            Self::Depart { group, host, incarnation, cookie } => {
                out.group(*group);
                out.host(*host);
                out.incarnation(*incarnation);
                out.u64(*cookie);
            }
            Self::Survey { group, cookie, from } => {
                out.group(*group);
                out.u64(*cookie);
                out.patch(*from);
            }
            Self::SurveyPart(part) => part.encode(out),
            Self::Sense(sense) => sense.encode(out),
            Self::Sensed(sensed) => sensed.encode(out),
            Self::Sight(sight) => sight.encode(out),
        }
    }

    fn decode_body(kind: u8, from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match kind {
            HELLO => Self::Hello(Hello::decode(from)?),
            BEAT => Self::Beat(Beat::decode(from)?),
            FLOW => Self::Flow { token: from.u32()?, number: from.u16()? },
            ACK => Self::Ack(Ack::decode(from)?),
            TUNNEL => Self::Tunnel { shows: from.u32()?, wants: from.u32()? },
            SEGMENT => Self::Segment(Segment::decode(from)?),
            KNOCK => Self::Knock { to: from.tag()?, by: Hello::decode(from)? },
            HELD => Self::Held {
                group: from.group()?,
                patch: from.patch()?,
                more: from.bool("more")?,
                sources: from.list(Held::MAX_SOURCES, Held::decode)?,
            },
            PULL => Self::Pull(Pull::decode(from)?),
            NOT_HELD => Self::NotHeld(Pull::decode(from)?),
            CLAIM => Self::Claim(Pull::decode(from)?),
            PROTOCOL => {
                let (group, patch, body) = (from.group()?, from.patch()?, from.rest());
                if body.len() > MAX_PROTOCOL_BODY_BYTES {
                    let max = MAX_PROTOCOL_BODY_BYTES;
                    return Err(DecodeError::TooLong { len: body.len(), max });
                }
                Self::Protocol { group, patch, body }
            }
            REPORT => Self::Report(Box::new(Report::decode(from)?)),
            COOKIE => {
                let (group, cookie) = (from.group()?, from.u64()?);
                let seen = from.list::<_, Vec<_>>(1, Reader::address)?.pop();
                Self::Cookie { group, cookie, seen }
            }
            ORDERS => Self::Orders(Box::new(Orders::decode(from)?)),
            REFUSED => Self::Refused { group: from.group()?, refusal: Refusal::decode(from)? },
            DEPART => Self::Depart {
                group: from.group()?,
                host: from.host()?,
                incarnation: from.incarnation()?,
                cookie: from.u64()?,
            },
            SURVEY => {
                let (group, cookie) = (from.group()?, from.u64()?);
                Self::Survey { group, cookie, from: from.patch()? }
            }
            SURVEY_PART => Self::SurveyPart(SurveyPart::decode(from)?),
            SENSE => Self::Sense(Sense::decode(from)?),
            SENSED => Self::Sensed(Sensed::decode(from)?),
            SIGHT => Self::Sight(Sight::decode(from)?),
            unknown => return Err(DecodeError::UnknownKind(unknown)),
        })
    }
}

/// The bytes of a [`Frame::Flow`].
pub(crate) const FLOW_BYTES: usize = HEAD_BYTES + 6;

/// A [`Frame::Flow`] in one piece.
pub(crate) fn flow_head(token: u32, number: u16) -> [u8; FLOW_BYTES] {
    codec::pack(&[&[FLOW, 0, 0, 6], &token.to_be_bytes(), &number.to_be_bytes()])
}

impl Ack {
    /// Its frame in one piece.
    pub(crate) fn head(&self) -> [u8; HEAD_BYTES + 14] {
        let Self { next, got, held_us } = self;
        let fields = [&next.to_be_bytes()[..], &got.to_be_bytes(), &held_us.to_be_bytes()];
        codec::pack(&[&[ACK, 0, 0, 14], fields[0], fields[1], fields[2]])
    }
}

/// The bytes of the extension fields.
fn extensions(from: &mut Reader<'_>) -> Result<Bytes, DecodeError> {
    let len = from.u8()?;
    from.take(usize::from(len))
}

/// Steps over extension fields: this version knows none but those of Data.
fn skip(fields: &Bytes) -> Result<(), DecodeError> {
    let mut fields = Reader::new(fields);
    while fields.remaining() > 0 {
        let _field = fields.u8()?;
        let len = fields.u8()?;
        fields.take(usize::from(len))?;
    }
    Ok(())
}
