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
}

impl Progress {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { started: now, last: now, shows: std::io::stderr().is_terminal(), shown: false }
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
        eprint!("\r{done:.1} of {whole:.1} virtual s, {rate:.0} events/s, {left:.0} s left   ");
        let _ = std::io::stderr().flush();
    }

    pub(crate) fn end(&mut self) {
        if self.shown {
            eprintln!();
        }
    }
}
