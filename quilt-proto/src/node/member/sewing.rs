//! The representatives of this host's regions: which of them forwards, and what.

use super::super::relay::{self, RelayDigest, RelaySync};
use super::*;
use crate::FragmentId;
use crate::wire::Wanted;
use smallvec::SmallVec;

/// The round trip to a fellow representative that was not measured yet, and the most that is waited
/// for one.
const MAX_ROUND_TRIP: Duration = Duration::from_millis(50);

/// Claims that cross each other come this much later than a round trip, in which hosts work.
const CLAIM_SLACK: Duration = Duration::from_millis(1);

impl Member {
    /// Decides anew for which regions this host forwards, and tells the protocols.
    pub(super) fn choose_forwarders(&mut self, env: &mut Env<'_>) {
        let me = env.host.config.host;
        let sewn = self.patches.contains_key(&PatchId::INTER_PATCH);
        let is_live = |host: &HostId| *host == me || !self.fellows.is_lost(*host);
        let regions = self.patches.values().filter(|patch| {
            patch.scope == Scope::Regional && patch.role == Role::Representative && sewn
        });
        let ranked = env.host.config.relay_sync == RelaySync::Ranked;
        let forwarded: BTreeSet<PatchId> = regions
            .filter(|patch| {
                if !ranked {
                    return true;
                }
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

    /// Whether a fragment, new as it is, counts as a duplicate for those who relay.
    pub(super) fn is_mistaken(&mut self, env: &mut Env<'_>, fragment: FragmentId) -> bool {
        let asks = env.host.config.relay_digest == RelayDigest::Bloom;
        let mistaken = asks && self.blooms.is_known(fragment);
        if mistaken {
            env.links.counters.bump(Counter::FragmentsMistaken);
        }
        mistaken
    }

    /// Passes a fragment that came in one patch on into another, at once or when the representatives
    /// have agreed who does.
    pub(super) fn cross(
        &mut self,
        env: &mut Env<'_>,
        arrived: PatchId,
        into: PatchId,
        fragment: FragmentId,
    ) {
        let region = if into == PatchId::INTER_PATCH { arrived } else { into };
        if env.host.config.relay_sync == RelaySync::TwoPhase {
            let fellows = self.live_fellows(env, region);
            let mine = relay::weight(fragment, env.host.config.host);
            let before = fellows.iter().filter(|&&host| relay::weight(fragment, host) > mine);
            let rank = u32::try_from(before.count()).unwrap_or(u32::MAX);
            let trips = fellows.iter().map(|&host| env.links.rtt(host).unwrap_or(MAX_ROUND_TRIP));
            let farthest =
                trips.max().map(|trip| trip.min(MAX_ROUND_TRIP).saturating_add(CLAIM_SLACK));
            let claimed = farthest.is_some_and(|farthest| {
                self.accord.claim(env.now, (region, fragment), into, farthest, rank)
            });
            if claimed {
                return env.links.counters.bump(Counter::FragmentsClaimed);
            }
        }
        self.inject(env, into, fragment);
    }

    /// Passes on what nobody else does.
    pub(super) fn cross_what_is_due(&mut self, env: &mut Env<'_>) {
        while let Some((into, fragment)) = self.accord.poll_due(env.now) {
            self.inject(env, into, fragment);
        }
    }

    /// The other representatives of a region that can be told something.
    fn live_fellows(&self, env: &Env<'_>, region: PatchId) -> SmallVec<[HostId; 4]> {
        let me = env.host.config.host;
        let of = self.patches.get(&region).map(|patch| patch.representatives.iter());
        let others = of.into_iter().flatten().copied().filter(|&host| host != me);
        others.filter(|&host| env.links.is_up(host)).collect()
    }

    /// Tells the other representatives what this one has claimed.
    pub(super) fn say_claims(&mut self, env: &mut Env<'_>) {
        while let Some((region, fragments)) = self.accord.take_unsaid() {
            let fellows = self.live_fellows(env, region);
            for chunk in fragments.chunks(Pull::MAX_WANTED) {
                let wanted = chunk.iter().map(|&first| Wanted { first, last: first.index });
                let claim = Pull { group: self.id, patch: region, wanted: wanted.collect() };
                for &host in &fellows {
                    env.links.send(host, &Frame::Claim(claim.clone()));
                }
            }
        }
    }

    /// A fellow representative has claimed something.
    pub(super) fn on_claim(&mut self, env: &mut Env<'_>, from: From, claim: &Pull) {
        let me = env.host.config.host;
        let is_fellow = |host: &HostId| {
            let patch = self.patches.get(&claim.patch);
            patch.is_some_and(|patch| patch.representatives.contains(host))
        };
        let host = match from {
            From::Host(host) if is_fellow(&host) => host,
            _ => return env.links.counters.bump(Counter::DroppedUnexpected),
        };
        for wanted in &claim.wanted {
            let fragment = wanted.first;
            let is_before = relay::weight(fragment, host) > relay::weight(fragment, me);
            self.accord.on_claim(env.now, (claim.patch, fragment), is_before);
        }
    }
}
