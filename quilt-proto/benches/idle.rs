//! What a node costs that has nothing to do, in one group and in a thousand: the same.

#![allow(missing_docs, reason = "criterion's macros")]

mod star;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use quilt_proto::{Event, Machine};
use star::Star;
use std::hint::black_box;

fn idle(c: &mut Criterion) {
    let mut stars = [1, 1_000].map(|groups| (groups, Star::of_groups(groups)));
    let mut group = c.benchmark_group("idle");
    for (groups, star) in &mut stars {
        group.bench_function(BenchmarkId::new("poll_timeout", *groups), |b| {
            b.iter(|| black_box(&star.node).poll_timeout());
        });
    }
    for (groups, star) in &mut stars {
        group.bench_function(BenchmarkId::new("early timeout", *groups), |b| {
            b.iter(|| {
                star.node.handle(star.now, Event::Timeout);
                star.node.poll_action()
            });
        });
    }
}

criterion_group!(benches, idle);
criterion_main!(benches);
