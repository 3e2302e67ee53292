//! What an application asks of a group and of a message: delivery, history, priority, deadline.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

/// What a group promises its applications. It is chosen for the whole group: the wish of the host
/// that comes first settles it, see [`Group::delivery`](crate::Group).
///
/// In each of them no message comes twice, and what comes is what was published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delivery {
    /// Messages are delivered as they come. Nothing is repaired, nothing put in order, and nobody is
    /// told of what did not come.
    BestEffort,
    /// From one source messages come in rising order. A late one is waited for, 50 ms; then those
    /// that are missing are announced as a gap. Nothing is repaired.
    Ordered,
    /// As [`Ordered`](Self::Ordered), but what is missing is repaired from the windows of neighbours,
    /// and becomes a gap only where nobody near has it when the repair deadline (3 s) passes. The
    /// default.
    #[default]
    Reliable,
}

impl Delivery {
    /// All of them, the weakest promise first.
    pub const ALL: [Self; 3] = [Self::BestEffort, Self::Ordered, Self::Reliable];

    /// Its name for people and machines: lower case, with a hyphen.
    pub fn name(self) -> &'static str {
        match self {
            Self::BestEffort => "best-effort",
            Self::Ordered => "ordered",
            Self::Reliable => "reliable",
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads a [`Delivery::name`].
impl FromStr for Delivery {
    type Err = UnknownDelivery;

    fn from_str(text: &str) -> Result<Self, UnknownDelivery> {
        Self::ALL.into_iter().find(|delivery| delivery.name() == text).ok_or(UnknownDelivery)
    }
}

/// A word that is no [`Delivery::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownDelivery;

impl fmt::Display for UnknownDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is one of best-effort, ordered, reliable")
    }
}

impl core::error::Error for UnknownDelivery {}

/// What a host that joins wants of what was published before it. It is given from the windows of
/// its neighbours, so it reaches back no further than they do, and comes before [everything that is
/// published from here on](crate::Notice::Joined).
///
/// Where a group repairs nothing, this part of its messages is asked for all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum History {
    /// Nothing. The default.
    #[default]
    None,
    /// So many messages of each source, the latest ones.
    Last(u32),
    /// Of each source, the latest message that was published as a mark
    /// ([`PublishOptions::mark`]), and what follows it; nothing of sources without one.
    FromMark,
}

/// How urgent a message is. In each queue of a host, up to that of a group's messages for the
/// application, a class goes ahead of those below it; see [`Priority::MAX_PASSED_OVER`] for what the
/// lower ones get all the same.
///
/// Messages of one source and one class leave a queue in the order in which they came into it. In
/// a group that keeps the order of a source ([`Delivery::Ordered`], [`Delivery::Reliable`]) a
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
    /// Behind everything else; where the queue of a link is full, it is dropped first.
    Low,
}

impl Priority {
    /// All classes, the most urgent one first.
    pub const ALL: [Self; 4] = [Self::Urgent, Self::High, Self::Normal, Self::Low];

    /// So many fragments, or messages, of higher classes may leave a queue in a row while something
    /// of a class waits. Then one of it leaves (where the turns of several classes have come, one of
    /// each), so none starves. `Guess:` a sixteenth keeps a class alive and costs the others little.
    pub const MAX_PASSED_OVER: usize = 15;
}

/// How one message is to be published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishOptions {
    /// How urgent it is. Default normal.
    pub priority: Priority,
    /// How long from now on it is worth having, rounded up to microseconds; at most
    /// [`PublishOptions::MAX_DEADLINE`], and more counts as that. Default none.
    ///
    /// What counts is the time that it waits in hosts, until the application at the end takes it, and
    /// half of the round trip of each link that it passes, where that was measured; what else it is
    /// under way does not. An adapter that takes messages out of the node ahead of the application
    /// says how many. After the deadline the message is neither passed on, nor repaired, nor delivered;
    /// in its place the application is told of a [`GapCause::Expired`](crate::GapCause), but for groups
    /// of [`Delivery::BestEffort`].
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

    /// The message was under way for so long.
    pub(crate) fn travel(&mut self, time: Duration) {
        self.deadline = self.deadline.map(|left| left.saturating_sub(time));
    }
}
