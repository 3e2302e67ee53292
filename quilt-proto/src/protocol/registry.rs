//! The plug-ins a host has, and running protocols with their types hidden.

use super::{Arrival, Body, Cx, Effect, Holdings, Peers, Plugin, Protocol, Telling, Timers};
use crate::wire::{DecodeError, Reader};
use crate::{FragmentId, HostId, LinkError, PatchId, ProtocolId, Rng, Seq, Source, Time};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::time::Duration;
use smallvec::SmallVec;

/// The protocols that a host has. The bootstrap service is built with the same registry, since it
/// needs their rules.
#[derive(Clone, Default)]
pub struct Registry(Vec<Arc<dyn Plugin>>);

impl Registry {
    /// A registry without protocols.
    pub fn empty() -> Self {
        Self::default()
    }

    /// IPMC, DONet and OMNI with their default settings.
    pub fn standard() -> Self {
        Self::empty()
            .with(crate::ipmc::Ipmc::default())
            .with(crate::donet::Donet::default())
            .with(crate::omni::Omni::default())
    }

    /// This registry with `plugin` in it, in place of any that has the same id.
    pub fn with(mut self, plugin: impl Plugin + 'static) -> Self {
        self.0.retain(|known| known.id() != plugin.id());
        self.0.push(Arc::new(plugin));
        self
    }

    /// The plug-in called `protocol` on the wire.
    pub fn get(&self, protocol: ProtocolId) -> Option<&dyn Plugin> {
        self.0.iter().find(|plugin| plugin.id() == protocol).map(|plugin| &**plugin)
    }

    /// The plug-in that people call `name`.
    pub fn named(&self, name: &str) -> Option<&dyn Plugin> {
        self.0.iter().find(|plugin| plugin.name() == name).map(|plugin| &**plugin)
    }

    /// All plug-ins, in the order of registration.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Plugin> {
        self.0.iter().map(|plugin| &**plugin)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(Plugin::name)).finish()
    }
}

/// What of the container a running protocol is lent.
pub(crate) struct Lent<'a> {
    pub(crate) now: Time,
    pub(crate) me: HostId,
    pub(crate) patch: PatchId,
    pub(crate) peers: &'a Peers,
    pub(crate) holdings: &'a dyn Holdings,
    pub(crate) rng: &'a mut Rng,
    pub(crate) effects: &'a mut Vec<Effect>,
}

