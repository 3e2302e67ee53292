//! The streams of the world, and what hosts do with them.

use super::{Came, Happening, HostIndex, World};
use crate::check::wire::Way;
use crate::host::{Life, PORT};
use crate::net::{DropCause, NicId};
use crate::novelty::Load;
use crate::packet::{Body, DEFAULT_TTL, Packet, StreamId};
use crate::tcp::{End, Segment, Told};
use crate::traffic::Path;
use quilt_proto::{Chunks, Event, LinkError, LinkId, Time};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// All ends of all streams, in the order of their names: side 0 has dialled, side 1 was dialled.
#[derive(Debug, Default)]
pub(super) struct Streams {
    ends: Vec<[Option<Box<EndState>>; 2]>,
}

/// One end on its host.
#[derive(Debug)]
pub(super) struct EndState {
    pub(super) host: usize,
    pub(super) nic: NicId,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    link: Option<LinkId>,
    end: End,
    /// The machine has something to say.
    asked: bool,
    /// The packets that the other side wrote and this machine has not read.
    unread: VecDeque<Unread>,
    timer: Option<Time>,
}

impl EndState {
    /// So many bytes have come; the packet whose last ones these are. No segment has bytes of two
    /// packets.
    fn read(&mut self, bytes: u64) -> Option<(Chunks, Load)> {
        let first = self.unread.front_mut()?;
        first.missing = first.missing.saturating_sub(bytes);
        if first.missing > 0 {
            return None;
        }
        let whole = self.unread.pop_front()?;
        Some((whole.packet, whole.load))
    }
}

/// A packet that was written on a stream.
#[derive(Debug)]
struct Unread {
    packet: Chunks,
    load: Load,
    /// How many bytes of it have not come.
    missing: u64,
}

impl Streams {
    pub(super) fn remove(&mut self, stream: StreamId, side: usize) -> Option<EndState> {
        self.ends.get_mut(stream.0 as usize)?[side].take().map(|end| *end)
    }

    fn get(&mut self, stream: StreamId, side: usize) -> Option<&mut EndState> {
        self.ends.get_mut(stream.0 as usize)?[side].as_deref_mut()
    }

    /// The name of the next stream.
    fn next_name(&self) -> StreamId {
        StreamId(self.ends.len() as u32)
    }

    fn insert(&mut self, stream: StreamId, side: usize, end: EndState) {
        let at = stream.0 as usize;
        if self.ends.len() <= at {
            self.ends.resize_with(at + 1, Default::default);
        }
        self.ends[at][side] = Some(Box::new(end));
    }

    /// All ends on a host, in the order of their names.
    pub(super) fn of(&self, host: usize) -> Vec<(StreamId, usize)> {
        let named = (0..).map(StreamId).zip(&self.ends);
        let ends = named
            .flat_map(|(name, ends)| (0..).zip(ends).map(move |(side, end)| (name, side, end)));
        let its = ends.filter(|(.., end)| end.as_ref().is_some_and(|end| end.host == host));
        its.map(|(name, side, _)| (name, side)).collect()
    }

    pub(super) fn ask(&mut self, stream: StreamId, side: usize) {
        if let Some(end) = self.get(stream, side) {
            end.asked = true;
        }
    }
}

impl World {
    pub(super) fn dial(&mut self, host: usize, link: LinkId, to: SocketAddr, from: Option<IpAddr>) {
        let nic = match from {
            Some(local) => self.nic_of(host, local),
            None => Some(self.nic_towards(host, to)),
        };
        let Some(nic) = nic else {
            let cause = LinkError::NoSuchInterface;
            return self.handle(host, Event::Closed { link, cause });
        };
        let stream = self.streams.next_name();
        // Ports above the listening one, so that no two streams of a host have the same.
        let port = 10_000 + (stream.0 % 50_000) as u16;
        let end = EndState {
            host,
            nic,
            local: self.net.socket(nic, port),
            remote: to,
            link: Some(link),
            end: End::dial(self.now).with_mss(self.net.mss()),
            asked: false,
            unread: VecDeque::new(),
            timer: None,
        };
        self.streams.insert(stream, 0, end);
        self.hosts[host].streams.insert(link, (stream, 0));
        self.pump(stream, 0);
    }

