//! Everything that the program says, to people and to machines, so that it reads alike.

mod failure;
mod line;
mod verdicts;

pub(crate) use failure::Failure;
pub(crate) use line::{Line, Milliseconds, Standing, duplicates_percent};
pub(crate) use verdicts::Verdicts;

use indicatif::HumanBytes;

/// A number of things.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}

/// A number of bytes for people.
pub(crate) fn bytes(count: u64) -> HumanBytes {
    HumanBytes(count)
}
