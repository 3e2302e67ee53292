//! The patches' protocols: calling their handlers, and carrying out what they want.

use super::*;
use crate::FragmentId;
use crate::euid::Transport;

impl Member {
    /// Calls a handler of a patch's protocol and carries out its effects.
    pub(super) fn call(
        &mut self,
        env: &mut Env<'_>,
        id: PatchId,
        handler: impl FnOnce(&mut dyn ErasedProtocol, Lent<'_>),
    ) {
        let Some(patch) = self.patches.get_mut(&id) else { return };
        patch.call(env.now, env.host.config.host, &self.window, &mut self.effects, handler);
        self.carry_out(env, id);
    }

    pub(super) fn carry_out(&mut self, env: &mut Env<'_>, id: PatchId) {
        let mut effects = core::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            self.apply(env, id, effect);
        }
        self.effects = effects;
        if id == PatchId::INTER_PATCH {
            let hub = self.patches.get(&id).and_then(Patch::hub);
            if core::mem::replace(&mut self.hub, hub) != hub {
                self.choose_forwarders(env);
            }
        }
    }

    pub(super) fn apply(&mut self, env: &mut Env<'_>, id: PatchId, effect: Effect) {
        let (now, me, group) = (env.now, env.host.config.host, self.id);
        let Some(patch) = self.patches.get_mut(&id) else { return };
        match effect {
            Effect::Need(host) => {
                let contact = patch.peers.get(host).map(|peer| peer.contact.clone());
                if patch.need(host) && env.links.is_up(host) {
                    self.calls.push_back((id, Call::Connected(host)));
                }
                env.need(host, Need::Patch(group, id), contact.as_ref());
            }
            Effect::Expect(host) => {
                if patch.need(host) && env.links.is_up(host) {
                    self.calls.push_back((id, Call::Connected(host)));
                }
                env.links.expect(host, Need::Patch(group, id));
            }
            Effect::Release(host) => {
                patch.release(host);
                patch.unlinked(host);
                env.links.release(host, Need::Patch(group, id));
            }
            Effect::Send(host, body) => {
                env.links.send(host, &Frame::Protocol { group, patch: id, body });
            }
            Effect::Tell(host, body, pad) => {
                if let Some(at) = address(patch, host) {
                    env.links.tell(at, &Frame::Protocol { group, patch: id, body }, pad);
                }
            }
            Effect::Answer(body) => {
                let frame = Frame::Protocol { group, patch: id, body };
                match &mut self.asker {
                    Some(Asking::Stream(host)) => {
                        env.links.send(*host, &frame);
                    }
                    Some(Asking::Datagram(_, asker)) => {
                        env.links.answer(asker, &frame);
                    }
                    None => debug_assert!(false, "an answer to nobody"),
                }
            }
            Effect::LearnAsker => {
                if let Some(Asking::Datagram(by, _)) = &self.asker {
                    patch.learn(now, me, by.as_ref().clone());
                }
            }
            Effect::Took(host, rtt) => patch.measured(now, host, rtt),
            Effect::Measure(host) => {
                if let Some(at) = address(patch, host) {
                    env.links.measure(host, at, Need::Patch(group, id));
                }
            }
            // Whoever published it has it.
            Effect::SendFragment(host, fragment) if host.tag() == fragment.source.host => {}
            Effect::SendFragment(host, fragment) => {
                let priority = self.window.priority(fragment);
                let data = DataRef { group, patch: id, fragment, priority };
                let notice = Notice::SlowPeer { host };
                if env.links.send_fragment(host, data, Urgency::Fresh)
                    && !self.notices.contains(&notice)
                {
                    self.notices.push_back(notice);
                }
            }
            Effect::HoldBack(host) => env.links.hold_back(host, group, id),
            Effect::Multicast(body) => {
                if let Some(link) = patch.multicast {
                    env.links.introduce_on(link, &Frame::Protocol { group, patch: id, body });
                }
            }
            Effect::MulticastToKnown(body) => {
                if let Some(link) = patch.multicast {
                    env.links.send_on(link, &Frame::Protocol { group, patch: id, body });
                }
            }
            Effect::MulticastFragment(fragment) => {
                if let Some(link) = patch.multicast {
                    let priority = self.window.priority(fragment);
                    let data = DataRef { group, patch: id, fragment, priority };
                    env.links.send_fragment_on(link, data, Urgency::Fresh);
                }
            }
            Effect::MulticastRepair(fragment) => self.repair_all(env, id, fragment),
            Effect::Repair(host, fragment) => {
                match patch.peers.get(host).and_then(|peer| peer.datagrams) {
                    Some(to) => {
                        let priority = self.window.priority(fragment);
                        let data = DataRef { group, patch: id, fragment, priority };
                        env.links.send_fragment_to(to, data);
                        env.links.counters.bump(Counter::FragmentsServed);
                    }
                    None => self.repair_all(env, id, fragment),
                }
            }
            Effect::Pace(bytes_per_second) => {
                if let Some(link) = patch.multicast {
                    env.links.pace(link, bytes_per_second);
                }
            }
            Effect::JoinMulticast { address, interface, ttl, bytes_per_second } => {
                let link = env.links.join_multicast(address, interface, ttl, bytes_per_second);
                patch.multicast = Some(link);
            }
            Effect::Learn(contact) => {
                patch.learn(now, me, contact);
            }
            Effect::Forget(host) => patch.forget(host),
            Effect::AskContacts => {
                patch.wants_contacts = true;
                if !self.client.is_asking() {
                    self.client.hurry(now);
                }
            }
            Effect::Announce => patch.news(now),
            Effect::Unusable(reason) => {
                let protocol = patch.protocol;
                if self.broken.insert(protocol, reason).is_none() {
                    let trouble = Trouble::ProtocolUnusable { protocol, reason };
                    self.notices.push_back(Notice::Degraded(trouble));
                    self.client.hurry(now);
                }
            }
            Effect::Misbehaved(..) => env.links.counters.bump(Counter::Misbehaviour),
            Effect::Count(counter) => env.links.counters.bump(counter),
        }
    }

