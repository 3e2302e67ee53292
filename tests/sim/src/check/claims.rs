//! Which invariants a run claims, and why it does not claim the others.

use super::Invariant;
use crate::population::System;

/// The greatest loss at which L2 is claimed.
pub const CLAIMED_LOSS: f64 = 0.1;

/// What a run is put through.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// What is run.
    pub system: System,
    /// Hosts die.
    pub hosts_die: bool,
    /// Hosts stop for a while, or the network changes.
    pub disturbed: bool,
    /// The greatest share of packets that is lost at random.
    pub loss: f64,
}

/// The invariants that a system claims under the circumstances. Claims only ever grow. The package's
/// README says why the others are not claimed.
pub fn claims(under: Circumstances) -> Vec<Invariant> {
    use Invariant::*;
    let Circumstances { system, hosts_die, disturbed, loss } = under;
    let mut claimed = vec![S1, S2, S3, S4, S5, S6, S7, S8, S10, S11, S12, S13, S14, L4];
    if !disturbed {
        claimed.push(L5);
    }
    if !hosts_die && !disturbed && loss <= CLAIMED_LOSS {
        claimed.extend([L2, L6]);
    }
    if !hosts_die && !disturbed && loss == 0.0 {
        claimed.push(L3);
        if system == System::Donet {
            claimed.push(L1);
        }
    }
    claimed.sort_unstable();
    claimed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l2_is_claimed_where_nothing_happens_to_hosts_and_little_is_lost() {
        for system in System::ALL {
            let sound =
                Circumstances { system, hosts_die: false, disturbed: false, loss: CLAIMED_LOSS };
            assert!(claims(sound).contains(&Invariant::L2));
            for other in [
                Circumstances { hosts_die: true, ..sound },
                Circumstances { disturbed: true, ..sound },
                Circumstances { loss: 0.2, ..sound },
            ] {
                assert!(!claims(other).contains(&Invariant::L2), "{other:?}");
            }
        }
    }

    #[test]
    fn what_holds_for_want_of_anything_that_could_break_it_is_not_claimed() {
        let under =
            Circumstances { system: System::Quilt, hosts_die: false, disturbed: false, loss: 0.0 };
        assert!(!claims(under).contains(&Invariant::S9));
    }
}
