//! The memory of queues that ran empty.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// So many are kept, and none that has room for more than so many entries: where a queue is filled
/// and emptied for each message, none is made anew, and long ones give their memory back.
const MAX_KEPT: usize = 2;
const MAX_ENTRIES: usize = 256;

/// Empty queues for those that come next.
#[derive(Debug)]
pub(super) struct Spares<T>(Vec<VecDeque<T>>);

impl<T> Default for Spares<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Spares<T> {
    /// An empty queue.
    pub(super) fn take(&mut self) -> VecDeque<T> {
        self.0.pop().unwrap_or_default()
    }

    /// A queue is not needed any more.
    pub(super) fn put(&mut self, mut queue: VecDeque<T>) {
        queue.clear();
        if self.0.len() < MAX_KEPT && queue.capacity() <= MAX_ENTRIES {
            self.0.push(queue);
        }
    }
}
