//! What the frames of a tree are made of.

use super::plan::MAX_FAMILY;
use crate::euid::Euid;
use crate::wire::{Contact, DecodeError, Reader, Writer};
use crate::{HostId, HostTag};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

/// The most hosts from a root to a host, both included; whoever stands there takes no children.
/// Guess: 32 levels, far more than a tree of degree 2 or more grows, and their tags fit a frame.
pub(super) const MAX_PATH: usize = 32;

/// The most contacts in one list: four bare ones, with the way, fit a frame.
pub(super) const MAX_CONTACTS: usize = 4;

/// The most hosts that one names to another that looks for a parent. Guess: a host's children at the
/// usual degree and some more; slim ones fit a frame.
pub(super) const MAX_OTHERS: usize = 8;

/// The most hosts below another one that it tells of. Guess: a family's members but its top, and
/// they fit a frame.
pub(super) const MAX_BELOW: usize = MAX_FAMILY - 1;

/// The most hosts with room that a host tells its parent of. Guess: what is left of the frame.
pub(super) const MAX_SPARE: usize = 2;

/// What a child is sent of the fragments that pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// All of them.
    Full,
    /// None unasked; it hears what the parent holds.
    Digests,
}

/// Which of two trees the other one joins: the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// The root has lost its parent, or has had none yet, and looks for one.
    pub(super) provisional: bool,
    /// The root.
    pub(super) root: HostId,
}

/// The way from the root of a tree to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The root.
    pub(super) root: Contact,
    /// As in [`Rank`].
    pub(super) provisional: bool,
    /// How long a fragment takes along it.
    pub(super) latency: Duration,
    /// The hosts on it, the root first, the host itself last; at most [`MAX_PATH`].
    pub(super) path: Vec<HostTag>,
}

/// What a parent tells its children, so that they can go on without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lineage {
    /// The way to the parent.
    pub(super) way: Way,
    /// The parent's parent.
    pub(super) grandparent: Option<Contact>,
    /// The parent's first children; in this order they inherit from a root. At most
    /// [`MAX_CONTACTS`].
    pub(super) heirs: Vec<Contact>,
}

/// What a host has to offer to one that looks for a parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// The way to the host.
    pub(super) way: Way,
    /// How many more children it takes in full.
    pub(super) room_full: u8,
    /// How many more children it takes for digests only.
    pub(super) room_digests: u8,
    /// How many clients there are in and below the host.
    pub(super) weight: u32,
    /// Others, to be tried if there is no room, slim: its children first; at most [`MAX_OTHERS`].
    pub(super) others: Vec<Contact>,
}

impl Way {
    /// The way of a host that is a root.
    pub(super) fn top(me: &Contact, provisional: bool) -> Self {
        let path = vec![me.host.tag()];
        Self { root: me.clone(), provisional, latency: Duration::ZERO, path }
    }

    /// The way on to a child.
    pub(super) fn extended(&self, child: HostId, latency: Duration) -> Self {
        let mut way = self.clone();
        way.latency = way.latency.saturating_add(latency);
        way.path.push(child.tag());
        way
    }

    /// The rank of the tree.
    pub(super) fn rank(&self) -> Rank {
        Rank { provisional: self.provisional, root: self.root.host }
    }

    /// Whether `host` is on it.
    pub(super) fn contains(&self, host: HostId) -> bool {
        self.path.contains(&host.tag())
    }

    /// Whether nothing can be below its end.
    pub(super) fn is_full(&self) -> bool {
        self.path.len() >= MAX_PATH
    }

    /// Whether the same hosts are on the other one, however fast.
    pub(super) fn is_along(&self, other: &Self) -> bool {
        self.path == other.path && self.rank() == other.rank()
    }
}

impl Offer {
    /// How many more children it takes in that mode.
    pub(super) fn room(&self, mode: Mode) -> u8 {
        match mode {
            Mode::Full => self.room_full,
            Mode::Digests => self.room_digests,
        }
    }

    /// Whether the host can have children, and so may know who has room if it has none.
    pub(super) fn passes_on(&self) -> bool {
        self.room_full > 0 || self.room_digests > 0
    }
}

/// A contact without its surroundings: what it takes to dial the host.
pub(super) fn bare(contact: &Contact) -> Contact {
    Contact { euid: Euid::default(), ..contact.clone() }
}

/// A span as it goes over the wire.
pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// A round trip in microseconds, as it goes over the wire.
pub(super) fn micros(rtt: Duration) -> u32 {
    u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX)
}

/// One way of a round trip.
pub(super) fn half(rtt: Duration) -> Duration {
    rtt.checked_div(2).unwrap_or_default()
}

/// What is below a host, as it tells its parent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sketch {
    /// How many clients the host and all below it serve.
    pub(super) weight: u32,
    /// The first hosts below it that are sent fragments, level by level; at most [`MAX_BELOW`].
    pub(super) below: Vec<Below>,
    /// Hosts with room, it or below it; at most [`MAX_SPARE`].
    pub(super) spare: Vec<Contact>,
}

