//! What hosts send to each other: S6. Packets of the open suite can be read by anybody.

use super::{Invariant, Violations};
use crate::packet::StreamId;
use quilt_proto::wire::{Assembler, Data, Frame, Frames, Pull, Segment};
use quilt_proto::{FragmentId, Seq, Source, Time};
use siphasher::sip::SipHasher13;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Duration;

/// Copies are remembered for this long at least, and for twice as long at most ...
const REMEMBERED: Duration = Duration::from_secs(10);
/// ... where these are not more.
const MAX_REMEMBERED: usize = 4_000_000;
/// What one entry of a request brings at most.
const MAX_SERVED: u64 = 64;
/// An answer may follow a request by so much: nobody holds a message for longer, as
/// [`Limits`](quilt_proto::Limits) have it by default.
const ASKED: Duration = Duration::from_secs(30);

/// A way that a packet takes from one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// The end of a stream that dialled it (0), or was dialled (1).
    Stream(StreamId, usize),
    /// From a host to a multicast address.
    Multicast(usize, SocketAddr),
    /// From a host to another's address, beside the stream between the two that has this token.
    Flow(usize, SocketAddr, u32),
    /// From a host to another's address, for itself.
    Datagram(usize, SocketAddr),
}

/// Checks what is sent.
#[derive(Debug, Default)]
pub struct Wire {
    /// Prints of the unsolicited copies that were sent lately, and of those before. Of eight
    /// million prints two are the same by chance once in half a million runs.
    copies: [HashSet<u64, BuildHasherDefault<Print>>; 2],
    turned: Time,
    /// When requests were forgotten last.
    swept: Time,
    /// How often a host has started again: in its new life it knows nothing of what it sent.
    lives: HashMap<usize, u32>,
    /// How many fragments of a message a host may still give another one, and when it was asked
    /// last.
    asked: HashMap<(usize, usize, Source, Seq), (u64, Time)>,
    /// The streams that go through flows, where TCP opens none.
    tunnels: HashMap<Way, Tunnel>,
    /// How many fragments messages have.
    lengths: HashMap<(Source, Seq), u64>,
    /// The latest message of each source that a host has asked for.
    wanted: HashMap<(usize, Source), Seq>,
    violations: Violations,
}

/// One direction of a stream in the datagrams of a flow.
#[derive(Debug, Default)]
struct Tunnel {
    /// The number of the segment that goes on with what was sent so far.
    next: u32,
    assembler: Assembler,
}

impl Tunnel {
    /// A segment is sent, perhaps once more; the frames that it completes.
    fn sent(&mut self, segment: &Segment) -> Vec<Frame> {
        if segment.bytes.is_empty() || segment.number != self.next {
            return Vec::new();
        }
        self.next = self.next.wrapping_add(1);
        self.assembler.push(segment.bytes.clone());
        let packets = std::iter::from_fn(|| self.assembler.next_packet().ok().flatten());
        packets.flat_map(|packet| Frames::decode(packet).into_iter().flatten().flatten()).collect()
    }
}

impl Wire {
    /// A host sends a frame to another one, or to nobody in particular.
    pub fn sent(&mut self, now: Time, way: Way, from: usize, to: Option<usize>, frame: &Frame) {
        match frame {
            Frame::Data(data) if data.solicited => self.given(now, way, from, to, data),
            Frame::Data(data) => self.copied(now, way, from, data),
            Frame::Pull(pull) => self.pulled(now, from, to, pull),
            Frame::Segment(segment) => {
                let frames = self.tunnels.entry(way).or_default().sent(segment);
                frames.iter().for_each(|frame| self.sent(now, way, from, to, frame));
            }
            _ => {}
        }
    }

    /// A message was published that has so many fragments.
    pub fn published(&mut self, source: Source, seq: Seq, fragments: u64) {
        self.lengths.insert((source, seq), fragments);
    }

    /// A host starts again.
    pub fn restarted(&mut self, host: usize) {
        *self.lives.entry(host).or_default() += 1;
    }

    /// A host sends an unsolicited copy.
    fn copied(&mut self, now: Time, way: Way, from: usize, data: &Data) {
        if now.since(self.turned) >= REMEMBERED || self.copies[0].len() >= MAX_REMEMBERED {
            self.turned = now;
            self.copies.swap(0, 1);
            self.copies[0].clear();
        }
        let mut hasher = SipHasher13::new();
        let life = self.lives.get(&from).copied().unwrap_or(0);
        (way, life, data.group, data.fragment).hash(&mut hasher);
        let print = hasher.finish();
        if self.copies[1].contains(&print) || !self.copies[0].insert(print) {
            let fragment = data.fragment;
            let what = format!(
                "host {from} sent {} {}/{} twice unasked, the second time in {}, by {way:?}",
                fragment.source, fragment.seq.0, fragment.index, data.patch
            );
            self.violations.add(Invariant::S6, now, what);
        }
    }

