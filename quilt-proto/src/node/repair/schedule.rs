//! Who is asked for what: the rarest first, of whoever has most room and is in time.
//!
//! CoolStreaming/DONet (INFOCOM 2005), section III-C: what the fewest partners hold is asked for
//! first, and of those who hold it the one with the most bandwidth to spare that can still bring it
//! in time.

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

/// The most suppliers that are told apart: one bit each.
pub(super) const MAX_SUPPLIERS: usize = 64;
/// Bandwidth to spare is what a supplier could bring within this time.
const HORIZON: Duration = Duration::from_secs(1);

/// A fragment that is missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    /// Who holds it: bit `n` stands for supplier `n`.
    pub(super) holders: u64,
    /// How long it is still worth having; [`Duration::MAX`] if that has no end.
    pub(super) left: Duration,
}

/// Somebody who may be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Supplier {
    /// The round trip.
    pub(super) rtt: Duration,
    /// How long each fragment took, one behind the other.
    pub(super) pace: Duration,
    /// How many fragments it is asked for already, and how many it may be.
    pub(super) asked: usize,
    /// See `asked`.
    pub(super) most: usize,
    /// How often in a row it was late.
    pub(super) late: u32,
}

impl Supplier {
    /// When one more fragment would come.
    fn arrival(&self) -> Duration {
        let queue = u32::try_from(self.asked).unwrap_or(u32::MAX).saturating_add(1);
        self.rtt.saturating_add(self.pace.saturating_mul(queue))
    }

    /// How many fragments it could bring within the horizon, beyond those it is asked for.
    fn spare(&self) -> i64 {
        let most = HORIZON.as_nanos().checked_div(self.pace.as_nanos()).unwrap_or(u128::MAX);
        let asked = i64::try_from(self.asked).unwrap_or(i64::MAX);
        i64::try_from(most).unwrap_or(i64::MAX).saturating_sub(asked)
    }
}

/// Hands each want that is asked for now, with its supplier, to `ask`: at most `most` of them. Wants
/// are given the oldest first, which is the order among those that equally many hold.
pub(super) fn assign(
    wants: &[Want],
    suppliers: &mut [Supplier],
    most: usize,
    mut ask: impl FnMut(usize, usize),
) {
    let mut left = most;
    for at in by_rarity(wants) {
        if left == 0 {
            return;
        }
        let Some(want) = wants.get(at) else { continue };
        let Some(of) = best(*want, suppliers) else { continue };
        if let Some(supplier) = suppliers.get_mut(of) {
            supplier.asked = supplier.asked.saturating_add(1);
        }
        left = left.saturating_sub(1);
        ask(at, of);
    }
}

/// The wants that somebody holds, those of the fewest first; a counting sort.
fn by_rarity(wants: &[Want]) -> Vec<usize> {
    let mut starts = [0_usize; MAX_SUPPLIERS + 2];
    let rarity = |want: &Want| want.holders.count_ones() as usize;
    for want in wants {
        if let Some(count) = starts.get_mut(rarity(want).saturating_add(1)) {
            *count = count.saturating_add(1);
        }
    }
    let mut sum = 0_usize;
    for start in &mut starts {
        sum = sum.saturating_add(*start);
        *start = sum;
    }
    let held_by_none = starts.get(1).copied().unwrap_or(0);
    let mut order = alloc::vec![0; wants.len()];
    for (at, want) in wants.iter().enumerate() {
        let Some(next) = starts.get_mut(rarity(want)) else { continue };
        if let Some(place) = order.get_mut(*next) {
            *place = at;
        }
        *next = next.saturating_add(1);
    }
    order.drain(..held_by_none.min(order.len()));
    order
}

/// Of those who hold it, have room and are in time: who was late least, then who has most to spare.
fn best(want: Want, suppliers: &[Supplier]) -> Option<usize> {
    let mut holders = want.holders;
    let each = core::iter::from_fn(|| {
        let at = holders.trailing_zeros() as usize;
        holders &= holders.checked_sub(1)?;
        Some(at)
    });
    let able = each.filter_map(|at| Some((at, suppliers.get(at)?)));
    let able = able.filter(|(_, one)| one.asked < one.most && one.arrival() <= want.left);
    able.min_by_key(|&(at, one)| (one.late, Reverse(one.spare()), at)).map(|(at, _)| at)
}
