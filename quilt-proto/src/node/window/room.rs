//! How messages leave a window: by age, and for others.

use super::*;

/// How often messages are looked through for their age.
const AGING: Duration = Duration::from_secs(1);

impl Window {
    /// Forgets what has been here, whole and delivered, for longer than the window's time.
    pub(crate) fn age(&mut self, now: Time) {
        self.aged = now;
        while let Some(&(source, seq)) = self.order.front() {
            let Some(stream) = self.streams.get_mut(&source) else {
                self.order.pop_front();
                continue;
            };
            let old = stream.expires(seq).is_none_or(|from| from + self.limits.window_time <= now);
            if !old || !stream.is_done(seq) {
                return;
            }
            self.bytes = self.bytes.saturating_sub(stream.forget(seq));
            self.order.pop_front();
            self.look_at(source);
        }
    }

    /// When [`age`](Self::age) may have something to do; at most once in [`AGING`], since a
    /// message that the application does not take stays over its time.
    pub(crate) fn next_aging(&self) -> Option<Time> {
        let &(source, seq) = self.order.front()?;
        let from = self.streams.get(&source).and_then(|stream| stream.expires(seq));
        let from = from.unwrap_or(Time::ZERO);
        Some((from + self.limits.window_time).max(self.aged + AGING))
    }

    /// How many messages of a stream may be known: what is left for all, and at least an equal
    /// share.
    pub(super) fn max_slots(&self, source: Source) -> usize {
        let max = self.limits.window_messages;
        let own = self.streams.get(&source).map_or(0, Stream::len);
        let left = max.saturating_sub(self.slots.saturating_sub(own));
        left.max(max.checked_div(self.streams.len()).unwrap_or(max)).max(1)
    }

    pub(super) fn make_room(&mut self) {
        while self.slots > self.limits.window_messages {
            let longest = self.streams.iter_mut().max_by_key(|(_, stream)| stream.len());
            let Some((&source, stream)) = longest else { break };
            stream.drop_first();
            self.bytes = self.bytes.saturating_sub(stream.take_freed());
            self.look_at(source);
        }
        // Messages that went before their turn are still named.
        if self.order.len() > self.slots.saturating_mul(2) {
            let streams = &self.streams;
            self.order.retain(|(source, seq)| {
                streams.get(source).is_some_and(|stream| stream.expires(*seq).is_some())
            });
        }
        while self.bytes > self.limits.window_bytes {
            let Some(&(source, seq)) = self.order.front() else { return };
            let stream = self.streams.get_mut(&source);
            let Some(stream) = stream.filter(|stream| stream.expires(seq).is_some()) else {
                self.order.pop_front();
                continue;
            };
            self.bytes = self.bytes.saturating_sub(stream.evict_oldest());
            self.look_at(source);
        }
    }
}
