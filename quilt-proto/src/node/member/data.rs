//! Messages on their way: kept, passed on, pulled and served.

use super::super::relay;
use super::super::repair::{MAX_SERVED, MULTICAST_GRACE, STANDBY_GRACE, TICK};
use super::super::window::{Kept, LATE_WAIT, Meeting};
use super::*;
use crate::FragmentId;
use crate::wire::{Held, Wanted};
use smallvec::SmallVec;

impl Member {
    pub(super) fn on_data(&mut self, env: &mut Env<'_>, from: From, mut data: Data) {
        let counters = &mut env.links.counters;
        let Some(patch) = self.patches.get_mut(&data.patch) else {
            return counters.bump(Counter::DroppedUnknownPatch);
        };
        if data.hops >= Data::MAX_HOPS {
            return counters.bump(Counter::DroppedHopLimit);
        }
        let sender = match from {
            From::Host(host) => {
                patch.heard(env.now, host);
                Some(host)
            }
            From::Multicast(_, tag, _) | From::Datagram(_, tag) => patch.hear(env.now, tag),
            From::Service(_) => return counters.bump(Counter::DroppedUnexpected),
        };
        if let Some(host) = sender.filter(|_| data.options.deadline.is_some()) {
            let rtt = env.links.rtt(host).or_else(|| patch.peers.get(host)?.rtt);
            data.options.travel(rtt.and_then(|rtt| rtt.checked_div(2)).unwrap_or_default());
        }
        let meeting = meeting(self.stage, patch, env.now);
        let bytes = data.payload.len() as u64;
        let kept = self.window.keep(env.now, &data, meeting);
        if let Some(host) = sender {
            env.links.has_fragment(host, self.id, data.fragment);
            let rtt = env.links.rtt(host);
            self.repair.came(env.now, host, rtt, data.fragment, data.solicited);
        }
        let counters = &mut env.links.counters;
        match kept {
            Kept::New => {
                counters.add(Counter::PayloadBytesFirst, bytes);
                self.pass_on(env, from, sender, &data);
            }
            Kept::Duplicate => {
                counters.bump(Counter::DroppedDuplicate);
                let repaired = Counter::PayloadBytesRepaired;
                let unsolicited = Counter::PayloadBytesUnsolicited;
                counters.add(if data.solicited { repaired } else { unsolicited }, bytes);
                self.call_for_duplicate(env, from, sender, &data);
            }
            Kept::Late => counters.bump(Counter::DroppedLate),
            Kept::Contradiction => counters.bump(Counter::DroppedContradiction),
            Kept::TooLong => counters.bump(Counter::DroppedTooLong),
            Kept::SourceLimit => counters.bump(Counter::DroppedSourceLimit),
            Kept::Over => counters.bump(Counter::DroppedOver),
        }
    }

    /// A fragment was here already.
    fn call_for_duplicate(
        &mut self,
        env: &mut Env<'_>,
        from: From,
        sender: Option<HostId>,
        data: &Data,
    ) {
        let (patch, fragment) = (data.patch, data.fragment);
        let region = if patch == PatchId::INTER_PATCH { data.origin } else { patch };
        let left_to_others = self.accord.on_seen((region, fragment), patch);
        match sender {
            // It came from elsewhere before; in this patch it is new.
            Some(host) if left_to_others => {
                let arrival = arrival(data, host);
                self.call(env, patch, |protocol, lent| {
                    protocol.on_fragment(lent, arrival, fragment);
                });
            }
            Some(host) if !data.solicited => {
                self.call(env, patch, |protocol, lent| protocol.on_duplicate(lent, host, fragment));
            }
            _ if data.solicited && matches!(from, From::Multicast(..)) => {
                self.call(env, patch, |protocol, lent| protocol.on_repair(lent, fragment));
            }
            _ => {}
        }
    }

