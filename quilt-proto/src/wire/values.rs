//! Names and addresses on the wire.

use super::{Contact, DecodeError, Range, Reader, Writer};
use crate::{FragmentId, GroupId, HostId, HostTag, Incarnation, PatchId, ProtocolId, Seq, Source};
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use smallvec::SmallVec;

/// Names. Each method fails where the bytes end too early.
impl Reader<'_> {
    /// A host, in full: 32 bytes.
    pub fn host(&mut self) -> Result<HostId, DecodeError> {
        self.array().map(HostId)
    }

    /// A host's tag: 8 bytes.
    pub fn tag(&mut self) -> Result<HostTag, DecodeError> {
        self.u64().map(HostTag)
    }

    /// A host's life.
    pub fn incarnation(&mut self) -> Result<Incarnation, DecodeError> {
        self.u32().map(Incarnation)
    }

    /// A group.
    pub fn group(&mut self) -> Result<GroupId, DecodeError> {
        self.u64().map(GroupId)
    }

    /// A patch.
    pub fn patch(&mut self) -> Result<PatchId, DecodeError> {
        self.u32().map(PatchId)
    }

    /// A protocol.
    pub fn protocol(&mut self) -> Result<ProtocolId, DecodeError> {
        self.u16().map(ProtocolId)
    }

    /// A sequence number.
    pub fn seq(&mut self) -> Result<Seq, DecodeError> {
        let seq = Seq(self.u64()?);
        if seq > Seq::END { Err(DecodeError::BadValue("seq")) } else { Ok(seq) }
    }

    /// A stream of messages: the host's tag and its life.
    pub fn source(&mut self) -> Result<Source, DecodeError> {
        Ok(Source { host: self.tag()?, incarnation: self.incarnation()? })
    }

    /// A fragment: stream, sequence number, index.
    pub fn fragment(&mut self) -> Result<FragmentId, DecodeError> {
        Ok(FragmentId { source: self.source()?, seq: self.seq()?, index: self.u16()? })
    }
}

/// Addresses. Each method fails where the bytes end too early, a list is longer
/// than it may be, or a field has an impossible value.
impl Reader<'_> {
    /// An IP address; an IPv4 one that was written as IPv6 comes out as IPv4.
    pub fn ip(&mut self) -> Result<IpAddr, DecodeError> {
        match self.u8()? {
            4 => Ok(IpAddr::from(self.array::<4>()?)),
            6 => Ok(IpAddr::from(self.array::<16>()?).to_canonical()),
            _ => Err(DecodeError::BadValue("address family")),
        }
    }

    /// An IP address and a port.
    pub fn address(&mut self) -> Result<SocketAddr, DecodeError> {
        Ok(SocketAddr::new(self.ip()?, self.u16()?))
    }

    /// Where a host listens: at most [`Contact::MAX_ADDRESSES`].
    pub fn addresses(&mut self) -> Result<SmallVec<[SocketAddr; 2]>, DecodeError> {
        self.list(Contact::MAX_ADDRESSES, Self::address)
    }

    /// How to reach a host, and its surroundings.
    pub fn contact(&mut self) -> Result<Contact, DecodeError> {
        Ok(Contact {
            host: self.host()?,
            incarnation: self.incarnation()?,
            addresses: self.addresses()?,
            euid: self.euid()?,
        })
    }

    /// Messages from one on, before another.
    pub(super) fn range(&mut self) -> Result<Range, DecodeError> {
        let range = Range { from: self.seq()?, to: self.seq()? };
        if range.from >= range.to { Err(DecodeError::BadValue("range")) } else { Ok(range) }
    }

    /// Bytes behind their length, copied: what is kept for long shall not keep a whole packet.
    pub(super) fn small_bytes(&mut self, max: usize) -> Result<Bytes, DecodeError> {
        self.bytes(max).map(|bytes| Bytes::copy_from_slice(&bytes))
    }
}

/// Names.
impl Writer<'_> {
    /// A host, in full: 32 bytes.
    pub fn host(&mut self, host: HostId) {
        self.raw(&host.0);
    }

    /// A host's tag: 8 bytes.
    pub fn tag(&mut self, tag: HostTag) {
        self.u64(tag.0);
    }

    /// A host's life.
    pub fn incarnation(&mut self, incarnation: Incarnation) {
        self.u32(incarnation.0);
    }

    /// A group.
    pub fn group(&mut self, group: GroupId) {
        self.u64(group.0);
    }

    /// A patch.
    pub fn patch(&mut self, patch: PatchId) {
        self.u32(patch.0);
    }

    /// A protocol.
    pub fn protocol(&mut self, protocol: ProtocolId) {
        self.u16(protocol.0);
    }

    /// A sequence number.
    pub fn seq(&mut self, seq: Seq) {
        self.u64(seq.0);
    }

    /// A stream of messages: the host's tag and its life.
    pub fn source(&mut self, source: Source) {
        self.tag(source.host);
        self.incarnation(source.incarnation);
    }

    /// A fragment: stream, sequence number, index.
    pub fn fragment(&mut self, fragment: FragmentId) {
        self.source(fragment.source);
        self.seq(fragment.seq);
        self.u16(fragment.index);
    }
}

/// Addresses.
impl Writer<'_> {
    /// An IP address; an IPv4 one inside IPv6 is written as IPv4.
    pub fn ip(&mut self, address: IpAddr) {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                self.u8(4);
                self.raw(&v4.octets());
            }
            IpAddr::V6(v6) => {
                self.u8(6);
                self.raw(&v6.octets());
            }
        }
    }

    /// An IP address and a port. The scope of an IPv6 address stays behind: it names an interface
    /// of this host only.
    pub fn address(&mut self, address: SocketAddr) {
        self.ip(address.ip());
        self.u16(address.port());
    }

    /// Where a host listens: at most [`Contact::MAX_ADDRESSES`].
    pub fn addresses(&mut self, addresses: &[SocketAddr]) {
        self.list(Contact::MAX_ADDRESSES, addresses, |out, &address| out.address(address));
    }

    /// How to reach a host, and its surroundings.
    pub fn contact(&mut self, contact: &Contact) {
        self.host(contact.host);
        self.incarnation(contact.incarnation);
        self.addresses(&contact.addresses);
        self.euid(&contact.euid);
    }
}
