//! How much of the payload that comes to hosts is new to them, by what they were sent and not by
//! what they say.

use quilt_proto::wire::Frame;
use quilt_proto::{Seq, Source};
use std::collections::HashMap;
use std::rc::Rc;

/// The fragments in a packet.
#[derive(Clone, Debug, Default)]
pub struct Load {
    pieces: Option<Rc<[Piece]>>,
    /// Payload bytes that were not asked for and come from another region.
    pub foreign: u64,
}

/// A fragment on its way.
#[derive(Clone, Copy, Debug)]
struct Piece {
    of: Message,
    index: u16,
    solicited: bool,
    bytes: u32,
}

/// What matters of a message.
#[derive(Clone, Copy, Debug)]
struct Message {
    /// How many fragments all messages before it have.
    before: u32,
    /// Who publishes it, and so has it.
    by: u32,
    /// It was not published too early.
    counts: bool,
}

/// Payload bytes that came to hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// For the first time.
    pub first: u64,
    /// Again, and not asked for.
    pub unsolicited: u64,
    /// Again, and asked for.
    pub repaired: u64,
}

/// Adds up what comes of messages that count: those that are first sent once [`Novelty::begin`] was
/// called, however early or late others come.
#[derive(Debug, Default)]
pub(crate) struct Novelty {
    counts: bool,
    messages: HashMap<(Source, Seq), Message>,
    fragments: u32,
    /// What is in the packet that is made just now.
    packing: Vec<Piece>,
    /// By host: one bit for each fragment that came.
    held: Vec<Vec<u64>>,
    sum: Came,
    duplicates: u64,
}

impl Novelty {
    /// What is published from now on counts.
    pub(crate) fn begin(&mut self) {
        self.counts = true;
    }

    /// Puts a frame that a host sends into the packet that is made. Nobody sends anything of a
    /// message before its publisher.
    pub(crate) fn pack(&mut self, host: usize, frame: &Frame) {
        let Frame::Data(data) = frame else { return };
        let (before, by, counts) = (self.fragments, host as u32, self.counts);
        let of = (data.fragment.source, data.fragment.seq);
        let of = *self.messages.entry(of).or_insert_with(|| {
            self.fragments += u32::from(data.count);
            Message { before, by, counts }
        });
        let (index, solicited) = (data.fragment.index, data.solicited);
        self.packing.push(Piece { of, index, solicited, bytes: data.payload.len() as u32 });
    }

    /// The packet is made.
    pub(crate) fn packed(&mut self, foreign: u64) -> Load {
        let pieces = (!self.packing.is_empty()).then(|| Rc::from(&self.packing[..]));
        self.packing.clear();
        Load { pieces, foreign }
    }

    /// A packet came to a host.
    pub(crate) fn came(&mut self, host: usize, load: &Load) {
        for &Piece { of, index, solicited, bytes } in load.pieces.iter().flat_map(|all| &**all) {
            let is_new = of.by as usize != host && self.hold(host, of.before + u32::from(index));
            self.duplicates += u64::from(!is_new);
            if of.counts {
                *match (is_new, solicited) {
                    (true, _) => &mut self.sum.first,
                    (false, false) => &mut self.sum.unsolicited,
                    (false, true) => &mut self.sum.repaired,
                } += u64::from(bytes);
            }
        }
    }

    /// Notes that a host has a fragment; whether it had not.
    fn hold(&mut self, host: usize, fragment: u32) -> bool {
        let (word, bit) = (fragment as usize / 64, 1 << (fragment % 64));
        if self.held.len() <= host {
            self.held.resize_with(host + 1, Vec::new);
        }
        let held = &mut self.held[host];
        if held.len() <= word {
            held.resize(word + 1, 0);
        }
        let is_new = held[word] & bit == 0;
        held[word] |= bit;
        is_new
    }

    /// A host starts again, and has nothing.
    pub(crate) fn restarted(&mut self, host: usize) {
        if let Some(held) = self.held.get_mut(host) {
            held.clear();
        }
    }

    /// All that came of messages that count.
    pub(crate) fn sum(&self) -> Came {
        self.sum
    }

    /// How many fragments came again, of all messages.
    pub(crate) fn duplicates(&self) -> u64 {
        self.duplicates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use quilt_proto::wire::Data;
    use quilt_proto::{FragmentId, GroupId, HostTag, Incarnation, PatchId};

    const PUBLISHER: usize = 1;

    /// A packet of the publisher's, with one fragment of ten bytes of each of these messages.
    fn packet(novelty: &mut Novelty, messages: &[(u64, u16, bool)]) -> Load {
        let source = Source { host: HostTag(7), incarnation: Incarnation(1) };
        for &(seq, index, solicited) in messages {
            let frame = Frame::Data(Data {
                group: GroupId(1),
                patch: PatchId(1),
                fragment: FragmentId { source, seq: Seq(seq), index },
                count: 70,
                origin: PatchId(1),
                hops: 1,
                solicited,
                options: quilt_proto::PublishOptions::default(),
                payload: Bytes::from_static(&[0; 10]),
            });
            novelty.pack(PUBLISHER, &frame);
        }
        novelty.packed(0)
    }

    #[test]
    fn messages_count_by_when_they_were_published_and_not_by_when_they_come() {
        let mut novelty = Novelty::default();
        let early = packet(&mut novelty, &[(0, 0, false)]);
        novelty.begin();
        let again = packet(&mut novelty, &[(0, 0, true), (1, 0, false)]);
        novelty.came(2, &early);
        assert_eq!(novelty.sum(), Came::default());
        novelty.came(2, &again);
        assert_eq!(novelty.sum(), Came { first: 10, ..Came::default() });
        assert_eq!(novelty.duplicates(), 1, "of all messages");
    }

    #[test]
    fn what_comes_again_is_parted_by_whether_it_was_asked_for() {
        let mut novelty = Novelty::default();
        novelty.begin();
        for (index, solicited) in [(69, false), (69, false), (69, true), (0, true)] {
            let load = packet(&mut novelty, &[(3, index, solicited)]);
            novelty.came(2, &load);
        }
        let expected = Came { first: 20, unsolicited: 10, repaired: 10 };
        assert_eq!(novelty.sum(), expected);
        let load = packet(&mut novelty, &[(3, 69, false)]);
        novelty.came(PUBLISHER, &load);
        assert_eq!(novelty.sum().unsolicited, 20, "its publisher has it");
        novelty.came(4, &load);
        novelty.restarted(2);
        novelty.came(2, &load);
        assert_eq!(novelty.sum().first, 40, "another host, and one that starts again, have not");
    }
}
