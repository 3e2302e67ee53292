//! Connectivity options: who can open contact to whom.

use super::Euid;
use super::sorted::Sorted;
use alloc::collections::BTreeSet;
use core::net::IpAddr;
use smallvec::SmallVec;

/// One connectivity option of an interface (paper, section 3.1: the tuple of direction and
/// transport, and whether a NAT or firewall lies on the path).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connectivity {
    /// By which transport.
    pub transport: Transport,
    /// Who can open contact.
    pub direction: Direction,
    /// What lies between the interface and the Internet.
    pub barrier: Barrier,
}

/// A unicast transport, the preferred one first (paper, section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Who can open contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The host to others, and others to it.
    Both,
    /// Only others to the host.
    Inbound,
    /// Only the host to others.
    Outbound,
}

/// What lies between an interface and the Internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Barrier {
    /// Nothing.
    None,
    /// A NAT. Hosts behind the same one reach each other.
    Nat(Nat),
    /// A firewall that lets replies in.
    Firewall,
}

/// A NAT as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nat {
    /// Its address on the far side, which says which NAT it is.
    pub address: IpAddr,
    /// On what the port depends that it gives a host's port (RFC 4787, section 4.1); `None` where that
    /// is not known.
    pub mapping: Option<Dependence>,
    /// On what it depends who is let in at that port (RFC 4787, section 5), likewise.
    pub filtering: Option<Dependence>,
}

impl Nat {
    /// The NAT with this address, of which nothing else is known.
    pub fn at(address: IpAddr) -> Self {
        Self { address, mapping: None, filtering: None }
    }
}

/// What a NAT's mapping or filtering depends on (RFC 4787, sections 4.1 and 5), the most permissive
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dependence {
    /// Not on the other end.
    EndpointIndependent,
    /// On the other end's address.
    AddressDependent,
    /// On the other end's address and port.
    AddressAndPortDependent,
}

/// A set of connectivity options, in the order of preference: that of [`Connectivity`].
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectivityOptions(Sorted<Connectivity, ()>);

impl ConnectivityOptions {
    /// Adds an option, where it is not there yet.
    pub fn insert(&mut self, option: Connectivity) {
        self.0.merge(option, (), |_, ()| ());
    }

    /// Drops the least preferred options, so that at most `most` are left.
    pub fn truncate(&mut self, most: usize) {
        self.0.truncate(most);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, the preferred one first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Connectivity> {
        self.0.iter().map(|&(option, ())| option)
    }
}

impl Extend<Connectivity> for ConnectivityOptions {
    fn extend<I: IntoIterator<Item = Connectivity>>(&mut self, options: I) {
        options.into_iter().for_each(|option| self.insert(option));
    }
}

impl FromIterator<Connectivity> for ConnectivityOptions {
    fn from_iter<I: IntoIterator<Item = Connectivity>>(options: I) -> Self {
        let options = options.into_iter();
        let mut all = Self(Sorted::with_capacity(options.size_hint().0));
        all.extend(options);
        all
    }
}

impl<const N: usize> From<[Connectivity; N]> for ConnectivityOptions {
    fn from(options: [Connectivity; N]) -> Self {
        options.into_iter().collect()
    }
}

/// The transports over which a host with EUID `from` can open contact to one with EUID `to`: the
/// paper's set C from the one to the other (section 3.2.2).
///
/// Hosts behind one NAT reach each other whatever their directions (section 3.1). The paper says
/// the same of hosts behind one firewall; an EUID does not say which firewall it is, so they count
/// as reachable only as far as their directions go.
pub fn contacts(from: &Euid, to: &Euid) -> BTreeSet<Transport> {
    let pairs = from.connectivity.iter().flat_map(|a| to.connectivity.iter().map(move |b| (a, b)));
    pairs.filter(|(a, b)| reaches(a, b)).map(|(a, _)| a.transport).collect()
}

/// Whether two hosts can have a tunnel and nothing else: TCP opens contact in neither direction, and
/// what each sends by UDP opens what stands in front of it for the other one (the paper's UDP tunnel,
/// section 5.2).
///
/// A NAT has to give the host the same port for everybody, so that the other one knows where to send;
/// or that one lets in what comes from any port of an address that it sent to. Where that is not known,
/// there is no tunnel.
pub fn tunnels(a: &Euid, b: &Euid) -> bool {
    let sends = |euid: &Euid| {
        let options = euid.connectivity.iter();
        options
            .filter(|it| it.transport == Transport::Udp && it.direction != Direction::Inbound)
            .map(|it| Opening::of(it.barrier))
            .collect::<SmallVec<[Opening; 2]>>()
    };
    let by_tcp = |from, to| contacts(from, to).contains(&Transport::Tcp);
    let (from, to) = (sends(a), sends(b));
    let meet = from.iter().any(|one| to.iter().any(|other| one.meets(*other)));
    meet && !by_tcp(a, b) && !by_tcp(b, a)
}

/// How what stands in front of a host opens when the host sends by UDP.
#[derive(Clone, Copy, Debug)]
struct Opening {
    /// Others know from which port the host's datagrams will come.
    is_foreseen: bool,
    /// They may answer from any port.
    lets_ports_in: bool,
}

impl Opening {
    fn of(barrier: Barrier) -> Self {
        let free = Some(Dependence::EndpointIndependent);
        match barrier {
            Barrier::None => Self { is_foreseen: true, lets_ports_in: true },
            Barrier::Firewall => Self { is_foreseen: true, lets_ports_in: false },
            Barrier::Nat(nat) => Self {
                is_foreseen: nat.mapping == free,
                lets_ports_in: nat.filtering.is_some_and(|it| it <= Dependence::AddressDependent),
            },
        }
    }

