//! What a multicast protocol is to the container, and the container to it (paper, section 4.3).

#[cfg(test)]
pub(crate) mod bench;
mod cx;
mod registry;

pub(crate) use cx::Holdings;
pub use cx::{Cx, Effect, Peer, Peers, Timers};
pub use registry::Registry;
pub(crate) use registry::{ErasedProtocol, Lent};

use crate::rule::Rule;
use crate::wire::{Contact, DecodeError, Reader, Writer};
use crate::{FragmentId, HostId, LinkError, PatchId, ProtocolId, Seq, Source};
use alloc::boxed::Box;
use bytes::Bytes;
use core::time::Duration;
use smallvec::SmallVec;

/// A protocol's own frame: what its instances on different hosts say to each other beside
/// messages. It travels inside [`wire::Frame::Protocol`](crate::wire::Frame), at most 1,024 bytes.
pub trait Body: Sized {
    /// Appends the frame's bytes.
    fn encode(&self, out: &mut Writer<'_>);

    /// Reads a frame back. It need not take all bytes: a later version may have added some.
    ///
    /// # Errors
    /// The bytes are not a frame of this protocol.
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// A frame that says nothing but that it came.
impl Body for () {
    fn encode(&self, _: &mut Writer<'_>) {}

    fn decode(_: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(())
    }
}

/// How a fragment came into the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was published or relayed into the patch by this host; nobody else there has it from
    /// elsewhere.
    Injected,
    /// This member sent it unasked.
    Pushed(HostId),
    /// This member gave it when it was asked.
    Pulled(HostId),
}

impl Arrival {
    /// The member that it came from.
    pub fn from(self) -> Option<HostId> {
        match self {
            Self::Injected => None,
            Self::Pushed(host) | Self::Pulled(host) => Some(host),
        }
    }
}

/// How the neighbours of a host learn what it holds, and how soon what is missing is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Telling {
    /// Words go out 20 ms after news, at least 100 ms apart. The default.
    #[default]
    Prompt,
    /// Words go along with what is sent to a neighbour anyway, at least 250 ms apart; of its own
    /// each neighbour gets one a second at most, and some 300 ms after the last news. A fragment
    /// that could not be sent to a neighbour for 100 ms is not pushed there any more: it is left to
    /// be asked for, of whoever has room.
    Along,
    /// Words go out, and what is missing is asked for, once in so long and not in between.
    Cycle(Duration),
}

/// A protocol that runs in one patch: a state machine that sees its patch and nothing else.
///
/// The container keeps, repairs and delivers messages for every protocol alike. What is left to a
/// protocol is whom its host is connected with, and to whom a fragment is passed on. Of its handlers
/// only [`on_fragment`](Self::on_fragment) must be written; what the others do by default is
/// nothing, where they do not say otherwise.
pub trait Protocol: Send + 'static {
    /// What it waits for; one deadline a value.
    type Timer: Copy + Ord + Send;
    /// What its instances say to each other.
    type Frame: Body;

    /// Starts it, once. The patch's first contacts are in [`Cx::peers`]; there are none where
    /// this host is the patch's first. By default they are handed to
    /// [`on_contacts`](Self::on_contacts).
    fn start(&mut self, cx: &mut Cx<'_, Self::Timer>) {
        let known: SmallVec<[HostId; 16]> = cx.peers().iter().map(|(host, _)| host).collect();
        self.on_contacts(cx, &known);
    }

    /// A frame of the same patch came from `from`, over a stream or by multicast.
    fn on_frame(&mut self, cx: &mut Cx<'_, Self::Timer>, from: HostId, frame: Self::Frame) {
        let _ = (cx, from, frame);
    }

    /// A frame of the same patch came from `from` by UDP. It may be forged more easily than one
    /// that came over a stream: take no more from it than what can be seen to answer a question, or
    /// does no harm.
    fn on_datagram(&mut self, cx: &mut Cx<'_, Self::Timer>, from: HostId, frame: Self::Frame) {
        let _ = (from, frame);
        cx.count(crate::counters::Counter::DroppedUnexpected);
    }

    /// The round trip to `host` was measured, as asked for with [`Cx::measure`].
    fn on_measured(&mut self, cx: &mut Cx<'_, Self::Timer>, host: HostId, rtt: Duration) {
        let _ = (cx, host, rtt);
    }

    /// Two beats in a row of `host`, to which there is a link, have not come. It may be dead: a link
    /// is given up only later, since beats can be late. It is said once in each silence.
    fn on_silent(&mut self, cx: &mut Cx<'_, Self::Timer>, host: HostId) {
        let _ = (cx, host);
    }

