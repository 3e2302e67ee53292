use super::super::{Bootstrap, BootstrapConfig};
use super::hosts::{config, group, host, open, report};
use crate::wire::{
    Assembler, Frame, Frames, Header, MAX_DATAGRAM_BYTES, PREFIX_BYTES, SUITE_OPEN, padding,
};
use crate::{
    Action, Counter, Event, Incarnation, LinkError, LinkId, Machine, PatchId, Rng, Time, Transmit,
};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use proptest::prelude::*;

pub(super) fn service(config: BootstrapConfig) -> Bootstrap {
    Bootstrap::new(config, 7)
}

pub(super) fn from(n: u8) -> SocketAddr {
    ([10, 0, 0, n], 4_000).into()
}

/// A packet of host `n`.
pub(super) fn packet(n: u8, frame: &Frame) -> Bytes {
    let sender = host(n).tag();
    let header = Header { suite: SUITE_OPEN, key_epoch: 0, sender, number: 0 };
    let mut bytes = header.encode().to_vec();
    frame.encode(&mut bytes);
    bytes.into()
}

pub(super) fn padded(n: u8, frame: &Frame) -> Bytes {
    let mut bytes = packet(n, frame).to_vec();
    bytes.extend(padding(MAX_DATAGRAM_BYTES.saturating_sub(bytes.len())));
    bytes.into()
}

fn join(n: u8, cookie: u64) -> Frame {
    let mut report = report(n, [open(n, &["a"])]);
    report.cookie = cookie;
    Frame::Report(Box::new(report))
}

pub(super) fn datagram(service: &mut Bootstrap, n: u8, bytes: Bytes) {
    service.handle(
        Time::ZERO,
        Event::Datagram { link: LinkId::UDP, from: from(n), bytes: bytes.into() },
    );
}

pub(super) fn received(service: &mut Bootstrap, link: LinkId, bytes: Bytes) {
    service.handle(Time::ZERO, Event::Received { link, bytes: bytes.into() });
}

pub(super) fn on_stream(packet: Bytes) -> Bytes {
    [&Assembler::prefix(packet.len())[..], &packet].concat().into()
}

/// Everything that waits on a link.
pub(super) fn drain(service: &mut Bootstrap, link: LinkId) -> Vec<Transmit> {
    core::iter::from_fn(|| service.poll_transmit(link)).collect()
}

pub(super) fn frames(transmits: &[Transmit]) -> Vec<Frame> {
    let packets = transmits.iter().map(|transmit| {
        let bytes = transmit.to_bytes();
        if transmit.to.is_some() { bytes } else { bytes.slice(PREFIX_BYTES..) }
    });
    packets.flat_map(|packet| Frames::decode(packet).unwrap()).map(Result::unwrap).collect()
}

fn actions(service: &mut Bootstrap) -> Vec<Action> {
    core::iter::from_fn(|| service.poll_action()).collect()
}

/// The cookie for host `n`'s address.
fn cookie(service: &mut Bootstrap, n: u8) -> u64 {
    datagram(service, n, padded(n, &join(n, 0)));
    match frames(&drain(service, LinkId::UDP))[..] {
        [Frame::Cookie { cookie, .. }] => cookie,
        ref other => panic!("no cookie but {other:?}"),
    }
}

#[test]
fn a_datagram_joins_with_a_cookie_only() {
    let mut service = service(config());
    let cookie = cookie(&mut service, 1);
    assert_eq!(service.groups().count(), 0, "the unproven leaves no state");
    datagram(&mut service, 1, packet(1, &join(1, cookie)));
    let answer = drain(&mut service, LinkId::UDP);
    assert_eq!(answer[0].to, Some(from(1)));
    assert!(matches!(frames(&answer)[..], [Frame::Orders(_)]));
    assert_eq!(service.groups().next().unwrap().hosts, 1);
    // Nobody else can use it.
    datagram(&mut service, 2, padded(2, &join(2, cookie)));
    assert!(matches!(frames(&drain(&mut service, LinkId::UDP))[..], [Frame::Cookie { .. }]));
    assert_eq!(service.groups().next().unwrap().hosts, 1);
    assert_eq!(service.counters().get(Counter::Unproven), 2);
}

#[test]
fn the_unproven_get_no_more_bytes_than_they_sent() {
    let mut service = service(config());
    // Several requests in one datagram get one answer.
    let depart =
        Frame::Depart { group: group(), host: host(1), incarnation: Incarnation(1), cookie: 0 };
    let survey = Frame::Survey { group: group(), cookie: 0, from: PatchId(0) };
    let mut many = packet(1, &depart).to_vec();
    (0..9).for_each(|_| depart.encode(&mut many));
    let requests = [join(1, 0), depart, survey].map(|request| packet(1, &request));
    for bytes in requests.into_iter().chain([padded(1, &join(1, 0)), many.into()]) {
        let came = bytes.len();
        datagram(&mut service, 1, bytes);
        let sent: usize = drain(&mut service, LinkId::UDP).iter().map(Transmit::len).sum();
        assert!(sent > 0 && sent <= came, "{sent} bytes for {came}");
    }
}

