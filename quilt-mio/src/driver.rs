//! Drives one machine: readiness and the clock in, actions out.

use crate::datagrams::Datagrams;
use crate::probe::Probe;
use crate::slots::{Slot, Slots, Socket};
use crate::stream::Stream;
use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use quilt_proto::{Action, Event, LinkError, LinkId, Machine, Time};
use quilt_sockets::{ACCEPT_PAUSE, Calls, Clock, Listening, Membership, dial, link_error};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::time::Instant;

/// Actions carried out in one turn. What is left over has a deadline of now.
const ACTIONS_PER_TURN: usize = 1_024;
/// Links served in one turn, each with one read and some writes.
const LINKS_PER_TURN: usize = 64;
/// Streams taken in at once.
const ACCEPTS_PER_TURN: usize = 16;

/// A machine and its sockets.
#[derive(Debug)]
pub(crate) struct Driver<M> {
    pub(crate) machine: M,
    clock: Clock,
    calls: Calls,
    slots: Slots,
    listener: TcpListener,
    listener_token: Token,
    /// When to take streams in; an event says so, or a pause is over.
    accept_at: Option<Time>,
}

impl<M: Machine> Driver<M> {
    /// Registers the sockets that a host listens on: the listener under the first token.
    ///
    /// # Errors
    /// The system refuses, or there are too few tokens.
    pub(crate) fn new(
        machine: M,
        listening: Listening,
        registry: &Registry,
        tokens: Range<usize>,
    ) -> io::Result<Self> {
        let mut listener = TcpListener::from_std(listening.tcp);
        let listener_token = Token(tokens.start);
        registry.register(&mut listener, listener_token, Interest::READABLE)?;
        let mut slots =
            Slots::new(registry.try_clone()?, tokens.start.saturating_add(1)..tokens.end);
        let sockets = std::iter::once((LinkId::UDP, listening.udp)).chain(listening.others);
        for (link, socket) in sockets {
            slots.insert(link, Socket::Datagrams(Datagrams::new(socket, None)?.into()))?;
        }
        let (clock, calls, accept_at) = (Clock::start(), Calls::default(), None);
        Ok(Self { machine, clock, calls, slots, listener, listener_token, accept_at })
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    pub(crate) fn on_event(&mut self, event: &mio::event::Event) {
        match event.token() == self.listener_token {
            true => self.accept_at = Some(Time::ZERO),
            false => self.slots.on_event(event),
        }
    }

    pub(crate) fn turn(&mut self) {
        let now = self.clock.now();
        let due = |at: Option<Time>| at.is_some_and(|at| at <= now);
        if due(self.accept_at) {
            self.accept();
        }
        if due(self.machine.poll_timeout()) {
            self.machine.handle(now, Event::Timeout);
        }
        let mut budget = ACTIONS_PER_TURN;
        self.act(&mut budget);
        for _ in 0..self.slots.count_ready().min(LINKS_PER_TURN) {
            self.serve_next(&mut budget);
            self.act(&mut budget);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let ready = (self.slots.count_ready() > 0).then_some(Time::ZERO);
        let deadlines = [ready, self.machine.poll_timeout(), self.accept_at];
        self.clock.instant(deadlines.into_iter().flatten().min()?)
    }

    /// Whether everything that the machine has said is written.
    pub(crate) fn is_written(&self) -> bool {
        self.slots.are_idle()
    }

    /// Enters what the machine wants done because of a call between two turns.
    pub(crate) fn called(&mut self) {
        self.act(&mut { ACTIONS_PER_TURN });
    }

    /// Carries out what the machine wants done, as far as `budget` goes.
    fn act(&mut self, budget: &mut usize) {
        while *budget > 0 {
            let Some(action) = self.machine.poll_action() else { break };
            *budget -= 1;
            match action {
                Action::Dial { link, to, from } => {
                    self.open(link, || {
                        Ok(Socket::Stream(Stream::dialling(dial(to, from)?).into()))
                    });
                }
                Action::JoinMulticast { link, address, interface, ttl } => {
                    let membership = Membership { address, interface, ttl };
                    let join = || Datagrams::new(membership.join()?, Some(address));
                    if self.open(link, || Ok(Socket::Datagrams(join()?.into()))) {
                        self.machine.handle(self.clock.now(), Event::Opened { link });
                    }
                }
                Action::Probe { link, by, to, ttl, from } => {
                    self.open(link, || Ok(Socket::Probe(Probe::send(by, to, ttl, from)?.into())));
                }
                Action::Close { link } => {
                    self.slots.close(link);
                }
                Action::Look { link } => self.slots.look(link),
            }
        }
    }

    /// Opens a socket for a link; if that fails, tells the machine.
    fn open(&mut self, link: LinkId, open: impl FnOnce() -> io::Result<Socket>) -> bool {
        let opened = open().and_then(|socket| self.slots.insert(link, socket));
        if let Err(error) = &opened {
            self.closed(link, link_error(error));
        }
        opened.is_ok()
    }

    /// Lets the next link that can get on do so.
    fn serve_next(&mut self, budget: &mut usize) {
        let (machine, now, calls) = (&mut self.machine, self.clock.now(), &self.calls);
        let served = self.slots.serve_next(|Slot { link, socket, ready, .. }| match socket {
            Socket::Stream(stream) => stream.serve(ready, (*link, machine, now), calls),
            Socket::Datagrams(datagrams) => {
                datagrams.serve(ready, (*link, machine, now), calls);
                Ok(())
            }
            Socket::Probe(probe) => probe.serve(ready, (*link, machine, now)),
        });
        if let Some((link, Err(cause))) = served {
            // The machine may have closed it over what was read last.
            self.act(budget);
            if self.slots.close(link) {
                self.closed(link, cause);
            }
        }
    }

    fn closed(&mut self, link: LinkId, cause: LinkError) {
        self.machine.handle(self.clock.now(), Event::Closed { link, cause });
    }

    /// Takes streams in; those for which the machine has no room are closed at once.
    fn accept(&mut self) {
        let now = self.clock.now();
        for _ in 0..ACCEPTS_PER_TURN {
            match self.listener.accept() {
                Ok((stream, from)) => {
                    if let Some(link) = self.machine.accept(now, from) {
                        self.open(link, || Ok(Socket::Stream(Stream::accepted(stream).into())));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.accept_at = None;
                    return;
                }
                Err(_) => {
                    self.accept_at = Some(now + ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
