//! The tree as a whole, and the exact effects of one host.
#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

mod alone;
mod lies;
mod net;
mod seats;
mod together;

use crate::PatchId;
use crate::protocol::Setup;
use crate::protocol::bench::{contact, host};
use bytes::Bytes;

const REGION: PatchId = PatchId(1);

pub(super) fn setup(n: u8, patch: PatchId) -> Setup {
    Setup {
        me: host(n),
        patch,
        parameters: Bytes::new(),
        interface: [127, 0, 0, n].into(),
        contact: contact(n),
        named: alloc::vec::Vec::new(),
    }
}