    /// Something may be missing: all who repair are told.
    fn wake_repair(&mut self, env: &mut Env<'_>) {
        if !self.window.has_holes() {
            return;
        }
        self.repair.wake(self.next_round(env.now));
        if !self.window.has_wants() {
            return;
        }
        let multicast = self.patches.values().filter(|patch| patch.multicast.is_some());
        let multicast: SmallVec<[PatchId; 2]> = multicast.map(|patch| patch.id).collect();
        for id in multicast {
            self.call(env, id, |protocol, lent| protocol.on_missing(lent));
        }
    }

    /// When holes are looked through next: soon, unless every patch asks in cycles.
    fn next_round(&self, now: Time) -> Time {
        let cycles = || self.patches.values().map(|patch| patch.next_cycle(now));
        let cycle = cycles().flatten().min().filter(|_| cycles().all(|next| next.is_some()));
        cycle.unwrap_or(now + TICK)
    }

    /// A fragment is new: on with it, within its patch and beyond.
    fn pass_on(&mut self, env: &mut Env<'_>, from: From, sender: Option<HostId>, data: &Data) {
        let fragment = data.fragment;
        self.fellows.busy = Some(env.now);
        if let Some(host) = sender {
            let arrival = arrival(data, host);
            self.call(env, data.patch, |protocol, lent| {
                protocol.on_fragment(lent, arrival, fragment);
            });
        }
        // Of a member that is not known no more is taken than that it sent what came.
        if sender.is_none() && matches!(from, From::Multicast(..)) && !data.solicited {
            let FragmentId { source, seq, .. } = fragment;
            self.call(env, data.patch, |protocol, lent| {
                protocol.on_head(lent, source, seq.next());
            });
        }
        let onward: SmallVec<[PatchId; 2]> =
            relay::onward(data.origin, data.patch, &self.forwarded).collect();
        let is_mistaken = !onward.is_empty() && self.is_mistaken(env, fragment);
        for into in onward.into_iter().filter(|_| !is_mistaken) {
            self.cross(env, data.patch, into, fragment);
        }
        self.news(env.now);
        self.wake_repair(env);
    }

    /// Brings a fragment into a patch.
    pub(super) fn inject(&mut self, env: &mut Env<'_>, into: PatchId, fragment: FragmentId) {
        self.call(env, into, |protocol, lent| {
            protocol.on_fragment(lent, Arrival::Injected, fragment);
        });
    }

    /// A member said what it holds.
    pub(super) fn on_word(
        &mut self,
        env: &mut Env<'_>,
        from: From,
        id: PatchId,
        more: bool,
        sources: Vec<Held>,
    ) {
        let Some(host) = self.sender(env, from, id) else { return };
        let Some(patch) = self.patches.get_mut(&id) else { return };
        let meeting = meeting(self.stage, patch, env.now);
        if !more {
            patch.on_word(env.now, self.history);
        }
        let mut news = false;
        for held in &sources {
            news |= self.window.note_head(env.now, held, meeting);
            if matches!(from, From::Multicast(..)) {
                let source = Source { host: held.host.tag(), incarnation: held.incarnation };
                self.call(env, id, |protocol, lent| protocol.on_head(lent, source, held.next));
            }
        }
        self.repair.on_word(host, id, sources, &env.host.config.limits);
        if news {
            self.news(env.now);
        }
        self.wake_repair(env);
    }

    /// A member wants something; with nothing named, it wants to know what is held here.
    pub(super) fn on_pull(&mut self, env: &mut Env<'_>, from: From, pull: &Pull) {
        let From::Host(host) = from else {
            return env.links.counters.bump(Counter::DroppedUnexpected);
        };
        if !self.patches.contains_key(&pull.patch) {
            return env.links.counters.bump(Counter::DroppedUnknownPatch);
        }
        if pull.wanted.is_empty() {
            return env.links.send_word(host, self.id, pull.patch);
        }
        self.served = env.now;
        let mut not_held = Vec::new();
        for wanted in &pull.wanted {
            if self.serve(env, host, pull.patch, wanted) == 0 {
                not_held.push(*wanted);
            }
        }
        if !not_held.is_empty() {
            let answer = Pull { wanted: not_held, ..pull.clone() };
            env.links.send_loose(host, &Frame::NotHeld(answer));
        }
    }

