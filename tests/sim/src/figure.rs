//! The paper's figures that a run can make again: 8 to 15.

use crate::paper::{Outcome, Request, Watch};

/// The figures that can be made.
pub const NUMBERS: [u8; 0] = [];

/// Makes a figure.
///
/// # Errors
/// There is no such figure, or its topology cannot be made as asked.
pub fn make(number: u8, _request: &Request, _watch: &mut Watch<'_>) -> Result<Outcome, String> {
    Err(format!("no figure {number}; there are {NUMBERS:?}"))
}
