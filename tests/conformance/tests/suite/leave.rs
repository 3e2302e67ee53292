//! Hosts that leave, and one that is put out.

use crate::messages;
use quilt_conformance::{Group, Mix, conformance, options};
use quilt_tokio::proto::{EvictCause, Incarnation};
use quilt_tokio::{Notice, Options, PublishError};

conformance!(
    who_leaves_is_gone_and_what_it_published_arrives,
    who_is_replaced_is_told_and_can_publish_no_more,
);

fn who_leaves_is_gone_and_what_it_published_arrives(mix: Mix) {
    let mut group = Group::of(mix, 4);
    group.service().wait_for_hosts(4);
    for leaver in [0, 1] {
        group[leaver].send_all(messages(100, 20_000));
        group[leaver].leave();
        group[leaver].drain_to_the_end();
        assert_eq!(group[leaver].place(), None);
        assert_eq!(group[leaver].publish("late"), Err(PublishError::Closed));
        assert_eq!(group[leaver].send("later"), Err(PublishError::Closed));
    }
    group.service().wait_for_hosts(2);
    group[2].send_all(messages(10, 20_000));
    group.check_all_came();
    // Leaving twice is no harm.
    group[0].leave();
}

fn who_is_replaced_is_told_and_can_publish_no_more(mix: Mix) {
    // Representatives report every second, and so hear of it soon.
    let mut group = Group::of(mix, 1);
    let life = |incarnation| Options { incarnation: Incarnation(incarnation), ..options(0, 1) };
    let first = group.join(life(1));
    group[first].send_all(messages(3, 100));
    group.settle();
    let host = Some(group[first].id());
    let second = group.join(Options { host, bind: options(0, 2).bind, ..life(2) });
    let evicted = Notice::Evicted { cause: EvictCause::Replaced };
    group[first].wait_for("eviction", |notice| *notice == evicted);
    group[first].drain_to_the_end();
    assert_eq!(group[first].publish("late"), Err(PublishError::Closed));
    assert_eq!(group[first].send("later"), Err(PublishError::Closed));
    group[second].send_all(messages(3, 100));
    group.settle();
    group[0].wait_for("new life", |notice| matches!(notice, Notice::SourceReset { .. }));
    group.check_all_came();
}
