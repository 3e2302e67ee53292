//! What the codec as a whole promises.
#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use super::arbitrary::*;
use super::*;
use crate::euid::{Barrier, Connectivity, Direction, Euid, RouterId, Transport};
use crate::euid::{Metric, Performance, Range as Figures, RouterStack};
use crate::survey::{self, Parent, Representative};
use crate::{
    Delivery, FragmentId, HostTag, Priority, ProtocolId, PublishOptions, Role, Seq, Source,
};
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

proptest! {
    #[test]
    fn every_packet_round_trips(header in header(), frames in vec(frame(), 0..8)) {
        let packet = packet(&header, &frames);
        let decoded = Frames::decode(packet.into()).expect("a good header");
        prop_assert_eq!(decoded.header(), header);
        prop_assert_eq!(decoded.sender(), header.sender);
        let decoded: Result<Vec<Frame>, _> = decoded.collect();
        prop_assert_eq!(decoded, Ok(frames));
    }

    #[test]
    fn every_frame_is_as_long_as_it_may_be(frame in frame()) {
        let longest = match frame {
            Frame::Data(_) => Data::MAX_HEAD_BYTES + FRAGMENT_BYTES,
            _ => MAX_CONTROL_BYTES,
        };
        prop_assert!(encode(&frame).len() <= longest);
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

    /// All reports fit; what is left out are EUIDs of interfaces.
    #[test]
    fn reports_leave_out_what_does_not_fit(report in large_report()) {
        let bytes = encode(&Frame::Report(Box::new(report.clone())));
        prop_assert!(bytes.len() <= MAX_CONTROL_BYTES);
        let Ok(Frame::Report(mut decoded)) = decode_one(&bytes) else {
            return Err(TestCaseError::fail("not a report"));
        };
        prop_assert_eq!(&encode(&Frame::Report(decoded.clone())), &bytes);
        for (decoded, sent) in decoded.nics.iter_mut().zip(&report.nics) {
            prop_assert!(decoded.euid == sent.euid || decoded.euid == Euid::default());
            decoded.euid.clone_from(&sent.euid);
        }
        prop_assert_eq!(*decoded, report);
    }

    /// All orders fit; what is left out are EUIDs of patches, and the last contacts.
    #[test]
    fn orders_leave_out_what_does_not_fit(orders in large_orders()) {
        let bytes = encode(&Frame::Orders(Box::new(orders.clone())));
        prop_assert!(bytes.len() <= MAX_CONTROL_BYTES);
        let Ok(Frame::Orders(mut decoded)) = decode_one(&bytes) else {
            return Err(TestCaseError::fail("not orders"));
        };
        prop_assert_eq!(&encode(&Frame::Orders(decoded.clone())), &bytes);
        for (decoded, sent) in decoded.assignments.iter_mut().zip(&orders.assignments) {
            prop_assert!(sent.contacts.starts_with(&decoded.contacts));
            prop_assert!(decoded.euid == sent.euid || decoded.euid == Euid::default());
            decoded.contacts.clone_from(&sent.contacts);
            decoded.euid.clone_from(&sent.euid);
        }
        prop_assert_eq!(*decoded, orders);
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
fn the_largest_frame_of_each_kind_fits() {
    // As docs/wire.md says.
    let stated = [117, 31, 1_152, 785, 785, 785, 1_040, 20, 14, 56, 24, 1_030];
    for (frame, stated) in largest_frames().into_iter().zip(stated) {
        let bytes = encode(&frame);
        assert_eq!(bytes.len(), stated, "{frame:?}");
        assert_eq!(decode_one(&bytes), Ok(frame));
    }
    for frame in
        [Frame::Report(Box::new(largest_report())), Frame::Orders(Box::new(largest_orders()))]
    {
        let bytes = encode(&frame);
        assert!(bytes.len() <= MAX_CONTROL_BYTES, "{} bytes", bytes.len());
        assert!(decode_one(&bytes).is_ok());
    }
    let mut data = some_data();
    data.payload = alloc::vec![7; FRAGMENT_BYTES].into();
    let datagram = packet(&some_header(), &[Frame::Data(data)]);
    assert!(datagram.len() + TAG_BYTES <= MAX_DATAGRAM_BYTES);
}

#[test]
fn a_report_always_has_room_for_one_interface_in_full() {
    let Ok(Frame::Report(report)) = decode_one(&encode(&Frame::Report(Box::new(largest_report()))))
    else {
        panic!("not a report");
    };
    let known: Vec<bool> = report.nics.iter().map(|nic| nic.euid != Euid::default()).collect();
    assert_eq!(known, [true, false, false, false], "the most important one");
    let mut one = largest_report();
    one.nics.truncate(1);
    assert_eq!(
        decode_one(&encode(&Frame::Report(Box::new(one.clone())))),
        Ok(Frame::Report(Box::new(one)))
    );
}

#[test]
fn a_patch_s_euid_gives_way_only_to_contacts() {
    let mut orders = some_orders();
    orders.assignments.truncate(1);
    orders.assignments[0].contacts.truncate(1);
    assert_eq!(
        decode_one(&encode(&Frame::Orders(Box::new(orders.clone())))),
        Ok(Frame::Orders(Box::new(orders)))
    );
    let Ok(Frame::Orders(orders)) = decode_one(&encode(&Frame::Orders(Box::new(some_orders()))))
    else {
        panic!("not orders");
    };
    assert!(orders.assignments.iter().all(|assignment| assignment.euid == Euid::default()));
}

#[test]
fn contacts_of_all_assignments_get_their_turn() {
    let Ok(Frame::Orders(orders)) = decode_one(&encode(&Frame::Orders(Box::new(some_orders()))))
    else {
        panic!("not orders");
    };
    let counts: Vec<usize> = orders.assignments.iter().map(|a| a.contacts.len()).collect();
    let [first, second] = counts[..] else { panic!("{counts:?}") };
    assert!(second >= 4 && first >= second && first <= second + 1, "{counts:?}");
}

#[test]
fn another_version_is_refused_whatever_follows() {
    let mut bytes = packet(&some_header(), &[]);
    bytes[0] = 2;
    assert_eq!(decode(&bytes), Err(DecodeError::UnknownVersion(2)));
    assert_eq!(decode(&[0]), Err(DecodeError::UnknownVersion(0)));
}

#[test]
fn another_suite_or_key_is_refused() {
    let mut bytes = packet(&some_header(), &[]);
    bytes[1] = 1;
    assert_eq!(decode(&bytes), Err(DecodeError::UnknownSuite(1)));
    let mut bytes = packet(&some_header(), &[]);
    bytes[3] = 1;
    assert_eq!(decode(&bytes), Err(DecodeError::UnknownSuite(0)));
}

#[test]
fn a_packet_is_neither_shorter_than_its_header_nor_longer_than_any_may_be() {
    assert_eq!(decode(&[]), Err(DecodeError::Truncated { have: 0, need: 1 }));
    let header = some_header().encode();
    assert!(matches!(decode(&header[..19]), Err(DecodeError::Truncated { .. })));
    let mut bytes = header.to_vec();
    bytes.resize(MAX_STREAM_PACKET_BYTES + 1, 0);
    let (len, max) = (MAX_STREAM_PACKET_BYTES + 1, MAX_STREAM_PACKET_BYTES);
    assert_eq!(decode(&bytes), Err(DecodeError::TooLong { len, max }));
}

#[test]
fn an_unknown_kind_is_stepped_over() {
    let mut bytes = packet(&some_header(), &[]);
    bytes.extend([0x7f, 0, 0, 2, 9, 9]);
    some_frame().encode(&mut bytes);
    let frames = decode(&bytes).expect("a good header");
    assert_eq!(frames, [Err(DecodeError::UnknownKind(0x7f)), Ok(some_frame())]);
}

#[test]
fn a_bad_frame_does_not_harm_the_next_one() {
    let mut bytes = packet(&some_header(), &[some_frame()]);
    bytes[Header::BYTES + 3] -= 1;
    bytes.pop();
    some_frame().encode(&mut bytes);
    let frames = decode(&bytes).expect("a good header");
    assert_eq!(frames, [Err(DecodeError::Truncated { have: 7, need: 8 }), Ok(some_frame())]);
}

#[test]
fn what_stands_behind_a_frame_s_last_field_makes_it_bad() {
    let mut bytes = encode(&some_frame());
    bytes[3] += 1;
    bytes.push(0);
    assert_eq!(decode_one(&bytes), Err(DecodeError::TooLong { len: 17, max: 16 }));
}

#[test]
fn padding_is_silent_and_as_long_as_asked_for() {
    let header = some_header().encode();
    for len in [4, 5, 600, MAX_DATAGRAM_BYTES - Header::BYTES] {
        assert_eq!(padding(len).len(), len);
        let bytes = [&header[..], &padding(len), &encode(&some_frame())].concat();
        assert_eq!(decode(&bytes), Ok(Vec::from([Ok(some_frame())])));
    }
    assert!(padding(3).is_empty());
}

#[test]
fn unknown_extension_fields_are_stepped_over() {
    for frame in [Frame::Data(some_data()), some_frame(), Frame::Orders(Box::new(some_orders()))] {
        let extended = extend(&encode(&frame), &[7, 77, 2, 1, 2, 78, 1, 9]);
        let decoded = decode_one(&extended);
        assert_eq!(decoded, decode_one(&encode(&frame)));
    }
}

#[test]
fn an_extension_field_may_not_reach_beyond_its_block() {
    let extended = extend(&encode(&some_frame()), &[3, 77, 2, 1]);
    assert_eq!(decode_one(&extended), Err(DecodeError::Truncated { have: 1, need: 2 }));
}

#[test]
fn impossible_fragments_are_refused() {
    let refused = |change: fn(&mut [u8])| {
        let mut bytes = encode(&Frame::Data(some_data()));
        change(&mut bytes);
        decode_one(&bytes)
    };
    let index = Err(DecodeError::BadValue("index"));
    assert_eq!(refused(|bytes| bytes[43] = 0), index, "no fragment at all");
    assert_eq!(refused(|bytes| bytes[41] = 3), index, "the fourth of three");
    let need = FRAGMENT_BYTES;
    let short = Err(DecodeError::Truncated { have: 5, need });
    assert_eq!(refused(|bytes| bytes[41] = 1), short, "a short one before the last");
    let mut bytes = encode(&Frame::Data(some_data()));
    bytes.resize(Data::HEAD_BYTES + FRAGMENT_BYTES + 1, 0);
    bytes[2..4].copy_from_slice(&(FRAGMENT_BYTES as u16 + 41).to_be_bytes());
    let long = Err(DecodeError::TooLong { len: need + 1, max: need });
    assert_eq!(decode_one(&bytes), long);
}

#[test]
fn control_frames_are_refused_where_they_are_too_long() {
    let mut bytes = Vec::from([2, 0, 0, 0]);
    bytes.resize(MAX_CONTROL_BYTES + 1, 0);
    bytes[2..4].copy_from_slice(&(MAX_CONTROL_BYTES as u16 - 3).to_be_bytes());
    let max = MAX_CONTROL_BYTES - 4;
    assert_eq!(decode_one(&bytes), Err(DecodeError::TooLong { len: max + 1, max }));
}

#[test]
fn a_list_that_is_too_long_is_refused_before_it_is_read() {
    let mut bytes = encode(&Frame::Held {
        group: GroupId(1),
        patch: PatchId(2),
        more: false,
        sources: [].into(),
    });
    *bytes.last_mut().expect("a count") = 255;
    let max = Held::MAX_SOURCES;
    assert_eq!(decode_one(&bytes), Err(DecodeError::TooLong { len: 255, max }));
}

#[test]
fn missing_ranges_lie_apart_between_low_and_next() {
    let held = |low, next, missing: &[(u64, u64)]| {
        let range = |&(from, to)| Range { from: Seq(from), to: Seq(to) };
        let missing = missing.iter().map(range).collect();
        let (low, next) = (Seq(low), Seq(next));
        let (host, incarnation) = (HostId([1; 32]), Incarnation(1));
        let held = Held { host, incarnation, low, next, mark: next, missing };
        let frame = Frame::Held {
            group: GroupId(1),
            patch: PatchId(2),
            more: true,
            sources: Vec::from([held]),
        };
        decode_one(&encode(&frame)).map(|decoded| assert_eq!(decoded, frame))
    };
    assert_eq!(held(2, 9, &[(2, 4), (5, 9)]), Ok(()));
    assert_eq!(held(2, 2, &[]), Ok(()));
    let bad = Err(DecodeError::BadValue("missing"));
    assert_eq!(held(3, 2, &[]), bad, "low beyond next");
    assert_eq!(held(2, 9, &[(1, 4)]), bad, "below low");
    assert_eq!(held(2, 9, &[(5, 10)]), bad, "beyond next");
    assert_eq!(held(2, 9, &[(2, 4), (4, 5)]), bad, "touching");
    assert_eq!(held(2, 9, &[(6, 7), (2, 4)]), bad, "descending");
    assert_eq!(held(2, 9, &[(4, 4)]), Err(DecodeError::BadValue("range")), "empty");
}

#[test]
fn a_mark_lies_between_low_and_next() {
    let held = |mark| {
        let (host, incarnation) = (HostId([1; 32]), Incarnation(1));
        let (low, next, mark) = (Seq(2), Seq(9), Seq(mark));
        let held = Held { host, incarnation, low, next, mark, missing: [].into_iter().collect() };
        let (group, patch, sources) = (GroupId(1), PatchId(2), Vec::from([held]));
        decode_one(&encode(&Frame::Held { group, patch, more: false, sources })).map(drop)
    };
    assert_eq!((held(2), held(9)), (Ok(()), Ok(())));
    let bad = Err(DecodeError::BadValue("mark"));
    assert_eq!((held(1), held(10)), (bad, bad));
}

#[test]
fn wanted_fragments_do_not_end_before_they_start() {
    let source = Source { host: HostTag(1), incarnation: Incarnation(1) };
    let first = FragmentId { source, seq: Seq(1), index: 5 };
    let pull = |last| {
        let wanted = Vec::from([Wanted { first, last }]);
        decode_one(&encode(&Frame::Pull(Pull { group: GroupId(1), patch: PatchId(2), wanted })))
            .map(drop)
    };
    assert_eq!(pull(5), Ok(()));
    assert_eq!(pull(u16::MAX), Ok(()));
    assert_eq!(pull(4), Err(DecodeError::BadValue("last")));
}

#[test]
fn contacts_belong_to_an_assignment() {
    let mut orders = some_orders();
    orders.assignments.truncate(1);
    orders.assignments[0].contacts.truncate(1);
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).contact(&orders.assignments[0].contacts[0]);
    let contact_bytes = bytes.len();
    let mut bytes = encode(&Frame::Orders(Box::new(orders)));
    let at = bytes.len() - contact_bytes - 1;
    bytes[at] = 1;
    assert_eq!(decode_one(&bytes), Err(DecodeError::BadValue("contact's assignment")));
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

/// A control frame with a body of 16 bytes.
fn some_frame() -> Frame {
    Frame::Cookie { group: GroupId(1), cookie: 2 }
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

fn largest_ip(n: u8) -> IpAddr {
    Ipv6Addr::from([n.saturating_add(1); 16]).into()
}

fn largest_addresses() -> smallvec::SmallVec<[SocketAddr; 2]> {
    (0..Contact::MAX_ADDRESSES as u8).map(|n| SocketAddr::new(largest_ip(n), 9)).collect()
}

fn largest_euid() -> Euid {
    let option = |n| Connectivity {
        transport: Transport::Udp,
        direction: Direction::Outbound,
        barrier: Barrier::Nat(largest_ip(n)),
    };
    let mut topology = RouterStack::default();
    (0..RouterStack::MAX as u64).for_each(|n| topology.insert(RouterId(n), 3, true));
    let mut performance = Performance::default();
    (0..Performance::MAX as u8)
        .for_each(|n| performance.insert(Metric(n), Figures { lower: 1, upper: 2 }));
    let extension = Bytes::from_static(&[7; Euid::MAX_EXTENSION_BYTES]);
    Euid {
        connectivity: (0..Euid::MAX_CONNECTIVITY as u8).map(option).collect(),
        topology,
        performance,
        extensions: (0..Euid::MAX_EXTENSIONS as u16).map(|n| (n, extension.clone())).collect(),
    }
}

fn largest_report() -> Report {
    let parameters = Bytes::from_static(&[7; Assignment::MAX_PARAMETER_BYTES]);
    let membership = Membership {
        patch: PatchId(1),
        scope: Scope::Regional,
        protocol: ProtocolId::IPMC,
        role: Role::Member,
        nic: 0,
        parameters,
        wants_contacts: true,
        forwards: true,
    };
    let nic = Nic { address: largest_ip(0), euid: largest_euid() };
    Report {
        group: GroupId(1),
        host: HostId([1; 32]),
        incarnation: Incarnation(1),
        cookie: 1,
        create: true,
        delivery: Some(Delivery::Ordered),
        addresses: largest_addresses(),
        nics: smallvec::smallvec![nic; Report::MAX_NICS],
        protocols: smallvec::smallvec![ProtocolId::IPMC; Report::MAX_PROTOCOLS],
        memberships: smallvec::smallvec![membership; Report::MAX_MEMBERSHIPS],
        lost: smallvec::smallvec![HostTag(1); Report::MAX_LOST],
        parent: largest_parent(),
    }
}

fn largest_parent() -> Option<Parent> {
    Some(Parent { host: HostTag(1), round_trip: Some(Duration::from_micros(u32::MAX.into())) })
}

fn largest_survey_part() -> SurveyPart {
    let one = Representative { host: HostTag(1), forwards: true, parent: largest_parent() };
    let patch = |id| survey::Patch {
        patch: PatchId(id),
        scope: Scope::Regional,
        protocol: ProtocolId::IPMC,
        members: 1_000,
        representatives: alloc::vec![one; Assignment::MAX_REPRESENTATIVES],
    };
    let patches = (0..SurveyPart::MAX_PATCHES as u32).map(patch).collect();
    SurveyPart { group: GroupId(1), from: PatchId(0), hosts: 1_000, more: true, patches }
}

fn largest_orders() -> Orders {
    let contact = Contact {
        host: HostId([1; 32]),
        incarnation: Incarnation(1),
        addresses: largest_addresses(),
        euid: largest_euid(),
    };
    let assignment = Assignment {
        patch: PatchId(1),
        scope: Scope::Regional,
        protocol: ProtocolId::IPMC,
        role: Role::Member,
        nic: 0,
        parameters: Bytes::from_static(&[7; Assignment::MAX_PARAMETER_BYTES]),
        euid: largest_euid(),
        representatives: smallvec::smallvec![HostId([1; 32]); Assignment::MAX_REPRESENTATIVES],
        contacts: alloc::vec![contact; Assignment::MAX_CONTACTS],
    };
    let assignments = smallvec::smallvec![assignment; Report::MAX_MEMBERSHIPS];
    Orders { group: GroupId(1), epoch: 1, delivery: Delivery::Ordered, assignments }
}

/// One frame of each other kind, with as much in it as it may hold.
fn largest_frames() -> [Frame; 12] {
    let (group, patch) = (GroupId(1), PatchId(2));
    let (host, incarnation) = (HostId([1; 32]), Incarnation(1));
    let missing =
        (0..Held::MAX_MISSING as u64).map(|n| Range { from: Seq(2 * n), to: Seq(2 * n + 1) });
    let (low, next, mark) = (Seq(0), Seq(99), Seq(99));
    let held = Held { host, incarnation, low, next, mark, missing: missing.collect() };
    let source = Source { host: HostTag(1), incarnation };
    let wanted = Wanted { first: FragmentId { source, seq: Seq(1), index: 0 }, last: u16::MAX };
    let pull = Pull { group, patch, wanted: alloc::vec![wanted; Pull::MAX_WANTED] };
    [
        Frame::Hello(Hello { host, incarnation, addresses: largest_addresses() }),
        Frame::Beat(Beat { stamp: 1, echo: 2, held: 3, next_ms: 4, needed: true }),
        Frame::Held { group, patch, more: true, sources: alloc::vec![held; Held::MAX_SOURCES] },
        Frame::Pull(pull.clone()),
        Frame::NotHeld(pull.clone()),
        Frame::Claim(pull),
        Frame::Protocol { group, patch, body: Bytes::from_static(&[7; MAX_PROTOCOL_BODY_BYTES]) },
        Frame::Cookie { group, cookie: 1 },
        Frame::Refused { group, refusal: Refusal::Delivery(Delivery::Ordered) },
        Frame::Depart { group, host, incarnation, cookie: 1 },
        Frame::Survey { group, cookie: 1, from: patch },
        Frame::SurveyPart(largest_survey_part()),
    ]
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
