//! Quilt for tokio: one multicast group over networks that differ.
//!
//! [`Node::join`] takes a host into a group by its [`Url`]; from then on [`Node::send`] publishes
//! to everybody in the group and [`Node::next`] says what happened: messages, gaps, where the host
//! stands and why. A [`Bootstrap`] tells hosts of each other. How a message travels (IP multicast,
//! a mesh, a tree) is decided by what the network between the hosts can do.
//!
//! This crate is thin. It moves bytes between sockets and the machines of [`quilt_proto`], and
//! holds no policy of its own.
#![doc = "\n"]
mod bootstrap;
mod driver;
mod error;
pub mod memory;
mod multicast;
mod node;
mod sockets;
mod stream;
mod url;

pub use bootstrap::Bootstrap;
pub use error::{BindError, JoinError};
pub use node::{Node, Options, Sender};
pub use quilt_proto as proto;
pub use quilt_proto::{BootstrapConfig, Counters, Message, Notice, Place, PublishError};
pub use url::{Url, UrlError};
