//! What the kernels between hosts really do, and what the real program makes of it.

mod figure_seven;
mod lines;
mod long_way;
mod matrix;
mod nats;
mod probe;
mod program;
mod remains;
mod silence;
mod ways;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(held) = remains::hold() {
        return held;
    }
    quilt_hosts::apart(program::build, || {
        let trials = [
            lines::trials(),
            nats::trials(),
            figure_seven::trials(),
            long_way::trials(),
            matrix::trials(),
            probe::trials(),
            silence::trials(),
            remains::trials(),
        ];
        let trials = trials.into_iter().flatten().collect();
        libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
    })
}

/// A test under its module's name; it fails by a panic.
fn trial(name: impl Into<String>, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, || {
        test();
        Ok(())
    })
}

/// What a test has to tell, printed in one piece when it ends, also where it fails.
struct Told(String);

impl Told {
    fn new(title: &str) -> Self {
        Self(format!("{title}\n"))
    }

    fn line(&mut self, line: &str) {
        self.0 += line;
        self.0 += "\n";
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        print!("{}", self.0);
    }
}
