//! What the administrator wants.

use crate::ProtocolId;
use alloc::vec::Vec;
use core::net::IpAddr;

/// The administrator's wishes (paper, section 3.2): which protocols, in which order, and where not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The protocols for regional patches, the preferred one first. Default IPMC, DONet, OMNI.
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

/// All addresses that agree in their first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// One address of it.
    pub address: IpAddr,
    /// How many bits must agree; at most 32 or 128.
    pub bits: u8,
}
