//! The fragments that wait for one socket, by name.

use super::DataRef;
use super::spares::Spares;
use super::waiting::Waiting;
use crate::node::turns::Turns;
use crate::{FragmentId, GroupId, PatchId, Priority};
use alloc::collections::VecDeque;

/// Fragments by priority, and within a class in lanes, one lane a patch; the lanes take turns. A
/// fragment waits in one lane at most, since one copy is enough for whoever is at the other end.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// In the order of [`Priority::ALL`].
    classes: [Class; Priority::ALL.len()],
    turns: Turns,
    /// What waits. Whatever else still lies in a lane is not wanted any more.
    waiting: Waiting,
    /// The class whose turn it is, while that is known; what is in front of it waits.
    turn: Option<usize>,
    spares: Spares<DataRef>,
    max: usize,
}

#[derive(Debug, Default)]
struct Class {
    lanes: VecDeque<Lane>,
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

    /// Takes a fragment in; false if one was dropped to make room: of the lowest class that waits,
    /// the oldest one of the longest lane.
    pub(super) fn push(&mut self, data: DataRef) -> bool {
        if !self.waiting.insert(data.group, data.fragment) {
            return true;
        }
        self.turn = None;
        if let Some(class) = self.classes.get_mut(data.priority as usize) {
            class.push(data, &mut self.spares);
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
        self.turn = None;
        self.waiting.remove(group, fragment);
    }

    /// Nothing of a patch waits any more.
    pub(super) fn clear(&mut self, group: GroupId, patch: PatchId) {
        self.turn = None;
        let lanes = self.classes.iter_mut().flat_map(|class| &mut class.lanes);
        for lane in lanes.filter(|lane| lane.of == (group, patch)) {
            for data in lane.queue.drain(..) {
                self.waiting.remove(data.group, data.fragment);
            }
        }
    }

    /// The fragment whose turn it is.
    pub(super) fn next(&mut self) -> Option<DataRef> {
        let turn = self.turn()?;
        self.classes.get(turn)?.first().copied()
    }

    /// Takes out the fragment whose turn it is; the next lane is on.
    pub(super) fn pop(&mut self) -> Option<DataRef> {
        let turn = self.turn()?;
        self.turn = None;
        let class = self.classes.get_mut(turn)?;
        let data = class.lanes.front_mut()?.queue.pop_front()?;
        class.lanes.rotate_left(1);
        self.waiting.remove(data.group, data.fragment);
        let classes = &self.classes;
        self.turns.took(turn, |at| classes.get(at).is_some_and(|class| !class.lanes.is_empty()));
        Some(data)
    }

    /// The class whose turn it is.
    fn turn(&mut self) -> Option<usize> {
        if self.turn.is_none() {
            let Self { classes, waiting, spares, turns, .. } = self;
            self.turn = turns
                .next(|at| classes.get_mut(at).is_some_and(|class| class.settle(waiting, spares)));
        }
        self.turn
    }

    fn drop_oldest(&mut self) {
        for class in self.classes.iter_mut().rev() {
            let longest = |class: &mut Class| {
                let lanes = class.lanes.iter().enumerate();
                lanes.map(|(at, lane)| (lane.queue.len(), at)).max().filter(|&(len, _)| len > 0)
            };
            while let Some((_, at)) = longest(class) {
                let Some(lane) = class.lanes.get_mut(at) else { break };
                while let Some(data) = lane.queue.pop_front() {
                    if self.waiting.remove(data.group, data.fragment) {
                        return;
                    }
                }
            }
        }
    }

    /// Throws out what is not wanted any more once it is more than what may wait.
    fn tidy(&mut self) {
        let lanes = || self.classes.iter().flat_map(|class| &class.lanes);
        let lying = lanes().fold(0_usize, |sum, lane| sum.saturating_add(lane.queue.len()));
        if lying > self.max.saturating_mul(2) {
            let waiting = &self.waiting;
            for lane in self.classes.iter_mut().flat_map(|class| &mut class.lanes) {
                lane.queue.retain(|data| waiting.contains(data.group, data.fragment));
            }
        }
    }
}

impl Class {
    fn push(&mut self, data: DataRef, spares: &mut Spares<DataRef>) {
        let of = (data.group, data.patch);
        match self.lanes.iter_mut().find(|lane| lane.of == of) {
            Some(lane) => lane.queue.push_back(data),
            None => {
                let mut queue = spares.take();
                queue.push_back(data);
                self.lanes.push_back(Lane { of, queue });
            }
        }
    }

    fn first(&self) -> Option<&DataRef> {
        self.lanes.front()?.queue.front()
    }

