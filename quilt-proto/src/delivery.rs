//! What an application asks of a group and of a message: delivery, history, priority, deadline.

use core::time::Duration;

/// How urgent a message is. In each queue a class goes ahead of those below it; see
/// [`Priority::MAX_PASSED_OVER`] for what the lower ones get all the same.
///
/// Messages of one source and one class leave a queue in the order in which they were published. In
/// a group that keeps the order of a source a
/// message waits at the receiver for those before it whatever its class, so there a class speeds up
/// one source, or one group, against another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Ahead of everything else.
    Urgent,
    /// Ahead of what is normal.
    High,
    /// The default.
    #[default]
    Normal,
    /// Behind everything else; where a queue is full, it is dropped first.
    Low,
}

impl Priority {
    /// All classes, the most urgent one first.
    pub const ALL: [Self; 4] = [Self::Urgent, Self::High, Self::Normal, Self::Low];

    /// So many fragments of higher classes may leave a queue in a row while something of a class
    /// waits. Then one of it leaves (where the turns of several classes have come, one of each), so
    /// none starves. `Guess:` a sixteenth keeps a class alive and costs the others little.
    pub const MAX_PASSED_OVER: usize = 15;
}

/// How one message is to be published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishOptions {
    /// How urgent it is. Default normal.
    pub priority: Priority,
    /// How long from now on it is worth having, rounded up to microseconds; at most
    /// [`PublishOptions::MAX_DEADLINE`], and more counts as that. The time that it waits in hosts
    /// counts, the time under way does not. After that it is neither passed on nor repaired, and a
    /// host that has not all of it is told of a [`GapCause::Expired`](crate::GapCause). A host that
    /// has all of it in time delivers it whenever the application asks. Default none.
    pub deadline: Option<Duration>,
    /// Whether it is a point to start from for those who join later. Default false.
    pub mark: bool,
}

impl PublishOptions {
    /// The longest deadline, a little more than 71 minutes.
    pub const MAX_DEADLINE: Duration = Duration::from_micros(u32::MAX as u64);

    /// Whether the message is over: its deadline has passed.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline == Some(Duration::ZERO)
    }
}
