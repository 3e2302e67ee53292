//! What the hosts of an OMNI tree say to each other.

use crate::euid::Euid;
use crate::protocol::Body;
use crate::wire::{Contact, DecodeError, Reader, Writer};
use crate::{HostId, HostTag};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

/// The most hosts from a root to a host, both included; whoever stands there takes no children.
/// Guess: 32 levels, far more than a tree of degree 2 or more grows, and their tags fit a frame.
pub(super) const MAX_PATH: usize = 32;

/// The most contacts in one list: four bare ones, with the way, fit a frame.
pub(super) const MAX_CONTACTS: usize = 4;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// How far is it to you, and where do you stand? From a host whose tree ranks so.
    Probe { nonce: u64, rank: Rank },
    /// The answer.
    ProbeReply { nonce: u64, offer: Offer },
    /// Be my parent; or, to the parent: send me more, or less, from now on.
    Attach { mode: Mode, contact: Contact },
    /// I am your parent.
    Accept { mode: Mode, lineage: Lineage },
    /// I am not, or not so; these may be.
    Refuse { others: Vec<Contact> },
    /// From a parent: where you stand.
    Path(Lineage),
    /// We are no longer parent and child.
    Detach,
}

/// What a child is sent of the fragments that pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// All of them.
    Full,
    /// None unasked; it hears what the parent holds.
    Digests,
}

/// Which of two trees the other one joins: the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// The root has lost its parent, or has had none yet, and looks for one.
    pub(super) provisional: bool,
    /// The root.
    pub(super) root: HostId,
}

/// The way from the root of a tree to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The root.
    pub(super) root: Contact,
    /// As in [`Rank`].
    pub(super) provisional: bool,
    /// How long a fragment takes along it.
    pub(super) latency: Duration,
    /// The hosts on it, the root first, the host itself last; at most [`MAX_PATH`].
    pub(super) path: Vec<HostTag>,
}

/// What a parent tells its children, so that they can go on without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lineage {
    /// The way to the parent.
    pub(super) way: Way,
    /// The parent's parent.
    pub(super) grandparent: Option<Contact>,
    /// The parent's first children; in this order they inherit from a root. At most
    /// [`MAX_CONTACTS`].
    pub(super) heirs: Vec<Contact>,
}

/// What a host has to offer to one that looks for a parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// The way to the host.
    pub(super) way: Way,
    /// How many more children it takes in full.
    pub(super) room_full: u8,
    /// How many more children it takes for digests only.
    pub(super) room_digests: u8,
    /// Others, to be tried if there is no room; at most [`MAX_CONTACTS`].
    pub(super) others: Vec<Contact>,
}

impl Way {
    /// The way of a host that is a root.
    pub(super) fn top(me: &Contact, provisional: bool) -> Self {
        let path = vec![me.host.tag()];
        Self { root: me.clone(), provisional, latency: Duration::ZERO, path }
    }

    /// The way on to a child.
    pub(super) fn extended(&self, child: HostId, latency: Duration) -> Self {
        let mut way = self.clone();
        way.latency = way.latency.saturating_add(latency);
        way.path.push(child.tag());
        way
    }

    /// The rank of the tree.
    pub(super) fn rank(&self) -> Rank {
        Rank { provisional: self.provisional, root: self.root.host }
    }

    /// Whether `host` is on it.
    pub(super) fn contains(&self, host: HostId) -> bool {
        self.path.contains(&host.tag())
    }

    /// Whether nothing can be below its end.
    pub(super) fn is_full(&self) -> bool {
        self.path.len() >= MAX_PATH
    }

    /// Whether the same hosts are on the other one, however fast.
    pub(super) fn is_along(&self, other: &Self) -> bool {
        self.path == other.path && self.rank() == other.rank()
    }
}

impl Offer {
    /// How many more children it takes in that mode.
    pub(super) fn room(&self, mode: Mode) -> u8 {
        match mode {
            Mode::Full => self.room_full,
            Mode::Digests => self.room_digests,
        }
    }
}

/// A contact without its surroundings: what it takes to dial the host.
pub(super) fn bare(contact: &Contact) -> Contact {
    Contact { euid: Euid::default(), ..contact.clone() }
}

