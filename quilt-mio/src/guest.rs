//! What a poll loop needs of what runs in it.

use mio::event::Event;
use std::time::Instant;

/// Something that lives in a poll loop: it has sources registered with the loop's
/// [`Registry`](mio::Registry), and gets on only when the loop calls it.
///
/// After each return of [`Poll::poll`](mio::Poll::poll) the loop hands in the events, then calls
/// [`turn`](Self::turn); it polls again for no longer than until [`deadline`](Self::deadline).
pub trait Guest {
    /// Takes note of an event. One of a token that is not its own is ignored.
    fn on_event(&mut self, event: &Event);

    /// Does a bounded amount of work: what the events, the clock, and calls since the last turn
    /// have made possible.
    fn turn(&mut self);

    /// When to call [`turn`](Self::turn) without an event; a time that has passed if there is more
    /// to do at once, `None` if only events can change anything. Ask after each turn, and after
    /// each other call.
    fn deadline(&self) -> Option<Instant>;
}

impl<G: Guest> Guest for Vec<G> {
    fn on_event(&mut self, event: &Event) {
        self.iter_mut().for_each(|guest| guest.on_event(event));
    }

    fn turn(&mut self) {
        self.iter_mut().for_each(Guest::turn);
    }

    fn deadline(&self) -> Option<Instant> {
        self.iter().filter_map(Guest::deadline).min()
    }
}
