//! What a group promises, and what those who come late are given of the past.

use crate::join::refusal;
use crate::messages;
use quilt_conformance::{Group, Mix, conformance, options, until};
use quilt_tokio::proto::{Counter, RejectCause};
use quilt_tokio::{Delivery, History, JoinError, Options, PublishOptions};

conformance!(
    best_effort_asks_for_nothing_and_gives_nothing_twice,
    an_ordered_group_asks_for_nothing_and_keeps_the_ledger,
    a_reliable_group_brings_everything,
    the_first_host_settles_what_the_group_promises,
    who_comes_late_is_given_the_past_that_it_wants,
);

const COUNT: usize = 100;
const LEN: usize = 3_000;

fn group_with(mix: Mix, delivery: Delivery) -> Group {
    let mut group = Group::new(mix);
    for number in 0..3 {
        group.join(Options { delivery: Some(delivery), ..options(0, number) });
    }
    group
}

fn pulled(group: &mut Group) -> u64 {
    group.hosts().iter().map(|host| host.count(Counter::FragmentsPulled)).sum()
}

fn best_effort_asks_for_nothing_and_gives_nothing_twice(mix: Mix) {
    let mut group = group_with(mix, Delivery::BestEffort);
    // How many come nobody promises: what is published before the hosts know each other does not.
    let mut bodies = messages(COUNT, LEN).into_iter().cycle();
    until("messages come", || {
        let body = bodies.next().expect("they never end");
        group[0].send(body).expect("little is under way");
        group.hosts()[1..].iter_mut().all(|receiver| {
            receiver.drain();
            receiver.received() >= COUNT as u64
        })
    });
    group.check_no_gaps();
    assert_eq!(pulled(&mut group), 0);
    group.check_nobody_misbehaved();
}

fn an_ordered_group_asks_for_nothing_and_keeps_the_ledger(mix: Mix) {
    let mut group = group_with(mix, Delivery::Ordered);
    group[0].send_all(messages(COUNT, LEN));
    group.check();
    assert_eq!(pulled(&mut group), 0);
    group.check_nobody_misbehaved();
}

fn a_reliable_group_brings_everything(mix: Mix) {
    let mut group = group_with(mix, Delivery::Reliable);
    group[0].send_all(messages(COUNT, LEN));
    group.check_all_came();
}

fn the_first_host_settles_what_the_group_promises(mix: Mix) {
    let mut group = Group::new(mix);
    group.join(Options { delivery: Some(Delivery::Ordered), ..options(0, 0) });
    group.join(options(0, 1));
    for host in group.hosts() {
        assert_eq!(host.place().map(|place| place.delivery), Some(Delivery::Ordered));
    }
    let other = Options { delivery: Some(Delivery::Reliable), ..options(0, 2) };
    let cause = RejectCause::OtherDelivery { has: Delivery::Ordered };
    let error = refusal(mix, &group.url, other);
    assert!(matches!(&error, JoinError::Rejected(got) if *got == cause), "{error}");
    group.check_nobody_misbehaved();
}

fn who_comes_late_is_given_the_past_that_it_wants(mix: Mix) {
    let mut group = Group::of(mix, 2);
    for (number, body) in messages(20, LEN).into_iter().enumerate() {
        let options = PublishOptions { mark: number == 12, ..PublishOptions::default() };
        group[0].publish_with(body, options).expect("little is under way");
    }
    group.settle();
    let source = group[0].source();
    for (history, first) in [(History::Last(5), 15), (History::FromMark, 12)] {
        let number = group.hosts().len();
        let late = group.join(Options { history, ..options(0, number) });
        group[late].wait_for_messages(source, 20);
        assert_eq!(group[late].first_of(source).map(|seq| seq.0), Some(first), "{history:?}");
    }
    group[0].send_all(messages(5, LEN));
    group.check_all_came();
}
