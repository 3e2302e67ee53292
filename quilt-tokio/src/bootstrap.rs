//! The bootstrap service on sockets.

use crate::driver::{Driver, seed};
use crate::sockets::Bound;
use crate::{BindError, BootstrapConfig};
use quilt_proto::Counters;
use std::net::SocketAddr;
use std::sync::Arc;

/// A bootstrap service that runs until it is dropped.
pub struct Bootstrap {
    driver: Arc<Driver<quilt_proto::Bootstrap>>,
    address: SocketAddr,
}

impl Bootstrap {
    /// Serves on `address` by TCP and UDP; port 0 takes any that is free for both.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(address: SocketAddr, config: BootstrapConfig) -> Result<Self, BindError> {
        let bound = Bound::bind(address).await?;
        let address = bound.address;
        let driver = Driver::new(quilt_proto::Bootstrap::new(config, seed()));
        bound.drive(&driver);
        Ok(Self { driver, address })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.driver.peek(|machine| machine.counters().clone())
    }
}

impl Drop for Bootstrap {
    fn drop(&mut self) {
        self.driver.stop();
    }
}
