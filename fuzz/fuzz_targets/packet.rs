//! Any bytes as a packet: what decodes encodes to itself.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use quilt_proto::wire::{Frame, Frames};

fuzz_target!(|bytes: &[u8]| {
    let Ok(frames) = Frames::decode(Bytes::copy_from_slice(bytes)) else { return };
    let mut packet = frames.header().encode().to_vec();
    let frames: Vec<Frame> = frames.flatten().collect();
    frames.iter().for_each(|frame| frame.encode(&mut packet));
    let again: Result<Vec<Frame>, _> = Frames::decode(packet).expect("a header").collect();
    assert_eq!(again, Ok(frames));
});
