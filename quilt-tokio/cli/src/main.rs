//! The program `quilt`: a bootstrap service, receivers, senders, and all of them in one demo.

mod args;
mod bootstrap;
mod demo;
mod graph;
mod join;
mod latency;
mod output;
mod probe;
mod screen;
mod send;
mod stop;
mod text;
mod transfer;

use args::{Args, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Args { command } = Args::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return text::Failure::no_runtime(&error).report(false),
    };
    let json = command.json();
    let done = runtime.block_on(async {
        match command {
            Command::Bootstrap(args) => bootstrap::run(args).await,
            Command::Join(args) => join::run(args).await,
            Command::Send(args) => send::run(args).await,
            Command::Probe(args) => probe::run(args).await,
            Command::Demo(args) => demo::run(args).await,
        }
    });
    // A read of standard input may still be blocking a thread.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}
