//! OMNI: one tree over all members, of bounded degree and low latency (paper, section 3.2.3;
//! Banerjee et al., INFOCOM 2003).
//!
//! A host asks some members at once, by datagram, and becomes the child of the one that puts it
//! nearest to the root; one without room hands the question on to a child (`seat`), so that a place
//! takes one question. What comes from one neighbour in the tree goes to all others. The way from
//! the root travels down the tree with every change and about every second, so a host sees at once
//! that a parent is its own descendant, and knows to whom it turns when its parent dies.
//!
//! A standing tree is improved in two ways, so that the mean latency falls, each host weighted by
//! the clients in and below it. A host that finds a parent with room and less latency moves there
//! (`join`). And a host arranges those below it anew (`reshape`): it takes up to nine hosts, a
//! family, with the distances between them, finds the arrangement that costs least (`plan`), and
//! has it carried out from the top down (`follow`). A host from elsewhere that would gain much below
//! one without room takes the place of one of its children, which goes below it, where that is worth
//! more than it costs (`displace`). Every step leaves a tree behind, whatever is lost or crosses it: a new parent
//! is joined before the old one is left. With every change a host's zeal for the next one falls
//! (`zeal`), and a tree in which nothing improves is left alone.
//!
//! - **Every host is a root until it has a parent.** A root without a parent joins only a tree
//!   that ranks before its own: settled before provisional, then the lower id of the root. Since
//!   ranks only fall along a chain of joins, two that join each other cannot form a cycle; what
//!   stale news still allows is cut when the path shows it.
//! - **Succession.** The root tells its children who inherits. The first that lives becomes the
//!   root at once; the others join it.
//! - **Two roots** that meet after a partition become one tree again: the one with the larger id
//!   joins the other, with all that is below it.
//! - **Leaves.** In the inter-patch patch a host that does not forward takes digests only: its
//!   parent counts it as a neighbour but sends it no fragments, and it has no children.
//!
//! Differs from the paper: the best arrangement of a family takes the place of single local moves and
//! of random swaps, and one tree is shared by all sources.

mod candidates;
mod displace;
mod draft;
mod family;
mod follow;
mod frame;
mod heal;
mod join;
mod links;
mod plan;
mod reshape;
mod rule;
mod search;
mod seat;
mod sketch;
mod tree;
mod values;
mod zeal;

#[cfg(test)]
mod tests;

pub use rule::OmniRule;

use crate::ProtocolId;
use crate::protocol::{Instance, Plugin, Setup};
use crate::rule::Rule;

/// The plug-in.
#[derive(Clone, Debug)]
pub struct Omni {
    /// The most children that a host sends fragments to, at least 1; as many again may take
    /// digests only. Default 6. Guess: two levels below the root then serve 43 hosts, and a host
    /// sends what it receives at most six or seven times.
    pub degree: u8,
}

impl Default for Omni {
    fn default() -> Self {
        Self { degree: 6 }
    }
}

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
        Instance::new(tree::Tree::new(self.degree, setup))
    }
}
