//! Networks of real kernels to run the real program in: each host, router and switch is a network
//! namespace, joined to others by cables, or by relays with delay and loss.
//!
//! Everything lives in namespaces that the test program makes for itself ([`apart`]), the one of
//! processes included: when it ends, however that comes about, the kernel ends what it started and
//! takes back what it built.
//!
//! This is for tests: what cannot be built panics, and says which command failed.

mod apart;
mod filter;
mod node;
mod relay;
mod switch;
mod system;

pub use apart::{INSIDE, RESOLVER, apart};
pub use filter::{Dependence, Firewall, Nat, lossy};
pub use node::{Node, cable};
pub use relay::{Conditions, Relay};
pub use switch::{Multicast, Switch};
