//! How much a node has of what its limits bound.

use crate::{HostId, Limits, PatchId, ProtocolId};

/// What a [`Node`](crate::Node) has of everything that its [`Limits`] bound, each in the limit's
/// unit. Where a limit is for each of several, this is the most that one of them has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Groups that it is in.
    pub groups: usize,
    /// Links, dialled ones and multicast addresses included.
    pub links: usize,
    /// Sources of one group beside the node itself.
    pub sources: usize,
    /// Bytes in the window of one group.
    pub window_bytes: usize,
    /// Messages in the window of one group.
    pub window_messages: usize,
    /// Members of one patch that it knows.
    pub known_members: usize,
    /// Fragments that wait for one link.
    pub queued_fragments: usize,
    /// Control frames that wait for one link.
    pub queued_control: usize,
}

impl Usage {
    /// The first of these that is beyond its limit: its name, what there is, and the limit.
    pub fn beyond(&self, limits: &Limits) -> Option<(&'static str, usize, usize)> {
        let all = [
            ("groups", self.groups, limits.groups),
            ("links", self.links, limits.links),
            ("sources", self.sources, limits.sources),
            ("window_bytes", self.window_bytes, limits.window_bytes),
            ("window_messages", self.window_messages, limits.window_messages),
            ("known_members", self.known_members, limits.known_members),
            ("queued_fragments", self.queued_fragments, limits.queued_fragments),
            ("queued_control", self.queued_control, limits.queued_control),
        ];
        all.into_iter().find(|&(_, used, limit)| used > limit)
    }
}

/// Where a host stands in one of its patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The patch.
    pub patch: PatchId,
    /// What it runs.
    pub protocol: ProtocolId,
    /// Who is above the host there; `None` for the root of a tree, and where the protocol builds
    /// none.
    pub parent: Option<HostId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_its_limit_is_named_and_what_reaches_it_is_not() {
        let limits = Limits { links: 4, queued_control: 7, ..Limits::default() };
        let full = Usage { links: 4, queued_control: 7, ..Usage::default() };
        assert_eq!(full.beyond(&limits), None);
        assert_eq!(Usage { links: 5, ..full }.beyond(&limits), Some(("links", 5, 4)));
        let control = Usage { queued_control: 8, ..full };
        assert_eq!(control.beyond(&limits), Some(("queued_control", 8, 7)));
    }
}
