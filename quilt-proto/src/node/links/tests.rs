//! Two sets of links, joined by streams that a test opens, cuts and delays by hand.

use super::*;
use crate::{Incarnation, Seq, Source, wire};

const GROUP: GroupId = GroupId(1);
const PATCH: PatchId = PatchId(1);

struct Nothing;

impl Fill for Nothing {
    fn data(&mut self, _: &DataRef, _: Urgency) -> Option<wire::Data> {
        None
    }

    fn word(&mut self, group: GroupId, patch: PatchId) -> Vec<Frame> {
        alloc::vec![Frame::Held { group, patch, more: false, sources: Vec::new() }; 8]
    }
}

fn host(n: u8) -> HostId {
    HostId([n; 32])
}

fn address(n: u8) -> SocketAddr {
    ([127, 0, 0, n], 4_000).into()
}

fn links(n: u8, life: u32) -> Links {
    limited(n, life, Limits { queued_control: 8, ..Limits::default() })
}

fn limited(n: u8, life: u32, limits: Limits) -> Links {
    let addresses = core::iter::once(address(n)).collect();
    Links::new(
        Hello { host: host(n), incarnation: Incarnation(life), addresses },
        limits,
        crate::Rng::new(n.into()),
    )
}

fn need(links: &mut Links, n: u8) -> LinkId {
    links.need(host(n), Need::Patch(GROUP, PATCH), &[address(n)]);
    dialled(links).expect("a dial").0
}

fn dialled(links: &mut Links) -> Option<(LinkId, SocketAddr)> {
    core::iter::from_fn(|| links.poll_action()).find_map(|action| match action {
        Action::Dial { link, to, .. } => Some((link, to)),
        _ => None,
    })
}

/// Hands over everything that `from` has to say on a stream.
fn carry(now: Time, from: &mut Links, link: LinkId, to: &mut Links, far: LinkId) {
    while let Some(transmit) = from.poll_transmit(link, &mut Nothing) {
        to.received(now, far, transmit.to_chunks());
    }
}

fn pass(links: &mut Links, now: Time) {
    while links.next_deadline().is_some_and(|at| at <= now) {
        links.timeout(now);
    }
}

fn inbound(links: &mut Links) -> Vec<Inbound> {
    core::iter::from_fn(|| links.poll_inbound()).collect()
}

fn is_up(inbound: &[Inbound]) -> usize {
    inbound.iter().filter(|inbound| matches!(inbound, Inbound::Up(_))).count()
}

#[test]
fn hosts_that_dial_each_other_at_once_keep_one_stream() {
    for swapped in [false, true] {
        let (mut a, mut b) = (links(1, 1), links(2, 1));
        let (from_a, from_b) = (need(&mut a, 2), need(&mut b, 1));
        let now = Time::from_millis(1);
        let at_b = a_stream(&mut b, 1);
        let at_a = a_stream(&mut a, 2);
        let mut pairs = [(from_a, at_b), (at_a, from_b)];
        if swapped {
            pairs.reverse();
        }
        for (near, far) in pairs {
            if near == from_a {
                a.opened(now, near)
            } else {
                b.opened(now, far)
            }
            for _ in 0..3 {
                carry(now, &mut a, near, &mut b, far);
                carry(now, &mut b, far, &mut a, near);
            }
        }
        let kept = a.hosts.link(host(2)).expect("a stream");
        for millis in (2..10_000).step_by(20) {
            let now = Time::from_millis(millis);
            pass(&mut a, now);
            pass(&mut b, now);
            for (near, far) in pairs {
                carry(now, &mut a, near, &mut b, far);
                carry(now, &mut b, far, &mut a, near);
            }
        }
        assert_eq!(a.hosts.link(host(2)), Some(kept));
        assert!(a.is_up(host(2)) && b.is_up(host(1)));
        assert_eq!((a.links.len(), b.links.len()), (1, 1));
        let down = |links: &mut Links| {
            inbound(links).iter().any(|inbound| matches!(inbound, Inbound::Down { .. }))
        };
        assert!(!down(&mut a) && !down(&mut b));
    }
}

fn a_stream(links: &mut Links, from: u8) -> LinkId {
    links.accept(Time::from_millis(1), address(from)).expect("room")
}

/// `a` has needed host 2 and is linked with it; the names of the stream on both sides.
fn linked(a: &mut Links, b: &mut Links) -> (LinkId, LinkId) {
    let now = Time::from_millis(1);
    let (near, far) = (need(a, 2), a_stream(b, 1));
    a.opened(now, near);
    carry(now, a, near, b, far);
    carry(now, b, far, a, near);
    (near, far)
}

#[test]
fn a_host_that_starts_anew_replaces_the_stream_of_its_earlier_life() {
    let (mut a, mut old, mut new) = (links(1, 1), links(2, 1), links(2, 2));
    let (stale, _) = linked(&mut a, &mut old);
    assert_eq!(is_up(&inbound(&mut a)), 1);
    let now = Time::from_millis(5);
    let (near, far) = (a_stream(&mut a, 2), need(&mut new, 1));
    new.opened(now, far);
    carry(now, &mut new, far, &mut a, near);
    assert_eq!(a.hosts.link(host(2)), Some(near));
    assert!(!a.links.contains_key(&stale));
    let told = inbound(&mut a);
    assert!(matches!(told[..], [Inbound::Down { .. }, Inbound::Up(_)]), "{told:?}");
}

#[test]
fn who_greets_again_and_again_is_up_once() {
    let (mut a, mut b) = (links(1, 1), links(2, 1));
    let (near, far) = linked(&mut a, &mut b);
    let hello = Frame::Hello(b.me.clone());
    (0..5).for_each(|_| assert!(b.send_on(far, &hello)));
    carry(Time::from_millis(2), &mut b, far, &mut a, near);
    assert_eq!(is_up(&inbound(&mut a)), 1);
}

