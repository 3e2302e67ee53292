//! The body of [`SurveyPart`], and what reports say for it.

use super::{Assignment, DecodeError, Reader, SurveyPart, Writer};
use crate::survey::{Parent, Patch, Representative};
use core::time::Duration;

impl SurveyPart {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.group(self.group);
        out.patch(self.from);
        out.u32(self.hosts);
        out.bool(self.more);
        out.list(Self::MAX_PATCHES, &self.patches, |out, patch| patch.encode(out));
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let part = Self {
            group: from.group()?,
            from: from.patch()?,
            hosts: from.u32()?,
            more: from.bool("more")?,
            patches: from.list(Self::MAX_PATCHES, Patch::decode)?,
        };
        let rises = |pair: &[Patch]| matches!(pair, [a, b] if a.patch < b.patch);
        let starts = part.patches.first().is_none_or(|first| part.from <= first.patch);
        if !starts || !part.patches.windows(2).all(rises) || part.more && part.patches.is_empty() {
            return Err(DecodeError::BadValue("patches"));
        }
        Ok(part)
    }
}

impl Patch {
    fn encode(&self, out: &mut Writer<'_>) {
        out.patch(self.patch);
        out.scope(self.scope);
        out.protocol(self.protocol);
        out.u32(self.members);
        out.list(Assignment::MAX_REPRESENTATIVES, &self.representatives, |out, one| {
            out.tag(one.host);
            out.bool(one.forwards);
            out.parent(one.parent);
        });
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            patch: from.patch()?,
            scope: from.scope()?,
            protocol: from.protocol()?,
            members: from.u32()?,
            representatives: from.list(Assignment::MAX_REPRESENTATIVES, |from| {
                Ok(Representative {
                    host: from.tag()?,
                    forwards: from.bool("forwards")?,
                    parent: from.parent()?,
                })
            })?,
        })
    }
}

impl Reader<'_> {
    pub(super) fn parent(&mut self) -> Result<Option<Parent>, DecodeError> {
        if !self.bool("parent")? {
            return Ok(None);
        }
        let (host, micros) = (self.tag()?, self.u32()?);
        let measured = micros > 0;
        let round_trip = measured.then(|| Duration::from_micros(micros.into()));
        Ok(Some(Parent { host, round_trip }))
    }
}

impl Writer<'_> {
    /// Whether there is a parent, and who; its round-trip time in microseconds, 0 if unknown.
    pub(super) fn parent(&mut self, parent: Option<Parent>) {
        self.bool(parent.is_some());
        if let Some(Parent { host, round_trip }) = parent {
            let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
            self.tag(host);
            self.u32(round_trip.map_or(0, |time| micros(time).max(1)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Scope;
    use crate::{GroupId, PatchId, ProtocolId};
    use alloc::vec::Vec;
    use bytes::Bytes;

    #[test]
    fn the_patches_of_a_survey_rise_from_where_it_was_asked_for() {
        let patch = |&id: &u32| Patch {
            patch: PatchId(id),
            scope: Scope::Regional,
            protocol: ProtocolId::IPMC,
            members: 1,
            representatives: Vec::new(),
        };
        let part = |from, more, ids: &[u32]| {
            let (group, from) = (GroupId(1), PatchId(from));
            let patches = ids.iter().map(patch).collect();
            let mut bytes = Vec::new();
            let part = SurveyPart { group, from, hosts: 9, more, patches };
            part.encode(&mut Writer::new(&mut bytes));
            SurveyPart::decode(&mut Reader::new(&Bytes::from(bytes)))
                .map(|decoded| assert_eq!(decoded, part))
        };
        assert_eq!(part(3, true, &[3, 5, 9]), Ok(()));
        assert_eq!(part(3, false, &[]), Ok(()));
        let bad = Err(DecodeError::BadValue("patches"));
        assert_eq!(part(4, true, &[3, 5]), bad, "before where it was asked for");
        assert_eq!(part(3, true, &[5, 5]), bad, "twice the same");
        assert_eq!(part(3, true, &[9, 5]), bad, "descending");
        assert_eq!(part(3, true, &[]), bad, "more, and no way on");
    }

    #[test]
    fn a_round_trip_has_whole_microseconds_and_is_never_lost() {
        let told = |nanos| {
            let round_trip = Some(Duration::from_nanos(nanos));
            let mut bytes = Vec::new();
            let parent = Some(Parent { host: crate::HostTag(1), round_trip });
            Writer::new(&mut bytes).parent(parent);
            Reader::new(&Bytes::from(bytes)).parent().unwrap().unwrap().round_trip
        };
        assert_eq!(told(7_999), Some(Duration::from_micros(7)));
        assert_eq!(told(3), Some(Duration::from_micros(1)), "0 would say that it is not known");
        assert_eq!(told(u64::MAX), Some(Duration::from_micros(u32::MAX.into())));
    }
}