#[test]
fn a_stream_needs_no_cookie_and_says_hello() {
    let mut service = service(config());
    let link = service.accept(Time::ZERO, from(1)).unwrap();
    let bytes = on_stream(packet(1, &join(1, 0)));
    // Byte by byte, as the worst network would.
    bytes.iter().for_each(|&byte| received(&mut service, link, Bytes::from(Vec::from([byte]))));
    assert_eq!(actions(&mut service), [Action::Look { link }]);
    let sent = frames(&drain(&mut service, link));
    assert!(matches!(sent[..], [Frame::Hello(_), Frame::Orders(_)]), "{sent:?}");
}

#[test]
fn a_link_is_looked_at_once_until_it_was_pulled_empty() {
    let mut service = service(config());
    let link = service.accept(Time::ZERO, from(1)).unwrap();
    assert_eq!(actions(&mut service), [Action::Look { link }]);
    received(&mut service, link, on_stream(packet(1, &join(1, 0))));
    assert_eq!(actions(&mut service), []);
    assert_eq!(drain(&mut service, link).len(), 1, "both frames in one packet");
    received(&mut service, link, on_stream(packet(1, &join(1, 0))));
    assert_eq!(actions(&mut service), [Action::Look { link }]);
}

#[test]
fn garbage_is_counted_and_closes_its_stream() {
    let mut bad_version = packet(1, &join(1, 0)).to_vec();
    bad_version[0] = 99;
    let bad_version = Bytes::from(bad_version);
    let mut bad_frame = packet(1, &join(1, 0)).to_vec();
    bad_frame.truncate(60);
    let bad_frame = Bytes::from(bad_frame);
    for (garbage, counter) in [
        (bad_version, Counter::DroppedVersion),
        (bad_frame, Counter::DroppedMalformed),
        (Bytes::from_static(&[1, 2, 3]), Counter::DroppedTruncated),
    ] {
        let mut service = service(config());
        datagram(&mut service, 1, garbage.clone());
        assert_eq!(service.counters().get(counter), 1);
        assert!(drain(&mut service, LinkId::UDP).is_empty(), "and gets no answer");

        let link = service.accept(Time::ZERO, from(1)).unwrap();
        received(&mut service, link, on_stream(garbage));
        assert_eq!(actions(&mut service).last(), Some(&Action::Close { link }));
        assert!(drain(&mut service, link).is_empty());
    }
}

#[test]
fn an_idle_stream_is_closed_after_a_minute() {
    let mut service = service(config());
    let link = service.accept(Time::ZERO, from(1)).unwrap();
    actions(&mut service);
    let at = service.poll_timeout().unwrap();
    assert_eq!(at, Time::ZERO + Duration::from_secs(60));
    service.handle(at, Event::Timeout);
    assert_eq!(service.poll_timeout(), Some(at), "an action waits");
    assert_eq!(actions(&mut service), [Action::Close { link }]);
    assert_eq!(service.poll_timeout(), None);
}

#[test]
fn links_and_queues_are_bounded() {
    let mut config = config();
    config.limits.links = 1;
    config.limits.queued_control = 2;
    let mut service = service(config);
    let link = service.accept(Time::ZERO, from(1)).unwrap();
    assert_eq!(service.accept(Time::ZERO, from(2)), None);
    assert_eq!(service.counters().get(Counter::LinksRefused), 1);
    (0..2).for_each(|_| received(&mut service, link, on_stream(packet(1, &join(1, 0)))));
    assert_eq!(service.counters().get(Counter::ControlOverflow), 1);
    assert_eq!(actions(&mut service).last(), Some(&Action::Close { link }), "it is not read");
    (0..3).for_each(|_| datagram(&mut service, 1, padded(1, &join(1, 0))));
    assert_eq!(service.counters().get(Counter::ControlOverflow), 2);
    assert_eq!(frames(&drain(&mut service, LinkId::UDP)).len(), 2);
}

#[test]
fn appointments_reach_a_host_that_did_not_ask() {
    let mut service = service(config());
    let links: Vec<_> = (1..=4)
        .map(|n| {
            let link = service.accept(Time::ZERO, from(n)).unwrap();
            received(&mut service, link, on_stream(packet(n, &join(n, 0))));
            drain(&mut service, link);
            link
        })
        .collect();
    links.iter().for_each(|&link| drop(drain(&mut service, link)));
    let changes = service.changes();
    let depart =
        Frame::Depart { group: group(), host: host(1), incarnation: Incarnation(1), cookie: 0 };
    received(&mut service, links[0], on_stream(packet(1, &depart)));
    assert_ne!(service.changes(), changes);
    for link in &links[2..] {
        assert!(matches!(frames(&drain(&mut service, *link))[..], [Frame::Orders(_)]));
    }
    let view = service.groups().next().unwrap();
    assert_eq!((view.hosts, view.patches[1].members), (3, 3));
    assert_eq!(view.patches[1].representatives, [host(2), host(3), host(4)]);
}

