//! Hosts and routers: network namespaces.

use crate::system::{ip, run};
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A host, or a router: a kernel's network stack of its own. It goes when the last of its clones is
/// dropped; processes and sockets in it keep the stack until they go as well.
#[derive(Clone, Debug)]
pub struct Node(Arc<Namespace>);

#[derive(Debug)]
struct Namespace {
    name: String,
    file: File,
}

impl Node {
    /// A stack with nothing but the loopback interface, which is up. Others may have the same name.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn new(name: &str) -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let name = format!("{name}.{}", LAST.fetch_add(1, Ordering::Relaxed));
        ip(None, &format!("netns add {name}"));
        let path = Path::new("/run/netns").join(&name);
        let file = File::open(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let node = Self(Arc::new(Namespace { name, file }));
        node.ip("link set lo up");
        node
    }

    /// A router: it forwards packets.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn router(name: &str) -> Self {
        let node = Self::new(name);
        node.set("net.ipv4.ip_forward", "1");
        node
    }

    /// The namespace's name for `ip -n`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Runs lines of `ip -batch` in it.
    ///
    /// # Panics
    /// One of them fails.
    pub fn ip(&self, lines: &str) {
        ip(Some(self.name()), lines);
    }

    /// Loads rules of `nft` in it, all of them or none.
    ///
    /// # Panics
    /// It does not take them.
    pub fn nft(&self, rules: &str) {
        self.enter(|| run(Command::new("nft").args(["-f", "-"]), rules));
    }

    /// Sets one of its kernel's parameters, by the name that `sysctl` has for it.
    ///
    /// # Panics
    /// There is no such parameter, or it does not take the value.
    pub fn set(&self, parameter: &str, value: &str) {
        let path = format!("/proc/sys/{}", parameter.replace('.', "/"));
        let written = self.enter(|| std::fs::write(&path, value));
        written.unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// A UDP socket in it.
    ///
    /// # Errors
    /// The kernel refuses the address.
    pub fn udp(&self, address: &str) -> io::Result<UdpSocket> {
        self.enter(|| UdpSocket::bind(address))
    }

    /// Starts a process in it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        self.enter(|| command.spawn())
    }

    /// Does something in it. Sockets, threads and processes that are made there stay in it.
    ///
    /// # Panics
    /// It does.
    pub fn enter<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        // The namespace is the thread's, not the process's, so each visit has its own thread.
        let visit = || {
            setns(&self.0.file, CloneFlags::CLONE_NEWNET)
                .unwrap_or_else(|error| panic!("{}: {error}", self.name()));
            what()
        };
        let done = std::thread::scope(|scope| scope.spawn(visit).join());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A test that fails already must not abort here; what stays goes with the program.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// Joins two nodes by a cable, under names that their interfaces get; both are up afterwards.
///
/// # Panics
/// An interface of that name is there already.
pub fn cable((a, a_interface): (&Node, &str), (b, b_interface): (&Node, &str)) {
    let other = format!("peer name {b_interface} netns {}", b.name());
    a.ip(&format!("link add {a_interface} type veth {other}\nlink set {a_interface} up"));
    b.ip(&format!("link set {b_interface} up"));
}
