//! Whatever is sent to an open port is counted for what it is, and disturbs nobody.

use crate::messages;
use bytes::Bytes;
use quilt_conformance::{DEADLINE, Group, Host, Mix, Sending, conformance, site, until};
use quilt_tokio::proto::ipmc::Ipmc;
use quilt_tokio::proto::protocol::Plugin;
use quilt_tokio::proto::wire::{self, Assembler, Beat, Frame, Header, Reader, SUITE_OPEN};
use quilt_tokio::proto::{Counter, GroupId, HostTag, Trouble};
use quilt_tokio::{Counters, Notice};
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};

conformance!(
    foreign_datagrams_are_counted_and_disturb_nobody,
    foreign_streams_are_counted_and_closed_and_disturb_nobody,
    foreign_packets_on_the_multicast_address_are_counted_and_disturb_nobody,
);

/// What is never counted among hosts that mean well, and so is counted exactly here.
const EXACT: [Counter; 5] = [
    Counter::DroppedTruncated,
    Counter::DroppedVersion,
    Counter::DroppedSuite,
    Counter::DroppedMalformed,
    Counter::Misbehaviour,
];

/// No wire format of this world.
const VERSION: u8 = 9;

fn foreign_datagrams_are_counted_and_disturb_nobody(mix: Mix) {
    let (mut group, sending) = busy_group(mix);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let from = stranger.local_addr().unwrap();
    let mut garbage = garbage();
    // To a host, the echo of a round trip that it does not measure.
    let beat = garbage.len() - 1;
    garbage[beat].1 = Counter::DroppedStranger;
    let cookie = Frame::Cookie { group: GroupId::named(group.url.group()), cookie: 7, seen: None };
    garbage.push((framed(&cookie), Counter::DroppedStranger));
    for number in 0..4 {
        let to = group[number].address();
        counts(
            || group[number].counters(),
            &garbage,
            |bytes| {
                assert_eq!(stranger.send_to(bytes, to).unwrap(), bytes.len());
            },
        );
        is_told_of_the_version(&mut group[number], from);
    }
    // The service takes neither echoes nor cookies from anybody.
    garbage[beat..].iter_mut().for_each(|(_, as_what)| *as_what = Counter::DroppedUnexpected);
    let service = group.service();
    counts(
        || service.counters(),
        &garbage,
        |bytes| {
            assert_eq!(stranger.send_to(bytes, service.address()).unwrap(), bytes.len());
        },
    );
    nobody_was_disturbed(group, sending);
}

fn foreign_streams_are_counted_and_closed_and_disturb_nobody(mix: Mix) {
    let (mut group, sending) = busy_group(mix);
    let mut garbage: Vec<_> = garbage()
        .into_iter()
        .filter(|(bytes, _)| (Header::BYTES..1_200).contains(&bytes.len()))
        // Beats mean nothing before a greeting, and no harm.
        .filter(|(_, counter)| *counter != Counter::DroppedUnexpected)
        .map(|(bytes, counter)| ([&Assembler::prefix(bytes.len()), &bytes[..]].concat(), counter))
        .collect();
    let cookie =
        framed(&Frame::Cookie { group: GroupId::named(group.url.group()), cookie: 7, seen: None });
    let unasked = [&Assembler::prefix(cookie.len()), &cookie[..]].concat();
    garbage.push((unasked, Counter::DroppedUnexpected));
    // Lengths that no packet has.
    garbage.push((vec![0xff; 100], Counter::DroppedTruncated));
    garbage.push((vec![0; 100], Counter::DroppedTruncated));
    let garbage: Vec<_> =
        garbage.into_iter().map(|(bytes, counter)| (Bytes::from(bytes), counter)).collect();
    for number in 0..4 {
        let to = group[number].address();
        let mut speaker = None;
        counts(
            || group[number].counters(),
            &garbage,
            |bytes| {
                let from = talk(to, bytes);
                if bytes.get(2) == Some(&VERSION) {
                    speaker = Some(from);
                }
            },
        );
        is_told_of_the_version(&mut group[number], speaker.unwrap());
    }
    let service = group.service();
    counts(
        || service.counters(),
        &garbage,
        |bytes| {
            talk(service.address(), bytes);
        },
    );
    nobody_was_disturbed(group, sending);
}

