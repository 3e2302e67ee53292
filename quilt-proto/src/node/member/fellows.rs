//! The other representatives of this host's regions, and whether they are there.

use super::protocols::address;
use super::*;

/// A fellow representative that is out of reach is tried again after this.
const RETRY: Duration = Duration::from_secs(1);
/// A fellow representative whose address is not known for so long counts as out of reach.
const UNMET_PATIENCE: Duration = Duration::from_secs(3);
/// Where two beats are missing, so many datagrams ask whether the fellow is there, before it counts
/// as out of reach: a beat may stand behind something that was lost.
const QUESTIONS: u32 = 3;
/// They lie so far apart, or two round trips. Guess: where a tenth of all datagrams is lost, one silence
/// in 150 is mistaken for a death.
const QUESTION_PAUSE: Duration = Duration::from_millis(50);

/// What is known of the fellows of whom nothing is heard.
#[derive(Debug, Default)]
pub(super) struct Fellows {
    /// Who is out of reach, and when it is tried again.
    lost: BTreeMap<HostId, Time>,
    /// Whose address is not known, and since when.
    unmet: BTreeMap<HostId, Time>,
    /// Who has missed two beats.
    doubted: BTreeMap<HostId, Doubt>,
    /// When something new last came or was published here.
    pub(super) busy: Option<Time>,
}

/// A fellow that has missed two beats.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    asked: u32,
    /// When it is asked again, or given up.
    next: Time,
}

impl Fellows {
    pub(super) fn is_lost(&self, host: HostId) -> bool {
        self.lost.contains_key(&host)
    }

    pub(super) fn lost(&self) -> impl Iterator<Item = HostId> {
        self.lost.keys().copied()
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let doubts = self.doubted.values().map(|doubt| doubt.next);
        self.lost.values().copied().chain(doubts).min()
    }
}

impl Member {
    /// Keeps a stream to every fellow representative: what it says, and its end, is the fastest word
    /// of a death.
    pub(super) fn look_for_fellows(&mut self, env: &mut Env<'_>) {
        let now = env.now;
        let fellows = self.fellows_by_region();
        let lost = self.fellows.lost.len();
        let is_fellow = |host: &HostId| fellows.iter().any(|(_, fellow)| fellow == host);
        let answers = |host: HostId| env.links.is_up(host) && !env.links.is_silent(host);
        self.fellows.lost.retain(|&host, _| is_fellow(&host) && !answers(host));
        self.fellows.unmet.retain(|&host, _| is_fellow(&host) && !env.links.is_up(host));
        self.fellows.doubted.retain(|&host, _| is_fellow(&host) && env.links.is_silent(host));
        if self.fellows.lost.len() < lost {
            self.choose_forwarders(env);
        }
        for (region, host) in fellows {
            if self.fellows.lost.get(&host).is_some_and(|&at| at > now) {
                continue;
            }
            if let Some(retry) = self.fellows.lost.get_mut(&host) {
                *retry = now + RETRY;
            }
            let peer = self.patches.values().find_map(|patch| patch.peers.get(host));
            match peer {
                Some(peer) => {
                    let need = Need::Relay(self.id, region);
                    env.need(host, need, Some(&peer.contact));
                }
                None => self.ask_for_fellow(env, region, host),
            }
            if let Some(busy) = self.fellows.busy {
                env.links.enliven(host, busy);
            }
        }
        self.ask_doubted(env);
    }

    /// The other representatives of the regions that this host represents.
    fn fellows_by_region(&self) -> Vec<(PatchId, HostId)> {
        let mut fellows = Vec::new();
        for patch in self.patches.values() {
            if patch.role == Role::Representative && patch.scope == Scope::Regional {
                let others = patch.representatives.iter().filter(|&&host| host != self.me);
                fellows.extend(others.map(|&host| (patch.id, host)));
            }
        }
        fellows
    }

    /// A fellow representative that nobody told the address of: the service is asked, and if that
    /// does not help for long, it counts as out of reach.
    fn ask_for_fellow(&mut self, env: &mut Env<'_>, region: PatchId, host: HostId) {
        if let Some(patch) = self.patches.get_mut(&region) {
            patch.wants_contacts = true;
        }
        let since = *self.fellows.unmet.entry(host).or_insert(env.now);
        if since + UNMET_PATIENCE <= env.now {
            self.on_fellow_lost(env, host);
        }
    }

    /// A fellow representative has missed two beats.
    pub(in crate::node) fn on_fellow_silent(&mut self, env: &mut Env<'_>, host: HostId) {
        let doubt = Doubt { asked: 0, next: env.now };
        self.fellows.doubted.entry(host).or_insert(doubt);
        self.look_for_fellows(env);
    }

    /// Asks those that have missed beats whether they are there, and gives up who does not answer.
    /// Whoever no datagram reaches has until its stream counts as dead.
    fn ask_doubted(&mut self, env: &mut Env<'_>) {
        for (region, host) in self.fellows_by_region() {
            let doubt = self.fellows.doubted.get(&host).copied();
            let Some(doubt) = doubt.filter(|doubt| doubt.next <= env.now) else { continue };
            let at = self.patches.values().find_map(|patch| address(patch, host));
            let Some(at) = at.filter(|_| doubt.asked < QUESTIONS) else {
                self.fellows.doubted.remove(&host);
                if at.is_some() {
                    self.on_fellow_lost(env, host);
                }
                continue;
            };
            env.links.measure(host, at, Need::Relay(self.id, region));
            let trips = env.links.rtt(host).unwrap_or_default().saturating_mul(2);
            let next = env.now + QUESTION_PAUSE.max(trips);
            let asked = doubt.asked.saturating_add(1);
            self.fellows.doubted.insert(host, Doubt { asked, next });
        }
    }

    /// A fellow representative answered a datagram.
    pub(in crate::node) fn on_fellow_there(&mut self, env: &mut Env<'_>, host: HostId) {
        self.fellows.doubted.remove(&host);
        if env.links.is_up(host) {
            self.on_fellow_up(env, host);
        }
    }

    /// There is a stream to a fellow representative.
    pub(super) fn on_fellow_up(&mut self, env: &mut Env<'_>, host: HostId) {
        if self.fellows.lost.remove(&host).is_some() {
            self.choose_forwarders(env);
        }
    }

    /// A fellow representative is out of reach.
    pub(super) fn on_fellow_lost(&mut self, env: &mut Env<'_>, host: HostId) {
        self.fellows.doubted.remove(&host);
        let news = self.fellows.lost.insert(host, env.now + RETRY).is_none();
        if news {
            self.choose_forwarders(env);
            if !self.client.is_asking() {
                self.client.hurry(env.now);
            }
        }
    }
}
