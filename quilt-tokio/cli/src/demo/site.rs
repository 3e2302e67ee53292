//! The sites of the demo: address ranges of the loopback interface, and what surrounds them.

use crate::args::Routers;
use std::fmt;
use std::net::Ipv4Addr;

/// One site: the addresses 127.N.0.0/16, behind two routers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Site(u8);

/// How many there are.
const SITES: u8 = 4;
/// Those up to this one have IP multicast.
const LAST_WITH_MULTICAST: u8 = 2;

impl Site {
    /// The first one, where the sender is.
    pub(crate) const FIRST: Self = Self(1);

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (1..=SITES).map(Self)
    }

    /// The site of receiver `index`, from 0, and its number there, from 1.
    pub(crate) fn of(index: u16) -> (Self, u16) {
        let sites = u16::from(SITES);
        (Self(1 + (index % sites) as u8), 1 + index / sites)
    }

    /// The address of receiver `number`, from 1 to 64,000.
    pub(crate) fn address(self, number: u16) -> Ipv4Addr {
        Ipv4Addr::new(127, self.0, (number / 250) as u8, 1 + (number % 250) as u8)
    }

    /// An address that no receiver has.
    pub(crate) fn sender_address(self) -> Ipv4Addr {
        Ipv4Addr::new(127, self.0, 255, 254)
    }

    /// What `--routers` says here.
    pub(crate) fn routers_text(self) -> String {
        let mark = if self.0 <= LAST_WITH_MULTICAST { "+ipmc" } else { "" };
        format!("site-{n}-gw{mark},site-{n}-core", n = self.0)
    }

    pub(crate) fn routers(self) -> Routers {
        self.routers_text().parse().unwrap_or(Routers(Default::default()))
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "site-{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn receivers_are_spread_over_the_sites_and_share_no_address() {
        let hosts: Vec<_> = (0..1_000).map(Site::of).collect();
        assert!(Site::all().all(|site| hosts.iter().filter(|(s, _)| *s == site).count() == 250));
        let addresses: BTreeSet<_> = hosts.iter().map(|(site, n)| site.address(*n)).collect();
        assert_eq!(addresses.len(), 1_000);
        assert!(!addresses.contains(&Site::FIRST.sender_address()));
    }

    #[test]
    fn the_first_two_sites_have_ip_multicast() {
        let multicast = Site::all()
            .map(|site| site.routers().0.multicast_routers().count())
            .collect::<Vec<_>>();
        assert_eq!(multicast, [1, 1, 0, 0]);
    }
}
