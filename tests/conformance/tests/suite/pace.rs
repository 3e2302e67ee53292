//! Publishers that are too fast.

use crate::messages;
use quilt_conformance::{DEADLINE, Group, Mix, conformance, options};
use quilt_tokio::{Options, PublishError};
use std::time::{Duration, Instant};

conformance!(
    a_publisher_beyond_its_rate_is_put_off_and_loses_nothing,
    a_publisher_that_does_not_read_is_let_on_all_the_same,
);

const RATE: u64 = 4_000_000;
const LEN: usize = 100_000;

fn slow_publishers(mix: Mix) -> Group {
    let mut group = Group::new(mix);
    for number in 0..3 {
        group.join(Options { publish_bytes_per_second: RATE, ..options(0, number) });
    }
    group
}

fn a_publisher_beyond_its_rate_is_put_off_and_loses_nothing(mix: Mix) {
    let mut group = slow_publishers(mix);
    for publisher in [0, 1] {
        let (started, mut put_off) = (Instant::now(), 0);
        let bodies = messages(20, LEN);
        for body in &bodies[..10] {
            while let Err(error) = group[publisher].publish(body.clone()) {
                assert_eq!(error, PublishError::WouldBlock);
                assert!(started.elapsed() < DEADLINE, "put off for ever");
                put_off += 1;
            }
        }
        assert!(put_off > 0);
        group[publisher].send_all(bodies[10..].to_vec());
        // The first one is free, and so is what the rate brings in 20 ms.
        let least = Duration::from_millis(19 * 25 - 20);
        assert!(started.elapsed() >= least, "{:?}", started.elapsed());
    }
    group.check_all_came();
}

fn a_publisher_that_does_not_read_is_let_on_all_the_same(mix: Mix) {
    let mut group = slow_publishers(mix);
    group[0].read(false);
    group[1].read(false);
    // More than stands between a node and an application that does not read.
    group[2].send_all(messages(100, 100));
    for publisher in [0, 1] {
        group[publisher].send_all(messages(10, LEN));
    }
    group.settle();
    group[0].read(true);
    group[1].read(true);
    group.check_all_came();
}
