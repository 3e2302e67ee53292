//! One patch as it runs on this host: its protocol, its members, and when it tells what is held.

use super::Host;
use super::links::Links;
use crate::protocol::{
    Effect, ErasedProtocol, Holdings, Lent, Peer, Peers, Setup, Telling, Timers,
};
use crate::wire::{Assignment, Contact, Membership, Scope};
use crate::{
    History, HostId, HostTag, LinkId, PatchId, ProtocolId, Rng, Role, Standing, Time, Unusable,
};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use smallvec::SmallVec;

/// A word on what is held follows news after this.
const WORD_DELAY: Duration = Duration::from_millis(20);
/// Words of one patch lie at least so far apart while there is news.
const WORD_SPACING: Duration = Duration::from_millis(100);
/// The same where words go along with other things.
const OFFER_SPACING: Duration = Duration::from_millis(250);
/// Without news words come ever more rarely, at last once in this time.
const MAX_WORD_INTERVAL: Duration = Duration::from_secs(10);
/// A host that no member told of the sources' heads by then counts as admitted all the same.
const FIRST_WORD_TIMEOUT: Duration = Duration::from_secs(1);

/// A host that wants what was published before it waits so long for further members' words after the
/// first one. Guess: ten round trips within a region.
const HISTORY_WAIT: Duration = Duration::from_millis(100);

/// A running patch.
pub(super) struct Patch {
    pub(super) id: PatchId,
    pub(super) scope: Scope,
    pub(super) protocol: ProtocolId,
    /// What the bootstrap service wants this host to be in the patch.
    pub(super) assigned: Role,
    /// What it is: a member that stands by may have stepped in.
    pub(super) role: Role,
    pub(super) nic: u8,
    pub(super) parameters: Bytes,
    pub(super) representatives: Vec<HostId>,
    /// Who steps in if none of those is there, in that order.
    pub(super) standbys: Vec<HostId>,
    needs: BTreeSet<HostId>,
    /// The revision of the links that `peers` are up to date with.
    looked: Option<u64>,
    pub(super) multicast: Option<LinkId>,
    pub(super) peers: Peers,
    /// Since when nothing was heard of each of `peers`, or since some time before that.
    unheard: Timers<HostId>,
    pub(super) wants_contacts: bool,
    /// This host forwards between this region and the inter-patch patch.
    pub(super) forwards: bool,
    instance: Box<dyn ErasedProtocol>,
    rng: Rng,
    /// Where in its cycles the protocol is, if it works in cycles: hosts are not in step.
    phase: u64,
    /// Until when the first word of a member is waited for; `None` once it came.
    first_word: Option<Time>,
    word_due: Option<Time>,
    word_interval: Duration,
    last_word: Time,
    max_peers: usize,
}

impl Patch {
    /// The patch that an assignment asks for; `None` if this host has not the protocol.
    pub(super) fn new(now: Time, host: &mut Host, assignment: &Assignment) -> Option<Self> {
        let plugin = host.config.registry.get(assignment.protocol)?;
        let nic = host.config.nics.get(usize::from(assignment.nic))?;
        let setup = Setup {
            me: host.config.host,
            patch: assignment.patch,
            parameters: assignment.parameters.clone(),
            interface: nic.address,
            contact: Contact {
                host: host.config.host,
                incarnation: host.config.incarnation,
                addresses: host.config.addresses.clone(),
                euid: nic.euid.clone(),
            },
            named: assignment.contacts.iter().map(|contact| contact.host).collect(),
        };
        let instance = plugin.start(&setup).into_inner();
        let mut patch = Self {
            id: assignment.patch,
            scope: assignment.scope,
            protocol: assignment.protocol,
            assigned: assignment.role,
            role: assignment.role,
            nic: assignment.nic,
            parameters: assignment.parameters.clone(),
            representatives: assignment.representatives.to_vec(),
            standbys: assignment.standbys.to_vec(),
            needs: BTreeSet::new(),
            looked: None,
            multicast: None,
            peers: Peers::default(),
            unheard: Timers::default(),
            wants_contacts: false,
            forwards: false,
            instance,
            rng: host.rng.fork("patch"),
            phase: host.config.host.tag().0,
            first_word: None,
            word_due: None,
            word_interval: WORD_DELAY,
            last_word: Time::ZERO,
            max_peers: host.config.limits.known_members,
        };
        for contact in &assignment.contacts {
            patch.learn(now, host.config.host, contact.clone());
        }
        patch.first_word = (!patch.peers.is_empty()).then(|| now + FIRST_WORD_TIMEOUT);
        Some(patch)
    }

