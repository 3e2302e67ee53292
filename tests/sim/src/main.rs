//! `quilt-sim`: plays scenarios on a simulated network, and judges them.

mod args;
mod progress;

use args::{Args, Command, Made, OptimumArgs, RunArgs, SwarmArgs, TableArgs, quoted};
use clap::Parser;
use progress::Progress;
use quilt_sim::paper::{News, Outcome, Request, Watch};
use quilt_sim::run::Run;
use quilt_sim::swarm::{Found, MOST_TRIES};
use quilt_sim::{bad, figure, optimum, table};
use std::path::Path;
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
        Command::Table(TableArgs { number, made }) => {
            again(made, &made.request(), |request, watch| table::make(*number, request, watch))
        }
        Command::Figure(args) => again(&args.made, &args.request(), |request, watch| {
            figure::make(args.number, request, watch)
        }),
        Command::Bad(made) => again(made, &made.request(), bad::make),
        Command::Optimum(OptimumArgs { groups, made }) => {
            again(made, &made.request(), |request, watch| optimum::make(*groups, request, watch))
        }
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
    if args.verify {
        progress.runs(2);
        progress.begin("the first time");
    }
    let mut report = Run::new(spec).play(|at, end, events| progress.show(at, end, events));
    if let Some(spec) = again {
        progress.begin("the second time");
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
    make_folder(&args.out)?;
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
    if let Some(found) = &outcome.found {
        let whole = found.write(&args.out, "-whole").map_err(|why| in_folder(&args.out, &why))?;
        eprintln!("seed {} breaks something", found.seed);
        tell(found, &whole);
        let mut progress = Progress::new();
        let small = found.clone().shrink(|tries| {
            progress.show_count("tries at most to make its scenario small", tries, MOST_TRIES);
        });
        progress.end();
        let path = small.write(&args.out, "").map_err(|why| in_folder(&args.out, &why))?;
        eprintln!("made small in {} runs", small.tries);
        tell(&small, &path);
    }
    println!("{outcome}");
    Ok(outcome.found.is_none())
}

/// Says what is broken in a scenario, and how to play it again.
fn tell(found: &Found, path: &Path) {
    found.violations.iter().for_each(|violation| eprintln!("violated: {violation}"));
    eprintln!("replay: quilt-sim run {}", quoted(&path.to_string_lossy()));
}

/// Makes the folder that files will go to, so that it is not missed after hours of runs.
fn make_folder(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder)
        .map_err(|why| format!("--out {}: {why}; name a folder that can be made", folder.display()))
}

fn in_folder(folder: &Path, why: &std::io::Error) -> String {
    format!("{}: {why}", folder.display())
}

/// Makes a table, a figure, or a comparison, prints what can be compared, and writes its files;
/// whether all was as it must be.
fn again(
    args: &Made,
    request: &Request,
    make: impl Fn(&Request, &mut Watch<'_>) -> Result<Outcome, String>,
) -> Result<bool, String> {
    make_folder(&args.out)?;
    let (mut progress, mut wrong) = (Progress::new(), Vec::new());
    let outcome = make(request, &mut |news| match news {
        News::Runs(runs) => progress.runs(runs),
        News::Begins(what) => progress.begin(what),
        News::Progress { at, end, events } => progress.show(at, end, events),
        News::Wrong { seed, what } => wrong.push((seed, what.to_owned())),
    })?;
    progress.end();
    print!("{outcome}");
    for (seed, what) in &wrong {
        eprintln!("{what} (seed {seed}); replay: {}", args.replay(*seed));
    }
    let files = outcome.write(&args.out).map_err(|why| in_folder(&args.out, &why))?;
    files.iter().for_each(|file| eprintln!("wrote {}", file.display()));
    Ok(wrong.is_empty())
}
