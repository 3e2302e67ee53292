//! Three hosts and their service on a wire that changes, cuts and swaps what is under way: each host
//! is told each message of a source once and in order, or in a gap.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use quilt_proto::contract::{Op, address};
use quilt_proto::euid::{Euid, RouterId};
use quilt_proto::memory::{HostIndex, Network};
use quilt_proto::wire::Nic;
use quilt_proto::{
    Bootstrap, BootstrapConfig, Chunks, Config, Group, GroupId, HostId, Incarnation, Node, Notice,
    Source,
};
use std::collections::BTreeMap;
use std::time::Duration;

fuzz_target!(|bytes: &[u8]| {
    let mut net = Network::new(1);
    let service = address(255);
    net.add_bootstrap(service, Bootstrap::new(BootstrapConfig::default(), 1));
    let hosts = [1, 2, 3].map(|n| {
        let host = net.add_node(address(n), Node::new(config(n), n.into()));
        net.call(host, |node, now| node.join(now, Group::new("fuzz", service))).expect("a join");
        host
    });
    let mut told = BTreeMap::new();
    for op in Op::list(bytes) {
        play(&mut net, &hosts, &op);
        hosts.iter().for_each(|&host| read(&mut net, host, &mut told));
    }
    net.run_for(Duration::from_secs(5));
    hosts.iter().for_each(|&host| read(&mut net, host, &mut told));
});

fn play(net: &mut Network, hosts: &[HostIndex; 3], op: &Op<'_>) {
    match op.kind % 6 {
        0 => net.run_for(Duration::from_millis(u64::from(op.which))),
        1 => {
            let host = hosts[usize::from(op.which) % hosts.len()];
            let body = Bytes::copy_from_slice(op.payload);
            let group = GroupId::named("fuzz");
            let _ = net.call(host, |node, now| node.publish(now, group, body));
        }
        kind => {
            let mut under_way: Vec<&mut Chunks> = net.under_way().collect();
            let count = under_way.len();
            let Some(packet) = under_way.get_mut(usize::from(op.which) % count.max(1)) else {
                return net.run_for(Duration::from_millis(1));
            };
            let bytes = std::mem::take(*packet).into_bytes();
            let changed: Bytes = match kind {
                2 => bytes.slice(..bytes.len() * usize::from(op.payload.len() as u8) / 256),
                3 => Bytes::copy_from_slice(op.payload),
                4 => [&bytes, op.payload].concat().into(),
                _ => bytes.iter().zip(op.payload).map(|(a, b)| a ^ b).collect(),
            };
            **packet = changed.into();
        }
    }
}

/// Checks what a host was told against what it was told before.
fn read(net: &mut Network, host: HostIndex, told: &mut BTreeMap<(HostIndex, Source), u64>) {
    for (_, notice) in net.take_notices(host) {
        let (source, from, to) = match notice {
            Notice::Message(message) => (message.source, message.seq, message.seq),
            Notice::Gap { source, from, to, .. } => (source, from, to),
            _ => continue,
        };
        let next = told.entry((host, source)).or_insert(from.0);
        assert_eq!(*next, from.0, "{host:?}, {source}");
        assert!(from <= to);
        *next = to.0 + 1;
    }
}

/// The first two share a router with IP multicast, the third is somewhere else.
fn config(n: u8) -> Config {
    let mut euid = Euid::reachable();
    let router = if n < 3 { "a" } else { "b" };
    euid.topology.insert(RouterId::named(router), 1, n < 3);
    let nics = [Nic { address: address(n).ip(), euid }].into_iter().collect();
    Config { nics, ..Config::new(HostId([n; 32]), Incarnation(1), address(n)) }
}