    /// Gives a fragment to everybody in a patch.
    fn repair_all(&mut self, env: &mut Env<'_>, id: PatchId, fragment: FragmentId) {
        let link = self.patches.get(&id).and_then(|patch| patch.multicast);
        if let Some(link) = link {
            let priority = self.window.priority(fragment);
            let data = DataRef { group: self.id, patch: id, fragment, priority };
            env.links.send_fragment_on(link, data, Urgency::Repair);
            env.links.counters.bump(Counter::FragmentsServed);
        }
    }

    /// Calls the handlers that effects asked for, until there is none left; then sees whether the
    /// host is admitted.
    pub(super) fn settle(&mut self, env: &mut Env<'_>) {
        while let Some((id, call)) = self.calls.pop_front() {
            let Some(patch) = self.patches.get_mut(&id) else { continue };
            patch.look_at_links(env.links);
            match call {
                Call::Connected(host) => {
                    // Both sides tell each other at once what they hold.
                    let pull = Pull { group: self.id, patch: id, wanted: Vec::new() };
                    env.links.send(host, &Frame::Pull(pull));
                    env.links.send_word(host, self.id, id);
                    self.call(env, id, |protocol, lent| protocol.on_connected(lent, host));
                }
                Call::Contacts(hosts) => {
                    self.call(env, id, |protocol, lent| protocol.on_contacts(lent, &hosts));
                }
            }
        }
        self.say_claims(env);
        self.admit(env);
    }

    pub(super) fn on_protocol(&mut self, env: &mut Env<'_>, from: From, id: PatchId, body: &Bytes) {
        let Some(host) = self.sender(env, from, id) else { return };
        let Some(patch) = self.patches.get_mut(&id) else { return };
        let me = env.host.config.host;
        let decoded = patch.call(env.now, me, &self.window, &mut self.effects, |protocol, lent| {
            protocol.on_frame(lent, host, body)
        });
        if decoded.is_err() {
            env.links.counters.bump(Counter::DroppedMalformed);
            self.effects.push(Effect::Misbehaved(host, Fault::MalformedFrame));
        }
        self.asker = Some(Asking::Stream(host));
        self.carry_out(env, id);
        self.asker = None;
    }

    /// A host said something by datagram.
    pub(in crate::node) fn on_told(
        &mut self,
        env: &mut Env<'_>,
        by: Contact,
        asker: Asker,
        id: PatchId,
        body: &Bytes,
    ) {
        let Some(patch) = self.patches.get_mut(&id) else {
            return env.links.counters.bump(Counter::DroppedUnknownPatch);
        };
        patch.heard(env.now, by.host);
        let me = env.host.config.host;
        let decoded = patch.call(env.now, me, &self.window, &mut self.effects, |protocol, lent| {
            protocol.on_datagram(lent, by.host, body)
        });
        if decoded.is_err() {
            env.links.counters.bump(Counter::DroppedMalformed);
        }
        self.asker = Some(Asking::Datagram(Box::new(by), asker));
        self.carry_out(env, id);
        self.asker = None;
        self.settle(env);
    }

    /// A round trip was measured.
    pub(in crate::node) fn on_measured(
        &mut self,
        env: &mut Env<'_>,
        host: HostId,
        id: PatchId,
        rtt: Duration,
    ) {
        if let Some(patch) = self.patches.get_mut(&id) {
            patch.measured(env.now, host, rtt);
            self.call(env, id, |protocol, lent| protocol.on_measured(lent, host, rtt));
        }
        self.settle(env);
    }

    /// A host that a patch needs has missed two beats.
    pub(in crate::node) fn on_silent(&mut self, env: &mut Env<'_>, host: HostId, id: PatchId) {
        self.call(env, id, |protocol, lent| protocol.on_silent(lent, host));
        self.settle(env);
    }

    /// Who sent a frame of a patch. A host that is not among its members yet becomes one.
    pub(super) fn sender(&mut self, env: &mut Env<'_>, from: From, id: PatchId) -> Option<HostId> {
        let me = env.host.config.host;
        let Some(patch) = self.patches.get_mut(&id) else {
            env.links.counters.bump(Counter::DroppedUnknownPatch);
            return None;
        };
        let host = match from {
            From::Host(host) => host,
            From::Multicast(_, tag, _) => {
                let host = patch.hear(env.now, tag);
                if host.is_none() {
                    env.links.counters.bump(Counter::DroppedUnexpected);
                }
                return host;
            }
            From::Datagram(..) | From::Service(_) => {
                env.links.counters.bump(Counter::DroppedUnexpected);
                return None;
            }
        };
        if patch.peers.get(host).is_some() {
            patch.heard(env.now, host);
        } else if let Some(contact) = env.links.greeting(host).map(crate::node::contact) {
            patch.learn(env.now, me, contact);
            patch.look_at_links(env.links);
        }
        Some(host)
    }
}

/// Where a member is told something by UDP, if it may be reached by it.
pub(super) fn address(patch: &Patch, host: HostId) -> Option<SocketAddr> {
    let contact = &patch.peers.get(host)?.contact;
    let options = &contact.euid.connectivity;
    let by_udp = options.is_empty() || options.iter().any(|o| o.transport == Transport::Udp);
    contact.addresses.first().copied().filter(|_| by_udp)
}
