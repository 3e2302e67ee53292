//! `quilt-mio`: each host, and the service, as a guest in a poll loop of its own.

use crate::host::{Command, Facts, Outside, View};
use crate::remote::{Remote, Stop};
use crate::service;
use ::mio::{Events, Poll, Token, Waker};
use bytes::Bytes;
use quilt_mio::proto::{GroupView, Seq};
use quilt_mio::{Bootstrap, BootstrapConfig, Guest, JoinError, Node, Notice};
use quilt_mio::{Options, PublishError, Url};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

/// Says that a command has come.
const WAKE: Token = Token(0);
/// The guest's.
const TOKENS: Range<usize> = 1..1_000;

pub(crate) fn host(url: Url, options: Options, outside: Outside) -> Remote<Command> {
    start(move |poll, commands| match Node::join(poll.registry(), TOKENS, &url, options) {
        Ok(node) => Application::new(node, outside).serve(poll, commands),
        Err(error) => drop(outside.started.send(Err(error))),
    })
}

pub(crate) fn service(
    address: SocketAddr,
    config: BootstrapConfig,
    outside: service::Outside,
) -> Remote<service::Command> {
    start(move |poll, commands| match Bootstrap::bind(poll.registry(), TOKENS, address, config) {
        Ok(bootstrap) => {
            let _ = outside.started.send(Ok(bootstrap.local_addr()));
            serve_groups(bootstrap, poll, commands, &outside.groups);
        }
        Err(error) => drop(outside.started.send(Err(error))),
    })
}

fn start<C: Stop + Send + 'static>(
    serve: impl FnOnce(Poll, &Receiver<C>) + Send + 'static,
) -> Remote<C> {
    let poll = Poll::new().expect("the system polls");
    let waker = Waker::new(poll.registry(), WAKE).expect("a poll has room for a waker");
    let (sender, commands) = channel();
    let post = move |command| {
        // The thread may have ended.
        let _ = sender.send(command);
        let _ = waker.wake();
    };
    Remote::start(post, move || serve(poll, &commands))
}

/// Waits until there is something to do, and lets the guest take note of it.
fn wait(poll: &mut Poll, events: &mut Events, guest: &mut impl Guest) {
    let left = guest.deadline().map(|at| at.saturating_duration_since(Instant::now()));
    match poll.poll(events, left) {
        Err(error) if error.kind() == ErrorKind::Interrupted => {}
        polled => polled.expect("the system polls"),
    }
    events.iter().for_each(|event| guest.on_event(event));
}

fn serve_groups(
    mut bootstrap: Bootstrap,
    mut poll: Poll,
    commands: &Receiver<service::Command>,
    groups: &Sender<Vec<GroupView>>,
) {
    let mut events = Events::with_capacity(64);
    let mut seen = bootstrap.changes();
    loop {
        wait(&mut poll, &mut events, &mut bootstrap);
        bootstrap.turn();
        if std::mem::replace(&mut seen, bootstrap.changes()) != bootstrap.changes() {
            let _ = groups.send(bootstrap.groups().collect());
        }
        for command in commands.try_iter() {
            match command {
                service::Command::Counters(answer) => {
                    let _ = answer.send(bootstrap.counters().clone());
                }
                service::Command::Stop => return,
            }
        }
    }
}

/// A host and its application.
struct Application {
    node: Node,
    /// Whoever waits for the join.
    started: Option<Sender<Result<Facts, JoinError>>>,
    notices: Option<Sender<Notice>>,
    reads: bool,
    sending: Option<Sending>,
    leaving: Vec<Sender<()>>,
}

type Sending = (VecDeque<Bytes>, Sender<Result<Seq, PublishError>>);

impl Application {
    fn new(node: Node, outside: Outside) -> Self {
        let (started, notices) = (Some(outside.started), Some(outside.notices));
        Self { node, started, notices, reads: true, sending: None, leaving: Vec::new() }
    }

    fn serve(mut self, mut poll: Poll, commands: &Receiver<Command>) {
        let mut events = Events::with_capacity(64);
        loop {
            wait(&mut poll, &mut events, &mut self.node);
            for command in commands.try_iter() {
                if let Command::Stop = command {
                    return;
                }
                self.on_command(command);
            }
            self.send();
            self.node.turn();
            self.take_notices();
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish(body, options, answer) => {
                let _ = answer.send(self.node.publish_with(body, options));
            }
            Command::Send(bodies, answers) => self.sending = Some((bodies.into(), answers)),
            Command::Read(on) => self.reads = on,
            Command::Freeze(frozen) => drop(frozen.recv()),
            Command::Look(answer) => {
                let (place, counters) = (self.node.place().cloned(), self.node.counters().clone());
                let _ = answer.send(View { place, counters });
            }
            Command::Leave(answer) => {
                self.node.leave();
                self.leaving.push(answer);
            }
            Command::Stop => {}
        }
    }

    /// Publishes what is granted. What is not wakes the loop when it would be.
    fn send(&mut self) {
        let Some((bodies, answers)) = &mut self.sending else { return };
        while let Some(body) = bodies.front() {
            let answer = match self.node.publish(body.clone()) {
                Err(PublishError::WouldBlock) => return,
                answer => answer,
            };
            let failed = answer.is_err();
            bodies.pop_front();
            if answers.send(answer).is_err() || failed {
                break;
            }
        }
        self.sending = None;
    }

    fn take_notices(&mut self) {
        while self.reads || self.started.is_some() || !self.leaving.is_empty() {
            let Some(notice) = self.node.poll_notice() else { break };
            match notice {
                Notice::Joined(_) => self.answer_join(Ok(Facts {
                    id: self.node.host(),
                    address: self.node.local_addr(),
                    receive_buffer_bytes: self.node.receive_buffer_bytes(),
                })),
                Notice::Rejected { cause } => self.answer_join(Err(JoinError::Rejected(cause))),
                Notice::Writable | Notice::Left => {}
                notice if self.leaving.is_empty() => {
                    if let Some(notices) = &self.notices {
                        let _ = notices.send(notice);
                    }
                }
                _ => {}
            }
        }
        if self.node.is_over() {
            self.notices = None;
            if self.node.is_written() {
                for answer in self.leaving.drain(..) {
                    let _ = answer.send(());
                }
            }
        }
    }

    fn answer_join(&mut self, answer: Result<Facts, JoinError>) {
        let started = self.started.take().expect("a join ends once");
        let _ = started.send(answer);
    }
}
