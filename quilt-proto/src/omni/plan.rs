//! The best tree over a few hosts: which arrangement of a family costs least.
//!
//! A family is a host and some of those below it. The cost of an arrangement is the sum of what
//! each member weighs (the clients in and below it that are not in the family) times its latency
//! from the top. The optimum under the members' degrees is found exactly, by dynamic programming
//! over the sets of members that hang below one link; so it takes in every local move of the paper
//! (child-promote, parent-child swap, transfers and swaps on one level and across two) and every
//! sequence of them.

use alloc::vec;
use alloc::vec::Vec;

/// The most members of a family, its top included: the work grows with the third power of two for
/// each of them.
pub(super) const MAX_FAMILY: usize = 9;

/// No arrangement.
const NEVER: u64 = u64::MAX;

/// A family: member 0 is the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// What each member weighs, without what is below it in the family.
    pub(super) weights: Vec<u64>,
    /// How many members of the family each can have as children.
    pub(super) slots: Vec<usize>,
    /// How long a fragment takes from one member to another, in nanoseconds; `None` where it is not
    /// known, or cannot go. Square, as long as the other two.
    pub(super) delays: Vec<Vec<Option<u64>>>,
}

/// Members other than the top, by bit.
type Set = usize;

/// What is known of the best arrangements so far.
struct Table<'a> {
    family: &'a Family,
    /// How many sets there are.
    sets: usize,
    /// Weight by set.
    weights: Vec<u64>,
    /// By member and set: the cost of the set below one link from the member, and who is at the end
    /// of the link.
    groups: Vec<(u64, usize)>,
    /// By member, links and set: the cost of the set below so many links, and the set below the
    /// last of them.
    hung: Vec<(u64, Set)>,
}

impl Family {
    /// How many members there are.
    fn len(&self) -> usize {
        self.weights.len()
    }

    fn delay(&self, from: usize, to: usize) -> Option<u64> {
        *self.delays.get(from)?.get(to)?
    }

    /// What an arrangement costs, given as the parent of each member (the top's is ignored); `None`
    /// if it is none: there is a cycle, a delay is not known, or a member has too many children.
    pub(super) fn cost(&self, parents: &[usize]) -> Option<u64> {
        let mut children = vec![0_usize; self.len()];
        let mut cost = 0_u64;
        for member in 1..self.len() {
            let parent = *parents.get(member)?;
            let count = children.get_mut(parent)?;
            *count = count.saturating_add(1);
            let (mut at, mut latency, mut steps) = (member, 0_u64, 0_usize);
            while at != 0 {
                let above = *parents.get(at)?;
                latency = latency.saturating_add(self.delay(above, at)?);
                at = above;
                steps = steps.saturating_add(1);
                if steps > self.len() {
                    return None;
                }
            }
            cost = cost.saturating_add(latency.saturating_mul(*self.weights.get(member)?));
        }
        let fits = children.iter().zip(&self.slots).all(|(count, slots)| count <= slots);
        fits.then_some(cost)
    }

    /// The arrangement that costs least, as the parent of each member, and its cost. `None` if
    /// there is none, or the family is too large.
    pub(super) fn best(&self) -> Option<(Vec<usize>, u64)> {
        let members = self.len();
        if !(2..=MAX_FAMILY).contains(&members) {
            return None;
        }
        let mut table = Table::new(self);
        table.fill();
        let all = table.sets.saturating_sub(1);
        let (cost, _) = table.hung(0, table.slots(0), all);
        let mut parents = vec![0; members];
        table.read(0, all, &mut parents);
        (cost != NEVER).then_some((parents, cost))
    }
}

/// The set of one member, which is not the top.
fn bit(member: usize) -> Set {
    let shift = u32::try_from(member.saturating_sub(1)).unwrap_or(0);
    if member == 0 { 0 } else { 1_usize.checked_shl(shift).unwrap_or(0) }
}

