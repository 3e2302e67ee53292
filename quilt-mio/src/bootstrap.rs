//! The bootstrap service.

use crate::driver::Driver;
use crate::{BindError, BootstrapConfig, Guest, SystemCalls};
use mio::Registry;
use mio::event::Event;
use quilt_proto::{Counters, GroupView};
use quilt_sockets::{Listening, seed};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

/// A bootstrap service, as a [`Guest`] in a poll loop, until it is dropped.
#[derive(Debug)]
pub struct Bootstrap {
    driver: Driver<quilt_proto::Bootstrap>,
    address: SocketAddr,
}

impl Bootstrap {
    /// Serves on `address` by TCP and UDP, with its sources in `registry` under tokens of
    /// `tokens`: one for each stream, at most [`Limits::links`](quilt_proto::Limits::links), four for
    /// itself, and up to 256 for streams to hosts that ask whether they can be reached. Port 0 takes any that is free for both. By UDP it serves on another port too, and on
    /// the other address that `config` names, if it does.
    ///
    /// # Errors
    /// One of the addresses cannot be listened on. Nothing is left open.
    pub fn bind(
        registry: &Registry,
        tokens: Range<usize>,
        address: SocketAddr,
        mut config: BootstrapConfig,
    ) -> Result<Self, BindError> {
        let listening = Listening::bind_service(address, &mut config)?;
        let address = listening.address;
        let machine = quilt_proto::Bootstrap::new(config, seed());
        let driver = Driver::new(machine, listening, registry, tokens);
        Ok(Self { driver: driver.map_err(|source| BindError { address, source })?, address })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// All groups that have a member, with their patches.
    pub fn groups(&self) -> impl Iterator<Item = GroupView> {
        self.driver.machine.groups()
    }

    /// Counts what changes: while it stays the same, so does [`groups`](Self::groups).
    pub fn changes(&self) -> u64 {
        self.driver.machine.changes()
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        self.driver.machine.counters()
    }

    /// The system calls that moved packets so far.
    pub fn system_calls(&self) -> SystemCalls {
        self.driver.calls().snapshot()
    }
}

impl Guest for Bootstrap {
    fn on_event(&mut self, event: &Event) {
        self.driver.on_event(event);
    }

    fn turn(&mut self) {
        self.driver.turn();
    }

    fn deadline(&self) -> Option<Instant> {
        self.driver.deadline()
    }
}
