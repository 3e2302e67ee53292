//! How a host in need comes to a place with one question: a host without room hands it on to a child,
//! and whoever has room answers. So many hosts that come at once find a place each, in the time of
//! one round trip and the way down the tree.

use super::frame::Frame;
use super::tree::{Cx, Tree};
use super::values::Mode;
use crate::HostId;
use crate::counters::Counter;
use crate::wire::Contact;

/// A place that is asked for.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) mode: Mode,
    /// For whom.
    pub(super) contact: Contact,
    /// Of which search of that host's.
    pub(super) nonce: u64,
    /// How many clients there are in and below it.
    pub(super) weight: u32,
    /// How often the question may be handed on.
    pub(super) hops: u8,
}

impl Tree {
    /// A host, or the parent for one, asks for a place in or below this host.
    pub(super) fn on_seek(&mut self, cx: &mut Cx<'_>, from: HostId, seat: Seat, rtt: u32) {
        let host = seat.contact.host;
        if host == from {
            let held = self.children.contains_key(&host);
            if held || self.takes(host, seat.mode, 0) || !self.hand_on(cx, &seat) {
                self.on_attach(cx, from, seat.mode, seat.contact, (0, seat.weight, rtt));
            }
        } else if !self.is_parent(from) || host == self.me.host {
            cx.count(Counter::DroppedUnexpected);
        } else if self.takes(host, seat.mode, 0) {
            let (mode, nonce) = (seat.mode, seat.nonce);
            self.take_in(cx, mode, seat.contact, (seat.weight, 0));
            cx.tell(host, &Frame::Adopt { nonce, mode, lineage: self.lineage(cx) });
        } else {
            self.hand_on(cx, &seat);
        }
    }

    /// Hands a question on to the child that has least below it, and has not fallen silent; says
    /// whether there is one.
    fn hand_on(&mut self, cx: &mut Cx<'_>, seat: &Seat) -> bool {
        let host = seat.contact.host;
        // Whoever this host is about to go below does not go below it.
        let pending = self.search.as_ref().and_then(|search| search.pending);
        if pending == Some(host) || self.way().contains(host) || !self.serves() {
            return false;
        }
        let Some(hops) = seat.hops.checked_sub(1) else { return false };
        let full = self.children.iter_mut();
        let full = full.filter(|(child, of)| of.mode == Mode::Full && **child != host);
        let Some((&child, of)) = full.min_by_key(|(_, of)| (of.silent, of.sketch.weight)) else {
            return false;
        };
        // Until it says so itself.
        of.sketch.weight = of.sketch.weight.saturating_add(seat.weight);
        let (mode, contact) = (seat.mode, seat.contact.clone());
        let (nonce, weight) = (seat.nonce, seat.weight);
        let frame = Frame::Seek { mode, contact, nonce, weight, rtt: 0, hops };
        if cx.peers().get(child).is_some_and(|peer| peer.linked) {
            cx.send(child, &frame);
        } else {
            cx.tell(child, &frame);
        }
        true
    }
}