/// A host below another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Below {
    /// Slim.
    pub(super) contact: Contact,
    /// Whose child it is: the place in the same list, of one before it; `None` for the host itself.
    pub(super) above: Option<usize>,
    /// How many clients it and all below it serve.
    pub(super) weight: u32,
}

/// What a member of a family tells the host that may arrange it anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Which plan it answers.
    pub(super) nonce: u64,
    /// Whether it waits for the plan; if not, it is part of another one, or on the move.
    pub(super) ready: bool,
    /// Its parent.
    pub(super) parent: HostTag,
    /// How many children it can have out of the family.
    pub(super) slots: u8,
    /// How many clients it serves, with what is below it and not in the family.
    pub(super) weight: u32,
    /// The round trip to each member in microseconds, 0 where it is not known.
    pub(super) rtts: Vec<u32>,
}

/// A host that would rather stand between a full host and one of its children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Displacement {
    /// Names the plan that follows.
    pub(super) nonce: u64,
    /// The host, slim.
    pub(super) contact: Contact,
    /// How many clients there are in and below it.
    pub(super) weight: u32,
    /// How much nearer to the root it would be.
    pub(super) gain: Duration,
    /// The child that would give way.
    pub(super) child: HostId,
    /// How much farther from the root that would be.
    pub(super) loss: Duration,
}

impl Displacement {
    /// How much it is worth, as weight times nanoseconds, where so many clients are in and below the
    /// child; 0 if it is hardly worth it.
    pub(super) fn worth(&self, weight: u32) -> u128 {
        let worth = |span: Duration, weight: u32| span.as_nanos().saturating_mul(weight.into());
        let (gain, loss) = (worth(self.gain, self.weight), worth(self.loss, weight));
        // What is measured has noise.
        gain.saturating_sub(gain >> 3).saturating_sub(loss)
    }
}

/// A family as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Its name.
    pub(super) nonce: u64,
    /// The family, its top first, slim; at most [`MAX_FAMILY`].
    pub(super) members: Vec<Contact>,
    /// The place of each member's parent; the top's means nothing. As many as members.
    pub(super) parents: Vec<usize>,
}

impl Plan {
    /// The place of a host in it.
    pub(super) fn place(&self, host: HostId) -> Option<usize> {
        self.members.iter().position(|member| member.host == host)
    }

    /// Who shall be the parent of a host.
    pub(super) fn parent_of(&self, host: HostId) -> Option<HostId> {
        let place = self.place(host).filter(|&place| place > 0)?;
        self.members.get(*self.parents.get(place)?).map(|member| member.host)
    }

    /// Who shall be the children of a host.
    pub(super) fn children_of(&self, host: HostId) -> impl Iterator<Item = &Contact> {
        let children = self.members.iter().skip(1);
        children.filter(move |child| self.parent_of(child.host) == Some(host))
    }
}

/// A contact with nothing but the address that it is told things at.
pub(super) fn slim(contact: &Contact) -> Contact {
    let addresses = contact.addresses.iter().take(1).copied().collect();
    Contact { addresses, euid: Euid::default(), ..contact.clone() }
}

pub(super) fn put_mode(out: &mut Writer<'_>, mode: Mode) {
    out.bool(mode == Mode::Full);
}

pub(super) fn take_mode(from: &mut Reader<'_>) -> Result<Mode, DecodeError> {
    Ok(if from.bool("mode")? { Mode::Full } else { Mode::Digests })
}

pub(super) fn put_contacts(out: &mut Writer<'_>, contacts: &[Contact]) {
    out.list(MAX_CONTACTS, contacts, |out, contact| out.contact(contact));
}

pub(super) fn take_contacts(from: &mut Reader<'_>) -> Result<Vec<Contact>, DecodeError> {
    from.list(MAX_CONTACTS, Reader::contact)
}

pub(super) fn put_others(out: &mut Writer<'_>, others: &[Contact]) {
    out.list(MAX_OTHERS, others, |out, contact| out.contact(contact));
}

pub(super) fn take_others(from: &mut Reader<'_>) -> Result<Vec<Contact>, DecodeError> {
    from.list(MAX_OTHERS, Reader::contact)
}

pub(super) fn put_way(out: &mut Writer<'_>, way: &Way) {
    out.contact(&way.root);
    out.bool(way.provisional);
    out.u64(nanos(way.latency));
    out.list(MAX_PATH, &way.path, |out, tag| out.u64(tag.0));
}

pub(super) fn take_way(from: &mut Reader<'_>) -> Result<Way, DecodeError> {
    let way = Way {
        root: from.contact()?,
        provisional: from.bool("provisional")?,
        latency: Duration::from_nanos(from.u64()?),
        path: from.list(MAX_PATH, |from| from.u64().map(HostTag))?,
    };
    if way.path.is_empty() { Err(DecodeError::BadValue("path")) } else { Ok(way) }
}

