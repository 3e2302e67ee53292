//! What is refused, and what is stepped over.

use super::*;

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
    assert_eq!(frames, [Err(DecodeError::Truncated { have: 3, need: 4 }), Ok(some_frame())]);
}

#[test]
fn what_stands_behind_a_frame_s_last_field_makes_it_bad() {
    let mut bytes = encode(&some_frame());
    bytes[3] += 1;
    bytes.push(0);
    assert_eq!(decode_one(&bytes), Err(DecodeError::TooLong { len: 9, max: 8 }));
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
