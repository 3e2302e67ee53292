//! Recent messages by id: kept once, whatever protocol brought them; exact seen-sets; what is
//! missing; what was given up; and what the application gets next.

mod ready;
mod room;
mod seqs;
mod slot;
mod sources;
mod stream;

use crate::protocol::Holdings;
use crate::wire::{Data, FRAGMENT_BYTES, Held, Wanted};
use crate::{
    Delivery, FragmentId, GapCause, History, HostId, HostTag, Incarnation, Limits, Message, Notice,
    PatchId, Priority, PublishOptions, Seq, Source, Time, Usage,
};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;
use ready::Ready;
use slot::Slot;
use stream::{Next, Stream};

/// A hole that neither filled nor moved for this long, and that nobody near can fill, becomes a
/// gap.
pub(crate) const REPAIR_DEADLINE: Duration = Duration::from_secs(3);

/// How long a late message is waited for where nothing is repaired and the order is kept.
pub(crate) const LATE_WAIT: Duration = Duration::from_millis(50);

/// What became of a fragment that was offered to the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is new, and kept.
    New,
    /// It is here already.
    Duplicate,
    /// Its message was given up, or has left the window.
    Late,
    /// It contradicts what is known of its message.
    Contradiction,
    /// Its message is longer than any may be.
    TooLong,
    /// There are too many sources.
    SourceLimit,
    /// It says that its message's deadline has passed.
    Over,
}

/// How a source that was not known before is to be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// The host is only just being admitted: what came before is not for it.
    Newcomer,
    /// The host was here before the source: it gets everything from the beginning.
    Present,
}

/// A fragment as it lies in the window.
#[derive(Clone, Debug)]
pub(crate) struct Fragment {
    pub(crate) payload: Bytes,
    pub(crate) count: u16,
    pub(crate) origin: PatchId,
    pub(crate) hops: u8,
    pub(crate) options: PublishOptions,
    /// When the latest fragment of its message came.
    pub(crate) came: Time,
}

/// One group's window.
#[derive(Debug)]
pub(crate) struct Window {
    /// Nobody else publishes under this host's name.
    me: HostId,
    incarnation: Incarnation,
    streams: BTreeMap<Source, Stream>,
    /// The latest incarnation met of each host.
    lives: BTreeMap<HostTag, Incarnation>,
    /// Where streams stood that had to make room for others, the latest last: should one go on,
    /// nothing of it is delivered again.
    past: VecDeque<(Source, Seq)>,
    /// Messages in the order in which their first fragment came: the source of the first one gives
    /// way when room is needed, and of its messages those before it go first.
    order: VecDeque<(Source, Seq)>,
    /// What all messages take, see [`Limits::window_bytes`].
    bytes: usize,
    /// How many messages of all streams are known.
    slots: usize,
    /// Streams in which something waits for the application.
    ready: Ready,
    notices: VecDeque<Notice>,
    /// When messages were last looked through for their age.
    aged: Time,
    /// Streams with messages that are not whole.
    holed: BTreeSet<Source>,
    delivery: Delivery,
    history: History,
    limits: Limits,
}

impl Window {
    pub(crate) fn new(
        limits: Limits,
        me: HostId,
        incarnation: Incarnation,
        history: History,
    ) -> Self {
        Self {
            me,
            incarnation,
            streams: BTreeMap::new(),
            lives: BTreeMap::new(),
            past: VecDeque::new(),
            order: VecDeque::new(),
            bytes: 0,
            slots: 0,
            ready: Ready::default(),
            notices: VecDeque::new(),
            aged: Time::ZERO,
            holed: BTreeSet::new(),
            delivery: Delivery::default(),
            history,
            limits,
        }
    }

    /// What the group promises; settled before anything comes in.
    pub(crate) fn set_delivery(&mut self, delivery: Delivery) {
        debug_assert!(self.delivery == delivery || self.streams.is_empty(), "it was settled");
        self.delivery = delivery;
    }

    /// Enters a message of this host's own, cut into fragments that share its bytes.
    pub(crate) fn publish(
        &mut self,
        now: Time,
        origin: PatchId,
        body: &Bytes,
        options: PublishOptions,
    ) -> (Seq, u16) {
        let source = Source { host: self.me.tag(), incarnation: self.incarnation };
        let stream =
            self.streams.entry(source).or_insert_with(|| Stream::own(self.me, self.delivery));
        let seq = stream.head();
        let slot = Slot::published(now, origin, fragments(body), options);
        let (bytes, count) = (slot.bytes(), slot.count());
        stream.publish(slot, self.limits.window_messages);
        self.bytes = self.bytes.saturating_add(bytes).saturating_sub(stream.take_freed());
        self.order.push_back((source, seq));
        self.look_at(source);
        self.make_room();
        (seq, count)
    }

