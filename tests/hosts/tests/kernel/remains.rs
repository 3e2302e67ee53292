//! Nothing of the tests outlives them, however they end.

use crate::trial;
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use quilt_hosts::{INSIDE, Node, apart};
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Has this program hold a node, with a process that has the value for an argument, for ever.
const HOLD: &str = "QUILT_HOSTS_HOLD";
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(10);

pub(crate) fn trials() -> Vec<Trial> {
    let signals = [Signal::SIGTERM, Signal::SIGKILL];
    let trials = signals.map(|signal| {
        trial(format!("remains::nothing is left after {signal}"), move || nothing(signal))
    });
    trials.into()
}

/// Holds a node, if it is for that that this program was started.
pub(crate) fn hold() -> Option<ExitCode> {
    let argument = env::var(HOLD).ok()?;
    Some(apart(
        || Ok(()),
        || {
            let node = Node::new("held");
            let mut held = node.spawn(Command::new("sleep").arg(argument)).unwrap();
            println!("held");
            held.wait().unwrap();
            ExitCode::FAILURE
        },
    ))
}

fn nothing(signal: Signal) {
    // So many seconds that nobody else sleeps for them.
    let argument = format!("{}.0625", 86_000 + signal as i32);
    let mut holder = Command::new(env::current_exe().unwrap());
    holder.env_remove(INSIDE).env(HOLD, &argument).stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let mut said = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "held\n");
    await_sleepers(&argument, 1);

    kill(Pid::from_raw(holder.id() as i32), signal).unwrap();
    assert!(!holder.wait().unwrap().success());
    await_sleepers(&argument, 0);
}

fn await_sleepers(argument: &str, wanted: usize) {
    let end = Instant::now() + PATIENCE;
    while sleepers(argument) != wanted {
        assert!(Instant::now() < end, "there are {}, and not {wanted}", sleepers(argument));
        sleep(LOOK);
    }
}

/// How many processes in here, and in namespaces below, sleep for that long.
fn sleepers(argument: &str) -> usize {
    let command = format!("sleep\0{argument}\0");
    let processes = fs::read_dir("/proc").unwrap().map_while(Result::ok);
    let commands = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    commands.filter(|found| *found == command.as_bytes()).count()
}
