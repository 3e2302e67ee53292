//! One publisher and eight receivers: Quilt by both adapters, beside bare datagrams.
//!
//! `throughput` passes many messages and counts until every receiver has all of them; `latency`
//! passes one at a time. What it takes in system calls is printed for each row.

use bytes::Bytes;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, measurement::WallTime};
use quilt_bench::bare::{Bare, Copies};
use quilt_bench::mio_rig::MioRig;
use quilt_bench::site::Protocol;
use quilt_bench::tokio_rig::TokioRig;
use quilt_bench::{RECEIVERS, Rig};
use std::error::Error;
use std::time::{Duration, Instant};

const LENGTHS: [usize; 3] = [64, 1 << 10, 64 << 10];

type Make = fn() -> Result<Box<dyn Rig>, Box<dyn Error>>;

const RIGS: [(&str, Make); 6] = [
    ("bare-sendmmsg", || Ok(Box::new(Bare::new(Copies::Unicast)?))),
    ("bare-multicast", || Ok(Box::new(Bare::new(Copies::Multicast)?))),
    ("mio-ipmc", || Ok(Box::new(MioRig::new(Protocol::Ipmc)?))),
    ("tokio-ipmc", || Ok(Box::new(TokioRig::new(Protocol::Ipmc)?))),
    ("mio-donet", || Ok(Box::new(MioRig::new(Protocol::Donet)?))),
    ("tokio-donet", || Ok(Box::new(TokioRig::new(Protocol::Donet)?))),
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    for (name, make) in RIGS {
        let mut rig = make()?;
        throughput(&mut criterion, name, &mut *rig);
        latency(&mut criterion, name, &mut *rig);
    }
    criterion.final_summary();
    Ok(())
}

/// Many messages; the time is that of one of them.
fn throughput(criterion: &mut Criterion, name: &str, rig: &mut dyn Rig) {
    let mut group = criterion.benchmark_group("throughput");
    for len in LENGTHS {
        // Some megabytes at once, so that starting and ending do not show.
        let at_once = (4_u64 << 20).div_ceil(len as u64).min(20_000);
        group.throughput(Throughput::Elements(1));
        measure(&mut group, name, len, rig, |rig, body, times| {
            let passed = times * at_once;
            let start = Instant::now();
            rig.pass(body, passed);
            (start.elapsed().div_f64(at_once as f64), passed)
        });
    }
}

/// One message at a time, from publishing it to the last receiver.
fn latency(criterion: &mut Criterion, name: &str, rig: &mut dyn Rig) {
    let mut group = criterion.benchmark_group("latency");
    for len in LENGTHS {
        measure(&mut group, name, len, rig, |rig, body, times| {
            let start = Instant::now();
            (0..times).for_each(|_| rig.pass(body, 1));
            (start.elapsed(), times)
        });
    }
}

fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    len: usize,
    rig: &mut dyn Rig,
    pass: impl Fn(&mut dyn Rig, &Bytes, u64) -> (Duration, u64),
) {
    let body = Bytes::from(vec![7; len]);
    let counted = rig.system_calls();
    let mut messages = 0;
    group.bench_function(BenchmarkId::new(name, len), |bencher| {
        bencher.iter_custom(|times| {
            let (time, passed) = pass(rig, &body, times);
            messages += passed;
            time
        });
    });
    if let (Some(before), Some(after)) = (counted, rig.system_calls()) {
        let each = |calls: u64| calls as f64 / messages.max(1) as f64;
        let publisher = each(after.0 - before.0);
        let receiver = each(after.1 - before.1) / RECEIVERS as f64;
        println!("    system calls a message: publisher {publisher:.3}, receiver {receiver:.3}");
    }
}