    /// A host sends a copy as the answer to a request. In a datagram for itself it is one to a
    /// protocol's own request, which is not read here.
    fn given(&mut self, now: Time, way: Way, from: usize, to: Option<usize>, data: &Data) {
        let Some(to) = to.filter(|_| !matches!(way, Way::Datagram(..))) else { return };
        let FragmentId { source, seq, index } = data.fragment;
        let asked = self.asked.get_mut(&(from, to, source, seq));
        match asked.filter(|(left, at)| *left > 0 && now.since(*at) <= ASKED) {
            Some((left, _)) => *left -= 1,
            None => {
                let seq = seq.0;
                let what = format!(
                    "host {from} gave {to} {source} {seq}/{index}, which did not ask for so many"
                );
                self.violations.add(Invariant::S6, now, what);
            }
        }
    }

    /// A host asks another one for fragments.
    fn pulled(&mut self, now: Time, from: usize, to: Option<usize>, pull: &Pull) {
        if now.since(self.swept) >= ASKED {
            self.swept = now;
            self.asked.retain(|_, (left, at)| *left > 0 && now.since(*at) <= ASKED);
        }
        for wanted in &pull.wanted {
            let FragmentId { source, seq, index } = wanted.first;
            let latest = self.wanted.entry((from, source)).or_insert(seq);
            *latest = seq.max(*latest);
            let Some(to) = to else { continue };
            let all = self.lengths.get(&(source, seq)).copied().unwrap_or(u64::MAX);
            let first = u64::from(index);
            let asked = (u64::from(wanted.last) + 1).min(all).saturating_sub(first);
            let (left, at) = self.asked.entry((to, from, source, seq)).or_insert((0, now));
            if now.since(*at) > ASKED {
                *left = 0;
            }
            (*left, *at) = (*left + asked.min(MAX_SERVED), now);
        }
    }

    /// The latest message of a source that a host has asked another one for.
    pub fn wanted(&self, host: usize, source: Source) -> Option<Seq> {
        self.wanted.get(&(host, source)).copied()
    }

    pub(crate) fn violations_mut(&mut self) -> &mut Violations {
        &mut self.violations
    }
}

/// What is hashed already.
#[derive(Debug, Default)]
struct Print(u64);

impl Hasher for Print {
    fn write(&mut self, _: &[u8]) {
        unreachable!("prints are numbers");
    }

