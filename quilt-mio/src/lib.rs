//! Quilt in a poll loop, its own or yours: one multicast group over networks that differ.
//!
//! One thread, one [`mio::Poll`], no threads hidden behind it. In a loop of its own, a [`Loop`]
//! joins, sends and waits:
//!
//! ```
//! use quilt_mio::{BootstrapConfig, Loop, Notice, Options, Url};
//!
//! let mut service = Loop::bind("127.0.0.1:0".parse()?, BootstrapConfig::default())?;
//! let url = Url::new(service.guest().local_addr(), "tea")?;
//! std::thread::spawn(move || while service.turn(None).is_ok() {});
//!
//! let bob = std::thread::spawn({
//!     let mut bob = Loop::join(&url, Options::default())?;
//!     move || loop {
//!         match bob.next_notice() {
//!             Ok(Some(Notice::Message(message))) => break message.body.into_bytes(),
//!             Ok(Some(_)) => {}
//!             end => panic!("{end:?}"),
//!         }
//!     }
//! });
//! let mut alice = Loop::join(&url, Options::default())?;
//! alice.send("the kettle is on")?;
//! alice.leave()?;
//! assert_eq!(bob.join().expect("bob hears of it"), "the kettle is on");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In a loop of yours, a [`Node`] or a [`Bootstrap`] is a [`Guest`]: it registers its sources with
//! your registry under tokens that you set aside for it, and is called with the events, for a
//! bounded [`turn`](Guest::turn), and at its [`deadline`](Guest::deadline):
//!
//! ```no_run
//! use quilt_mio::{Guest, Node, Notice, Options, Url};
//! use std::time::Instant;
//!
//! let mut poll = mio::Poll::new()?;
//! let mut events = mio::Events::with_capacity(64);
//! let url: Url = "quilt://127.0.0.1:7400/tea".parse()?;
//! let mut node = Node::join(poll.registry(), 1_000..2_000, &url, Options::default())?;
//! loop {
//!     let until = |at: Instant| at.saturating_duration_since(Instant::now());
//!     poll.poll(&mut events, node.deadline().map(until))?;
//!     for event in &events {
//!         // ... and those of your own tokens ...
//!         node.on_event(event);
//!     }
//!     node.turn();
//!     while let Some(notice) = node.poll_notice() {
//!         if let Notice::Message(message) = notice {
//!             println!("{}: {:?}", message.source, message.body.into_bytes());
//!         }
//!     }
//! }
//! # #[allow(unreachable_code)]
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/own_loop.rs` has such a loop with a socket and a timer of its own.
//!
//! A host works only while its loop calls it: one that is not called for a few seconds is taken
//! for dead by its neighbours.
//!
//! This crate is thin. It moves bytes between sockets and the machines of [`quilt_proto`], and
//! holds no policy of its own; `quilt-tokio` does the same for tokio, and hosts on either are in
//! one group.

mod bootstrap;
mod datagrams;
mod driver;
mod event_loop;
mod guest;
mod node;
mod probe;
mod slots;
mod stream;

pub use bootstrap::Bootstrap;
pub use event_loop::{Loop, SendError};
pub use guest::Guest;
pub use node::Node;
pub use quilt_proto as proto;
pub use quilt_proto::{
    BootstrapConfig, Counters, Delivery, History, Message, Notice, Place, Priority, PublishError,
    PublishOptions,
};
pub use quilt_sockets::{
    BindError, JoinError, Options, SystemCalls, UnknownInterface, Url, UrlError, interface_address,
};
