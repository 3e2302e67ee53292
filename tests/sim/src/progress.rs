//! How far a long run is.

use quilt_proto::Time;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line changes.
const PAUSE: Duration = Duration::from_millis(250);

/// A line on standard error that says how far a run is; only where somebody looks.
pub(crate) struct Progress {
    started: Instant,
    last: Instant,
    shows: bool,
    shown: bool,
    /// Which of many runs is under way.
    what: String,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            last: now,
            shows: std::io::stderr().is_terminal(),
            shown: false,
            what: String::new(),
        }
    }

    /// As [`Progress::show`], with a line for each run: `what` tells them apart.
    pub(crate) fn show_one_of_many(&mut self, what: &str, at: Time, end: Time, events: u64) {
        if self.what != what {
            self.end();
            *self = Self { what: what.into(), ..Self::new() };
        }
        self.show(at, end, events);
    }

    pub(crate) fn show(&mut self, at: Time, end: Time, events: u64) {
        if !self.shows || self.last.elapsed() < PAUSE {
            return;
        }
        self.last = Instant::now();
        self.shown = true;
        let wall = self.started.elapsed().as_secs_f64();
        let (done, whole) = (at.as_nanos() as f64 / 1e9, end.as_nanos() as f64 / 1e9);
        let left = if done > 0.0 { wall * (whole - done).max(0.0) / done } else { 0.0 };
        let rate = events as f64 / wall;
        let what = if self.what.is_empty() { String::new() } else { format!("{}: ", self.what) };
        eprint!(
            "\r{what}{done:.1} of {whole:.1} virtual s, {rate:.0} events/s, {left:.0} s left   "
        );
        let _ = std::io::stderr().flush();
    }

    pub(crate) fn end(&mut self) {
        if self.shown {
            eprintln!();
        }
    }
}