    fn meets(self, other: Self) -> bool {
        match (self.is_foreseen, other.is_foreseen) {
            (true, true) => true,
            (true, false) => self.lets_ports_in,
            (false, true) => other.lets_ports_in,
            (false, false) => false,
        }
    }
}

fn reaches(from: &Connectivity, to: &Connectivity) -> bool {
    if from.transport != to.transport {
        return false;
    }
    let behind_one_nat = matches!(
        (from.barrier, to.barrier),
        (Barrier::Nat(a), Barrier::Nat(b)) if a.address == b.address
    );
    behind_one_nat || (from.direction != Direction::Inbound && to.direction != Direction::Outbound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    fn euid(transport: Transport, direction: Direction, barrier: Barrier) -> Euid {
        let option = Connectivity { transport, direction, barrier };
        Euid { connectivity: [option].into(), ..Euid::default() }
    }

    fn tcp(direction: Direction, barrier: Barrier) -> Euid {
        euid(Transport::Tcp, direction, barrier)
    }

    fn nat(n: u8) -> Barrier {
        let free = Some(Dependence::EndpointIndependent);
        let strict = Some(Dependence::AddressAndPortDependent);
        Barrier::Nat(Nat { mapping: free, filtering: strict, ..Nat::at(far_side(n)) })
    }

    fn far_side(n: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(203, 0, 113, n))
    }

    fn reaches(from: &Euid, to: &Euid) -> bool {
        !contacts(from, to).is_empty()
    }

    #[test]
    fn who_is_only_outbound_cannot_be_contacted_and_who_is_only_inbound_contacts_nobody() {
        let open = tcp(Direction::Both, Barrier::None);
        let outbound = tcp(Direction::Outbound, Barrier::Firewall);
        let inbound = tcp(Direction::Inbound, Barrier::None);
        assert!(reaches(&outbound, &open) && reaches(&open, &inbound));
        assert!(!reaches(&open, &outbound) && !reaches(&inbound, &open));
        assert!(!reaches(&outbound, &outbound) && !reaches(&inbound, &inbound));
    }

    #[test]
    fn hosts_behind_one_nat_reach_each_other_and_behind_two_they_do_not() {
        let a = tcp(Direction::Outbound, nat(1));
        let b = tcp(Direction::Outbound, nat(2));
        assert!(reaches(&a, &a));
        assert!(!reaches(&a, &b) && !reaches(&b, &a));
    }

    #[test]
    fn two_that_only_open_contact_have_a_tunnel_by_udp_where_both_have_it() {
        let both = |direction, barrier| {
            let option = |transport| Connectivity { transport, direction, barrier };
            let connectivity = [option(Transport::Tcp), option(Transport::Udp)].into();
            Euid { connectivity, ..Euid::default() }
        };
        let [a, b] = [1, 2].map(|n| both(Direction::Outbound, nat(n)));
        let shielded = both(Direction::Outbound, Barrier::Firewall);
        let open = both(Direction::Both, Barrier::None);
        assert!(tunnels(&a, &b) && tunnels(&b, &a) && tunnels(&a, &shielded));
        assert!(!tunnels(&a, &a), "they are behind one NAT");
        assert!(!tunnels(&a, &open) && !tunnels(&open, &a));
        assert!(!tunnels(&a, &tcp(Direction::Outbound, nat(2))), "UDP is blocked there");
        assert!(!tunnels(&a, &Euid::default()) && !tunnels(&Euid::default(), &a));
    }

    /// RFC 4787's NATs and what is in front of other hosts, pair by pair.
    #[test]
    fn a_tunnel_needs_a_port_that_is_foreseen_on_one_side_and_let_in_by_the_other() {
        use Dependence::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
        let nat = |n, mapping, filtering| {
            let (mapping, filtering) = (Some(mapping), Some(filtering));
            Barrier::Nat(Nat { mapping, filtering, ..Nat::at(far_side(n)) })
        };
        let kinds = |side: u8| {
            let at = |n: u8| n + 10 * side;
            [
                nat(at(1), EndpointIndependent, EndpointIndependent),
                nat(at(2), EndpointIndependent, AddressDependent),
                nat(at(3), EndpointIndependent, AddressAndPortDependent),
                nat(at(4), AddressAndPortDependent, AddressAndPortDependent),
                Barrier::Firewall,
                Barrier::Nat(Nat::at(far_side(at(5)))),
            ]
            .map(|barrier| euid(Transport::Udp, Direction::Outbound, barrier))
        };
        let meet = kinds(0).map(|a| kinds(1).map(|b| u8::from(tunnels(&a, &b))));
        let rows = [
            [1, 1, 1, 1, 1, 1], // full cone
            [1, 1, 1, 1, 1, 1], // restricted cone
            [1, 1, 1, 0, 1, 0], // port-restricted cone
            [1, 1, 0, 0, 0, 0], // symmetric
            [1, 1, 1, 0, 1, 0], // firewall
            [1, 1, 0, 0, 0, 0], // unknown
        ];
        assert_eq!(meet, rows);
    }

    #[test]
    fn transports_do_not_mix_and_the_unknown_reaches_nobody() {
        let open = tcp(Direction::Both, Barrier::None);
        assert!(!reaches(&open, &euid(Transport::Udp, Direction::Both, Barrier::None)));
        assert!(!reaches(&open, &Euid::default()) && !reaches(&Euid::default(), &open));
    }
}
