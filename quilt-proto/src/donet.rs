//! DONet: a mesh (paper, section 3.2.2; CoolStreaming/DONet, INFOCOM 2005).
//!
//! Each host keeps a handful of **partners**. A fresh fragment is pushed along the mesh at once;
//! what the push missed is found in the partners' buffermaps and pulled, which the container does
//! for every protocol. Pushing to every partner would bring each fragment once a partner, so hosts
//! trim it as Plumtree does (Leitão, Pereira, Rodrigues, SRDS 2007): whoever brings a fragment
//! second is told to stop ([`Prune`](Frame::Prune)), whoever had to be asked for one is told to
//! push again ([`Graft`](Frame::Graft)), and so is, where nothing is asked for, whoever has what did
//! not come. What is left is a spanning tree inside the mesh, which
//! the mesh mends.
//!
//! Differs from the paper: the original asks for each segment in one-second cycles, which cost it
//! 60 s on the Internet topology; here only what the push missed is asked for.

mod cache;
mod choice;
mod frame;
#[cfg(test)]
mod harness;
mod inflow;
mod mesh;
mod partner;
mod rule;
#[cfg(test)]
mod tests;

pub use frame::{Frame, Known};
pub use rule::DonetRule;

use crate::protocol::{Instance, Plugin, Setup};
use crate::rule::Rule;
use crate::wire::Reader;
use crate::{GroupId, PatchId, ProtocolId};
use bytes::Bytes;
use mesh::Mesh;

/// The plug-in and its settings.
#[derive(Clone, Debug)]
pub struct Donet {
    /// How many partners a host looks for. Default 4, CoolStreaming's choice.
    pub partners: usize,
    /// The most partners a host has, those that came to it included; at least `partners`, at most
    /// 16. Further ones are refused. Default 8.
    pub max_partners: usize,
    /// How fragments travel in the patches that are created with these settings. Default
    /// [`Travel::Push`].
    pub travel: Travel,
}

/// How fragments travel along the mesh. The bootstrap service's choice when it creates a patch
/// holds for all its members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Travel {
    /// A fresh fragment is pushed at once, and what the push missed is asked for.
    #[default]
    Push,
    /// Nothing is pushed: once in so many milliseconds a host tells its partners what it holds, and
    /// asks for what it lacks, as in CoolStreaming.
    Pull(u16),
}

impl Travel {
    /// As a patch's parameters have it: nothing for a push.
    fn encode(self) -> Bytes {
        match self {
            Self::Push => Bytes::new(),
            Self::Pull(cycle_ms) => Bytes::copy_from_slice(&cycle_ms.to_be_bytes()),
        }
    }

    fn decode(parameters: &Bytes) -> Self {
        match Reader::new(parameters).u16() {
            Ok(cycle_ms) if cycle_ms > 0 => Self::Pull(cycle_ms),
            _ => Self::Push,
        }
    }
}

impl Default for Donet {
    fn default() -> Self {
        Self { partners: 4, max_partners: 8, travel: Travel::Push }
    }
}

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

    fn parameters(&self, _: GroupId, _: PatchId) -> Bytes {
        self.travel.encode()
    }

    fn start(&self, setup: &Setup) -> Instance {
        Instance::new(Mesh::new(self, setup))
    }
}