    /// Takes a fragment in.
    pub(crate) fn keep(&mut self, now: Time, data: &Data, meeting: Meeting) -> Kept {
        let FragmentId { source, seq, .. } = data.fragment;
        if usize::from(data.count) > self.limits.message_bytes.div_ceil(FRAGMENT_BYTES).max(1) {
            return Kept::TooLong;
        }
        if !self.meet(now, source, None, meeting) {
            return Kept::SourceLimit;
        }
        let max_slots = self.max_slots(source);
        let Some(stream) = self.streams.get_mut(&source) else { return Kept::Late };
        let far = seq.0 >= max_slots as u64;
        stream.place_first(if meeting == Meeting::Newcomer || far { seq } else { Seq(0) });
        let (kept, bytes, first) = stream.keep(now, data, max_slots);
        if matches!(kept, Kept::New | Kept::Over) && first {
            self.order.push_back((source, seq));
        }
        self.bytes = self.bytes.saturating_add(bytes).saturating_sub(stream.take_freed());
        self.look_at(source);
        self.make_room();
        kept
    }

    /// Takes in what a neighbour says of a source. True if the head is news.
    pub(crate) fn note_head(&mut self, now: Time, held: &Held, meeting: Meeting) -> bool {
        let source = Source { host: held.host.tag(), incarnation: held.incarnation };
        if !self.meet(now, source, Some(held.host), meeting) {
            return false;
        }
        let max_slots = self.max_slots(source);
        let Some(stream) = self.streams.get_mut(&source) else { return false };
        stream.introduce(held.host);
        // Whoever says so may have joined later than this host, and hold less than others do.
        let far = held.next.0 > max_slots as u64;
        match (meeting, self.history) {
            (Meeting::Present, _) => stream.place_first(if far { held.low } else { Seq(0) }),
            (Meeting::Newcomer, History::None) => stream.place_first(held.next),
            (Meeting::Newcomer, History::Last(count)) => {
                let from = Seq(held.next.0.saturating_sub(count.into())).max(held.low);
                stream.recall(now, from, held.next, max_slots);
            }
            (Meeting::Newcomer, History::FromMark) => {
                stream.recall(now, held.mark, held.next, max_slots);
            }
        }
        let news = stream.note_head(now, held, max_slots);
        self.bytes = self.bytes.saturating_sub(stream.take_freed());
        self.look_at(source);
        self.make_room();
        news
    }

    /// A fragment, if it is here, as it is passed on now: without its payload if the message's
    /// deadline has passed.
    pub(crate) fn get(&self, now: Time, fragment: FragmentId) -> Option<Fragment> {
        let slot = self.slot(fragment)?;
        let payload = if slot.is_over(now) && fragment.index < slot.count() {
            Bytes::new()
        } else {
            slot.fragment(fragment.index)?.clone()
        };
        Some(Fragment {
            payload,
            count: slot.count(),
            origin: slot.origin(),
            hops: slot.hops(),
            options: slot.options(now),
            came: slot.touched(),
        })
    }

    /// How urgent a fragment's message is, as far as that is known.
    pub(crate) fn priority(&self, fragment: FragmentId) -> Priority {
        self.slot(fragment).map_or(Priority::default(), Slot::priority)
    }

    fn slot(&self, fragment: FragmentId) -> Option<&Slot> {
        self.streams.get(&fragment.source)?.slot(fragment.seq)
    }

    /// How many fragments a message has, if that is known.
    pub(crate) fn count(&self, source: Source, seq: Seq) -> Option<u16> {
        let count = self.streams.get(&source)?.slot(seq)?.count();
        (count > 0).then_some(count)
    }

    /// How long a missing message is still worth asking for, as far as that is known: its deadline
    /// is known with its first fragment, before that it is taken to be that of the source's last one.
    pub(crate) fn left(&self, now: Time, source: Source, seq: Seq) -> Duration {
        self.streams.get(&source).map_or(Duration::MAX, |stream| stream.left(now, seq))
    }

    /// What is held here, one entry for each introduced source, the latest first.
    pub(crate) fn held(&self) -> Vec<Held> {
        let mut streams: Vec<(&Source, &Stream)> = self.streams.iter().collect();
        streams.sort_by_key(|(_, stream)| core::cmp::Reverse(stream.touched()));
        streams.into_iter().filter_map(|(source, stream)| stream.held(source.incarnation)).collect()
    }

    /// Whether nothing is held at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether some message is known and not whole.
    pub(crate) fn has_holes(&self) -> bool {
        !self.holed.is_empty()
    }

    /// Whether others are to be asked for something that is missing.
    pub(crate) fn has_wants(&self) -> bool {
        match self.delivery {
            Delivery::Reliable => self.has_holes(),
            Delivery::BestEffort | Delivery::Ordered => {
                let mut holed = self.holed.iter().filter_map(|source| self.streams.get(source));
                holed.any(Stream::has_wants)
            }
        }
    }

