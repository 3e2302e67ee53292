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

    /// How many of many short runs are done.
    pub(crate) fn show_count(&mut self, what: &str, done: u64, all: u64) {
        if self.is_due() {
            let left = self.left(done as f64, all as f64);
            eprint!("\r{done} of {all} {what}, {left:.0} s left   ");
            let _ = std::io::stderr().flush();
        }
    }

    fn is_due(&mut self) -> bool {
        let due = self.shows && self.last.elapsed() >= PAUSE;
        if due {
            self.last = Instant::now();
            self.shown = true;
        }
        due
    }

    /// The seconds left if it goes on as fast.
    fn left(&self, done: f64, whole: f64) -> f64 {
        let wall = self.started.elapsed().as_secs_f64();
        if done > 0.0 { wall * (whole - done).max(0.0) / done } else { 0.0 }
    }

    pub(crate) fn show(&mut self, at: Time, end: Time, events: u64) {
        if !self.is_due() {
            return;
        }
        let wall = self.started.elapsed().as_secs_f64();
        let (done, whole) = (at.as_nanos() as f64 / 1e9, end.as_nanos() as f64 / 1e9);
        let left = self.left(done, whole);
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
