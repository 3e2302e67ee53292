//! The questions and their answers through NATs and firewalls of all kinds.
#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use super::*;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

const SERVICE: ([u8; 4], u16) = ([198, 51, 100, 1], 7_400);
const OTHER_PORT: u16 = 7_401;
const OTHER: ([u8; 4], u16) = ([198, 51, 100, 2], 7_400);
const OWN: ([u8; 4], u16) = ([192, 0, 2, 9], 5_000);
const FAR_SIDE: [u8; 4] = [203, 0, 113, 7];
const ONE_WAY: Duration = Duration::from_millis(20);

/// What stands between a host and the service.
#[derive(Clone, Copy, Debug)]
struct Front {
    /// How it gives ports, where it is a NAT.
    mapping: Option<Dependence>,
    /// Whom it lets in by UDP.
    filtering: Dependence,
    blocks_udp: bool,
    lets_streams_in: bool,
    other_address: bool,
}

use Dependence::{
    AddressAndPortDependent as Strict, AddressDependent as Address, EndpointIndependent as Free,
};

const OPEN: Front = Front {
    mapping: None,
    filtering: Free,
    blocks_udp: false,
    lets_streams_in: true,
    other_address: true,
};

/// A host behind a front, and when it was done.
struct Asked {
    outside: Outside,
    took: Duration,
    questions: usize,
}

/// Has a host ask through `front`; of all datagrams each `loses`th is lost.
fn ask(front: Front, loses: usize) -> Asked {
    let mut asks = SmallVec::new();
    let mut outside = Outside::new(Time::ZERO, SERVICE.into(), OWN.into(), Rng::new(3), &mut asks);
    let mut answers: Vec<(Time, bool, Sensed)> = Vec::new();
    let mut sent_to: Vec<SocketAddr> = Vec::new();
    let (mut now, mut questions, mut packets) = (Time::ZERO, 0, 0);
    loop {
        for asked in asks.drain(..) {
            let Ask::Sense { to, by_stream, sense } = asked else { panic!("{asked:?}") };
            questions += 1;
            packets += 1;
            if !by_stream && (front.blocks_udp || packets % loses == 0) {
                continue;
            }
            sent_to.push(to);
            answers.extend(answer(front, &sent_to, to, by_stream, sense, now));
        }
        let coming = answers.iter().map(|(at, ..)| *at).min();
        let Some(next) = coming.into_iter().chain(outside.poll_timeout()).min() else { break };
        assert!(next > now || next == Time::ZERO, "woken again and again at {now:?}");
        now = next;
        let (due, later) =
            core::mem::take(&mut answers).into_iter().partition(|(at, ..)| *at <= now);
        answers = later;
        let due: Vec<_> = due;
        for (_, is_stream, sensed) in due {
            let known = match is_stream {
                true => outside.on_called_back(now, &sensed, &mut asks),
                false => outside.on_sensed(now, &sensed, &mut asks),
            };
            assert!(known, "{sensed:?}");
        }
        outside.on_timeout(now, &mut asks);
    }
    assert!(outside.is_done());
    Asked { outside, took: now.since(Time::ZERO), questions }
}

/// What comes back of a question: an answer, or a stream.
fn answer(
    front: Front,
    sent_to: &[SocketAddr],
    to: SocketAddr,
    by_stream: bool,
    sense: Sense,
    now: Time,
) -> Option<(Time, bool, Sensed)> {
    let seen = match front.mapping {
        None => OWN.into(),
        Some(Free) => (FAR_SIDE, 20_000).into(),
        Some(Address) => (FAR_SIDE, 20_000 + u16::from(to.ip() != IpAddr::from(SERVICE.0))).into(),
        Some(Strict) => {
            let first = sent_to.iter().position(|known| *known == to).unwrap();
            (FAR_SIDE, 20_000 + u16::try_from(first).unwrap()).into()
        }
    };
    let from: SocketAddr = match sense.reply {
        Reply::Here => to,
        Reply::OtherPort => (SERVICE.0, OTHER_PORT).into(),
        Reply::OtherAddress if front.other_address => OTHER.into(),
        Reply::OtherAddress => return None,
        Reply::Stream { port } => {
            assert_eq!((port, sense.cookie), (OWN.1, 77));
            let back = front.lets_streams_in;
            return back.then(|| (now + ONE_WAY * 4, true, sensed(front, sense, seen)));
        }
    };
    let lets_in = by_stream
        || match front.filtering {
            Free => true,
            Address => sent_to.iter().any(|to| to.ip() == from.ip()),
            Strict => sent_to.contains(&from),
        };
    lets_in.then(|| (now + ONE_WAY * 2, false, sensed(front, sense, seen)))
}

fn sensed(front: Front, sense: Sense, seen: SocketAddr) -> Sensed {
    let other_address = front.other_address.then(|| OTHER.into());
    let (nonce, other_port) = (sense.nonce, Some(OTHER_PORT));
    Sensed { nonce, cookie: 77, seen, other_port, other_address, unreachable: false }
}

