//! The other representatives of this host's regions and those who stand by for them: whether they
//! are there, and what this host has to be if they are not.

use super::protocols::address;
use super::*;
use crate::wire::Assignment;

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
    /// The place in the inter-patch patch that this host takes where it steps in.
    pub(super) place: Option<Assignment>,
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
            self.take_roles(env);
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

    /// The other representatives, and those who stand by, of the regions in which this host is one
    /// of them.
    fn fellows_by_region(&self) -> Vec<(PatchId, HostId)> {
        let regions = self.patches.values();
        regions.flat_map(|patch| patch.fellows(self.me).map(|host| (patch.id, host))).collect()
    }

    /// A fellow representative that nobody told the address of: the service is asked, and if that
    /// does not help for long, it counts as out of reach.
    fn ask_for_fellow(&mut self, env: &mut Env<'_>, region: PatchId, host: HostId) {
        if let Some(patch) = self.patches.get_mut(&region) {
            patch.wants_contacts = true;
        }
        if !self.fellows.unmet.contains_key(&host) && !self.client.is_asking() {
            self.client.hurry(env.now);
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
            self.take_roles(env);
        }
    }

    /// A fellow representative is out of reach.
    pub(super) fn on_fellow_lost(&mut self, env: &mut Env<'_>, host: HostId) {
        self.fellows.doubted.remove(&host);
        let news = self.fellows.lost.insert(host, env.now + RETRY).is_none();
        if news {
            self.take_roles(env);
            if !self.client.is_asking() {
                self.client.hurry(env.now);
            }
        }
    }

    /// Takes in what the service says of who represents a region, and who stands by.
    pub(super) fn set_fellows(&mut self, env: &mut Env<'_>, assignment: &Assignment) {
        let Some(patch) = self.patches.get_mut(&assignment.patch) else { return };
        let before: Vec<HostId> = patch.fellows(self.me).collect();
        patch.assigned = assignment.role;
        patch.representatives = assignment.representatives.to_vec();
        patch.standbys = assignment.standbys.to_vec();
        let now: Vec<HostId> = patch.fellows(self.me).collect();
        for host in before.into_iter().filter(|host| !now.contains(host)) {
            env.links.release(host, Need::Relay(self.id, assignment.patch));
        }
    }

    /// Becomes in each of its regions what it has to be, and joins or leaves the inter-patch patch
    /// for that.
    pub(super) fn take_roles(&mut self, env: &mut Env<'_>) {
        let lost = &self.fellows.lost;
        let mut represents = false;
        for patch in self.patches.values_mut().filter(|patch| patch.scope == Scope::Regional) {
            patch.role = patch.role_without(self.me, |host| lost.contains_key(&host));
            represents |= patch.role == Role::Representative;
        }
        let sewn = self.patches.contains_key(&PatchId::INTER_PATCH);
        match &self.fellows.place {
            Some(place) if represents && !sewn => {
                let place = Assignment { role: Role::Representative, ..place.clone() };
                self.start(env, &place);
            }
            Some(_) if !represents && sewn => {
                self.leave_patches(env, |patch| patch.id == PatchId::INTER_PATCH);
            }
            _ => {}
        }
        self.choose_forwarders(env);
        self.note_place();
    }
}
