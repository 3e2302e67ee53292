//! What the administrator wants.

mod parse;
mod prefix;

pub use parse::{PolicyError, PolicyFault};
pub use prefix::Prefix;

use crate::ProtocolId;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

/// The administrator's wishes (paper, section 3.2): which protocols, in which order, and where not.
///
/// [`Policy::parse`] reads them from text, one wish a line; `Display` writes that text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The protocols for regional patches, the preferred one first. Default IPMC, DONet, OMNI
    /// (paper, section 5.1).
    pub order: Vec<ProtocolId>,
    /// Protocols that may not run on interfaces with these addresses. Default none.
    pub forbidden: Vec<(ProtocolId, Prefix)>,
    /// The protocol that sews the patches together. Default OMNI.
    pub inter_patch: ProtocolId,
    /// Fewer live representatives than this, and a region gets new ones (the paper's k_min).
    /// Default 2.
    pub representatives_min: u8,
    /// So many representatives a region then has, if it has as many hosts (the paper's k_max).
    /// Default 3.
    pub representatives_max: u8,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            order: [ProtocolId::IPMC, ProtocolId::DONET, ProtocolId::OMNI].into(),
            forbidden: Vec::new(),
            inter_patch: ProtocolId::OMNI,
            representatives_min: 2,
            representatives_max: 3,
        }
    }
}

impl Policy {
    /// Whether `protocol` may run on an interface with the local address `address`.
    pub fn permits(&self, protocol: ProtocolId, address: IpAddr) -> bool {
        !self.forbidden.iter().any(|&(p, prefix)| p == protocol && prefix.contains(address))
    }
}

impl fmt::Display for Policy {
    /// The text that [`Policy::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("order")?;
        self.order.iter().try_for_each(|protocol| write!(f, " {protocol}"))?;
        for (protocol, prefix) in &self.forbidden {
            write!(f, "\nforbid {protocol} {prefix}")?;
        }
        let (min, max) = (self.representatives_min, self.representatives_max);
        write!(f, "\ninter-patch {}\nrepresentatives {min}..{max}", self.inter_patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_prefix_forbids_one_protocol_inside_it_only() {
        let prefix = "10.1.0.0/16".parse().unwrap();
        let policy = Policy { forbidden: [(ProtocolId::IPMC, prefix)].into(), ..Policy::default() };
        assert!(!policy.permits(ProtocolId::IPMC, IpAddr::from([10, 1, 2, 3])));
        assert!(policy.permits(ProtocolId::IPMC, IpAddr::from([10, 2, 2, 3])));
        assert!(policy.permits(ProtocolId::DONET, IpAddr::from([10, 1, 2, 3])));
    }
}
