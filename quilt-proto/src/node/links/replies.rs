//! The fragments that single members asked for, and get by datagram.

use super::DataRef;
use crate::Priority;
use crate::node::turns::Turns;
use alloc::collections::VecDeque;
use core::net::SocketAddr;

/// Fragments and where they go, by priority.
#[derive(Debug)]
pub(super) struct Replies {
    /// In the order of [`Priority::ALL`].
    classes: [VecDeque<(SocketAddr, DataRef)>; Priority::ALL.len()],
    turns: Turns,
    max: usize,
}

impl Replies {
    /// Room for `max` fragments.
    pub(super) fn new(max: usize) -> Self {
        Self { classes: Default::default(), turns: Turns::default(), max }
    }

    /// Takes a fragment in; false if one was dropped to make room: of the lowest class that waits,
    /// the oldest.
    pub(super) fn push(&mut self, to: SocketAddr, data: DataRef) -> bool {
        if let Some(class) = self.classes.get_mut(data.priority as usize) {
            class.push_back((to, data));
        }
        let len = self.classes.iter().fold(0_usize, |sum, class| sum.saturating_add(class.len()));
        let room = len <= self.max;
        if !room {
            let lowest = self.classes.iter_mut().rev().find(|class| !class.is_empty());
            let _ = lowest.and_then(VecDeque::pop_front);
        }
        room
    }

    /// Takes out the fragment whose turn it is.
    pub(super) fn pop(&mut self) -> Option<(SocketAddr, DataRef)> {
        let waits = |classes: &[VecDeque<_>], at: usize| {
            classes.get(at).is_some_and(|class: &VecDeque<_>| !class.is_empty())
        };
        let turn = self.turns.next(|at| waits(&self.classes, at))?;
        self.turns.took(turn, |at| waits(&self.classes, at));
        self.classes.get_mut(turn)?.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FragmentId, GroupId, HostTag, Incarnation, PatchId, Seq, Source};
    use alloc::vec::Vec;
    use core::net::Ipv4Addr;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn data(seq: u64, priority: Priority) -> DataRef {
        let source = Source { host: HostTag(1), incarnation: Incarnation(1) };
        let fragment = FragmentId { source, seq: Seq(seq), index: 0 };
        DataRef { group: GroupId(1), patch: PatchId(1), fragment, priority }
    }

    proptest! {
        /// Of what is asked for a full queue loses the oldest of its lowest class; the rest leaves in
        /// the order of its class, within it in that of its coming, and no class starves.
        #[test]
        fn what_single_members_get_goes_by_class_and_no_class_starves(
            pushed in prop::collection::vec(select(&Priority::ALL[..]), 0..120),
            max in 1_usize..100,
        ) {
            let to = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
            let (mut replies, mut waits) = (Replies::new(max), Vec::new());
            for (seq, &priority) in (0..).zip(&pushed) {
                let room = waits.len() < max;
                prop_assert_eq!(replies.push(to, data(seq, priority)), room);
                waits.push(data(seq, priority));
                if !room {
                    let lowest = waits.iter().map(|data| data.priority).max();
                    let oldest = waits.iter().position(|data| Some(data.priority) == lowest);
                    let _ = oldest.map(|at| waits.remove(at));
                }
            }
            let mut passed_over = [0; 4];
            while let Some((_, out)) = replies.pop() {
                let alike = waits.iter().position(|data| data.priority == out.priority);
                prop_assert_eq!(alike.map(|at| waits.remove(at)), Some(out), "first come");
                let overtakes = waits.iter().any(|data| data.priority < out.priority);
                let of_out = core::mem::take(&mut passed_over[out.priority as usize]);
                prop_assert!(!overtakes || of_out >= Priority::MAX_PASSED_OVER);
                for data in Priority::ALL.iter().filter(|class| **class > out.priority) {
                    let waits = waits.iter().any(|waiting| waiting.priority == *data);
                    passed_over[*data as usize] += usize::from(waits);
                    prop_assert!(passed_over[*data as usize] <= Priority::MAX_PASSED_OVER + 2);
                }
            }
            prop_assert!(waits.is_empty());
        }
    }
}
