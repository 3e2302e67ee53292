//! What there is to see of a group.

use super::words;
use quilt_tokio::proto::survey::{Representative, Survey};
use quilt_tokio::proto::wire::Scope;
use quilt_tokio::proto::{HostTag, ProtocolId};
use std::collections::{BTreeMap, BTreeSet};

/// A group as it is drawn. Equal ones look alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(super) group: String,
    pub(super) hosts: usize,
    /// How many hosts represent a patch.
    pub(super) representatives: usize,
    /// What sews the patches together.
    pub(super) inter_patch: Option<ProtocolId>,
    /// Each patch behind the one that its tree link leads to, a branch after the other: in this
    /// order around a circle no two links of forwarding representatives cross.
    pub(super) patches: Vec<Patch>,
    pub(super) links: Vec<Link>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    pub(super) name: String,
    pub(super) protocol: ProtocolId,
    pub(super) members: usize,
    pub(super) representatives: Vec<Seat>,
}

/// A representative's place in its patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(super) host: HostTag,
    pub(super) forwards: bool,
    /// Others have it for a parent, and it has none.
    pub(super) root: bool,
    /// Others have it for a parent.
    pub(super) leads: bool,
    /// The round-trip time to its parent, for people.
    pub(super) round_trip: Option<String>,
}

/// A tree link between two representatives: each by the index of its patch, and its own in there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(super) child: (usize, usize),
    pub(super) parent: (usize, usize),
    /// The child forwards; otherwise it takes digests only.
    pub(super) forwards: bool,
}

impl Picture {
    pub(crate) fn of(group: &str, survey: &Survey) -> Self {
        let regional = |patch: &&_| is_regional(patch);
        let regions: Vec<_> = survey.patches.iter().filter(regional).collect();
        let all = || regions.iter().flat_map(|patch| &patch.representatives);
        let parents: BTreeSet<HostTag> =
            all().filter_map(|one| one.parent).map(|parent| parent.host).collect();
        let order = order(&regions);
        let patches: Vec<Patch> = order
            .iter()
            .filter_map(|&index| regions.get(index))
            .map(|patch| Patch {
                name: patch.patch.to_string(),
                protocol: patch.protocol,
                members: patch.members as usize,
                representatives: seats(&patch.representatives, &parents),
            })
            .collect();
        let inter = survey.patches.iter().find(|patch| patch.scope == Scope::InterPatch);
        let told = all().map(|one| (one.host, one.parent.map(|parent| parent.host))).collect();
        Self {
            group: legible(group),
            hosts: survey.hosts as usize,
            representatives: all().map(|one| one.host).collect::<BTreeSet<_>>().len(),
            inter_patch: inter.map(|patch| patch.protocol),
            links: links(&patches, &told),
            patches,
        }
    }

    /// Every representative but one has a parent, and has measured the way to it.
    pub(crate) fn is_whole(&self) -> bool {
        self.measured() + 1 >= self.representatives
    }

    /// How many links have a known round-trip time.
    pub(crate) fn measured(&self) -> usize {
        let child =
            |link: &&Link| self.seat(link.child).is_some_and(|seat| seat.round_trip.is_some());
        self.links.iter().filter(child).count()
    }

    pub(super) fn seat(&self, (patch, seat): (usize, usize)) -> Option<&Seat> {
        self.patches.get(patch)?.representatives.get(seat)
    }
}

fn is_regional(patch: &quilt_tokio::proto::survey::Patch) -> bool {
    patch.scope == Scope::Regional
}

/// The one that stands for its patch in the order of patches.
fn first_of(patch: &quilt_tokio::proto::survey::Patch) -> Option<&Representative> {
    let all = &patch.representatives;
    all.iter().find(|one| one.forwards).or(all.first())
}

/// The patches as the tree visits them from its root, each branch to its end.
fn order(regions: &[&quilt_tokio::proto::survey::Patch]) -> Vec<usize> {
    let mut home = BTreeMap::new();
    for (index, patch) in regions.iter().enumerate() {
        for one in &patch.representatives {
            home.entry(one.host).or_insert(index);
        }
    }
    let above = |index: &usize| {
        let parent = first_of(regions.get(*index)?)?.parent?;
        home.get(&parent.host).copied().filter(|above| above != index)
    };
    let mut below: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for index in 0..regions.len() {
        below.entry(above(&index)).or_default().push(index);
    }
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    // Behind those that hang on a root come those that stale news shows in a circle.
    let roots = below.get(&None).cloned().unwrap_or_default();
    for start in roots.into_iter().chain(0..regions.len()) {
        let mut waiting = vec![start];
        while let Some(index) = waiting.pop() {
            if seen.insert(index) {
                order.push(index);
                let below = below.get(&Some(index)).into_iter().flatten();
                waiting.extend(below.rev());
            }
        }
    }
    order
}

/// The representatives of a patch side by side, the one that forwards in the middle.
fn seats(representatives: &[Representative], parents: &BTreeSet<HostTag>) -> Vec<Seat> {
    let (forwarding, mut seats): (Vec<_>, Vec<_>) =
        representatives.iter().partition(|one| one.forwards);
    let middle = seats.len() / 2;
    seats.splice(middle..middle, forwarding);
    let seat = |one: &Representative| {
        let leads = parents.contains(&one.host);
        let round_trip = one.parent.and_then(|parent| parent.round_trip);
        Seat {
            host: one.host,
            forwards: one.forwards,
            root: one.parent.is_none() && leads,
            leads,
            round_trip: round_trip.map(words::round_trip),
        }
    };
    seats.into_iter().map(seat).collect()
}

/// One link for each host with a known parent. A host in several patches is found where it
/// forwards, or where it stands first.
fn links(patches: &[Patch], told: &BTreeMap<HostTag, Option<HostTag>>) -> Vec<Link> {
    let mut places: BTreeMap<HostTag, ((usize, usize), bool)> = BTreeMap::new();
    for (patch, of) in patches.iter().enumerate() {
        for (seat, one) in of.representatives.iter().enumerate() {
            let here = ((patch, seat), one.forwards);
            let place = places.entry(one.host).or_insert(here);
            if !place.1 && one.forwards {
                *place = here;
            }
        }
    }
    let known = places.iter().filter_map(|(host, &(child, forwards))| {
        let &(parent, _) = places.get(told.get(host)?.as_ref()?)?;
        Some(Link { child, parent, forwards })
    });
    let mut links: Vec<Link> = known.collect();
    links.sort_by_key(|link| link.child);
    links
}

/// A group's name without what XML cannot hold, and not longer than a title.
fn legible(name: &str) -> String {
    const MAX: usize = 40;
    let shown = |char: char| {
        if char.is_control() || char == '\u{fffe}' || char == '\u{ffff}' {
            '\u{fffd}'
        } else {
            char
        }
    };
    match name.chars().count() > MAX {
        true => name.chars().take(MAX - 1).map(shown).chain(['…']).collect(),
        false => name.chars().map(shown).collect(),
    }
}
