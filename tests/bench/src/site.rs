//! The place in which Quilt's rigs stand: one site on loopback.

use crate::RECEIVERS;
use quilt_sockets::Options;
use quilt_tokio::proto::euid::RouterId;
use quilt_tokio::proto::ipmc::Ipmc;
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
        registry: registry(),
        ..Options::default()
    };
    let multicast = protocol == Protocol::Ipmc;
    options.surroundings.topology.insert(RouterId::named("bench"), 1, multicast);
    options
}

/// All protocols. What multicast may send at most is what `QUILT_BENCH_CEILING` says, in megabytes a
/// second, as an operator would set it; without it, the default.
fn registry() -> Registry {
    let ceiling = std::env::var("QUILT_BENCH_CEILING").ok();
    let ceiling = ceiling.map(|text| text.parse::<u64>().expect("a number of megabytes"));
    let mut ipmc = Ipmc::default();
    ipmc.bytes_per_second = ceiling.map_or(ipmc.bytes_per_second, |mb| mb * 1_000_000);
    Registry::standard().with(ipmc)
}

/// A name that no other group of this machine has.
pub fn group_name() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    format!("bench-{}-{}", std::process::id(), LAST.fetch_add(1, Relaxed))
}

/// How many hosts a site has, the publisher among them.
pub const HOSTS: usize = RECEIVERS + 1;