    pub(super) fn close(&mut self, host: usize, link: LinkId) {
        self.hosts[host].probes.retain(|_, probe| *probe != link);
        if let Some((address, nic)) = self.hosts[host].memberships.remove(&link) {
            self.leave_multicast(address, nic);
        }
        let Some((stream, side)) = self.hosts[host].streams.remove(&link) else { return };
        if let Some(end) = self.streams.get(stream, side) {
            end.link = None;
            end.end.close(self.now);
            self.pump(stream, side);
        }
    }

    /// A segment came to a host.
    pub(super) fn segment(&mut self, host: usize, nic: NicId, packet: Packet) {
        let Body::Segment { stream, from_dialler, segment } = packet.body else { return };
        let side = usize::from(from_dialler);
        if self.streams.get(stream, side).is_none() {
            let listens = packet.to.port() == PORT && segment.syn && from_dialler;
            if !listens {
                if !segment.rst {
                    self.reset(nic, packet.to, packet.from, stream, side == 0);
                }
                return;
            }
            let end = End::accept(self.now).with_mss(self.net.mss());
            let (local, remote) = (packet.to, packet.from);
            let (link, asked, unread, timer) = (None, false, VecDeque::new(), None);
            let state = EndState { host, nic, local, remote, link, end, asked, unread, timer };
            self.streams.insert(stream, side, state);
            return self.pump(stream, side);
        }
        let now = self.now;
        if let Some(state) = self.streams.get(stream, side) {
            state.end.on_segment(now, &segment);
        }
        self.pump(stream, side);
        if self.pull(stream, side) {
            self.schedule(host);
        }
    }

    /// The system of a host whose process is gone answers.
    pub(super) fn answer_for_the_dead(&mut self, nic: NicId, packet: &Packet) {
        if let Body::Segment { stream, from_dialler, segment } = &packet.body
            && !segment.rst
        {
            return self.reset(nic, packet.to, packet.from, *stream, !*from_dialler);
        }
        self.net.count_drop(DropCause::Unheard);
    }

    pub(super) fn reset(
        &mut self,
        nic: NicId,
        from: SocketAddr,
        to: SocketAddr,
        stream: StreamId,
        from_dialler: bool,
    ) {
        let segment = Segment { rst: true, ..Segment::default() };
        let body = Body::Segment { stream, from_dialler, segment };
        self.send(nic, Packet { from, to, ttl: DEFAULT_TTL, body, load: Load::default() });
    }

    /// Looks after an end whose deadline may have come, unless it is to be looked after at another
    /// time instead.
    pub(super) fn stream_timer(&mut self, stream: StreamId, side: usize, at: Time) {
        if self.streams.get(stream, side).is_some_and(|state| state.timer == Some(at)) {
            self.stream_due(stream, side);
        }
    }

    /// Looks after an end whose deadline may have come.
    pub(super) fn stream_due(&mut self, stream: StreamId, side: usize) {
        let now = self.now;
        let Some(state) = self.streams.get(stream, side) else { return };
        state.timer = None;
        state.end.on_timer(now);
        self.pump(stream, side);
    }

    /// Lets the machine write as much as the stream takes; whether it has written everything, so
    /// that it may want to be called at another time than before.
    pub(super) fn pull(&mut self, stream: StreamId, side: usize) -> bool {
        loop {
            let Some(state) = self.streams.get(stream, side) else { return false };
            let (host, Some(link)) = (state.host, state.link) else { return false };
            if !state.asked || !state.end.has_room() || self.hosts[host].life != Life::Up {
                return false;
            }
            let Some(transmit) = self.hosts[host].machine_mut().poll_transmit(link) else {
                state.asked = false;
                return true;
            };
            let bytes = match &mut self.hosts[host].lie {
                Some(lie) => lie.told(transmit.to_chunks()),
                None => transmit.to_chunks(),
            };
            let leaves = self.net.leaves(state.nic, state.remote);
            let len = bytes.len() as u64;
            state.end.write(self.now, len);
            let other = self.streams.get(stream, 1 - side).map(|end| end.host);
            let (now, way, wire) = (self.now, Way::Stream(stream, side), &mut self.wire);
            let novelty = &mut self.novelty;
            let (machine, mut omni) = (&self.hosts[host].machine, false);
            let foreign = self.traffic.sent(now, Path::Stream, &bytes, leaves, |frame| {
                omni |= machine.speaks_omni(frame);
                novelty.pack(host, frame);
                wire.sent(now, way, host, other, frame);
            });
            if omni {
                self.traffic.was_omni(now);
            }
            let load = self.novelty.packed(foreign);
            if let Some(other) = self.streams.get(stream, 1 - side) {
                other.unread.push_back(Unread { packet: bytes, load, missing: len });
            }
            self.pump(stream, side);
        }
    }

