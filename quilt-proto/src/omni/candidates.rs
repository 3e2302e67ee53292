//! Whom a host asks when it looks for a parent, or for a better one.

use super::tree::{Cx, Place, Tree};
use super::values::half;
use crate::HostId;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// How many members are asked at first. Guess: enough that one of them is near.
const CANDIDATES: usize = 8;
/// The same for a host that is new: members near it are likely to be known, and many come at once. Guess.
const NEWCOMER: usize = 5;
/// How many a settled root asks for news of other trees, and a host that looks for a better parent.
/// Guess: few, since they do so often.
const SCOUTS: usize = 4;

/// The most that are remembered as asked. Guess: more than are known at a time.
const MAX_ASKED: usize = 256;

impl Tree {
    /// Whether this host has no parent that sends it what it wants.
    pub(super) fn is_in_need(&self) -> bool {
        self.parent().is_none_or(|parent| parent.mode != self.mode())
    }

    /// Somebody above the parent, if there is one: the root, if the last link is a good part of the
    /// way from there, else the grandparent.
    pub(super) fn above(&self, cx: &mut Cx<'_>) -> Option<HostId> {
        let parent = self.parent()?;
        let lineage = &parent.lineage;
        let above = Some(&lineage.way.root)
            .filter(|_| self.is_far_out())
            .or(lineage.grandparent.as_ref())?;
        if cx.peers().get(above.host).is_none() {
            cx.learn(above.clone());
        }
        Some(above.host).filter(|&host| host != parent.host)
    }

    /// Whether the last link is a good part of the way from the root.
    pub(super) fn is_far_out(&self) -> bool {
        let link = self.parent().map(|parent| half(parent.rtt)).unwrap_or_default();
        link.saturating_mul(4) >= self.way().latency
    }

    /// Members to ask beside so many that are known to be worth it: half of them near, as far as
    /// that is known, and half of them at random.
    pub(super) fn candidates(&mut self, cx: &mut Cx<'_>, beside: usize) -> Vec<HostId> {
        let now = cx.now();
        let free = |host: &HostId| {
            let shunned = self.shunned.get(host).is_some_and(|&until| now < until);
            !shunned && !self.children.contains_key(host) && !self.is_parent(*host)
        };
        let mut others: Vec<_> = cx.peers().iter().map(|(host, _)| host).filter(free).collect();
        if !self.is_in_need() {
            // Whoever was asked already comes again when all were.
            let asked = &mut self.asked;
            if asked.len() > MAX_ASKED || others.iter().all(|host| asked.contains(host)) {
                asked.clear();
            }
            others.retain(|host| !asked.contains(host));
        }
        cx.rng().shuffle(&mut others);
        let wanted = match self.place {
            Place::Top { provisional: false } => SCOUTS,
            _ if !self.is_in_need() => SCOUTS,
            _ if self.attempts == 0 && self.lost.is_none() => NEWCOMER,
            _ => CANDIDATES,
        };
        let wanted = wanted.saturating_sub(beside);
        others.sort_by_key(|&host| self.distance(cx, host));
        let far = others.split_off(others.len().min(wanted.div_ceil(2)));
        let mut far = far;
        cx.rng().shuffle(&mut far);
        far.truncate(wanted.saturating_sub(others.len()));
        others.extend(far);
        self.asked.extend(&others);
        others
    }

    /// How far away a member is: measured, else as its address has it: hosts whose addresses begin
    /// alike are often near.
    fn distance(&self, cx: &Cx<'_>, host: HostId) -> (bool, Duration, u128) {
        let peer = cx.peers().get(host);
        let address = peer.and_then(|peer| peer.contact.addresses.first());
        let apart = address.zip(self.me.addresses.first()).map(|(a, b)| apart(a, b));
        let rtt = peer.and_then(|peer| peer.rtt);
        (rtt.is_none(), rtt.unwrap_or_default(), apart.unwrap_or(u128::MAX))
    }
}

/// How much two addresses differ, the foremost bits counting most.
fn apart(a: &SocketAddr, b: &SocketAddr) -> u128 {
    match (a.ip(), b.ip()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => u128::from(a.to_bits() ^ b.to_bits()),
        (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() ^ b.to_bits(),
        _ => u128::MAX,
    }
}
