//! The membership cache: who may be asked to be a partner (CoolStreaming calls it mCache).

use super::frame::{Frame, Known};
use crate::protocol::Peers;
use crate::wire::Contact;
use crate::{HostId, Rng, Time};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

/// What is remembered of the members beside how to reach them.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache {
    /// When a member was last known to be alive, here or by the word of others. Once in a while
    /// those go that the container does not keep.
    alive: BTreeMap<HostId, Time>,
    /// Members that are not asked for a while.
    resting: BTreeMap<HostId, Rest>,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Time,
    failures: u32,
}

impl Cache {
    /// Nobody passes on word of a member older than this, so the dead are forgotten by all.
    const MAX_AGE: Duration = Duration::from_secs(60);
    /// Who refused is not asked again before this.
    const REFUSED: Duration = Duration::from_secs(5);
    /// Who did not answer, or was lost, is not asked again before this, doubled each time.
    const FAILED: Duration = Duration::from_millis(250);
    /// The longest time that a member rests. Guess: 30 s.
    const MAX_REST: Duration = Duration::from_secs(30);
    /// The most members that are remembered until then.
    const MAX_ALIVE: usize = 256;
    /// The most members that rest.
    const MAX_RESTING: usize = 128;
    /// So often in a row a member may fail before it is forgotten, if enough others are known.
    const MAX_FAILURES: u32 = 4;
    /// So many members are enough.
    const ENOUGH: usize = 8;

    /// `host` was alive at `at`.
    pub(super) fn saw(&mut self, host: HostId, at: Time) {
        if self.alive.len() >= Self::MAX_ALIVE && !self.alive.contains_key(&host) {
            return;
        }
        let seen = self.alive.entry(host).or_insert(at);
        *seen = at.max(*seen);
    }

    /// `host` is a partner: whatever happened before is forgotten.
    pub(super) fn met(&mut self, host: HostId, now: Time) {
        self.resting.remove(&host);
        self.saw(host, now);
    }

    /// `host` has no room, or is to be left alone for as long as if it had none.
    pub(super) fn refused(&mut self, host: HostId, now: Time) {
        let failures = self.failures(host);
        self.rest(host, Rest { until: now + Self::REFUSED, failures });
    }

    /// `host` left the patch: word of it that still goes round is not believed.
    pub(super) fn left(&mut self, host: HostId, now: Time) {
        self.alive.remove(&host);
        self.rest(host, Rest { until: now + Self::MAX_REST, failures: Self::MAX_FAILURES });
    }

    /// `host` did not answer, or its link broke. Whether it is to be forgotten.
    pub(super) fn failed(&mut self, host: HostId, now: Time, known: usize) -> bool {
        let failures = self.failures(host).saturating_add(1);
        let doubled = 1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let pause = Self::FAILED.saturating_mul(doubled).min(Self::MAX_REST);
        self.rest(host, Rest { until: now + pause, failures });
        failures >= Self::MAX_FAILURES && known > Self::ENOUGH
    }

    /// The members that may be asked now: those that are `free` and do not rest.
    pub(super) fn candidates(
        &self,
        peers: &Peers,
        now: Time,
        free: impl Fn(HostId) -> bool,
    ) -> Vec<HostId> {
        let rests = |host| self.resting.get(&host).is_some_and(|rest| rest.until > now);
        peers.iter().map(|(host, _)| host).filter(|&host| free(host) && !rests(host)).collect()
    }

    /// When the next member of `peers` has rested.
    pub(super) fn next_rested(&self, peers: &Peers, now: Time) -> Option<Time> {
        let resting = self.resting.iter().filter(|(host, _)| peers.get(**host).is_some());
        resting.map(|(_, rest)| rest.until).filter(|&until| until > now).min()
    }

    /// Some members to tell `to` of, picked at random among those that were alive lately.
    pub(super) fn sample(&self, peers: &Peers, now: Time, rng: &mut Rng, to: HostId) -> Vec<Known> {
        let lately = |host: HostId| {
            let age = now.since(*self.alive.get(&host)?);
            let rests = self.resting.contains_key(&host);
            (host != to && age < Self::MAX_AGE && !rests).then_some(age.as_secs())
        };
        let mut known: Vec<Known> = peers
            .iter()
            .filter_map(|(host, peer)| Some((lately(host)?, peer.contact.clone())))
            .map(|(age, contact)| Known { contact, age_s: u8::try_from(age).unwrap_or(u8::MAX) })
            .collect();
        rng.shuffle(&mut known);
        Frame::fit(known)
    }

    /// Takes in word of a member. Its contact, if that is news.
    pub(super) fn hear(&mut self, peers: &Peers, now: Time, known: Known) -> Option<Contact> {
        let Known { contact, age_s } = known;
        let age = Duration::from_secs(u64::from(age_s));
        if age >= Self::MAX_AGE || self.failures(contact.host) > 0 {
            return None;
        }
        self.saw(contact.host, now - age);
        let peer = peers.get(contact.host);
        let news = peer.is_none_or(|peer| peer.contact.incarnation < contact.incarnation);
        news.then_some(contact)
    }

    /// Drops what is of no more use.
    pub(super) fn tidy(&mut self, peers: &Peers, now: Time) {
        self.alive.retain(|&host, _| peers.get(host).is_some());
        self.resting.retain(|&host, rest| {
            let known = peers.get(host).is_some() && rest.failures > 0;
            known || rest.until > now
        });
    }

    fn failures(&self, host: HostId) -> u32 {
        self.resting.get(&host).map_or(0, |rest| rest.failures)
    }

    fn rest(&mut self, host: HostId, rest: Rest) {
        if self.resting.len() >= Self::MAX_RESTING && !self.resting.contains_key(&host) {
            let soonest = self.resting.iter().min_by_key(|(_, rest)| rest.until);
            if let Some(soonest) = soonest.map(|(&host, _)| host) {
                self.resting.remove(&soonest);
            }
        }
        self.resting.insert(host, rest);
    }
}