#[test]
fn an_address_that_swallows_packets_is_not_the_last_one_tried() {
    let mut a = links(1, 1);
    a.need(host(2), Need::Patch(GROUP, PATCH), &[address(2), address(3)]);
    let (first, to) = dialled(&mut a).expect("a dial");
    assert_eq!(to, address(2));
    pass(&mut a, Time::from_millis(3_000));
    let next = dialled(&mut a);
    assert_eq!(next.map(|(_, to)| to), Some(address(3)));
    assert_eq!(a.poll_action(), Some(Action::Close { link: first }));
    pass(&mut a, Time::from_millis(6_000));
    assert!(matches!(inbound(&mut a)[..], [Inbound::Down { cause: LinkError::TimedOut, .. }]));
}

#[test]
fn words_take_no_room_from_control_frames() {
    let (mut a, mut b) = (links(1, 1), links(2, 1));
    let (near, _) = linked(&mut a, &mut b);
    (0..8).for_each(|patch| a.send_word(host(2), GROUP, PatchId(patch)));
    assert!(a.poll_transmit(near, &mut Nothing).is_some());
    let source = Source { host: host(1).tag(), incarnation: Incarnation(1) };
    let first = crate::FragmentId { source, seq: Seq(0), index: 0 };
    let wanted = alloc::vec![wire::Wanted { first, last: 0 }];
    let pull = Frame::Pull(wire::Pull { group: GROUP, patch: PATCH, wanted });
    assert!(a.send(host(2), &pull), "the stream stays");
}

#[test]
fn a_forged_echo_makes_no_endless_round_trip() {
    let (mut a, mut b) = (links(1, 1), links(2, 1));
    let (near, far) = linked(&mut a, &mut b);
    let beat = wire::Beat { stamp: 1, echo: 1, held: 0, next_ms: 100, needed: true };
    assert!(b.send_on(far, &Frame::Beat(beat)));
    carry(Time::from_millis(3_600_000), &mut b, far, &mut a, near);
    assert!(a.rtt(host(2)).is_some_and(|rtt| rtt <= Duration::from_secs(4)));
}

#[test]
fn a_service_that_does_not_answer_over_its_stream_is_dialled_anew() {
    let mut a = links(1, 1);
    let frame = Frame::Cookie { group: GROUP, cookie: 1, seen: Some(address(1)) };
    a.send_to_service(address(9), &frame, false);
    let (first, _) = dialled(&mut a).expect("a dial");
    a.opened(Time::from_millis(1), first);
    a.send_to_service(address(9), &frame, false);
    assert_eq!(dialled(&mut a), None);
    a.send_to_service(address(9), &frame, true);
    assert_eq!(a.poll_action(), Some(Action::Close { link: first }));
    assert!(dialled(&mut a).is_some_and(|(link, _)| link != first));
}

#[test]
fn lengths_that_no_packet_has_are_counted_alike_on_streams_and_datagrams() {
    let mut links = links(1, 1);
    let now = Time::from_millis(1);
    for bytes in [&[0xff; 8], &[0; 8]] {
        let link = a_stream(&mut links, 2);
        links.received(now, link, Bytes::from_static(bytes).into());
        assert!(core::iter::from_fn(|| links.poll_action()).any(|a| a == Action::Close { link }));
    }
    let header = Header { suite: wire::SUITE_OPEN, key_epoch: 0, sender: host(3).tag(), number: 0 };
    let mut long = header.encode().to_vec();
    long.resize(wire::MAX_STREAM_PACKET_BYTES + 1, 0);
    links.datagram(now, LinkId::UDP, address(3), long.into());
    links.datagram(now, LinkId::UDP, address(3), Chunks::default());
    assert_eq!(links.counters.get(Counter::DroppedTruncated), 4);
}

#[test]
fn links_of_its_own_stay_within_the_limit_and_go_before_strangers() {
    let mut links = limited(1, 1, Limits { links: 3, ..Limits::default() });
    let strangers = [8, 9].map(|n| links.accept(Time::ZERO, address(n)).expect("room"));
    need(&mut links, 2);
    for (n, stranger) in (3..).zip(strangers) {
        links.need(host(n), Need::Patch(GROUP, PATCH), &[address(n)]);
        assert_eq!(links.poll_action(), Some(Action::Close { link: stranger }));
        assert_eq!(dialled(&mut links).map(|(_, to)| to), Some(address(n)));
    }
    assert!(inbound(&mut links).is_empty());
    links.need(host(5), Need::Patch(GROUP, PATCH), &[address(5)]);
    links.need_tunnel(host(6), Need::Patch(GROUP, PATCH), &[address(6)]);
    let multicast = links.join_multicast(address(7), address(1).ip(), 1, 1_000);
    links.send_to_service(address(10), &Frame::Hello(links.me.clone()), false);
    assert_eq!(links.poll_action(), None);
    let [
        Inbound::Down { host: first, cause: LinkError::NoRoom, .. },
        Inbound::Down { host: second, cause: LinkError::NoRoom, .. },
        Inbound::Multicast { link, joined: Err(LinkError::NoRoom) },
    ] = inbound(&mut links)[..]
    else {
        panic!("each is told that there is no room")
    };
    assert_eq!((first, second, link), (host(5), host(6), multicast));
    assert_eq!(links.accept(Time::ZERO, address(8)), None);
    let mut usage = Usage::default();
    links.use_up(&mut usage);
    assert_eq!((usage.links, links.counters.get(Counter::LinksRefused)), (3, 7));
}