/// `TCP both, UDP outbound` and the like, with what the NAT does.
fn verdict(front: Front) -> Vec<String> {
    let asked = ask(front, usize::MAX);
    assert!(asked.took <= Duration::from_millis(2_100), "{front:?} took {:?}", asked.took);
    assert!(asked.questions <= 24, "{front:?}: {} questions", asked.questions);
    let options = asked.outside.connectivity();
    let line = |it: Connectivity| match it.barrier {
        Barrier::Nat(nat) => {
            assert_eq!(nat.address, IpAddr::from(FAR_SIDE));
            let of = |it: Option<Dependence>| it.map_or("?".into(), |it| format!("{it:?}"));
            let (mapping, filtering) = (of(nat.mapping), of(nat.filtering));
            format!("{:?} {:?} Nat {mapping} {filtering}", it.transport, it.direction)
        }
        barrier => format!("{:?} {:?} {barrier:?}", it.transport, it.direction),
    };
    options.iter().map(line).collect()
}

#[test]
fn who_stands_in_the_open_is_reached_by_both() {
    assert_eq!(verdict(OPEN), ["Tcp Both None", "Udp Both None"]);
    let asked = ask(OPEN, usize::MAX);
    assert_eq!(asked.took, ONE_WAY * 6, "one round trip, and that of the stream");
    let one_address = Front { other_address: false, ..OPEN };
    assert_eq!(verdict(one_address), ["Tcp Both None", "Udp Both None"]);
}

#[test]
fn a_firewall_that_lets_answers_in_is_told_from_none() {
    for filtering in [Address, Strict] {
        let front = Front { filtering, lets_streams_in: false, ..OPEN };
        assert_eq!(verdict(front), ["Tcp Outbound Firewall", "Udp Outbound Firewall"]);
    }
    let web_server = Front { filtering: Strict, ..OPEN };
    assert_eq!(verdict(web_server), ["Tcp Both None", "Udp Outbound Firewall"]);
}

#[test]
fn where_udp_is_blocked_streams_tell_what_there_is() {
    let front = Front { blocks_udp: true, lets_streams_in: false, ..OPEN };
    assert_eq!(verdict(front), ["Tcp Outbound Firewall"]);
    let behind = Front { mapping: Some(Free), ..front };
    assert_eq!(verdict(behind), ["Tcp Outbound Nat ? ?"]);
    assert_eq!(verdict(Front { blocks_udp: true, ..OPEN }), ["Tcp Both None"]);
}

#[test]
fn every_nat_of_rfc_4787_is_told_from_the_others() {
    for mapping in [Free, Address, Strict] {
        for filtering in [Free, Address, Strict] {
            let front = Front { mapping: Some(mapping), filtering, lets_streams_in: false, ..OPEN };
            let open = if (mapping, filtering) == (Free, Free) { "Both" } else { "Outbound" };
            let udp = format!("Udp {open} Nat {mapping:?} {filtering:?}");
            assert_eq!(verdict(front), ["Tcp Outbound Nat ? ?", &udp]);
        }
    }
}

#[test]
fn a_service_with_one_address_promises_no_more_than_it_saw() {
    for (filtering, said) in [(Free, Address), (Address, Address), (Strict, Strict)] {
        let front = Front {
            mapping: Some(Free),
            filtering,
            lets_streams_in: false,
            other_address: false,
            ..OPEN
        };
        let udp = format!("Udp Outbound Nat EndpointIndependent {said:?}");
        assert_eq!(verdict(front)[1], udp);
    }
}

#[test]
fn a_port_that_a_nat_hands_on_is_found() {
    let front = Front { mapping: Some(Free), filtering: Strict, ..OPEN };
    assert_eq!(verdict(front)[0], "Tcp Both Nat ? ?");
}

/// Loss may hide that somebody is let in, never that somebody is not.
#[test]
fn loss_makes_the_verdict_no_better_than_it_is() {
    let front = Front { mapping: Some(Strict), filtering: Strict, lets_streams_in: false, ..OPEN };
    for loses in 2..12 {
        for it in ask(front, loses).outside.connectivity().iter() {
            assert_eq!(it.direction, Direction::Outbound, "{it:?} with each {loses}th lost");
            let Barrier::Nat(nat) = it.barrier else { panic!("{it:?}") };
            assert_ne!(nat.mapping, Some(Free), "with each {loses}th lost");
            assert_eq!(nat.filtering.filter(|it| *it < Strict), None);
        }
    }
}

#[test]
fn answers_that_nobody_asked_for_change_nothing() {
    let mut asks = SmallVec::new();
    let mut outside = Outside::new(Time::ZERO, SERVICE.into(), OWN.into(), Rng::new(3), &mut asks);
    let sense = Sense { nonce: 1, cookie: 0, reply: Reply::Here };
    let forged = sensed(OPEN, sense, OWN.into());
    assert!(!outside.on_sensed(Time::ZERO, &forged, &mut asks));
    assert!(!outside.on_called_back(Time::ZERO, &forged, &mut asks));
    assert!(!outside.is_known() && outside.connectivity().len() == 1);
}

#[test]
fn nobody_is_asked_for_ever() {
    let mut asks = SmallVec::new();
    let mut outside = Outside::new(Time::ZERO, SERVICE.into(), OWN.into(), Rng::new(3), &mut asks);
    let mut questions = 0;
    while let Some(at) = outside.poll_timeout() {
        outside.on_timeout(at, &mut asks);
        questions += asks.drain(..).count();
        assert!(questions < 12 && at < Time::from_millis(2_500));
    }
    assert!(outside.is_done() && !outside.is_known());
}
