//! The command line.

mod run;

pub(crate) use run::RunArgs;

use clap::{Parser, Subcommand};
use quilt_sim::paper::Request;
use quilt_sim::swarm::{MOST_HOSTS, MOST_JOBS, Swarm};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;

/// A packet-level network that runs Quilt's core unchanged.
#[derive(Debug, Parser)]
#[command(name = "quilt-sim", version, after_help = "Try it with: quilt-sim run lan")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Plays a scenario; the last line is one JSON object.
    Run(RunArgs),
    /// Plays a scenario drawn from each of many seeds, up to the first that breaks something.
    Swarm(SwarmArgs),
    /// Makes a table of the paper again (3 or 4), beside the paper's values.
    Table(TableArgs),
    /// Makes a figure of the paper again (8 to 15), beside the paper's values.
    Figure(FigureArgs),
    /// Shows what honest hosts get among bad ones.
    Bad(Made),
    /// Holds OMNI's trees beside the best ones there are.
    Optimum(OptimumArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct SwarmArgs {
    /// The seeds, the second one excluded.
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Range<u64>,
    /// The most hosts of a scenario.
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(8..=MOST_HOSTS as i64))]
    hosts: u32,
    /// How many runs at once; by default one for each processor.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_JOBS as i64))]
    jobs: Option<u16>,
    /// The folder for the scenario that breaks something.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
}

impl SwarmArgs {
    pub(crate) fn swarm(&self) -> Swarm {
        let processors = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let jobs = self.jobs.map_or_else(processors, usize::from);
        Swarm { seeds: self.seeds.clone(), hosts: self.hosts as usize, jobs }
    }
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("write A..B, as in 0..100")?;
    let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is not a number"));
    let range = number(from)?..number(to)?;
    if range.is_empty() { Err("there is no seed in it".into()) } else { Ok(range) }
}

#[derive(Debug, clap::Args)]
pub(crate) struct TableArgs {
    /// Its number in the paper.
    #[arg(value_parser = clap::value_parser!(u8).range(3..=4))]
    pub(crate) number: u8,
    #[command(flatten)]
    pub(crate) made: Made,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FigureArgs {
    /// Its number in the paper.
    #[arg(value_parser = clap::value_parser!(u8).range(8..=15))]
    pub(crate) number: u8,
    #[command(flatten)]
    pub(crate) made: Made,
    /// The paper's rates also in figures 10 and 11, which takes hours.
    #[arg(long)]
    full: bool,
}

impl FigureArgs {
    pub(crate) fn request(&self) -> Request {
        Request { full: self.full, ..self.made.request() }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct OptimumArgs {
    /// How many small groups, for each degree.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) groups: u64,
    #[command(flatten)]
    pub(crate) made: Made,
}

/// How something is made out of many runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Made {
    /// The folder that the files go to.
    #[arg(long, value_name = "DIR", default_value = "figures")]
    pub(crate) out: PathBuf,
    /// Show the mean of so many runs, with the seeds from --seed on. The paper made 10.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    runs: u64,
    /// The seed of the first run.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many hosts, on data centres and on the Internet; by default as many as in the paper, and
    /// for bad 60.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    hosts: Option<u32>,
}

impl Made {
    pub(crate) fn request(&self) -> Request {
        let command = format!("quilt-sim {}", words_without(&["--out"]));
        let &Self { runs, seed, .. } = self;
        let hosts = self.hosts.map(|hosts| hosts as usize);
        Request { runs, seed, hosts, full: false, command }
    }

    /// The command that makes the same of the run of one seed, elsewhere.
    pub(crate) fn replay(&self, seed: u64) -> String {
        let words = words_without(&["--out", "--seed", "--runs", "--groups"]);
        let groups = if words.starts_with("optimum") { " --groups 1" } else { "" };
        format!("quilt-sim {words}{groups} --seed {seed} --runs 1 --out replay")
    }
}

/// The words of the command line as a shell reads them, without these options and their values.
fn words_without(options: &[&str]) -> String {
    let mut kept = Vec::new();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or_default();
        if !options.contains(&name) {
            kept.push(quoted(&word));
        } else if name == word {
            words.next();
        }
    }
    kept.join(" ")
}

/// A word as a shell reads it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |char: char| char.is_alphanumeric() || "-_./=@,:+%".contains(char);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
