//! What it costs to decide who is asked for what: a window of 1,200 fragments of which all are
//! missing, 8 partners, and the same choices by a naive twin.

#![allow(missing_docs, reason = "criterion's macros")]

extern crate alloc;

#[path = "../src/node/repair/naive.rs"]
mod naive;
#[path = "../src/node/repair/schedule.rs"]
mod schedule;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use quilt_proto::Rng;
use schedule::{Supplier, Want, assign};
use std::hint::black_box;
use std::time::Duration;

const FRAGMENTS: usize = 1_200;
const PARTNERS: usize = 8;

/// Each fragment is with about half of the partners; half of them are wanted within two seconds.
fn window() -> (Vec<Want>, Vec<Supplier>) {
    let mut rng = Rng::new(1);
    let wants = (0..FRAGMENTS).map(|at| {
        let left =
            if at % 2 == 0 { Duration::MAX } else { Duration::from_millis(rng.below(2_000)) };
        Want { holders: rng.below(1 << PARTNERS), left }
    });
    let wants = wants.collect();
    let suppliers = (0..PARTNERS).map(|_| Supplier {
        rtt: rng.between(Duration::from_millis(1), Duration::from_millis(100)),
        pace: rng.between(Duration::from_micros(100), Duration::from_millis(5)),
        asked: 0,
        most: 256,
        late: 0,
    });
    (wants, suppliers.collect())
}

fn schedules(c: &mut Criterion) {
    let (wants, suppliers) = window();
    let mut picked = Vec::new();
    assign(&wants, &mut suppliers.clone(), FRAGMENTS, |at, of| picked.push((at, of)));
    assert_eq!(picked, naive::naive(&wants, &mut suppliers.clone(), FRAGMENTS), "the same choices");
    let mut group = c.benchmark_group("schedule 1,200 fragments, 8 partners");
    group.bench_function("rarest first", |b| {
        let run = |mut suppliers: Vec<Supplier>| {
            let mut sum = 0;
            assign(black_box(&wants), &mut suppliers, FRAGMENTS, |at, of| sum ^= at ^ of);
            sum
        };
        b.iter_batched(|| suppliers.clone(), run, BatchSize::SmallInput);
    });
    group.bench_function("naive twin", |b| {
        let run = |mut suppliers: Vec<Supplier>| {
            naive::naive(black_box(&wants), &mut suppliers, FRAGMENTS)
        };
        b.iter_batched(|| suppliers.clone(), run, BatchSize::SmallInput);
    });
}

criterion_group!(benches, schedules);
criterion_main!(benches);