    /// Gives what is here of what is wanted, at most [`MAX_SERVED`] fragments; how many are here.
    /// What is due to be sent there unasked is not given a second time: words go ahead of data.
    fn serve(&mut self, env: &mut Env<'_>, host: HostId, patch: PatchId, wanted: &Wanted) -> u64 {
        let FragmentId { source, seq, index } = wanted.first;
        let multicast = self.patches.get(&patch).and_then(|patch| patch.multicast);
        let count = self.window.count(source, seq).unwrap_or(0);
        let last = wanted.last.min(count.saturating_sub(1));
        let mut held = 0_u64;
        for index in (index..=last).take(usize::from(MAX_SERVED)) {
            let fragment = FragmentId { source, seq, index };
            let Some(kept) = self.window.get(env.now, fragment) else { continue };
            held = held.saturating_add(1);
            let over = kept.options.is_over();
            if over || !env.links.is_due(host, multicast, self.id, fragment) {
                let priority = kept.options.priority;
                let data = DataRef { group: self.id, patch, fragment, priority };
                env.links.send_fragment(host, data, Urgency::Repair);
                env.links.counters.bump(Counter::FragmentsServed);
            }
            if over {
                // Once is enough to say so.
                break;
            }
        }
        held
    }

    /// Asks for what is missing, and gives up what is not to be had.
    pub(super) fn mend(&mut self, env: &mut Env<'_>) {
        if self.repair.poll_timeout().is_none_or(|at| at > env.now) {
            return;
        }
        if !self.window.has_wants() {
            return self.wait_for_late(env);
        }
        let is_sewn = self.patches.contains_key(&PatchId::INTER_PATCH);
        let least_age = match self.forwarded.is_empty() {
            true if is_sewn => STANDBY_GRACE,
            true if self.patches.values().any(|patch| patch.multicast.is_some()) => MULTICAST_GRACE,
            _ => Duration::ZERO,
        };
        let neighbours = self
            .patches
            .values()
            .flat_map(|patch| patch.neighbours().into_iter().map(|host| (host, patch.id)));
        let mut neighbours: BTreeMap<HostId, PatchId> = neighbours.collect();
        self.seek_help(env, &neighbours);
        neighbours.extend(self.help.helpers());
        self.repair.run(env.now, self.id, &self.window, env.links, &neighbours, least_age);
        self.repair.put_off(self.next_round(env.now));
        let repair = &self.repair;
        neighbours.retain(|&host, _| env.links.is_up(host));
        self.window.give_up(env.now, |source, seq| {
            neighbours.keys().any(|&host| repair.may_hold(host, source, seq))
        });
    }

    /// Where nothing is repaired, late messages only show that somebody else had better send.
    fn wait_for_late(&mut self, env: &mut Env<'_>) {
        for (host, patch) in self.repair.holders_of_late(env.now, &self.window) {
            self.call(env, patch, |protocol, lent| protocol.on_missed(lent, host));
        }
        self.window.give_up(env.now, |_, _| false);
        // Nobody is told of a hole but in order.
        let ordered = self.delivery == Some(Delivery::Ordered);
        let pause = if ordered { TICK } else { LATE_WAIT };
        self.repair.rest(self.window.has_holes().then(|| env.now + pause));
    }

    /// Whether nothing may be published just now: the pacer is full, or links that serve at least
    /// half of those whom this host serves are.
    pub(super) fn is_full(&self, env: &Env<'_>) -> bool {
        if self.paced > env.now + PUBLISH_AHEAD {
            return true;
        }
        // A host that is a neighbour in two patches has one link all the same.
        let mut hosts: SmallVec<[(HostId, usize); 16]> = SmallVec::new();
        let mut clients = Clients::default();
        for patch in self.patches.values() {
            if patch.scope == Scope::InterPatch && self.forwarded.is_empty() {
                continue;
            }
            match patch.multicast {
                // Everybody in the patch is served by one link.
                Some(link) => clients.add(env.links.is_slow_on(link), patch.peers.len().max(1)),
                None => hosts.extend(patch.served()),
            }
        }
        hosts.sort_unstable_by(|a, b| b.cmp(a));
        hosts.dedup_by_key(|(host, _)| *host);
        hosts.iter().for_each(|&(host, served)| clients.add(env.links.is_slow(host), served));
        clients.wait()
    }

