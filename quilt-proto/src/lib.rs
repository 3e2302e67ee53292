//! The sans-IO core of Quilt.
#![no_std]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test may panic"))]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod counters;
mod event;
mod id;
mod limits;
mod notice;
mod rng;
mod time;

pub mod euid;
pub mod protocol;
pub mod rule;
pub mod wire;

pub mod donet;
pub mod ipmc;
pub mod omni;

pub use counters::{Counter, Counters, Fault};
pub use event::{Action, Event, LinkError, Machine, Transmit};
pub use id::{
    FragmentId, GroupId, HostId, HostTag, Incarnation, LinkId, PatchId, ProtocolId, Seq, Source,
};
pub use limits::Limits;
pub use notice::{
    Body, ChangeCause, EvictCause, GapCause, JoinError, Message, Notice, Place, PublishError,
    RejectCause, Role, Trouble, Unusable,
};
pub use rng::Rng;
pub use time::Time;

mod bootstrap;
mod node;
pub mod policy;

pub use bootstrap::{Bootstrap, BootstrapConfig, GroupView, PatchView};
pub use node::{Config, Group, Node};
pub use policy::Policy;

pub mod memory;
