//! Frames come back as they were, and fit.
#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use super::super::plan::MAX_FAMILY;
use super::*;
use crate::Incarnation;
use crate::euid::Euid;
use crate::wire::MAX_PROTOCOL_BODY_BYTES;
use crate::{HostId, HostTag};
use alloc::vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use proptest::collection::vec;
use proptest::prelude::*;

fn contact() -> impl Strategy<Value = Contact> {
    let address = (any::<[u8; 16]>(), any::<u16>())
        .prop_map(|(ip, port)| SocketAddr::new(core::net::Ipv6Addr::from(ip).to_canonical(), port));
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

fn others() -> impl Strategy<Value = Vec<Contact>> {
    vec(contact().prop_map(|contact| slim(&contact)), 0..=MAX_OTHERS)
}

fn mode() -> impl Strategy<Value = Mode> {
    any::<bool>().prop_map(|full| if full { Mode::Full } else { Mode::Digests })
}

fn way() -> impl Strategy<Value = Way> {
    let path = vec(any::<u64>().prop_map(HostTag), 1..=MAX_PATH);
    (contact(), any::<bool>(), any::<u64>(), path).prop_map(|(root, provisional, nanos, path)| {
        Way { root, provisional, latency: Duration::from_nanos(nanos), path }
    })
}

fn lineage() -> impl Strategy<Value = Lineage> {
    (way(), proptest::option::of(contact()), contacts())
        .prop_map(|(way, grandparent, heirs)| Lineage { way, grandparent, heirs })
}

fn frame() -> impl Strategy<Value = Frame> {
    let rank = (any::<bool>(), any::<[u8; 32]>())
        .prop_map(|(provisional, root)| Rank { provisional, root: HostId(root) });
    let offer = (way(), any::<u8>(), any::<u8>(), any::<u32>(), others()).prop_map(
        |(way, room_full, room_digests, weight, others)| Offer {
            way,
            room_full,
            room_digests,
            weight,
            others,
        },
    );
    prop_oneof![
        (any::<u64>(), rank).prop_map(|(nonce, rank)| Frame::Probe { nonce, rank }),
        (any::<u64>(), offer).prop_map(|(nonce, offer)| Frame::ProbeReply { nonce, offer }),
        (mode(), contact(), any::<u64>(), any::<[u32; 2]>()).prop_map(
            |(mode, contact, plan, [weight, rtt])| Frame::Attach {
                mode,
                contact,
                plan,
                weight,
                rtt
            }
        ),
        (mode(), lineage()).prop_map(|(mode, lineage)| Frame::Accept { mode, lineage }),
        (mode(), contact(), any::<u64>(), any::<[u32; 2]>(), any::<u8>()).prop_map(
            |(mode, contact, nonce, [weight, rtt], hops)| Frame::Seek {
                mode,
                contact,
                nonce,
                weight,
                rtt,
                hops
            }
        ),
        (any::<u64>(), mode(), lineage()).prop_map(|(nonce, mode, lineage)| Frame::Adopt {
            nonce,
            mode,
            lineage
        }),
        others().prop_map(|others| Frame::Refuse { others }),
        lineage().prop_map(Frame::Path),
        any::<bool>().prop_map(|as_child| Frame::Detach { as_child }),
        Just(Frame::Leave),
        sketch().prop_map(Frame::Status),
        (any::<u64>(), any::<u16>(), vec(contact().prop_map(|c| slim(&c)), 0..=MAX_FAMILY))
            .prop_map(|(nonce, wait_ms, members)| Frame::Gather { nonce, wait_ms, members }),
        (contact(), any::<u64>(), any::<u32>(), any::<[u8; 32]>()).prop_map(
            |(contact, nanos, weight, child)| {
                let (gain, loss) = (Duration::from_nanos(nanos), Duration::from_nanos(nanos / 2));
                let child = HostId(child);
                Frame::Displace(Displacement { nonce: nanos, contact, weight, gain, child, loss })
            }
        ),
        facts().prop_map(Frame::Facts),
        plan().prop_map(Frame::Invite),
    ]
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let below = vec((contact(), any::<u32>(), any::<u64>()), 0..=MAX_BELOW);
    (any::<u32>(), below, vec(contact().prop_map(|c| slim(&c)), 0..=MAX_SPARE)).prop_map(
        |(weight, below, spare)| {
            let below = below.into_iter().enumerate().map(|(at, (contact, weight, above))| Below {
                contact: slim(&contact),
                above: (above % (at as u64 + 1)).checked_sub(1).map(|above| above as usize),
                weight,
            });
            Sketch { weight, below: below.collect(), spare }
        },
    )
}

fn facts() -> impl Strategy<Value = Facts> {
    let rtts = vec(any::<u32>(), 0..=MAX_FAMILY);
    (any::<u64>(), any::<bool>(), any::<u64>(), any::<u8>(), any::<u32>(), rtts).prop_map(
        |(nonce, ready, parent, slots, weight, rtts)| {
            let parent = HostTag(parent);
            Facts { nonce, ready, parent, slots, weight, rtts }
        },
    )
}

fn plan() -> impl Strategy<Value = Plan> {
    let members = vec((contact(), any::<usize>()), 1..=MAX_FAMILY);
    (any::<u64>(), members).prop_map(|(nonce, members)| {
        let parents = members.iter().map(|(_, parent)| parent % members.len()).collect();
        let members = members.iter().map(|(contact, _)| slim(contact)).collect();
        Plan { nonce, members, parents }
    })
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
    let bytes = encoded(&Frame::Adopt { nonce: 1, mode: Mode::Full, lineage });
    assert!(bytes.len() <= MAX_PROTOCOL_BODY_BYTES, "{} bytes", bytes.len());
}
