//! What one application was told of the messages.

use bytes::Bytes;
use quilt_tokio::Notice;
use quilt_tokio::proto::{GapCause, Seq, Source};
use std::collections::BTreeMap;

/// Every message and gap, by stream. What it holds of a stream has no holes and no overlaps, or,
/// where the group does not promise that, no message twice and no gaps: whatever breaks that ends
/// the test.
pub(crate) struct Ledger {
    in_order: bool,
    streams: BTreeMap<Source, Stream>,
    gaps: Vec<(Source, u64, GapCause)>,
}

struct Stream {
    first: Seq,
    next: Seq,
    messages: Vec<(Seq, Bytes)>,
}

impl Ledger {
    /// An empty one; whether the group keeps the order of a source.
    pub(crate) fn new(in_order: bool) -> Self {
        Self { in_order, streams: BTreeMap::new(), gaps: Vec::new() }
    }

    /// Enters a notice; false if it is about something else.
    pub(crate) fn enter(&mut self, notice: &Notice) -> bool {
        let (source, from, next) = match notice {
            Notice::Message(message) => (message.source, message.seq, message.seq.next()),
            Notice::Gap { source, from, to, .. } => (*source, *from, to.next()),
            _ => return false,
        };
        let stream = self.streams.entry(source).or_insert_with(|| Stream {
            first: from,
            next: from,
            messages: Vec::new(),
        });
        if self.in_order {
            assert_eq!(from, stream.next, "message {from:?} of {source} is not the next one");
        } else {
            let twice = stream.messages.iter().any(|&(seq, _)| seq == from);
            assert!(!twice, "message {from:?} of {source} came twice");
            assert!(matches!(notice, Notice::Message(_)), "a gap: {notice:?}");
            stream.first = stream.first.min(from);
        }
        assert!(next > from, "an empty gap");
        stream.next = stream.next.max(next);
        match notice {
            Notice::Message(message) => {
                stream.messages.push((message.seq, message.body.clone().into_bytes()));
            }
            Notice::Gap { cause, .. } => self.gaps.push((source, next.distance(from), *cause)),
            _ => {}
        }
        true
    }

    /// How many messages of a stream, counted from its beginning, are behind the application.
    pub(crate) fn reached(&self, source: Source) -> u64 {
        self.streams.get(&source).map_or(0, |stream| stream.next.0)
    }

    /// The first message of a stream that came or will not come.
    pub(crate) fn first_of(&self, source: Source) -> Option<Seq> {
        self.streams.get(&source).map(|stream| stream.first)
    }

    /// How many messages came.
    pub(crate) fn messages(&self) -> u64 {
        self.streams.values().map(|stream| stream.messages.len() as u64).sum()
    }

    /// How many messages each gap has, of which stream, and its cause, in the order in which they were told.
    pub(crate) fn gaps(&self) -> &[(Source, u64, GapCause)] {
        &self.gaps
    }

    /// How many messages will not come.
    pub(crate) fn gapped(&self) -> u64 {
        self.gaps.iter().map(|(_, messages, _)| messages).sum()
    }

    /// Proves that what came of a stream is what was published, and that it begins at `since` or
    /// before.
    pub(crate) fn check(&self, source: Source, since: usize, published: &[Bytes]) {
        let Some(stream) = self.streams.get(&source) else { return };
        assert!(stream.first.0 <= since as u64, "{source} begins at {:?}", stream.first);
        assert!(stream.next.0 <= published.len() as u64, "{source} ends at {:?}", stream.next);
        for (seq, body) in &stream.messages {
            let original = &published[usize::try_from(seq.0).expect("it is less than the length")];
            assert!(body == original, "message {seq:?} of {source} is not what was published");
        }
    }
}
