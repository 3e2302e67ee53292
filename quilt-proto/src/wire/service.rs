//! The bodies of the frames between hosts and the bootstrap service.

use super::{
    Assignment, Contact, DecodeError, MAX_CONTROL_BYTES, Membership, Nic, Orders, Reader, Refusal,
    Report, Scope, Writer,
};
use crate::euid::Euid;
use crate::{Delivery, Role};
use alloc::vec::Vec;
use smallvec::SmallVec;

/// The most contacts in one frame.
const MAX_CONTACTS: usize = Report::MAX_MEMBERSHIPS * Assignment::MAX_CONTACTS;

impl Report {
    /// Writes the body. The EUIDs stand last, and go as far as `end`.
    pub(super) fn encode(&self, out: &mut Writer<'_>, end: usize) {
        out.group(self.group);
        out.host(self.host);
        out.incarnation(self.incarnation);
        out.u64(self.cookie);
        out.bool(self.create);
        out.u8(self.delivery.map_or(0, number));
        out.addresses(&self.addresses);
        out.list(Self::MAX_PROTOCOLS, &self.protocols, |out, &protocol| out.protocol(protocol));
        out.list(Self::MAX_MEMBERSHIPS, &self.memberships, |out, membership| {
            membership.encode(out)
        });
        out.list(Self::MAX_LOST, &self.lost, |out, &host| out.tag(host));
        out.parent(self.parent);
        out.list(Self::MAX_NICS, &self.nics, |out, nic| out.ip(nic.address));
        out.euids_before(end, self.nics.iter().take(Self::MAX_NICS).map(|nic| &nic.euid));
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut report = Self {
            group: from.group()?,
            host: from.host()?,
            incarnation: from.incarnation()?,
            cookie: from.u64()?,
            create: from.bool("create")?,
            delivery: match from.u8()? {
                0 => None,
                wish => Some(delivery(wish)?),
            },
            addresses: from.addresses()?,
            protocols: from.list(Self::MAX_PROTOCOLS, Reader::protocol)?,
            memberships: from.list(Self::MAX_MEMBERSHIPS, Membership::decode)?,
            lost: from.list(Self::MAX_LOST, Reader::tag)?,
            parent: from.parent()?,
            nics: from.list(Self::MAX_NICS, |from| {
                Ok(Nic { address: from.ip()?, euid: Euid::default() })
            })?,
        };
        for nic in &mut report.nics {
            nic.euid = from.euid()?;
        }
        Ok(report)
    }
}

impl Membership {
    fn encode(&self, out: &mut Writer<'_>) {
        out.patch(self.patch);
        out.scope(self.scope);
        out.protocol(self.protocol);
        out.role(self.role);
        out.u8(self.nic);
        out.bytes(Assignment::MAX_PARAMETER_BYTES, &self.parameters);
        out.bool(self.wants_contacts);
        out.bool(self.forwards);
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            patch: from.patch()?,
            scope: from.scope()?,
            protocol: from.protocol()?,
            role: from.role()?,
            nic: from.u8()?,
            parameters: from.small_bytes(Assignment::MAX_PARAMETER_BYTES)?,
            wants_contacts: from.bool("wants_contacts")?,
            forwards: from.bool("forwards")?,
        })
    }
}

impl Orders {
    /// Writes the body, up to `end`: everything, or the first half of a frame for the EUIDs of the
    /// patches, and contacts as far as they fit.
    pub(super) fn encode(&self, out: &mut Writer<'_>, end: usize) {
        let start = out.len();
        if !self.encode_before(out, end, end.saturating_sub(1)) {
            out.truncate(start);
            self.encode_before(out, end, end.saturating_sub(MAX_CONTROL_BYTES / 2));
        }
    }

    /// Writes the body; whether all contacts had room. They stand last, the first one of each
    /// assignment before the second ones.
    fn encode_before(&self, out: &mut Writer<'_>, end: usize, euid_end: usize) -> bool {
        out.group(self.group);
        out.u64(self.epoch);
        out.u8(number(self.delivery));
        out.list(Report::MAX_MEMBERSHIPS, &self.assignments, |out, assignment| {
            assignment.encode(out);
        });
        let assignments = self.assignments.iter().take(Report::MAX_MEMBERSHIPS);
        out.euids_before(euid_end, assignments.map(|assignment| &assignment.euid));
        let count_at = out.len();
        out.u8(0);
        let mut count: u8 = 0;
        for (assignment, contact) in self.contacts_in_turn() {
            let start = out.len();
            out.u8(assignment);
            out.contact(contact);
            if out.len() > end {
                out.truncate(start);
                return false;
            }
            count = count.saturating_add(1);
            out.overwrite(count_at, &[count]);
        }
        true
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut orders = Self {
            group: from.group()?,
            epoch: from.u64()?,
            delivery: from.u8().and_then(delivery)?,
            assignments: from.list(Report::MAX_MEMBERSHIPS, Assignment::decode)?,
        };
        for assignment in &mut orders.assignments {
            assignment.euid = from.euid()?;
        }
        let contacts: Vec<_> =
            from.list(MAX_CONTACTS, |from| Ok((usize::from(from.u8()?), from.contact()?)))?;
        for (assignment, contact) in contacts {
            let assignment = orders.assignments.get_mut(assignment);
            let contacts =
                &mut assignment.ok_or(DecodeError::BadValue("contact's assignment"))?.contacts;
            contacts.push(contact);
            if contacts.len() > Assignment::MAX_CONTACTS {
                let (len, max) = (contacts.len(), Assignment::MAX_CONTACTS);
                return Err(DecodeError::TooLong { len, max });
            }
        }
        Ok(orders)
    }

