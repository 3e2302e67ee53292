//! The representatives of this host's regions: which of them forwards, and who is out of reach.

use super::super::relay;
use super::*;

/// A fellow representative that is out of reach is tried again after this.
const RETRY: Duration = Duration::from_secs(1);

/// A fellow representative whose address is not known for so long counts as out of reach.
const UNMET_PATIENCE: Duration = Duration::from_secs(3);

impl Member {
    /// Decides anew for which regions this host forwards, and tells the protocols.
    pub(super) fn choose_forwarders(&mut self, env: &mut Env<'_>) {
        let me = env.host.config.host;
        let sewn = self.patches.contains_key(&PatchId::INTER_PATCH);
        let is_live = |host: &HostId| *host == me || !self.lost.contains_key(host);
        let regions = self.patches.values().filter(|patch| {
            patch.scope == Scope::Regional && patch.role == Role::Representative && sewn
        });
        let forwarded: BTreeSet<PatchId> = regions
            .filter(|patch| {
                let live = patch.representatives.iter().copied().filter(is_live);
                relay::forwarder(patch.id, live.chain([me]), self.hub) == Some(me)
            })
            .map(|patch| patch.id)
            .collect();
        self.forwarded = forwarded;
        for id in self.patches.keys().copied().collect::<Vec<_>>() {
            let forwards = match id {
                PatchId::INTER_PATCH => !self.forwarded.is_empty(),
                region => self.forwarded.contains(&region),
            };
            let Some(patch) = self.patches.get_mut(&id) else { continue };
            if core::mem::replace(&mut patch.forwards, forwards) != forwards {
                self.call(env, id, |protocol, lent| protocol.on_forwarder(lent, forwards));
            }
        }
    }

    /// Keeps a stream to every fellow representative: its end is the fastest word of a death.
    pub(super) fn look_for_fellows(&mut self, env: &mut Env<'_>) {
        let now = env.now;
        let mut fellows = Vec::new();
        for patch in self.patches.values() {
            if patch.role == Role::Representative && patch.scope == Scope::Regional {
                fellows.extend(patch.representatives.iter().map(|&host| (patch.id, host)));
            }
        }
        let lost = self.lost.len();
        let is_fellow = |host: &HostId| fellows.iter().any(|(_, fellow)| fellow == host);
        self.lost.retain(|host, _| is_fellow(host) && !env.links.is_up(*host));
        self.unmet.retain(|host, _| is_fellow(host) && !env.links.is_up(*host));
        if self.lost.len() < lost {
            self.choose_forwarders(env);
        }
        for (region, host) in fellows {
            if host == env.host.config.host || self.lost.get(&host).is_some_and(|&at| at > now) {
                continue;
            }
            if let Some(retry) = self.lost.get_mut(&host) {
                *retry = now + RETRY;
            }
            let peer = self.patches.values().find_map(|patch| patch.peers.get(host));
            match peer {
                Some(peer) => {
                    let need = Need::Relay(self.id, region);
                    env.links.need(host, need, &peer.contact.addresses);
                }
                None => self.ask_for_fellow(env, region, host),
            }
        }
    }

    /// A fellow representative that nobody told the address of: the service is asked, and if that
    /// does not help for long, it counts as out of reach.
    fn ask_for_fellow(&mut self, env: &mut Env<'_>, region: PatchId, host: HostId) {
        if let Some(patch) = self.patches.get_mut(&region) {
            patch.wants_contacts = true;
        }
        let since = *self.unmet.entry(host).or_insert(env.now);
        if since + UNMET_PATIENCE <= env.now {
            self.on_fellow_lost(env, host);
        }
    }

    /// The stream to a fellow representative is gone.
    pub(super) fn on_fellow_lost(&mut self, env: &mut Env<'_>, host: HostId) {
        let news = self.lost.insert(host, env.now + RETRY).is_none();
        if news {
            self.choose_forwarders(env);
            if !self.client.is_asking() {
                self.client.hurry(env.now);
            }
        }
    }
}
