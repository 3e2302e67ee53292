//! Two hosts that send each other datagrams and have no link.

use super::*;
use crate::Incarnation;

const NEED: Need = Need::Patch(GroupId(1), PatchId(1));

struct Nothing;

impl Fill for Nothing {
    fn data(&mut self, _: &DataRef, _: Urgency) -> Option<crate::wire::Data> {
        None
    }

    fn word(&mut self, _: GroupId, _: PatchId) -> Vec<Frame> {
        Vec::new()
    }
}

fn address(n: u8) -> SocketAddr {
    ([127, 0, 0, n], 4_000).into()
}

fn links(n: u8) -> Links {
    let addresses = core::iter::once(address(n)).collect();
    let hello = Hello { host: HostId([n; 32]), incarnation: Incarnation(1), addresses };
    Links::new(hello, Limits::default(), crate::Rng::new(1))
}

/// Carries what waits from one host to the other, and says how many bytes that was.
fn carry(now: Time, from: &mut Links, n: u8, to: &mut Links) -> usize {
    let mut bytes = 0;
    while let Some(transmit) = from.poll_transmit(LinkId::UDP, &mut Nothing) {
        bytes += transmit.len();
        to.datagram(now, LinkId::UDP, address(n), transmit.to_chunks());
    }
    bytes
}

fn protocol(len: usize) -> Frame {
    Frame::Protocol { group: GroupId(1), patch: PatchId(1), body: alloc::vec![7; len].into() }
}

#[test]
fn a_round_trip_is_measured_without_a_link_and_with_small_packets() {
    let (mut a, mut b) = (links(1), links(2));
    a.now = Time::from_millis(5);
    a.measure(HostId([2; 32]), address(2), NEED);
    let question = carry(Time::from_millis(8), &mut a, 1, &mut b);
    assert!(question <= 64, "{question} bytes");
    assert!(b.poll_inbound().is_none());
    let answer = carry(Time::from_millis(11), &mut b, 2, &mut a);
    assert!(answer <= question, "{answer} bytes for {question}");
    let Some(Inbound::Measured { host, need: NEED, rtt }) = a.poll_inbound() else {
        panic!("nothing was measured")
    };
    assert_eq!((host, rtt), (HostId([2; 32]), Duration::from_millis(6)));
    assert_eq!(carry(Time::from_millis(12), &mut a, 1, &mut b), 0, "an echo is not answered");
}

#[test]
fn an_echo_counts_only_from_whom_it_was_asked_for_and_once() {
    let (mut a, mut b, mut c) = (links(1), links(2), links(3));
    a.now = Time::from_millis(5);
    a.measure(HostId([2; 32]), address(2), NEED);
    let question = a.poll_transmit(LinkId::UDP, &mut Nothing).expect("a question").to_chunks();
    b.datagram(Time::from_millis(6), LinkId::UDP, address(1), question.clone());
    c.datagram(Time::from_millis(6), LinkId::UDP, address(1), question);
    let answer = b.poll_transmit(LinkId::UDP, &mut Nothing).expect("an answer").to_chunks();
    carry(Time::from_millis(7), &mut c, 3, &mut a);
    a.datagram(Time::from_millis(7), LinkId::UDP, address(3), answer.clone());
    assert!(a.poll_inbound().is_none(), "from another address, or another host");
    a.datagram(Time::from_millis(7), LinkId::UDP, address(2), answer.clone());
    assert!(matches!(a.poll_inbound(), Some(Inbound::Measured { .. })));
    a.datagram(Time::from_millis(8), LinkId::UDP, address(2), answer);
    assert!(a.poll_inbound().is_none(), "a second time");
}

#[test]
fn an_answer_is_never_longer_than_its_question() {
    for (pad, fits) in [(false, false), (true, true)] {
        let (mut a, mut b) = (links(1), links(2));
        a.tell(address(2), &protocol(10), pad);
        let question = carry(Time::ZERO, &mut a, 1, &mut b);
        let Some(Inbound::Told { by, mut asker, .. }) = b.poll_inbound() else {
            panic!("nothing came")
        };
        assert_eq!(by.host, HostId([1; 32]));
        assert_eq!(b.answer(&mut asker, &protocol(900)), fits);
        assert!(!b.answer(&mut asker, &protocol(900)), "twice is too much in any case");
        assert!(carry(Time::ZERO, &mut b, 2, &mut a) <= question);
        assert_eq!(b.counters.get(Counter::Unproven), 1 + u64::from(!fits));
    }
}

#[test]
fn a_frame_without_a_name_before_it_is_dropped() {
    let mut b = links(2);
    let mut bytes = Vec::new();
    protocol(10).encode(&mut bytes);
    let mut a = links(1);
    a.queue_datagram(address(2), bytes, 0);
    carry(Time::ZERO, &mut a, 1, &mut b);
    assert!(b.poll_inbound().is_none());
    assert_eq!(b.counters.get(Counter::DroppedStranger), 1);
}

#[test]
fn what_is_measured_is_bounded() {
    let mut a = links(1);
    for _ in 0..2 * MAX_MEASURED {
        a.measure(HostId([2; 32]), address(2), NEED);
    }
    assert_eq!(a.measured.len(), MAX_MEASURED);
}
