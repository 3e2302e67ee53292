//! Which class has the next turn, wherever messages wait.

use crate::Priority;

/// Turns between the classes of [`Priority::ALL`], which are named by their place there: the highest
/// that waits, unless another was passed over [`Priority::MAX_PASSED_OVER`] times.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// How many of higher classes had a turn since one of this class did, or began to wait.
    passed_over: [usize; Priority::ALL.len()],
}

impl Turns {
    /// The class that is next, of those that wait.
    pub(super) fn next(&mut self, mut waits: impl FnMut(usize) -> bool) -> Option<usize> {
        let (mut highest, mut due) = (None, None);
        for (class, passed_over) in self.passed_over.iter_mut().enumerate().rev() {
            if !waits(class) {
                *passed_over = 0;
                continue;
            }
            highest = Some(class);
            let longer = due.is_none_or(|(_, most)| *passed_over > most);
            if *passed_over >= Priority::MAX_PASSED_OVER && longer {
                due = Some((class, *passed_over));
            }
        }
        due.map(|(class, _)| class).or(highest)
    }

    /// A class had its turn; `waits` says for which of those below it something waited meanwhile.
    pub(super) fn took(&mut self, class: usize, mut waits: impl FnMut(usize) -> bool) {
        let lower = self.passed_over.iter_mut().enumerate().skip(class);
        for (at, passed_over) in lower {
            if at == class {
                *passed_over = 0;
            } else if waits(at) {
                *passed_over = passed_over.saturating_add(1);
            }
        }
    }
}
