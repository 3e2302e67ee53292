//! How far a long run is, or the runs of many.

use quilt_proto::Time;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line changes.
const PAUSE: Duration = Duration::from_millis(250);

/// A line on standard error that says how far a run is; only where somebody looks.
pub(crate) struct Progress {
    /// When the first run began, and the one that is under way.
    started: Instant,
    began: Instant,
    last: Instant,
    shows: bool,
    /// Whether there is a line that has not ended.
    shown: bool,
    /// How many runs there are, how many have begun, and what is under way.
    runs: u64,
    nth: u64,
    what: String,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            began: now,
            last: now,
            shows: std::io::stderr().is_terminal(),
            shown: false,
            runs: 1,
            nth: 1,
            what: String::new(),
        }
    }

    /// There will be so many runs, each of which [begins](Progress::begin).
    pub(crate) fn runs(&mut self, runs: u64) {
        (self.runs, self.nth) = (runs, 0);
    }

    /// The next one of them begins, on a line of its own.
    pub(crate) fn begin(&mut self, what: &str) {
        self.end();
        self.what = what.into();
        (self.nth, self.began) = (self.nth + 1, Instant::now());
    }

    /// How many of many short runs are done.
    pub(crate) fn show_count(&mut self, what: &str, done: u64, all: u64) {
        if self.is_due() {
            let left = left(self.started.elapsed(), done as f64, all as f64);
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

    /// How far the run under way is.
    pub(crate) fn show(&mut self, at: Time, end: Time, events: u64) {
        if self.is_due() {
            let (began, started) = (self.began.elapsed(), self.started.elapsed());
            eprint!("\r{}   ", self.text(at, end, events, began, started));
            let _ = std::io::stderr().flush();
        }
    }

    /// The line, so long after the run under way and after the first one began.
    fn text(&self, at: Time, end: Time, events: u64, began: Duration, started: Duration) -> String {
        let (done, whole) = (at.as_nanos() as f64 / 1e9, end.as_nanos() as f64 / 1e9);
        let rate = events as f64 / began.as_secs_f64();
        let this = left(began, done, whole);
        let far =
            format!("{done:.1} of {whole:.1} virtual s, {rate:.0} events/s, {this:.0} s left");
        if self.runs == 1 {
            return far;
        }
        let Self { runs, nth, what, .. } = self;
        // Those that are over count whole, and the others as if each took as long.
        let over = nth.saturating_sub(1) as f64 + (done / whole).clamp(0.0, 1.0);
        let all = left(started, over, *runs as f64);
        format!("run {nth} of {runs}, {what}: {far}, some {all:.0} s of all")
    }

    pub(crate) fn end(&mut self) {
        if self.shown {
            eprintln!();
        }
        self.shown = false;
    }
}

/// The seconds left if it goes on as fast.
fn left(wall: Duration, done: f64, whole: f64) -> f64 {
    if done > 0.0 { wall.as_secs_f64() * (whole - done).max(0.0) / done } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_many_says_which_it_is_and_how_long_all_of_them_take() {
        let mut progress = Progress::new();
        let (at, end) = (Time::from_millis(2_000), Time::from_millis(8_000));
        let seconds = Duration::from_secs;
        let alone = "2.0 of 8.0 virtual s, 500 events/s, 6 s left";
        assert_eq!(progress.text(at, end, 1_000, seconds(2), seconds(2)), alone);
        progress.runs(3);
        ["a", "b"].iter().for_each(|what| progress.begin(what));
        let text = progress.text(at, end, 1_000, seconds(2), seconds(10));
        assert_eq!(text, format!("run 2 of 3, b: {alone}, some 14 s of all"));
    }
}
