//! What can be wrong with a topology, and what to do about it.

use super::MAX_HOSTS;
use super::load::MAX_FILE_BYTES;
use super::matrix::{MAX_MILLIS, MAX_ROWS};
use std::fmt;
use std::io;

/// Why there is no such topology: where, the reason, and what to do.
#[derive(Debug, thiserror::Error)]
pub struct TopologyError {
    /// The file, or the name of what is built in.
    pub file: String,
    /// Line in the file, from 1.
    pub line: Option<u64>,
    /// Value in the line (CSV) or character in the line (JSON), from 1.
    pub column: Option<u64>,
    /// The reason, and what to do.
    pub problem: Problem,
}

impl TopologyError {
    pub(super) fn new(file: &str, problem: Problem) -> Self {
        Self { file: file.into(), line: None, column: None, problem }
    }

    pub(super) fn at_line(file: &str, line: u64, problem: Problem) -> Self {
        Self { line: Some(line), ..Self::new(file, problem) }
    }

    /// `column` counts from 0.
    pub(super) fn at(file: &str, line: u64, column: usize, problem: Problem) -> Self {
        Self { column: Some(column as u64 + 1), ..Self::at_line(file, line, problem) }
    }

    pub(super) fn json(file: &str, error: &serde_json::Error) -> Self {
        let (line, column) = (error.line() as u64, error.column() as u64);
        // The place is given beside the reason; serde_json would repeat it at the end.
        let text = error.to_string();
        let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
        // What this crate finds wrong while it reads comes with its cure.
        let cure = if reason.contains("; ") { "" } else { "; compare it with tests/sim/data" };
        Self {
            line: (line > 0).then_some(line),
            column: (column > 0).then_some(column),
            ..Self::new(file, Problem::Json(format!("{reason}{cure}")))
        }
    }
}

impl fmt::Display for TopologyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ", column {column}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// What is wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The system refuses to open or read it.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// A folder, a device or a pipe.
    #[error("is not a file; name a .json or .csv file")]
    NotAFile,
    /// Its name ends in something else.
    #[error("is of no known kind; a topology's name ends in .json or .csv")]
    UnknownKind,
    /// Far beyond any real topology.
    #[error("has {bytes} bytes, more than {MAX_FILE_BYTES}; is this a topology?")]
    FileTooLarge {
        /// Size of the file.
        bytes: u64,
    },
    /// Some bytes are not text.
    #[error("is not UTF-8 from here on; save it as UTF-8")]
    NotUtf8,
    /// Nothing is in it.
    #[error("is empty; a topology has at least one host")]
    Empty,
    /// A host is left of a topology of none.
    #[error("a topology needs at least one host; ask for more")]
    NoHosts,
    /// Too many are asked for, or in the file.
    #[error("{hosts} hosts are more than the {MAX_HOSTS} that are supported; ask for fewer")]
    TooManyHosts {
        /// How many.
        hosts: usize,
    },
    /// A matrix has too many rows or columns.
    #[error("has more than the {MAX_ROWS} rows or columns that a matrix may have; leave hosts out")]
    MatrixTooLarge,
    /// A domain would have no host.
    #[error("of {wanted} hosts domain {domain} would have none; ask for more")]
    EmptyDomain {
        /// The domain.
        domain: u32,
        /// How many hosts were asked for.
        wanted: usize,
    },
    /// A value is missing.
    #[error("a hole: nothing is known of {what}; fill it, or leave the hosts concerned out")]
    Hole {
        /// What is missing.
        what: String,
    },
    /// Not a number.
    #[error("{text:?} is not a number of milliseconds; write one, as in 12.5")]
    NotANumber {
        /// What is there.
        text: String,
    },
    /// A latency below zero.
    #[error("{millis} ms is negative; a latency is at least 0")]
    Negative {
        /// The latency.
        millis: f64,
    },
    /// Infinite, or not a number.
    #[error("{millis} is not finite; leave out hosts that cannot be reached")]
    NotFinite {
        /// The latency.
        millis: f64,
    },
    /// A latency beyond any real one.
    #[error("{millis} ms is more than {MAX_MILLIS} ms; latencies are in milliseconds")]
    TooLong {
        /// The latency.
        millis: f64,
    },
    /// A host at some distance from itself.
    #[error("a host is {millis} ms from itself; the diagonal is 0")]
    Diagonal {
        /// The latency.
        millis: f64,
    },
    /// A row of a full matrix is too long or too short.
    #[error(
        "row {row} has {have} values, but {need} rows make a matrix of {need} columns; give every \
         host a row and a column"
    )]
    NotSquare {
        /// From 1; 0 is a line of labels.
        row: usize,
        /// Values in the row.
        have: usize,
        /// Values that belong there.
        need: usize,
    },
    /// A row of an upper triangle is too long, too short or missing.
    #[error(
        "row {row} has {have} values; where each row is one shorter than the one before, this is an \
         upper triangle, and row {row} of {rows} needs {need}"
    )]
    NotTriangle {
        /// From 1.
        row: usize,
        /// Values in the row.
        have: usize,
        /// Values that belong there.
        need: usize,
        /// Rows that the triangle needs.
        rows: usize,
    },
    /// A row and the column of the same number have different labels.
    #[error(
        "row {row:?} stands where column {column:?} does; in a labelled matrix, rows and columns \
         are the same hosts in the same order"
    )]
    OtherLabel {
        /// Label of the row.
        row: String,
        /// Label of the column.
        column: String,
    },
    /// A matrix for another number of hosts than there are.
    #[error("is for {have} hosts, but {other} has {need}; they belong together")]
    OtherSize {
        /// Hosts in the matrix.
        have: usize,
        /// Hosts in the other file.
        need: usize,
        /// The other file, or the other part of this one.
        other: String,
    },
    /// One of two files that belong together is missing.
    #[error("needs {missing} beside it, which is not there; add it{or}")]
    NoCompanion {
        /// The missing file.
        missing: String,
        /// What else could be done.
        or: &'static str,
    },
    /// A table of hosts, of which nobody can tell what latencies belong to it.
    #[error(
        "has hosts and no latencies; call it NAME_hosts.csv, and put NAME_rtt_upper_ms.csv beside it"
    )]
    NoLatencies,
    /// A name that is there already.
    #[error("the {what} {name:?} is there twice; give each a name of its own")]
    Duplicate {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A name that nothing has.
    #[error("there is no {what} {name:?}; check the spelling")]
    Unknown {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A header without a column that is needed.
    #[error("has no column {column:?}; the first line names the columns")]
    NoColumn {
        /// The column.
        column: &'static str,
    },
    /// A line of a table with another number of values than the header.
    #[error("has {have} values under a header of {need}; write * for a router that is silent")]
    Ragged {
        /// Values in the line.
        have: usize,
        /// Values in the header.
        need: usize,
    },
    /// Not the JSON that is expected.
    #[error("{0}")]
    Json(String),
    /// Not CSV.
    #[error("is not CSV: {0}")]
    Csv(csv::Error),
}
