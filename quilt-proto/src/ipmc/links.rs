//! The few members that a member keeps links with, so that what one misses another can give.

use super::frame::Frame;
use super::member::{Attachment, Cx, Member, Seen};
use crate::{HostId, Time};
use alloc::vec::Vec;
use core::time::Duration;

impl Member {
    /// How many members a host attaches to, besides those that inject. Guess: 2.
    const LINKS: usize = 2;
    /// How many of those that inject it attaches to, the latest ones.
    pub(super) const INJECTORS: usize = 2;
    /// The most members that attach to a host; others are sent away.
    const GUESTS: usize = 8;
    /// A member that does not answer for this long is let go.
    const ANSWER: Duration = Duration::from_secs(3);
    /// A member that was lost is not attached to for this long.
    pub(super) const LOST: Duration = Duration::from_secs(2);
    /// The same for one that has no room.
    const FULL: Duration = Duration::from_secs(60);
    /// A member whose beacons have not been heard for this long is forgotten, or for this many of
    /// the patch's pauses between two of them: 3 minutes at most.
    const GONE: Duration = Duration::from_secs(10);
    const GONE_PAUSES: u32 = 3;

    /// Forgets the silent, asks again those that have not answered, and fills the places.
    pub(super) fn tend(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        for (host, _) in cx.peers.iter() {
            self.seen.entry(host).or_insert(Seen::new(now));
        }
        let gone_after = Self::GONE.max(self.pause(now).saturating_mul(Self::GONE_PAUSES));
        let Self { seen, links, .. } = self;
        seen.retain(|&host, seen| {
            let gone = now.since(seen.beacon) > gone_after && !links.contains_key(&host);
            if gone {
                cx.forget(host);
                seen.attach_from = now + Self::LOST;
            }
            cx.peers.get(host).is_some()
        });
        let waiting = self.links.iter().filter(|(_, link)| !link.agreed);
        let waiting: Vec<_> = waiting.map(|(&host, link)| (host, link.since)).collect();
        for (host, since) in waiting {
            if now.since(since) < Self::ANSWER {
                cx.send(host, &self.attach_frame());
            } else {
                self.detach(cx, host);
                self.avoid(now, host, now + Self::LOST);
            }
        }
        self.attach_some(cx);
    }

    /// Attaches to whoever injects, and to members picked at random.
    pub(super) fn attach_some(&mut self, cx: &mut Cx<'_>) {
        if self.joined.is_none() {
            return;
        }
        for host in self.injectors.clone() {
            if self.is_free(cx, host) {
                self.attach(cx, host);
            }
        }
        if self.own_links() < Self::LINKS {
            self.attach_to_any(cx);
        }
        if self.own_links() > Self::LINKS.saturating_add(Self::INJECTORS) {
            let spare = self.links.iter().filter(|(_, link)| link.ours).map(|(&host, _)| host);
            let spare = spare.filter(|host| !self.injectors.contains(host)).min();
            if let Some(spare) = spare {
                self.detach(cx, spare);
            }
        }
    }

    /// Attaches to members picked at random, as long as there are places left.
    fn attach_to_any(&mut self, cx: &mut Cx<'_>) {
        let known = cx.peers.iter().map(|(host, _)| host);
        let mut free: Vec<HostId> = known.filter(|&host| self.is_free(cx, host)).collect();
        cx.rng.shuffle(&mut free);
        free.into_iter().for_each(|host| self.attach_if_short(cx, host));
    }

    /// Attaches to `host` if there are places left.
    pub(super) fn attach_if_short(&mut self, cx: &mut Cx<'_>, host: HostId) {
        if self.joined.is_some() && self.own_links() < Self::LINKS {
            self.attach(cx, host);
        }
    }

    /// `from` wants to be attached. Whether there is a place.
    pub(super) fn admit(&mut self, now: Time, from: HostId) -> bool {
        let guests = self.links.values().filter(|link| !link.ours).count();
        let admitted = self.links.contains_key(&from) || guests < Self::GUESTS;
        if admitted {
            let link = Attachment { ours: false, since: now, agreed: true };
            self.links.entry(from).or_insert(link).agreed = true;
        }
        admitted
    }

    pub(super) fn on_detach(&mut self, cx: &mut Cx<'_>, from: HostId) {
        if self.links.remove(&from).is_some() {
            self.hearing.on_answer();
            cx.release(from);
            self.avoid(cx.now(), from, cx.now() + Self::FULL);
            self.attach_some(cx);
        }
    }

    /// `host` is not attached to before `until`.
    pub(super) fn avoid(&mut self, now: Time, host: HostId, until: Time) {
        self.seen.entry(host).or_insert(Seen::new(now)).attach_from = until;
    }

    fn attach(&mut self, cx: &mut Cx<'_>, host: HostId) {
        if self.links.contains_key(&host) {
            return;
        }
        self.links.insert(host, Attachment { ours: true, since: cx.now(), agreed: false });
        cx.need(host);
        cx.send(host, &self.attach_frame());
    }

    fn detach(&mut self, cx: &mut Cx<'_>, host: HostId) {
        self.links.remove(&host);
        cx.send(host, &Frame::Detach);
        cx.release(host);
    }

    fn is_free(&self, cx: &Cx<'_>, host: HostId) -> bool {
        let avoided = self.seen.get(&host).is_some_and(|seen| seen.attach_from > cx.now);
        !avoided && !self.links.contains_key(&host) && cx.peers.get(host).is_some()
    }

    fn own_links(&self) -> usize {
        self.links.values().filter(|link| link.ours).count()
    }
}
