//! Any answers of the bootstrap service at a host that joins: it stays within its contract.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quilt_proto::contract::{Driver, Member, Op, address};
use quilt_proto::euid::Euid;
use quilt_proto::wire::Nic;
use quilt_proto::{Config, Group, HostId, Incarnation, Limits, Node};

/// The kinds of the frames that the service sends: Cookie, Orders, Refused, SurveyPart.
const ANSWERS: [u8; 4] = [17, 18, 19, 22];

fuzz_target!(|bytes: &[u8]| {
    let mut driver = Driver::new(Node::new(config(), 1));
    let group = Group::new("fuzz", address(Member::SERVICE));
    let Ok(id) = driver.machine.join(driver.now, group) else { panic!("cannot join") };
    driver.settle();
    for op in Op::list(bytes) {
        match op.kind {
            // Where the frame's body begins, its group: what is of another group is soon dropped.
            0..128 => {
                let kind = ANSWERS[usize::from(op.kind) % ANSWERS.len()];
                let body = [&id.0.to_be_bytes()[..], op.payload].concat();
                let len = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
                let frame = [&[kind, 0][..], &len, &body].concat();
                driver.apply(&Op { kind: 1, which: Member::SERVICE, payload: &frame });
            }
            _ => driver.apply(&op),
        }
        while driver.machine.poll_notice().is_some() {}
        driver.settle();
    }
});

fn config() -> Config {
    let limits = Limits { links: 8, sources: 8, window_bytes: 64 << 10, ..Limits::default() };
    let nic = Nic { address: address(1).ip(), euid: Euid::reachable() };
    let nics = [nic].into_iter().collect();
    Config { nics, limits, ..Config::new(HostId([1; 32]), Incarnation(1), address(1)) }
}
