//! What the members of an IP-multicast patch say to each other.

use crate::protocol::Body;
use crate::wire::{Contact, DecodeError, Reader, Writer};

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
}

const BEACON: u8 = 1;
const ATTACH: u8 = 2;
const ATTACHED: u8 = 3;
const DETACH: u8 = 4;
const BYE: u8 = 5;

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
        }
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.u8()? {
            BEACON => Self::Beacon { contact: from.contact()? },
            ATTACH => Self::Attach { contact: from.contact()? },
            ATTACHED => Self::Attached,
            DETACH => Self::Detach,
            BYE => Self::Bye,
            kind => return Err(DecodeError::UnknownKind(kind)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::MAX_PROTOCOL_BODY_BYTES;
    use crate::wire::arbitrary::{any_euid, contact};
    use alloc::vec::Vec;
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
