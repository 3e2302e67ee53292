//! What a protocol is lent while one of its handlers runs.

use super::Body;
use crate::counters::{Counter, Fault};
use crate::notice::Unusable;
use crate::wire::{Contact, Wanted, Writer};
use crate::{FragmentId, HostId, HostTag, PatchId, Rng, Seq, Source, Time};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// Most frames of protocols are no longer, and so are written without growing.
const USUAL_FRAME_BYTES: usize = 128;

/// The context of one call: what the protocol can see, and each effect it may have.
///
/// Effects are carried out in order when the handler returns, so a handler never sees its own.
pub struct Cx<'a, T: Copy + Ord> {
    pub(crate) now: Time,
    pub(crate) me: HostId,
    pub(crate) patch: PatchId,
    pub(crate) peers: &'a Peers,
    pub(crate) holdings: &'a dyn Holdings,
    pub(crate) rng: &'a mut Rng,
    pub(crate) timers: &'a mut Timers<T>,
    pub(crate) effects: &'a mut Vec<Effect>,
}

/// What of the group's messages is here.
pub(crate) trait Holdings {
    /// Whether a fragment is here.
    fn has(&self, fragment: FragmentId) -> bool;
    /// How many fragments a message has, where that is known.
    fn count_of(&self, source: Source, seq: Seq) -> Option<u16>;
    /// Whether what is missing is asked for.
    fn repairs(&self) -> bool;
    /// Hands what has been missing for at least `age` to `visit` until that answers false.
    fn holes(&self, now: Time, age: Duration, visit: &mut dyn FnMut(Wanted) -> bool);
}

/// One effect of a handler, as the container carries it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Keep a link to a member open until it is released; dial it if there is none.
    Need(HostId),
    /// Keep the link to a member, which dials it, open until it is released.
    Expect(HostId),
    /// This patch has no more use for the link to that host.
    Release(HostId),
    /// Send a protocol frame to a member that is needed.
    Send(HostId, Bytes),
    /// Send a protocol frame to a member by UDP; if true, padded so that any answer may follow.
    Tell(HostId, Bytes, bool),
    /// Send a protocol frame to the host whose frame is being handled, the way that it came.
    Answer(Bytes),
    /// The host whose datagram is being handled became known as a member.
    LearnAsker,
    /// Measure the round trip to a member by UDP.
    Measure(HostId),
    /// A question and its answer took this long.
    Took(HostId, Duration),
    /// Send a fragment from the window to a member that is needed.
    SendFragment(HostId, FragmentId),
    /// Forget the fragments that wait for a member.
    HoldBack(HostId),
    /// Send a protocol frame to the patch's multicast address.
    Multicast(Bytes),
    /// Likewise, without saying who sends it.
    MulticastToKnown(Bytes),
    /// Send a fragment from the window to the patch's multicast address.
    MulticastFragment(FragmentId),
    /// Give a fragment from the window to everybody in the patch, since several asked for it.
    MulticastRepair(FragmentId),
    /// Give a fragment from the window to a member that asked for it, by a datagram; to everybody
    /// where datagrams are not known to reach it.
    Repair(HostId, FragmentId),
    /// Send no more than so many bytes a second to the patch's multicast address.
    Pace(u64),
    /// Join the patch's multicast address.
    JoinMulticast {
        /// Class-D address and port.
        address: SocketAddr,
        /// Local address of the interface.
        interface: IpAddr,
        /// Hop limit of what is sent.
        ttl: u8,
        /// Ceiling of what is sent, in bytes a second.
        bytes_per_second: u64,
    },
    /// A member became known.
    Learn(Contact),
    /// A member is gone for good.
    Forget(HostId),
    /// Ask the bootstrap service for more members of the patch.
    AskContacts,
    /// Tell every neighbour soon what is held here.
    Announce,
    /// The protocol cannot run on this host; move it to the next one of the policy.
    Unusable(Unusable),
    /// A member broke the protocol.
    Misbehaved(HostId, Fault),
    /// Something to count.
    Count(Counter),
}

