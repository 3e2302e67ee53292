//! What stands between networks: NATs, firewalls and loss, as rules for `nft`.

use std::net::Ipv4Addr;

/// What a NAT's mapping or filtering depends on (RFC 4787, sections 4.1 and 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependence {
    /// On nothing of the other end.
    Endpoint,
    /// On the other end's address.
    Address,
    /// On the other end's address and port.
    AddressAndPort,
}

impl Dependence {
    /// What the RFC calls it.
    pub fn rfc_4787(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint-independent",
            Self::Address => "address-dependent",
            Self::AddressAndPort => "address-and-port-dependent",
        }
    }
}

/// A NAT of a kind that a kernel can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// One outer port for each inner one; anybody is let in.
    FullCone,
    /// One outer port for each inner one; addresses that something was sent to are let in.
    RestrictedCone,
    /// One outer port for each inner one; ports that something was sent to are let in.
    PortRestrictedCone,
    /// An outer port for each connection; only its other end is let in.
    Symmetric,
}

impl Nat {
    /// All kinds, from the most to the least open.
    pub const ALL: [Self; 4] =
        [Self::FullCone, Self::RestrictedCone, Self::PortRestrictedCone, Self::Symmetric];

    /// On what it depends which outer port an inner one gets.
    pub fn mapping(self) -> Dependence {
        match self {
            Self::FullCone | Self::RestrictedCone | Self::PortRestrictedCone => {
                Dependence::Endpoint
            }
            Self::Symmetric => Dependence::AddressAndPort,
        }
    }

    /// On what it depends who is let in.
    pub fn filtering(self) -> Dependence {
        match self {
            Self::FullCone => Dependence::Endpoint,
            Self::RestrictedCone => Dependence::Address,
            Self::PortRestrictedCone | Self::Symmetric => Dependence::AddressAndPort,
        }
    }

    /// Its rules for a router whose interfaces to the outside have names that begin with `outside`,
    /// and which is known there by the address `public`.
    ///
    /// The kernel keeps ports where it can, and lets in whom a connection was opened to. For a cone
    /// that is more open, packets on their way out note whose their port is, and to whom it spoke.
    pub fn rules(self, outside: &str, public: Ipv4Addr) -> String {
        let known = match self.filtering() {
            Dependence::Endpoint => Some(""),
            Dependence::Address => Some("ip saddr . udp dport @spoken"),
            Dependence::AddressAndPort => None,
        };
        let let_in = known.map_or_else(String::new, |known| {
            format!("iifname \"{outside}*\" {known} dnat to udp dport map @owner")
        });
        let random = match self.mapping() {
            Dependence::Endpoint => "",
            Dependence::Address | Dependence::AddressAndPort => "fully-random",
        };
        format!(
            "table ip nat {{
                map owner {{
                    type inet_service : ipv4_addr
                    flags dynamic,timeout
                    timeout 2m
                    size 65535
                }}
                set spoken {{
                    type ipv4_addr . inet_service
                    flags dynamic,timeout
                    timeout 2m
                    size 65535
                }}
                chain note {{
                    type filter hook forward priority filter
                    oifname \"{outside}*\" update @owner {{ udp sport : ip saddr }} \
                        update @spoken {{ ip daddr . udp sport }}
                }}
                chain arriving {{
                    type nat hook prerouting priority dstnat
                    {let_in}
                }}
                chain leaving {{
                    type nat hook postrouting priority srcnat
                    oifname \"{outside}*\" snat to {public} {random}
                }}
                chain unasked {{
                    type filter hook input priority filter
                    iifname \"{outside}*\" meta l4proto {{ tcp, udp }} ct state new drop
                }}
                chain inwards {{
                    type filter hook forward priority filter
                    iifname \"{outside}*\" ct state new ct status & dnat == 0 drop
                }}
            }}
            "
        )
    }
}

/// A packet filter between inside and outside. It is stateful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firewall {
    /// What answers something from inside comes in, and nothing else does.
    Stateful,
    /// As [`Stateful`](Self::Stateful), but UDP never comes in.
    NoIncomingUdp,
    /// As [`Stateful`](Self::Stateful), and UDP passes in neither direction.
    NoUdp,
}

impl Firewall {
    /// Its rules for a router whose interfaces to the outside have names that begin with `outside`.
    pub fn rules(self, outside: &str) -> String {
        let udp = match self {
            Self::Stateful => String::new(),
            Self::NoIncomingUdp => format!("iifname \"{outside}*\" meta l4proto udp drop"),
            Self::NoUdp => "meta l4proto udp drop".into(),
        };
        format!(
            "table ip firewall {{
                chain inwards {{
                    type filter hook forward priority filter
                    {udp}
                    iifname \"{outside}*\" ct state new drop
                }}
            }}
            "
        )
    }
}

/// Rules with which a router loses so many of a thousand packets that it forwards, or a host so
/// many of those that reach it.
pub fn lossy(per_mille: u16) -> String {
    let chain = |hook| {
        format!(
            "chain {hook} {{
                type filter hook {hook} priority filter
                iifname != \"lo\" numgen random mod 1000 < {per_mille} drop
            }}"
        )
    };
    format!("table ip loss {{\n{}\n{}\n}}", chain("forward"), chain("input"))
}