/// One way of a round trip.
pub(super) fn half(rtt: Duration) -> Duration {
    rtt.checked_div(2).unwrap_or_default()
}

impl Body for Frame {
    fn encode(&self, out: &mut Writer<'_>) {
        match self {
            Self::Probe { nonce, rank } => {
                out.u8(1);
                out.u64(*nonce);
                out.bool(rank.provisional);
                out.host(rank.root);
            }
            Self::ProbeReply { nonce, offer } => {
                out.u8(2);
                out.u64(*nonce);
                put_way(out, &offer.way);
                out.u8(offer.room_full);
                out.u8(offer.room_digests);
                put_contacts(out, &offer.others);
            }
            Self::Attach { mode, contact } => {
                out.u8(3);
                put_mode(out, *mode);
                out.contact(contact);
            }
            Self::Accept { mode, lineage } => {
                out.u8(4);
                put_mode(out, *mode);
                put_lineage(out, lineage);
            }
            Self::Refuse { others } => {
                out.u8(5);
                put_contacts(out, others);
            }
            Self::Path(lineage) => {
                out.u8(6);
                put_lineage(out, lineage);
            }
            Self::Detach => out.u8(7),
        }
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.u8()? {
            1 => {
                let nonce = from.u64()?;
                let rank = Rank { provisional: from.bool("provisional")?, root: from.host()? };
                Self::Probe { nonce, rank }
            }
            2 => Self::ProbeReply {
                nonce: from.u64()?,
                offer: Offer {
                    way: take_way(from)?,
                    room_full: from.u8()?,
                    room_digests: from.u8()?,
                    others: take_contacts(from)?,
                },
            },
            3 => Self::Attach { mode: take_mode(from)?, contact: from.contact()? },
            4 => Self::Accept { mode: take_mode(from)?, lineage: take_lineage(from)? },
            5 => Self::Refuse { others: take_contacts(from)? },
            6 => Self::Path(take_lineage(from)?),
            7 => Self::Detach,
            kind => return Err(DecodeError::UnknownKind(kind)),
        })
    }
}

fn put_mode(out: &mut Writer<'_>, mode: Mode) {
    out.bool(mode == Mode::Full);
}

fn take_mode(from: &mut Reader<'_>) -> Result<Mode, DecodeError> {
    Ok(if from.bool("mode")? { Mode::Full } else { Mode::Digests })
}

fn put_contacts(out: &mut Writer<'_>, contacts: &[Contact]) {
    out.list(MAX_CONTACTS, contacts, |out, contact| out.contact(contact));
}

fn take_contacts(from: &mut Reader<'_>) -> Result<Vec<Contact>, DecodeError> {
    from.list(MAX_CONTACTS, Reader::contact)
}

fn put_way(out: &mut Writer<'_>, way: &Way) {
    out.contact(&way.root);
    out.bool(way.provisional);
    out.u64(u64::try_from(way.latency.as_nanos()).unwrap_or(u64::MAX));
    out.list(MAX_PATH, &way.path, |out, tag| out.u64(tag.0));
}

fn take_way(from: &mut Reader<'_>) -> Result<Way, DecodeError> {
    let way = Way {
        root: from.contact()?,
        provisional: from.bool("provisional")?,
        latency: Duration::from_nanos(from.u64()?),
        path: from.list(MAX_PATH, |from| from.u64().map(HostTag))?,
    };
    if way.path.is_empty() { Err(DecodeError::BadValue("path")) } else { Ok(way) }
}

fn put_lineage(out: &mut Writer<'_>, lineage: &Lineage) {
    put_way(out, &lineage.way);
    out.list(1, lineage.grandparent.as_slice(), |out, contact| out.contact(contact));
    put_contacts(out, &lineage.heirs);
}