impl<T: Copy + Ord> Cx<'_, T> {
    /// The time of the call.
    pub fn now(&self) -> Time {
        self.now
    }

    /// This host.
    pub fn me(&self) -> HostId {
        self.me
    }

    /// The patch that the protocol serves.
    pub fn patch(&self) -> PatchId {
        self.patch
    }

    /// The patch's members as far as they are known, this host not among them.
    pub fn peers(&self) -> &Peers {
        self.peers
    }

    /// Whether a fragment is in the window.
    pub fn has(&self, fragment: FragmentId) -> bool {
        self.holdings.has(fragment)
    }

    /// How many fragments a message has, where that is known.
    pub fn count_of(&self, source: Source, seq: Seq) -> Option<u16> {
        self.holdings.count_of(source, seq)
    }

    /// Whether the group repairs what is missing; if not, at most the past that a newcomer wants is
    /// asked for.
    pub fn repairs(&self) -> bool {
        self.holdings.repairs()
    }

    /// Hands what has been missing for at least `age` to `visit`, the oldest message of a source
    /// first, until that answers false.
    pub fn holes(&self, age: Duration, visit: &mut dyn FnMut(Wanted) -> bool) {
        self.holdings.holes(self.now, age, visit);
    }

    /// The protocol's own stream of random numbers.
    pub fn rng(&mut self) -> &mut Rng {
        self.rng
    }

    /// Sets the deadline of `timer`, replacing an earlier one. A time that is not after
    /// [`now`](Self::now) counts as one nanosecond after it, so that each timeout makes progress.
    pub fn set_timer(&mut self, timer: T, at: Time) {
        self.timers.set(timer, at.max(self.now + Duration::from_nanos(1)));
    }

    /// Sets the deadline of `timer`, unless it has an earlier one.
    pub fn set_timer_by(&mut self, timer: T, at: Time) {
        if self.timers.deadline(timer).is_none_or(|set| at < set) {
            self.set_timer(timer, at);
        }
    }

    /// Sets the deadline of `timer` to a random time from `low` to `high` after now, so that hosts
    /// that started together do not stay in step.
    pub fn set_timer_within(&mut self, timer: T, low: Duration, high: Duration) {
        let pause = self.rng.between(low, high);
        self.set_timer(timer, self.now + pause);
    }

    /// Forgets the deadline of `timer`.
    pub fn stop_timer(&mut self, timer: T) {
        self.timers.stop(timer);
    }

    /// Whether `timer` has a deadline.
    pub fn is_set(&self, timer: T) -> bool {
        self.timers.deadline(timer).is_some()
    }

    /// Keeps a link to `host` open, and dials it if there is none. Frames may be sent at once.
    pub fn need(&mut self, host: HostId) {
        self.effects.push(Effect::Need(host));
    }

    /// As [`need`](Self::need), where `host` is about to dial: this side does not.
    pub fn expect(&mut self, host: HostId) {
        self.effects.push(Effect::Expect(host));
    }

    /// Gives the link to `host` up; it stays open while another patch or protocol needs it.
    pub fn release(&mut self, host: HostId) {
        self.effects.push(Effect::Release(host));
    }

    /// Sends `frame` to `host`, which must be needed.
    pub fn send(&mut self, host: HostId, frame: &impl Body) {
        self.effects.push(Effect::Send(host, encode(frame)));
    }

    /// Sends `frame` to `host`, a member in [`peers`](Self::peers), in a datagram: at once and
    /// without a link, but it may be lost, and does not pass where UDP does not.
    /// [`Protocol::on_datagram`](super::Protocol::on_datagram) takes it in.
    pub fn tell(&mut self, host: HostId, frame: &impl Body) {
        self.effects.push(Effect::Tell(host, encode(frame), false));
    }

    /// As [`tell`](Self::tell), in a datagram of full length: an answer to an address that is not
    /// proved is never longer than the question.
    pub fn ask(&mut self, host: HostId, frame: &impl Body) {
        self.effects.push(Effect::Tell(host, encode(frame), true));
    }

    /// Sends `frame` to the host whose frame is being handled, the way that it came. An answer to a
    /// datagram that is longer than it is dropped and counted as unproven.
    pub fn answer(&mut self, frame: &impl Body) {
        self.effects.push(Effect::Answer(encode(frame)));
    }

    /// Makes the host whose datagram is being handled a member in [`peers`](Self::peers), so that it
    /// can be asked in turn; one whose frame came over a stream is within reach anyway.
    pub fn learn_asker(&mut self) {
        self.effects.push(Effect::LearnAsker);
    }

    /// Measures the round trip to `host`, a member in [`peers`](Self::peers), with a datagram that
    /// every host answers; [`Protocol::on_measured`](super::Protocol::on_measured) follows, unless
    /// one of the two is lost.
    pub fn measure(&mut self, host: HostId) {
        self.effects.push(Effect::Measure(host));
    }

    /// Says how long a question to `host` and its answer took, both by datagram; it counts where its
    /// link has not measured better.
    pub fn took(&mut self, host: HostId, rtt: Duration) {
        self.effects.push(Effect::Took(host, rtt));
    }

    /// Sends a fragment that the window holds to `host`, which must be needed.
    pub fn send_fragment(&mut self, host: HostId, fragment: FragmentId) {
        self.effects.push(Effect::SendFragment(host, fragment));
    }

    /// Forgets the fragments that wait for `host`, which gets them from elsewhere.
    pub fn hold_back(&mut self, host: HostId) {
        self.effects.push(Effect::HoldBack(host));
    }

    /// Sends `frame` to everybody in the patch, by multicast.
    pub fn multicast(&mut self, frame: &impl Body) {
        self.effects.push(Effect::Multicast(encode(frame)));
    }

    /// As [`multicast`](Self::multicast), but those that do not know this host drop it: it is not
    /// introduced to them.
    pub fn multicast_to_known(&mut self, frame: &impl Body) {
        self.effects.push(Effect::MulticastToKnown(encode(frame)));
    }

    /// Sends a fragment that the window holds to everybody in the patch, by multicast.
    pub fn multicast_fragment(&mut self, fragment: FragmentId) {
        self.effects.push(Effect::MulticastFragment(fragment));
    }

    /// Gives a fragment that the window holds to everybody in the patch, by multicast.
    pub fn multicast_repair(&mut self, fragment: FragmentId) {
        self.effects.push(Effect::MulticastRepair(fragment));
    }

    /// Gives a fragment that the window holds to `host`, which asked for it. It goes by a datagram,
    /// which may get lost; where none of `host`'s addresses is proved to be its own, everybody gets
    /// it by multicast.
    pub fn repair(&mut self, host: HostId, fragment: FragmentId) {
        self.effects.push(Effect::Repair(host, fragment));
    }

    /// Sends no more than `bytes_per_second` to the patch's multicast address from now on; the
    /// ceiling given to [`join_multicast`](Self::join_multicast) holds all the same.
    pub fn pace(&mut self, bytes_per_second: u64) {
        self.effects.push(Effect::Pace(bytes_per_second));
    }

    /// Joins the patch's multicast address; [`Protocol::on_multicast`](super::Protocol) answers.
    /// What is sent there is paced to `bytes_per_second`.
    pub fn join_multicast(
        &mut self,
        address: SocketAddr,
        interface: IpAddr,
        ttl: u8,
        bytes_per_second: u64,
    ) {
        self.effects.push(Effect::JoinMulticast { address, interface, ttl, bytes_per_second });
    }

    /// Adds a member to [`peers`](Self::peers), or brings what is known of it up to date.
    pub fn learn(&mut self, contact: Contact) {
        self.effects.push(Effect::Learn(contact));
    }

    /// Takes a member out of [`peers`](Self::peers).
    pub fn forget(&mut self, host: HostId) {
        self.effects.push(Effect::Forget(host));
    }

    /// Asks the bootstrap service for more members; [`Protocol::on_contacts`](super::Protocol)
    /// brings them.
    pub fn ask_contacts(&mut self) {
        self.effects.push(Effect::AskContacts);
    }

    /// Has this host's word on what it holds sent soon to every neighbour.
    pub fn announce(&mut self) {
        self.effects.push(Effect::Announce);
    }

    /// Says that the protocol cannot run here. The container moves the host to another one.
    pub fn unusable(&mut self, reason: Unusable) {
        self.effects.push(Effect::Unusable(reason));
    }

    /// Says that `host` broke the protocol; it is counted.
    pub fn misbehaved(&mut self, host: HostId, fault: Fault) {
        self.effects.push(Effect::Misbehaved(host, fault));
    }

    /// Counts an occurrence.
    pub fn count(&mut self, counter: Counter) {
        self.effects.push(Effect::Count(counter));
    }
}

