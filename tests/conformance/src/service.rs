//! A bootstrap service, whatever moves its bytes.

use crate::remote::{Remote, Stop};
use crate::{Adapter, DEADLINE, mio, tokio};
use quilt_tokio::proto::GroupView;
use quilt_tokio::{BindError, BootstrapConfig, Counters};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

/// What a service's loop is told.
pub(crate) enum Command {
    Counters(Sender<Counters>),
    Stop,
}

impl Stop for Command {
    const STOP: Self = Self::Stop;
}

/// What a service's loop tells.
pub(crate) struct Outside {
    /// Where it listens, or why it does not; once.
    pub(crate) started: Sender<Result<SocketAddr, BindError>>,
    /// The groups, whenever they may have changed.
    pub(crate) groups: Sender<Vec<GroupView>>,
}

/// A bootstrap service that runs until it is dropped.
pub struct Service {
    remote: Remote<Command>,
    address: SocketAddr,
    groups: Receiver<Vec<GroupView>>,
    latest: Vec<GroupView>,
}

impl Service {
    /// Serves on `address`.
    ///
    /// # Errors
    /// As the adapter says.
    pub fn bind(
        adapter: Adapter,
        address: SocketAddr,
        config: BootstrapConfig,
    ) -> Result<Self, BindError> {
        let (started, starting) = channel();
        let (sender, groups) = channel();
        let outside = Outside { started, groups: sender };
        let remote = match adapter {
            Adapter::Mio => mio::service(address, config, outside),
            Adapter::Tokio => tokio::service(address, config, outside),
        };
        let address = starting.recv_timeout(DEADLINE).expect("an answer to bind")?;
        Ok(Self { remote, address, groups, latest: Vec::new() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        let (sender, receiver) = channel();
        self.remote.post(Command::Counters(sender));
        receiver.recv_timeout(DEADLINE).expect("the service runs")
    }

    /// Waits until its one group has so many hosts; there is no group without one.
    pub fn wait_for_hosts(&mut self, hosts: usize) {
        self.wait_until("such a group", |groups| match groups {
            [] => hosts == 0,
            [group] => group.hosts == hosts,
            _ => false,
        });
    }

    /// Waits until the groups are as they should be.
    pub fn wait_until(&mut self, what: &str, is_so: impl Fn(&[GroupView]) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !is_so(&self.latest) {
            let left = deadline.saturating_duration_since(Instant::now());
            let groups = self.groups.recv_timeout(left);
            self.latest = groups.unwrap_or_else(|_| panic!("no {what}: {:?}", self.latest));
        }
    }
}
