//! From what the members of a family say to a plan that is better than what there is.

use super::plan::Family;
use super::values::Facts;
use alloc::vec;
use alloc::vec::Vec;

/// A plan saves this part of the cost, or it is not worth the moves. Guess: less is noise.
const GAIN: u64 = 200;

/// What is known of a family; place 0 is its top.
#[derive(Debug)]
pub(super) struct Draft {
    /// What each member says; `None` if it did not answer.
    pub(super) facts: Vec<Option<Facts>>,
    /// The place of each member's parent in the family; `None` for the top.
    pub(super) parents: Vec<Option<usize>>,
}

impl Draft {
    /// How many members there are.
    fn len(&self) -> usize {
        self.facts.len()
    }

    fn facts(&self, place: usize) -> Option<&Facts> {
        self.facts.get(place)?.as_ref()
    }

    fn parent(&self, place: usize) -> Option<usize> {
        *self.parents.get(place)?
    }

    /// How long a fragment takes between two members, in nanoseconds, if either has measured it.
    fn delay(&self, from: usize, to: usize) -> Option<u64> {
        let rtt = |from, to| {
            let micros = *self.facts(from)?.rtts.get(to)?;
            (micros > 0).then(|| u64::from(micros).saturating_mul(500))
        };
        rtt(from, to).or_else(|| rtt(to, from))
    }

    /// Whether everybody has answered and the distance of every two members is known.
    pub(super) fn is_whole(&self) -> bool {
        let pairs = (0..self.len()).flat_map(|from| (1..self.len()).map(move |to| (from, to)));
        self.facts.iter().all(Option::is_some)
            && pairs
                .filter(|(from, to)| from != to)
                .all(|(from, to)| self.delay(from, to).is_some())
    }

    /// Whether every member takes part in a plan.
    pub(super) fn is_complete(&self) -> bool {
        self.is_whole() && self.ready().len() == self.len()
    }

    /// The members that are in a better plan, the top first, and the place of the parent of each
    /// among these; `None` if there is no better plan. It has to be worth so many times as much as
    /// at first.
    pub(super) fn better(&self, factor: u32) -> Option<(Vec<usize>, Vec<usize>)> {
        let members = self.ready();
        let (parents, cost) = self.family(&members).best()?;
        self.gains(&members, cost, factor).then_some((members, parents))
    }

    /// Whether an arrangement of that cost is enough of a gain.
    fn gains(&self, members: &[usize], cost: u64, factor: u32) -> bool {
        let Some(now) = self.cost_now(members) else { return true };
        let least = now.checked_div(GAIN).unwrap_or(0).max(1).saturating_mul(u64::from(factor));
        cost.saturating_add(least) <= now
    }

    /// What it costs as it is; `None` if it must not stay so.
    fn cost_now(&self, members: &[usize]) -> Option<u64> {
        let place = |of: usize| members.iter().position(|&member| member == of);
        let parents: Option<Vec<usize>> = members
            .iter()
            .map(|&member| if member == 0 { Some(0) } else { place(self.parent(member)?) })
            .collect();
        self.family(members).cost(&parents?)
    }

    /// The top, and whoever waits for a plan below somebody who does too.
    fn ready(&self) -> Vec<usize> {
        let mut ready: Vec<usize> = vec![0];
        for member in 1..self.len() {
            let waits = self.facts(member).is_some_and(|facts| facts.ready);
            let placed = self.parent(member).is_some_and(|parent| ready.contains(&parent));
            if waits && placed {
                ready.push(member);
            }
        }
        ready
    }

    /// The family of some members. The others stay where they are, and go with those above them.
    fn family(&self, members: &[usize]) -> Family {
        let mut weights = Vec::with_capacity(members.len());
        let mut slots = Vec::with_capacity(members.len());
        for &member in members {
            let facts = self.facts(member);
            let stay = (1..self.len())
                .filter(|other| self.parent(*other) == Some(member) && !members.contains(other));
            let stay = stay.count();
            weights.push(facts.map_or(0, |facts| u64::from(facts.weight).max(1)));
            slots.push(facts.map_or(0, |facts| usize::from(facts.slots).saturating_sub(stay)));
        }
        let row = |from: usize| members.iter().map(|&to| self.delay(from, to)).collect();
        Family { weights, slots, delays: members.iter().map(|&from| row(from)).collect() }
    }
}