fn take_lineage(from: &mut Reader<'_>) -> Result<Lineage, DecodeError> {
    let way = take_way(from)?;
    let grandparent: Vec<Contact> = from.list(1, Reader::contact)?;
    let heirs = take_contacts(from)?;
    Ok(Lineage { way, grandparent: grandparent.into_iter().next(), heirs })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Incarnation;
    use crate::wire::MAX_PROTOCOL_BODY_BYTES;
    use bytes::Bytes;
    use core::net::SocketAddr;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn contact() -> impl Strategy<Value = Contact> {
        let address = (any::<[u8; 16]>(), any::<u16>()).prop_map(|(ip, port)| {
            SocketAddr::new(core::net::Ipv6Addr::from(ip).to_canonical(), port)
        });
        (any::<[u8; 32]>(), any::<u32>(), vec(address, 0..=Contact::MAX_ADDRESSES)).prop_map(
            |(host, incarnation, addresses)| Contact {
                host: HostId(host),
                incarnation: Incarnation(incarnation),
                addresses: addresses.into_iter().collect(),
                euid: Euid::default(),
            },
        )
    }

    fn contacts() -> impl Strategy<Value = Vec<Contact>> {
        vec(contact(), 0..=MAX_CONTACTS)
    }

    fn mode() -> impl Strategy<Value = Mode> {
        any::<bool>().prop_map(|full| if full { Mode::Full } else { Mode::Digests })
    }

    fn way() -> impl Strategy<Value = Way> {
        let path = vec(any::<u64>().prop_map(HostTag), 1..=MAX_PATH);
        (contact(), any::<bool>(), any::<u64>(), path).prop_map(
            |(root, provisional, nanos, path)| Way {
                root,
                provisional,
                latency: Duration::from_nanos(nanos),
                path,
            },
        )
    }

    fn lineage() -> impl Strategy<Value = Lineage> {
        (way(), proptest::option::of(contact()), contacts())
            .prop_map(|(way, grandparent, heirs)| Lineage { way, grandparent, heirs })
    }

    fn frame() -> impl Strategy<Value = Frame> {
        let rank = (any::<bool>(), any::<[u8; 32]>())
            .prop_map(|(provisional, root)| Rank { provisional, root: HostId(root) });
        let offer = (way(), any::<u8>(), any::<u8>(), contacts()).prop_map(
            |(way, room_full, room_digests, others)| Offer { way, room_full, room_digests, others },
        );
        prop_oneof![
            (any::<u64>(), rank).prop_map(|(nonce, rank)| Frame::Probe { nonce, rank }),
            (any::<u64>(), offer).prop_map(|(nonce, offer)| Frame::ProbeReply { nonce, offer }),
            (mode(), contact()).prop_map(|(mode, contact)| Frame::Attach { mode, contact }),
            (mode(), lineage()).prop_map(|(mode, lineage)| Frame::Accept { mode, lineage }),
            contacts().prop_map(|others| Frame::Refuse { others }),
            lineage().prop_map(Frame::Path),
            Just(Frame::Detach),
        ]
    }

    fn encoded(frame: &Frame) -> Bytes {
        let mut bytes = Vec::new();
        frame.encode(&mut Writer::new(&mut bytes));
        bytes.into()
    }

    proptest! {
        #[test]
        fn frames_come_back_as_they_were_and_fit(frame in frame()) {
            let bytes = encoded(&frame);
            prop_assert!(bytes.len() <= MAX_PROTOCOL_BODY_BYTES, "{} bytes", bytes.len());
            prop_assert_eq!(Frame::decode(&mut Reader::new(&bytes)), Ok(frame));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _ = Frame::decode(&mut Reader::new(&bytes.into()));
        }
    }

    #[test]
    fn the_largest_frame_fits() {
        let address: SocketAddr = "[2001:db8::1]:4000".parse().unwrap();
        let contact = Contact {
            host: HostId([9; 32]),
            incarnation: Incarnation(1),
            addresses: vec![address; Contact::MAX_ADDRESSES].into(),
            euid: Euid::default(),
        };
        let way = Way { path: vec![HostTag(7); MAX_PATH], ..Way::top(&contact, true) };
        let heirs = vec![contact.clone(); MAX_CONTACTS];
        let lineage = Lineage { way, grandparent: Some(contact), heirs };
        let bytes = encoded(&Frame::Accept { mode: Mode::Full, lineage });
        assert!(bytes.len() <= MAX_PROTOCOL_BODY_BYTES, "{} bytes", bytes.len());
    }
}
