//! What the members of an IP-multicast patch say to each other.

use crate::HostTag;
use crate::protocol::Body;
use crate::wire::{Contact, DecodeError, Pull, Reader, Wanted, Writer};
use alloc::vec::Vec;

/// A frame of IPMC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// By multicast: the sender is there.
    Beacon {
        /// How to reach it.
        contact: Contact,
    },
    /// By unicast: tell the sender what you hold, and be told.
    Attach {
        /// How to reach it.
        contact: Contact,
    },
    /// The answer to [`Attach`](Self::Attach): so be it.
    Attached,
    /// By unicast: tell the sender no longer; also the other answer to [`Attach`](Self::Attach).
    Detach,
    /// By multicast and to those attached: the sender leaves the patch.
    Bye,
    /// By unicast: does the receiver hear the sender's beacons?
    Check,
    /// The answer to [`Check`](Self::Check), of who hears anybody at all.
    Heard {
        /// How many milliseconds ago it last heard the other one by multicast; `u16::MAX` for never.
        ms_ago: u16,
    },
    /// By multicast, and without a Hello: the sender can be heard, by those that know it.
    Here,
    /// By multicast: the sender misses something. With nothing named, it only says how much: the group
    /// repairs nothing.
    Nack {
        /// Who is asked; nobody in particular if the ones that were asked before did not answer.
        of: Option<HostTag>,
        /// The part that the sender misses lately of what is sent to the address, in 65,535ths.
        loss: u16,
        /// What it misses, at most [`Pull::MAX_WANTED`] entries.
        wanted: Vec<Wanted>,
    },
}

const BEACON: u8 = 1;
const ATTACH: u8 = 2;
const ATTACHED: u8 = 3;
const DETACH: u8 = 4;
const BYE: u8 = 5;
const NACK: u8 = 6;
const CHECK: u8 = 7;
const HEARD: u8 = 8;
const HERE: u8 = 9;

impl Body for Frame {
    fn encode(&self, out: &mut Writer<'_>) {
        match self {
            Self::Beacon { contact } => {
                out.u8(BEACON);
                out.contact(contact);
            }
            Self::Attach { contact } => {
                out.u8(ATTACH);
                out.contact(contact);
            }
            Self::Attached => out.u8(ATTACHED),
            Self::Detach => out.u8(DETACH),
            Self::Bye => out.u8(BYE),
            Self::Check => out.u8(CHECK),
            Self::Here => out.u8(HERE),
            Self::Heard { ms_ago } => {
                out.u8(HEARD);
                out.u16(*ms_ago);
            }
            Self::Nack { of, loss, wanted } => {
                out.u8(NACK);
                out.list(1, of, |out, &tag| out.tag(tag));
                out.u16(*loss);
                out.list(Pull::MAX_WANTED, wanted, |out, wanted| wanted.encode(out));
            }
        }
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.u8()? {
            BEACON => Self::Beacon { contact: from.contact()? },
            ATTACH => Self::Attach { contact: from.contact()? },
            ATTACHED => Self::Attached,
            DETACH => Self::Detach,
            BYE => Self::Bye,
            CHECK => Self::Check,
            HERE => Self::Here,
            HEARD => Self::Heard { ms_ago: from.u16()? },
            NACK => Self::Nack {
                of: from.list::<_, Vec<HostTag>>(1, Reader::tag)?.pop(),
                loss: from.u16()?,
                wanted: from.list(Pull::MAX_WANTED, Wanted::decode)?,
            },
            kind => return Err(DecodeError::UnknownKind(kind)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::MAX_PROTOCOL_BODY_BYTES;
    use crate::wire::arbitrary::{any_euid, contact, pull};
    use bytes::Bytes;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn frame() -> impl Strategy<Value = Frame> {
        prop_oneof![
            contact(any_euid()).prop_map(|contact| Frame::Beacon { contact }),
            contact(any_euid()).prop_map(|contact| Frame::Attach { contact }),
            Just(Frame::Attached),
            Just(Frame::Detach),
            Just(Frame::Bye),
            Just(Frame::Check),
            Just(Frame::Here),
            any::<u16>().prop_map(|ms_ago| Frame::Heard { ms_ago }),
            (any::<Option<u64>>(), any::<u16>(), pull()).prop_map(|(of, loss, pull)| Frame::Nack {
                of: of.map(HostTag),
                loss,
                wanted: pull.wanted,
            }),
        ]
    }

    proptest! {
        #[test]
        fn frames_round_trip_and_fit(frame in frame()) {
            let mut bytes = Vec::new();
            frame.encode(&mut Writer::new(&mut bytes));
            prop_assert!(bytes.len() <= MAX_PROTOCOL_BODY_BYTES);
            prop_assert_eq!(Frame::decode(&mut Reader::new(&bytes.into())), Ok(frame));
        }

        #[test]
        fn no_bytes_panic_the_decoder(bytes in vec(any::<u8>(), 0..200)) {
            let _ = Frame::decode(&mut Reader::new(&Bytes::from(bytes)));
        }
    }
}