#[test]
fn a_survey_is_for_proven_members_only() {
    let mut service = service(config());
    let cookies = [1, 2].map(|n| cookie(&mut service, n));
    let survey =
        |n: u8, cookie| packet(n, &Frame::Survey { group: group(), cookie, from: PatchId(0) });
    datagram(&mut service, 1, packet(1, &join(1, cookies[0])));
    drain(&mut service, LinkId::UDP);
    datagram(&mut service, 1, survey(1, cookies[1]));
    assert!(matches!(frames(&drain(&mut service, LinkId::UDP))[..], [Frame::Cookie { .. }]));
    datagram(&mut service, 2, survey(2, cookies[1]));
    assert!(drain(&mut service, LinkId::UDP).is_empty(), "not a member");
    assert_eq!(service.counters().get(Counter::DroppedUnexpected), 1);
    datagram(&mut service, 1, survey(1, cookies[0]));
    let sent = frames(&drain(&mut service, LinkId::UDP));
    let [Frame::SurveyPart(part)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((part.hosts, part.patches.len(), part.more), (1, 2, false));
}

#[test]
fn a_report_for_another_host_is_dropped() {
    let mut service = service(config());
    let link = service.accept(Time::ZERO, from(1)).unwrap();
    drain(&mut service, link);
    received(&mut service, link, on_stream(packet(1, &join(2, 0))));
    assert_eq!(service.counters().get(Counter::DroppedUnexpected), 1);
    assert!(drain(&mut service, link).is_empty());
}

/// One thing that may happen to a service.
#[derive(Clone, Debug)]
enum Op {
    Accept,
    Datagram(u8, Bytes),
    Received(u8, Bytes),
    Closed(u8),
    Wait(u16),
}

fn op() -> impl Strategy<Value = Op> {
    let garbage = proptest::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from);
    let frame = crate::wire::arbitrary::frame();
    let valid = (0u8..8, frame).prop_map(|(n, frame)| packet(n, &frame));
    // Most frames of others are not for the service; these are.
    let joins = (0u8..8, any::<u8>()).prop_map(|(n, damage)| {
        let mut bytes = padded(n, &join(n, 0)).to_vec();
        if let Some(byte) = bytes.get_mut(usize::from(damage)).filter(|_| damage % 2 == 0) {
            *byte ^= 1 << (damage % 8);
        }
        Bytes::from(bytes)
    });
    let bytes = prop_oneof![garbage, valid, joins].boxed();
    prop_oneof![
        Just(Op::Accept),
        (any::<u8>(), bytes.clone()).prop_map(|(n, bytes)| Op::Datagram(n % 8, bytes)),
        (any::<u8>(), bytes.clone()).prop_map(|(n, bytes)| Op::Received(n % 8, on_stream(bytes))),
        (any::<u8>(), bytes).prop_map(|(n, bytes)| Op::Received(n % 8, bytes)),
        any::<u8>().prop_map(|n| Op::Closed(n % 8)),
        any::<u16>().prop_map(Op::Wait),
    ]
}

/// What a service does in answer, in order.
fn run(seed: u64, ops: &[Op]) -> Vec<(Option<Action>, Option<Transmit>)> {
    let mut config = config();
    config.limits.queued_control = 8;
    let mut service = Bootstrap::new(config, seed);
    let mut now = Time::ZERO;
    let mut trace = Vec::new();
    for op in ops.iter().cloned() {
        match op {
            Op::Accept => drop(service.accept(now, from(1))),
            Op::Datagram(n, bytes) => {
                service.handle(
                    now,
                    Event::Datagram { link: LinkId::UDP, from: from(n), bytes: bytes.into() },
                );
            }
            Op::Received(n, bytes) => {
                service
                    .handle(now, Event::Received { link: LinkId(n.into()), bytes: bytes.into() });
            }
            Op::Closed(n) => {
                let (link, cause) = (LinkId(n.into()), LinkError::Reset);
                service.handle(now, Event::Closed { link, cause });
            }
            Op::Wait(millis) => now = now + Duration::from_millis(millis.into()),
        }
        for _ in 0..10_000 {
            let Some(action) = service.poll_action() else { break };
            if let Action::Look { link } = action {
                trace.extend(drain(&mut service, link).into_iter().map(|t| (None, Some(t))));
            }
            trace.push((Some(action), None));
        }
        let due = |service: &Bootstrap| service.poll_timeout().is_some_and(|at| at <= now);
        for _ in 0..1_000 {
            if !due(&service) {
                break;
            }
            service.handle(now, Event::Timeout);
            trace.extend(actions(&mut service).into_iter().map(|action| (Some(action), None)));
        }
        assert!(!due(&service), "no progress");
    }
    trace
}

proptest! {
    #[test]
    fn nothing_that_comes_in_makes_it_panic_and_equal_seeds_give_equal_answers(
        seed: u64,
        ops in proptest::collection::vec(op(), 0..60),
    ) {
        prop_assert_eq!(run(seed, &ops), run(seed, &ops));
    }
}

#[test]
fn another_seed_gives_other_cookies() {
    let mut seeds = Rng::new(1);
    let mut draw = || cookie(&mut Bootstrap::new(config(), seeds.next_u64()), 1);
    assert_ne!(draw(), draw());
}
