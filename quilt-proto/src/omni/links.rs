//! Which links are kept, and who is left alone.

use super::tree::{Cx, Tree};
use crate::HostId;
use core::time::Duration;

/// How long a host that was out of reach is not asked again. Guess: several searches.
pub(super) const UNREACHED: Duration = Duration::from_secs(5);
/// How long a host that sent this one away is not asked again: it may be the only one there is.
/// Guess: one search.
pub(super) const SENT_AWAY: Duration = Duration::from_millis(500);
/// The most of them; the one with the lowest id is forgotten. As many as members are known.
const MAX_SHUNNED: usize = 64;

impl Tree {
    /// Whether the link to `host` serves for anything.
    pub(super) fn uses(&self, host: HostId) -> bool {
        self.is_parent(host)
            || self.former == Some(host)
            || self.children.contains_key(&host)
            || self.search.as_ref().is_some_and(|search| search.needs(host))
    }

    /// Gives up the link to `host` if it serves for nothing any more.
    pub(super) fn let_go(&self, cx: &mut Cx<'_>, host: HostId) {
        if !self.uses(host) {
            cx.release(host);
        }
    }

    /// Leaves `host` alone for so long.
    pub(super) fn shun(&mut self, cx: &mut Cx<'_>, host: HostId, time: Duration) {
        let now = cx.now();
        self.shunned.retain(|_, &mut until| now < until);
        self.shunned.insert(host, now + time);
        if self.shunned.len() > MAX_SHUNNED {
            self.shunned.pop_first();
        }
    }
}
