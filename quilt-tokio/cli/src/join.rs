//! `quilt join`.

use crate::args::{self, JoinArgs};
use crate::graph::{Drawn, Graph};
use crate::output::{Output, Sink, overwrites};
use crate::screen::{Pace, Screen};
use crate::stop::Stop;
use crate::text::{Failure, Line, duplicates_percent};
use crate::transfer::{Digest, Flaw, Incoming, Part, unix_nanos};
use indicatif::ProgressBar;
use quilt_tokio::proto::Source;
use quilt_tokio::{Counters, Message, Node, Notice};
use std::collections::BTreeMap;

/// The most transfers that are received at once.
const MAX_TRANSFERS: usize = 64;

pub(crate) async fn run(args: JoinArgs) -> Result<(), Failure> {
    let mut stop = Stop::listen(args.parent.exit_on_stdin_eof);
    let url = args::url(&args.url)?;
    let json = args.host.json;
    if let (Some(graph), Some(output)) = (&args.graph, &args.output)
        && (overwrites(graph, output) || overwrites(output, graph))
    {
        return Err(Failure::same_file(graph, "it is to hold what arrives"));
    }
    let output = Output::new(args.output.as_deref(), json)?;
    let mut graph = args.graph.as_deref().map(|file| Graph::new(file, url.group())).transpose()?;
    let screen = Screen::new(json, matches!(output, Output::Stdout { .. }));
    let mut options = args.host.options(true)?;
    options.history = args.history.0;
    let mut node = Node::join(&url, options).await.map_err(|error| Failure::join(&url, &error))?;
    screen.say(&Line::joined(&url, &node));

    let until_first = args.once || (args.output.is_some() && !args.stay);
    let mut receiver = Receiver { screen, output, transfers: BTreeMap::new(), complete: 0 };
    while !(until_first && receiver.complete > 0) {
        tokio::select! {
            notice = node.next() => match notice {
                Some(Notice::Evicted { cause }) => return Err(Failure::evicted(&url, cause)),
                Some(Notice::Surveyed(survey)) => {
                    let drawn = graph.as_mut().and_then(|graph| graph.on_survey(&survey));
                    receiver.tell(drawn);
                }
                Some(notice) => receiver.on_notice(notice, &node)?,
                None => break,
            },
            // It is answered by a notice; one that is put out gets that one instead.
            () = Graph::due(&mut graph) => drop(node.survey()),
            () = stop.wait() => break,
        }
    }
    if let Some(graph) = &mut graph {
        let drawn = graph.finish(&mut node, false).await;
        receiver.tell(drawn);
    }
    node.leave().await;
    receiver.screen.say(&Line::left(&url, &node.counters()));
    match receiver.complete {
        0 if until_first => Err(Failure::nothing_complete(&url)),
        _ => Ok(()),
    }
}

/// All transfers that are under way, by source.
struct Receiver {
    screen: Screen,
    output: Output,
    transfers: BTreeMap<Source, Transfer>,
    complete: u64,
}

enum Transfer {
    Running(Box<Running>),
    /// It cannot be whole: its beginning was missed, or something in it.
    Skipped,
}

struct Running {
    incoming: Incoming,
    sink: Sink,
    bar: ProgressBar,
    pace: Pace,
}

impl Receiver {
    fn on_notice(&mut self, notice: Notice, node: &Node) -> Result<(), Failure> {
        Line::of(&notice).iter().for_each(|line| self.screen.say(line));
        match notice {
            Notice::Message(Message { source, body, .. }) => {
                let message = body.into_bytes();
                let bytes = message.len() as u64;
                match Part::decode(message) {
                    Some(part) => return self.on_part(source, part, node),
                    None => self.screen.say(&Line::Foreign { source: source.to_string(), bytes }),
                }
            }
            Notice::Gap { source, .. } => {
                self.cut(source);
            }
            _ => {}
        }
        Ok(())
    }

    fn tell(&self, drawn: Option<Drawn>) {
        match drawn {
            Some(Drawn { line, news: true }) => self.screen.say(&line),
            Some(Drawn { line, .. }) => self.screen.progress(&line),
            None => {}
        }
    }

