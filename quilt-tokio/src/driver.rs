//! Drives one machine: events in, actions out, and the one timer.

use crate::memory::{Packet, Port};
use crate::sockets::Sockets;
use quilt_proto::{Action, Event, LinkError, LinkId, Machine, Time, Transmit};
use quilt_sockets::{Calls, Clock};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// Actions carried out before the lock is given up. What is left over has a deadline of now, so
/// the timer comes back for it.
const ACTIONS_PER_TURN: usize = 256;

/// A machine and what carries out its actions. Tasks share it: each holds the lock for one call
/// into the machine and the turn that follows.
pub(crate) struct Driver<M> {
    clock: Clock,
    calls: Calls,
    state: Mutex<State<M>>,
    rearm: Notify,
    /// A link's writer has run dry.
    dry: Notify,
}

struct State<M> {
    machine: M,
    /// `None` once the driver was stopped.
    carrier: Option<Carrier>,
    /// When the timer task will wake up by itself.
    armed: Option<Time>,
}

/// What lies under a driver.
pub(crate) enum Carrier {
    /// The system's sockets.
    Sockets(Sockets),
    /// A network within the process.
    Memory(Port),
}

/// A spawned task that ends with its owner.
#[derive(Debug)]
pub(crate) struct Task(AbortHandle);

impl Task {
    pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future).abort_handle())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<M: Machine + Send + 'static> Driver<M> {
    /// A driver that has nothing under it yet; see [`run`](Self::run).
    pub(crate) fn new(machine: M) -> Arc<Self> {
        let state = State { machine, carrier: None, armed: None };
        Arc::new(Self {
            clock: Clock::start(),
            calls: Calls::default(),
            state: Mutex::new(state),
            rearm: Notify::new(),
            dry: Notify::new(),
        })
    }

    /// Sets the driver going on `carrier`.
    pub(crate) fn run(self: &Arc<Self>, carrier: Carrier) {
        self.lock().carrier = Some(carrier);
    }

    /// Ends all tasks and closes all sockets. The machine is not told.
    pub(crate) fn stop(&self) {
        self.lock().carrier = None;
    }

    /// Waits until everything that the machine has said is written, for `at_most` so long.
    pub(crate) async fn written(&self, at_most: Duration) {
        let all = async {
            loop {
                let mut dry = pin!(self.dry.notified());
                dry.as_mut().enable();
                match &self.lock().carrier {
                    Some(Carrier::Sockets(sockets)) if !sockets.are_idle() => {}
                    _ => break,
                }
                dry.await;
            }
        };
        // There is nothing more to do about those who do not take it in time.
        let _ = tokio::time::timeout(at_most, all).await;
    }

    /// Counts the system calls.
    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Looks at the machine, or changes what needs no action.
    pub(crate) fn peek<R>(&self, look: impl FnOnce(&mut M) -> R) -> R {
        look(&mut self.lock().machine)
    }

    /// One call into the machine, and what follows from it. `None` once the driver was stopped.
    pub(crate) fn call<R>(self: &Arc<Self>, call: impl FnOnce(&mut M, Time) -> R) -> Option<R> {
        let mut state = self.lock();
        state.carrier.as_ref()?;
        let result = call(&mut state.machine, self.clock.now());
        self.turn(&mut state);
        Some(result)
    }

    /// Events of a link, in order; false if the link was closed meanwhile, and they are dropped.
    pub(crate) fn on_link(
        self: &Arc<Self>,
        link: LinkId,
        events: impl IntoIterator<Item = Event>,
    ) -> bool {
        let mut state = self.lock();
        let now = self.clock.now();
        let State { machine, carrier, .. } = &mut *state;
        match carrier {
            Some(Carrier::Sockets(sockets)) if sockets.has(link) => {}
            _ => return false,
        }
        events.into_iter().for_each(|event| machine.handle(now, event));
        self.turn(&mut state);
        true
    }

    /// A link ended by itself.
    pub(crate) fn on_closed(self: &Arc<Self>, link: LinkId, cause: LinkError) {
        let mut state = self.lock();
        let Some(Carrier::Sockets(sockets)) = &mut state.carrier else { return };
        if sockets.remove(link) {
            state.machine.handle(self.clock.now(), Event::Closed { link, cause });
            self.turn(&mut state);
            self.dry.notify_waiters();
        }
    }

    /// Somebody opened a stream to this host; it is dropped if the machine has no room for it.
    pub(crate) fn on_accepted(
        self: &Arc<Self>,
        stream: tokio::net::TcpStream,
        from: std::net::SocketAddr,
    ) {
        let mut state = self.lock();
        let State { machine, carrier, .. } = &mut *state;
        let Some(Carrier::Sockets(sockets)) = carrier else { return };
        if let Some(link) = machine.accept(self.clock.now(), from) {
            sockets.accept(self, link, stream);
        }
        self.turn(&mut state);
    }

    /// Something came over the network in memory.
    pub(crate) fn on_packet(self: &Arc<Self>, packet: Packet) {
        let mut state = self.lock();
        let State { machine, carrier, .. } = &mut *state;
        let Some(Carrier::Memory(port)) = carrier else { return };
        port.receive(machine, self.clock.now(), packet);
        self.turn(&mut state);
    }

    /// Lends out the packets of `link`. That there are none left may change what the machine waits
    /// for.
    pub(crate) fn pull<R>(
        self: &Arc<Self>,
        link: LinkId,
        take: impl FnOnce(&mut dyn FnMut() -> Option<Transmit>) -> R,
    ) -> R {
        let mut state = self.lock();
        let machine = &mut state.machine;
        let (mut pulled, mut dry) = (false, false);
        let taken = take(&mut || {
            let transmit = machine.poll_transmit(link);
            dry = transmit.is_none();
            pulled |= !dry;
            transmit
        });
        if dry {
            match &mut state.carrier {
                // What was pulled just now is not yet written.
                Some(Carrier::Sockets(sockets)) if !pulled => sockets.ran_dry(link),
                _ => {}
            }
            self.dry.notify_waiters();
            self.turn(&mut state);
        }
        taken
    }

    /// The timer: wakes the machine at its deadline, for ever.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        loop {
            let armed = self.lock().armed;
            let sleep = async {
                match armed.and_then(|at| self.clock.instant(at)) {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => {
                    self.lock().armed = None;
                    let _ = self.call(|machine, now| machine.handle(now, Event::Timeout));
                }
                () = self.rearm.notified() => {}
            }
        }
    }

    /// Carries out what the machine wants done, and reads its deadline.
    fn turn(self: &Arc<Self>, state: &mut State<M>) {
        let State { machine, carrier, armed } = state;
        for _ in 0..ACTIONS_PER_TURN {
            let Some(action) = machine.poll_action() else { break };
            // Nobody waits any more for what a closed link had to write.
            if matches!(action, Action::Close { .. }) {
                self.dry.notify_waiters();
            }
            match carrier {
                Some(Carrier::Sockets(sockets)) => sockets.act(self, action),
                Some(Carrier::Memory(port)) => port.act(machine, action),
                None => {}
            }
        }
        // A deadline that moved back costs one early wake-up, which is harmless.
        let deadline = machine.poll_timeout();
        if deadline.is_some_and(|at| armed.is_none_or(|armed| at < armed)) {
            *armed = deadline;
            self.rearm.notify_one();
        }
    }

    /// A machine does not panic; should it all the same, the others that share it go on.
    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
