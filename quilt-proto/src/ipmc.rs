//! Ipmc.

mod rule;

pub use rule::IpmcRule;

use crate::ProtocolId;
use crate::protocol::{Instance, Plugin, Setup};
use crate::rule::Rule;

/// The plug-in.
#[derive(Clone, Debug, Default)]
pub struct Ipmc {}

impl Plugin for Ipmc {
    fn id(&self) -> ProtocolId {
        ProtocolId::IPMC
    }

    fn name(&self) -> &'static str {
        "ipmc"
    }

    fn rule(&self) -> &dyn Rule {
        &IpmcRule
    }

    fn start(&self, setup: &Setup) -> Instance {
        let _ = setup;
        unreachable!()
    }
}
