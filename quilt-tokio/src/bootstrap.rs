//! The bootstrap service on sockets.

use crate::driver::Driver;
use crate::sockets::Sockets;
use crate::{BindError, BootstrapConfig, SystemCalls};
use quilt_proto::{Action, Counters, Event, GroupView, LinkId, Machine, Time, Transmit};
use quilt_sockets::{Listening, seed};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Notify;

/// A bootstrap service that runs until it is dropped.
pub struct Bootstrap {
    driver: Arc<Driver<Service>>,
    changed: Arc<Notify>,
    address: SocketAddr,
}

impl Bootstrap {
    /// Serves on `address` by TCP and UDP; port 0 takes any that is free for both. By UDP it serves on
    /// another port too, and on the other address that `config` names, if it does.
    ///
    /// # Errors
    /// One of the addresses cannot be listened on.
    pub async fn bind(address: SocketAddr, mut config: BootstrapConfig) -> Result<Self, BindError> {
        let listening = Listening::bind_service(address, &mut config)?;
        let address = listening.address;
        let bootstrap = Self::new(config, address);
        Sockets::drive(listening, &bootstrap.driver)
            .map_err(|source| BindError { address, source })?;
        Ok(bootstrap)
    }

    /// A service that has nothing under it yet.
    pub(crate) fn new(config: BootstrapConfig, address: SocketAddr) -> Self {
        let machine = quilt_proto::Bootstrap::new(config, seed());
        let changed = Arc::new(Notify::new());
        let service = Service { seen: machine.changes(), machine, changed: changed.clone() };
        Self { driver: Driver::new(service), changed, address }
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// All groups that have a member, with their patches.
    pub fn groups(&self) -> Vec<GroupView> {
        self.driver.peek(|service| service.machine.groups().collect())
    }

    /// Waits until [`groups`](Self::groups) may have changed since the last call.
    pub async fn changed(&mut self) {
        self.changed.notified().await;
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.driver.peek(|service| service.machine.counters().clone())
    }

    /// The system calls that moved packets so far.
    pub fn system_calls(&self) -> SystemCalls {
        self.driver.calls().snapshot()
    }

    pub(crate) fn driver(&self) -> &Arc<Driver<Service>> {
        &self.driver
    }
}

impl Drop for Bootstrap {
    fn drop(&mut self) {
        self.driver.stop();
    }
}

/// The service's machine, which says when it has changed.
pub(crate) struct Service {
    machine: quilt_proto::Bootstrap,
    seen: u64,
    changed: Arc<Notify>,
}

impl Machine for Service {
    fn accept(&mut self, now: Time, from: SocketAddr) -> Option<LinkId> {
        self.machine.accept(now, from)
    }

    fn handle(&mut self, now: Time, event: Event) {
        self.machine.handle(now, event);
        let changes = self.machine.changes();
        if std::mem::replace(&mut self.seen, changes) != changes {
            self.changed.notify_one();
        }
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.machine.poll_action()
    }

    fn poll_transmit(&mut self, link: LinkId) -> Option<Transmit> {
        self.machine.poll_transmit(link)
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.machine.poll_timeout()
    }
}
