//! What the codec as a whole promises.
#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

mod lengths;
mod refusals;
use super::arbitrary::*;
use super::*;
use crate::euid::Euid;
use crate::{
    Delivery, FragmentId, HostTag, Priority, ProtocolId, PublishOptions, Role, Seq, Source,
};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use lengths::largest_euid;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

proptest! {
    #[test]
    fn every_packet_round_trips(header in header(), frames in vec(frame(), 0..8)) {
        let packet = packet(&header, &frames);
        let decoded = Frames::decode(packet).expect("a good header");
        prop_assert_eq!(decoded.header(), header);
        prop_assert_eq!(decoded.sender(), header.sender);
        let decoded: Result<Vec<Frame>, _> = decoded.collect();
        prop_assert_eq!(decoded, Ok(frames));
    }

    #[test]
    fn no_bytes_panic_the_decoder(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let _ = decode(&[&some_header().encode()[..], &bytes].concat());
    }

    /// Also what is damaged gives frames that can be sent on, or an error.
    #[test]
    fn no_damage_panics_the_decoder(
        frames in vec(frame(), 1..4),
        damage in vec((any::<Index>(), any::<u8>()), 1..8),
        cut in proptest::option::of(any::<Index>()),
    ) {
        let mut bytes = packet(&some_header(), &frames);
        for (at, value) in damage {
            *at.get_mut(&mut bytes) = value;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        for frame in decode(&bytes).into_iter().flatten().flatten() {
            prop_assert_eq!(decode_one(&encode(&frame)), Ok(frame));
        }
    }

    #[test]
    fn a_packet_that_is_cut_off_gives_the_frames_before_the_cut(
        frames in vec(frame(), 1..4),
        cut in any::<Index>(),
    ) {
        let mut bytes = packet(&some_header(), &frames);
        bytes.truncate(Header::BYTES + cut.index(bytes.len() - Header::BYTES));
        let decoded = decode(&bytes).expect("a whole header");
        let whole: Vec<Frame> = decoded.iter().flatten().cloned().collect();
        prop_assert_eq!(&whole[..], &frames[..whole.len()]);
        prop_assert!(decoded.iter().skip(whole.len()).count() <= 1);
    }

    #[test]
    fn a_fragment_s_head_and_payload_are_its_frame(data in data()) {
        let frame = Frame::Data(data.clone());
        prop_assert_eq!(encode(&frame), [&data.head()[..], &data.payload].concat());
    }

    #[test]
    fn an_euid_round_trips(euid in any_euid()) {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).euid(&euid);
        let bytes = Bytes::from(bytes);
        let mut from = Reader::new(&bytes);
        prop_assert_eq!(from.euid(), Ok(euid));
        prop_assert_eq!(from.finish(), Ok(()));
    }
}

#[test]
fn a_fragment_s_heads_have_64_bytes() {
    let data = some_data();
    let packet = packet(&some_header(), &[Frame::Data(data.clone())]);
    assert_eq!(packet.len() - data.payload.len(), 64);
    assert_eq!(data.head().len(), Data::HEAD_BYTES);
}

#[test]
fn a_message_s_options_take_few_bytes_and_none_by_default() {
    let head = |options| Data { options, ..some_data() }.head().len() - Data::HEAD_BYTES;
    let plain = PublishOptions::default();
    assert_eq!(head(plain), 0);
    assert_eq!(head(PublishOptions { mark: true, ..plain }), 4);
    assert_eq!(head(PublishOptions { priority: Priority::Urgent, ..plain }), 4);
    let deadline = Some(Duration::from_millis(5));
    assert_eq!(head(PublishOptions { deadline, ..plain }), 7);
    assert_eq!(head(PublishOptions { deadline, mark: true, priority: Priority::Low }), 10);
}