fn encode(frame: &impl Body) -> Bytes {
    let mut bytes = Vec::with_capacity(USUAL_FRAME_BYTES);
    frame.encode(&mut Writer::new(&mut bytes));
    Bytes::from(bytes)
}

/// The members of one patch that a host knows. Boxed, since what is known of one is long and they
/// come and go.
#[derive(Clone, Debug, Default)]
pub struct Peers(pub(crate) BTreeMap<HostId, Box<Peer>>);

/// What is known of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// How to reach it, and its surroundings.
    pub contact: Contact,
    /// Whether a link to it is open.
    pub linked: bool,
    /// The round-trip time: the smoothed one of that link, or what a datagram took.
    pub rtt: Option<Duration>,
    /// When something of it was last heard in this patch.
    pub heard: Time,
    /// Where datagrams reach it: the one of its addresses from which multicast packets of its came.
    pub datagrams: Option<SocketAddr>,
}

impl Peers {
    /// The member `host`.
    pub fn get(&self, host: HostId) -> Option<&Peer> {
        self.0.get(&host).map(|peer| &**peer)
    }

    /// All members, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (HostId, &Peer)> {
        self.0.iter().map(|(&host, peer)| (host, &**peer))
    }

    /// The member that packets name so; of several, which do not occur unless one of them was made
    /// for that, the first.
    pub(crate) fn with_tag(&mut self, tag: HostTag) -> Option<(&HostId, &mut Peer)> {
        let (host, peer) = self.0.range_mut(HostId::first(tag)..).next()?;
        (host.tag() == tag).then_some((host, &mut **peer))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Deadlines by key: setting replaces, stopping forgets, equal deadlines come in key order.
#[derive(Clone, Debug)]
pub struct Timers<T> {
    deadlines: BTreeMap<T, Time>,
    order: BTreeSet<(Time, T)>,
}

impl<T: Copy + Ord> Default for Timers<T> {
    fn default() -> Self {
        Self { deadlines: BTreeMap::new(), order: BTreeSet::new() }
    }
}

impl<T: Copy + Ord> Timers<T> {
    /// Sets the deadline of `timer`.
    pub fn set(&mut self, timer: T, at: Time) {
        if let Some(old) = self.deadlines.insert(timer, at) {
            self.order.remove(&(old, timer));
        }
        self.order.insert((at, timer));
    }

    /// Forgets the deadline of `timer`.
    pub fn stop(&mut self, timer: T) {
        if let Some(old) = self.deadlines.remove(&timer) {
            self.order.remove(&(old, timer));
        }
    }

    /// The deadline of `timer`.
    pub fn deadline(&self, timer: T) -> Option<Time> {
        self.deadlines.get(&timer).copied()
    }

    /// How many are set.
    pub(crate) fn len(&self) -> usize {
        self.deadlines.len()
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Time> {
        self.order.first().map(|&(at, _)| at)
    }

    /// Takes out the earliest timer if its deadline is not after `now`.
    pub fn pop(&mut self, now: Time) -> Option<T> {
        let &(at, timer) = self.order.first().filter(|&&(at, _)| at <= now)?;
        self.order.remove(&(at, timer));
        self.deadlines.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn setting_replaces_stopping_forgets_and_equal_deadlines_come_in_key_order() {
        let mut timers = Timers::default();
        timers.set('b', Time::from_millis(1));
        timers.set('a', Time::from_millis(9));
        timers.set('a', Time::from_millis(1));
        timers.set('c', Time::from_millis(1));
        timers.stop('c');
        assert_eq!(timers.next(), Some(Time::from_millis(1)));
        assert_eq!(timers.pop(Time::ZERO), None);
        assert_eq!(timers.pop(Time::from_millis(1)), Some('a'));
        assert_eq!(timers.pop(Time::from_millis(1)), Some('b'));
        assert_eq!(timers.pop(Time::MAX), None);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Set(u8, u64),
        Stop(u8),
        Pop(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (0_u8..6, 0_u64..40).prop_map(|(timer, at)| Op::Set(timer, at)),
            1 => (0_u8..6).prop_map(Op::Stop),
            4 => (0_u64..40).prop_map(Op::Pop),
        ]
    }

    proptest! {
        /// The twin is a list that is searched: none fires early, none is lost, none fires twice.
        #[test]
        fn timers_fire_as_those_of_a_naive_twin(ops in proptest::collection::vec(op(), 0..80)) {
            let (mut timers, mut twin) = (Timers::default(), Vec::<(Time, u8)>::new());
            for op in ops {
                match op {
                    Op::Set(timer, at) => {
                        timers.set(timer, Time::from_millis(at));
                        twin.retain(|&(_, other)| other != timer);
                        twin.push((Time::from_millis(at), timer));
                    }
                    Op::Stop(timer) => {
                        timers.stop(timer);
                        twin.retain(|&(_, other)| other != timer);
                    }
                    Op::Pop(now) => {
                        let now = Time::from_millis(now);
                        let due = twin.iter().copied().filter(|&(at, _)| at <= now).min();
                        twin.retain(|&one| Some(one) != due);
                        prop_assert_eq!(timers.pop(now), due.map(|(_, timer)| timer));
                    }
                }
                prop_assert_eq!(timers.next(), twin.iter().map(|&(at, _)| at).min());
                prop_assert_eq!(timers.len(), twin.len());
                for timer in 0..6 {
                    let set = twin.iter().find(|&&(_, other)| other == timer);
                    prop_assert_eq!(timers.deadline(timer), set.map(|&(at, _)| at));
                }
            }
        }
    }
}
