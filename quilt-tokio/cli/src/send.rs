//! `quilt send`.

use crate::args::{self, SendArgs};
use crate::screen::{Pace, Screen};
use crate::stop::Stop;
use crate::text::{Failure, Line};
use crate::transfer::{Digest, Outgoing, Part};
use bytes::BufMut;
use quilt_tokio::{Node, Notice, PublishOptions, Sender, Url};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The bytes of the file in each message, by default.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;
/// The most that can be asked for; what a message may have besides is the core's to say.
const MAX_CHUNK_BYTES: usize = 1 << 30;

pub(crate) async fn run(args: SendArgs) -> Result<(), Failure> {
    let mut stop = Stop::listen(false);
    let url = args::url(&args.url)?;
    if !(1..=MAX_CHUNK_BYTES).contains(&args.chunk) {
        return Err(Failure::chunk_size(args.chunk));
    }
    let input = Input::open(args.input.as_deref()).await?;
    let screen = Screen::new(args.host.json, false);
    let options = args.host.options(false)?;
    let mut node = Node::join(&url, options).await.map_err(|error| Failure::join(&url, &error))?;
    screen.say(&Line::joined(&url, &node));

    let started = Instant::now();
    let bar = screen.bar(format!("sending {}", input.name), input.length);
    let (mut pace, length, host) = (Pace::default(), input.length, node.host().to_string());
    let on_progress = |bytes| {
        bar.set_position(bytes);
        if pace.is_due() {
            screen.progress(&Line::Progress { source: host.clone(), bytes, length });
        }
    };
    let sender = node.sender();
    let (bytes, digest) = tokio::select! {
        sent = input.publish(&sender, args.chunk, on_progress) => sent?,
        failure = watch(&mut node, &url, &screen) => return Err(failure),
        () = stop.wait() => return Err(Failure::interrupted()),
    };
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    node.leave().await;
    let digest = digest.to_string();
    screen.say(&Line::Sent { url: url.to_string(), bytes, seconds, digest });
    screen.say(&Line::left(&url, &node.counters()));
    Ok(())
}

/// Says what happens in the group, until it puts this host out.
async fn watch(node: &mut Node, url: &Url, screen: &Screen) -> Failure {
    while let Some(notice) = node.next().await {
        match notice {
            Notice::Evicted { cause } => return Failure::evicted(url, cause),
            // What others send is not for this command.
            Notice::Message(_) | Notice::Gap { .. } | Notice::Lagged { .. } => {}
            other => Line::of(&other).iter().for_each(|line| screen.say(line)),
        }
    }
    Failure::interrupted()
}

/// What is to be sent.
pub(crate) struct Input {
    path: PathBuf,
    name: String,
    length: Option<u64>,
    from: Box<dyn AsyncRead + Unpin + Send>,
}

impl Input {
    /// Opens a file, or standard input.
    pub(crate) async fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            let (path, from) = ("standard input".into(), Box::new(tokio::io::stdin()));
            return Ok(Self { path, name: "standard input".into(), length: None, from });
        };
        let failed = |error| Failure::read(path, &error);
        let file = File::open(path).await.map_err(failed)?;
        let metadata = file.metadata().await.map_err(failed)?;
        if metadata.is_dir() {
            return Err(Failure::read(path, &std::io::ErrorKind::IsADirectory.into()));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let length = metadata.is_file().then_some(metadata.len());
        Ok(Self { path: path.into(), name, length, from: Box::new(file) })
    }

    /// Its bytes, if they are known beforehand.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Publishes it in chunks; gives back its length and digest.
    pub(crate) async fn publish(
        mut self,
        sender: &Sender,
        chunk_bytes: usize,
        mut on_progress: impl FnMut(u64),
    ) -> Result<(u64, Digest), Failure> {
        let start = Part::Start { name: self.name.clone(), length: self.length };
        // Who comes late can have the whole transfer.
        let options = PublishOptions { mark: true, ..PublishOptions::default() };
        sender.send_with(start.encode(), options).await.map_err(Failure::publish)?;
        let mut outgoing = Outgoing::default();
        loop {
            let mut message = Outgoing::room(chunk_bytes);
            let room = message.len();
            // A pipe gives little at once; a chunk is filled all the same.
            let mut rest = (&mut message).limit(chunk_bytes);
            while rest.has_remaining_mut() {
                let read = self.from.read_buf(&mut rest).await;
                if read.map_err(|error| Failure::read(&self.path, &error))? == 0 {
                    break;
                }
            }
            if message.len() == room {
                break;
            }
            sender.send(outgoing.chunk(message)).await.map_err(Failure::publish)?;
            on_progress(outgoing.length());
        }
        let length = outgoing.length();
        let (end, digest) = outgoing.end();
        sender.send(end).await.map_err(Failure::publish)?;
        Ok((length, digest))
    }
}
