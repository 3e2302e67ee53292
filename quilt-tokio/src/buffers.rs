//! Bytes on their way in and out.

use quilt_proto::Transmit;
use std::io::IoSlice;

/// Bytes read at once, and the piece of memory that received bytes share.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;
/// The most slices of a [`Transmit`].
pub(crate) const MAX_SLICES: usize = 33;

/// The slices of `transmit`, in `slices`.
pub(crate) fn fill<'a, 'b>(
    slices: &'b mut [IoSlice<'a>; MAX_SLICES],
    transmit: &'a Transmit,
) -> &'b mut [IoSlice<'a>] {
    let mut count = 0;
    for (to, from) in slices.iter_mut().zip(transmit.slices()) {
        *to = IoSlice::new(from);
        count += 1;
    }
    &mut slices[..count]
}
