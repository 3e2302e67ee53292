//! The core of Quilt: multicast over networks that differ, as pure state machines.
//!
//! One publisher, or a few, and very many receivers: some have IP multicast, some sit behind NATs,
//! some lose packets, some are far away. Quilt puts hosts with alike surroundings into *patches*,
//! runs in each patch the protocol that suits it best, and sews the patches together with a tree
//! of low latency. It follows the paper "Quilt: A Patchwork of Multicast Regions" (DEBS 2010).
//!
//! Nothing here opens a socket, reads a clock or draws a random number of its own. A [`Node`] is a
//! host, a [`Bootstrap`] the service that tells hosts of each other; both are a [`Machine`]: it is
//! handed an [`Event`] with the time, and asked for what follows. Adapters do the rest
//! (`quilt-tokio` and `quilt-mio` are two, `examples/by_hand.rs` writes the least of one out);
//! [`memory`] has a network in memory:
//!
//! ```
//! use quilt_proto::memory::Network;
//! use quilt_proto::{Bootstrap, BootstrapConfig, Config, Group, GroupId, HostId, Incarnation};
//! use quilt_proto::{Node, Notice};
//! use std::{net::SocketAddr, time::Duration};
//!
//! let mut network = Network::new(1);
//! let service: SocketAddr = "10.0.0.1:7400".parse()?;
//! network.add_bootstrap(service, Bootstrap::new(BootstrapConfig::default(), 1));
//!
//! let [ann, bob] = [2, 3].map(|n| {
//!     let address = SocketAddr::from(([10, 0, 0, n], 7400));
//!     let config = Config::new(HostId([n; 32]), Incarnation(1), address);
//!     let host = network.add_node(address, Node::new(config, n.into()));
//!     let news = Group::new("news", service);
//!     network.call(host, |node, now| node.join(now, news)).expect("its first group");
//!     host
//! });
//! network.run_for(Duration::from_secs(2));
//!
//! let news = GroupId::named("news");
//! network.call(ann, |node, now| node.publish(now, news, "hello".into()))?;
//! network.run_for(Duration::from_secs(1));
//!
//! let told = network.take_notices(bob);
//! let Some((_, Notice::Message(message))) = told.last() else { panic!("{told:?}") };
//! assert_eq!(message.body.clone().into_bytes(), "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test may panic"))]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod bootstrap;
mod chunks;
mod counters;
mod delivery;
mod event;
mod id;
mod limits;
mod node;
mod notice;
mod rng;
mod surroundings;
mod time;
mod usage;

pub mod contract;
pub mod donet;
pub mod euid;
pub mod ipmc;
pub mod memory;
pub mod omni;
pub mod policy;
pub mod protocol;
pub mod rule;
pub mod survey;
pub mod wire;

pub use bootstrap::{Bootstrap, BootstrapConfig, GroupView, PatchView};
pub use chunks::Chunks;
pub use counters::{Counter, Counters, Fault};
pub use delivery::{Delivery, History, Priority, PublishOptions, UnknownDelivery};
pub use event::{Action, Event, LinkError, Machine, Transmit};
pub use id::{
    FragmentId, GroupId, HostId, HostTag, Incarnation, LinkId, PatchId, ProtocolId, Seq, Source,
};
pub use limits::Limits;
pub use node::{Config, Group, Node, RelayDigest, RelaySync, Sensing};
pub use notice::{
    ChangeCause, EvictCause, GapCause, JoinError, Message, Notice, Place, PublishError,
    RejectCause, Role, Trouble, Unusable,
};
pub use policy::Policy;
pub use rng::Rng;
pub use surroundings::Surroundings;
pub use time::Time;
pub use usage::{Standing, Usage};
