//! Every frame keeps to its length, whatever is in it.

use super::*;
use crate::euid::{Barrier, Connectivity, Direction, Nat, RouterId, Transport};
use crate::euid::{Metric, Performance, Range as Figures, RouterStack};
use crate::survey::{self, Parent, Representative};
use core::net::Ipv6Addr;

proptest! {
    #[test]
    fn every_frame_is_as_long_as_it_may_be(frame in frame()) {
        let longest = match frame {
            Frame::Data(_) => Data::MAX_HEAD_BYTES + FRAGMENT_BYTES,
            _ => MAX_CONTROL_BYTES,
        };
        prop_assert!(encode(&frame).len() <= longest);
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
fn the_largest_frame_of_each_kind_fits() {
    // As docs/wire.md says.
    let stated =
        [117, 31, 10, 18, 12, 1_012, 125, 1_152, 785, 785, 785, 1_040, 40, 14, 56, 24, 1_030];
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

fn largest_ip(n: u8) -> IpAddr {
    Ipv6Addr::from([n.saturating_add(1); 16]).into()
}

fn largest_addresses() -> smallvec::SmallVec<[SocketAddr; 2]> {
    (0..Contact::MAX_ADDRESSES as u8).map(|n| SocketAddr::new(largest_ip(n), 9)).collect()
}

pub(super) fn largest_euid() -> Euid {
    let option = |n| Connectivity {
        transport: Transport::Udp,
        direction: Direction::Outbound,
        barrier: Barrier::Nat(Nat::at(largest_ip(n))),
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
        standbys: smallvec::smallvec![],
        contacts: alloc::vec![contact; Assignment::MAX_CONTACTS],
    };
    let assignments = smallvec::smallvec![assignment; Report::MAX_MEMBERSHIPS];
    Orders { group: GroupId(1), epoch: 1, delivery: Delivery::Ordered, assignments }
}

fn largest_sensed() -> Sensed {
    let [seen, other, ..] = largest_addresses()[..] else { panic!("too few addresses") };
    let (other_port, other_address) = (Some(9), Some(other));
    Sensed { nonce: 1, cookie: 2, seen, other_port, other_address, unreachable: true }
}

#[test]
fn who_asks_how_it_looks_from_outside_knows_how_long_the_answer_may_be() {
    let longest = Header::BYTES + encode(&Frame::Sensed(largest_sensed())).len();
    assert_eq!(longest, Sensed::DATAGRAM_BYTES);
}

/// One frame of each other kind, with as much in it as it may hold.
fn largest_frames() -> [Frame; 20] {
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
        Frame::Flow { token: 1, number: 2 },
        Frame::Ack(Ack { next: 1, got: 2, held_us: 3 }),
        Frame::Tunnel { shows: 1, wants: 2 },
        Frame::Segment(Segment {
            number: 1,
            next: 2,
            bytes: Bytes::from_static(&[7; Segment::MAX_BYTES]),
        }),
        Frame::Knock {
            to: HostTag(1),
            by: Hello { host, incarnation, addresses: largest_addresses() },
        },
        Frame::Held { group, patch, more: true, sources: alloc::vec![held; Held::MAX_SOURCES] },
        Frame::Pull(pull.clone()),
        Frame::NotHeld(pull.clone()),
        Frame::Claim(pull),
        Frame::Protocol { group, patch, body: Bytes::from_static(&[7; MAX_PROTOCOL_BODY_BYTES]) },
        Frame::Cookie { group, cookie: 1, seen: Some(largest_addresses()[0]) },
        Frame::Refused { group, refusal: Refusal::Delivery(Delivery::Ordered) },
        Frame::Depart { group, host, incarnation, cookie: 1 },
        Frame::Survey { group, cookie: 1, from: patch },
        Frame::SurveyPart(largest_survey_part()),
        Frame::Sense(Sense { nonce: 1, cookie: 2, reply: Reply::Stream { port: 9 } }),
        Frame::Sensed(largest_sensed()),
        Frame::Sight(Sight {
            segment: Some(1),
            asks: true,
            heard: alloc::vec![HostTag(1); Sight::MAX_HEARD],
        }),
    ]
}
