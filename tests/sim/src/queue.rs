//! What will happen, by when.

use quilt_proto::Time;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// How long a span of time is, as a power of two of nanoseconds: about a millisecond.
const SPAN_BITS: u32 = 20;

/// Things to come, in the order of their time; those of one time in the order of their entering.
///
/// Only what comes in the span under way is kept in order: a heap of everything would be larger
/// than a cache. What is to come lies still in a slot, since a heap moves its entries about.
#[derive(Debug)]
pub struct Queue<T> {
    /// What comes until the end of the span under way; empty only if nothing is to come.
    near: BinaryHeap<Reverse<Entry>>,
    span: u64,
    /// What comes in later spans.
    far: BTreeMap<u64, Vec<Reverse<Entry>>>,
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    entered: u64,
}

/// No two have the same number, so that the slot decides nothing.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Time,
    number: u64,
    slot: u32,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            near: BinaryHeap::new(),
            span: 0,
            far: BTreeMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            entered: 0,
        }
    }
}

impl<T> Queue<T> {
    /// Enters something that happens at `at`.
    pub fn push(&mut self, at: Time, what: T) {
        self.entered += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("memory ends before the slots do")
        });
        self.slots[slot as usize] = Some(what);
        let entry = Reverse(Entry { at, number: self.entered, slot });
        match at.as_nanos() >> SPAN_BITS {
            span if span <= self.span => self.near.push(entry),
            span => self.far.entry(span).or_default().push(entry),
        }
        self.go_on();
    }

    /// Goes on to the next span in which something comes, if the one under way is over.
    fn go_on(&mut self) {
        if self.near.is_empty()
            && let Some((span, entries)) = self.far.pop_first()
        {
            self.span = span;
            self.near = entries.into();
        }
    }

    /// When the next thing happens.
    pub fn next_time(&self) -> Option<Time> {
        self.near.peek().map(|Reverse(entry)| entry.at)
    }

    /// Takes out the next thing, with its time.
    pub fn pop(&mut self) -> Option<(Time, T)> {
        let Reverse(Entry { at, slot, .. }) = self.near.pop()?;
        self.go_on();
        self.free.push(slot);
        self.slots[slot as usize].take().map(|what| (at, what))
    }

    /// How many things are to come.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether nothing is to come.
    pub fn is_empty(&self) -> bool {
        self.near.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quilt_proto::Rng;

    #[test]
    fn things_come_as_from_a_sorted_list_whenever_they_were_entered() {
        let mut rng = Rng::new(1);
        let mut queue = Queue::default();
        let mut sorted: BTreeMap<(Time, usize), usize> = BTreeMap::new();
        let mut now = Time::ZERO;
        for number in 0..20_000 {
            // From the same moment to some spans later, and seldom far away.
            let bits = [0, 4, SPAN_BITS, SPAN_BITS + 3, 40][rng.index(5)];
            let at = Time::from_nanos(now.as_nanos() + rng.below(1 << bits));
            queue.push(at, number);
            sorted.insert((at, number), number);
            while rng.below(100) < 49 && !sorted.is_empty() {
                assert_eq!(queue.next_time(), sorted.keys().next().map(|&(at, _)| at));
                let popped = queue.pop();
                let expected = sorted.pop_first().map(|((at, _), number)| (at, number));
                assert_eq!(popped, expected);
                now = expected.map_or(now, |(at, _)| at);
            }
            assert_eq!((queue.len(), queue.is_empty()), (sorted.len(), sorted.is_empty()));
        }
        assert!(sorted.len() > 100, "some wait all the time");
        assert!(
            std::iter::from_fn(|| queue.pop()).map(|(_, number)| number).eq(sorted.into_values())
        );
    }
}
