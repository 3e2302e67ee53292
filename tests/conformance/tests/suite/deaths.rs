//! Hosts that die in the middle of a transfer.

use crate::messages;
use quilt_conformance::{Group, Mix, conformance, site};
use quilt_tokio::proto::Role;

conformance!(
    a_member_that_is_killed_keeps_nobody_from_completing,
    a_representative_that_is_killed_keeps_nobody_from_completing,
);

fn a_member_that_is_killed_keeps_nobody_from_completing(mix: Mix) {
    kill_one_in_mid_stream(mix, Role::Member);
}

fn a_representative_that_is_killed_keeps_nobody_from_completing(mix: Mix) {
    kill_one_in_mid_stream(mix, Role::Representative);
}

/// Three hosts in a site with IP multicast, where the publisher is, and four in one without.
fn kill_one_in_mid_stream(mix: Mix, role: Role) {
    let mut group = Group::new(mix);
    for number in 0..7 {
        let place = if number < 3 { 1 } else { 2 };
        group.join(site(place, number, place == 1));
    }
    group.service().wait_for_hosts(7);
    let publisher = group[0].source();
    group[0].send_all(messages(10, 10_000));
    group.settle();

    let sending = group[0].start_sending(messages(150, 20_000));
    for number in 1..7 {
        group[number].wait_for_messages(publisher, 20);
    }
    let has_role = |number: &usize| group[*number].place().is_some_and(|place| place.role == role);
    let lost = (3..7).find(has_role).expect("one has that role");
    group[lost].kill();
    group[0].finish_sending(sending).unwrap();
    group[0].send_all(messages(20, 20_000));
    group.check_all_came();
}
