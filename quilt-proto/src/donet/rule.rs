//! Where DONet can run (paper, section 3.2.2).

use crate::euid::{Euid, Transport, contacts};
use crate::rule::Rule;

/// Hosts that can open TCP to each other, and are near each other, form a patch.
///
/// The paper groups "in a locality-aware fashion" without saying how; here two are near if they
/// share a router of the sensed stack (four hops; Table 4). Hosts whose topology is unknown match
/// only patches whose topology is unknown, so that one ignorant host cannot bridge regions.
#[derive(Clone, Copy, Debug, Default)]
pub struct DonetRule;

impl Rule for DonetRule {
    /// It takes a connectivity option by TCP, in whatever direction: DONet's links are TCP.
    fn is_permitted(&self, host: &Euid) -> bool {
        host.connectivity.iter().any(|option| option.transport == Transport::Tcp)
    }

    /// The paper's C from E1 to E2 ∩ C from E2 to E1 ≠ ∅, of which only TCP counts, and locality.
    fn can_join(&self, host: &Euid, patch: &Euid) -> bool {
        let near = match (host.topology.is_unknown(), patch.topology.is_unknown()) {
            (true, true) => true,
            (false, false) => host.topology.shares_router(&patch.topology),
            _ => false,
        };
        near && contacts(host, patch).contains(&Transport::Tcp)
            && contacts(patch, host).contains(&Transport::Tcp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::euid::{Barrier, Connectivity, Direction, Nat, RouterId};
    use core::net::{IpAddr, Ipv4Addr};

    fn host(transport: Transport, direction: Direction, barrier: Barrier, router: &str) -> Euid {
        let mut euid = Euid::default();
        euid.connectivity.insert(Connectivity { transport, direction, barrier });
        if !router.is_empty() {
            euid.topology.insert(RouterId::named(router), 1, false);
        }
        euid
    }

    fn open(router: &str) -> Euid {
        host(Transport::Tcp, Direction::Both, Barrier::None, router)
    }

    fn nat(last: u8, router: &str) -> Euid {
        let nat = Barrier::Nat(Nat::at(IpAddr::V4(Ipv4Addr::new(203, 0, 113, last))));
        host(Transport::Tcp, Direction::Outbound, nat, router)
    }

    #[test]
    fn it_takes_tcp_in_some_direction() {
        assert!(DonetRule.is_permitted(&open("")));
        assert!(DonetRule.is_permitted(&nat(1, "")));
        let udp = host(Transport::Udp, Direction::Both, Barrier::None, "");
        assert!(!DonetRule.is_permitted(&udp));
        assert!(!DonetRule.is_permitted(&Euid::default()));
    }

    #[test]
    fn both_must_reach_each_other_and_share_a_router() {
        assert!(DonetRule.can_join(&open("a"), &open("a")));
        assert!(!DonetRule.can_join(&open("a"), &open("b")), "not near");
        assert!(!DonetRule.can_join(&open("a"), &nat(1, "a")), "one way only");
        assert!(!DonetRule.can_join(&nat(1, "a"), &nat(2, "a")), "behind two NATs");
        assert!(DonetRule.can_join(&nat(1, "a"), &nat(1, "a")), "behind one NAT");
    }

    #[test]
    fn the_unknown_matches_only_the_unknown() {
        assert!(DonetRule.can_join(&open(""), &open("")));
        assert!(!DonetRule.can_join(&open(""), &open("a")));
        assert!(!DonetRule.can_join(&open("a"), &open("")));
    }
}