/// A [`Protocol`] without its types; one method for each of its handlers.
pub(crate) trait ErasedProtocol: Send {
    fn start(&mut self, lent: Lent<'_>);
    fn on_frame(&mut self, lent: Lent<'_>, from: HostId, body: &Bytes) -> Result<(), DecodeError>;
    fn on_datagram(
        &mut self,
        lent: Lent<'_>,
        from: HostId,
        body: &Bytes,
    ) -> Result<(), DecodeError>;
    fn on_measured(&mut self, lent: Lent<'_>, host: HostId, rtt: Duration);
    fn on_silent(&mut self, lent: Lent<'_>, host: HostId);
    fn on_fragment(&mut self, lent: Lent<'_>, arrival: Arrival, fragment: FragmentId);
    fn on_duplicate(&mut self, lent: Lent<'_>, from: HostId, fragment: FragmentId);
    fn on_missed(&mut self, lent: Lent<'_>, host: HostId);
    fn on_repair(&mut self, lent: Lent<'_>, fragment: FragmentId);
    fn on_head(&mut self, lent: Lent<'_>, source: Source, next: Seq);
    fn on_missing(&mut self, lent: Lent<'_>);
    fn on_contacts(&mut self, lent: Lent<'_>, hosts: &[HostId]);
    fn on_connected(&mut self, lent: Lent<'_>, host: HostId);
    fn on_disconnected(&mut self, lent: Lent<'_>, host: HostId, cause: LinkError);
    fn on_multicast(&mut self, lent: Lent<'_>, joined: Result<(), LinkError>);
    fn on_forwarder(&mut self, lent: Lent<'_>, forwarder: bool);
    fn neighbours(&self) -> SmallVec<[HostId; 16]>;
    fn served_by(&self, host: HostId) -> usize;
    fn hub(&self) -> Option<HostId>;
    fn parent(&self) -> Option<HostId>;
    fn announces(&self) -> bool;
    fn telling(&self) -> Telling;
    fn leave(&mut self, lent: Lent<'_>);
    fn poll_timeout(&self) -> Option<Time>;
    /// Fires the earliest timer if it is due; false if none is.
    fn on_timeout(&mut self, lent: Lent<'_>) -> bool;
}

pub(super) fn erase<P: Protocol>(protocol: P) -> Box<dyn ErasedProtocol> {
    Box::new(Running { protocol, timers: Timers::default() })
}

struct Running<P: Protocol> {
    protocol: P,
    timers: Timers<P::Timer>,
}

impl<P: Protocol> Running<P> {
    fn call<R>(
        &mut self,
        lent: Lent<'_>,
        handler: impl FnOnce(&mut P, &mut Cx<'_, P::Timer>) -> R,
    ) -> R {
        let Lent { now, me, patch, peers, holdings, rng, effects } = lent;
        let timers = &mut self.timers;
        let cx = &mut Cx { now, me, patch, peers, holdings, rng, timers, effects };
        handler(&mut self.protocol, cx)
    }
}

impl<P: Protocol> ErasedProtocol for Running<P> {
    fn start(&mut self, lent: Lent<'_>) {
        self.call(lent, P::start);
    }

    fn on_frame(&mut self, lent: Lent<'_>, from: HostId, body: &Bytes) -> Result<(), DecodeError> {
        let frame = P::Frame::decode(&mut Reader::new(body))?;
        self.call(lent, |protocol, cx| protocol.on_frame(cx, from, frame));
        Ok(())
    }

    fn on_datagram(
        &mut self,
        lent: Lent<'_>,
        from: HostId,
        body: &Bytes,
    ) -> Result<(), DecodeError> {
        let frame = P::Frame::decode(&mut Reader::new(body))?;
        self.call(lent, |protocol, cx| protocol.on_datagram(cx, from, frame));
        Ok(())
    }

    fn on_measured(&mut self, lent: Lent<'_>, host: HostId, rtt: Duration) {
        self.call(lent, |protocol, cx| protocol.on_measured(cx, host, rtt));
    }

    fn on_silent(&mut self, lent: Lent<'_>, host: HostId) {
        self.call(lent, |protocol, cx| protocol.on_silent(cx, host));
    }

    fn on_fragment(&mut self, lent: Lent<'_>, arrival: Arrival, fragment: FragmentId) {
        self.call(lent, |protocol, cx| protocol.on_fragment(cx, arrival, fragment));
    }

    fn on_duplicate(&mut self, lent: Lent<'_>, from: HostId, fragment: FragmentId) {
        self.call(lent, |protocol, cx| protocol.on_duplicate(cx, from, fragment));
    }

    fn on_missed(&mut self, lent: Lent<'_>, host: HostId) {
        self.call(lent, |protocol, cx| protocol.on_missed(cx, host));
    }

    fn on_repair(&mut self, lent: Lent<'_>, fragment: FragmentId) {
        self.call(lent, |protocol, cx| protocol.on_repair(cx, fragment));
    }

    fn on_head(&mut self, lent: Lent<'_>, source: Source, next: Seq) {
        self.call(lent, |protocol, cx| protocol.on_head(cx, source, next));
    }

    fn on_missing(&mut self, lent: Lent<'_>) {
        self.call(lent, P::on_missing);
    }

    fn on_contacts(&mut self, lent: Lent<'_>, hosts: &[HostId]) {
        self.call(lent, |protocol, cx| protocol.on_contacts(cx, hosts));
    }

    fn on_connected(&mut self, lent: Lent<'_>, host: HostId) {
        self.call(lent, |protocol, cx| protocol.on_connected(cx, host));
    }

    fn on_disconnected(&mut self, lent: Lent<'_>, host: HostId, cause: LinkError) {
        self.call(lent, |protocol, cx| protocol.on_disconnected(cx, host, cause));
    }

    fn on_multicast(&mut self, lent: Lent<'_>, joined: Result<(), LinkError>) {
        self.call(lent, |protocol, cx| protocol.on_multicast(cx, joined));
    }

    fn on_forwarder(&mut self, lent: Lent<'_>, forwarder: bool) {
        self.call(lent, |protocol, cx| protocol.on_forwarder(cx, forwarder));
    }

    fn neighbours(&self) -> SmallVec<[HostId; 16]> {
        self.protocol.neighbours()
    }

    fn served_by(&self, host: HostId) -> usize {
        self.protocol.served_by(host)
    }

    fn hub(&self) -> Option<HostId> {
        self.protocol.hub()
    }

    fn parent(&self) -> Option<HostId> {
        self.protocol.parent()
    }

    fn announces(&self) -> bool {
        self.protocol.announces()
    }

    fn telling(&self) -> Telling {
        self.protocol.telling()
    }

    fn leave(&mut self, lent: Lent<'_>) {
        self.call(lent, P::leave);
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    fn on_timeout(&mut self, lent: Lent<'_>) -> bool {
        let Some(timer) = self.timers.pop(lent.now) else { return false };
        self.call(lent, |protocol, cx| protocol.on_timer(cx, timer));
        true
    }
}
