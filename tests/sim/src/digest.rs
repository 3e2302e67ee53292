//! A digest of all that happens in a world.

use crate::packet::{Body, Packet};
use quilt_proto::{Chunks, Message, Notice, Time};
use siphasher::sip::SipHasher13;
use std::hash::{Hash, Hasher};

/// What is the same for two worlds in which the same happened, and is not for others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Digest(SipHasher13);

impl Digest {
    /// A packet came to a host.
    pub(crate) fn packet(&mut self, now: Time, host: usize, packet: &Packet) {
        (now.as_nanos(), host, packet.from, packet.to, packet.ttl).hash(&mut self.0);
        match &packet.body {
            Body::Datagram(bytes) => (0_u8, lanes(bytes)).hash(&mut self.0),
            Body::Segment { stream, from_dialler, segment } => {
                let flags = [segment.syn, segment.accepts, segment.fin, segment.rst, *from_dialler];
                let flags = flags.iter().fold(0_u8, |flags, &flag| flags << 1 | u8::from(flag));
                (1_u8, stream, flags, segment.len).hash(&mut self.0);
                (segment.seq, segment.ack, segment.window, &segment.sacked).hash(&mut self.0);
            }
            Body::TimeExceeded { hop, router } => (2_u8, hop, router).hash(&mut self.0),
            Body::Probe => 3_u8.hash(&mut self.0),
            Body::Unreachable => 4_u8.hash(&mut self.0),
        }
    }

    /// A host read a packet off a stream.
    pub(crate) fn read(&mut self, now: Time, host: usize, packet: &Chunks) {
        (now.as_nanos(), host, lanes(packet)).hash(&mut self.0);
    }

    /// An application was told something; what it learns of messages is entered.
    pub(crate) fn told(&mut self, now: Time, host: usize, notice: &Notice) {
        let place = (now.as_nanos(), host);
        match *notice {
            Notice::Message(Message { source, seq, .. }) => {
                (0_u8, place, source, seq).hash(&mut self.0);
            }
            Notice::Gap { source, from, to, .. } => {
                (1_u8, place, source, from, to).hash(&mut self.0);
            }
            Notice::SourceReset { host, old, new } => {
                (2_u8, place, host, old, new).hash(&mut self.0);
            }
            _ => {}
        }
    }

    pub(crate) fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// The length of bytes and four numbers that all of them go into, much quicker than by the hash that
/// takes these in. Each step can be undone, so that no single word is changed unnoticed.
fn lanes(bytes: &Chunks) -> (usize, [u64; 4]) {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut lanes = [1_u64, 2, 3, 4];
    let mut enter = |block: &[u8; 32]| {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks().0) {
            *lane = (lane.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(ODD);
        }
    };
    for chunk in bytes.chunks() {
        let (blocks, rest) = chunk.as_chunks::<32>();
        blocks.iter().for_each(&mut enter);
        let mut last = [0; 32];
        last[..rest.len()].copy_from_slice(rest);
        enter(&last);
    }
    (bytes.len(), lanes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::novelty::Load;
    use crate::packet::StreamId;
    use crate::tcp::Segment;
    use quilt_proto::{GapCause, HostTag, Incarnation, Seq, Source};

    fn of(body: Body) -> u64 {
        let (from, to) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
        let mut digest = Digest::default();
        digest.packet(Time::ZERO, 3, &Packet { from, to, ttl: 64, body, load: Load::default() });
        digest.finish()
    }

    #[test]
    fn every_byte_of_a_packet_and_every_field_of_a_segment_tells() {
        for len in [1, 31, 32, 33, 100, 1_448] {
            let whole = vec![7_u8; len];
            let digest = of(Body::Datagram(whole.clone().into()));
            for at in 0..len {
                let mut other = whole.clone();
                other[at] ^= 0x80;
                assert_ne!(of(Body::Datagram(other.into())), digest, "{at} of {len}");
            }
            assert_ne!(of(Body::Datagram(vec![7; len + 1].into())), digest);
            assert_ne!(of(Body::Datagram([&whole[..], &[0]].concat().into())), digest);
            let read = |bytes: &[u8]| {
                let mut digest = Digest::default();
                digest.read(Time::ZERO, 3, &bytes.to_vec().into());
                digest.finish()
            };
            assert_ne!(read(&whole), read(&whole[1..]));
        }
        let plain = Segment { seq: 5, ack: 7, ..Segment::default() };
        let others = [
            Segment { seq: 7, ack: 5, ..plain.clone() },
            Segment { window: 1, ..plain.clone() },
            Segment { fin: true, ..plain.clone() },
            Segment { sacked: [9, 20].map(|at| at..at + 1).to_vec(), ..plain.clone() },
            Segment { len: 1, ..plain.clone() },
        ];
        let of = |segment| of(Body::Segment { stream: StreamId(1), from_dialler: true, segment });
        for other in others {
            assert_ne!(of(other.clone()), of(plain.clone()), "{other:?}");
        }
    }

    #[test]
    fn gaps_and_resets_tell_and_so_does_whose_they_are() {
        let source = |host| Source { host: HostTag(host), incarnation: Incarnation(1) };
        let gap = |host, to| {
            let (from, to, cause) = (Seq(1), Seq(to), GapCause::Unrepaired);
            Notice::Gap { source: source(host), from, to, cause }
        };
        let reset = |new| {
            let (old, new) = (Incarnation(1), Incarnation(new));
            Notice::SourceReset { host: HostTag(7), old, new }
        };
        let all = [gap(7, 1), gap(7, 2), gap(8, 1), reset(2), reset(3), Notice::Writable];
        let of = |notice| {
            let mut digest = Digest::default();
            digest.told(Time::ZERO, 3, notice);
            digest.finish()
        };
        let digests: std::collections::BTreeSet<u64> = all.iter().map(of).collect();
        assert_eq!(digests.len(), all.len());
    }
}
