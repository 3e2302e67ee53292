//! The place in which Quilt's rigs stand: one site on loopback.

use crate::RECEIVERS;
use quilt_sockets::Options;
use quilt_tokio::proto::euid::RouterId;
use quilt_tokio::proto::protocol::Registry;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// What runs in the site's patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// IP multicast.
    Ipmc,
    /// The DONet mesh over TCP.
    Donet,
}

impl Protocol {
    /// Its name as Quilt says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ipmc => "ipmc",
            Self::Donet => "donet",
        }
    }
}

/// The options of the `number`th host of a site; the publisher is number 0.
pub fn options(protocol: Protocol, number: usize) -> Options {
    let number = u8::try_from(number).expect("few hosts");
    let mut options = Options {
        bind: ([127, 44, 0, number + 1], 0).into(),
        // As fast as the means allows: what is measured is not the wish.
        publish_bytes_per_second: 10_000_000_000,
        registry: Registry::standard(),
        ..Options::default()
    };
    let multicast = protocol == Protocol::Ipmc;
    options.surroundings.topology.insert(RouterId::named("bench"), 1, multicast);
    options
}

/// A name that no other group of this machine has.
pub fn group_name() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    format!("bench-{}-{}", std::process::id(), LAST.fetch_add(1, Relaxed))
}

/// How many hosts a site has, the publisher among them.
pub const HOSTS: usize = RECEIVERS + 1;
