//! Any bytes as a stream: it gives the same packets in one piece and in many, which come one by one
//! or all at once.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use quilt_proto::Chunks;
use quilt_proto::wire::{Assembler, DecodeError};

fuzz_target!(|input: &[u8]| {
    // The first bytes say where the stream is cut: their number, then one length each.
    let Some((&cuts, rest)) = input.split_first() else { return };
    let (cuts, stream) = rest.split_at(rest.len().min(usize::from(cuts)));
    let stream = Bytes::copy_from_slice(stream);
    let pieces = pieces(stream.clone(), cuts);
    let whole = read([stream]);
    assert_eq!(read([pieces.iter().cloned().collect::<Chunks>()]), whole);
    assert_eq!(read(pieces), whole);
});

fn pieces(mut stream: Bytes, cuts: &[u8]) -> Vec<Bytes> {
    let mut pieces: Vec<Bytes> =
        cuts.iter().map(|&len| stream.split_to(stream.len().min(usize::from(len)))).collect();
    pieces.push(stream);
    pieces
}

/// All packets, up to the first error.
fn read<P: Into<Chunks>>(
    pieces: impl IntoIterator<Item = P>,
) -> (Vec<Chunks>, Option<DecodeError>) {
    let mut assembler = Assembler::default();
    let mut packets = Vec::new();
    for piece in pieces {
        assembler.push(piece);
        loop {
            match assembler.next_packet() {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(error) => return (packets, Some(error)),
            }
        }
    }
    (packets, None)
}
