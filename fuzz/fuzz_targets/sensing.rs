//! Anything that comes to a host that senses its surroundings, answers to its own questions among it:
//! it stays within its contract, and nothing says that it can be reached but a stream to it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quilt_proto::contract::{Driver, Op};
use quilt_proto::euid::Euid;
use quilt_proto::wire::Nic;
use quilt_proto::{Config, HostId, Incarnation, Limits, Node, Sensing};
use std::net::SocketAddr;

const OWN: ([u8; 4], u16) = ([192, 0, 2, 1], 4_000);
const SERVICE: ([u8; 4], u16) = ([198, 51, 100, 1], 4_000);

fuzz_target!(|bytes: &[u8]| {
    let mut driver = Driver::new(Node::new(config(), 1));
    driver.machine.sense(driver.now, Some(SERVICE.into()));
    driver.settle();
    for op in Op::list(bytes) {
        match op.kind {
            // A datagram, or a piece of a stream, with the answer to a question of the host's: no fuzzer
            // guesses a nonce.
            0..64 => {
                let mut frame = vec![24, 0, 0, 0];
                let question = driver.questions.get(usize::from(op.which)).copied();
                frame.extend(question.unwrap_or_default().to_be_bytes());
                frame.extend(op.payload);
                let len = u16::try_from(frame.len() - 4).unwrap_or(u16::MAX).to_be_bytes();
                frame[2..4].copy_from_slice(&len);
                driver.apply(&Op { kind: 1 + 2 * (op.kind % 2), payload: &frame, ..op });
            }
            _ => driver.apply(&op),
        }
        let found = driver.machine.surroundings();
        assert!(found.euid.connectivity.len() <= 2 && found.routers.len() <= 4, "{found:?}");
    }
});

fn config() -> Config {
    let own: SocketAddr = OWN.into();
    let limits = Limits { links: 8, ..Limits::default() };
    let nics = [Nic { address: own.ip(), euid: Euid::default() }].into_iter().collect();
    let sensing = Some(Sensing { resolver: Some([192, 0, 2, 53].into()) });
    Config { nics, limits, sensing, ..Config::new(HostId([1; 32]), Incarnation(1), own) }
}
