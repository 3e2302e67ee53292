//! How many system calls it took.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts the system calls that move packets, and what they moved. Calls that found nothing to do
/// are counted too.
#[derive(Debug, Default)]
pub struct Calls {
    receive: AtomicU64,
    datagrams_received: AtomicU64,
    send: AtomicU64,
    datagrams_sent: AtomicU64,
    datagrams_refused: AtomicU64,
    read: AtomicU64,
    write: AtomicU64,
    packets_written: AtomicU64,
}

/// The system calls that moved packets, and what they moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemCalls {
    /// Calls that receive datagrams, many at once where the system can.
    pub receive: u64,
    /// Datagrams received by them.
    pub datagrams_received: u64,
    /// Calls that send datagrams, many at once where the system can.
    pub send: u64,
    /// Datagrams sent by them.
    pub datagrams_sent: u64,
    /// Datagrams that were not sent: too long for the network, or no route, mostly.
    pub datagrams_refused: u64,
    /// Calls that read from streams.
    pub read: u64,
    /// Vectored calls that write to streams.
    pub write: u64,
    /// Packets written whole by them.
    pub packets_written: u64,
}

impl SystemCalls {
    /// All calls together.
    pub fn total(&self) -> u64 {
        self.receive + self.send + self.read + self.write
    }
}

impl Calls {
    /// What was counted so far.
    pub fn snapshot(&self) -> SystemCalls {
        let load = |counter: &AtomicU64| counter.load(Relaxed);
        SystemCalls {
            receive: load(&self.receive),
            datagrams_received: load(&self.datagrams_received),
            send: load(&self.send),
            datagrams_sent: load(&self.datagrams_sent),
            datagrams_refused: load(&self.datagrams_refused),
            read: load(&self.read),
            write: load(&self.write),
            packets_written: load(&self.packets_written),
        }
    }

    pub(crate) fn received(&self, datagrams: usize) {
        self.receive.fetch_add(1, Relaxed);
        self.datagrams_received.fetch_add(datagrams as u64, Relaxed);
    }

    pub(crate) fn sent(&self, datagrams: usize) {
        self.send.fetch_add(1, Relaxed);
        self.datagrams_sent.fetch_add(datagrams as u64, Relaxed);
    }

    pub(crate) fn refused(&self, datagrams: usize) {
        self.send.fetch_add(1, Relaxed);
        self.datagrams_refused.fetch_add(datagrams as u64, Relaxed);
    }

    /// A datagram that has nowhere to go was refused without a call.
    pub(crate) fn nowhere(&self) {
        self.datagrams_refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) {
        self.read.fetch_add(1, Relaxed);
    }

    pub(crate) fn written(&self, packets: usize) {
        self.write.fetch_add(1, Relaxed);
        self.packets_written.fetch_add(packets as u64, Relaxed);
    }
}
