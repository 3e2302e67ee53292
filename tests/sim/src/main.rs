//! `quilt-sim`: plays scenarios on a simulated network, and judges them.

mod args;
mod progress;

use args::{Args, Command, RunArgs};
use clap::Parser;
use progress::Progress;
use quilt_sim::run::Run;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Args { command } = Args::parse();
    let Command::Run(args) = command;
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("quilt-sim: {why}");
            ExitCode::from(2)
        }
    }
}

/// Plays one run; whether every claimed invariant held.
fn run(args: &RunArgs) -> Result<bool, String> {
    let spec = args.spec()?;
    let mut progress = Progress::new();
    let report = Run::new(spec).play(|at, end, events| progress.show(at, end, events));
    progress.end();
    if !args.json {
        eprint!("{}", quilt_sim::report::Words(&report));
    }
    for violation in &report.violations {
        eprintln!("violated: {violation} (seed {}); replay: {}", report.seed, args.replay());
    }
    println!("{}", serde_json::to_string(&report).map_err(|error| error.to_string())?);
    Ok(report.violations.is_empty())
}
