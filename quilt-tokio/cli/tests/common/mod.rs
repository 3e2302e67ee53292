//! The real program under test: its processes, what they print, and how they end.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(unreachable_pub, reason = "a module of several test programs")]

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Within this everything must have happened.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A running `quilt`; killed when dropped.
pub struct Quilt {
    name: String,
    child: Child,
    lines: Receiver<String>,
    seen: Vec<Value>,
    stderr: Option<JoinHandle<String>>,
}

/// How a process ended.
pub struct End {
    pub status: ExitStatus,
    pub stdout: Vec<String>,
    pub stderr: String,
}

impl Quilt {
    pub fn start<S: AsRef<str>>(args: &[S]) -> Self {
        Self::start_in(args, &std::env::temp_dir())
    }

    /// With a folder of its own for temporary files.
    pub fn start_in<S: AsRef<str>>(args: &[S], folder: &Path) -> Self {
        // Cargo names it for this package's tests; others bring their own command.
        let mut command = Command::new(option_env!("CARGO_BIN_EXE_quilt").unwrap_or("quilt"));
        Self::spawn(command.args(args.iter().map(AsRef::as_ref)).env("TMPDIR", folder))
    }

    /// As the command says.
    pub fn spawn(command: &mut Command) -> Self {
        let name: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
        let name = name.join(" ");
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        Self { name, child, lines, seen: Vec::new(), stderr: Some(stderr) }
    }

    /// A bootstrap service on a free port, and its address.
    pub fn bootstrap(args: &[&str]) -> (Self, String) {
        Self::bootstrap_at("127.0.0.1:0", args)
    }

    pub fn bootstrap_at(listen: &str, args: &[&str]) -> (Self, String) {
        let first = ["bootstrap", "--json", "--listen", listen];
        let mut bootstrap = Self::start(&[&first, args].concat());
        let listening = bootstrap.wait_for("listening");
        let address = listening["address"].as_str().unwrap().to_owned();
        (bootstrap, address)
    }

    /// A receiver that is in the group.
    pub fn join(url: &str, args: &[&str]) -> Self {
        let mut receiver = Self::start(&[&["join", "--json", url], args].concat());
        receiver.wait_for("joined");
        receiver
    }

    /// The next line that has this `event`; earlier ones are kept in [`seen`](Self::seen).
    pub fn wait_for(&mut self, event: &str) -> Value {
        self.wait_until(event, |value| value["event"] == event)
    }

    /// The next line of which `is_it` is true.
    pub fn wait_until(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            let line = match self.lines.recv_timeout(rest) {
                Ok(line) => line,
                Err(error) => self.fail(what, error),
            };
            let value: Value =
                serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            self.seen.push(value.clone());
            if is_it(&value) {
                return value;
            }
        }
    }

    fn fail(&mut self, what: &str, error: RecvTimeoutError) -> ! {
        let _ = self.child.kill();
        let stderr = self.stderr.take().map(|thread| thread.join().unwrap_or_default());
        let last: Vec<_> = self.seen.iter().rev().take(5).collect();
        panic!("{}: no {what} ({error}); last lines {last:?}; stderr {stderr:?}", self.name)
    }

    /// All JSON lines so far that have this `event`.
    pub fn seen(&mut self, event: &str) -> Vec<Value> {
        while let Ok(line) = self.lines.try_recv() {
            self.seen.push(serde_json::from_str(&line).unwrap());
        }
        self.seen.iter().filter(|value| value["event"] == event).cloned().collect()
    }

    /// What it last said of its place in the group; it has joined.
    pub fn place(&mut self) -> Value {
        let joined = self.seen("joined").pop();
        self.seen("patch_changed").pop().or(joined).unwrap()
    }

    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends another signal, by name.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([format!("-{signal}"), pid]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the process to end by itself.
    pub fn end(mut self) -> End {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + DEADLINE;
        let mut stdout: Vec<String> = self.seen.iter().map(Value::to_string).collect();
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => stdout.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(error) => self.fail("end", error),
            }
        }
        let status = self.child.wait().unwrap();
        let stderr = self.stderr.take().unwrap().join().unwrap();
        End { status, stdout, stderr }
    }

    /// Ends the process by SIGTERM; its last line, which has its counters.
    pub fn stop(self) -> Value {
        self.signal("TERM");
        let end = self.end();
        serde_json::from_str(end.stdout.last().unwrap()).unwrap()
    }
}

impl Drop for Quilt {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl End {
    /// The one line that says why it failed.
    pub fn failure(&self) -> &str {
        assert_eq!(self.status.code(), Some(1), "{}", self.stderr);
        let mut lines = self.stderr.lines();
        let (line, rest) = (lines.next().unwrap_or_default(), lines.next());
        assert_eq!(rest, None, "{}", self.stderr);
        line.strip_prefix("quilt: ").unwrap_or_else(|| panic!("{line}"))
    }
}

/// A folder of its own for each test, gone with it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let name = format!("quilt-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn as_path(&self) -> &Path {
        &self.0
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file and gives back its path.
    pub fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Bytes that do not repeat within any chunk.
pub fn noise(len: usize, mut seed: u64) -> Vec<u8> {
    let next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Whether a file has these bytes.
pub fn holds(path: &str, bytes: &[u8]) -> bool {
    fs::read(Path::new(path)).is_ok_and(|found| found == bytes)
}

/// A sender whose input the test holds.
pub struct Feed {
    pub sender: Quilt,
    stdin: ChildStdin,
}

impl Feed {
    pub fn start(url: &str, args: &[&str]) -> Self {
        Self::of(Quilt::start(&[&["send", "--json", url], args].concat()))
    }

    /// By this sender, once it is in the group.
    pub fn of(mut sender: Quilt) -> Self {
        sender.wait_for("joined");
        let stdin = sender.stdin();
        Self { sender, stdin }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stdin.write_all(bytes).unwrap();
        self.stdin.flush().unwrap();
    }

    /// Ends the input, and waits until all of it was published and the sender has left.
    pub fn finish(self) {
        drop(self.stdin);
        let end = self.sender.end();
        assert!(end.status.success(), "{}", end.stderr);
    }
}