    fn on_part(&mut self, source: Source, part: Part, node: &Node) -> Result<(), Failure> {
        match part {
            Part::Start { name, length } => return self.start(source, name, length),
            Part::Chunk { offset, sent_at, bytes } => {
                let now = unix_nanos();
                match self.transfers.get_mut(&source) {
                    Some(Transfer::Running(running)) => {
                        let Running { incoming, sink, bar, pace } = &mut **running;
                        if let Err(flaw) = incoming.on_chunk(now, offset, sent_at, &bytes) {
                            self.give_up(source, flaw);
                            return Ok(());
                        }
                        sink.write(&bytes)?;
                        bar.set_position(incoming.received);
                        if pace.is_due() {
                            let (bytes, length) = (incoming.received, incoming.length);
                            let source = source.to_string();
                            self.screen.progress(&Line::Progress { source, bytes, length });
                        }
                    }
                    Some(Transfer::Skipped) => {}
                    None => self.skip(source, "its beginning was missed", "wait for the next one"),
                }
            }
            Part::End { length, digest } => {
                return self.end(source, length, digest, &node.counters());
            }
        }
        Ok(())
    }

    fn start(&mut self, source: Source, name: String, length: Option<u64>) -> Result<(), Failure> {
        self.cut(source);
        self.transfers.remove(&source);
        if self.transfers.len() >= MAX_TRANSFERS {
            // Of those that will not become whole nothing is lost.
            self.transfers.retain(|_, transfer| matches!(transfer, Transfer::Running(_)));
        }
        let sink = match self.transfers.len() < MAX_TRANSFERS {
            true => self.output.open(&source.to_string())?,
            false => None,
        };
        let Some(sink) = sink else {
            self.skip(source, "others are under way", "receive several with --output FILE --stay");
            return Ok(());
        };
        let bar = self.screen.bar(format!("receiving {name}"), length);
        let incoming = Incoming::new(name.clone(), length);
        let running = Running { incoming, sink, bar, pace: Pace::default() };
        self.transfers.insert(source, Transfer::Running(running.into()));
        self.screen.say(&Line::Started { source: source.to_string(), name, length });
        Ok(())
    }

    fn end(
        &mut self,
        source: Source,
        length: u64,
        digest: Digest,
        counters: &Counters,
    ) -> Result<(), Failure> {
        if let Some(Transfer::Running(running)) = self.transfers.get(&source)
            && let Err(flaw) = running.incoming.verify(length, digest)
        {
            self.give_up(source, flaw);
        }
        let Some(Transfer::Running(running)) = self.transfers.remove(&source) else {
            return Ok(());
        };
        let Running { incoming, sink, bar, .. } = *running;
        bar.finish_and_clear();
        let output = self.output.keep(sink)?;
        self.complete += 1;
        self.screen.say(&Line::Complete {
            source: source.to_string(),
            name: incoming.name,
            bytes: incoming.received,
            seconds: incoming.started.elapsed().as_secs_f64(),
            digest: digest.to_string(),
            output,
            duplicates_percent: duplicates_percent(counters),
            latency_ms: (&incoming.latencies).into(),
            latencies: incoming.latencies,
        });
        Ok(())
    }

    /// What is still to come of a transfer does not come.
    fn cut(&mut self, source: Source) {
        if let Some(Transfer::Running(running)) = self.transfers.get(&source) {
            let at = running.incoming.received;
            self.give_up(source, Flaw::Hole { at });
        }
    }

    /// Ends a transfer that cannot become whole; the rest of it is skipped in silence.
    fn give_up(&mut self, source: Source, flaw: Flaw) {
        let before = self.transfers.insert(source, Transfer::Skipped);
        if let Some(Transfer::Running(running)) = before {
            let Running { incoming, sink, bar, .. } = *running;
            bar.finish_and_clear();
            self.output.discard(sink);
            let (name, bytes) = (incoming.name, incoming.received);
            let (source, why) = (source.to_string(), flaw.to_string());
            self.screen.say(&Line::Incomplete { source, name, bytes, why });
        }
    }

    fn skip(&mut self, source: Source, why: &str, cure: &str) {
        self.transfers.insert(source, Transfer::Skipped);
        let (source, why, cure) = (source.to_string(), why.into(), cure.into());
        self.screen.say(&Line::Skipped { source, why, cure });
    }
}
