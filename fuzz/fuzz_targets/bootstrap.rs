//! Any events at a bootstrap service: it stays within its contract.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use quilt_proto::contract::{Driver, Op, address, packet};
use quilt_proto::wire::{Frame, Frames};
use quilt_proto::{Bootstrap, BootstrapConfig, Limits, Policy, ProtocolId};

fuzz_target!(|bytes: &[u8]| {
    let mut driver = Driver::new(Bootstrap::new(config(), 1));
    for op in Op::list(bytes) {
        match op.kind {
            // A datagram from a host that has proved its address: no fuzzer guesses a cookie.
            0xf0 => {
                let frames = proved(driver.cookie, op.payload);
                driver.apply(&Op { kind: 1, which: op.which, payload: &frames });
            }
            _ => driver.apply(&op),
        }
    }
});

/// The frames that `bytes` are, with the cookie in them.
fn proved(proof: u64, bytes: &[u8]) -> Vec<u8> {
    let frames = Frames::decode(Bytes::from(packet(0, bytes))).into_iter().flatten().flatten();
    let mut proved = Vec::new();
    for mut frame in frames {
        match &mut frame {
            Frame::Report(report) => report.cookie = proof,
            Frame::Depart { cookie, .. } | Frame::Survey { cookie, .. } => *cookie = proof,
            Frame::Sense(sense) => sense.cookie = proof,
            _ => {}
        }
        frame.encode(&mut proved);
    }
    proved
}

fn config() -> BootstrapConfig {
    let policy = Policy {
        order: vec![ProtocolId::IPMC, ProtocolId::DONET, ProtocolId::OMNI],
        forbidden: Vec::new(),
        inter_patch: ProtocolId::OMNI,
        representatives_min: 2,
        representatives_max: 3,
    };
    let limits = Limits { links: 8, group_hosts: 16, patches: 8, ..Limits::default() };
    let (other_port, other_address) = (Some(9), Some(address(200)));
    BootstrapConfig { policy, limits, other_port, other_address, ..BootstrapConfig::default() }
}
