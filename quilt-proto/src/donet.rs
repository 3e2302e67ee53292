//! Donet.

mod rule;

pub use rule::DonetRule;

use crate::ProtocolId;
use crate::protocol::{Instance, Plugin, Setup};
use crate::rule::Rule;

/// The plug-in.
#[derive(Clone, Debug, Default)]
pub struct Donet {}

impl Plugin for Donet {
    fn id(&self) -> ProtocolId {
        ProtocolId::DONET
    }

    fn name(&self) -> &'static str {
        "donet"
    }

    fn rule(&self) -> &dyn Rule {
        &DonetRule
    }

    fn start(&self, setup: &Setup) -> Instance {
        let _ = setup;
        unreachable!()
    }
}
