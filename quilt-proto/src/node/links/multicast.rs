//! One joined IP-multicast address.

use super::pacer::Pacer;
use super::queue::{Fill, Queue};
use crate::wire::{MAX_DATAGRAM_BYTES, TAG_BYTES};
use crate::{Limits, Time, Transmit};

/// What waits for the address, and at which rate it leaves.
#[derive(Debug)]
pub(super) struct Multicast {
    open: bool,
    looked: bool,
    queue: Queue,
    pacer: Pacer,
}

/// Whether the adapter must be told to pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It must, and is told once.
    Now,
    /// Something waits, and the pacer has to earn it first: at the next deadline.
    Later,
    /// It pulls already, or there is nothing to pull.
    Never,
}

impl Multicast {
    pub(super) fn new(bytes_per_second: u64, limits: &Limits) -> Self {
        let max_packet = MAX_DATAGRAM_BYTES.saturating_sub(TAG_BYTES);
        let queue = Queue::new(max_packet, limits);
        Self { open: false, looked: false, queue, pacer: Pacer::new(bytes_per_second) }
    }

    pub(super) fn opened(&mut self) {
        self.open = true;
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(super) fn queue_mut(&mut self) -> &mut Queue {
        &mut self.queue
    }

    pub(super) fn look(&mut self) -> Look {
        if !self.open || self.looked || self.queue.is_empty() {
            return Look::Never;
        }
        if !self.pacer.may_send() {
            return Look::Later;
        }
        self.looked = true;
        Look::Now
    }

    /// Fills a packet behind its header; false if there is nothing to say, or not yet.
    pub(super) fn fill(&mut self, transmit: &mut Transmit, fill: &mut dyn Fill) -> bool {
        self.looked = self.pacer.may_send() && self.queue.fill(transmit, fill);
        if self.looked {
            self.pacer.spend(transmit.len());
        }
        self.looked
    }

    /// Sends no more than so many bytes a second.
    pub(super) fn pace(&mut self, now: Time, bytes_per_second: u64) {
        self.pacer.pace(now, bytes_per_second);
    }

    pub(super) fn on_timeout(&mut self, now: Time) {
        self.pacer.refill(now);
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.pacer.next_deadline().filter(|_| !self.queue.is_empty())
    }

    pub(super) fn scheduled_mut(&mut self) -> &mut Option<Time> {
        self.pacer.scheduled_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Frame;
    use crate::{GroupId, PatchId};
    use alloc::vec::Vec;

    struct Nothing;

    impl Fill for Nothing {
        fn data(
            &mut self,
            _: &super::super::DataRef,
            _: super::super::Urgency,
        ) -> Option<crate::wire::Data> {
            None
        }

        fn word(&mut self, _: GroupId, _: PatchId) -> Vec<Frame> {
            Vec::new()
        }
    }

    #[test]
    fn what_is_queued_when_the_pacer_has_run_dry_leaves_at_a_deadline() {
        let mut multicast = Multicast::new(25_000_000, &Limits::default());
        multicast.opened();
        let body = bytes::Bytes::from_static(&[0; 1_000]);
        let frame = Frame::Protocol { group: GroupId(1), patch: PatchId(1), body };
        let mut sent = 0;
        loop {
            assert!(multicast.queue_mut().push_control(&frame));
            if multicast.look() != Look::Now {
                break;
            }
            assert!(multicast.fill(&mut Transmit::new(None), &mut Nothing));
            assert!(!multicast.fill(&mut Transmit::new(None), &mut Nothing));
            sent += 1;
        }
        assert!(sent >= 32, "a burst of {sent}");
        assert_eq!(multicast.look(), Look::Later);
        let deadline = multicast.next_deadline().expect("something waits");
        multicast.on_timeout(deadline + core::time::Duration::from_millis(5));
        assert_eq!(multicast.look(), Look::Now);
    }
}