    /// Calls a handler of the protocol; its effects are put behind `effects`.
    pub(super) fn call<R>(
        &mut self,
        now: Time,
        me: HostId,
        holdings: &dyn Holdings,
        effects: &mut Vec<Effect>,
        handler: impl FnOnce(&mut dyn ErasedProtocol, Lent<'_>) -> R,
    ) -> R {
        let Self { id, peers, rng, instance, .. } = self;
        handler(&mut **instance, Lent { now, me, patch: *id, peers, holdings, rng, effects })
    }

    pub(super) fn neighbours(&self) -> SmallVec<[HostId; 16]> {
        self.instance.neighbours()
    }

    /// The protocol's neighbours, and how many hosts are served by way of each.
    pub(super) fn served(&self) -> impl Iterator<Item = (HostId, usize)> {
        let neighbours = self.instance.neighbours().into_iter();
        neighbours.map(|host| (host, self.instance.served_by(host)))
    }

    pub(super) fn hub(&self) -> Option<HostId> {
        self.instance.hub()
    }

    /// The member above this host, where the protocol builds a tree.
    pub(super) fn parent(&self) -> Option<HostId> {
        self.instance.parent()
    }

    /// The other hosts that represent the region with this one, or stand by for those who do; none
    /// where this host does neither.
    pub(super) fn fellows(&self, me: HostId) -> impl Iterator<Item = HostId> {
        let stands_by = self.standbys.contains(&me);
        let on_duty = self.assigned == Role::Representative || stands_by;
        let all = self.representatives.iter().chain(&self.standbys).copied();
        all.filter(move |&host| on_duty && host != me && self.scope == Scope::Regional)
    }

    /// What this host is to be in its region, if those `lost` are not there: it steps in where nobody
    /// is left that comes before it.
    pub(super) fn role_without(&self, me: HostId, lost: impl Fn(HostId) -> bool) -> Role {
        let before = self.standbys.iter().take_while(|&&host| host != me);
        let mut before = self.representatives.iter().chain(before);
        let steps_in = self.standbys.contains(&me) && before.all(|&host| lost(host));
        if steps_in { Role::Representative } else { self.assigned }
    }

    /// Where this host stands in the patch.
    pub(super) fn standing(&self) -> Standing {
        Standing { patch: self.id, protocol: self.protocol, parent: self.parent() }
    }

    pub(super) fn telling(&self) -> Telling {
        self.instance.telling()
    }

    /// The first time after `now` at which the protocol, if it works in cycles, tells and asks.
    pub(super) fn next_cycle(&self, now: Time) -> Option<Time> {
        let Telling::Cycle(cycle) = self.telling() else { return None };
        let cycle = cycle.as_nanos().max(1);
        let past = u128::from(now.as_nanos()).checked_rem(cycle)?;
        let phase = u128::from(self.phase).checked_rem(cycle)?;
        let left = cycle.saturating_add(phase).saturating_sub(past).checked_rem(cycle)?;
        let left = u64::try_from(if left == 0 { cycle } else { left }).ok()?;
        Some(now + Duration::from_nanos(left))
    }

    pub(super) fn announces(&self) -> bool {
        self.instance.announces()
    }

    /// Adds a member, or brings what is known of it up to date. True if it is new.
    pub(super) fn learn(&mut self, now: Time, me: HostId, contact: Contact) -> bool {
        let host = contact.host;
        if host == me || contact.addresses.is_empty() {
            return false;
        }
        if let Some(peer) = self.peers.0.get_mut(&host) {
            if peer.contact.incarnation <= contact.incarnation {
                peer.contact = contact;
            }
            return false;
        }
        let peer = Peer { contact, linked: false, rtt: None, heard: now, datagrams: None };
        let peer = if self.peers.len() < self.max_peers {
            Box::new(peer)
        } else {
            let Some(oldest) = self.longest_unheard() else { return false };
            let Some(mut room) = self.peers.0.remove(&oldest) else { return false };
            *room = peer;
            room
        };
        self.looked = None;
        self.peers.0.insert(host, peer);
        self.unheard.set(host, now);
        true
    }

    /// The member that nobody needs and of which nothing was heard for longest; of several, the
    /// first.
    fn longest_unheard(&mut self) -> Option<HostId> {
        let mut needed: SmallVec<[(HostId, Time); 16]> = SmallVec::new();
        let mut oldest = None;
        while let Some(since) = self.unheard.next() {
            let Some(host) = self.unheard.pop(since) else { break };
            let heard = self.peers.get(host).map_or(since, |peer| peer.heard);
            if heard > since {
                self.unheard.set(host, heard);
            } else if self.needs.contains(&host) {
                needed.push((host, since));
            } else {
                oldest = Some(host);
                break;
            }
        }
        needed.into_iter().for_each(|(host, since)| self.unheard.set(host, since));
        oldest
    }

    pub(super) fn forget(&mut self, host: HostId) {
        self.peers.0.remove(&host);
        self.unheard.stop(host);
    }

    /// Something came of the host with this tag: the member that it is.
    pub(super) fn hear(&mut self, now: Time, tag: HostTag) -> Option<HostId> {
        let (&host, peer) = self.peers.with_tag(tag)?;
        peer.heard = now;
        Some(host)
    }

    /// Something of a member was heard.
    pub(super) fn heard(&mut self, now: Time, host: HostId) {
        if let Some(peer) = self.peers.0.get_mut(&host) {
            peer.heard = now;
        }
    }

    /// The round trip to a member was measured by datagram. A link's own figure is better.
    pub(super) fn measured(&mut self, now: Time, host: HostId, rtt: Duration) {
        if let Some(peer) = self.peers.0.get_mut(&host) {
            peer.heard = now;
            if !peer.linked || peer.rtt.is_none() {
                peer.rtt = Some(rtt);
            }
        }
    }

    /// A multicast packet of a member came from `at`: where that is one of its addresses, datagrams
    /// reach it there.
    pub(super) fn prove(&mut self, now: Time, host: HostId, at: IpAddr) {
        if let Some(peer) = self.peers.0.get_mut(&host) {
            peer.heard = now;
            let is_it = |address: &&SocketAddr| address.ip() == at;
            peer.datagrams = peer.contact.addresses.iter().find(is_it).copied();
        }
    }

    pub(super) fn needs(&self) -> &BTreeSet<HostId> {
        &self.needs
    }

    /// A link to the host is needed from now on; false if it was before.
    pub(super) fn need(&mut self, host: HostId) -> bool {
        self.looked = None;
        self.needs.insert(host)
    }

    /// No link to the host is needed any more; false if none was.
    pub(super) fn release(&mut self, host: HostId) -> bool {
        self.needs.remove(&host)
    }

    /// Brings what is known of the links to members up to date.
    pub(super) fn look_at_links(&mut self, links: &Links) {
        let revision = Some(links.revision());
        if core::mem::replace(&mut self.looked, revision) == revision {
            return;
        }
        for host in &self.needs {
            if let Some(peer) = self.peers.0.get_mut(host) {
                let (linked, rtt) = links.state(*host);
                (peer.linked, peer.rtt) = (linked, steady(peer.rtt, rtt));
            }
        }
    }

    pub(super) fn unlinked(&mut self, host: HostId) {
        if let Some(peer) = self.peers.0.get_mut(&host) {
            peer.linked = false;
        }
    }

    /// Whether the host has been told of the sources that were there before it.
    pub(super) fn is_admitted(&self, now: Time) -> bool {
        self.first_word.is_none_or(|until| until <= now)
    }

    /// A member told all that it holds. Where the past is wanted, others may hold more of it.
    pub(super) fn on_word(&mut self, now: Time, history: History) {
        let wait = now + HISTORY_WAIT;
        let until = self.first_word.filter(|_| history != History::None);
        self.first_word = until.map(|until| until.min(wait));
    }

    /// There is news to tell.
    pub(super) fn news(&mut self, now: Time) {
        let due = match self.telling() {
            // What is announced to all is so at once, however neighbours are told.
            Telling::Along if !self.announces() => {
                (now + WORD_DELAY).max(self.last_word + OFFER_SPACING)
            }
            Telling::Prompt | Telling::Along => {
                (now + WORD_DELAY).max(self.last_word + WORD_SPACING)
            }
            Telling::Cycle(_) => self.next_cycle(now).unwrap_or(now + WORD_DELAY),
        };
        self.word_due = Some(self.word_due.map_or(due, |at| at.min(due)));
        self.word_interval = WORD_DELAY;
    }

    /// A word that is due waits a little.
    pub(super) fn put_off_word(&mut self, now: Time) {
        self.word_due = self.word_due.map(|due| due.max(now + WORD_DELAY));
    }

    /// Whether there was no news for long enough that nothing more will show what a neighbour misses.
    pub(super) fn rests(&self) -> bool {
        self.word_interval > OFFER_SPACING
    }

    /// Whether a word is due. The next one follows later, or not at all if nothing is held.
    pub(super) fn take_word(&mut self, now: Time, holds_nothing: bool) -> bool {
        if self.word_due.is_none_or(|due| due > now) {
            return false;
        }
        self.last_word = now;
        self.word_interval = self.word_interval.saturating_mul(2).min(MAX_WORD_INTERVAL);
        let next = self.next_cycle(now).unwrap_or(now + self.word_interval);
        self.word_due = (!holds_nothing).then_some(next);
        true
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        [self.instance.poll_timeout(), self.word_due, self.first_word].into_iter().flatten().min()
    }

    /// Fires the protocol's earliest timer if it is due; false if none is.
    pub(super) fn on_timeout(
        &mut self,
        now: Time,
        me: HostId,
        holdings: &dyn Holdings,
        effects: &mut Vec<Effect>,
    ) -> bool {
        if self.first_word.is_some_and(|until| until <= now) {
            self.first_word = None;
        }
        self.call(now, me, holdings, effects, |protocol, lent| protocol.on_timeout(lent))
    }

    pub(super) fn membership(&self) -> Membership {
        Membership {
            patch: self.id,
            scope: self.scope,
            protocol: self.protocol,
            role: self.role,
            nic: self.nic,
            parameters: self.parameters.clone(),
            wants_contacts: self.wants_contacts,
            forwards: self.forwards,
        }
    }
}

/// The round trip as it is known, now that the link has measured it once more: what was longer is
/// noise, unless it was much longer.
fn steady(known: Option<Duration>, link: Option<Duration>) -> Option<Duration> {
    let (Some(known), Some(link)) = (known, link) else { return link.or(known) };
    let noise = known.checked_div(4).unwrap_or_default();
    Some(if link > known.saturating_add(noise) { link } else { link.min(known) })
}

impl core::fmt::Debug for Patch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Patch").field("id", &self.id).field("protocol", &self.protocol).finish()
    }
}

