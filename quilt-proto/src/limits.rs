//! The one place that bounds everything that can grow.

use core::time::Duration;

/// The most of everything. Each is checked before memory is taken; what happens at a limit is
/// said beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message; `publish` refuses longer ones, and fragments of longer ones are
    /// dropped. Default 16 MiB.
    pub message_bytes: usize,
    /// Bytes that one group's window holds, payload and 32 more for each fragment of a message that
    /// has begun; the oldest message goes first. Default 64 MiB.
    pub window_bytes: usize,
    /// How long a message stays in the window after it is whole. Default 30 s.
    pub window_time: Duration,
    /// Messages of one group between each source's oldest that is kept and its newest. Where there
    /// would be more, the oldest of the source that goes on go, and once that has no more than an
    /// equal share, those of the source that has most. Default 65,536.
    pub window_messages: usize,
    /// Sources of one group beside the host itself; fragments of further ones are dropped. Default
    /// 1,024.
    pub sources: usize,
    /// Groups a host is in; `join` refuses more. Default 1,024.
    pub groups: usize,
    /// Links a host has, dialled ones and multicast addresses included; further streams are refused, and
    /// further hosts count as out of reach. The host's own links go before streams on which nobody has
    /// said who that is. Default 256.
    pub links: usize,
    /// Fragments in the queue of one link, by name, not by content; of the lowest class that waits
    /// the oldest go first, and repair brings them. Default 65,536, about what the window holds.
    pub queued_fragments: usize,
    /// Control frames in the queue of one link; the stream is closed when more wait, since it is
    /// not being read. Default 1,024.
    pub queued_control: usize,
    /// Members that a host knows of one patch; the longest unheard goes first. Default 64.
    pub known_members: usize,
    /// Members of one patch that the bootstrap service remembers (the paper's "tens of long-lived
    /// members"); others stay members all the same. Default 64.
    pub directory_members: usize,
    /// Hosts of one group that the bootstrap service admits. Default 100,000.
    pub group_hosts: usize,
    /// Patches of one group; hosts that would need another are refused, and a survey of more ends
    /// there. Default 4,096.
    pub patches: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 16 << 20,
            window_bytes: 64 << 20,
            window_time: Duration::from_secs(30),
            window_messages: 65_536,
            sources: 1_024,
            groups: 1_024,
            links: 256,
            queued_fragments: 65_536,
            queued_control: 1_024,
            known_members: 64,
            directory_members: 64,
            group_hosts: 100_000,
            patches: 4_096,
        }
    }
}
