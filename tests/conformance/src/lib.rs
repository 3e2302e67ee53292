//! One suite for every adapter: what a host does and says must not depend on what moves its bytes.
//!
//! A scenario (in `tests/suite`) is a function of a [`Mix`], which says on which [`Adapter`] each
//! host and the bootstrap service run; [`conformance!`] makes one test of it for each mix. The
//! scenarios state exactly what is told and counted: where two mixes differ, one of them fails.
//!
//! [`Host`] and [`Service`] are blocking faces of an adapter's own types. Each runs in a thread
//! of its own, in the kind of loop that the adapter is made for. [`Group`] has a service and hosts,
//! and proves at the end of a scenario that nothing was lost, seen twice, or changed on its way.

mod group;
mod host;
mod ledger;
mod mio;
mod remote;
mod service;
mod tokio;

pub use group::{Group, harmless, named, options, site};
pub use host::{Host, Sending};
pub use service::Service;

use std::time::{Duration, Instant};

/// How long anything that must happen may take, on a machine that is busy with other things.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// What moves the bytes of a host, or of a bootstrap service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adapter {
    /// `quilt-mio`, as a guest in a loop of the suite's.
    Mio,
    /// `quilt-tokio`.
    Tokio,
}

/// Which adapter everything in a group is on.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// The bootstrap service.
    pub service: Adapter,
    /// The hosts with an even and those with an odd number.
    pub hosts: [Adapter; 2],
}

impl Mix {
    /// All on tokio.
    pub const TOKIO: Self =
        Self { service: Adapter::Tokio, hosts: [Adapter::Tokio, Adapter::Tokio] };

    /// All on mio.
    pub const MIO: Self = Self { service: Adapter::Mio, hosts: [Adapter::Mio, Adapter::Mio] };

    /// In turns, and the first host on tokio.
    pub const MIXED: Self = Self { service: Adapter::Mio, hosts: [Adapter::Tokio, Adapter::Mio] };

    /// In turns, and the first host on mio.
    pub const MIXED_CONVERSELY: Self =
        Self { service: Adapter::Tokio, hosts: [Adapter::Mio, Adapter::Tokio] };

    /// What a host is on.
    pub fn host(self, number: usize) -> Adapter {
        self.hosts[number % 2]
    }
}

/// Makes a module for each of the scenarios, with one test for each mix in it.
#[macro_export]
macro_rules! conformance {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            #[test]
            fn tokio() {
                super::$scenario($crate::Mix::TOKIO);
            }

            #[test]
            fn mio() {
                super::$scenario($crate::Mix::MIO);
            }

            #[test]
            fn mixed() {
                super::$scenario($crate::Mix::MIXED);
            }

            #[test]
            fn mixed_conversely() {
                super::$scenario($crate::Mix::MIXED_CONVERSELY);
            }
        }
    )+};
}

/// Waits for something that nothing announces.
///
/// # Panics
/// It did not happen within [`DEADLINE`].
pub fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !happened() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
