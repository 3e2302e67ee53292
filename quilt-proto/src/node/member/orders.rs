//! Where the bootstrap service puts this host.

use super::*;
use crate::wire::{Assignment, Orders, Refusal};
use crate::{ChangeCause, EvictCause};

impl Member {
    pub(super) fn on_orders(&mut self, env: &mut Env<'_>, orders: Orders) {
        if matches!(self.stage, Stage::Leaving { .. }) || !self.client.accepts(orders.epoch) {
            return;
        }
        if self.delivery.is_some_and(|delivery| delivery != orders.delivery) {
            return self.disagree(env, orders.delivery);
        }
        self.delivery = Some(orders.delivery);
        self.window.set_delivery(orders.delivery);
        let named = |patch: &Patch| {
            orders.assignments.iter().any(|assignment| {
                assignment.patch == patch.id
                    && assignment.protocol == patch.protocol
                    && assignment.parameters == patch.parameters
            })
        };
        let stands_by = |assignment: &&Assignment| {
            assignment.scope == Scope::InterPatch && assignment.role == Role::Member
        };
        self.leave_patches(env, |patch| !named(patch));
        self.fellows.place = orders.assignments.iter().find(stands_by).cloned();
        for assignment in orders.assignments.iter().filter(|place| !stands_by(place)) {
            if self.patches.contains_key(&assignment.patch) {
                self.update(env, assignment);
            } else {
                self.start(env, assignment);
            }
        }
        if self.stage == Stage::Joining && self.region().is_none() {
            // Nothing of it can be done here, and an answer without an end is none.
            return self.reject(env, RejectCause::NoProtocol);
        }
        self.take_roles(env);
        self.look_for_fellows(env);
        let interval = self.report_interval();
        if self.client.on_answer(env.now, &mut env.host.rng, interval) {
            let at = self.client.at();
            self.notices.push_back(Notice::Recovered(Trouble::BootstrapSilent { at }));
        }
    }

    pub(super) fn on_refused(&mut self, env: &mut Env<'_>, refusal: Refusal) {
        let cause = match refusal {
            Refusal::UnknownGroup => RejectCause::UnknownGroup,
            Refusal::TagTaken => RejectCause::TagTaken,
            Refusal::NoProtocol => RejectCause::NoProtocol,
            Refusal::Full => RejectCause::Full,
            Refusal::Replaced => return self.evict(env, EvictCause::Replaced),
            Refusal::Delivery(has) => return self.disagree(env, has),
        };
        match self.stage {
            Stage::Joining => self.reject(env, cause),
            _ => self.evict(env, EvictCause::GroupClosed),
        }
    }

    /// The group promises something else than this host wished for, or joined for.
    fn disagree(&mut self, env: &mut Env<'_>, has: Delivery) {
        let parting = match self.stage {
            Stage::Joining => Notice::Rejected { cause: RejectCause::OtherDelivery { has } },
            _ => Notice::Evicted { cause: EvictCause::OtherDelivery { has } },
        };
        self.depart(env, parting);
    }

    fn evict(&mut self, env: &mut Env<'_>, cause: EvictCause) {
        self.end(env, Notice::Evicted { cause });
    }

    /// Tells the application that the host is admitted, once its region has told it what was there
    /// before it.
    pub(super) fn admit(&mut self, env: &Env<'_>) {
        let ready = |patch: &Patch| patch.is_admitted(env.now);
        let may_join = self.stage == Stage::Joining && self.patches.values().all(ready);
        if let Some(place) = self.place.as_ref().filter(|_| may_join) {
            self.stage = Stage::Joined;
            self.admitted = true;
            self.notices.push_back(Notice::Joined(place.clone()));
        }
    }

    pub(super) fn start(&mut self, env: &mut Env<'_>, assignment: &Assignment) {
        let Some(patch) = Patch::new(env.now, env.host, assignment) else {
            let trouble = Trouble::UnknownProtocol { protocol: assignment.protocol };
            return self.notices.push_back(Notice::Degraded(trouble));
        };
        self.patches.insert(assignment.patch, patch);
        self.call(env, assignment.patch, |protocol, lent| protocol.start(lent));
    }

    fn update(&mut self, env: &mut Env<'_>, assignment: &Assignment) {
        self.set_fellows(env, assignment);
        let Some(patch) = self.patches.get_mut(&assignment.patch) else { return };
        let me = env.host.config.host;
        let contacts = assignment.contacts.iter().cloned();
        let hosts: Vec<HostId> = contacts
            .filter_map(|contact| {
                let host = contact.host;
                patch.learn(env.now, me, contact).then_some(host)
            })
            .collect();
        if !assignment.contacts.is_empty() {
            patch.wants_contacts = false;
        }
        if !hosts.is_empty() {
            self.calls.push_back((assignment.patch, Call::Contacts(hosts)));
        }
    }

    pub(super) fn leave_patches(&mut self, env: &mut Env<'_>, which: impl Fn(&Patch) -> bool) {
        let leaving = self.patches.values().filter(|patch| which(patch));
        for id in leaving.map(|patch| patch.id).collect::<Vec<_>>() {
            self.call(env, id, |protocol, lent| protocol.leave(lent));
            let Some(patch) = self.patches.remove(&id) else { continue };
            for &host in patch.needs() {
                env.links.release(host, Need::Patch(self.id, id));
            }
            for host in patch.fellows(self.me) {
                env.links.release(host, Need::Relay(self.id, id));
            }
            if let Some(link) = patch.multicast {
                env.links.close_multicast(link);
            }
            self.forwarded.remove(&id);
        }
    }

    /// Tells the application when its place is another one than before.
    pub(super) fn note_place(&mut self) {
        let Some(region) = self.region() else { return };
        let place = Place {
            patch: region.id,
            protocol: region.protocol,
            role: region.role,
            delivery: self.delivery.unwrap_or_default(),
        };
        let Some(old) = self.place.replace(place.clone()) else { return };
        if old == place || self.stage == Stage::Joining {
            return;
        }
        let moved = old.patch != place.patch || old.protocol != place.protocol;
        let why = match self.broken.get(&old.protocol) {
            Some(&reason) if moved => ChangeCause::Unusable { protocol: old.protocol, reason },
            _ if moved => ChangeCause::Moved,
            _ if place.role == Role::Representative => ChangeCause::Appointed,
            _ => ChangeCause::Relieved,
        };
        self.notices.push_back(Notice::PatchChanged { place, why });
    }
}
