//! What will happen, by when.

use quilt_proto::Time;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Things to come, in the order of their time; those of one time in the order of their entering.
///
/// What is to come lies still in a slot, since a heap moves its entries about.
#[derive(Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry>>,
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
        Self { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), entered: 0 }
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
        self.heap.push(Reverse(Entry { at, number: self.entered, slot }));
    }

    /// When the next thing happens.
    pub fn next_time(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// Takes out the next thing, with its time.
    pub fn pop(&mut self) -> Option<(Time, T)> {
        let Reverse(Entry { at, slot, .. }) = self.heap.pop()?;
        self.free.push(slot);
        self.slots[slot as usize].take().map(|what| (at, what))
    }

    /// How many things are to come.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is to come.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}