    /// Takes out what is not wanted any more, and empty lanes, until one that waits is in front; false
    /// if there is none.
    fn settle(&mut self, waiting: &Waiting, spares: &mut Spares<DataRef>) -> bool {
        while let Some(lane) = self.lanes.front_mut() {
            match lane.queue.front() {
                Some(data) if waiting.contains(data.group, data.fragment) => return true,
                Some(_) => drop(lane.queue.pop_front()),
                None => {
                    let empty = self.lanes.pop_front();
                    empty.into_iter().for_each(|lane| spares.put(lane.queue));
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostTag, Incarnation, Seq, Source};
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn data(patch: u32, seq: u64) -> DataRef {
        let source = Source { host: HostTag(1), incarnation: Incarnation(1) };
        let fragment = FragmentId { source, seq: Seq(seq), index: 0 };
        let priority = Priority::Normal;
        DataRef { group: GroupId(1), patch: PatchId(patch), fragment, priority }
    }

    fn of(priority: Priority, seq: u64) -> DataRef {
        DataRef { priority, ..data(1, seq) }
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
        let mut all = lanes.classes.iter().flat_map(|class| &class.lanes);
        assert!(all.all(|lane| lane.queue.len() <= 7));
    }

    #[test]
    fn a_higher_class_goes_first() {
        let mut lanes = Lanes::new(10);
        for (seq, priority) in (0..).zip(Priority::ALL.into_iter().rev()) {
            lanes.push(of(priority, seq));
        }
        assert_eq!(drain(&mut lanes), [(1, 3), (1, 2), (1, 1), (1, 0)]);
    }

    #[test]
    fn the_lowest_class_makes_room() {
        let mut lanes = Lanes::new(2);
        assert!(lanes.push(of(Priority::Low, 0)));
        assert!(lanes.push(of(Priority::Normal, 1)));
        assert!(!lanes.push(of(Priority::Normal, 2)));
        assert!(!lanes.push(of(Priority::Low, 3)), "itself");
        assert!(!lanes.push(of(Priority::Urgent, 4)));
        assert_eq!(drain(&mut lanes), [(1, 4), (1, 2)]);
    }

    #[derive(Clone, Copy, Debug)]
    enum Op {
        Push { priority: Priority, patch: u32, host: u64 },
        Pop,
        Forget(usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        let push = (select(&Priority::ALL[..]), 1_u32..3, 1_u64..3);
        prop_oneof![
            6 => push.prop_map(|(priority, patch, host)| Op::Push { priority, patch, host }),
            5 => Just(Op::Pop),
            1 => (0_usize..40).prop_map(Op::Forget),
        ]
    }

    proptest! {
        /// What leaves is of the highest class that waits, but for the turns of those that were
        /// passed over; no class waits longer than is documented; and within a class what is of one
        /// source and patch leaves as it came.
        #[test]
        fn no_class_starves_and_each_source_keeps_its_order(
            ops in prop::collection::vec(op(), 0..400),
        ) {
            let mut lanes = Lanes::new(1_000);
            let mut waits: Vec<DataRef> = Vec::new();
            let mut passed_over = [0_usize; 4];
            for (seq, op) in (0..).zip(ops) {
                match op {
                    Op::Push { priority, patch, host } => {
                        let mut data = DataRef { priority, ..data(patch, seq) };
                        data.fragment.source.host = HostTag(host);
                        lanes.push(data);
                        waits.push(data);
                    }
                    Op::Forget(at) if at < waits.len() => {
                        let data = waits.remove(at);
                        lanes.forget(data.group, data.fragment);
                    }
                    Op::Forget(_) => {}
                    Op::Pop => {
                        let next = lanes.next();
                        prop_assert_eq!(lanes.pop(), next);
                        let Some(out) = next else {
                            prop_assert!(waits.is_empty());
                            continue;
                        };
                        let alike = |data: &&DataRef| {
                            (data.priority, data.patch, data.fragment.source)
                                == (out.priority, out.patch, out.fragment.source)
                        };
                        prop_assert_eq!(waits.iter().find(alike), Some(&out), "first come");
                        waits.retain(|data| *data != out);
                        for (class, passed_over) in Priority::ALL.iter().zip(&mut passed_over) {
                            let waiting = waits.iter().any(|data| data.priority == *class);
                            if *class == out.priority || !waiting {
                                *passed_over = 0;
                            } else if out.priority < *class {
                                // The turns of two higher classes may have come as well.
                                *passed_over += 1;
                                prop_assert!(*passed_over <= Priority::MAX_PASSED_OVER + 2);
                            }
                        }
                    }
                }
                for (class, passed_over) in Priority::ALL.iter().zip(&mut passed_over) {
                    if waits.iter().all(|data| data.priority != *class) {
                        *passed_over = 0;
                    }
                }
                prop_assert_eq!(lanes.len(), waits.len());
            }
        }

        /// A class is passed by only where the turn of a lower one has come.
        #[test]
        fn a_lower_class_has_no_more_than_its_turns(count in 1_usize..200) {
            let mut lanes = Lanes::new(1_000);
            for seq in 0..count as u64 {
                lanes.push(of(Priority::Urgent, seq));
                lanes.push(of(Priority::Low, 1_000 + seq));
            }
            let urgent = |data: &DataRef| data.priority == Priority::Urgent;
            let out: Vec<DataRef> = core::iter::from_fn(|| lanes.pop()).collect();
            for (at, data) in out.iter().enumerate().take_while(|(at, _)| {
                out.iter().skip(*at).any(urgent)
            }) {
                let turn = at % (Priority::MAX_PASSED_OVER + 1) == Priority::MAX_PASSED_OVER;
                prop_assert_eq!(urgent(data), !turn, "the {}th", at);
            }
        }
    }
}
