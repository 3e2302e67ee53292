//! What messages cost in allocations once a node has run for longer than its window reaches back.
//!
//! None for each packet, fragment, link or short message. What is left: words and beats that come due,
//! which follow time and not messages; one for a message of several fragments in the window and
//! another one in what the application is given; and the growth of queues that had become long.
//! Bounds are half as much again as what was counted.

#![cfg(not(target_family = "wasm"))]
#![allow(clippy::arithmetic_side_effects, reason = "a test may panic")]

#[path = "../benches/star/mod.rs"]
mod star;

use bytes::Bytes;
use quilt_proto::Limits;
use star::Star;

const LINKS: usize = 8;
/// How far a window reaches back.
const WINDOW: usize = 1_024;
const WARM_UP: usize = 4 * WINDOW;
/// How many messages are looked at: two tenths of a second of them, with all that is due then.
const MESSAGES: usize = 20_480;

fn star() -> Star {
    Star::new(LINKS, &Limits { window_messages: WINDOW, ..Limits::default() })
}

/// Allocations a message of `len` bytes that is published to all links, `at_once` of them before
/// the links are pulled.
fn published(len: usize, at_once: usize) -> f64 {
    let mut star = star();
    let body = Bytes::from(vec![7; len]);
    (0..WARM_UP / at_once).for_each(|_| star.publish(&body, at_once));
    let packets = star.packets;
    let counted = allocation_counter::measure(|| {
        (0..MESSAGES / at_once).for_each(|_| star.publish(&body, at_once));
    });
    assert!(star.packets - packets >= (MESSAGES * LINKS / at_once) as u64);
    counted.count_total as f64 / MESSAGES as f64
}

/// Allocations a message of `len` bytes that comes in on one link, is passed on to the others and
/// delivered; `at_once` of them before the links are pulled.
fn received(len: usize, at_once: usize) -> f64 {
    let mut star = star();
    let mut messages = star.messages(len);
    let mut take = |count| messages.by_ref().take(count).collect::<Vec<Bytes>>();
    take(WARM_UP).chunks(at_once).for_each(|messages| star.receive(messages));
    let messages = take(MESSAGES);
    let packets = star.packets;
    let counted = allocation_counter::measure(|| {
        messages.chunks(at_once).for_each(|messages| star.receive(messages));
    });
    assert!(star.packets - packets >= (MESSAGES * (LINKS - 1) / at_once / 16) as u64);
    assert_eq!(star.delivered, (WARM_UP + MESSAGES) as u64);
    counted.count_total as f64 / MESSAGES as f64
}

fn check(cases: &[(usize, usize, f64)], count: impl Fn(usize, usize) -> f64) {
    for &(len, at_once, most) in cases {
        let allocations = count(len, at_once);
        println!("{allocations:.3} allocations a message of {len} bytes, {at_once} at once");
        assert!(allocations <= most, "{allocations} for {len} bytes, {at_once} at once");
    }
}

#[test]
fn publishing_a_message_to_eight_links() {
    check(
        &[(64, 1, 0.03), (1_000, 1, 0.03), (11_000, 1, 1.5), (64, 64, 0.03), (64, 512, 0.4)],
        published,
    );
}

#[test]
fn passing_a_message_on_to_seven_links_and_delivering_it() {
    check(
        &[(64, 1, 0.03), (1_000, 1, 0.03), (11_000, 1, 3.0), (64, 64, 0.03), (64, 512, 0.4)],
        received,
    );
}
