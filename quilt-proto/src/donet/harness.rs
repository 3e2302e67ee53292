//! A whole mesh on a simulated network: hosts, links with latency, and a container's repair.
#![allow(clippy::arithmetic_side_effects)]

use super::mesh::Mesh;
use super::{Donet, Frame};
use crate::protocol::bench::{Bench, contact, host};
use crate::protocol::{Arrival, Body, Effect, Peer, Protocol, Setup};
use crate::wire::Reader;
use crate::{FragmentId, HostId, HostTag, Incarnation, LinkError, PatchId, Rng, Seq, Source, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;
use proptest::prelude::*;

/// What arrives at a host.
enum Arriving {
    Frame(Bytes),
    Pushed(FragmentId),
    Pulled(FragmentId),
    Connected,
    Lost,
    Contacts,
}

/// A fragment is pulled from a partner that has had it for this long, as a container would.
const REPAIR: Duration = Duration::from_millis(400);

struct Net {
    now: Time,
    rng: Rng,
    seed: u64,
    hosts: BTreeMap<HostId, Bench<Mesh>>,
    links: BTreeSet<(HostId, HostId)>,
    held: BTreeMap<HostId, BTreeMap<FragmentId, Time>>,
    queue: BTreeMap<(Time, u64), (HostId, HostId, Arriving)>,
    queued: u64,
    next_repair: Time,
    next_seq: u64,
    duplicates: u64,
    pulled: u64,
}

impl Net {
    fn new(seed: u64) -> Self {
        Self {
            now: Time::ZERO,
            rng: Rng::new(seed),
            seed,
            hosts: BTreeMap::new(),
            links: BTreeSet::new(),
            held: BTreeMap::new(),
            queue: BTreeMap::new(),
            queued: 0,
            next_repair: Time::ZERO,
            next_seq: 0,
            duplicates: 0,
            pulled: 0,
        }
    }

    /// A network of `n` hosts, started within a second, each with a few contacts.
    fn started(seed: u64, n: u8) -> Self {
        let mut net = Self::new(seed);
        for i in 0..n {
            let mut earlier: Vec<u8> = (0..i).collect();
            net.rng.shuffle(&mut earlier);
            earlier.truncate(8);
            net.start(i, earlier);
            let pause = Duration::from_millis(net.rng.below(1_000 / u64::from(n)));
            net.run(pause);
        }
        net
    }

    fn start(&mut self, n: u8, contacts: impl IntoIterator<Item = u8>) {
        let setup = Setup {
            me: host(n),
            patch: PatchId(1),
            parameters: Bytes::new(),
            named: alloc::vec::Vec::new(),
            interface: contact(n).addresses[0].ip(),
            contact: contact(n),
        };
        let mut bench = Bench::new(Mesh::new(&Donet::default(), &setup), contacts);
        bench.me = host(n);
        bench.now = self.now;
        bench.rng = Rng::new(self.seed ^ (u64::from(n) << 32));
        self.hosts.insert(host(n), bench);
        self.held.insert(host(n), BTreeMap::new());
        self.call(host(n), |mesh, cx| mesh.start(cx));
    }

    /// Takes a host away without a word; those linked with it notice after a while.
    fn kill(&mut self, gone: HostId) {
        self.hosts.remove(&gone);
        self.held.remove(&gone);
        let links: Vec<_> = self.links.iter().copied().filter(|&(_, to)| to == gone).collect();
        links.into_iter().for_each(|(from, to)| self.send_in(300, to, from, Arriving::Lost));
        self.links.retain(|&(from, _)| from != gone);
    }

    fn call(&mut self, at: HostId, handler: impl FnOnce(&mut Mesh, &mut super::mesh::Cx<'_>)) {
        let Some(bench) = self.hosts.get_mut(&at) else { return };
        bench.now = self.now;
        let effects = bench.call(handler);
        effects.into_iter().for_each(|effect| self.carry_out(at, effect));
    }

    fn carry_out(&mut self, at: HostId, effect: Effect) {
        match effect {
            Effect::Need(to) => {
                if !self.links.insert((at, to)) {
                    return;
                }
                let outcome =
                    if self.hosts.contains_key(&to) { Arriving::Connected } else { Arriving::Lost };
                self.send(to, at, outcome);
            }
            Effect::Release(to) => {
                self.links.remove(&(at, to));
            }
            Effect::Send(to, body) => {
                assert!(self.links.contains(&(at, to)), "sends without need");
                assert!(body.len() <= crate::wire::MAX_PROTOCOL_BODY_BYTES);
                self.send(at, to, Arriving::Frame(body));
            }
            Effect::SendFragment(to, fragment) => {
                assert!(self.links.contains(&(at, to)), "pushes without need");
                self.send(at, to, Arriving::Pushed(fragment));
            }
            Effect::Learn(contact) => {
                let heard = self.now;
                let peer = Peer { contact, linked: false, rtt: None, heard, datagrams: None };
                let peers = &mut self.hosts.get_mut(&at).unwrap().peers.0;
                peers.entry(peer.contact.host).or_insert(peer.into());
            }
            Effect::Forget(gone) => {
                self.hosts.get_mut(&at).unwrap().peers.0.remove(&gone);
            }
            Effect::AskContacts => self.send_in(20, at, at, Arriving::Contacts),
            // Here nothing waits: whatever is sent is under way at once.
            Effect::Announce | Effect::HoldBack(_) => {}
            other => panic!("{other:?}"),
        }
    }

    /// The latency between two hosts: up to 40 ms, the same for good.
    fn latency(&self, a: HostId, b: HostId) -> Duration {
        let pair = u64::from(a.0[0].min(b.0[0])) << 8 | u64::from(a.0[0].max(b.0[0]));
        Duration::from_micros(500 + Rng::new(self.seed ^ pair << 20).below(39_500))
    }

    fn send(&mut self, from: HostId, to: HostId, what: Arriving) {
        let latency = self.latency(from, to);
        self.enqueue(self.now + latency, from, to, what);
    }

    fn send_in(&mut self, ms: u64, from: HostId, to: HostId, what: Arriving) {
        self.enqueue(self.now + Duration::from_millis(ms), from, to, what);
    }

    fn enqueue(&mut self, at: Time, from: HostId, to: HostId, what: Arriving) {
        self.queued += 1;
        self.queue.insert((at, self.queued), (from, to, what));
    }

    fn arrive(&mut self, from: HostId, to: HostId, what: Arriving) {
        let now = self.now;
        let Some(held) = self.held.get_mut(&to) else { return };
        match what {
            Arriving::Frame(body) => {
                let frame = Frame::decode(&mut Reader::new(&body)).unwrap();
                self.call(to, |mesh, cx| mesh.on_frame(cx, from, frame));
            }
            Arriving::Pushed(fragment) => {
                if held.contains_key(&fragment) {
                    self.duplicates += 1;
                    return self.call(to, |mesh, cx| mesh.on_duplicate(cx, from, fragment));
                }
                held.insert(fragment, now);
                self.call(to, |mesh, cx| mesh.on_fragment(cx, Arrival::Pushed(from), fragment));
            }
            Arriving::Pulled(fragment) => {
                if held.insert(fragment, now).is_none() {
                    self.pulled += 1;
                    self.call(to, |mesh, cx| mesh.on_fragment(cx, Arrival::Pulled(from), fragment));
                }
            }
            Arriving::Connected => {
                let rtt = self.latency(from, to) * 2;
                if let Some(peer) = self.hosts.get_mut(&to).unwrap().peers.0.get_mut(&from) {
                    (peer.linked, peer.rtt) = (true, Some(rtt));
                }
                self.call(to, |mesh, cx| mesh.on_connected(cx, from));
            }
            Arriving::Lost => {
                self.links.remove(&(to, from));
                self.call(to, |mesh, cx| mesh.on_disconnected(cx, from, LinkError::Reset));
            }
            Arriving::Contacts => {
                let mut others: Vec<HostId> = self.hosts.keys().copied().collect();
                others.retain(|&other| other != to);
                self.rng.shuffle(&mut others);
                others.truncate(4);
                for &other in &others {
                    self.carry_out(to, Effect::Learn(contact(other.0[0])));
                }
                self.call(to, |mesh, cx| mesh.on_contacts(cx, &others));
            }
        }
    }

    /// Each host pulls what a partner has had for a while.
    fn repair(&mut self) {
        let due = self.now - REPAIR;
        let mut pulls = Vec::new();
        for (&at, bench) in &self.hosts {
            for partner in bench.protocol.neighbours() {
                for (&fragment, &since) in self.held.get(&partner).into_iter().flatten() {
                    if since <= due && !self.held[&at].contains_key(&fragment) {
                        pulls.push((partner, at, fragment));
                    }
                }
            }
        }
        for (from, to, fragment) in pulls {
            self.send(from, to, Arriving::Pulled(fragment));
        }
        self.next_repair = self.now + Duration::from_millis(100);
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let timers = self.hosts.iter().filter_map(|(&at, b)| Some((b.timers.next()?, at)));
            let timer = timers.min().unwrap_or((Time::MAX, host(0)));
            let arrival = self.queue.keys().next().map_or(Time::MAX, |&(at, _)| at);
            let next = timer.0.min(arrival).min(self.next_repair);
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            if arrival == next {
                let (_, (from, to, what)) = self.queue.pop_first().unwrap();
                self.arrive(from, to, what);
            } else if timer.0 == next {
                let due = self.hosts.get_mut(&timer.1).unwrap().timers.pop(self.now);
                if let Some(due) = due {
                    self.call(timer.1, |mesh, cx| mesh.on_timer(cx, due));
                }
            } else {
                self.repair();
            }
        }
        self.now = end;
    }

    fn inject(&mut self, at: HostId) -> FragmentId {
        let source = Source { host: at.tag(), incarnation: Incarnation(1) };
        let fragment = FragmentId { source, seq: Seq(self.next_seq), index: 0 };
        self.next_seq += 1;
        self.held.get_mut(&at).unwrap().insert(fragment, self.now);
        self.call(at, |mesh, cx| mesh.on_fragment(cx, Arrival::Injected, fragment));
        fragment
    }

    fn inject_somewhere(&mut self) -> FragmentId {
        let hosts: Vec<HostId> = self.hosts.keys().copied().collect();
        let at = hosts[self.rng.index(hosts.len())];
        self.inject(at)
    }

    fn has_reached_all(&self, fragment: FragmentId) -> bool {
        self.held.values().all(|held| held.contains_key(&fragment))
    }

    /// Partners are partners of each other, nobody has too many, and all hosts hang together.
    fn check_mesh(&self) -> Result<(), TestCaseError> {
        for (&at, bench) in &self.hosts {
            prop_assert!(bench.protocol.partners.len() <= 8);
            for partner in bench.protocol.partners.keys() {
                let mutual = self.hosts[partner].protocol.partners.contains_key(&at);
                prop_assert!(mutual, "{at} takes {partner} for a partner");
            }
        }
        let mut reached = BTreeSet::new();
        let mut next: Vec<HostId> = self.hosts.keys().next().copied().into_iter().collect();
        while let Some(at) = next.pop() {
            if reached.insert(at) {
                next.extend(self.hosts[&at].protocol.partners.keys());
            }
        }
        prop_assert_eq!(reached.len(), self.hosts.len(), "not connected");
        Ok(())
    }

    /// Partners that are about to change are left out of account by waiting for a moment of rest.
    fn rest(&mut self) {
        for _ in 0..200 {
            if self.queue.is_empty() && self.hosts.values().all(|b| b.protocol.asked.is_empty()) {
                break;
            }
            self.run(Duration::from_millis(20));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn hosts_become_one_mesh_and_stay_one_when_a_third_dies(seed: u64, n in 2u8..30) {
        let mut net = Net::started(seed, n);
        net.run(Duration::from_secs(4));
        net.rest();
        net.check_mesh()?;
        for _ in 0..n / 3 {
            let hosts: Vec<HostId> = net.hosts.keys().copied().collect();
            let gone = hosts[net.rng.index(hosts.len())];
            net.kill(gone);
        }
        net.run(Duration::from_secs(8));
        net.rest();
        net.check_mesh()?;
    }

    #[test]
    fn a_fragment_from_anywhere_reaches_all_by_push_and_few_twice(seed: u64, n in 2u8..30) {
        let mut net = Net::started(seed, n);
        net.run(Duration::from_secs(4));
        for _ in 0..40 {
            net.inject_somewhere();
            net.run(Duration::from_millis(250));
        }
        net.rest();
        (net.duplicates, net.pulled) = (0, 0);
        for _ in 0..20 {
            let fragment = net.inject_somewhere();
            net.run(Duration::from_millis(395));
            prop_assert!(net.has_reached_all(fragment), "{} pulled", net.pulled);
        }
        let redundancy = net.duplicates as f64 / (20.0 * f64::from(n));
        prop_assert!(redundancy < 0.2, "redundancy {redundancy}");
    }

    #[test]
    fn whoever_lost_its_only_inflow_is_pushed_to_again(seed: u64, n in 4u8..20) {
        let mut net = Net::started(seed, n);
        net.run(Duration::from_secs(4));
        for _ in 0..10 {
            net.inject(host(0));
            net.run(Duration::from_millis(250));
        }
        let gone = host(1 + (seed % u64::from(n - 1)) as u8);
        net.kill(gone);
        let during = net.inject(host(0));
        net.run(Duration::from_secs(3));
        prop_assert!(net.has_reached_all(during));
        net.pulled = 0;
        let after = net.inject(host(0));
        net.run(Duration::from_millis(395));
        prop_assert!(net.has_reached_all(after));
        prop_assert_eq!(net.pulled, 0);
    }

    #[test]
    fn two_meshes_become_one_once_one_host_knows_of_the_other(seed: u64) {
        let mut net = Net::new(seed);
        for n in 0..12 {
            let other_side = (n == 11).then_some(0);
            net.start(n, (n % 2..n).step_by(2).chain(other_side));
        }
        net.run(Duration::from_secs(60));
        net.rest();
        net.check_mesh()?;
    }
}

#[test]
fn equal_seeds_give_equal_meshes() {
    let digest = || {
        let mut net = Net::started(7, 20);
        for _ in 0..20 {
            net.inject_somewhere();
            net.run(Duration::from_millis(200));
        }
        let meshes: Vec<(HostId, Vec<HostTag>)> = net
            .hosts
            .iter()
            .map(|(&at, b)| (at, b.protocol.tags().into_iter().collect()))
            .collect();
        (meshes, net.queued, net.duplicates)
    };
    assert_eq!(digest(), digest());
}
