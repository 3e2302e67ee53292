//! EUIDs on the wire.

use super::{DecodeError, Reader, Writer};
use crate::euid::{
    Barrier, Connectivity, Dependence, Direction, Euid, Metric, Nat, Performance, Range, RouterId,
    RouterStack, Transport,
};
use smallvec::SmallVec;

/// The bytes of an EUID of which nothing is known.
const UNKNOWN_EUID_BYTES: usize = 5;

impl Reader<'_> {
    /// The surroundings of an interface or a patch.
    ///
    /// # Errors
    /// The bytes end too early, a list is longer than it may be, or a value is impossible.
    pub fn euid(&mut self) -> Result<Euid, DecodeError> {
        let connectivity = self.list(Euid::MAX_CONNECTIVITY, Self::connectivity)?;
        let routers: SmallVec<[_; RouterStack::MAX]> = self.list(RouterStack::MAX, Self::router)?;
        let multicast: SmallVec<[_; RouterStack::MAX]> =
            self.list(RouterStack::MAX, Self::router)?;
        let mut performance = Performance::default();
        let figures: SmallVec<[_; Performance::MAX]> = self.list(Performance::MAX, Self::figure)?;
        figures.into_iter().for_each(|(metric, range)| performance.insert(metric, range));
        let extensions = self.list(Euid::MAX_EXTENSIONS, |from| {
            Ok((from.u16()?, from.small_bytes(Euid::MAX_EXTENSION_BYTES)?))
        })?;
        let topology = RouterStack::from_parts(&routers, &multicast);
        Ok(Euid { connectivity, topology, performance, extensions })
    }

    fn connectivity(&mut self) -> Result<Connectivity, DecodeError> {
        let transport = match self.u8()? {
            1 => Transport::Tcp,
            2 => Transport::Udp,
            _ => return Err(DecodeError::BadValue("transport")),
        };
        let direction = match self.u8()? {
            1 => Direction::Both,
            2 => Direction::Inbound,
            3 => Direction::Outbound,
            _ => return Err(DecodeError::BadValue("direction")),
        };
        let barrier = self.u8()?;
        let barrier = match barrier & 15 {
            0 => Barrier::None,
            1 => {
                let [mapping, filtering] = [dependence(barrier >> 4), dependence(barrier >> 6)];
                Barrier::Nat(Nat { address: self.ip()?, mapping, filtering })
            }
            2 => Barrier::Firewall,
            _ => return Err(DecodeError::BadValue("barrier")),
        };
        Ok(Connectivity { transport, direction, barrier })
    }

    fn router(&mut self) -> Result<(RouterId, u8), DecodeError> {
        Ok((RouterId(self.u64()?), self.u8()?))
    }

    fn figure(&mut self) -> Result<(Metric, Range), DecodeError> {
        let metric = Metric(self.u8()?);
        let range = Range { lower: self.u32()?, upper: self.u32()? };
        if range.lower > range.upper {
            return Err(DecodeError::BadValue("performance"));
        }
        Ok((metric, range))
    }
}

impl Writer<'_> {
    /// The surroundings of an interface or a patch.
    pub fn euid(&mut self, euid: &Euid) {
        self.list(Euid::MAX_CONNECTIVITY, euid.connectivity.iter(), Self::connectivity);
        let routers: SmallVec<[_; RouterStack::MAX]> = euid.topology.routers().collect();
        self.list(RouterStack::MAX, routers, Self::router);
        let multicast: SmallVec<[_; RouterStack::MAX]> =
            euid.topology.multicast_routers().collect();
        self.list(RouterStack::MAX, multicast, Self::router);
        let figures: SmallVec<[_; Performance::MAX]> = euid.performance.iter().collect();
        self.list(Performance::MAX, figures, |out, (metric, range)| {
            out.u8(metric.0);
            out.u32(range.lower.min(range.upper));
            out.u32(range.lower.max(range.upper));
        });
        self.list(Euid::MAX_EXTENSIONS, &euid.extensions, |out, (&field, value)| {
            out.u16(field);
            out.bytes(Euid::MAX_EXTENSION_BYTES, value);
        });
    }

    /// EUIDs one after another. One that would leave no room before byte `end` for those behind it
    /// is written as unknown.
    pub(super) fn euids_before<'e>(
        &mut self,
        end: usize,
        euids: impl ExactSizeIterator<Item = &'e Euid>,
    ) {
        let mut behind = euids.len().saturating_mul(UNKNOWN_EUID_BYTES);
        for euid in euids {
            behind = behind.saturating_sub(UNKNOWN_EUID_BYTES);
            let start = self.len();
            self.euid(euid);
            if self.len().saturating_add(behind) > end {
                self.truncate(start);
                self.euid(&Euid::default());
            }
        }
    }

    fn connectivity(&mut self, option: Connectivity) {
        self.u8(match option.transport {
            Transport::Tcp => 1,
            Transport::Udp => 2,
        });
        self.u8(match option.direction {
            Direction::Both => 1,
            Direction::Inbound => 2,
            Direction::Outbound => 3,
        });
        match option.barrier {
            Barrier::None => self.u8(0),
            Barrier::Nat(nat) => {
                self.u8(1 | bits(nat.mapping) << 4 | bits(nat.filtering) << 6);
                self.ip(nat.address);
            }
            Barrier::Firewall => self.u8(2),
        }
    }

    fn router(&mut self, (router, hops): (RouterId, u8)) {
        self.u64(router.0);
        self.u8(hops);
    }
}

/// What the lowest two bits say of a NAT.
fn dependence(bits: u8) -> Option<Dependence> {
    match bits & 3 {
        0 => None,
        1 => Some(Dependence::EndpointIndependent),
        2 => Some(Dependence::AddressDependent),
        _ => Some(Dependence::AddressAndPortDependent),
    }
}

fn bits(dependence: Option<Dependence>) -> u8 {
    match dependence {
        None => 0,
        Some(Dependence::EndpointIndependent) => 1,
        Some(Dependence::AddressDependent) => 2,
        Some(Dependence::AddressAndPortDependent) => 3,
    }
}
