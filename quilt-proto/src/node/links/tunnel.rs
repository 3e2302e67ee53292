//! A stream over datagrams, to a host to which TCP opens none.
//!
//! Both sides send: a NAT or a firewall lets in what answers something (hole punching: Ford,
//! Srisuresh and Kegel, USENIX 2005). Once each has shown the other's token, a flow carries what may
//! be lost, and the tunnel the rest: one stream of bytes, as TCP carries it, in segments that are sent
//! again until they came.

use crate::wire::Segment;
use crate::{HostTag, Time};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use smallvec::SmallVec;

/// The pause before the other side is called again, doubled each time up to the longest.
const CALL_PAUSE: Duration = Duration::from_millis(50);
const MAX_CALL_PAUSE: Duration = Duration::from_millis(400);
/// So many segments may be under way, and so many are kept that came before their turn. What goes
/// through a tunnel is small and seldom: fragments and words go beside it.
const WINDOW: usize = 32;
/// A segment is not sent again sooner than this, and at most this many times longer than a round trip
/// takes.
const MAX_BACKOFF: u32 = 4;

/// One end of a tunnel.
#[derive(Debug)]
pub(super) struct Tunnel {
    peer: HostTag,
    call: Option<Call>,
    /// What has not come to the other side, in order.
    out: VecDeque<Sent>,
    next: u32,
    /// So often in a row the oldest one was sent again.
    again: u32,
    /// The number of the first segment that has not come.
    missing: u32,
    ahead: BTreeMap<u32, Bytes>,
    owes: bool,
}

/// The other side is called until it is heard.
#[derive(Debug)]
struct Call {
    at: SmallVec<[SocketAddr; 2]>,
    /// What it wants to be shown.
    shows: u32,
    next: Time,
    pause: Duration,
}

#[derive(Debug)]
struct Sent {
    number: u32,
    bytes: Bytes,
    at: Option<Time>,
}

impl Tunnel {
    /// A tunnel to `peer`, which is called at these addresses from now on.
    pub(super) fn calling(now: Time, peer: HostTag, at: &[SocketAddr]) -> Self {
        let at = at.iter().copied().collect();
        let call = Call { at, shows: 0, next: now, pause: CALL_PAUSE };
        Self {
            peer,
            call: Some(call),
            out: VecDeque::new(),
            next: 0,
            again: 0,
            missing: 0,
            ahead: BTreeMap::new(),
            owes: false,
        }
    }

    /// Who is to be on the other side.
    pub(super) fn peer(&self) -> HostTag {
        self.peer
    }

    /// Whether the other side is called at `at`.
    pub(super) fn calls(&self, at: SocketAddr) -> bool {
        self.call.as_ref().is_some_and(|call| call.at.contains(&at))
    }

    /// The other side is at `at`, and wants to be shown `shows`: it is called there alone, at once.
    pub(super) fn found(&mut self, now: Time, at: SocketAddr, shows: u32) {
        if let Some(call) = &mut self.call {
            call.at = [at].into_iter().collect();
            (call.shows, call.next) = (shows, now);
        }
    }

    /// Something came by the tunnel: it is called no more.
    pub(super) fn heard(&mut self) {
        self.call = None;
    }

    /// Where the other side is called now, and what it is shown.
    pub(super) fn take_call(&mut self, now: Time) -> Option<(SmallVec<[SocketAddr; 2]>, u32)> {
        let call = self.call.as_mut().filter(|call| call.next <= now)?;
        call.next = now + call.pause;
        call.pause = call.pause.saturating_mul(2).min(MAX_CALL_PAUSE);
        Some((call.at.clone(), call.shows))
    }

    /// Whether more can be written.
    pub(super) fn has_room(&self) -> bool {
        self.out.len() < WINDOW
    }