impl<'a> Table<'a> {
    fn new(family: &'a Family) -> Self {
        let members = family.len();
        let sets = bit(members);
        let weigh = |set: Set| {
            let within = (1..members).filter(|&member| set & bit(member) != 0);
            let weights = within.filter_map(|member| family.weights.get(member));
            weights.fold(0_u64, |sum, &weight| sum.saturating_add(weight))
        };
        let cells = members.saturating_mul(sets);
        Self {
            family,
            sets,
            weights: (0..sets).map(weigh).collect(),
            groups: vec![(NEVER, 0); cells],
            hung: vec![(NEVER, 0); cells.saturating_mul(members)],
        }
    }

    /// How many links a member can have; more than there are others make no difference.
    fn slots(&self, member: usize) -> usize {
        let others = self.family.len().saturating_sub(1);
        self.family.slots.get(member).map_or(0, |&slots| slots.min(others))
    }

    fn group(&self, member: usize, set: Set) -> (u64, usize) {
        let at = member.saturating_mul(self.sets).saturating_add(set);
        self.groups.get(at).copied().unwrap_or((NEVER, 0))
    }

    fn hung_at(&self, member: usize, links: usize, set: Set) -> usize {
        let row = member.saturating_mul(self.family.len()).saturating_add(links);
        row.saturating_mul(self.sets).saturating_add(set)
    }

    /// What a set costs below at most so many links of a member.
    fn hung(&self, member: usize, links: usize, set: Set) -> (u64, Set) {
        if set == 0 {
            return (0, 0);
        }
        self.hung.get(self.hung_at(member, links, set)).copied().unwrap_or((NEVER, 0))
    }

    /// Smaller sets come before those that they are in.
    fn fill(&mut self) {
        for set in 1..self.sets {
            for member in (0..self.family.len()).filter(|&member| set & bit(member) == 0) {
                let group = self.best_group(member, set);
                let at = member.saturating_mul(self.sets).saturating_add(set);
                if let Some(cell) = self.groups.get_mut(at) {
                    *cell = group;
                }
                for links in 1..=self.slots(member) {
                    let best = self.best_hung(member, links, set);
                    let at = self.hung_at(member, links, set);
                    if let Some(cell) = self.hung.get_mut(at) {
                        *cell = best;
                    }
                }
            }
        }
    }

    /// The best head of a set that hangs below one link of a member.
    fn best_group(&self, member: usize, set: Set) -> (u64, usize) {
        let weight = self.weights.get(set).copied().unwrap_or(NEVER);
        let heads = (1..self.family.len()).filter(|&head| set & bit(head) != 0);
        let costs = heads.filter_map(|head| {
            let link = self.family.delay(member, head)?.saturating_mul(weight);
            let (below, _) = self.hung(head, self.slots(head), set & !bit(head));
            Some((link.saturating_add(below), head))
        });
        costs.min().unwrap_or((NEVER, 0))
    }

    /// The best way to divide a set between so many links: the last one has the set's first member.
    fn best_hung(&self, member: usize, links: usize, set: Set) -> (u64, Set) {
        let first = set & set.wrapping_neg();
        let rest = set & !first;
        let mut best = (NEVER, 0);
        let mut others = rest;
        loop {
            let last = others | first;
            let (below, _) = self.hung(member, links.saturating_sub(1), set & !last);
            let cost = self.group(member, last).0.saturating_add(below);
            best = best.min((cost, last));
            if others == 0 {
                return best;
            }
            others = others.wrapping_sub(1) & rest;
        }
    }

    /// Writes down the parents in the best arrangement of a set below a member.
    fn read(&self, member: usize, set: Set, parents: &mut [usize]) {
        let mut set = set;
        let mut links = self.slots(member);
        while set != 0 {
            let (cost, last) = self.hung(member, links, set);
            let (_, head) = self.group(member, last);
            if cost == NEVER || head == 0 {
                return;
            }
            if let Some(parent) = parents.get_mut(head) {
                *parent = member;
            }
            self.read(head, last & !bit(head), parents);
            set &= !last;
            links = links.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests;
