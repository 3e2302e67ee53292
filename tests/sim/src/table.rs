//! The paper's tables that a run can make again: 3 and 4.

mod four;
mod three;

use crate::paper::{News, Outcome, Request, Watch};

/// The tables that can be made.
pub const NUMBERS: [u8; 2] = [3, 4];

/// Makes a table.
///
/// # Errors
/// There is no such table, or it cannot be made as asked.
pub fn make(number: u8, request: &Request, watch: &mut Watch<'_>) -> Result<Outcome, String> {
    match number {
        3 if request.runs > 1 || request.hosts.is_some() => {
            Err("table 3 is one run on all hosts of Figure 7; leave out --runs and --hosts".into())
        }
        3 => {
            watch(News::Runs(1));
            Ok(three::make(request, watch))
        }
        4 => four::make(request, watch),
        _ => Err(format!("no table {number}; there are {NUMBERS:?}")),
    }
}
