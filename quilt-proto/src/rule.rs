//! Where a protocol can run: the interface of the paper's Table 1.

use crate::euid::{Euid, RouterId};
use core::time::Duration;

/// The selection rule that comes with each multicast protocol (paper, section 3.2 and Table 1).
///
/// A rule looks at EUIDs and at nothing else: it is pure, and its work is bounded by their size.
/// An EUID stands for a host, or for all hosts of a patch.
pub trait Rule: Send + Sync {
    /// Whether a host may run the protocol at all. What is unknown does not permit.
    fn is_permitted(&self, host: &Euid) -> bool;

    /// Whether a host can join the patch. Asked only of hosts that are permitted.
    fn can_join(&self, host: &Euid, patch: &Euid) -> bool;

    /// Adds a host to the patch. The default merges the two ([`Euid::merge`]).
    fn join(&self, host: &Euid, patch: &mut Euid) {
        patch.merge(host);
    }

    /// The EUID of a new patch that has this host as its only member. The default is the host's.
    fn create_patch(&self, host: &Euid) -> Euid {
        host.clone()
    }

    /// Whether a host joins every patch that it fits, not only the nearest one (paper, section
    /// 4.5: a host between two IPMC regions runs the protocol twice). Default no.
    fn joins_all(&self) -> bool {
        false
    }

    /// The router that a patch created by this host is named after: hosts of one region that are
    /// first there at different times name the same one. `None` if nothing is known. The default is
    /// the nearest.
    fn anchor(&self, host: &Euid) -> Option<RouterId> {
        host.topology.nearest()
    }

    /// The latency that a host may expect in the patch, for the choice among several; `None` if
    /// nothing can be said. The default counts a millisecond for each hop to the nearest router
    /// that both have.
    fn predicted_latency(&self, host: &Euid, patch: &Euid) -> Option<Duration> {
        let hops = host.topology.hops_to_shared(&patch.topology)?;
        Some(Duration::from_millis(u64::from(hops)))
    }
}
