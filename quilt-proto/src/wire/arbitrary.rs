//! Strategies for everything that frames carry, within its maxima.
#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use super::*;
use crate::euid::{
    self, Barrier, Connectivity, Direction, Euid, Metric, Nat, Performance, RouterId, RouterStack,
    Transport,
};
use crate::survey::{self, Parent, Representative};
use crate::{FragmentId, HostTag, Priority, ProtocolId, PublishOptions, Role, Seq, Source};
use alloc::vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use smallvec::{Array, SmallVec};

pub(crate) fn header() -> impl Strategy<Value = Header> {
    (any::<u64>(), any::<u64>()).prop_map(|(sender, number)| Header {
        suite: SUITE_OPEN,
        key_epoch: 0,
        sender: HostTag(sender),
        number,
    })
}

pub(crate) fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        hello().prop_map(Frame::Hello),
        beat().prop_map(Frame::Beat),
        (any::<u32>(), any::<u16>()).prop_map(|(token, number)| Frame::Flow { token, number }),
        (any::<u16>(), any::<u64>(), any::<u32>())
            .prop_map(|(next, got, held_us)| Frame::Ack(Ack { next, got, held_us })),
        (any::<u32>(), any::<u32>()).prop_map(|(shows, wants)| Frame::Tunnel { shows, wants }),
        (any::<u32>(), any::<u32>(), bytes(Segment::MAX_BYTES))
            .prop_map(|(number, next, bytes)| Frame::Segment(Segment { number, next, bytes })),
        (any::<u64>(), hello()).prop_map(|(to, by)| Frame::Knock { to: HostTag(to), by }),
        data().prop_map(Frame::Data),
        (group(), patch(), any::<bool>(), vec(held(), 0..=Held::MAX_SOURCES))
            .prop_map(|(group, patch, more, sources)| Frame::Held { group, patch, more, sources }),
        pull().prop_map(Frame::Pull),
        pull().prop_map(Frame::NotHeld),
        pull().prop_map(Frame::Claim),
        (group(), patch(), bytes(MAX_PROTOCOL_BODY_BYTES))
            .prop_map(|(group, patch, body)| Frame::Protocol { group, patch, body }),
        report().prop_map(|report| Frame::Report(Box::new(report))),
        (group(), any::<u64>(), proptest::option::of(address()))
            .prop_map(|(group, cookie, seen)| Frame::Cookie { group, cookie, seen }),
        orders().prop_map(|orders| Frame::Orders(Box::new(orders))),
        (group(), refusal()).prop_map(|(group, refusal)| Frame::Refused { group, refusal }),
        (group(), host(), incarnation(), any::<u64>()).prop_map(
            |(group, host, incarnation, cookie)| {
                Frame::Depart { group, host, incarnation, cookie }
            }
        ),
        (group(), any::<u64>(), patch()).prop_map(|(group, cookie, from)| Frame::Survey {
            group,
            cookie,
            from
        }),
        survey_part().prop_map(Frame::SurveyPart),
        sense().prop_map(Frame::Sense),
        sensed().prop_map(Frame::Sensed),
        (
            proptest::option::of(1..=u64::MAX),
            any::<bool>(),
            vec(any::<u64>(), 0..=Sight::MAX_HEARD)
        )
            .prop_map(|(segment, asks, heard)| {
                let heard = heard.into_iter().map(HostTag).collect();
                Frame::Sight(Sight { segment, asks, heard })
            }),
    ]
}

fn sense() -> impl Strategy<Value = Sense> {
    let reply = prop_oneof![
        select(&[Reply::Here, Reply::OtherPort, Reply::OtherAddress][..]),
        (1..=u16::MAX).prop_map(|port| Reply::Stream { port }),
    ];
    (any::<u64>(), any::<u64>(), reply).prop_map(|(nonce, cookie, reply)| Sense {
        nonce,
        cookie,
        reply,
    })
}

fn sensed() -> impl Strategy<Value = Sensed> {
    let others = (proptest::option::of(1..=u16::MAX), proptest::option::of(address()));
    (any::<u64>(), any::<u64>(), address(), others, any::<bool>()).prop_map(
        |(nonce, cookie, seen, (other_port, other_address), unreachable)| Sensed {
            nonce,
            cookie,
            seen,
            other_port,
            other_address,
            unreachable,
        },
    )
}

