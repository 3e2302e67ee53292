//! `quilt-sim`: plays scenarios on a simulated network, and judges them.

mod args;
mod progress;

use args::{Args, Command, Made, RunArgs, SwarmArgs};
use clap::Parser;
use progress::Progress;
use quilt_sim::paper::{News, Outcome, Request, Watch};
use quilt_sim::run::Run;
use quilt_sim::{bad, figure, optimum, table};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// Machines and packets are many small pieces that come and go.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Args { command } = Args::parse();
    let done = match &command {
        Command::Run(args) => run(args),
        Command::Swarm(args) => swarm(args),
        Command::Table(args) => again(&args.made, |r, w| table::make(args.number, r, w)),
        Command::Figure(args) => again(&args.made, |r, w| figure::make(args.number, r, w)),
        Command::Bad(args) => again(&args.made, bad::make),
        Command::Optimum(args) => again(&args.made, |r, w| optimum::make(args.groups, r, w)),
    };
    match done {
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
    let again = args.verify.then(|| spec.clone());
    let mut report = Run::new(spec).play(|at, end, events| progress.show(at, end, events));
    if let Some(spec) = again {
        report.verify(&Run::new(spec).play(|at, end, events| progress.show(at, end, events)));
    }
    progress.end();
    if !args.json {
        eprint!("{}", quilt_sim::report::Words(&report));
    }
    for violation in &report.violations {
        eprintln!(
            "violated: {violation} (seed {}); replay: {}",
            report.seed,
            args.replay(report.seed)
        );
    }
    println!("{}", serde_json::to_string(&report).map_err(|error| error.to_string())?);
    Ok(report.violations.is_empty())
}

/// Plays many seeds; whether every claimed invariant held in all of them.
fn swarm(args: &SwarmArgs) -> Result<bool, String> {
    let swarm = args.swarm();
    let progress = Mutex::new(Progress::new());
    let all = swarm.seeds.end - swarm.seeds.start;
    let outcome = swarm.run(|runs| {
        progress.lock().unwrap_or_else(PoisonError::into_inner).show_count("seeds", runs, all);
    });
    progress.into_inner().unwrap_or_else(PoisonError::into_inner).end();
    for (a, b) in outcome.tally.unseen().iter().take(3) {
        eprintln!("never in one run: {a} and {b}");
    }
    if let Some(found) = outcome.found.clone() {
        eprintln!("seed {} breaks something; now its scenario is made small", found.seed);
        let found = found.shrink();
        let path = args.out.join(format!("swarm-{}.json", found.seed));
        let text = serde_json::to_string_pretty(&found.scenario).map_err(|why| why.to_string())?;
        std::fs::write(&path, text).map_err(|why| format!("{}: {why}", path.display()))?;
        let (seed, tries) = (found.seed, found.tries);
        found.violations.iter().for_each(|violation| eprintln!("violated: {violation}"));
        eprintln!(
            "seed {seed}, made small in {tries} runs; replay: quilt-sim run {}",
            path.display()
        );
    }
    println!("{outcome}");
    Ok(outcome.found.is_none())
}

/// Makes a table, a figure, or a comparison, prints what can be compared, and writes its files;
/// whether all was as it must be.
fn again(
    args: &Made,
    make: impl Fn(&Request, &mut Watch<'_>) -> Result<Outcome, String>,
) -> Result<bool, String> {
    let (mut progress, mut wrong) = (Progress::new(), Vec::new());
    let outcome = make(&args.request(), &mut |news| match news {
        News::Progress { what, at, end, events } => {
            progress.show_one_of_many(what, at, end, events);
        }
        News::Wrong { seed, what } => wrong.push((seed, what.to_owned())),
    })?;
    progress.end();
    print!("{outcome}");
    for (seed, what) in &wrong {
        eprintln!("{what} (seed {seed}); replay: {}", args.replay(*seed));
    }
    let files = outcome.write(&args.out);
    let files = files.map_err(|error| format!("{}: {error}", args.out.display()))?;
    files.iter().for_each(|file| eprintln!("wrote {}", file.display()));
    Ok(wrong.is_empty())
}
