//! Where OMNI can run (paper, section 3.2.3).

use crate::euid::{Euid, contacts};
use crate::rule::Rule;

/// A new host joins where it can open contact to some existing host, whatever lies between.
#[derive(Clone, Copy, Debug, Default)]
pub struct OmniRule;

impl Rule for OmniRule {
    /// Any connectivity option will do.
    fn is_permitted(&self, host: &Euid) -> bool {
        !host.connectivity.is_empty()
    }

    /// The paper's C from the new host to an existing one ≠ ∅.
    fn can_join(&self, host: &Euid, patch: &Euid) -> bool {
        !contacts(host, patch).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::euid::{Barrier, Connectivity, Direction, Transport};

    fn host(direction: Direction, barrier: Barrier) -> Euid {
        let mut euid = Euid::default();
        euid.connectivity.insert(Connectivity { transport: Transport::Udp, direction, barrier });
        euid
    }

    #[test]
    fn the_new_host_must_reach_an_existing_one_but_need_not_be_reached() {
        let open = host(Direction::Both, Barrier::None);
        let shielded = host(Direction::Outbound, Barrier::Firewall);
        assert!(OmniRule.can_join(&shielded, &open));
        assert!(!OmniRule.can_join(&open, &shielded));
        assert!(!OmniRule.can_join(&shielded, &shielded));
    }

    #[test]
    fn one_reachable_member_opens_a_patch_to_shielded_hosts() {
        let open = host(Direction::Both, Barrier::None);
        let shielded = host(Direction::Outbound, Barrier::Firewall);
        let mut patch = OmniRule.create_patch(&shielded);
        assert!(!OmniRule.can_join(&shielded, &patch));
        OmniRule.join(&open, &mut patch);
        assert!(OmniRule.can_join(&shielded, &patch));
    }

    #[test]
    fn any_connectivity_permits_and_none_does_not() {
        assert!(OmniRule.is_permitted(&host(Direction::Inbound, Barrier::None)));
        assert!(!OmniRule.is_permitted(&Euid::default()));
    }
}
