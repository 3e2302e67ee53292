//! The sources of which something waits for the application.

use crate::node::turns::Turns;
use crate::{Priority, Source};
use alloc::collections::BTreeSet;
use core::ops::Bound;

/// Sources by the class of what waits: classes and, within one, sources take turns.
#[derive(Debug, Default)]
pub(super) struct Ready {
    classes: [BTreeSet<Source>; Priority::ALL.len()],
    turns: Turns,
    /// The last source served, of each class.
    served: [Option<Source>; Priority::ALL.len()],
}

impl Ready {
    /// Which classes have something of a source that waits.
    pub(super) fn set(&mut self, source: Source, waits: impl Fn(Priority) -> bool) {
        for (class, priority) in self.classes.iter_mut().zip(Priority::ALL) {
            if waits(priority) {
                class.insert(source);
            } else {
                class.remove(&source);
            }
        }
    }

    /// Takes a turn: the class and the source that are next.
    pub(super) fn take(&mut self) -> Option<(Priority, Source)> {
        let Self { classes, turns, served } = self;
        let waits = |at: usize| classes.get(at).is_some_and(|class| !class.is_empty());
        let turn = turns.next(waits)?;
        turns.took(turn, waits);
        let (class, served) = (classes.get(turn)?, served.get_mut(turn)?);
        let after = served
            .and_then(|served| class.range((Bound::Excluded(served), Bound::Unbounded)).next());
        let source = *after.or_else(|| class.first())?;
        *served = Some(source);
        Some((*Priority::ALL.get(turn)?, source))
    }
}