pub(crate) fn data() -> impl Strategy<Value = Data> {
    let whole = (Just(FRAGMENT_BYTES), 0..u16::MAX - 1, 1..=u16::MAX)
        .prop_map(|(len, index, behind)| (len, index, index.saturating_add(behind)));
    let last = (0..=FRAGMENT_BYTES, 0..u16::MAX).prop_map(|(len, index)| (len, index, index));
    let place = prop_oneof![whole, last].prop_flat_map(|(len, index, last)| {
        let count = last.saturating_add(1);
        (vec(any::<u8>(), len), Just(index), Just(count))
    });
    let names = (group(), patch(), source(), 0..=Seq::END.0, patch());
    (names, 0..=Data::MAX_HOPS, any::<bool>(), options(), place).prop_map(
        |((group, patch, source, seq, origin), hops, solicited, options, place)| {
            let (payload, index, count) = place;
            Data {
                group,
                patch,
                fragment: FragmentId { source, seq: Seq(seq), index },
                count,
                origin,
                hops,
                solicited,
                options,
                payload: if options.is_over() { Bytes::new() } else { payload.into() },
            }
        },
    )
}

fn options() -> impl Strategy<Value = PublishOptions> {
    let deadline = proptest::option::of(prop_oneof![1 => Just(0), 4 => any::<u32>()]);
    (select(&Priority::ALL[..]), deadline, any::<bool>()).prop_map(|(priority, micros, mark)| {
        let deadline = micros.map(|micros| Duration::from_micros(micros.into()));
        PublishOptions { priority, deadline, mark }
    })
}

/// A report of which nothing is left out: at most two interfaces, sensed four hops far.
fn report() -> impl Strategy<Value = Report> {
    report_with(euid(2, 4), 2)
}

/// A report with as much in it as a [`Report`] can hold, and more than a frame can.
pub(crate) fn large_report() -> impl Strategy<Value = Report> {
    report_with(any_euid(), Report::MAX_NICS)
}

fn report_with(euid: impl Strategy<Value = Euid>, nics: usize) -> impl Strategy<Value = Report> {
    let nic = (ip(), euid).prop_map(|(address, euid)| Nic { address, euid });
    let wish = proptest::option::of(delivery());
    let who = (group(), host(), incarnation(), any::<u64>(), any::<bool>(), wish, addresses());
    let what = (
        small(nic, nics),
        small(protocol(), Report::MAX_PROTOCOLS),
        small(membership(), Report::MAX_MEMBERSHIPS),
        small(tag(), Report::MAX_LOST),
        parent(),
    );
    (who, what).prop_map(
        |(
            (group, host, incarnation, cookie, create, delivery, addresses),
            (nics, protocols, memberships, lost, parent),
        )| Report {
            group,
            host,
            incarnation,
            cookie,
            create,
            delivery,
            addresses,
            nics,
            protocols,
            memberships,
            lost,
            parent,
        },
    )
}

fn membership() -> impl Strategy<Value = Membership> {
    (place(), any::<bool>(), any::<bool>()).prop_map(
        |((patch, scope, protocol, role, nic, parameters), wants_contacts, forwards)| Membership {
            patch,
            scope,
            protocol,
            role,
            nic,
            parameters,
            wants_contacts,
            forwards,
        },
    )
}

fn survey_part() -> impl Strategy<Value = SurveyPart> {
    let representative = (tag(), any::<bool>(), parent())
        .prop_map(|(host, forwards, parent)| Representative { host, forwards, parent });
    let representatives = vec(representative, 0..=Assignment::MAX_REPRESENTATIVES);
    let scope = select(&[Scope::Regional, Scope::InterPatch][..]);
    let rest = (scope, protocol(), any::<u32>(), representatives);
    let patches = btree_map(any::<u32>(), rest, 0..=SurveyPart::MAX_PATCHES);
    (group(), any::<u32>(), any::<u32>(), any::<bool>(), patches).prop_map(
        |(group, from, hosts, more, patches)| {
            let patches: Vec<_> = patches
                .into_iter()
                .map(|(id, (scope, protocol, members, representatives))| survey::Patch {
                    patch: PatchId(id),
                    scope,
                    protocol,
                    members,
                    representatives,
                })
                .collect();
            let from = patches.first().map_or(from, |first| from.min(first.patch.0));
            let more = more && !patches.is_empty();
            SurveyPart { group, from: PatchId(from), hosts, more, patches }
        },
    )
}

