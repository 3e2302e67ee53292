//! One message's place in its stream.

use super::Kept;
use crate::wire::Data;
use crate::{Chunks, GapCause, PatchId, Priority, PublishOptions, Time};
use bytes::Bytes;
use core::mem::size_of;
use core::time::Duration;
use smallvec::SmallVec;

/// What a fragment takes beside its payload.
const PLACE_BYTES: usize = size_of::<Option<Bytes>>();

/// What is here of one message. `have` holds one bit a fragment: the exact seen-set.
#[derive(Debug)]
pub(super) struct Slot {
    /// Fragments of the message; 0 while unknown.
    count: u16,
    have: u16,
    highest: u16,
    origin: PatchId,
    hops: u8,
    /// The only one of a short message takes no memory of its own.
    fragments: SmallVec<[Option<Bytes>; 1]>,
    /// When the latest fragment came, or when the message became known.
    touched: Time,
    /// The same without those that came because they were asked for: they do not show that more
    /// are under way.
    pushed: Time,
    /// Since when a fragment before the highest one is missing.
    holed: Option<Time>,
    priority: Priority,
    mark: bool,
    /// When its deadline passes; [`Time::MAX`] without one.
    over: Time,
    /// The application has it, where that does not follow from the order.
    told: bool,
    end: Option<End>,
}

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was here, and left the window.
    Forgotten,
    /// It was given up before it was delivered.
    Gone(GapCause),
}

impl Slot {
    /// A message that is known to exist, and no more.
    pub(super) fn missing(now: Time) -> Self {
        Self {
            count: 0,
            have: 0,
            highest: 0,
            origin: PatchId::INTER_PATCH,
            hops: 0,
            fragments: SmallVec::new(),
            touched: now,
            pushed: now,
            holed: None,
            priority: Priority::default(),
            mark: false,
            over: Time::MAX,
            told: false,
            end: None,
        }
    }

    /// A message of this host's own.
    pub(super) fn published(
        now: Time,
        origin: PatchId,
        fragments: impl Iterator<Item = Bytes>,
        options: PublishOptions,
    ) -> Self {
        let fragments: SmallVec<_> = fragments.map(Some).collect();
        let count = u16::try_from(fragments.len()).unwrap_or(u16::MAX);
        let highest = count.saturating_sub(1);
        let slot = Self { count, have: count, highest, origin, fragments, ..Self::missing(now) };
        slot.with(now, options)
    }

    /// What the message was published with is known.
    fn with(mut self, now: Time, options: PublishOptions) -> Self {
        self.learn(now, options);
        self
    }

    fn learn(&mut self, now: Time, options: PublishOptions) {
        let left = options.deadline.map(|left| left.min(PublishOptions::MAX_DEADLINE));
        self.over = left.map_or(Time::MAX, |left| now + left);
        self.priority = options.priority;
        self.mark = options.mark;
    }

    /// Takes a fragment in, and returns the bytes that it takes. Whether it is the message's first
    /// one is for the caller to ask before.
    pub(super) fn keep(&mut self, now: Time, data: &Data) -> (Kept, usize) {
        if self.end.is_some() {
            return (Kept::Late, 0);
        }
        let mut bytes = data.payload.len();
        if self.count == 0 {
            bytes = bytes.saturating_add(usize::from(data.count).saturating_mul(PLACE_BYTES));
            self.count = data.count;
            self.origin = data.origin;
            self.hops = data.hops;
            self.learn(now, data.options);
            self.fragments.resize(usize::from(data.count), None);
        }
        if self.count != data.count {
            return (Kept::Contradiction, 0);
        }
        let index = data.fragment.index;
        match self.fragments.get_mut(usize::from(index)) {
            None => return (Kept::Contradiction, 0),
            Some(Some(_)) => return (Kept::Duplicate, 0),
            Some(empty) => *empty = Some(data.payload.clone()),
        }
        self.have = self.have.saturating_add(1);
        self.highest = self.highest.max(index);
        self.touched = self.touched.max(now);
        if !data.solicited {
            self.pushed = self.pushed.max(now);
        }
        let contiguous = self.have > self.highest;
        self.holed = if contiguous { None } else { self.holed.or(Some(now)) };
        (Kept::New, bytes)
    }

    pub(super) fn count(&self) -> u16 {
        self.count
    }

    pub(super) fn origin(&self) -> PatchId {
        self.origin
    }

    pub(super) fn hops(&self) -> u8 {
        self.hops
    }

