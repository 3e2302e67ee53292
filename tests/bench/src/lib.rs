//! One publisher and eight receivers on loopback, by several means, in one process.
//!
//! A [`Rig`] is a publisher with its receivers, set up and settled. The receivers count what they
//! get in a [`Tally`]; the publisher sends, and waits until all have everything. What Quilt's rigs
//! need to stay alive (timers, repair) is part of what is measured.

pub mod bare;
pub mod mio_rig;
pub mod site;
mod tally;
pub mod tokio_rig;

pub use tally::Tally;

/// How many receivers each rig has.
pub const RECEIVERS: usize = 8;

/// A publisher with its receivers.
pub trait Rig {
    /// Sends a message `times` times, and returns once every receiver has all of them.
    fn pass(&mut self, body: &bytes::Bytes, times: u64);

    /// The system calls that moved packets so far, of the publisher and of all receivers; `None`
    /// where each is made by hand.
    fn system_calls(&self) -> Option<(u64, u64)>;
}