fn parent() -> impl Strategy<Value = Option<Parent>> {
    let parent = (tag(), any::<u32>()).prop_map(|(host, micros)| {
        let round_trip = Some(Duration::from_micros(micros.into())).filter(|time| !time.is_zero());
        Parent { host, round_trip }
    });
    proptest::option::of(parent)
}

/// Orders of which nothing is left out.
fn orders() -> impl Strategy<Value = Orders> {
    let assignment = assignment(
        euid(1, 2),
        (small(host(), 3), small(host(), 2)),
        vec(contact(euid(1, 1)), 0..=2),
    );
    (group(), any::<u64>(), delivery(), small(assignment, 2)).prop_map(
        |(group, epoch, delivery, assignments)| Orders { group, epoch, delivery, assignments },
    )
}

/// Orders with as much in them as an [`Orders`] can hold, and more than a frame can.
pub(crate) fn large_orders() -> impl Strategy<Value = Orders> {
    let on_duty = vec(host(), 0..=Assignment::MAX_REPRESENTATIVES);
    let representatives = (on_duty, any::<prop::sample::Index>()).prop_map(|(all, at)| {
        let (representatives, standbys) = all.split_at(at.index(all.len() + 1));
        (Ranks::from_slice(representatives), Ranks::from_slice(standbys))
    });
    let contacts = vec(contact(any_euid()), 0..=Assignment::MAX_CONTACTS);
    let assignment = assignment(any_euid(), representatives, contacts);
    (group(), any::<u64>(), delivery(), small(assignment, Report::MAX_MEMBERSHIPS)).prop_map(
        |(group, epoch, delivery, assignments)| Orders { group, epoch, delivery, assignments },
    )
}

type Ranks = SmallVec<[HostId; 3]>;

fn assignment(
    euid: impl Strategy<Value = Euid>,
    representatives: impl Strategy<Value = (Ranks, Ranks)>,
    contacts: impl Strategy<Value = Vec<Contact>>,
) -> impl Strategy<Value = Assignment> {
    (place(), euid, representatives, contacts).prop_map(
        |(place, euid, (representatives, standbys), contacts)| {
            let (patch, scope, protocol, role, nic, parameters) = place;
            Assignment {
                patch,
                scope,
                protocol,
                role,
                nic,
                parameters,
                euid,
                representatives,
                standbys,
                contacts,
            }
        },
    )
}

type Place = (PatchId, Scope, ProtocolId, Role, u8, Bytes);

fn place() -> impl Strategy<Value = Place> {
    let scope = select(&[Scope::Regional, Scope::InterPatch][..]);
    let role = select(&[Role::Member, Role::Representative][..]);
    (patch(), scope, protocol(), role, any::<u8>(), bytes(Assignment::MAX_PARAMETER_BYTES))
}

pub(crate) fn contact(euid: impl Strategy<Value = Euid>) -> impl Strategy<Value = Contact> {
    (host(), incarnation(), addresses(), euid).prop_map(|(host, incarnation, addresses, euid)| {
        Contact { host, incarnation, addresses, euid }
    })
}

/// Any EUID.
pub(crate) fn any_euid() -> impl Strategy<Value = Euid> {
    euid(Euid::MAX_CONNECTIVITY, RouterStack::MAX)
}

/// An EUID with few options and routers.
fn euid(options: usize, routers: usize) -> impl Strategy<Value = Euid> {
    let router = || (any::<u64>().prop_map(RouterId), any::<u8>());
    let extension = bytes(Euid::MAX_EXTENSION_BYTES);
    let figures = btree_map(any::<u8>(), (any::<u32>(), any::<u32>()), 0..=routers.min(8));
    (
        btree_set(connectivity(), 0..=options),
        vec(router(), 0..=routers),
        vec(router(), 0..=routers),
        figures,
        btree_map(any::<u16>(), extension, 0..=options.min(Euid::MAX_EXTENSIONS) / 2),
    )
        .prop_map(|(connectivity, routers, multicast, figures, extensions)| {
            let mut performance = Performance::default();
            for (metric, (a, b)) in figures {
                let range = euid::Range { lower: a.min(b), upper: a.max(b) };
                performance.insert(Metric(metric), range);
            }
            let topology = RouterStack::from_parts(&routers, &multicast);
            let connectivity = connectivity.into_iter().collect();
            Euid { connectivity, topology, performance, extensions }
        })
}