    pub(super) fn is_mark(&self) -> bool {
        self.mark
    }

    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// The application has it.
    pub(super) fn set_told(&mut self) {
        self.told = true;
    }

    pub(super) fn priority(&self) -> Priority {
        self.priority
    }

    /// What the message was published with, as it is passed on now.
    pub(super) fn options(&self, now: Time) -> PublishOptions {
        PublishOptions {
            priority: self.priority,
            deadline: (self.over < Time::MAX).then(|| self.over.since(now)),
            mark: self.mark,
        }
    }

    /// When its deadline passes; [`Time::MAX`] without one.
    pub(super) fn over(&self) -> Time {
        self.over
    }

    /// Whether its deadline has passed.
    pub(super) fn is_over(&self, now: Time) -> bool {
        self.over <= now
    }

    /// Whether it was given up since its deadline had passed.
    pub(super) fn is_expired(&self) -> bool {
        self.end == Some(End::Gone(GapCause::Expired))
    }

    /// Whether there is something to tell others: fragments, or that it has expired.
    pub(super) fn tells(&self) -> bool {
        self.end.is_none() || self.is_expired()
    }

    /// Somebody said that its deadline has passed; of what is here the head is enough to say so too.
    /// The bytes freed, if that ends it.
    pub(super) fn expire(&mut self, now: Time, data: &Data) -> Option<usize> {
        if !self.is_holed() {
            return None;
        }
        if self.count == 0 {
            (self.count, self.origin, self.hops) = (data.count, data.origin, data.hops);
            self.learn(now, data.options);
        }
        self.over = self.over.min(now);
        Some(self.close(End::Gone(GapCause::Expired)))
    }

    pub(super) fn touched(&self) -> Time {
        self.touched
    }

    pub(super) fn end(&self) -> Option<End> {
        self.end
    }

    pub(super) fn is_untouched(&self) -> bool {
        self.have == 0 && self.end.is_none()
    }

    pub(super) fn is_whole(&self) -> bool {
        self.count > 0 && self.have == self.count && self.end.is_none()
    }

    /// Known, not whole, and not given up.
    pub(super) fn is_holed(&self) -> bool {
        self.end.is_none() && !self.is_whole()
    }

    pub(super) fn fragment(&self, index: u16) -> Option<&Bytes> {
        self.fragments.get(usize::from(index))?.as_ref()
    }

    /// The message, if it is whole.
    pub(super) fn body(&self) -> Option<Chunks> {
        self.is_whole().then(|| {
            let mut body = Chunks::with_capacity(self.fragments.len());
            body.extend(self.fragments.iter().flatten().cloned());
            body
        })
    }

    /// What it takes, the places of fragments that have not come included: whoever announces a
    /// long message has them made.
    pub(super) fn bytes(&self) -> usize {
        let places = self.fragments.len().saturating_mul(PLACE_BYTES);
        self.fragments.iter().flatten().fold(places, |sum, part| sum.saturating_add(part.len()))
    }

    /// Ends the message and lets its bytes go; returns how many.
    pub(super) fn close(&mut self, end: End) -> usize {
        let bytes = self.bytes();
        self.fragments = SmallVec::new();
        self.end = Some(end);
        bytes
    }

    /// The ranges of fragments that are missing for longer than `grace`: those before the highest
    /// one since a later one came, those behind it since nothing came unasked any more. With no
    /// fragment at all the range is `(0, u16::MAX)`.
    pub(super) fn holes(&self, now: Time, grace: Duration) -> impl Iterator<Item = (u16, u16)> {
        let stale = self.pushed + grace <= now;
        let unknown = (self.have == 0 && stale).then_some((0, u16::MAX));
        let inner = self.have > 0 && self.holed.is_some_and(|since| since + grace <= now);
        let from = if inner { 0 } else { self.highest.saturating_add(1) };
        let to = match (self.have > 0, stale) {
            (false, _) => 0,
            (true, true) => self.count,
            (true, false) if inner => self.highest,
            (true, false) => 0,
        };
        unknown.into_iter().chain(self.runs(from, to))
    }

    /// The runs of missing fragments from `from` on, before `to`, as inclusive ranges.
    fn runs(&self, from: u16, to: u16) -> impl Iterator<Item = (u16, u16)> {
        let mut at = from;
        core::iter::from_fn(move || {
            let missing = |index: u16| self.fragment(index).is_none();
            let first = (at..to).find(|&index| missing(index))?;
            let end = (first..to).find(|&index| !missing(index)).unwrap_or(to);
            at = end;
            Some((first, end.saturating_sub(1)))
        })
    }
}