    /// Sends what an end has to send, and tells its host what there is to tell, unless that is
    /// paused.
    fn pump(&mut self, stream: StreamId, side: usize) {
        loop {
            let Some(state) = self.streams.get(stream, side) else { return };
            let reads = self.hosts[state.host].life == Life::Up;
            if let Some(segment) = state.end.poll_segment() {
                let (nic, from, to) = (state.nic, state.local, state.remote);
                let body = Body::Segment { stream, from_dialler: side == 0, segment };
                self.send(nic, Packet { from, to, ttl: DEFAULT_TTL, body, load: Load::default() });
            } else if reads && let Some(told) = state.end.poll_told() {
                self.tell(stream, side, told);
            } else {
                break;
            }
        }
        let Some(state) = self.streams.get(stream, side) else { return };
        if state.end.is_over() {
            // Who is paused will be told how it ended.
            if self.hosts[state.host].life == Life::Up {
                if let Some(link) = state.link {
                    self.hosts[state.host].streams.remove(&link);
                }
                self.streams.remove(stream, side);
            }
            return;
        }
        if let Some(deadline) = state.end.deadline()
            && state.timer.is_none_or(|timer| deadline < timer)
        {
            let at = deadline.max(self.now);
            state.timer = Some(at);
            self.queue.push(at, Happening::StreamTimer(stream, side));
        }
    }

    /// Tells a machine what happened to its stream.
    fn tell(&mut self, stream: StreamId, side: usize, told: Told) {
        let Some(state) = self.streams.get(stream, side) else { return };
        let (host, link, remote) = (state.host, state.link, state.remote);
        let cause = match told {
            Told::Opened => return self.opened(stream, side, host, link, remote),
            Told::Bytes(bytes) => {
                if let (Some((bytes, load)), Some(link)) = (state.read(bytes), link) {
                    self.digest.read(self.now, host, &bytes);
                    self.traffic.foreign_bytes += load.foreign;
                    let other = self.streams.get(stream, 1 - side);
                    let from = other.map(|end| HostIndex(end.host));
                    self.came = Some(Came { path: Path::Stream, from });
                    self.work.called(host);
                    self.novelty.came(host, &load);
                    self.handle(host, Event::Received { link, bytes });
                }
                return;
            }
            Told::Ended => LinkError::Ended,
            Told::Refused => LinkError::Refused,
            Told::Reset => LinkError::Reset,
            Told::TimedOut => LinkError::TimedOut,
        };
        // What the host has not closed itself, it hears of; its own side is closed with it.
        state.link = None;
        state.end.close(self.now);
        if let Some(link) = link {
            self.hosts[host].streams.remove(&link);
            self.handle(host, Event::Closed { link, cause });
        }
    }

    fn opened(
        &mut self,
        stream: StreamId,
        side: usize,
        host: usize,
        link: Option<LinkId>,
        remote: SocketAddr,
    ) {
        self.proof.has_stream(host, remote);
        if let Some(link) = link {
            return self.handle(host, Event::Opened { link });
        }
        if side == 0 {
            return;
        }
        let now = self.hosts[host].clock.to_local(self.now);
        let accepted = self.hosts[host].machine_mut().accept(now, remote);
        match accepted {
            Some(link) => {
                if let Some(state) = self.streams.get(stream, side) {
                    state.link = Some(link);
                }
                self.hosts[host].streams.insert(link, (stream, side));
                self.drain(host);
            }
            None => {
                if let Some(end) = self.streams.remove(stream, side) {
                    self.reset(end.nic, end.local, end.remote, stream, false);
                }
            }
        }
    }
}
