//! What the codec as a whole promises.

use super::arbitrary::*;
use super::*;
use proptest::prelude::*;

fn packet(header: &Header, frames: &[Frame]) -> Vec<u8> {
    let mut bytes = header.encode().to_vec();
    frames.iter().for_each(|frame| frame.encode(&mut bytes));
    bytes
}

fn decode(bytes: &[u8]) -> Result<Vec<Result<Frame, DecodeError>>, DecodeError> {
    Ok(Frames::decode(Bytes::copy_from_slice(bytes))?.collect())
}

proptest! {
    #[test]
    fn every_packet_round_trips(
        header in header(),
        frames in proptest::collection::vec(frame(), 0..8),
    ) {
        let packet = packet(&header, &frames);
        let decoded = Frames::decode(packet.into()).expect("a good header");
        prop_assert_eq!(decoded.header(), header);
        prop_assert_eq!(decoded.sender(), header.sender);
        let decoded: Result<Vec<Frame>, _> = decoded.collect();
        prop_assert_eq!(decoded, Ok(frames));
    }
}
