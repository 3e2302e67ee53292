//! The fragments that wait for one socket, by name.

use super::DataRef;
use super::spares::Spares;
use super::waiting::Waiting;
use crate::{FragmentId, GroupId, PatchId};
use alloc::collections::VecDeque;

/// Fragments in lanes, one lane a patch; the lanes take turns. A fragment waits in one lane at
/// most, since one copy is enough for whoever is at the other end.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: VecDeque<Lane>,
    /// What waits. Whatever else still lies in a lane is not wanted any more.
    waiting: Waiting,
    spares: Spares<DataRef>,
    max: usize,
}

#[derive(Debug)]
struct Lane {
    of: (GroupId, PatchId),
    queue: VecDeque<DataRef>,
}

impl Lanes {
    /// Room for `max` fragments.
    pub(super) fn new(max: usize) -> Self {
        Self { max, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.len() == 0
    }

    pub(super) fn holds(&self, group: GroupId) -> bool {
        self.waiting.holds(group)
    }

    /// Whether a fragment waits.
    pub(super) fn contains(&self, group: GroupId, fragment: FragmentId) -> bool {
        self.waiting.contains(group, fragment)
    }

    /// Takes a fragment in; false if the oldest one of the longest lane was dropped to make room.
    pub(super) fn push(&mut self, data: DataRef) -> bool {
        if !self.waiting.insert(data.group, data.fragment) {
            return true;
        }
        let of = (data.group, data.patch);
        match self.lanes.iter_mut().find(|lane| lane.of == of) {
            Some(lane) => lane.queue.push_back(data),
            None => {
                let mut queue = self.spares.take();
                queue.push_back(data);
                self.lanes.push_back(Lane { of, queue });
            }
        }
        let room = self.waiting.len() <= self.max;
        if !room {
            self.drop_oldest();
        }
        self.tidy();
        room
    }

    /// The other end has a fragment: it waits no more.
    pub(super) fn forget(&mut self, group: GroupId, fragment: FragmentId) {
        self.waiting.remove(group, fragment);
    }

    /// Nothing of a patch waits any more.
    pub(super) fn clear(&mut self, group: GroupId, patch: PatchId) {
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.of == (group, patch)) {
            for data in lane.queue.drain(..) {
                self.waiting.remove(data.group, data.fragment);
            }
        }
    }

    /// The fragment whose turn it is.
    pub(super) fn next(&mut self) -> Option<DataRef> {
        while let Some(lane) = self.lanes.front_mut() {
            match lane.queue.front() {
                Some(data) if self.waiting.contains(data.group, data.fragment) => {
                    return Some(*data);
                }
                Some(_) => drop(lane.queue.pop_front()),
                None => self.drop_lane(),
            }
        }
        None
    }

    /// Takes out the fragment whose turn it is; the next lane is on.
    pub(super) fn pop(&mut self) -> Option<DataRef> {
        while let Some(lane) = self.lanes.front_mut() {
            match lane.queue.pop_front() {
                Some(data) if self.waiting.remove(data.group, data.fragment) => {
                    self.lanes.rotate_left(1);
                    return Some(data);
                }
                Some(_) => {}
                None => self.drop_lane(),
            }
        }
        None
    }

    /// Takes out the lane in front, which is empty.
    fn drop_lane(&mut self) {
        if let Some(lane) = self.lanes.pop_front() {
            self.spares.put(lane.queue);
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(lane) = self.lanes.iter_mut().max_by_key(|lane| lane.queue.len()) {
            while let Some(data) = lane.queue.pop_front() {
                if self.waiting.remove(data.group, data.fragment) {
                    return;
                }
            }
        }
    }

    /// Throws out what is not wanted any more once it is more than what may wait.
    fn tidy(&mut self) {
        let lying =
            self.lanes.iter().fold(0_usize, |sum, lane| sum.saturating_add(lane.queue.len()));
        if lying > self.max.saturating_mul(2) {
            let waiting = &self.waiting;
            for lane in &mut self.lanes {
                lane.queue.retain(|data| waiting.contains(data.group, data.fragment));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostTag, Incarnation, Seq, Source};
    use alloc::vec::Vec;

    fn data(patch: u32, seq: u64) -> DataRef {
        let source = Source { host: HostTag(1), incarnation: Incarnation(1) };
        let fragment = FragmentId { source, seq: Seq(seq), index: 0 };
        DataRef { group: GroupId(1), patch: PatchId(patch), fragment }
    }

    fn drain(lanes: &mut Lanes) -> Vec<(u32, u64)> {
        let pop = || lanes.pop().map(|data| (data.patch.0, data.fragment.seq.0));
        core::iter::from_fn(pop).collect()
    }

    #[test]
    fn patches_take_turns() {
        let mut lanes = Lanes::new(10);
        for (patch, seq) in [(1, 1), (1, 2), (1, 3), (2, 4)] {
            assert!(lanes.push(data(patch, seq)));
        }
        assert_eq!(drain(&mut lanes), [(1, 1), (2, 4), (1, 2), (1, 3)]);
    }

    #[test]
    fn a_fragment_waits_once_whatever_patches_want_it() {
        let mut lanes = Lanes::new(10);
        lanes.push(data(1, 1));
        lanes.push(data(2, 1));
        assert_eq!(drain(&mut lanes), [(1, 1)]);
    }

    #[test]
    fn what_the_other_end_has_is_not_sent() {
        let mut lanes = Lanes::new(10);
        for seq in 1..5 {
            lanes.push(data(1, seq));
        }
        lanes.push(data(2, 5));
        lanes.forget(GroupId(1), data(1, 2).fragment);
        assert_eq!(lanes.len(), 4);
        lanes.clear(GroupId(1), PatchId(2));
        assert_eq!(drain(&mut lanes), [(1, 1), (1, 3), (1, 4)]);
    }

    #[test]
    fn the_oldest_of_the_longest_lane_makes_room() {
        let mut lanes = Lanes::new(3);
        for (patch, seq) in [(2, 9), (1, 1), (1, 2)] {
            assert!(lanes.push(data(patch, seq)));
        }
        assert!(!lanes.push(data(1, 3)));
        assert_eq!(drain(&mut lanes), [(2, 9), (1, 2), (1, 3)]);
    }

    #[test]
    fn what_is_forgotten_does_not_pile_up() {
        let mut lanes = Lanes::new(3);
        for seq in 0..1_000 {
            lanes.push(data(1, seq));
            lanes.forget(GroupId(1), data(1, seq).fragment);
        }
        assert!(lanes.is_empty());
        assert!(lanes.lanes.iter().all(|lane| lane.queue.len() <= 7));
    }
}
