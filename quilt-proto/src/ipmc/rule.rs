//! Where IPMC can run (paper, section 3.2.1).

use crate::euid::{Euid, RouterId};
use crate::rule::Rule;

/// Hosts that share a router which forwards IP multicast form a patch.
///
/// The paper merges the sets of such routers by union, which is not transitive: with {a}, {a, b}
/// and {b}, the first and the last host share a patch but no router. The merge decides where
/// to *try*; what is heard on the patch's multicast address decides who stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct IpmcRule;

impl Rule for IpmcRule {
    /// The paper's Rm > 0.
    fn is_permitted(&self, host: &Euid) -> bool {
        host.topology.nearest_multicast().is_some()
    }

    /// The paper's E1.S ∩ E2.S ≠ ∅, which implies Rm > 0 on both sides.
    fn can_join(&self, host: &Euid, patch: &Euid) -> bool {
        host.topology.shares_multicast_router(&patch.topology)
    }

    fn joins_all(&self) -> bool {
        true
    }

    fn anchor(&self, host: &Euid) -> Option<RouterId> {
        host.topology.nearest_multicast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(routers: &[(&str, bool)]) -> Euid {
        let mut euid = Euid::default();
        for (&(name, multicast), hops) in routers.iter().zip(1..) {
            euid.topology.insert(RouterId::named(name), hops, multicast);
        }
        euid
    }

    #[test]
    fn a_router_without_multicast_neither_permits_nor_joins() {
        let plain = behind(&[("a", false)]);
        let multicast = behind(&[("a", true)]);
        assert!(!IpmcRule.is_permitted(&plain));
        assert!(IpmcRule.is_permitted(&multicast));
        assert!(!IpmcRule.can_join(&plain, &multicast));
        assert!(!IpmcRule.can_join(&plain, &plain));
        assert!(!IpmcRule.is_permitted(&Euid::default()));
    }

    #[test]
    fn hosts_join_by_any_shared_multicast_router() {
        let near = behind(&[("leaf1", false), ("spine", true)]);
        let far = behind(&[("leaf2", false), ("leaf3", false), ("spine", true)]);
        assert!(IpmcRule.can_join(&near, &far));
        assert!(!IpmcRule.can_join(&near, &behind(&[("other", true)])));
        assert_eq!(IpmcRule.anchor(&near), IpmcRule.anchor(&far));
    }

    #[test]
    fn merging_by_union_is_not_transitive_as_in_the_paper() {
        let (a, ab, b) =
            (behind(&[("a", true)]), behind(&[("a", true), ("b", true)]), behind(&[("b", true)]));
        assert!(!IpmcRule.can_join(&b, &a));
        let mut patch = IpmcRule.create_patch(&a);
        IpmcRule.join(&ab, &mut patch);
        assert!(IpmcRule.can_join(&b, &patch));
    }
}
