//! A protocol of one's own as a plug-in, with the least that must be said of it.

use quilt_proto::ProtocolId;
use quilt_proto::donet::DonetRule;
use quilt_proto::protocol::{Instance, Plugin, Protocol, Setup};
use quilt_proto::rule::Rule;

/// A plug-in of the number `id`, which no other may have (below 256 are Quilt's own), and of the
/// given name. It can run wherever DONet can: hosts that share a router and can open TCP to each
/// other form a patch. `start` makes the instance of one host in one patch.
pub fn plugin<P: Protocol>(
    id: u16,
    name: &'static str,
    start: impl Fn(&Setup) -> P + Send + Sync + 'static,
) -> impl Plugin + 'static {
    Simple { id: ProtocolId(id), name, start }
}

struct Simple<F> {
    id: ProtocolId,
    name: &'static str,
    start: F,
}

impl<P: Protocol, F: Fn(&Setup) -> P + Send + Sync> Plugin for Simple<F> {
    fn id(&self) -> ProtocolId {
        self.id
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn rule(&self) -> &dyn Rule {
        &DonetRule
    }

    fn start(&self, setup: &Setup) -> Instance {
        Instance::new((self.start)(setup))
    }
}
