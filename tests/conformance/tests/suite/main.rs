//! The scenarios, by what they are about. Each is one function of the mix, and one test for each.

mod bootstrap;
mod deaths;
mod delivery;
mod garbage;
mod join;
mod leave;
mod multicast;
mod pace;
mod slow;
mod transfer;

use bytes::Bytes;

/// Bytes that look like nothing in particular; the same for the same seed.
fn noise(len: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        // Xorshift: Marsaglia, "Xorshift RNGs", 2003.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

/// So many messages of one length, all of them different.
fn messages(count: usize, len: usize) -> Vec<Bytes> {
    (0..).take(count).map(|seed| noise(len, seed)).collect()
}
