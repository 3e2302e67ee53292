//! Omni.

mod rule;

pub use rule::OmniRule;

use crate::ProtocolId;
use crate::protocol::{Instance, Plugin, Setup};
use crate::rule::Rule;

/// The plug-in.
#[derive(Clone, Debug, Default)]
pub struct Omni {}

impl Plugin for Omni {
    fn id(&self) -> ProtocolId {
        ProtocolId::OMNI
    }

    fn name(&self) -> &'static str {
        "omni"
    }

    fn rule(&self) -> &dyn Rule {
        &OmniRule
    }

    fn start(&self, setup: &Setup) -> Instance {
        let _ = setup;
        unreachable!()
    }
}
