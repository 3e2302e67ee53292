//! A frame of any kind with any body: what decodes encodes to itself.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use quilt_proto::contract::packet;
use quilt_proto::wire::Frames;

fuzz_target!(|bytes: &[u8]| {
    // The head's length is put right, so that every input comes to a decoder.
    let Some((&[kind, flags], body)) = bytes.split_first_chunk() else { return };
    let Ok(len) = u16::try_from(body.len()) else { return };
    let [high, low] = len.to_be_bytes();
    let frame = [&[kind, flags, high, low][..], body].concat();
    let Some(Ok(frame)) = decode(&frame).next() else { return };
    let mut again = Vec::new();
    frame.encode(&mut again);
    assert_eq!(decode(&again).next(), Some(Ok(frame)));
});

fn decode(frame: &[u8]) -> Frames {
    Frames::decode(Bytes::from(packet(1, frame))).expect("a good header")
}