    /// Hands each hole that is to be asked for and older than `grace` to `visit`, the oldest message of
    /// a stream first, until it answers false; those before message `from` are left out.
    pub(crate) fn holes(
        &self,
        now: Time,
        grace: Duration,
        from: Option<(Source, Seq)>,
        mut visit: impl FnMut(Wanted) -> bool,
    ) {
        let lowest = Source { host: HostTag(0), incarnation: Incarnation(0) };
        let (first, seq) = from.unwrap_or((lowest, Seq(0)));
        for source in self.holed.range(first..) {
            let Some(stream) = self.streams.get(source) else { continue };
            let from = if *source == first { seq } else { Seq(0) };
            if !stream.holes(*source, from, now, grace, &mut visit) {
                return;
            }
        }
    }

    /// Hands the messages that became late since [`LATE_WAIT`] ago to `visit`, until it answers false.
    pub(crate) fn late(&self, now: Time, mut visit: impl FnMut(Source, Seq) -> bool) {
        for source in &self.holed {
            let Some(stream) = self.streams.get(source) else { continue };
            if !stream.late(now).all(|seq| visit(*source, seq)) {
                return;
            }
        }
    }

    /// Gives up the messages that are waited for no longer: those of a source that repairs them when
    /// the repair deadline has passed, unless `obtainable`; and those whose own deadline has passed.
    pub(crate) fn give_up(&mut self, now: Time, mut obtainable: impl FnMut(Source, Seq) -> bool) {
        for source in self.holed.clone() {
            let Some(stream) = self.streams.get_mut(&source) else { continue };
            let bytes = stream.give_up(now, |seq| obtainable(source, seq));
            self.bytes = self.bytes.saturating_sub(bytes);
            self.look_at(source);
        }
    }

    /// Next thing for the application. Classes take turns, and within one streams.
    pub(crate) fn poll_notice(&mut self, now: Time) -> Option<Notice> {
        while self.notices.is_empty() {
            let (class, source) = self.ready.take()?;
            let stream = self.streams.get_mut(&source)?;
            let next = stream.deliver(now, class);
            self.bytes = self.bytes.saturating_sub(stream.take_freed());
            self.look_at(source);
            next.into_iter().for_each(|next| self.tell(source, next));
        }
        self.notices.pop_front()
    }

    /// Puts into words what comes next of a stream.
    fn tell(&mut self, source: Source, next: Next) {
        match next {
            Next::Message { seq, body } => {
                self.notices.push_back(Notice::Message(Message { source, seq, body }));
            }
            Next::Gap { from, to, cause } => {
                if cause == GapCause::Lagged {
                    let messages = to.next().distance(from);
                    self.notices.push_back(Notice::Lagged { source, messages });
                }
                self.notices.push_back(Notice::Gap { source, from, to, cause });
            }
            Next::Lagged { messages } => {
                self.notices.push_back(Notice::Lagged { source, messages });
            }
        }
    }

    /// Enters what there is of what is bounded, where that is the most so far.
    pub(crate) fn use_up(&self, usage: &mut Usage) {
        usage.sources = usage.sources.max(self.others());
        usage.window_bytes = usage.window_bytes.max(self.bytes);
        usage.window_messages = usage.window_messages.max(self.slots);
    }

    /// What all messages take.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Brings what is known of all streams up to date for one of them.
    fn look_at(&mut self, source: Source) {
        if let Some(stream) = self.streams.get_mut(&source) {
            let (before, after) = stream.count_slots();
            self.slots = self.slots.saturating_sub(before).saturating_add(after);
        }
        let stream = self.streams.get(&source);
        self.ready.set(source, |class| stream.is_some_and(|stream| stream.is_ready_as(class)));
        set(&mut self.holed, source, stream.is_some_and(Stream::is_holed));
    }
}

impl Holdings for Window {
    fn has(&self, fragment: FragmentId) -> bool {
        let slot = self.streams.get(&fragment.source).and_then(|stream| stream.slot(fragment.seq));
        slot.is_some_and(|slot| slot.fragment(fragment.index).is_some())
    }

    fn count_of(&self, source: Source, seq: Seq) -> Option<u16> {
        self.count(source, seq)
    }

    fn repairs(&self) -> bool {
        self.delivery == Delivery::Reliable
    }

    fn holes(&self, now: Time, age: Duration, visit: &mut dyn FnMut(Wanted) -> bool) {
        Self::holes(self, now, age, None, visit);
    }
}

fn set(of: &mut BTreeSet<Source>, source: Source, is_in: bool) {
    if is_in {
        of.insert(source);
    } else {
        of.remove(&source);
    }
}

/// A message cut on the grid that all protocols share; an empty one has one empty fragment.
fn fragments(body: &Bytes) -> impl Iterator<Item = Bytes> {
    let starts = (0..body.len().max(1)).step_by(FRAGMENT_BYTES);
    starts.map(|from| body.slice(from..from.saturating_add(FRAGMENT_BYTES).min(body.len())))
}

/// The most bytes of a message that the fragment's numbers can tell.
pub(crate) const MAX_MESSAGE_BYTES: usize = FRAGMENT_BYTES * (u16::MAX as usize - 1);

#[cfg(test)]
mod tests;