/// A protocol of this host that turned out not to work, and why.
pub(super) type Broken = BTreeMap<ProtocolId, Unusable>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Incarnation;
    use crate::euid::Euid;
    use crate::node::Config;
    use core::net::SocketAddr;

    fn patch(max_peers: usize) -> Patch {
        let address = SocketAddr::from(([10, 0, 0, 1], 1));
        let mut config = Config::new(HostId([0; 32]), Incarnation(1), address);
        config.limits.known_members = max_peers;
        let assignment = Assignment {
            patch: PatchId(1),
            scope: Scope::Regional,
            protocol: ProtocolId::IPMC,
            role: Role::Member,
            nic: 0,
            parameters: Bytes::new(),
            euid: Euid::default(),
            representatives: [].into_iter().collect(),
            standbys: [].into_iter().collect(),
            contacts: [].into_iter().collect(),
        };
        let mut host = Host { config, rng: Rng::new(1) };
        Patch::new(Time::ZERO, &mut host, &assignment).expect("the protocol is registered")
    }

    #[test]
    fn of_too_many_members_the_one_unheard_for_longest_goes_unless_it_is_needed() {
        let (mut rng, mut patch) = (Rng::new(2), patch(8));
        let addresses: SmallVec<_> = [SocketAddr::from(([10, 0, 0, 2], 1))].into_iter().collect();
        let mut evicted = 0;
        for step in 0..5_000 {
            let now = Time::from_millis(step / 3);
            let host = HostId([1 + rng.below(30) as u8; 32]);
            match rng.below(8) {
                0 => patch.forget(host),
                1 => drop(patch.need(host)),
                2 => drop(patch.release(host)),
                3..=5 => patch.heard(now, host),
                _ => {
                    let known = patch.peers.iter().map(|(host, peer)| (peer.heard, host));
                    let oldest = known.filter(|(_, host)| !patch.needs.contains(host)).min();
                    let full = patch.peers.get(host).is_none() && patch.peers.len() == 8;
                    let (incarnation, euid) = (Incarnation(1), Euid::default());
                    let addresses = addresses.clone();
                    let contact = Contact { host, incarnation, addresses, euid };
                    patch.learn(now, HostId([0; 32]), contact);
                    if let Some((_, oldest)) = oldest.filter(|_| full) {
                        assert!(patch.peers.get(oldest).is_none(), "in step {step}");
                        evicted += 1;
                    }
                }
            }
            assert!(patch.peers.len() <= 8);
        }
        assert!(evicted > 100, "{evicted}");
    }
}
