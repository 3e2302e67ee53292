//! Messages of all lengths, many and few, over one protocol and from one to the other.

use crate::{messages, noise};
use quilt_conformance::{Group, Mix, conformance, options, site};
use quilt_tokio::proto::wire::FRAGMENT_BYTES;
use quilt_tokio::proto::{ProtocolId, Source};
use quilt_tokio::{Notice, Options, PublishError};

conformance!(
    messages_of_all_lengths_come_whole_and_in_order_from_everybody,
    messages_pass_from_patch_to_patch,
    one_message_of_10_megabytes_comes_whole,
    a_message_that_is_too_long_is_refused_and_changes_nothing,
    ten_thousand_small_messages_come_in_order,
    a_host_that_starts_anew_is_told_from_its_former_life,
);

fn messages_of_all_lengths_come_whole_and_in_order_from_everybody(mix: Mix) {
    let mut group = Group::of(mix, 3);
    let bodies: Vec<_> = (0..).zip(lengths()).map(|(seed, len)| noise(len, seed)).collect();
    let sendings: Vec<_> =
        group.hosts().iter_mut().map(|host| host.start_sending(bodies.clone())).collect();
    for (host, sending) in group.hosts().iter_mut().zip(sendings) {
        host.finish_sending(sending).unwrap();
    }
    group.check_all_came();
}

/// A site with IP multicast and two without, and a publisher in each kind.
fn messages_pass_from_patch_to_patch(mix: Mix) {
    let mut group = Group::new(mix);
    for number in 0..9 {
        let place = number % 3 + 1;
        group.join(site(place, number.into(), place == 1));
    }
    for (number, host) in (0..).zip(group.hosts()) {
        let protocol = if number % 3 == 0 { ProtocolId::IPMC } else { ProtocolId::DONET };
        assert_eq!(host.place().map(|place| place.protocol), Some(protocol));
    }
    let bodies: Vec<_> =
        (0..).zip(lengths()).map(|(seed, len)| noise(len.min(400_000), seed)).collect();
    let sendings: Vec<_> =
        [3, 4].map(|publisher| (publisher, group[publisher].start_sending(bodies.clone()))).into();
    for (publisher, sending) in sendings {
        group[publisher].finish_sending(sending).unwrap();
    }
    group.check_all_came();
}

fn one_message_of_10_megabytes_comes_whole(mix: Mix) {
    let mut group = Group::of(mix, 3);
    group[0].send(noise(10_000_000, 1)).unwrap();
    group.check_all_came();
}

fn a_message_that_is_too_long_is_refused_and_changes_nothing(mix: Mix) {
    let mut group = Group::of(mix, 2);
    let max = 16 << 20;
    let too_large = PublishError::TooLarge { len: max + 1, max };
    for publisher in 0..2 {
        assert_eq!(group[publisher].publish(vec![0; max + 1]), Err(too_large));
        assert_eq!(group[publisher].send(vec![0; max + 1]), Err(too_large));
        group[publisher].send("tea").unwrap();
    }
    group.check_all_came();
}

fn ten_thousand_small_messages_come_in_order(mix: Mix) {
    let mut group = Group::of(mix, 3);
    group[0].send_all(messages(10_000, 64));
    group.check_all_came();
}

fn a_host_that_starts_anew_is_told_from_its_former_life(mix: Mix) {
    let mut group = Group::of(mix, 2);
    let first = group.join(options(0, 2));
    group[first].send_all(messages(3, 2_000));
    group.settle();
    let Source { host: tag, incarnation: old } = group[first].source();
    let host = Some(group[first].id());
    group[first].kill();
    let new = quilt_tokio::proto::Incarnation(old.0 + 1);
    let second = group.join(Options { host, incarnation: new, ..options(0, 2) });
    group[second].send_all(messages(5, 2_000));
    for number in 0..2 {
        let reset = Notice::SourceReset { host: tag, old, new };
        group[number].wait_for("new life", |notice| *notice == reset);
    }
    group.check_all_came();
}

/// The shortest messages, those around one and two fragments, and long ones.
fn lengths() -> impl Iterator<Item = usize> {
    let one = FRAGMENT_BYTES;
    [0, 1, one - 1, one, one + 1, 2 * one, 2 * one + 1, 65_536, 3_000_000, 0, 7].into_iter()
}
