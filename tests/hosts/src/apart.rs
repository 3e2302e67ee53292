//! The test program's own namespaces.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getegid, geteuid};
use std::fs;
use std::io;
use std::process::{Command, ExitCode};

/// The environment variable that tells the program that it runs in the namespaces. Without it, it
/// starts itself again in new ones.
pub const INSIDE: &str = "QUILT_HOSTS_INSIDE";
/// The DNS server of every node: nobody has the address (RFC 5737).
pub const RESOLVER: &str = "192.0.2.53";
/// The folder for temporary files there.
const TEMPORARY: &str = "/run/tmp";

/// Runs `tests` in namespaces of their own, of networks, mounts and processes; call it first in
/// `main`, before any thread. Nothing of them outlives this process: when it dies, by whatever
/// signal, the kernel kills everything in its process namespace, and with the last process the
/// networks and mounts go. Temporary files lie in memory and go as well.
///
/// Without root it takes a user namespace. Where that is forbidden too, it says so and fails.
///
/// `prepare` runs outside and before that, where there is a network; without its success there are
/// no tests.
pub fn apart(
    prepare: impl FnOnce() -> Result<(), String>,
    tests: impl FnOnce() -> ExitCode,
) -> ExitCode {
    let inside = std::env::var_os(INSIDE).is_some();
    if !inside && let Err(error) = prepare() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let done = if inside { settle().map(|()| tests()) } else { go_inside() };
    done.unwrap_or_else(|error| {
        eprintln!(
            "tests/hosts needs root, or user namespaces: {error}\n\
             run with sudo: sudo -E env \"PATH=$PATH\" cargo test -p quilt-hosts"
        );
        ExitCode::FAILURE
    })
}

/// Starts this program again, as the first process of the new namespaces, and waits for it.
fn go_inside() -> io::Result<ExitCode> {
    let (user, group) = (geteuid(), getegid());
    let mut apart = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNET;
    if !user.is_root() {
        apart |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(apart)?;
    if !user.is_root() {
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
        fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
    }
    let mut inside = Command::new(std::env::current_exe()?);
    inside.args(std::env::args_os().skip(1)).env(INSIDE, "1").env("TMPDIR", TEMPORARY);
    let status = inside.status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the first process owes: to die with the one that waits for it, and mounts of its own.
fn settle() -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    let (none, nothing) = (None::<&str>, MsFlags::empty());
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(Some("proc"), "/proc", Some("proc"), nothing, none)?;
    // `ip netns` keeps its names here; those of the system are neither seen nor touched.
    mount(Some("tmpfs"), "/run", Some("tmpfs"), nothing, none)?;
    fs::create_dir(TEMPORARY)?;
    // Programs that ask for the system's DNS server shall not depend on what this system has.
    fs::write("/run/resolv.conf", format!("nameserver {RESOLVER}\n"))?;
    mount(Some("/run/resolv.conf"), "/etc/resolv.conf", none, MsFlags::MS_BIND, none)
        .map_err(Into::into)
}
