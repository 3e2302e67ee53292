//! The hosts of a patch on a network in memory: seeded latencies, links by demand, deaths.

use super::super::frame::Frame;
use super::super::tree::{Place, Tree};
use super::setup;
use crate::protocol::bench::{Bench, contact, host};
use crate::protocol::{Arrival, Body, Effect, Peer, Protocol};
use crate::wire::{Contact, MAX_PROTOCOL_BODY_BYTES, Reader, Writer};
use crate::{FragmentId, HostId, LinkError, PatchId, Rng, Seq, Source, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

/// How much one simulated second may cost; more is a loop.
const STEPS_A_SECOND: u64 = 50_000;

/// What a liar makes of what it says.
pub(super) type Lie = fn(&mut Frame);

pub(super) struct Net {
    pub(super) now: Time,
    pub(super) rng: Rng,
    pub(super) hosts: BTreeMap<u8, Bench<Tree>>,
    /// Who has which fragment, and how often it came.
    pub(super) received: BTreeMap<(u8, FragmentId), u32>,
    events: BTreeMap<(Time, u64), Event>,
    count: u64,
    /// Who needs whom.
    needs: BTreeSet<(u8, u8)>,
    /// When a link opens; the lower host first.
    links: BTreeMap<(u8, u8), Time>,
    places: BTreeMap<u8, (u64, u64)>,
    /// The hosts of one side, while the two sides do not reach each other.
    split: BTreeSet<u8>,
    /// Whoever gives a link up closes it for the other side as well.
    harsh: bool,
    /// Of a hundred datagrams so many are lost.
    pub(super) loss: u64,
    /// Who lies, and what it makes of what it says; it forwards nothing if it is `silent`.
    pub(super) liar: Option<(u8, Lie)>,
    pub(super) silent: Option<u8>,
    /// Who is answered, and whether by datagram.
    asker: Option<(u8, bool)>,
}

enum Event {
    Up(u8, u8),
    Down(u8, u8, LinkError),
    Frame(u8, u8, Bytes),
    Fragment(u8, u8, FragmentId),
    Contacts(u8),
    Datagram(u8, u8, Bytes),
    Measured(u8, u8, Duration),
}

pub(super) fn number(host: HostId) -> u8 {
    host.0[0]
}

fn encoded(frame: &Frame) -> Bytes {
    let mut bytes = Vec::new();
    frame.encode(&mut Writer::new(&mut bytes));
    bytes.into()
}

fn pair(a: u8, b: u8) -> (u8, u8) {
    (a.min(b), a.max(b))
}

impl Net {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let harsh = rng.below(2) == 0;
        Self {
            now: Time::ZERO,
            rng,
            hosts: BTreeMap::new(),
            received: BTreeMap::new(),
            events: BTreeMap::new(),
            count: 0,
            needs: BTreeSet::new(),
            links: BTreeMap::new(),
            places: BTreeMap::new(),
            split: BTreeSet::new(),
            harsh,
            loss: 0,
            liar: None,
            silent: None,
            asker: None,
        }
    }

    /// Starts host `n`, which knows some hosts.
    pub(super) fn start(&mut self, n: u8, patch: PatchId, degree: u8, known: &[u8]) {
        let mut bench = Bench::new(Tree::new(degree, &setup(n, patch)), known.iter().copied());
        bench.me = host(n);
        bench.rng = self.rng.fork("host");
        bench.now = self.now;
        self.hosts.insert(n, bench);
        let place = (self.rng.below(100), self.rng.below(100));
        self.places.insert(n, place);
        self.call(n, |tree, cx| tree.start(cx));
    }

    /// Starts `1..=n`: the first creates the patch, each other one knows eight hosts or fewer, and
    /// all but the first start within 50 ms of each other.
    pub(super) fn grow(&mut self, n: u8, patch: PatchId, degree: u8) {
        self.start(1, patch, degree, &[]);
        for host in 2..=n {
            let mut known: Vec<u8> = (1..=n).filter(|&other| other != host).collect();
            self.rng.shuffle(&mut known);
            known.truncate(8);
            self.start(host, patch, degree, &known);
            let pause = Duration::from_millis(self.rng.below(50) / u64::from(n));
            self.run(pause);
        }
    }

    pub(super) fn call(
        &mut self,
        n: u8,
        handler: impl FnOnce(&mut Tree, &mut super::super::tree::Cx<'_>),
    ) {
        let Some(bench) = self.hosts.get_mut(&n) else { return };
        bench.now = self.now;
        let effects = bench.call(handler);
        effects.into_iter().for_each(|effect| self.apply(n, effect));
    }

    fn latency(&self, a: u8, b: u8) -> Duration {
        let ((ax, ay), (bx, by)) = (self.places[&a], self.places[&b]);
        Duration::from_millis(1 + (ax.abs_diff(bx) + ay.abs_diff(by)) / 2)
    }

    fn reaches(&self, a: u8, b: u8) -> bool {
        self.hosts.contains_key(&b) && self.split.contains(&a) == self.split.contains(&b)
    }

    fn schedule(&mut self, after: Duration, event: Event) {
        self.count += 1;
        self.events.insert((self.now + after, self.count), event);
    }

    /// What a liar says instead.
    fn twist(&self, n: u8, body: Bytes) -> Bytes {
        let Some((_, lie)) = self.liar.filter(|&(liar, _)| liar == n) else { return body };
        let mut frame = Frame::decode(&mut Reader::new(&body)).unwrap();
        lie(&mut frame);
        encoded(&frame)
    }

    /// Has a host say something that it would not.
    pub(super) fn forge(&mut self, from: u8, to: u8, frame: &Frame) {
        self.carry(from, to, |a, b| Event::Frame(a, b, encoded(frame)));
    }

    fn apply(&mut self, n: u8, effect: Effect) {
        let effect = match effect {
            Effect::Tell(to, body, pad) => Effect::Tell(to, self.twist(n, body), pad),
            Effect::Answer(body) => Effect::Answer(self.twist(n, body)),
            Effect::Send(to, body) => Effect::Send(to, self.twist(n, body)),
            Effect::SendFragment(..) if self.silent == Some(n) => return,
            other => other,
        };
        match effect {
            Effect::Need(to) => self.need(n, number(to)),
            Effect::Expect(to) => {
                if self.needs.insert((n, number(to))) {
                    self.up_if_linked(n, number(to));
                }
            }
            Effect::Release(to) => self.release(n, number(to)),
            Effect::Tell(to, body, _) => self.tell(n, number(to), body),
            Effect::Answer(body) => match self.asker.unwrap() {
                (to, true) => self.tell(n, to, body),
                (to, false) => self.carry(n, to, |a, b| Event::Frame(a, b, body)),
            },
            Effect::Measure(to) => {
                let to = number(to);
                if self.reaches(n, to) && self.rng.below(100) >= self.loss {
                    let rtt = self.latency(n, to) * 2;
                    self.schedule(rtt, Event::Measured(n, to, rtt));
                }
            }
            Effect::LearnAsker => {
                let (asker, _) = self.asker.unwrap();
                self.learn(n, &contact(asker));
            }
            Effect::Took(host, rtt) => self.note_rtt(n, host, rtt),
            Effect::Send(to, body) => {
                assert!(body.len() <= MAX_PROTOCOL_BODY_BYTES, "{} bytes", body.len());
                self.carry(n, number(to), |a, b| Event::Frame(a, b, body));
            }
            Effect::SendFragment(to, fragment) => {
                self.carry(n, number(to), |a, b| Event::Fragment(a, b, fragment));
            }
            Effect::Learn(contact) => self.learn(n, &contact),
            Effect::AskContacts => self.schedule(Duration::from_millis(20), Event::Contacts(n)),
            Effect::Count(_) => {}
            other => panic!("host {n}: {other:?}"),
        }
    }

    /// Whoever needs a link that is open already is told so.
    fn up_if_linked(&mut self, a: u8, b: u8) {
        if let Some(&opens) = self.links.get(&pair(a, b)) {
            self.schedule(opens.since(self.now), Event::Up(a, b));
        }
    }

    fn tell(&mut self, a: u8, b: u8, body: Bytes) {
        assert!(body.len() <= MAX_PROTOCOL_BODY_BYTES, "{} bytes", body.len());
        if self.reaches(a, b) && self.rng.below(100) >= self.loss {
            let jitter = Duration::from_micros(self.rng.below(200));
            self.schedule(self.latency(a, b) + jitter, Event::Datagram(a, b, body));
        }
    }

    fn note_rtt(&mut self, n: u8, host: HostId, rtt: Duration) {
        if let Some(peer) = self.hosts.get_mut(&n).and_then(|b| b.peers.0.get_mut(&host)) {
            peer.rtt = Some(rtt);
        }
    }

    fn set_linked(&mut self, a: u8, b: u8, linked: bool) {
        if let Some(peer) = self.hosts.get_mut(&a).and_then(|x| x.peers.0.get_mut(&host(b))) {
            peer.linked = linked;
        }
    }

    fn learn(&mut self, n: u8, contact: &Contact) {
        let (copy, heard) = (contact.clone(), self.now);
        let peer = Peer { contact: copy, linked: false, rtt: None, heard, datagrams: None };
        let peers = &mut self.hosts.get_mut(&n).unwrap().peers.0;
        peers.entry(contact.host).or_insert_with(|| peer.into());
    }

    fn need(&mut self, a: u8, b: u8) {
        assert_ne!(a, b);
        if !self.needs.insert((a, b)) {
            return;
        }
        if !self.reaches(a, b) {
            let (after, cause) = match self.rng.below(2) {
                0 => (50, LinkError::Refused),
                _ => (2_000, LinkError::TimedOut),
            };
            self.schedule(Duration::from_millis(after), Event::Down(a, b, cause));
        } else if self.links.contains_key(&pair(a, b)) {
            self.up_if_linked(a, b);
        } else {
            let rtt = self.latency(a, b) * 2;
            self.links.insert(pair(a, b), self.now + rtt);
            self.schedule(rtt, Event::Up(a, b));
        }
    }

    fn release(&mut self, a: u8, b: u8) {
        assert!(self.needs.remove(&(a, b)), "{a} gave up {b}, which it did not need");
        self.set_linked(a, b, false);
        let other_needs = self.needs.contains(&(b, a));
        if other_needs && !self.harsh {
            return;
        }
        if self.links.remove(&pair(a, b)).is_some() && other_needs {
            let after = self.latency(a, b);
            self.schedule(after, Event::Down(b, a, LinkError::Ended));
        }
    }

    fn carry(&mut self, a: u8, b: u8, event: impl FnOnce(u8, u8) -> Event) {
        if let Some(&opens) = self.links.get(&pair(a, b)) {
            let after = opens.since(self.now) + self.latency(a, b);
            self.schedule(after, event(a, b));
        }
    }

    /// Stops hosts without a word; whoever needs them notices within 300 ms.
    pub(super) fn kill(&mut self, victims: &[u8]) {
        for n in victims {
            self.hosts.remove(n);
        }
        self.break_links(|a, b| victims.contains(&a) || victims.contains(&b), LinkError::Reset);
    }

    /// Parts `side` from the others, or with nobody in it, brings them together again.
    pub(super) fn split(&mut self, side: &[u8]) {
        self.split = side.iter().copied().collect();
        let side = self.split.clone();
        self.break_links(|a, b| side.contains(&a) != side.contains(&b), LinkError::TimedOut);
    }

    fn break_links(&mut self, broken: impl Fn(u8, u8) -> bool, cause: LinkError) {
        self.links.retain(|&(a, b), _| !broken(a, b));
        for (a, b) in self.needs.clone() {
            if broken(a, b) {
                let after = Duration::from_millis(self.rng.below(290) + 10);
                self.schedule(after, Event::Down(a, b, cause));
            }
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let limit = self.count + STEPS_A_SECOND * (time.as_secs() + 1);
        loop {
            let event = self.events.first_key_value().map(|(&(at, _), _)| at);
            let timers = self.hosts.iter().filter_map(|(&n, b)| Some((b.timers.next()?, n)));
            let timer = timers.min();
            let next = [event, timer.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(next) = next.filter(|&next| next <= end) else { break };
            self.now = self.now.max(next);
            assert!(self.count < limit, "too busy");
            match timer.filter(|&(at, _)| Some(at) == Some(next) && event != Some(next)) {
                Some((_, n)) => self.fire(n),
                None => {
                    let (_, event) = self.events.pop_first().unwrap();
                    self.on_event(event);
                }
            }
        }
        self.now = end;
    }

    fn fire(&mut self, n: u8) {
        self.count += 1;
        let bench = self.hosts.get_mut(&n).unwrap();
        bench.now = self.now;
        let effects = bench.fire().unwrap();
        assert!(bench.timers.next().is_none_or(|next| next >= self.now));
        effects.into_iter().for_each(|effect| self.apply(n, effect));
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Up(a, b) => {
                if self.links.contains_key(&pair(a, b)) {
                    for (a, b) in [(a, b), (b, a)] {
                        if self.needs.contains(&(a, b)) {
                            self.set_linked(a, b, true);
                            self.call(a, |tree, cx| tree.on_connected(cx, host(b)));
                        }
                    }
                }
            }
            Event::Down(a, b, cause) => {
                let is_stale = self.reaches(a, b) && self.links.contains_key(&pair(a, b));
                self.set_linked(a, b, false);
                if !is_stale && self.needs.remove(&(a, b)) {
                    self.call(a, |tree, cx| tree.on_disconnected(cx, host(b), cause));
                }
            }
            Event::Frame(a, b, body) => {
                if self.reaches(a, b) {
                    let frame = Frame::decode(&mut Reader::new(&body)).unwrap();
                    self.asker = Some((a, false));
                    self.call(b, |tree, cx| tree.on_frame(cx, host(a), frame));
                }
            }
            Event::Fragment(a, b, fragment) => {
                if self.reaches(a, b) {
                    self.on_fragment(Some(a), b, fragment);
                }
            }
            Event::Contacts(n) => self.give_contacts(n),
            Event::Datagram(a, b, body) => {
                if self.reaches(a, b) {
                    let frame = Frame::decode(&mut Reader::new(&body)).unwrap();
                    self.asker = Some((a, true));
                    self.call(b, |tree, cx| tree.on_datagram(cx, host(a), frame));
                }
            }
            Event::Measured(a, b, rtt) => {
                self.note_rtt(a, host(b), rtt);
                self.call(a, |tree, cx| tree.on_measured(cx, host(b), rtt));
            }
        }
    }

    fn give_contacts(&mut self, n: u8) {
        let mut known: Vec<u8> = self
            .hosts
            .keys()
            .copied()
            .filter(|&other| other != n && self.reaches(n, other))
            .collect();
        self.rng.shuffle(&mut known);
        known.truncate(4);
        if self.hosts.contains_key(&n) {
            known.iter().for_each(|&other| self.learn(n, &contact(other)));
            let hosts: Vec<HostId> = known.into_iter().map(host).collect();
            self.call(n, |tree, cx| tree.on_contacts(cx, &hosts));
        }
    }

    fn on_fragment(&mut self, from: Option<u8>, n: u8, fragment: FragmentId) {
        let times = self.received.entry((n, fragment)).or_default();
        *times += 1;
        if *times == 1 {
            let arrival = from.map_or(Arrival::Injected, |n| Arrival::Pushed(host(n)));
            self.call(n, |tree, cx| tree.on_fragment(cx, arrival, fragment));
        }
    }

    fn parents(&self) -> Vec<Option<HostId>> {
        self.hosts.values().map(|b| b.protocol.parent().map(|p| p.host)).collect()
    }

    /// Publishes until nobody moves in the meantime: who does is sent by both parents for a moment.
    pub(super) fn publish_at_rest(&mut self, n: u8) -> FragmentId {
        // Whoever leaves and comes back has moved too.
        let families = |net: &Self| -> Vec<Vec<(HostId, Time)>> {
            let of =
                |tree: &Tree| tree.children.iter().map(|(&h, child)| (h, child.since)).collect();
            net.hosts.values().map(|bench| of(&bench.protocol)).collect()
        };
        for _ in 0..10 {
            let before = families(self);
            let fragment = self.publish(n);
            if before == families(self) {
                return fragment;
            }
        }
        panic!("still moving");
    }

    /// Injects a new fragment at host `n`, and lets it spread.
    pub(super) fn publish(&mut self, n: u8) -> FragmentId {
        let source = Source { host: host(n).tag(), incarnation: crate::Incarnation(1) };
        let fragment = FragmentId { source, seq: Seq(self.count), index: 0 };
        self.on_fragment(None, n, fragment);
        self.run(Duration::from_secs(3));
        fragment
    }

    pub(super) fn parent(&self, n: u8) -> Option<u8> {
        self.hosts.get(&n)?.protocol.parent().map(|parent| number(parent.host))
    }

    pub(super) fn interior(&self) -> Vec<u8> {
        let parents: BTreeSet<u8> = self.hosts.keys().filter_map(|&n| self.parent(n)).collect();
        parents.into_iter().filter(|&n| self.parent(n).is_some()).collect()
    }

    pub(super) fn root(&self) -> u8 {
        *self.hosts.keys().find(|&&n| self.parent(n).is_none()).unwrap()
    }

    /// Says what is wrong with the tree, if anything: it has to be one, of live hosts that agree
    /// who is whose child, each of which knows the way from its root.
    pub(super) fn fault(&self, degree: usize) -> Option<alloc::string::String> {
        let roots = self.hosts.iter().filter(|(_, b)| b.protocol.parent().is_none());
        let roots: Vec<u8> = roots.map(|(&n, _)| n).collect();
        if roots.len() != 1 {
            return Some(alloc::format!("roots {roots:?}"));
        }
        for (&n, bench) in &self.hosts {
            let tree = &bench.protocol;
            if let Place::Top { provisional: true } = tree.place {
                return Some(alloc::format!("{n} is provisional"));
            }
            if tree.children.len() > degree {
                return Some(alloc::format!("{n} has {} children", tree.children.len()));
            }
            for &child in tree.children.keys() {
                if self.parent(number(child)) != Some(n) {
                    return Some(alloc::format!("{} is not under {n}", number(child)));
                }
            }
            let mut path = alloc::vec![host(n).tag()];
            let mut at = n;
            while let Some(parent) = self.parent(at).filter(|_| path.len() <= self.hosts.len()) {
                let known = self.hosts.get(&parent).map(|b| &b.protocol.children);
                if !known.is_some_and(|children| children.contains_key(&host(at))) {
                    return Some(alloc::format!("{parent} does not know its child {at}"));
                }
                path.insert(0, host(parent).tag());
                at = parent;
            }
            if path != tree.way().path {
                return Some(alloc::format!("{n} knows another path"));
            }
        }
        None
    }

    /// Runs until nothing is wrong and nobody has moved for ten seconds.
    pub(super) fn settle(&mut self, degree: usize) {
        let mut calm = 0;
        for _ in 0..180 {
            let before = self.parents();
            self.run(Duration::from_secs(1));
            let still = before == self.parents() && self.fault(degree).is_none();
            calm = if still { calm + 1 } else { 0 };
            if calm == 10 {
                return;
            }
        }
        panic!("still moving: {:?}", self.fault(degree));
    }

    /// Runs until nothing is wrong, and says how long that took.
    pub(super) fn heal(&mut self, degree: usize, within: Duration) -> Duration {
        let start = self.now;
        while let Some(fault) = self.fault(degree) {
            assert!(self.now.since(start) < within, "after {within:?}: {fault}");
            self.run(Duration::from_millis(50));
        }
        self.now.since(start)
    }
}