    pub(super) fn pace(&mut self, env: &Env<'_>, bytes: usize) {
        let rate = env.host.config.publish_bytes_per_second.max(1);
        let nanos = (bytes as u64).saturating_mul(1_000_000_000).checked_div(rate);
        let takes = Duration::from_nanos(nanos.unwrap_or(0));
        self.paced = self.paced.max(env.now) + takes;
    }

    /// A fragment, as it goes out now.
    pub(in crate::node) fn outgoing(
        &self,
        now: Time,
        data: &DataRef,
        urgency: Urgency,
    ) -> Option<Data> {
        let kept = self.window.get(now, data.fragment)?;
        // What goes to all is sent however late, and so is what nobody would ask for.
        let along = |patch: &Patch| patch.multicast.is_none() && patch.telling() == Telling::Along;
        if urgency == Urgency::Fresh
            && self.delivery == Some(Delivery::Reliable)
            && kept.came + PUSH_TIME <= now
            && self.patches.get(&data.patch).is_some_and(along)
        {
            return None;
        }
        Some(Data {
            group: data.group,
            patch: data.patch,
            fragment: data.fragment,
            count: kept.count,
            origin: kept.origin,
            hops: kept.hops.saturating_add(1).min(Data::MAX_HOPS),
            solicited: urgency == Urgency::Repair,
            options: kept.options,
            payload: kept.payload,
        })
    }

    /// This host's word on what it holds, as it goes out now.
    pub(in crate::node) fn word(&self, patch: PatchId) -> Vec<Frame> {
        let held = self.window.held();
        let frames = held.len().div_ceil(Held::MAX_SOURCES).max(1);
        let mut chunks = held.chunks(Held::MAX_SOURCES);
        (1..=frames)
            .map(|number| {
                let sources = chunks.next().map_or_else(Vec::new, <[Held]>::to_vec);
                Frame::Held { group: self.id, patch, more: number < frames, sources }
            })
            .collect()
    }
}

/// How a fragment came from a host.
fn arrival(data: &Data, from: HostId) -> Arrival {
    if data.solicited { Arrival::Pulled(from) } else { Arrival::Pushed(from) }
}

/// How a source is met that is heard of for the first time, in this patch. Who was admitted once is
/// promised everything, whichever patch it is moved to.
fn meeting(stage: Stage, patch: &Patch, now: Time) -> Meeting {
    let newcomer = stage == Stage::Joining && !patch.is_admitted(now);
    if newcomer { Meeting::Newcomer } else { Meeting::Present }
}

/// Those whom this host serves, and how many of them over links that are slow.
#[derive(Debug, Default)]
struct Clients {
    all: usize,
    slow: usize,
}

impl Clients {
    fn add(&mut self, is_slow: bool, clients: usize) {
        self.all = self.all.saturating_add(clients);
        self.slow = self.slow.saturating_add(if is_slow { clients } else { 0 });
    }

    /// Whether a publisher is to wait for them: a minority that is slow delays nobody else.
    fn wait(&self) -> bool {
        self.all > 0 && self.slow.saturating_mul(2) >= self.all
    }
}

#[cfg(test)]
mod tests {
    use super::Clients;
    use proptest::prelude::*;

    proptest! {
        /// However the clients are spread over links, and however many links are slow.
        #[test]
        fn a_publisher_waits_for_half_of_the_clients_and_for_no_fewer(
            links in prop::collection::vec((any::<bool>(), 1_usize..200), 0..20),
        ) {
            let mut clients = Clients::default();
            links.iter().for_each(|&(slow, count)| clients.add(slow, count));
            let each = links.iter().flat_map(|&(slow, count)| core::iter::repeat_n(slow, count));
            let (slow, fast) = each.partition::<alloc::vec::Vec<bool>, _>(|slow| *slow);
            prop_assert_eq!(clients.wait(), !links.is_empty() && slow.len() >= fast.len());
        }
    }
}