    /// A fragment is new in the window; pass it on.
    fn on_fragment(&mut self, cx: &mut Cx<'_, Self::Timer>, arrival: Arrival, fragment: FragmentId);

    /// `from` sent, unasked, a fragment that was here already.
    fn on_duplicate(&mut self, cx: &mut Cx<'_, Self::Timer>, from: HostId, fragment: FragmentId) {
        let _ = (cx, from, fragment);
    }

    /// `host` has a fragment that did not come here in time, and it will not be asked for: the group
    /// repairs nothing. Where fragments travel along a part of the links only, it is the wrong part.
    fn on_missed(&mut self, cx: &mut Cx<'_, Self::Timer>, host: HostId) {
        let _ = (cx, host);
    }

    /// A member sent a fragment by multicast that was asked for, and that was here already.
    fn on_repair(&mut self, cx: &mut Cx<'_, Self::Timer>, fragment: FragmentId) {
        let _ = (cx, fragment);
    }

    /// A member said by multicast that the messages of `source` before `next` were published, and
    /// that it has sent what it has of them. That is also said by a fragment whose sender is not known.
    fn on_head(&mut self, cx: &mut Cx<'_, Self::Timer>, source: Source, next: Seq) {
        let _ = (cx, source, next);
    }

    /// Something is missing here, see [`Cx::holes`]. Called whenever something new came, or was
    /// heard of, as long as that is so.
    fn on_missing(&mut self, cx: &mut Cx<'_, Self::Timer>) {
        let _ = cx;
    }

    /// A deadline set with [`Cx::set_timer`] has come.
    fn on_timer(&mut self, cx: &mut Cx<'_, Self::Timer>, timer: Self::Timer) {
        let _ = (cx, timer);
    }

    /// More members became known; they are in [`Cx::peers`] already.
    fn on_contacts(&mut self, cx: &mut Cx<'_, Self::Timer>, hosts: &[HostId]) {
        let _ = (cx, hosts);
    }

    /// The link to a host that this protocol needs is open.
    fn on_connected(&mut self, cx: &mut Cx<'_, Self::Timer>, host: HostId) {
        let _ = (cx, host);
    }

    /// The link to a host that this protocol needs is gone, or could not be opened. The need is
    /// forgotten; ask again with [`Cx::need`] to have it dialled again.
    fn on_disconnected(&mut self, cx: &mut Cx<'_, Self::Timer>, host: HostId, cause: LinkError) {
        let _ = (cx, host, cause);
    }

    /// The IP-multicast address asked for with [`Cx::join_multicast`] is joined, or cannot be.
    fn on_multicast(&mut self, cx: &mut Cx<'_, Self::Timer>, joined: Result<(), LinkError>) {
        let _ = (cx, joined);
    }

    /// This host now forwards between the patch and the other ones, or does so no more. A
    /// protocol starts as one that does not.
    fn on_forwarder(&mut self, cx: &mut Cx<'_, Self::Timer>, forwarder: bool) {
        let _ = (cx, forwarder);
    }

    /// The hosts whose word on what they hold is worth having, and who shall be told what is held
    /// here: tree neighbours, mesh partners. Asked for whenever that word is due, and whenever
    /// something is published. By default there are none, and what this host misses is asked of
    /// those alone who told it of what they hold when their links opened.
    fn neighbours(&self) -> SmallVec<[HostId; 16]> {
        SmallVec::new()
    }

    /// The host through which all of the patch's fragments pass, if there is one: of a region's
    /// representatives it had best be the one that forwards, since it gets every copy anyway.
    fn hub(&self) -> Option<HostId> {
        None
    }

    /// The member from which this host gets what starts elsewhere, where the protocol builds a
    /// tree: its parent there. It is told to whoever surveys the group, and nothing follows from it.
    fn parent(&self) -> Option<HostId> {
        None
    }

    /// How many hosts get the patch's messages by way of the neighbour `host`, itself included: a
    /// publisher waits once links that serve at least half of all are slow. Default 1.
    fn served_by(&self, host: HostId) -> usize {
        let _ = host;
        1
    }

    /// Whether this host's word on what it holds goes out by multicast.
    fn announces(&self) -> bool {
        false
    }

    /// How neighbours are told what is held here, the same as long as the protocol runs.
    fn telling(&self) -> Telling {
        Telling::Prompt
    }

    /// This host leaves the patch; say goodbye.
    fn leave(&mut self, cx: &mut Cx<'_, Self::Timer>) {
        let _ = cx;
    }
}

/// A multicast protocol that hosts may have: how it is called, its rule, and how it is started.
pub trait Plugin: Send + Sync {
    /// How the wire names it.
    fn id(&self) -> ProtocolId;

    /// How people name it: lower case, no spaces.
    fn name(&self) -> &'static str;

    /// Where it can run, and who forms a patch (paper, section 3.2).
    fn rule(&self) -> &dyn Rule;

    /// What the members of a patch must agree on and the bootstrap service settles when it
    /// creates the patch, for instance a multicast address; at most 64 bytes.
    fn parameters(&self, group: crate::GroupId, patch: PatchId) -> Bytes {
        let _ = (group, patch);
        Bytes::new()
    }

    /// An instance for one patch.
    fn start(&self, setup: &Setup) -> Instance;
}

/// What an instance of a protocol is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// This host.
    pub me: HostId,
    /// The patch.
    pub patch: PatchId,
    /// What the bootstrap service settled with [`Plugin::parameters`].
    pub parameters: Bytes,
    /// The local address of the interface that lies in the patch.
    pub interface: core::net::IpAddr,
    /// This host as others are to see it.
    pub contact: Contact,
    /// The members that the bootstrap service named, the most useful one first.
    pub named: alloc::vec::Vec<HostId>,
}

/// A running protocol whatever its types; see [`Instance::new`].
pub struct Instance(Box<dyn ErasedProtocol>);

impl Instance {
    /// Wraps a protocol for the container.
    pub fn new<P: Protocol>(protocol: P) -> Self {
        Self(registry::erase(protocol))
    }

    pub(crate) fn into_inner(self) -> Box<dyn ErasedProtocol> {
        self.0
    }
}

impl core::fmt::Debug for Instance {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Instance")
    }
}
