//! The network that Quilt's core is judged on: hosts, routers, NATs, switches and links in virtual
//! time, under the unchanged machines of [`quilt_proto`].
//!
//! A [`World`](world::World) is made of a [`Topology`](topology::Topology); hosts in it are driven
//! only through the calls that an adapter has. [`run`] plays a whole scenario and judges it:
//!
//! ```
//! use quilt_sim::{population::System, run::Run, run::Spec, topology::Topology};
//!
//! let mut spec = Spec::new("lan", Topology::lan(10)?, System::Quilt);
//! spec.loss = 0.1;
//! let report = Run::new(spec).play(|_, _, _| {});
//! assert_eq!(report.delivery.delivered, report.delivery.expected);
//! assert!(report.violations.is_empty());
//! # Ok::<(), quilt_sim::topology::TopologyError>(())
//! ```
//!
//! # A protocol of your own
//!
//! Implement [`Protocol`](quilt_proto::protocol::Protocol), of which only `on_fragment` must be
//! written, make a [`plugin`](plugin::plugin) of it, and have every patch run it
//! ([`run_in_patches`](population::Population::run_in_patches)). This is `examples/toy.rs`, whole;
//! the container repairs what the flood loses.
//!
//! ```
#![doc = include_str!("../examples/toy.rs")]
//! ```
//!
//! Everything that a run prints, with units, is in the package's README.

pub mod bad;
pub mod check;
mod digest;
pub mod figure;
pub mod host;
pub mod liar;
pub mod measure;
pub mod net;
pub mod novelty;
pub mod optimum;
pub mod packet;
pub mod paper;
pub mod plot;
pub mod plugin;
pub mod population;
pub mod queue;
pub mod report;
pub mod run;
pub mod scenario;
pub mod swarm;
pub mod table;
pub mod tcp;
pub mod topology;
pub mod traffic;
pub mod tree;
pub mod world;
