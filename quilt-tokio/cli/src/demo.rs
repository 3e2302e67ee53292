//! `quilt demo`: a bootstrap service and receivers as processes of their own, and a file for them.

mod crew;
mod site;
mod summary;

use crate::args::DemoArgs;
use crate::graph::{Drawn, Graph};
use crate::output::overwrites;
use crate::screen::Screen;
use crate::send::{CHUNK_BYTES, Input};
use crate::stop::Stop;
use crate::text::{Failure, Line, Standing, count};
use crate::transfer::Digest;
use crew::{Crew, Receiver};
use indicatif::ProgressBar;
use quilt_tokio::{Node, Notice, Options, Url};
use site::Site;
use std::path::PathBuf;
use std::time::Duration;
use summary::Summary;
use tokio::time::Instant;

/// So many representatives a patch needs before sending starts, if it has as many members: the
/// default policy's least number.
const REPRESENTATIVES: usize = 2;

pub(crate) async fn run(args: DemoArgs) -> Result<(), Failure> {
    let mut stop = Stop::listen(false);
    tokio::select! {
        done = play(&args) => done,
        () = stop.wait() => Err(Failure::interrupted()),
    }
}

async fn play(args: &DemoArgs) -> Result<(), Failure> {
    let path = match &args.input {
        Some(path) => path.clone(),
        None => own_path()?,
    };
    let input = Input::open(Some(&path)).await?;
    if let Some(graph) = args.graph.as_ref().filter(|graph| overwrites(graph, &path)) {
        return Err(Failure::same_file(graph, "it is what is to be sent"));
    }
    let mut demo = Demo::start(args, &input).await?;
    while !demo.is_ready() {
        demo.step().await?;
    }
    demo.say_ready();
    let digest = demo.send(input).await?;
    demo.tell(format_args!("all is sent; waiting for the last receivers"));
    while !demo.crew.receivers.iter().all(Receiver::is_done) {
        demo.step().await?;
    }
    demo.finish(digest).await
}

/// This program's own executable.
fn own_path() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::read("this program".as_ref(), &error))
}

/// A demo under way. Its own process is the sender, in the first site.
struct Demo<'a> {
    args: &'a DemoArgs,
    screen: Screen,
    crew: Crew,
    url: Url,
    graph: Option<Graph>,
    sender: Node,
    bars: Vec<(Site, ProgressBar)>,
    deadline: Instant,
    sending_since: Instant,
    length: u64,
}

impl<'a> Demo<'a> {
    async fn start(args: &'a DemoArgs, input: &Input) -> Result<Self, Failure> {
        let screen = Screen::new(args.json, false);
        let deadline = Instant::now() + Duration::from_secs(args.timeout);
        let program = own_path()?;
        // Two demos at once must not meet on one multicast address.
        let group = format!("demo-{}", std::process::id());
        let graph = args.graph.as_deref().map(|file| Graph::new(file, &group)).transpose()?;
        let (crew, url) = Crew::start(&program, &group, args.hosts, args.keep).await?;
        let mut options = Options { create: true, ..Options::default() };
        options.bind = (Site::FIRST.sender_address(), 0).into();
        options.surroundings.topology = Site::FIRST.routers().0;
        let joined = tokio::time::timeout_at(deadline, Node::join(&url, options)).await;
        let sender = match joined {
            Ok(joined) => joined.map_err(|error| Failure::join(&url, &error))?,
            Err(_) => return Err(Failure::demo_timeout("cannot join", args.timeout, "the sender")),
        };
        let length = input.length().unwrap_or(0);
        let bars = Site::all().map(|site| {
            let receivers = crew.receivers.iter().filter(|r| r.site == site).count();
            (site, screen.bar(site.to_string(), Some(length.saturating_mul(receivers as u64))))
        });
        let bars = bars.collect();
        let sending_since = Instant::now();
        let demo =
            Self { args, screen, crew, url, graph, sender, bars, deadline, sending_since, length };
        demo.tell(format_args!(
            "bootstrap service and {} run as processes; join them in another terminal: quilt join \
             {}",
            count(args.hosts.into(), "receiver", "receivers"),
            demo.url
        ));
        Ok(demo)
    }

