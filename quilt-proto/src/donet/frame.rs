//! What DONet's hosts say to each other.

use crate::HostTag;
use crate::euid::Euid;
use crate::protocol::Body;
use crate::wire::{Contact, DecodeError, MAX_PROTOCOL_BODY_BYTES, Reader, Writer};
use alloc::vec::Vec;

/// A frame of DONet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The sender wants to be a partner.
    Request {
        /// The sender.
        contact: Contact,
        /// It has no partner and was refused before: whoever is full shall make room.
        urgent: bool,
    },
    /// The two are partners, and push to each other.
    Accept,
    /// The two are not partners.
    Refuse {
        /// Members that may have room, at most [`Frame::MAX_MEMBERS`].
        members: Vec<Known>,
    },
    /// Gossip to a partner.
    Members {
        /// The sender's partners, at most [`Frame::MAX_PARTNERS`].
        partners: Vec<HostTag>,
        /// Some members, at most [`Frame::MAX_MEMBERS`].
        members: Vec<Known>,
    },
    /// Stop pushing to the sender. The two stay partners.
    Prune,
    /// Push to the sender.
    Graft,
    /// The two are partners no more.
    Bye {
        /// The sender leaves the patch.
        leaves: bool,
    },
}

/// A member that the sender knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// How to reach it. Its surroundings are left out where there is no room for them.
    pub contact: Contact,
    /// For how many seconds nothing has shown it to be alive.
    pub age_s: u8,
}

impl Frame {
    /// The most members in one frame.
    pub const MAX_MEMBERS: usize = 4;
    /// The most partners in one frame.
    pub const MAX_PARTNERS: usize = 16;

    /// The first of `members`, cut down to what one frame holds: the last ones go without their
    /// surroundings.
    pub(super) fn fit(members: impl IntoIterator<Item = Known>) -> Vec<Known> {
        const ROOM: usize = MAX_PROTOCOL_BODY_BYTES - 3 - 8 * Frame::MAX_PARTNERS;
        let mut fitted: Vec<Known> = members.into_iter().take(Self::MAX_MEMBERS).collect();
        for last in (0..fitted.len()).rev() {
            if len(&fitted) <= ROOM {
                break;
            }
            if let Some(known) = fitted.get_mut(last) {
                known.contact.euid = Euid::default();
            }
        }
        fitted
    }
}

fn len(members: &[Known]) -> usize {
    let mut bytes = Vec::new();
    let out = &mut Writer::new(&mut bytes);
    members.iter().for_each(|known| encode_known(out, known));
    bytes.len()
}

const REQUEST: u8 = 1;
const ACCEPT: u8 = 2;
const REFUSE: u8 = 3;
const MEMBERS: u8 = 4;
const PRUNE: u8 = 5;
const GRAFT: u8 = 6;
const BYE: u8 = 7;

impl Body for Frame {
    fn encode(&self, out: &mut Writer<'_>) {
        match self {
            Self::Request { contact, urgent } => {
                out.u8(REQUEST);
                out.contact(contact);
                out.bool(*urgent);
            }
            Self::Accept => out.u8(ACCEPT),
            Self::Refuse { members } => {
                out.u8(REFUSE);
                out.list(Self::MAX_MEMBERS, members, encode_known);
            }
            Self::Members { partners, members } => {
                out.u8(MEMBERS);
                out.list(Self::MAX_PARTNERS, partners, |out, tag| out.u64(tag.0));
                out.list(Self::MAX_MEMBERS, members, encode_known);
            }
            Self::Prune => out.u8(PRUNE),
            Self::Graft => out.u8(GRAFT),
            Self::Bye { leaves } => {
                out.u8(BYE);
                out.bool(*leaves);
            }
        }
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.u8()? {
            REQUEST => Self::Request { contact: from.contact()?, urgent: from.bool("urgent")? },
            ACCEPT => Self::Accept,
            REFUSE => Self::Refuse { members: from.list(Self::MAX_MEMBERS, decode_known)? },
            MEMBERS => Self::Members {
                partners: from.list(Self::MAX_PARTNERS, |from| from.u64().map(HostTag))?,
                members: from.list(Self::MAX_MEMBERS, decode_known)?,
            },
            PRUNE => Self::Prune,
            GRAFT => Self::Graft,
            BYE => Self::Bye { leaves: from.bool("leaves")? },
            kind => return Err(DecodeError::UnknownKind(kind)),
        })
    }
}

fn encode_known(out: &mut Writer<'_>, known: &Known) {
    out.contact(&known.contact);
    out.u8(known.age_s);
}

fn decode_known(from: &mut Reader<'_>) -> Result<Known, DecodeError> {
    Ok(Known { contact: from.contact()?, age_s: from.u8()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::arbitrary::{any_euid, contact};
    use bytes::Bytes;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn known() -> impl Strategy<Value = Known> {
        (contact(any_euid()), any::<u8>()).prop_map(|(contact, age_s)| Known { contact, age_s })
    }

    fn frame() -> impl Strategy<Value = Frame> {
        let members = || vec(known(), 0..8).prop_map(Frame::fit);
        let partners = vec(any::<u64>().prop_map(HostTag), 0..=Frame::MAX_PARTNERS);
        prop_oneof![
            (contact(any_euid()), any::<bool>())
                .prop_map(|(contact, urgent)| Frame::Request { contact, urgent }),
            Just(Frame::Accept),
            members().prop_map(|members| Frame::Refuse { members }),
            (partners, members())
                .prop_map(|(partners, members)| Frame::Members { partners, members }),
            Just(Frame::Prune),
            Just(Frame::Graft),
            any::<bool>().prop_map(|leaves| Frame::Bye { leaves }),
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

        #[test]
        fn members_too_large_lose_their_surroundings_but_are_named(members in vec(known(), 4)) {
            let hosts = |members: &[Known]| -> Vec<_> {
                members.iter().map(|known| known.contact.host).collect()
            };
            prop_assert_eq!(hosts(&Frame::fit(members.clone())), hosts(&members));
        }
    }
}
