//! Two hosts with a stream between them that a test lets stand still.

use super::*;
use crate::{Incarnation, Priority, PublishOptions, Seq, Source, wire};

const GROUP: GroupId = GroupId(1);
const PATCH: PatchId = PatchId(1);

struct Bodies;

impl Fill for Bodies {
    fn data(&mut self, data: &DataRef, urgency: Urgency) -> Option<wire::Data> {
        Some(wire::Data {
            group: data.group,
            patch: data.patch,
            fragment: data.fragment,
            count: 1,
            origin: data.patch,
            hops: 1,
            solicited: urgency == Urgency::Repair,
            options: PublishOptions::default(),
            payload: Bytes::from_static(&[7; 1_000]),
        })
    }

    fn word(&mut self, group: GroupId, patch: PatchId) -> Vec<Frame> {
        alloc::vec![Frame::Held { group, patch, more: false, sources: Vec::new() }]
    }
}

fn host(n: u8) -> HostId {
    HostId([n; 32])
}

fn address(n: u8) -> SocketAddr {
    ([127, 0, 0, n], 4_000).into()
}

fn links(n: u8) -> Links {
    let addresses = core::iter::once(address(n)).collect();
    let hello = Hello { host: host(n), incarnation: Incarnation(1), addresses };
    Links::new(hello, Limits::default(), Rng::new(n.into()))
}

fn fragment(seq: u64) -> DataRef {
    let source = Source { host: HostTag(7), incarnation: Incarnation(1) };
    let fragment = FragmentId { source, seq: Seq(seq), index: 0 };
    DataRef { group: GROUP, patch: PATCH, fragment, priority: Priority::Normal }
}

/// Host 1, which has dialled host 2, and their stream at either end.
struct Pair {
    hosts: [Links; 2],
    stream: [LinkId; 2],
    now: Time,
    /// Whether datagrams come through.
    passes: bool,
    /// Whether the network makes two of each.
    doubles: bool,
    /// Datagrams that did.
    came: usize,
}

impl Pair {
    fn new() -> Self {
        let (mut a, mut b) = (links(1), links(2));
        a.need(host(2), Need::Patch(GROUP, PATCH), &[address(2)]);
        b.expect(host(1), Need::Patch(GROUP, PATCH));
        let near = a.hosts.link(host(2)).expect("it is dialled");
        let far = b.accept(Time::ZERO, ([127, 0, 0, 1], 50_000).into()).expect("there is room");
        a.opened(Time::ZERO, near);
        let hosts = [a, b];
        let (stream, now) = ([near, far], Time::ZERO);
        let mut pair = Self { hosts, stream, now, passes: true, doubles: false, came: 0 };
        pair.stream();
        pair
    }

    /// Carries what the stream has in both directions.
    fn stream(&mut self) {
        for at in [0, 1, 0] {
            while let Some(it) = self.hosts[at].poll_transmit(self.stream[at], &mut Bodies) {
                self.hosts[1 - at].received(self.now, self.stream[1 - at], it.to_chunks());
            }
        }
    }

    /// So much later; the stream takes nothing meanwhile.
    fn later(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now = self.now + Duration::from_millis(1);
            for links in &mut self.hosts {
                while links.next_deadline().is_some_and(|at| at <= self.now) {
                    links.timeout(self.now);
                }
            }
            for at in [0, 1] {
                while let Some(it) = self.hosts[at].poll_transmit(LinkId::UDP, &mut Bodies) {
                    if self.passes {
                        self.came += 1;
                        let from = address(at as u8 + 1);
                        for _ in 0..1 + usize::from(self.doubles) {
                            self.hosts[1 - at].datagram(
                                self.now,
                                LinkId::UDP,
                                from,
                                it.to_chunks(),
                            );
                        }
                    }
                }
            }
        }
    }

    fn send(&mut self, seqs: core::ops::Range<u64>) {
        for seq in seqs {
            self.hosts[0].send_fragment(host(2), fragment(seq), Urgency::Fresh);
        }
    }

    /// The fragments that came to host 2 since the last call, in order.
    fn fragments(&mut self) -> Vec<u64> {
        let inbound = core::iter::from_fn(|| self.hosts[1].poll_inbound());
        let fragments = inbound.filter_map(|inbound| match inbound {
            Inbound::Frame { from: From::Host(from), frame: Frame::Data(data) } => {
                assert_eq!(from, host(1));
                Some(data.fragment.seq.0)
            }
            _ => None,
        });
        fragments.collect()
    }

    fn counted(&self, counter: Counter) -> [u64; 2] {
        [0, 1].map(|at| self.hosts[at].counters.get(counter))
    }
}

