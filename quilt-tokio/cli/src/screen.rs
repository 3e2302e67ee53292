//! Where lines and progress go.

use crate::text::Line;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;
use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, Instant};

const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// What people or machines see of a running command.
pub(crate) struct Screen {
    json: bool,
    /// Lines for people go to standard error, since standard output carries the payload.
    payload: bool,
    bars: MultiProgress,
}

impl Screen {
    pub(crate) fn new(json: bool, payload: bool) -> Self {
        Self { json, payload, bars: MultiProgress::new() }
    }

    /// Prints a line, above the progress bars. A reader that went away is no reason to fail.
    pub(crate) fn say(&self, line: &Line) {
        match self.json {
            true => self.object(line),
            false => self.tell(format_args!("{line}")),
        }
    }

    /// Prints a line for people.
    pub(crate) fn tell(&self, text: fmt::Arguments<'_>) {
        let _ = self.bars.suspend(|| match self.payload {
            true => writeln!(io::stderr(), "{text}"),
            false => writeln!(io::stdout(), "{text}"),
        });
    }

    /// Prints an object for machines.
    pub(crate) fn object(&self, object: &impl Serialize) {
        let text = serde_json::to_string(object).unwrap_or_default();
        let _ = writeln!(io::stdout(), "{text}");
    }

    /// Progress is a line for machines only; people have the bar.
    pub(crate) fn progress(&self, line: &Line) {
        if self.json {
            self.say(line);
        }
    }

    /// A bar for `total` bytes, or without an end if unknown. It is drawn only on a terminal, and
    /// not beside JSON.
    pub(crate) fn bar(&self, label: String, total: Option<u64>) -> ProgressBar {
        if self.json {
            return ProgressBar::hidden();
        }
        let bar = self.bars.add(ProgressBar::no_length());
        let (style, spinner) = (
            "{prefix:<24} [{bar:32}] {bytes:>10} / {total_bytes:<10} {bytes_per_sec} {msg}",
            "{prefix:<24} {spinner} {bytes:>10} {bytes_per_sec} {msg}",
        );
        let template = if total.is_some() { style } else { spinner };
        bar.set_style(
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> "),
        );
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_prefix(label);
        bar
    }
}

/// Says when the next line of progress is due: four a second.
#[derive(Default)]
pub(crate) struct Pace(Option<Instant>);

impl Pace {
    pub(crate) fn is_due(&mut self) -> bool {
        let due = self.0.is_none_or(|last| last.elapsed() >= PROGRESS_EVERY);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}
