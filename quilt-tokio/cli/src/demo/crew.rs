//! The processes of the demo.

use super::site::Site;
use crate::latency::Latencies;
use crate::text::{Failure, Line, Milliseconds, Standing};
use crate::transfer::Digest;
use quilt_tokio::Url;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// How long processes may take to leave; then they are killed.
const PATIENCE: Duration = Duration::from_secs(8);

/// A receiver as the demo knows it by what its process says.
pub(crate) struct Receiver {
    pub(crate) name: String,
    pub(crate) site: Site,
    pub(crate) standing: Option<Standing>,
    pub(crate) received: u64,
    pub(crate) complete: Option<Complete>,
    /// It will never be whole.
    pub(crate) broken: bool,
    output: PathBuf,
}

/// What a receiver says of a whole transfer.
pub(crate) struct Complete {
    pub(crate) duplicates_percent: f64,
    pub(crate) latency_ms: Milliseconds,
    pub(crate) latencies: Latencies,
}

impl Receiver {
    /// Nothing more is to be waited for.
    pub(crate) fn is_done(&self) -> bool {
        self.is_complete() || self.broken
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.complete.is_some()
    }

    /// Whether the file that it wrote has this digest.
    pub(crate) fn holds(&self, digest: Digest) -> bool {
        fs::File::open(&self.output).and_then(Digest::of).is_ok_and(|found| found == digest)
    }

    fn on_line(&mut self, line: Line) {
        match line {
            Line::Joined { standing, .. } | Line::PatchChanged { standing, .. } => {
                self.standing = Some(standing);
            }
            Line::Progress { bytes, .. } => self.received = bytes,
            Line::Complete { bytes, duplicates_percent, latency_ms, latencies, .. } => {
                self.received = bytes;
                self.complete = Some(Complete { duplicates_percent, latency_ms, latencies });
            }
            Line::Incomplete { .. } => self.broken = true,
            _ => {}
        }
    }
}

/// All processes. They end with the demo, however it ends: their standard input does.
pub(crate) struct Crew {
    pub(crate) receivers: Vec<Receiver>,
    /// In the order of `receivers`, the bootstrap service behind them.
    processes: Vec<Child>,
    lines: mpsc::Receiver<(usize, Option<Line>)>,
    folder: Folder,
}

impl Crew {
    /// Starts the bootstrap service, and `hosts` receivers that join `group` there.
    pub(crate) async fn start(
        program: &Path,
        group: &str,
        hosts: u16,
        keep: bool,
    ) -> Result<(Self, Url), Failure> {
        let folder = Folder::create(keep)?;
        let (sender, lines) = mpsc::channel(64);
        let index = usize::from(hosts);
        let service = ["bootstrap", "--listen", "127.0.0.1:0"].map(String::from);
        let bootstrap = spawn(program, &service, index, &sender)?;
        let mut crew = Self { receivers: Vec::new(), processes: Vec::new(), lines, folder };
        let url = crew.listening(group).await?;
        for host in 0..hosts {
            let (site, number) = Site::of(host);
            let name = format!("{site}-{number:02}");
            let output = crew.folder.path.join(&name);
            let join = [
                "join".into(),
                url.to_string(),
                format!("--bind={}", site.address(number)),
                format!("--routers={}", site.routers_text()),
                format!("--output={}", output.display()),
                "--stay".into(),
            ];
            crew.processes.push(spawn(program, &join, host.into(), &sender)?);
            crew.receivers.push(Receiver {
                name,
                site,
                standing: None,
                received: 0,
                complete: None,
                broken: false,
                output,
            });
        }
        crew.processes.push(bootstrap);
        Ok((crew, url))
    }

    /// Waits for the bootstrap service to say where it listens.
    async fn listening(&mut self, group: &str) -> Result<Url, Failure> {
        let failed = |why: &str| Failure::child("the bootstrap service", why);
        match self.lines.recv().await {
            Some((_, Some(Line::Listening { address, .. }))) => {
                Url::new(address, group).map_err(|error| failed(&error.to_string()))
            }
            _ => Err(failed("it says why above")),
        }
    }

    /// Waits for the next line of a process, takes note of it, and says whose it was.
    pub(crate) async fn next(&mut self) -> Result<usize, Failure> {
        let Some((index, line)) = self.lines.recv().await else {
            return std::future::pending().await;
        };
        let receiver = self.receivers.get_mut(index);
        match (receiver, line) {
            (Some(receiver), Some(line)) => receiver.on_line(line),
            (Some(receiver), None) => {
                return Err(Failure::child(&receiver.name, "it says why above"));
            }
            (None, Some(_)) => {}
            (None, None) => {
                return Err(Failure::child("the bootstrap service", "it says why above"));
            }
        }
        Ok(index)
    }

    /// Has all processes leave, the bootstrap service last.
    pub(crate) async fn dismiss(&mut self) {
        self.lines.close();
        let Some(mut bootstrap) = self.processes.pop() else { return };
        self.processes.iter_mut().for_each(|process| drop(process.stdin.take()));
        let leave = async {
            for process in &mut self.processes {
                let _ = process.wait().await;
            }
            drop(bootstrap.stdin.take());
            let _ = bootstrap.wait().await;
        };
        let _ = tokio::time::timeout(PATIENCE, leave).await;
    }

    /// Where the received files are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder.path
    }
}

fn spawn(
    program: &Path,
    args: &[String],
    index: usize,
    lines: &mpsc::Sender<(usize, Option<Line>)>,
) -> Result<Child, Failure> {
    let mut child = Command::new(program)
        .args(args)
        .args(["--json", "--exit-on-stdin-eof"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Failure::child(&program.display().to_string(), error))?;
    if let Some(stdout) = child.stdout.take() {
        let lines = lines.clone();
        tokio::spawn(async move {
            let mut texts = BufReader::new(stdout).lines();
            while let Ok(Some(text)) = texts.next_line().await {
                // The one line that is none of these says why the process ends; so does its
                // standard error, for people.
                if let Ok(line) = serde_json::from_str(&text) {
                    let _ = lines.send((index, Some(line))).await;
                }
            }
            let _ = lines.send((index, None)).await;
        });
    }
    Ok(child)
}

/// Where the received files go; removed at the end unless it is to be kept.
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn create(keep: bool) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("quilt-demo-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| Failure::write(&path, &error))?;
        Ok(Self { path, keep })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