    /// Goes on with the stream.
    pub(super) fn write(&mut self, mut bytes: Bytes) {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(Segment::MAX_BYTES));
            self.out.push_back(Sent { number: self.next, bytes: piece, at: None });
            self.next = self.next.wrapping_add(1);
        }
    }

    /// Whether a segment is to leave now, where one that did not come for `timeout` is lost.
    pub(super) fn is_due(&self, now: Time, timeout: Duration) -> bool {
        self.owes || self.due(now, timeout).is_some()
    }

    fn due(&self, now: Time, timeout: Duration) -> Option<usize> {
        let patience = self.patience(timeout);
        let is_due = |sent: &Sent| sent.at.is_none_or(|at| at + patience <= now);
        self.out.iter().take(WINDOW).position(is_due)
    }

    fn patience(&self, timeout: Duration) -> Duration {
        timeout.saturating_mul(1_u32.wrapping_shl(self.again.min(MAX_BACKOFF)))
    }

    /// The next segment that is to leave; the one with nothing in it is the last.
    pub(super) fn take_segment(&mut self, now: Time, timeout: Duration) -> Option<Segment> {
        let due = self.due(now, timeout);
        if due.is_none() && !self.owes {
            return None;
        }
        self.owes = false;
        let sent = due.and_then(|at| self.out.get_mut(at).map(|sent| (at, sent)));
        let Some((at, sent)) = sent else {
            return Some(Segment { number: self.next, next: self.missing, bytes: Bytes::new() });
        };
        if sent.at.replace(now).is_some() && at == 0 {
            self.again = self.again.saturating_add(1);
        }
        Some(Segment { number: sent.number, next: self.missing, bytes: sent.bytes.clone() })
    }

    /// A segment came; what it continues the stream with.
    pub(super) fn on_segment(&mut self, segment: Segment) -> Vec<Bytes> {
        let Segment { number, next, bytes } = segment;
        while self.out.front().is_some_and(|sent| is_before(sent.number, next)) {
            self.out.pop_front();
            self.again = 0;
        }
        if bytes.is_empty() {
            return Vec::new();
        }
        self.owes = true;
        let early = number.wrapping_sub(self.missing);
        if (early as usize) < WINDOW {
            self.ahead.insert(number, bytes);
        }
        let mut come = Vec::new();
        while let Some(bytes) = self.ahead.remove(&self.missing) {
            come.push(bytes);
            self.missing = self.missing.wrapping_add(1);
        }
        come
    }

    /// When the other side is to be called, or, where that can be, something to be sent again after
    /// `timeout`.
    pub(super) fn next_deadline(&self, timeout: Option<Duration>) -> Option<Time> {
        let call = self.call.as_ref().map(|call| call.next);
        let sent = self.out.iter().take(WINDOW).filter_map(|sent| sent.at).min();
        let again = sent.zip(timeout).map(|(at, timeout)| at + self.patience(timeout));
        [call, again].into_iter().flatten().min()
    }
}

/// Whether one number comes before another, on a circle.
fn is_before(a: u32, b: u32) -> bool {
    a != b && b.wrapping_sub(a) < u32::MAX / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIMEOUT: Duration = Duration::from_millis(100);

    fn open() -> Tunnel {
        let mut tunnel = Tunnel::calling(Time::ZERO, HostTag(1), &[([127, 0, 0, 1], 1).into()]);
        tunnel.heard();
        tunnel
    }

    proptest! {
        #[test]
        fn what_is_written_comes_in_order_whatever_is_lost_doubled_and_overtaken(
            written in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3_000), 1..30),
            fates in prop::collection::vec(0_u8..10, 1..200),
        ) {
            let (mut a, mut b) = (open(), open());
            let (mut sent, mut come) = (Vec::new(), Vec::new());
            let mut fates = fates.into_iter().cycle();
            let (mut now, mut waiting) = (Time::ZERO, Vec::new());
            let mut written = written.into_iter();
            let mut quiet = 0;
            while quiet < 3 {
                for bytes in written.by_ref().take(usize::from(a.has_room())) {
                    sent.extend_from_slice(&bytes);
                    a.write(bytes.into());
                }
                let mut lost = 0;
                while let Some(segment) = a.take_segment(now, TIMEOUT) {
                    // The first ones are at the mercy of fate, the later ones come.
                    match fates.next().filter(|_| now < Time::from_millis(20_000)) {
                        Some(0..=2) => lost += 1,
                        Some(3) => waiting.push(segment),
                        Some(4) => waiting.extend([segment.clone(), segment]),
                        _ => waiting.insert(0, segment),
                    }
                }
                for segment in waiting.drain(..) {
                    b.on_segment(segment).iter().for_each(|bytes| come.extend_from_slice(bytes));
                    prop_assert!(b.ahead.len() <= WINDOW);
                }
                while let Some(segment) = b.take_segment(now, TIMEOUT) {
                    prop_assert!(segment.bytes.is_empty());
                    if fates.next() != Some(0) || now >= Time::from_millis(20_000) {
                        prop_assert!(a.on_segment(segment).is_empty());
                    }
                }
                now = now + TIMEOUT;
                let idle = lost == 0 && a.out.is_empty() && written.len() == 0;
                quiet = if idle { quiet + 1 } else { 0 };
                prop_assert!(now < Time::from_millis(200_000), "it never rests");
            }
            prop_assert!(come == sent, "{} of {}", come.len(), sent.len());
        }
    }

    #[test]
    fn numbers_wrap() {
        let (mut a, mut b) = (open(), open());
        (a.next, b.missing) = (u32::MAX, u32::MAX);
        a.write(Bytes::from(alloc::vec![7; 3 * Segment::MAX_BYTES]));
        let mut come = 0;
        while let Some(segment) = a.take_segment(Time::ZERO, TIMEOUT) {
            come += b.on_segment(segment).len();
        }
        let told = b.take_segment(Time::ZERO, TIMEOUT).expect("it says what came");
        a.on_segment(told);
        assert_eq!((come, a.out.len()), (3, 0));
    }

    #[test]
    fn whoever_does_not_answer_is_called_ever_more_rarely() {
        let mut tunnel = Tunnel::calling(Time::ZERO, HostTag(1), &[([127, 0, 0, 1], 1).into()]);
        let calls = (0..3_000).filter(|&ms| tunnel.take_call(Time::from_millis(ms)).is_some());
        assert_eq!(
            calls.collect::<Vec<_>>(),
            [0, 50, 150, 350, 750, 1_150, 1_550, 1_950, 2_350, 2_750]
        );
    }
}
