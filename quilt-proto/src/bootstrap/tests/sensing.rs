//! The service as hosts see it that ask how they look from outside.

use super::super::{Bootstrap, BootstrapConfig};
use super::service::{drain, frames, from, on_stream, packet, padded, received, service};
use crate::wire::{Frame, Reply, Sense, Sensed};
use crate::{Action, Event, LinkError, LinkId, Machine, Time};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

const OTHER: ([u8; 4], u16) = ([10, 0, 0, 250], 4_000);

fn sensing() -> Bootstrap {
    let (other_port, other_address) = (Some(4_001), Some(OTHER.into()));
    service(BootstrapConfig { other_port, other_address, ..BootstrapConfig::default() })
}

fn sense(cookie: u64, reply: Reply) -> Frame {
    Frame::Sense(Sense { nonce: 5, cookie, reply })
}

/// Something comes to a socket of the service from host 1.
fn comes(service: &mut Bootstrap, link: LinkId, bytes: Bytes) {
    service.handle(Time::ZERO, Event::Datagram { link, from: from(1), bytes: bytes.into() });
}

/// What each socket answers.
fn answers(service: &mut Bootstrap) -> [Vec<Frame>; 3] {
    [LinkId::UDP, LinkId::OTHER_PORT, LinkId::OTHER_ADDRESS].map(|link| {
        let answers = drain(service, link);
        assert!(answers.iter().all(|answer| answer.to == Some(from(1))));
        frames(&answers)
    })
}

fn cookie(service: &mut Bootstrap) -> u64 {
    comes(service, LinkId::UDP, padded(1, &sense(0, Reply::Here)));
    match answers(service) {
        [here, port, address] if port.is_empty() && address.is_empty() => match &here[..] {
            [Frame::Sensed(sensed)] => sensed.cookie,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// The streams that it opens.
fn dials(service: &mut Bootstrap) -> Vec<(LinkId, SocketAddr)> {
    let actions = core::iter::from_fn(|| service.poll_action());
    let dials = actions.filter_map(|action| match action {
        Action::Dial { link, to, .. } => Some((link, to)),
        _ => None,
    });
    dials.collect()
}

#[test]
fn each_question_is_answered_once_from_where_it_asks_for() {
    let mut service = sensing();
    for (reply, at) in [(Reply::Here, 0), (Reply::OtherPort, 1), (Reply::OtherAddress, 2)] {
        let twice = [padded(1, &sense(0, reply)).to_vec(), packet(1, &sense(0, reply)).to_vec()];
        comes(&mut service, LinkId::UDP, twice.concat().into());
        let all = answers(&mut service);
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>()[at], 1);
        assert_eq!(all.iter().flatten().count(), 1);
        let [Frame::Sensed(sensed)] = &all[at][..] else { panic!("{all:?}") };
        assert_eq!((sensed.nonce, sensed.seen), (5, from(1)));
        assert_eq!((sensed.other_port, sensed.other_address), (Some(4_001), Some(OTHER.into())));
    }
    for link in [LinkId::OTHER_PORT, LinkId::OTHER_ADDRESS] {
        comes(&mut service, link, padded(1, &sense(0, Reply::Here)));
        assert_eq!(answers(&mut service).map(|it| it.len()).iter().sum::<usize>(), 1);
        comes(&mut service, link, padded(1, &sense(0, Reply::OtherPort)));
        assert_eq!(answers(&mut service).map(|it| it.len()), [0; 3], "asked at the wrong socket");
    }
}

#[test]
fn what_is_shorter_than_its_answer_has_none() {
    let mut service = sensing();
    comes(&mut service, LinkId::UDP, packet(1, &sense(0, Reply::Here)));
    comes(&mut service, LinkId::OTHER_PORT, packet(1, &sense(0, Reply::Here)));
    assert_eq!(answers(&mut service).map(|it| it.len()), [0; 3]);
    let longest = padded(1, &sense(0, Reply::Here)).slice(..Sensed::DATAGRAM_BYTES - 1);
    comes(&mut service, LinkId::UDP, longest);
    assert_eq!(answers(&mut service).map(|it| it.len()), [0; 3]);
}

#[test]
fn a_service_with_one_socket_leaves_the_others_unanswered() {
    let mut service = service(BootstrapConfig::default());
    for reply in [Reply::OtherPort, Reply::OtherAddress] {
        comes(&mut service, LinkId::UDP, padded(1, &sense(0, reply)));
        assert_eq!(answers(&mut service).map(|it| it.len()), [0; 3]);
    }
}

#[test]
fn a_stream_is_opened_to_an_address_that_is_proved_and_one_at_a_time() {
    let mut service = sensing();
    let stream = Reply::Stream { port: 7 };
    for unproved in [0, 99] {
        comes(&mut service, LinkId::UDP, padded(1, &sense(unproved, stream)));
    }
    assert_eq!(dials(&mut service), []);
    let cookie = cookie(&mut service);
    let proved = padded(1, &sense(cookie, stream));
    comes(&mut service, LinkId::UDP, proved.clone());
    comes(&mut service, LinkId::UDP, proved.clone());
    let opened = dials(&mut service);
    let [(link, to)] = opened[..] else { panic!("{opened:?}") };
    assert_eq!(to, SocketAddr::new(from(1).ip(), 7));

    service.handle(Time::ZERO, Event::Opened { link });
    let said = frames(&drain(&mut service, link));
    assert!(matches!(&said[..], [Frame::Sensed(it)] if it.nonce == 5 && it.seen == to), "{said:?}");
    service.handle(Time::ZERO, Event::Closed { link, cause: LinkError::Ended });
    assert_eq!(answers(&mut service).map(|it| it.len()), [0; 3], "it came there");

    comes(&mut service, LinkId::UDP, proved);
    let (link, _) = dials(&mut service)[0];
    service.handle(Time::ZERO, Event::Closed { link, cause: LinkError::Refused });
    let [here, ..] = answers(&mut service);
    assert!(matches!(&here[..], [Frame::Sensed(it)] if it.unreachable && it.nonce == 5));
}

#[test]
fn whoever_asks_on_a_stream_is_answered_there() {
    let mut service = sensing();
    let link = service.accept(Time::ZERO, from(1)).unwrap();
    drop(drain(&mut service, link));
    received(&mut service, link, on_stream(packet(1, &sense(0, Reply::Here))));
    let said = frames(&drain(&mut service, link));
    assert!(matches!(&said[..], [Frame::Sensed(it)] if it.seen == from(1)), "{said:?}");
    received(&mut service, link, on_stream(packet(1, &sense(0, Reply::Stream { port: 9 }))));
    assert_eq!(dials(&mut service).len(), 1);
}

#[test]
fn a_stream_that_does_not_open_is_given_up() {
    let mut service = sensing();
    let cookie = cookie(&mut service);
    comes(&mut service, LinkId::UDP, padded(1, &sense(cookie, Reply::Stream { port: 7 })));
    let (link, _) = dials(&mut service)[0];
    let at = service.poll_timeout().unwrap();
    assert!(at <= Time::from_millis(2_000));
    service.handle(at, Event::Timeout);
    assert_eq!(service.poll_action(), Some(Action::Close { link }));
}
