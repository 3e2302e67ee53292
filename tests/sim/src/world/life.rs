//! How hosts are: they work, stop, die and start again.

use super::{Happening, HostIndex, World};
use crate::host::{Clock, Kind, Life};
use crate::liar::Lie;

impl World {
    /// How a host is.
    pub fn life(&self, host: HostIndex) -> Life {
        self.hosts[host.0].life
    }

    /// Whether a host's application takes what it is told.
    pub fn set_reads(&mut self, host: HostIndex, reads: bool) {
        self.hosts[host.0].reads = reads;
        self.drain(host.0);
    }

    /// Whether it does.
    pub fn reads(&self, host: HostIndex) -> bool {
        self.hosts[host.0].reads
    }

    /// Lets a host's clock run fast or slow, from the start of the world.
    pub fn set_clock(&mut self, host: HostIndex, clock: Clock) {
        self.hosts[host.0].clock = clock;
        self.schedule(host.0);
    }

    /// Has a host say something else than its machine would, from now on.
    pub fn set_lie(&mut self, host: HostIndex, lie: Lie) {
        self.hosts[host.0].lie = Some(lie);
    }

    /// Stops a host; its system keeps what comes in.
    pub fn pause(&mut self, host: HostIndex) {
        if self.hosts[host.0].life == Life::Up {
            self.hosts[host.0].life = Life::Paused;
        }
    }

    /// Lets a paused host go on.
    pub fn resume(&mut self, host: HostIndex) {
        if self.hosts[host.0].life == Life::Paused {
            self.hosts[host.0].life = Life::Up;
            for (nic, packet) in std::mem::take(&mut self.hosts[host.0].held) {
                self.queue.push(self.now, Happening::Serve(nic, packet));
            }
            // Its streams stood still with it.
            for (stream, side) in self.streams.of(host.0) {
                self.stream_due(stream, side);
            }
            self.drain(host.0);
        }
    }

    /// Turns a host off without a word (`Life::Off`), or ends its process, whose system resets its
    /// streams (`Life::Down`).
    pub fn kill(&mut self, host: HostIndex, life: Life) {
        let at = &mut self.hosts[host.0];
        at.life = life;
        at.held.clear();
        for (address, nic) in std::mem::take(&mut at.memberships).into_values() {
            self.leave_multicast(address, nic);
        }
        self.hosts[host.0].streams.clear();
        // Also those of which its machine did not know yet, or no more.
        for (stream, side) in self.streams.of(host.0) {
            if let Some(end) = self.streams.remove(stream, side)
                && life == Life::Down
            {
                self.reset(end.nic, end.local, end.remote, stream, side == 0);
            }
        }
    }

    /// Starts another machine on a host that was killed.
    pub fn restart(&mut self, host: HostIndex, machine: Kind) {
        self.proof.restarted(host.0);
        self.novelty.restarted(host.0);
        let at = &mut self.hosts[host.0];
        at.machine = machine;
        at.life = Life::Up;
        self.drain(host.0);
    }
}
