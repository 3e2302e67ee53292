//! Any events at a host that has joined a group: it stays within its contract and its limits.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use quilt_proto::contract::{Driver, Op, address};
use quilt_proto::euid::Euid;
use quilt_proto::wire::Nic;
use quilt_proto::{Config, Group, HostId, Incarnation, Limits, Node};

fuzz_target!(|bytes: &[u8]| {
    let mut driver = Driver::new(Node::new(config(), 1));
    let group = Group::new("fuzz", address(255));
    let Ok(id) = driver.machine.join(driver.now, group.clone()) else { panic!("cannot join") };
    driver.settle();
    for op in Op::list(bytes) {
        match op.kind {
            0xf0 => {
                let _ = driver.machine.join(driver.now, group.clone());
            }
            0xf1 => {
                let body = Bytes::copy_from_slice(op.payload);
                let _ = driver.machine.publish(driver.now, id, body);
            }
            0xf3 => drop(driver.machine.survey(driver.now, id)),
            0xf2 => driver.machine.leave(driver.now, id),
            _ => driver.apply(&op),
        }
        driver.settle();
        assert_eq!(driver.machine.usage().beyond(&limits()), None);
        if op.which % 2 == 0 {
            while driver.machine.poll_notice().is_some() {}
            driver.settle();
        }
    }
});

fn limits() -> Limits {
    Limits { links: 8, sources: 8, window_bytes: 64 << 10, ..Limits::default() }
}

fn config() -> Config {
    let nic = Nic { address: address(1).ip(), euid: Euid::default() };
    let nics = [nic].into_iter().collect();
    Config { nics, limits: limits(), ..Config::new(HostId([1; 32]), Incarnation(1), address(1)) }
}