fn connectivity() -> impl Strategy<Value = Connectivity> {
    let transport = select(&[Transport::Tcp, Transport::Udp][..]);
    let direction = select(&[Direction::Both, Direction::Inbound, Direction::Outbound][..]);
    let dependence = crate::euid::strategy::dependence;
    let nat = (ip(), dependence(), dependence()).prop_map(|(address, mapping, filtering)| Nat {
        address,
        mapping,
        filtering,
    });
    let barrier =
        prop_oneof![Just(Barrier::None), nat.prop_map(Barrier::Nat), Just(Barrier::Firewall)];
    (transport, direction, barrier).prop_map(|(transport, direction, barrier)| Connectivity {
        transport,
        direction,
        barrier,
    })
}

fn hello() -> impl Strategy<Value = Hello> {
    (host(), incarnation(), addresses()).prop_map(|(host, incarnation, addresses)| Hello {
        host,
        incarnation,
        addresses,
    })
}

fn beat() -> impl Strategy<Value = Beat> {
    (any::<u64>(), any::<u64>(), any::<u64>(), any::<u16>(), any::<bool>()).prop_map(
        |(stamp, echo, held, next_ms, needed)| Beat { stamp, echo, held, next_ms, needed },
    )
}

/// `low`, the ends of the missing ranges and `next` are one ascending row of numbers.
fn held() -> impl Strategy<Value = Held> {
    let ends = btree_set(0..=Seq::END.0, 2..=2 * Held::MAX_MISSING + 2);
    (host(), incarnation(), ends).prop_map(|(host, incarnation, ends)| {
        let ends: Vec<Seq> = ends.into_iter().map(Seq).collect();
        let (low, next) = (ends[0], ends[ends.len() - 1]);
        let mark = ends[ends.len() / 2];
        let inner = ends[1..ends.len() - 1].chunks_exact(2);
        let missing = inner.map(|pair| Range { from: pair[0], to: pair[1] }).collect();
        Held { host, incarnation, low, next, mark, missing }
    })
}

pub(crate) fn pull() -> impl Strategy<Value = Pull> {
    let wanted = (source(), 0..=Seq::END.0, any::<u16>(), any::<u16>()).prop_map(
        |(source, seq, one, other)| Wanted {
            first: FragmentId { source, seq: Seq(seq), index: one.min(other) },
            last: one.max(other),
        },
    );
    (group(), patch(), vec(wanted, 0..=Pull::MAX_WANTED)).prop_map(|(group, patch, wanted)| Pull {
        group,
        patch,
        wanted,
    })
}

fn refusal() -> impl Strategy<Value = Refusal> {
    use Refusal::*;
    let plain = select(&[UnknownGroup, TagTaken, NoProtocol, Full, Replaced][..]);
    prop_oneof![plain, delivery().prop_map(Delivery)]
}

fn delivery() -> impl Strategy<Value = crate::Delivery> {
    select(&crate::Delivery::ALL[..])
}

fn group() -> impl Strategy<Value = GroupId> {
    any::<u64>().prop_map(GroupId)
}

fn patch() -> impl Strategy<Value = PatchId> {
    any::<u32>().prop_map(PatchId)
}

fn host() -> impl Strategy<Value = HostId> {
    any::<[u8; 32]>().prop_map(HostId)
}

fn tag() -> impl Strategy<Value = HostTag> {
    any::<u64>().prop_map(HostTag)
}

fn incarnation() -> impl Strategy<Value = Incarnation> {
    any::<u32>().prop_map(Incarnation)
}

fn protocol() -> impl Strategy<Value = ProtocolId> {
    any::<u16>().prop_map(ProtocolId)
}

fn source() -> impl Strategy<Value = Source> {
    (tag(), incarnation()).prop_map(|(host, incarnation)| Source { host, incarnation })
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (ip(), any::<u16>()).prop_map(SocketAddr::from)
}

fn addresses() -> impl Strategy<Value = SmallVec<[SocketAddr; 2]>> {
    small(address(), Contact::MAX_ADDRESSES)
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| Ipv4Addr::from(octets).into()),
        any::<[u8; 16]>().prop_map(|octets| IpAddr::from(Ipv6Addr::from(octets)).to_canonical()),
    ]
}

fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..=max).prop_map(Bytes::from)
}

fn small<A>(entry: impl Strategy<Value = A::Item>, max: usize) -> impl Strategy<Value = SmallVec<A>>
where
    A: Array + core::fmt::Debug,
    A::Item: core::fmt::Debug,
{
    vec(entry, 0..=max).prop_map(SmallVec::from_vec)
}
