//! Quilt for tokio: one multicast group over networks that differ.
//!
//! [`Node::join`] takes a host into a group by its [`Url`]; from then on [`Node::send`] publishes
//! to everybody in the group and [`Node::next`] says what happened: messages, gaps, where the host
//! stands and why. A [`Bootstrap`] tells hosts of each other. How a message travels (IP multicast,
//! a mesh, a tree) is decided by what the network between the hosts can do.
//!
//! Two hosts and a message, on a network in memory; [`Node::join`] does the same on real ones:
//!
//! ```
//! use quilt_tokio::{BootstrapConfig, Notice, Options, Url, memory::Network};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let network = Network::new();
//! let bootstrap = network.bootstrap(BootstrapConfig::default());
//! let url = Url::new(bootstrap.local_addr(), "tea")?;
//! let mut alice = network.join(&url, Options::default()).await?;
//! let mut bob = network.join(&url, Options::default()).await?;
//!
//! alice.send("the kettle is on").await?;
//! while let Some(notice) = bob.next().await {
//!     if let Notice::Message(message) = notice {
//!         println!("{}: {:?}", message.source, message.body.into_bytes());
//!         break;
//!     }
//! }
//! alice.leave().await;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/hello.rs` does so in one process, `examples/service.rs` puts a text service of its
//! own in front of a group.
//!
//! This crate is thin. It moves bytes between sockets and the machines of [`quilt_proto`], and
//! holds no policy of its own.

mod bootstrap;
mod datagrams;
mod driver;
mod member;
pub mod memory;
mod node;
mod sense;
mod sockets;
mod stream;

pub use bootstrap::Bootstrap;
pub use node::{Node, Sender};
pub use quilt_proto as proto;
pub use quilt_proto::{
    BootstrapConfig, Counters, Delivery, History, Message, Notice, Place, Priority, PublishError,
    PublishOptions,
};
pub use quilt_sockets::{
    BindError, JoinError, Options, RECEIVE_BUFFER_BYTES, SystemCalls, UnknownInterface, Url,
    UrlError, interface_address, interfaces,
};
pub use sense::{Sensed, sense};

/// The README's example is compiled with the crate's other examples.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
