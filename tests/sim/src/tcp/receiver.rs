//! The receiving half of an end: order, acknowledgements, and the room that is left.

use super::segment::{MSS, Segment};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// Bytes that the system keeps for a reader that does not read.
pub const RECEIVE_BUFFER: u64 = 1 << 20;
/// Runs that a segment acknowledges selectively at most, beside a timestamp (RFC 2018).
const NAMED_RUNS: usize = 3;

#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// Where the next byte in order stands.
    expected: u64,
    /// How many bytes came ahead, by where they stand.
    ahead: BTreeMap<u64, u64>,
    /// In order, and not read yet, segment by segment.
    unread: VecDeque<u64>,
    unread_bytes: u64,
    /// Where the last bytes that came ahead stand: the run that has them is acknowledged first.
    latest: u64,
    /// Where the other side's stream ends, and whether the reader was told.
    end: Option<u64>,
    end_told: bool,
    /// The room that the other side was told of last.
    offered: u64,
    owes_ack: bool,
}

impl Receiver {
    /// Whether everything up to the other side's end has come.
    pub(super) fn has_heard_all(&self) -> bool {
        self.end.is_some_and(|end| end < self.expected)
    }

    /// Something is to be acknowledged though nothing came in order.
    pub(super) fn owe(&mut self) {
        self.owes_ack = true;
    }

    pub(super) fn take_owed(&mut self) -> bool {
        std::mem::take(&mut self.owes_ack)
    }

    /// Bytes that there is room for behind those in order; what is ahead has its room already.
    pub(super) fn room(&self) -> u64 {
        RECEIVE_BUFFER.saturating_sub(self.unread_bytes)
    }

    /// Next bytes for the reader.
    pub(super) fn read(&mut self) -> Option<u64> {
        let len = self.unread.pop_front()?;
        self.unread_bytes -= len;
        // Whoever was told of no room hears when there is some (RFC 9293, section 3.8.6.2.2).
        self.owes_ack |= self.offered < MSS as u64 && self.room() >= RECEIVE_BUFFER / 2;
        Some(len)
    }

    /// Whether the reader, having read all, is to be told of the end now.
    pub(super) fn read_end(&mut self) -> bool {
        let all = self.unread.is_empty() && self.has_heard_all();
        all && !std::mem::replace(&mut self.end_told, true)
    }

    /// Takes in what a segment carries, as far as there is room.
    pub(super) fn on_bytes(&mut self, segment: &Segment) {
        if segment.len == 0 && !segment.fin {
            return;
        }
        self.owes_ack = true;
        let end = segment.seq + segment.len;
        if end > self.expected + self.room() {
            return;
        }
        if segment.fin {
            self.end = Some(end);
        }
        if segment.seq == self.expected {
            self.take(segment.len);
        } else if segment.seq > self.expected && segment.len > 0 {
            self.latest = segment.seq;
            self.ahead.insert(segment.seq, segment.len);
        }
        while let Some(entry) = self.ahead.first_entry() {
            if *entry.key() > self.expected {
                break;
            }
            let (seq, len) = entry.remove_entry();
            if seq == self.expected {
                self.take(len);
            }
        }
        if self.end == Some(self.expected) {
            self.expected += 1;
        }
    }

    fn take(&mut self, len: u64) {
        self.expected += len;
        self.unread_bytes += len;
        if len > 0 {
            self.unread.push_back(len);
        }
    }

    /// Enters in a segment what has come and what there is room for.
    pub(super) fn acknowledge(&mut self, segment: &mut Segment) {
        self.owes_ack = false;
        self.offered = self.room();
        (segment.ack, segment.window) = (self.expected, self.offered);
        let mut runs: Vec<Range<u64>> = Vec::new();
        for (&seq, &len) in &self.ahead {
            let end = seq + len;
            match runs.last_mut().filter(|run| run.end >= seq) {
                Some(run) => run.end = run.end.max(end),
                None => runs.push(seq..end),
            }
        }
        // The run of what came last is always named, so that in time the sender hears of all.
        if let Some(at) = runs.iter().position(|run| run.contains(&self.latest)) {
            runs[..=at].rotate_right(1);
        }
        runs.truncate(NAMED_RUNS);
        segment.sacked = runs;
    }
}