#[test]
fn a_deadline_is_rounded_up_so_that_what_is_left_is_not_over() {
    let left = |nanos| {
        let deadline = Some(Duration::from_nanos(nanos));
        let options = PublishOptions { deadline, ..PublishOptions::default() };
        let payload = if nanos == 0 { Bytes::new() } else { some_data().payload };
        let frame = Frame::Data(Data { options, payload, ..some_data() });
        match decode_one(&encode(&frame)) {
            Ok(Frame::Data(data)) => data.options.deadline.map(|left| left.as_micros()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((left(0), left(1), left(1_000), left(1_001)), (Some(0), Some(1), Some(1), Some(2)));
    assert_eq!(left(u64::MAX), Some(u32::MAX.into()));
}

#[test]
fn a_message_that_is_over_has_no_payload_and_impossible_options_are_refused() {
    let bytes = encode(&Frame::Data(some_data()));
    let options = |block: &[u8]| decode_one(&extend(&bytes, block)).map(drop);
    assert_eq!(options(&[6, 2, 4, 0, 0, 0, 1]), Ok(()));
    assert_eq!(options(&[6, 2, 4, 0, 0, 0, 0]), Err(DecodeError::BadValue("deadline")));
    assert_eq!(options(&[4, 2, 2, 0, 1]), Err(DecodeError::BadValue("option")));
    assert_eq!(options(&[2, 1, 0]), Err(DecodeError::BadValue("option")));
    assert_eq!(options(&[1, 1]), Err(DecodeError::Truncated { have: 1, need: 2 }));
    assert_eq!(options(&[3, 1, 9, 0]), Err(DecodeError::Truncated { have: 1, need: 9 }));
}

#[test]
fn an_ipv4_address_inside_ipv6_is_the_same_address() {
    let mapped: IpAddr = "::ffff:10.1.2.3".parse().expect("an address");
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).address(SocketAddr::new(mapped, 80));
    assert_eq!(bytes, [4, 10, 1, 2, 3, 0, 80]);
    let IpAddr::V6(mapped) = mapped else { panic!("not IPv6") };
    let long = Bytes::from([&[6][..], &mapped.octets(), &[0, 80]].concat());
    assert_eq!(Reader::new(&long).address(), Ok(([10, 1, 2, 3], 80).into()));
}

#[test]
fn a_payload_is_shared_with_its_packet_and_small_values_are_not() {
    let packet = Bytes::from(packet(
        &some_header(),
        &[Frame::Data(some_data()), Frame::Orders(Box::new(some_orders()))],
    ));
    let range = packet.as_ptr_range();
    let frames: Vec<Frame> =
        Frames::decode(packet.clone()).expect("a good header").flatten().collect();
    let [Frame::Data(data), Frame::Orders(orders)] = &frames[..] else { panic!("{frames:?}") };
    assert!(range.contains(&data.payload.as_ptr()));
    assert!(!range.contains(&orders.assignments[0].parameters.as_ptr()));
}

fn some_header() -> Header {
    Header { suite: SUITE_OPEN, key_epoch: 0, sender: HostTag(0x0102_0304), number: 5 }
}

/// A control frame with a body of 8 bytes.
fn some_frame() -> Frame {
    Frame::Tunnel { shows: 1, wants: 2 }
}

/// The last one of three fragments.
fn some_data() -> Data {
    let source = Source { host: HostTag(1), incarnation: Incarnation(2) };
    Data {
        group: GroupId(3),
        patch: PatchId(4),
        fragment: FragmentId { source, seq: Seq(5), index: 2 },
        count: 3,
        origin: PatchId(6),
        hops: 7,
        solicited: true,
        options: PublishOptions::default(),
        payload: Bytes::from_static(b"hello"),
    }
}

/// What a representative gets, with more contacts than fit.
fn some_orders() -> Orders {
    let contact = |n| Contact {
        host: HostId([n; 32]),
        incarnation: Incarnation(1),
        addresses: [([10, 0, 0, n], 4_000).into()].into_iter().collect(),
        euid: Euid::default(),
    };
    let assignment = |patch, scope| Assignment {
        patch: PatchId(patch),
        scope,
        protocol: ProtocolId::DONET,
        role: Role::Representative,
        nic: 0,
        parameters: Bytes::from_static(b"parameters"),
        euid: largest_euid(),
        representatives: (1..4).map(|n| HostId([n; 32])).collect(),
        standbys: (4..6).map(|n| HostId([n; 32])).collect(),
        contacts: (0..16).map(contact).collect(),
    };
    let assignments = [assignment(0, Scope::InterPatch), assignment(9, Scope::Regional)];
    Orders {
        group: GroupId(1),
        epoch: 2,
        delivery: Delivery::Ordered,
        assignments: assignments.into_iter().collect(),
    }
}

fn packet(header: &Header, frames: &[Frame]) -> Vec<u8> {
    let mut bytes = header.encode().to_vec();
    frames.iter().for_each(|frame| frame.encode(&mut bytes));
    bytes
}

fn encode(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

fn decode(bytes: &[u8]) -> Result<Vec<Result<Frame, DecodeError>>, DecodeError> {
    Ok(Frames::decode(Bytes::copy_from_slice(bytes))?.collect())
}

/// Decodes a packet of one frame.
fn decode_one(frame: &[u8]) -> Result<Frame, DecodeError> {
    let mut frames = decode(&[&some_header().encode()[..], frame].concat())?;
    assert_eq!(frames.len(), 1, "not one frame");
    frames.remove(0)
}

/// The frame with an extension block in front of its body.
fn extend(frame: &[u8], block: &[u8]) -> Vec<u8> {
    let (head, body) = frame.split_at(4);
    let len = u16::try_from(block.len() + body.len()).expect("a short frame");
    let [high, low] = len.to_be_bytes();
    [&[head[0], head[1] | 0x80, high, low], block, body].concat()
}
