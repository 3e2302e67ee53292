//! What a host knows of those below it, and tells its parent.

use super::frame::Frame;
use super::tree::{Child, Cx, Timer, Tree};
use super::values::{Below, MAX_BELOW, MAX_OTHERS, MAX_SPARE, Mode, Sketch, slim};
use crate::HostId;
use crate::wire::Contact;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

/// How soon the parent is told of a change, and how far apart such news are. Guess: when hosts join
/// at once, many come in the first of these times.
const STATUS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));

impl Tree {
    /// How many clients this host and all below it serve.
    pub(super) fn weight(&self) -> u32 {
        let below = self.children.values().map(|child| child.sketch.weight);
        below.fold(self.clients, u32::saturating_add)
    }

    /// All below this host that it knows of and that are sent fragments, level by level.
    pub(super) fn below(&self) -> Vec<Below> {
        let mut all: Vec<(usize, Below)> = Vec::new();
        for (_, child) in self.children.iter().filter(|(_, child)| child.mode == Mode::Full) {
            let top = all.len();
            let weight = child.sketch.weight;
            all.push((0, Below { contact: slim(&child.contact), above: None, weight }));
            for below in &child.sketch.below {
                let above =
                    below.above.map_or(top, |above| top.saturating_add(1).saturating_add(above));
                let level = all.get(above).map_or(0, |(level, _)| level.saturating_add(1));
                all.push((level, Below { above: Some(above), ..below.clone() }));
            }
        }
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by_key(|&at| all.get(at).map(|(level, _)| *level));
        // A host that has moved is named by its former parent too, until that has told so.
        let host = |at: usize| all.get(at).map(|(_, below)| below.contact.host);
        let mut seen = BTreeSet::from([self.me.host]);
        order.retain(|&at| host(at).is_some_and(|host| seen.insert(host)));
        let place = |old: usize| order.iter().position(|&at| host(at) == host(old));
        let ordered = order.iter().filter_map(|&at| all.get(at));
        ordered
            .map(|(_, below)| Below { above: below.above.and_then(place), ..below.clone() })
            .collect()
    }

    fn sketch(&self, cx: &mut Cx<'_>) -> Sketch {
        let mut below = self.below();
        below.truncate(MAX_BELOW);
        Sketch { weight: self.weight(), below, spare: self.spare(cx) }
    }

    /// Hosts with room: this one first, then such as are below it.
    fn spare(&self, cx: &mut Cx<'_>) -> Vec<Contact> {
        let me = (self.room(Mode::Full) > 0).then(|| slim(&self.me));
        let mut below = self.spare_below();
        cx.rng().shuffle(&mut below);
        me.into_iter().chain(below).take(MAX_SPARE).collect()
    }

    fn spare_below(&self) -> Vec<Contact> {
        self.children.values().flat_map(|child| child.sketch.spare.iter().cloned()).collect()
    }

    /// Who may have room if this host has none, the most likely first: children with nobody below
    /// them, then hosts below it that said so, then the other children; or its parent and the other
    /// children there.
    pub(super) fn others(&self, cx: &mut Cx<'_>) -> Vec<Contact> {
        let mut children: Vec<&Child> =
            self.children.values().filter(|child| child.mode == Mode::Full).collect();
        cx.rng().shuffle(&mut children);
        children.sort_by_key(|child| child.sketch.weight);
        let (bare, laden): (Vec<&Child>, Vec<&Child>) =
            children.into_iter().partition(|child| child.sketch.below.is_empty());
        let mut spare = self.spare_below();
        cx.rng().shuffle(&mut spare);
        spare.truncate(MAX_SPARE);
        let parent = self.parent().and_then(|parent| cx.peers().get(parent.host));
        let siblings = self.parent().map_or(&[][..], |parent| &parent.lineage.heirs);
        let mut others: Vec<Contact> = Vec::new();
        let (bare, laden) = (bare.into_iter(), laden.into_iter());
        let below = bare.map(|child| slim(&child.contact)).chain(spare);
        let below = below.chain(laden.map(|child| slim(&child.contact)));
        let above = parent.map(|peer| slim(&peer.contact));
        for other in below.chain(above).chain(siblings.iter().map(slim)) {
            let named = others.iter().any(|named| named.host == other.host);
            if others.len() < MAX_OTHERS && !named {
                others.push(other);
            }
        }
        others
    }

    /// Something below this host is another than before.
    pub(super) fn family_changed(&mut self, cx: &mut Cx<'_>) {
        self.plan_soon(cx);
        self.status_soon(cx);
    }

    pub(super) fn status_soon(&self, cx: &mut Cx<'_>) {
        if !cx.is_set(Timer::Status) && self.parent().is_some() {
            let at = (cx.now() + STATUS.0).max(self.told_at + STATUS.1);
            cx.set_timer(Timer::Status, at);
        }
    }

    /// Tells the parent what is below this host, if that is another than it was told.
    pub(super) fn tell_parent(&mut self, cx: &mut Cx<'_>) {
        let Some(parent) = self.parent().map(|parent| parent.host) else { return };
        let sketch = self.sketch(cx);
        if self.told.as_ref() != Some(&sketch) {
            cx.send(parent, &Frame::Status(sketch.clone()));
            self.told = Some(sketch);
            self.told_at = cx.now();
        }
    }

    pub(super) fn on_status(&mut self, cx: &mut Cx<'_>, from: HostId, sketch: Sketch) {
        let Some(child) = self.children.get_mut(&from) else {
            // It was given up, and does not know.
            return cx.answer(&Frame::Detach { as_child: false });
        };
        // Weights change with every host that joins anywhere below.
        let shape = |sketch: &Sketch| -> Vec<_> {
            sketch.below.iter().map(|below| (below.contact.host, below.above)).collect()
        };
        let moved = shape(&child.sketch) != shape(&sketch);
        child.sketch = sketch;
        if moved {
            self.plan_soon(cx);
        }
        self.status_soon(cx);
        self.send_displaced(cx, from);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::setup;
    use super::*;
    use crate::protocol::bench::{contact, host};
    use crate::{PatchId, Time};

    #[test]
    fn a_host_that_two_children_name_is_below_one_of_them() {
        let mut tree = Tree::new(4, &setup(0, PatchId(1)));
        let named = |n, above| Below { contact: contact(n), above, weight: 1 };
        let of_one = [named(3, None), named(4, Some(0)), named(0, None)];
        let of_two = [named(4, None), named(3, Some(0)), named(5, Some(1))];
        for (n, below) in [(1, of_one), (2, of_two)] {
            let sketch = Sketch { weight: 4, below: below.to_vec(), spare: Vec::new() };
            let (mode, contact, since) = (Mode::Full, contact(n), Time::ZERO);
            let child = Child { mode, contact, since, silent: false, sketch };
            tree.children.insert(host(n), child);
        }
        let below: Vec<_> = tree.below().iter().map(|b| (b.contact.host, b.above)).collect();
        let expected = [(1, None), (2, None), (3, Some(0)), (4, Some(1)), (5, Some(2))];
        assert_eq!(below, expected.map(|(n, above)| (host(n), above)));
    }
}