fn foreign_packets_on_the_multicast_address_are_counted_and_disturb_nobody(mix: Mix) {
    let (mut group, sending) = busy_group(mix);
    let patch = group[0].place().unwrap().patch;
    let parameters = Ipmc::default().parameters(GroupId::named(group.url.group()), patch);
    let address = Reader::new(&parameters).address().unwrap();
    let stranger = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    let interface = Ipv4Addr::new(127, 1, 9, 200);
    stranger.bind(&SocketAddr::from((interface, 0)).into()).unwrap();
    stranger.set_multicast_if_v4(&interface).unwrap();
    let from = stranger.local_addr().unwrap().as_socket().unwrap();
    let mut garbage = garbage();
    let nowhere = Frame::Cookie { group: GroupId::named("another"), cookie: 7, seen: None };
    garbage.push((framed(&nowhere), Counter::DroppedUnknownPatch));
    let before = [0, 1].map(|number| group[number].counters());
    for (bytes, _) in &garbage {
        assert_eq!(stranger.send_to(bytes, &address.into()).unwrap(), bytes.len());
    }
    for (number, before) in before.iter().enumerate() {
        counted(|| group[number].counters(), before, &garbage);
        is_told_of_the_version(&mut group[number], from);
    }
    for number in [2, 3] {
        let counters = group[number].counters();
        assert!(EXACT.iter().all(|&counter| counters.get(counter) == 0), "{counters}");
    }
    nobody_was_disturbed(group, sending);
}

/// Two hosts with IP multicast and two without, in the middle of a transfer.
fn busy_group(mix: Mix) -> (Group, Sending) {
    let mut group = Group::new(mix);
    for number in 0..4 {
        let place = if number < 2 { 1 } else { 2 };
        group.join(site(place, number, place == 1));
    }
    let sending = group[0].start_sending(messages(100, 20_000));
    let source = group[0].source();
    for host in &mut group.hosts()[1..] {
        host.wait_for_messages(source, 10);
    }
    (group, sending)
}

fn nobody_was_disturbed(mut group: Group, sending: Sending) {
    group[0].finish_sending(sending).unwrap();
    group[2].send_all(messages(10, 20_000));
    group.check();
    group.check_no_gaps();
}

/// Packets, and what each is counted as wherever it comes in.
fn garbage() -> Vec<(Bytes, Counter)> {
    let header = header();
    let with = |frames: &[u8]| Bytes::from([&header[..], frames].concat());
    let mut other_suite = header;
    other_suite[1] = SUITE_OPEN + 1;
    let mut other_key = header;
    other_key[3] = 1;
    let beat = Frame::Beat(Beat { stamp: 1, echo: 2, held: 3, next_ms: 4, needed: true });
    vec![
        (Bytes::new(), Counter::DroppedTruncated),
        (Bytes::copy_from_slice(&header[..3]), Counter::DroppedTruncated),
        (Bytes::copy_from_slice(&header[..Header::BYTES - 1]), Counter::DroppedTruncated),
        (Bytes::from(vec![VERSION; 100]), Counter::DroppedVersion),
        (Bytes::from(vec![VERSION; 60_000]), Counter::DroppedVersion),
        (Bytes::copy_from_slice(&other_suite), Counter::DroppedSuite),
        (Bytes::copy_from_slice(&other_key), Counter::DroppedSuite),
        // A frame that ends early.
        (with(&[3, 0, 0, 99, 1]), Counter::DroppedMalformed),
        // One whose body is none.
        (with(&[2, 0, 0, 1, 1]), Counter::DroppedMalformed),
        (framed(&beat), Counter::DroppedUnexpected),
    ]
}

fn framed(frame: &Frame) -> Bytes {
    let mut packet = header().to_vec();
    frame.encode(&mut packet);
    packet.into()
}

fn header() -> [u8; Header::BYTES] {
    Header { suite: SUITE_OPEN, key_epoch: 0, sender: HostTag(77), number: 1 }.encode()
}

/// Sends all of it; each is counted.
fn counts(
    counters: impl Fn() -> Counters,
    garbage: &[(Bytes, Counter)],
    mut send: impl FnMut(&[u8]),
) {
    let before = counters();
    garbage.iter().for_each(|(bytes, _)| send(bytes));
    counted(counters, &before, garbage);
}

fn counted(counters: impl Fn() -> Counters, before: &Counters, garbage: &[(Bytes, Counter)]) {
    let sent = |counter| garbage.iter().filter(|(_, as_what)| *as_what == counter).count() as u64;
    let counted = |counter| counters().get(counter) - before.get(counter);
    for &(_, counter) in garbage {
        until(counter.name(), || counted(counter) >= sent(counter));
    }
    for counter in EXACT {
        assert_eq!(counted(counter), sent(counter), "{}", counter.name());
    }
}

/// However many packets of another version come, one notice says so.
fn is_told_of_the_version(host: &mut Host, from: SocketAddr) {
    let foreign = Notice::Degraded(Trouble::ForeignVersion { version: VERSION, from });
    host.wait_for("foreign version", |notice| *notice == foreign);
}

/// Says something, and waits until the other side hangs up; from which address. Where the stream
/// can be read on, the other side waits for more: then this one hangs up first.
fn talk(to: SocketAddr, bytes: &[u8]) -> SocketAddr {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(bytes).unwrap();
    if bytes.get(2..4) == Some(&[wire::VERSION, SUITE_OPEN]) && bytes[5] == 0 {
        stream.shutdown(Shutdown::Write).unwrap();
    }
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    stream.local_addr().unwrap()
}
