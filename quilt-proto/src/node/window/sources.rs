//! The sources of which messages come, and the lives of each.

use super::*;

impl Window {
    /// Makes sure that a stream for `source` exists if it is current and another host's; false if
    /// there is no room.
    pub(super) fn meet(
        &mut self,
        now: Time,
        source: Source,
        host: Option<HostId>,
        meeting: Meeting,
    ) -> bool {
        if self.streams.contains_key(&source) || source.host == self.me.tag() {
            return true;
        }
        let full = self.others() >= self.limits.sources && !self.retire();
        // Lives that follow each other faster than the application is told of them wait.
        if full || self.notices.len() >= self.limits.sources {
            return false;
        }
        match self.lives.get(&source.host).copied() {
            // A life before the latest one: it stays over.
            Some(latest) if latest > source.incarnation => return true,
            Some(old) => self.reset(now, source, old, meeting),
            None => {}
        }
        self.lives.insert(source.host, source.incarnation);
        let mut stream = Stream::met(host, self.delivery);
        let past = self.past.iter().position(|(past, _)| *past == source);
        if let Some((_, cursor)) = past.and_then(|at| self.past.remove(at)) {
            stream.resume(cursor);
        }
        self.streams.insert(source, stream);
        true
    }

    /// How many sources there are beside this host.
    pub(super) fn others(&self) -> usize {
        let own = Source { host: self.me.tag(), incarnation: self.incarnation };
        self.streams.len().saturating_sub(usize::from(self.streams.contains_key(&own)))
    }

    /// Takes out the stream that was silent for longest, of those of which nothing is missing and
    /// nothing waits; false if there is none.
    fn retire(&mut self) -> bool {
        let idle = self.streams.iter().filter(|(_, stream)| stream.is_idle());
        let Some((&source, _)) = idle.min_by_key(|(_, stream)| stream.touched()) else {
            return false;
        };
        if let Some(mut stream) = self.streams.remove(&source) {
            self.slots = self.slots.saturating_sub(stream.count_slots().0);
            self.bytes = self.bytes.saturating_sub(stream.bytes());
            if !stream.is_unplaced() {
                self.past.push_back((source, stream.cursor()));
            }
        }
        let too_many = self.past.len() > self.limits.sources.saturating_mul(4);
        if let Some((forgotten, _)) = too_many.then(|| self.past.pop_front()).flatten() {
            if self.lives.get(&forgotten.host) == Some(&forgotten.incarnation) {
                self.lives.remove(&forgotten.host);
            }
        }
        true
    }

    /// Ends the stream of a host's earlier life. A newcomer is told nothing of it: that life was over
    /// before it came.
    fn reset(&mut self, now: Time, source: Source, old: Incarnation, meeting: Meeting) {
        let before = Source { host: source.host, incarnation: old };
        let told = meeting == Meeting::Present;
        while let Some(stream) = self.streams.get_mut(&before).filter(|_| told) {
            let next = match Priority::ALL.into_iter().find_map(|class| stream.deliver(now, class))
            {
                Some(next) => next,
                None => {
                    let Some(bytes) = stream.end() else { break };
                    self.bytes = self.bytes.saturating_sub(bytes);
                    continue;
                }
            };
            self.tell(before, next);
        }
        if let Some(mut stream) = self.streams.remove(&before) {
            self.slots = self.slots.saturating_sub(stream.count_slots().0);
            self.bytes = self.bytes.saturating_sub(stream.bytes());
        }
        self.ready.set(before, |_| false);
        self.holed.remove(&before);
        if told {
            let (host, new) = (source.host, source.incarnation);
            self.notices.push_back(Notice::SourceReset { host, old, new });
        }
    }
}
