//! One message through a node with 1, 8 and 64 links, on which everything is pulled at once.
//!
//! Between two messages 10 µs pass in the node's own time, with all that is due then: words, beats
//! and reports are part of what a message costs. The window fills while criterion warms up: with 64
//! links, or on a busy machine, its 65,536 messages may not be reached in the default three seconds.

#![allow(missing_docs, reason = "criterion's macros")]
#![allow(clippy::arithmetic_side_effects, reason = "a benchmark may panic")]

mod star;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quilt_proto::Limits;
use star::Star;

const LINKS: [usize; 3] = [1, 8, 64];
const BYTES: [usize; 2] = [64, 1_024];

/// A message of the node's own, until the packets of all links were pulled.
fn publish(c: &mut Criterion) {
    let mut group = c.benchmark_group("publish");
    group.throughput(Throughput::Elements(1));
    for bytes in BYTES {
        for links in LINKS {
            let mut star = Star::new(links, &Limits::default());
            let body = Bytes::from(vec![7; bytes]);
            star.publish(&body, 1);
            assert_eq!(star.packets, links as u64, "every link carries it");
            let id = BenchmarkId::new(format!("{bytes} B"), links);
            group.bench_function(id, |b| b.iter(|| star.publish(&body, 1)));
        }
    }
}

/// A packet with a message of a peer, until it was passed on to all other links and delivered.
fn receive(c: &mut Criterion) {
    let mut group = c.benchmark_group("receive");
    group.throughput(Throughput::Elements(1));
    for bytes in BYTES {
        for links in LINKS {
            let mut star = Star::new(links, &Limits::default());
            let mut messages = star.messages(bytes);
            star.receive(&[messages.next().expect("endless")]);
            assert_eq!((star.packets, star.delivered), (links as u64 - 1, 1), "it goes on");
            let id = BenchmarkId::new(format!("{bytes} B"), links);
            group.bench_function(id, |b| {
                b.iter_batched(
                    || messages.next().expect("endless"),
                    |message| star.receive(&[message]),
                    BatchSize::SmallInput,
                );
            });
        }
    }
}

criterion_group!(benches, publish, receive);
criterion_main!(benches);
