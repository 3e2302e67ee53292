//! The scheduler's naive twin, for tests and for the benchmark beside it.
#![allow(clippy::arithmetic_side_effects)]

use super::schedule::{Supplier, Want};
use alloc::vec::Vec;

/// Picks one want after the other, and looks at all of them and at all suppliers each time.
pub(super) fn naive(
    wants: &[Want],
    suppliers: &mut [Supplier],
    most: usize,
) -> Vec<(usize, usize)> {
    let mut picked = Vec::new();
    let mut open: Vec<usize> = (0..wants.len()).collect();
    while picked.len() < most {
        let rarest = open.iter().copied().filter(|&at| wants[at].holders != 0);
        let Some(at) = rarest.min_by_key(|&at| (wants[at].holders.count_ones(), at)) else { break };
        open.retain(|&other| other != at);
        let mut best: Option<usize> = None;
        for of in (0..suppliers.len()).filter(|of| wants[at].holders >> of & 1 == 1) {
            let one = &suppliers[of];
            let arrival = one.rtt + one.pace * (one.asked as u32 + 1);
            if one.asked >= one.most || arrival > wants[at].left {
                continue;
            }
            let spare =
                |one: &Supplier| 1_000_000_000 / one.pace.as_nanos() as i64 - one.asked as i64;
            let better = best.is_none_or(|best| {
                let best = &suppliers[best];
                (one.late, -spare(one)) < (best.late, -spare(best))
            });
            best = if better { Some(of) } else { best };
        }
        if let Some(of) = best {
            suppliers[of].asked += 1;
            picked.push((at, of));
        }
    }
    picked
}
