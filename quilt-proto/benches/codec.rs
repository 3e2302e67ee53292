//! Frames and packets, to bytes and back.

#![allow(missing_docs, reason = "criterion's macros")]

mod star;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quilt_proto::wire::{Assembler, Data, Frame, Frames, Held, Hello, Range};
use quilt_proto::{
    FragmentId, GroupId, HostId, HostTag, Incarnation, PatchId, PublishOptions, Seq, Source,
};
use star::stream_packet;
use std::hint::black_box;

fn data(seq: u64, bytes: usize) -> Frame {
    let source = Source { host: HostTag(7), incarnation: Incarnation(1) };
    Frame::Data(Data {
        group: GroupId(1),
        patch: PatchId(1),
        fragment: FragmentId { source, seq: Seq(seq), index: 0 },
        count: 1,
        origin: PatchId(1),
        hops: 1,
        solicited: false,
        options: PublishOptions::default(),
        payload: Bytes::from(vec![7; bytes]),
    })
}

/// What three sources have, one of them with a hole.
fn word() -> Frame {
    let held = |n: u8| {
        let missing = (n == 1).then_some(Range { from: Seq(70), to: Seq(71) });
        let (host, incarnation) = (HostId([n; 32]), Incarnation(1));
        Held {
            host,
            incarnation,
            low: Seq(9),
            next: Seq(900),
            mark: Seq(900),
            missing: missing.into_iter().collect(),
        }
    };
    let (group, patch) = (GroupId(1), PatchId(1));
    Frame::Held { group, patch, more: false, sources: (1..4).map(held).collect() }
}

fn hello() -> Frame {
    let address = "10.0.0.1:7400".parse().expect("an address");
    Frame::Hello(Hello {
        host: HostId([7; 32]),
        incarnation: Incarnation(1),
        addresses: [address].into_iter().collect(),
    })
}

fn codec(c: &mut Criterion) {
    let packets: [(&str, Vec<Frame>); 5] = [
        ("data 64 B", vec![data(0, 64)]),
        ("data 1024 B", vec![data(0, 1_024)]),
        ("16 x data 64 B", (0..16).map(|seq| data(seq, 64)).collect()),
        ("held", vec![word()]),
        ("hello", vec![hello()]),
    ];
    let mut group = c.benchmark_group("encode");
    for (name, frames) in &packets {
        group.throughput(Throughput::Elements(frames.len() as u64));
        let mut bytes = Vec::new();
        group.bench_function(*name, |b| {
            b.iter(|| {
                bytes.clear();
                black_box(frames).iter().for_each(|frame| frame.encode(&mut bytes));
                bytes.len()
            });
        });
    }
    group.finish();

    let mut group = c.benchmark_group("decode");
    for (name, frames) in &packets {
        group.throughput(Throughput::Elements(frames.len() as u64));
        let bytes = Bytes::from(stream_packet(frames));
        group.bench_function(*name, |b| {
            let mut stream = Assembler::default();
            b.iter(|| {
                stream.push(black_box(&bytes).clone());
                let packet = stream.next_packet().expect("a packet").expect("a whole one");
                Frames::decode(packet).expect("a header").filter(|f| black_box(f).is_ok()).count()
            });
        });
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