    /// The contacts, each with the index of its assignment.
    fn contacts_in_turn(&self) -> impl Iterator<Item = (u8, &Contact)> {
        (0..Assignment::MAX_CONTACTS).flat_map(move |nth| {
            (0..)
                .zip(&self.assignments)
                .take(Report::MAX_MEMBERSHIPS)
                .filter_map(move |(index, assignment)| Some((index, assignment.contacts.get(nth)?)))
        })
    }
}

impl Assignment {
    /// Writes everything but the EUID and the contacts.
    fn encode(&self, out: &mut Writer<'_>) {
        debug_assert!(self.contacts.len() <= Self::MAX_CONTACTS);
        out.patch(self.patch);
        out.scope(self.scope);
        out.protocol(self.protocol);
        out.role(self.role);
        out.u8(self.nic);
        out.bytes(Self::MAX_PARAMETER_BYTES, &self.parameters);
        out.list(Self::MAX_REPRESENTATIVES, &self.representatives, |out, &host| out.host(host));
        let room = Self::MAX_REPRESENTATIVES.saturating_sub(self.representatives.len());
        out.list(room, &self.standbys, |out, &host| out.host(host));
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut read = Self {
            patch: from.patch()?,
            scope: from.scope()?,
            protocol: from.protocol()?,
            role: from.role()?,
            nic: from.u8()?,
            parameters: from.small_bytes(Self::MAX_PARAMETER_BYTES)?,
            representatives: from.list(Self::MAX_REPRESENTATIVES, Reader::host)?,
            standbys: SmallVec::new(),
            euid: Euid::default(),
            contacts: Vec::new(),
        };
        let room = Self::MAX_REPRESENTATIVES.saturating_sub(read.representatives.len());
        read.standbys = from.list(room, Reader::host)?;
        Ok(read)
    }
}

impl Refusal {
    pub(super) fn encode(self, out: &mut Writer<'_>) {
        out.u8(match self {
            Self::UnknownGroup => 1,
            Self::TagTaken => 2,
            Self::NoProtocol => 3,
            Self::Full => 4,
            Self::Replaced => 5,
            Self::Delivery(_) => 6,
        });
        if let Self::Delivery(has) = self {
            out.u8(number(has));
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.u8()? {
            1 => Self::UnknownGroup,
            2 => Self::TagTaken,
            3 => Self::NoProtocol,
            4 => Self::Full,
            5 => Self::Replaced,
            6 => Self::Delivery(from.u8().and_then(delivery)?),
            _ => return Err(DecodeError::BadValue("refusal")),
        })
    }
}

fn number(delivery: Delivery) -> u8 {
    match delivery {
        Delivery::BestEffort => 1,
        Delivery::Ordered => 2,
        Delivery::Reliable => 3,
    }
}

fn delivery(number: u8) -> Result<Delivery, DecodeError> {
    match number {
        1 => Ok(Delivery::BestEffort),
        2 => Ok(Delivery::Ordered),
        3 => Ok(Delivery::Reliable),
        _ => Err(DecodeError::BadValue("delivery")),
    }
}

impl Reader<'_> {
    pub(super) fn scope(&mut self) -> Result<Scope, DecodeError> {
        match self.u8()? {
            1 => Ok(Scope::Regional),
            2 => Ok(Scope::InterPatch),
            _ => Err(DecodeError::BadValue("scope")),
        }
    }

    fn role(&mut self) -> Result<Role, DecodeError> {
        match self.u8()? {
            1 => Ok(Role::Member),
            2 => Ok(Role::Representative),
            _ => Err(DecodeError::BadValue("role")),
        }
    }
}

impl Writer<'_> {
    pub(super) fn scope(&mut self, scope: Scope) {
        self.u8(match scope {
            Scope::Regional => 1,
            Scope::InterPatch => 2,
        });
    }

    fn role(&mut self, role: Role) {
        self.u8(match role {
            Role::Member => 1,
            Role::Representative => 2,
        });
    }
}
