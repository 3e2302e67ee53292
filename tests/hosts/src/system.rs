//! The commands that build networks.

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a command to its end with `input`.
///
/// # Panics
/// It cannot be run, or fails; the message has what it said.
pub(crate) fn run(command: &mut Command, input: &str) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!("{command:?}: {error}; tests/hosts/setup installs what is needed"),
    };
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output();
    let said = output.map(|output| {
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    });
    match (written, said) {
        (Some(Ok(())), Ok((true, _))) => {}
        (written, said) => panic!("{command:?} < {input:?}: {written:?}, {said:?}"),
    }
}

/// Runs lines of `ip` in one go, in the namespace that has this name, or in the caller's.
///
/// # Panics
/// One of them fails.
pub(crate) fn ip(namespace: Option<&str>, lines: &str) {
    let mut command = Command::new("ip");
    if let Some(namespace) = namespace {
        command.args(["-n", namespace]);
    }
    run(command.args(["-batch", "-"]), lines);
}
