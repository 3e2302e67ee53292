//! The network that Quilt's core is judged on: hosts, routers, NATs, switches and links in virtual
//! time, under the unchanged machines of [`quilt_proto`].
//!
//! A [`World`](world::World) is made of a [`Topology`](topology::Topology); hosts in it are driven
//! only through the calls that an adapter has. [`run`] plays a whole scenario and judges it.

pub mod check;
pub mod figure;
pub mod host;
pub mod measure;
pub mod net;
pub mod packet;
pub mod paper;
pub mod plot;
pub mod population;
pub mod queue;
pub mod report;
pub mod run;
pub mod table;
pub mod tcp;
pub mod topology;
pub mod traffic;
pub mod world;