#[test]
fn no_datagram_leaves_where_the_stream_takes_what_there_is() {
    let mut pair = Pair::new();
    for n in 0..50 {
        pair.send(n..n + 1);
        pair.stream();
        pair.later(10);
    }
    assert_eq!(pair.fragments(), Vec::from_iter(0..50));
    assert_eq!(pair.came, 0);
}

#[test]
fn fragments_and_requests_go_by_datagram_where_the_stream_stands_still() {
    let mut pair = Pair::new();
    pair.send(0..20);
    pair.later(700);
    assert_eq!(pair.counted(Counter::FlowsOpened), [1, 1], "both ways");
    assert_eq!(pair.fragments(), Vec::from_iter(0..20));
    let wanted = Vec::new();
    let pull = Frame::Pull(wire::Pull { group: GROUP, patch: PATCH, wanted });
    pair.hosts[1].send_loose(host(1), &pull);
    pair.hosts[1].send_word(host(1), GROUP, PATCH);
    pair.later(5);
    let inbound = core::iter::from_fn(|| pair.hosts[0].poll_inbound());
    let told = inbound.filter(|it| {
        matches!(it, Inbound::Frame { frame: Frame::Pull(_) | Frame::Held { .. }, .. })
    });
    assert_eq!(told.count(), 2);
}

#[test]
fn a_datagram_that_the_network_makes_two_of_is_taken_once() {
    let mut pair = Pair::new();
    pair.send(0..1);
    pair.later(700);
    assert_eq!(pair.fragments(), [0]);
    let before = pair.counted(Counter::DroppedDuplicate)[1];
    pair.doubles = true;
    pair.send(1..20);
    pair.later(700);
    assert_eq!(pair.fragments(), Vec::from_iter(1..20));
    assert!(pair.counted(Counter::DroppedDuplicate)[1] >= before + 19);
}

#[test]
fn it_is_taken_once_also_before_the_receiver_s_own_datagrams_come_through() {
    let mut pair = Pair::new();
    pair.doubles = true;
    pair.send(0..20);
    pair.later(700);
    assert_eq!(pair.counted(Counter::FlowsOpened), [1, 1], "both ways, though all came twice");
    assert_eq!(pair.fragments(), Vec::from_iter(0..20));
}

#[test]
fn the_stream_carries_everything_again_when_datagrams_come_through_no_more() {
    let mut pair = Pair::new();
    pair.send(0..5);
    pair.later(700);
    assert_eq!(pair.fragments().len(), 5);
    pair.passes = false;
    for n in 5..40 {
        pair.send(n..n + 1);
        pair.later(100);
        pair.stream();
    }
    assert_eq!(pair.counted(Counter::FlowsEnded)[0], 1);
    let came = pair.fragments();
    assert!(came.ends_with(&[38, 39]), "what waited: {came:?}");
}

#[test]
fn a_flow_is_not_opened_where_no_datagram_comes_through() {
    let mut pair = Pair::new();
    pair.passes = false;
    pair.send(0..5);
    pair.later(900);
    pair.stream();
    assert_eq!(pair.fragments(), Vec::from_iter(0..5));
    assert_eq!(pair.counted(Counter::FlowsOpened), [0, 0]);
    assert!((3..=5).contains(&pair.counted(Counter::FlowDatagrams)[0]), "it was tried");
}

#[test]
fn a_datagram_that_does_not_show_the_token_is_dropped_whole() {
    let mut pair = Pair::new();
    pair.send(0..1);
    pair.later(700);
    pair.fragments();
    let (&token, _) = pair.hosts[1].tokens.first_key_value().expect("one was drawn");
    let data = Bodies.data(&fragment(9), Urgency::Fresh).expect("it is here");
    for (sender, token, comes) in [(1, token ^ 1, false), (3, token, false), (1, token, true)] {
        let sender = host(sender).tag();
        let header = Header { suite: wire::SUITE_OPEN, key_epoch: 0, sender, number: 1 << 40 };
        let mut bytes = header.encode().to_vec();
        Frame::Flow { token, number: 900 }.encode(&mut bytes);
        Frame::Data(data.clone()).encode(&mut bytes);
        let before = pair.counted(Counter::DroppedStranger)[1];
        pair.hosts[1].datagram(pair.now, LinkId::UDP, address(1), bytes.into());
        assert_eq!(pair.fragments().len(), usize::from(comes));
        let dropped = pair.counted(Counter::DroppedStranger)[1] - before;
        assert_eq!(dropped, u64::from(!comes));
    }
}
