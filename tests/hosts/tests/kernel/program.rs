//! The real program in nodes.

#[path = "../../../../quilt-tokio/cli/tests/common/mod.rs"]
mod common;

pub(crate) use common::{DEADLINE, Feed, Folder, Quilt, holds, noise};

use quilt_hosts::Node;
use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Builds the program, so that it is there and of today, as cargo does it for tests that lie beside
/// it. It lands beside the tests.
pub(crate) fn build() -> Result<(), String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "-p", "quilt", "--manifest-path"]);
    cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    match cargo.status() {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("{cargo:?}: {other:?}")),
    }
}

/// Starts the program in a node.
pub(crate) fn start<S: AsRef<str> + Sync>(node: &Node, args: &[S]) -> Quilt {
    node.enter(|| {
        let mut program = Command::new(path());
        Quilt::spawn(program.args(args.iter().map(AsRef::as_ref)))
    })
}

/// Two folders above the test program, which lies in `target/PROFILE/deps`.
fn path() -> PathBuf {
    let tests = env::current_exe().unwrap();
    tests.ancestors().nth(2).unwrap().join("quilt")
}