pub(super) fn put_lineage(out: &mut Writer<'_>, lineage: &Lineage) {
    put_way(out, &lineage.way);
    out.list(1, lineage.grandparent.as_slice(), |out, contact| out.contact(contact));
    put_contacts(out, &lineage.heirs);
}

pub(super) fn take_lineage(from: &mut Reader<'_>) -> Result<Lineage, DecodeError> {
    let way = take_way(from)?;
    let grandparent: Vec<Contact> = from.list(1, Reader::contact)?;
    let heirs = take_contacts(from)?;
    Ok(Lineage { way, grandparent: grandparent.into_iter().next(), heirs })
}

pub(super) fn put_sketch(out: &mut Writer<'_>, sketch: &Sketch) {
    out.u32(sketch.weight);
    out.list(MAX_BELOW, &sketch.below, |out, below| {
        out.contact(&below.contact);
        out.u8(place_byte(below.above));
        out.u32(below.weight);
    });
    out.list(MAX_SPARE, &sketch.spare, |out, contact| out.contact(contact));
}

pub(super) fn take_sketch(from: &mut Reader<'_>) -> Result<Sketch, DecodeError> {
    let weight = from.u32()?;
    let below: Vec<Below> = from.list(MAX_BELOW, |from| {
        let contact = from.contact()?;
        let above = from.u8()?.checked_sub(1).map(usize::from);
        Ok(Below { contact, above, weight: from.u32()? })
    })?;
    let spare = from.list(MAX_SPARE, Reader::contact)?;
    let ordered = below.iter().enumerate().all(|(at, b)| b.above.is_none_or(|above| above < at));
    if ordered { Ok(Sketch { weight, below, spare }) } else { Err(DecodeError::BadValue("above")) }
}

/// A place in a list, from 1; 0 for none.
fn place_byte(place: Option<usize>) -> u8 {
    place.map_or(0, |place| u8::try_from(place.saturating_add(1)).unwrap_or(u8::MAX))
}

pub(super) fn put_facts(out: &mut Writer<'_>, facts: &Facts) {
    out.u64(facts.nonce);
    out.bool(facts.ready);
    out.u64(facts.parent.0);
    out.u8(facts.slots);
    out.u32(facts.weight);
    out.list(MAX_FAMILY, &facts.rtts, |out, &rtt| out.u32(rtt));
}

pub(super) fn take_facts(from: &mut Reader<'_>) -> Result<Facts, DecodeError> {
    Ok(Facts {
        nonce: from.u64()?,
        ready: from.bool("ready")?,
        parent: HostTag(from.u64()?),
        slots: from.u8()?,
        weight: from.u32()?,
        rtts: from.list(MAX_FAMILY, Reader::u32)?,
    })
}

pub(super) fn put_members(out: &mut Writer<'_>, members: &[Contact]) {
    out.list(MAX_FAMILY, members, |out, contact| out.contact(contact));
}

pub(super) fn take_members(from: &mut Reader<'_>) -> Result<Vec<Contact>, DecodeError> {
    from.list(MAX_FAMILY, Reader::contact)
}

pub(super) fn put_displacement(out: &mut Writer<'_>, displacement: &Displacement) {
    out.u64(displacement.nonce);
    out.contact(&displacement.contact);
    out.u32(displacement.weight);
    out.u64(nanos(displacement.gain));
    out.host(displacement.child);
    out.u64(nanos(displacement.loss));
}

pub(super) fn take_displacement(from: &mut Reader<'_>) -> Result<Displacement, DecodeError> {
    Ok(Displacement {
        nonce: from.u64()?,
        contact: from.contact()?,
        weight: from.u32()?,
        gain: Duration::from_nanos(from.u64()?),
        child: from.host()?,
        loss: Duration::from_nanos(from.u64()?),
    })
}

pub(super) fn put_plan(out: &mut Writer<'_>, plan: &Plan) {
    out.u64(plan.nonce);
    put_members(out, &plan.members);
    out.list(MAX_FAMILY, &plan.parents, |out, &parent| out.u8(place_byte(Some(parent))));
}

pub(super) fn take_plan(from: &mut Reader<'_>) -> Result<Plan, DecodeError> {
    let nonce = from.u64()?;
    let members = take_members(from)?;
    let parents: Vec<usize> = from.list(MAX_FAMILY, |from| {
        from.u8()?.checked_sub(1).map(usize::from).ok_or(DecodeError::BadValue("parent"))
    })?;
    if parents.len() != members.len() || parents.iter().any(|&parent| parent >= members.len()) {
        return Err(DecodeError::BadValue("parents"));
    }
    Ok(Plan { nonce, members, parents })
}
