//! What Quilt's adapters share: the system's sockets as a machine of [`quilt_proto`] needs them.
//!
//! An adapter knows *when* a socket is ready; this crate knows *how* to use it: how to listen,
//! dial and join a multicast address ([`Listening`], [`dial`], [`Membership`]), and how to move
//! many packets with few system calls ([`datagrams`], [`StreamReader`], [`StreamWriter`]), and how to see
//! who is on the way somewhere ([`Probe`]). All
//! sockets are non-blocking, and nothing here waits, starts a thread or decides what is sent. What
//! a host is told before it joins ([`Options`], [`Url`], [`interface_address`]) and what can go wrong ([`JoinError`],
//! [`BindError`]) is the same for all adapters.
//!
//! Applications use an adapter (`quilt-tokio`, `quilt-mio`); this crate is for those who write
//! one: `examples/poll.rs` is one in a single file, around `poll(2)`.

mod calls;
mod clock;
mod datagrams;
mod error;
mod interface;
mod listen;
mod multicast;
mod options;
mod overruns;
mod probe;
mod resolver;
mod stream;
mod url;

pub use calls::{Calls, SystemCalls};
pub use clock::{ACCEPT_PAUSE, Clock, FAREWELL};
pub use datagrams::{DatagramReader, DatagramWriter, datagrams};
pub use error::{BindError, JoinError, link_error};
pub use interface::{UnknownInterface, interface_address, interfaces};
pub use listen::{Listening, RECEIVE_BUFFER_BYTES};
pub use multicast::Membership;
pub use options::{Options, seed};
pub use probe::{Answer, Probe};
pub use socket2::SockRef;
pub use stream::{StreamReader, StreamWriter, connected, dial, tune};
pub use url::{Url, UrlError};
