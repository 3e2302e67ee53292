//! Which links are kept, and for how long.

use super::frame::Frame;
use super::tree::{Cx, Timer, Tree};
use crate::HostId;
use crate::counters::Counter;
use alloc::vec::Vec;
use core::time::Duration;

/// How long the link to a host that is neither parent nor child is kept after an answer, so that
/// the answer gets out, and the host's next question finds the link. Guess: a search and a half.
const GUEST_STAY: Duration = Duration::from_secs(3);
/// The most of them; further ones get no answer. Guess: a burst of joiners at the root.
const MAX_GUESTS: usize = 64;
/// How long a host that was out of reach is not asked again. Guess: several searches.
const SHUN: Duration = Duration::from_secs(5);
/// The most of them; the one with the lowest id is forgotten. As many as members are known.
const MAX_SHUNNED: usize = 64;

impl Tree {
    /// Whether the link to `host` serves for anything.
    pub(super) fn uses(&self, host: HostId) -> bool {
        self.is_parent(host)
            || self.children.contains_key(&host)
            || self.guests.contains_key(&host)
            || self.search.as_ref().is_some_and(|search| search.needs(host))
    }

    /// Gives up the link to `host` if it serves for nothing any more.
    pub(super) fn let_go(&self, cx: &mut Cx<'_>, host: HostId) {
        if !self.uses(host) {
            cx.release(host);
        }
    }

    /// Sends a frame to a host whoever it is, and keeps the link for a while.
    pub(super) fn answer(&mut self, cx: &mut Cx<'_>, to: HostId, frame: &Frame) {
        if self.guests.len() >= MAX_GUESTS && !self.guests.contains_key(&to) {
            return cx.count(Counter::DroppedUnexpected);
        }
        cx.need(to);
        cx.send(to, frame);
        self.guests.insert(to, cx.now() + GUEST_STAY);
        if !cx.is_set(Timer::Guests) {
            cx.set_timer(Timer::Guests, cx.now() + GUEST_STAY);
        }
    }

    pub(super) fn see_guests_off(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        let gone: Vec<_> =
            self.guests.iter().filter(|&(_, &until)| until <= now).map(|(&host, _)| host).collect();
        for host in gone {
            self.guests.remove(&host);
            self.let_go(cx, host);
        }
        if let Some(&next) = self.guests.values().min() {
            cx.set_timer(Timer::Guests, next);
        }
    }

    /// Leaves `host` alone for a while.
    pub(super) fn shun(&mut self, cx: &mut Cx<'_>, host: HostId) {
        let now = cx.now();
        self.shunned.retain(|_, &mut until| now < until);
        self.shunned.insert(host, now + SHUN);
        if self.shunned.len() > MAX_SHUNNED {
            self.shunned.pop_first();
        }
    }
}
