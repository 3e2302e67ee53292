//! What hosts send to each other: S6. Packets of the open suite can be read by anybody.

use super::{Invariant, Violations};
use crate::packet::StreamId;
use quilt_proto::wire::{Data, Frame, Pull};
use quilt_proto::{Seq, Source, Time};
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

/// A way that a packet takes from one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// The end of a stream that dialled it (0), or was dialled (1).
    Stream(StreamId, usize),
    /// From a host to a multicast address.
    Multicast(usize, SocketAddr),
    /// From a host to another's address, beside a stream between the two.
    Flow(usize, SocketAddr),
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
    /// How often a host has started again: in its new life it knows nothing of what it sent.
    lives: HashMap<usize, u32>,
    /// What a host may still send another one because it was asked.
    asked: HashMap<(usize, usize), u64>,
    /// How many fragments messages have.
    lengths: HashMap<(Source, Seq), u64>,
    /// The latest message of each source that a host has asked for.
    wanted: HashMap<(usize, Source), Seq>,
    violations: Violations,
}

impl Wire {
    /// A host sends a frame to another one, or to nobody in particular.
    pub fn sent(&mut self, now: Time, way: Way, from: usize, to: Option<usize>, frame: &Frame) {
        match frame {
            Frame::Data(data) if data.solicited => self.given(now, way, from, to, data),
            Frame::Data(data) => self.copied(now, way, from, data),
            Frame::Pull(pull) => self.pulled(from, to, pull),
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
        match self.asked.get_mut(&(from, to)).filter(|left| **left > 0) {
            Some(left) => *left -= 1,
            None => {
                let what = format!(
                    "host {from} gave {to} {} {}, which did not ask for so many",
                    data.fragment.source, data.fragment.seq.0
                );
                self.violations.add(Invariant::S6, now, what);
            }
        }
    }

    /// A host asks another one for fragments.
    fn pulled(&mut self, from: usize, to: Option<usize>, pull: &Pull) {
        for wanted in &pull.wanted {
            let (source, seq) = (wanted.first.source, wanted.first.seq);
            let latest = self.wanted.entry((from, source)).or_insert(seq);
            *latest = seq.max(*latest);
            if let Some(to) = to {
                let first = u64::from(wanted.first.index);
                let asked = u64::from(wanted.last.saturating_sub(wanted.first.index)) + 1;
                let served = match self.lengths.get(&(source, seq)) {
                    Some(fragments) => asked.min(fragments.saturating_sub(first)).min(MAX_SERVED),
                    None if wanted.last == u16::MAX => MAX_SERVED,
                    None => asked,
                };
                *self.asked.entry((to, from)).or_default() += served;
            }
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
    use quilt_proto::wire::Wanted;
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
        wire.sent(Time::ZERO, HERE, 2, Some(1), &pull(5, 1));
        wire.sent(Time::ZERO, HERE, 1, Some(2), &data(5, true));
        wire.sent(Time::ZERO, HERE, 1, Some(2), &data(5, true));
        assert_eq!(wire.violations.names(), []);
        wire.sent(Time::ZERO, HERE, 1, Some(2), &data(5, true));
        assert_eq!(wire.violations.names(), [Invariant::S6]);
        wire.sent(Time::ZERO, HERE, 2, Some(1), &pull(9, u16::MAX));
        let address = "10.0.0.2:7400".parse().unwrap();
        for way in [Way::Datagram(1, address), HERE, Way::Flow(1, address)] {
            (0..32).for_each(|_| wire.sent(Time::ZERO, way, 1, Some(2), &data(9, true)));
        }
        assert_eq!(wire.violations.names().len(), 1, "a stream and its flow answer one request");
        wire.sent(Time::ZERO, Way::Flow(1, address), 1, Some(2), &data(9, true));
        assert_eq!(wire.violations.names().len(), 2);
        assert_eq!(wire.wanted(2, SOURCE), Some(Seq(9)));
        // All of a message that has two fragments.
        wire.published(SOURCE, Seq(10), 2);
        wire.sent(Time::ZERO, HERE, 2, Some(1), &pull(10, u16::MAX));
        (0..2).for_each(|_| wire.sent(Time::ZERO, HERE, 1, Some(2), &data(10, true)));
        assert_eq!(wire.violations.names().len(), 2);
        wire.sent(Time::ZERO, HERE, 1, Some(2), &data(10, true));
        assert_eq!(wire.violations.names().len(), 3);
        assert_eq!(wire.wanted(1, SOURCE), None);
    }
}
