//! What the receivers have.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Counts what all receivers got together, and wakes whoever waits for it.
pub struct Tally {
    got: AtomicU64,
    wanted: AtomicU64,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Tally {
    /// Nothing got yet; `wake` is called each time that all is got which is wanted.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { got: AtomicU64::new(0), wanted: AtomicU64::new(0), wake: Box::new(wake) }
    }

    /// Wants `more` than was wanted before.
    pub fn want(&self, more: u64) {
        self.wanted.fetch_add(more, SeqCst);
    }

    /// A receiver got `more`.
    pub fn add(&self, more: u64) {
        if self.got.fetch_add(more, SeqCst) + more == self.wanted.load(SeqCst) {
            (self.wake)();
        }
    }

    /// How much is wanted and not got.
    pub fn missing(&self) -> u64 {
        self.wanted.load(SeqCst) - self.got.load(SeqCst)
    }
}