    /// Waits for the next thing that happens, and takes note of it.
    async fn step(&mut self) -> Result<(), Failure> {
        tokio::select! {
            event = self.crew.next() => {
                let at = event?;
                self.draw(at);
            }
            notice = self.sender.next() => match notice {
                Some(Notice::Evicted { cause }) => return Err(Failure::evicted(&self.url, cause)),
                Some(notice) if !self.args.json => {
                    Line::of(&notice).iter().for_each(|line| self.screen.say(line));
                }
                _ => {}
            },
            () = tokio::time::sleep_until(self.deadline) => return Err(self.too_late()),
        }
        Ok(())
    }

    /// Everybody is in a patch, and every patch has representatives.
    fn is_ready(&self) -> bool {
        self.crew.receivers.iter().all(|receiver| receiver.standing.is_some())
            && summary::patches(&self.standings())
                .iter()
                .all(|patch| patch.representatives >= REPRESENTATIVES.min(patch.members))
    }

    /// Where everybody stands who is in a patch, the sender included.
    fn standings(&self) -> Vec<Standing> {
        let own = self.sender.place().map(|place| Standing::from(&place));
        self.crew.receivers.iter().filter_map(|r| r.standing.clone()).chain(own).collect()
    }

    fn say_ready(&self) {
        for patch in summary::patches(&self.standings()) {
            self.tell(format_args!(
                "patch {} runs {}: {}, of which {}",
                patch.id,
                patch.protocol,
                count(patch.members, "member", "members"),
                count(patch.representatives, "is a representative", "are representatives")
            ));
        }
    }

    async fn send(&mut self, input: Input) -> Result<Digest, Failure> {
        self.sending_since = Instant::now();
        let sender = self.sender.sender();
        let mut publish = std::pin::pin!(input.publish(&sender, CHUNK_BYTES, |_| {}));
        loop {
            tokio::select! {
                sent = &mut publish => {
                    let (length, digest) = sent?;
                    self.length = length;
                    return Ok(digest);
                }
                stepped = self.step() => stepped?,
            }
        }
    }

    async fn finish(mut self, digest: Digest) -> Result<(), Failure> {
        let seconds = self.sending_since.elapsed().as_secs_f64();
        self.bars.iter().for_each(|(_, bar)| bar.finish());
        let wrong = self.crew.receivers.iter().filter(|r| !r.holds(digest)).map(|r| &*r.name);
        let wrong: Vec<&str> = wrong.collect();
        let (ok, wrong) = (wrong.is_empty(), wrong.join(", "));
        let (receivers, standings) = (&self.crew.receivers, self.standings());
        let summary = Summary::new(receivers, &standings, self.length, seconds, ok);
        if !self.args.json {
            self.tell(format_args!("\n{}", summary::table(&self.crew.receivers)));
            self.tell(format_args!("{summary}; sha256 {digest}"));
        }
        if let Some(graph) = &mut self.graph {
            let drawn = graph.finish(&mut self.sender, true).await;
            drawn.into_iter().for_each(|Drawn { line, .. }| self.tell(format_args!("{line}")));
        }
        self.sender.leave().await;
        self.crew.dismiss().await;
        if let Some(folder) = self.args.keep.then(|| self.crew.folder()) {
            self.tell(format_args!("the files: ls {}", folder.display()));
        }
        if self.args.json {
            self.screen.object(&summary);
        }
        if ok { Ok(()) } else { Err(Failure::demo_digest(&wrong)) }
    }

    /// A line for people.
    fn tell(&self, text: std::fmt::Arguments<'_>) {
        if !self.args.json {
            self.screen.tell(text);
        }
    }

    /// Brings the bar of a receiver's site up to date.
    fn draw(&self, receiver: usize) {
        let Some(site) = self.crew.receivers.get(receiver).map(|r| r.site) else { return };
        let received = self.crew.receivers.iter().filter(|r| r.site == site).map(|r| r.received);
        let received = received.sum();
        let bar = self.bars.iter().find(|(of, _)| *of == site);
        bar.iter().for_each(|(_, bar)| bar.set_position(received));
    }

    fn too_late(&self) -> Failure {
        let waiting = self.crew.receivers.iter().filter_map(|r| match &r.standing {
            None => Some(format!("{} to join", r.name)),
            Some(_) if r.is_done() => None,
            Some(standing) => {
                Some(format!("{} ({standing}, {} of {} bytes)", r.name, r.received, self.length))
            }
        });
        let waiting: Vec<String> = waiting.collect();
        Failure::demo_timeout("the demo is not complete", self.args.timeout, &waiting.join(", "))
    }
}
