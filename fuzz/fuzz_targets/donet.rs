//! Any events at a member of a patch that runs the DONet mesh: it stays within its contract.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quilt_proto::ProtocolId;
use quilt_proto::contract::check_member;
use quilt_proto::protocol::Registry;

fuzz_target!(|bytes: &[u8]| {
    check_member(&Registry::standard(), ProtocolId::DONET, bytes);
});
