//! A swarm: a scenario drawn from each seed, in which much goes wrong; then everything that can be
//! mended is, and the hosts that are left must be one group again (after VOPR, the simulator of
//! TigerBeetle).

mod draw;
mod shrink;
mod tally;

pub use draw::scenario;
pub use shrink::MOST_TRIES;
pub use tally::{KINDS, Tally};

use crate::report::Report;
use crate::run::Run;
use crate::scenario::Scenario;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The most hosts of a scenario: with a half more the longest workload that is drawn, some 7,200 messages,
/// would be beyond [`MAX_DELIVERIES`](crate::scenario::MAX_DELIVERIES).
pub const MOST_HOSTS: usize = 10_000;
/// The most runs at once: beyond what any machine has processors for.
pub const MOST_JOBS: usize = 1_024;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// The seeds.
    pub seeds: Range<u64>,
    /// The most hosts of a scenario, 8 to [`MOST_HOSTS`].
    pub hosts: usize,
    /// How many runs there are at once, 1 to [`MOST_JOBS`].
    pub jobs: usize,
}

/// A seed in which something was broken.
#[derive(Clone, Debug)]
pub struct Found {
    /// Which.
    pub seed: u64,
    /// Its scenario.
    pub scenario: Scenario,
    /// What is broken there.
    pub violations: Vec<String>,
    /// How many runs were made to find a smaller scenario, at most [`MOST_TRIES`].
    pub tries: u64,
}

impl Found {
    /// The least of the scenario in which the same invariant is broken, at the price of many runs;
    /// `progress` is told how many they are so far.
    pub fn shrink(self, progress: impl FnMut(u64)) -> Self {
        shrink::shrink(self, |scenario| play(scenario).violations, progress)
    }

    /// Writes the scenario into a folder, as `swarm-SEED` with `more` and `.json`; to which file.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn write(&self, folder: &Path, more: &str) -> io::Result<PathBuf> {
        let path = folder.join(format!("swarm-{}{more}.json", self.seed));
        std::fs::write(&path, serde_json::to_string_pretty(&self.scenario)?)?;
        Ok(path)
    }
}

/// What came of a swarm.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How many runs were whole.
    pub runs: u64,
    /// Packets that came to hosts, in all of them.
    pub events: u64,
    /// The virtual time of all of them.
    pub virtual_time: Duration,
    /// How long it took.
    pub wall: Duration,
    /// What happened how often.
    pub tally: Tally,
    /// The first seed in which something was broken.
    pub found: Option<Found>,
}

impl Swarm {
    /// Runs all seeds, up to the first one in which a claimed invariant is broken. `progress` is told how many runs are whole.
    pub fn run(&self, progress: impl Fn(u64) + Sync) -> Outcome {
        let started = Instant::now();
        let next = AtomicU64::new(self.seeds.start);
        let stop = AtomicBool::new(false);
        let outcome = Mutex::new(Outcome::default());
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.clamp(1, MOST_JOBS) {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        // Never beyond the end, which may be the last number there is.
                        let one_more = |seed| (seed < self.seeds.end).then(|| seed + 1);
                        let taken =
                            next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
                        let Ok(seed) = taken else { return };
                        let scenario = scenario(seed, self.hosts);
                        let report = play(&scenario);
                        let mut outcome =
                            outcome.lock().unwrap_or_else(|poison| poison.into_inner());
                        outcome.count(&scenario, &report);
                        progress(outcome.runs);
                        let earlier = outcome.found.as_ref().is_none_or(|found| seed < found.seed);
                        if !report.violations.is_empty() && earlier {
                            stop.store(true, Ordering::Relaxed);
                            let violations = report.violations;
                            outcome.found = Some(Found { seed, scenario, violations, tries: 0 });
                        }
                    }
                });
            }
        });
        let mut outcome = outcome.into_inner().unwrap_or_else(|poison| poison.into_inner());
        outcome.wall = started.elapsed();
        outcome
    }
}

impl Outcome {
    fn count(&mut self, scenario: &Scenario, report: &Report) {
        self.runs += 1;
        self.events += report.simulator.events;
        self.virtual_time += draw::length(scenario);
        self.tally.add(scenario, report);
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, events, tally, .. } = self;
        let hours = self.virtual_time.as_secs_f64() / 3_600.0;
        let broken = self.found.iter().count();
        let (kinds, pairs) = (tally.kinds(), KINDS.len() * (KINDS.len() - 1) / 2);
        let seen = pairs - tally.unseen().len();
        write!(
            f,
            "{runs} seeds, {broken} broken; {events} packets and {hours:.1} hours of virtual time in \
             {:.0} s; {kinds} of {} kinds of faults, {seen} of {pairs} pairs of them together",
            self.wall.as_secs_f64(),
            KINDS.len(),
        )
    }
}

/// Plays a scenario that was drawn.
fn play(scenario: &Scenario) -> Report {
    let spec = scenario.clone().spec(Path::new("."), None).expect("a drawn scenario is sound");
    Run::new(spec).play(|_, _, _| {})
}

#[cfg(test)]
mod tests;