    fn write_u64(&mut self, print: u64) {
        self.0 = print;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use quilt_proto::wire::{Header, SUITE_OPEN, Wanted};
    use quilt_proto::{FragmentId, GroupId, HostTag, Incarnation, PatchId};

    const SOURCE: Source = Source { host: HostTag(7), incarnation: Incarnation(1) };
    const GROUP: GroupId = GroupId(1);
    const HERE: Way = Way::Stream(StreamId(3), 0);

    fn fragment(seq: u64) -> FragmentId {
        FragmentId { source: SOURCE, seq: Seq(seq), index: 0 }
    }

    fn data(seq: u64, solicited: bool) -> Frame {
        Frame::Data(Data {
            group: GROUP,
            patch: PatchId(1),
            fragment: fragment(seq),
            count: 1,
            origin: PatchId(1),
            hops: 1,
            solicited,
            options: quilt_proto::PublishOptions::default(),
            payload: Bytes::new(),
        })
    }

    fn pull(seq: u64, last: u16) -> Frame {
        let wanted = vec![Wanted { first: fragment(seq), last }];
        Frame::Pull(Pull { group: GROUP, patch: PatchId(1), wanted })
    }

    #[test]
    fn a_second_copy_on_one_way_is_noticed_and_one_on_another_way_is_none() {
        let mut wire = Wire::default();
        let multicast = Way::Multicast(1, "239.0.0.1:7400".parse().unwrap());
        for way in [HERE, Way::Stream(StreamId(3), 1), Way::Stream(StreamId(4), 0), multicast] {
            wire.sent(Time::ZERO, way, 1, Some(2), &data(5, false));
            wire.sent(Time::ZERO, way, 1, Some(2), &data(6, false));
        }
        assert_eq!(wire.violations.names(), []);
        wire.sent(Time::from_millis(9_000), multicast, 1, None, &data(5, false));
        assert_eq!(wire.violations.names(), [Invariant::S6]);
    }

    #[test]
    fn a_second_copy_is_noticed_across_a_turn_of_the_memory() {
        let mut wire = Wire::default();
        wire.sent(Time::from_millis(9_000), HERE, 1, Some(2), &data(5, false));
        wire.sent(Time::from_millis(11_000), HERE, 1, Some(2), &data(6, false));
        wire.sent(Time::from_millis(18_000), HERE, 1, Some(2), &data(5, false));
        assert_eq!(wire.violations.names(), [Invariant::S6]);
    }

    #[test]
    fn more_than_was_asked_for_is_noticed() {
        let mut wire = Wire::default();
        wire.published(SOURCE, Seq(5), 1);
        wire.sent(Time::ZERO, HERE, 2, Some(1), &pull(5, u16::MAX));
        wire.sent(Time::ZERO, HERE, 2, Some(1), &pull(5, u16::MAX));
        let flow = Way::Flow(1, "10.0.0.2:7400".parse().unwrap(), 5);
        wire.sent(Time::ZERO, HERE, 1, Some(2), &data(5, true));
        wire.sent(Time::ZERO, flow, 1, Some(2), &data(5, true));
        assert_eq!(wire.violations.names(), [], "a stream and its flow answer the same requests");
        wire.sent(Time::ZERO, flow, 1, Some(2), &data(5, true));
        assert_eq!(wire.violations.names(), [Invariant::S6], "a third time");
        wire.sent(Time::ZERO, HERE, 2, Some(1), &pull(9, 0));
        wire.sent(Time::ZERO, HERE, 1, Some(2), &data(8, true));
        assert_eq!(wire.violations.names().len(), 2, "another one");
        wire.sent(Time::ZERO, HERE, 3, Some(2), &data(9, true));
        assert_eq!(wire.violations.names().len(), 3, "from another one");
        let address = "10.0.0.2:7400".parse().unwrap();
        (0..9).for_each(|_| {
            wire.sent(Time::ZERO, Way::Datagram(1, address), 1, Some(2), &data(9, true))
        });
        assert_eq!(wire.violations.names().len(), 3, "protocols have requests of their own");
        assert_eq!((wire.wanted(2, SOURCE), wire.wanted(1, SOURCE)), (Some(Seq(9)), None));
    }

    #[test]
    fn a_request_that_is_long_past_allows_nothing_any_more() {
        for (late, broken) in [(30, vec![]), (31, vec![Invariant::S6])] {
            let mut wire = Wire::default();
            wire.sent(Time::ZERO, HERE, 2, Some(1), &pull(5, 0));
            wire.sent(Time::from_millis(late * 1_000), HERE, 1, Some(2), &data(5, true));
            assert_eq!(wire.violations.names(), broken, "{late} s later");
        }
        let mut wire = Wire::default();
        (0..100).for_each(|seq| {
            wire.sent(Time::from_millis(seq * 1_000), HERE, 2, Some(1), &pull(seq, 0))
        });
        assert!(wire.asked.len() <= 61, "{} are remembered", wire.asked.len());
    }

    #[test]
    fn what_goes_through_a_tunnel_is_read_too_and_once() {
        let mut wire = Wire::default();
        let header = Header { suite: SUITE_OPEN, key_epoch: 0, sender: HostTag(2), number: 1 };
        let mut packet = header.encode().to_vec();
        pull(5, 0).encode(&mut packet);
        let mut stream = Assembler::prefix(packet.len()).to_vec();
        stream.append(&mut packet);
        let (first, rest) = stream.split_at(7);
        let flow = |from, to: &str| Way::Flow(from, to.parse().unwrap(), 5);
        for (number, bytes) in [(0, first), (0, first), (1, rest), (0, first), (1, rest)] {
            let segment = Segment { number, next: 0, bytes: Bytes::copy_from_slice(bytes) };
            let way = flow(2, "10.0.0.1:7400");
            wire.sent(Time::ZERO, way, 2, Some(1), &Frame::Segment(segment));
        }
        for broken in [vec![], vec![Invariant::S6]] {
            wire.sent(Time::ZERO, flow(1, "10.0.0.2:7400"), 1, Some(2), &data(5, true));
            assert_eq!(wire.violations.names(), broken);
        }
    }
}
