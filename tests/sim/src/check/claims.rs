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
    /// The share of packets that is lost at random, in the end.
    pub loss: f64,
    /// One representative of a region forwards; otherwise there may be a copy by each.
    pub ranked: bool,
    /// DONet asks, and is told, in cycles of a second.
    pub cycles: bool,
    /// Hosts are far apart, as on the Internet.
    pub far: bool,
}

/// The invariants that a system claims under the circumstances. Claims only ever grow. The package's
/// README says why the others are not claimed.
pub fn claims(under: Circumstances) -> Vec<Invariant> {
    use Invariant::*;
    let Circumstances { system, hosts_die, disturbed, loss, ranked, cycles, far } = under;
    let mut claimed = vec![S1, S2, S3, S4, S5, S7, S8, S10, S11, S12, S13, S14, L4];
    if ranked {
        claimed.push(S6);
    }
    if !disturbed {
        claimed.push(L5);
    }
    if loss <= CLAIMED_LOSS {
        claimed.push(L2);
    }
    if !hosts_die && !disturbed && loss <= CLAIMED_LOSS {
        claimed.push(L6);
    }
    if !hosts_die && !disturbed && loss == 0.0 {
        if !cycles {
            claimed.push(L3);
        }
        if system == System::Donet || !far {
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
    fn l2_is_claimed_whatever_happens_to_hosts_where_little_is_lost() {
        for system in System::ALL {
            let sound = Circumstances { loss: CLAIMED_LOSS, ..calm(system) };
            for bad in [
                sound,
                Circumstances { hosts_die: true, ..sound },
                Circumstances { disturbed: true, ..sound },
            ] {
                assert!(claims(bad).contains(&Invariant::L2), "{bad:?}");
            }
            assert!(!claims(Circumstances { loss: 0.2, ..sound }).contains(&Invariant::L2));
        }
    }

    fn calm(system: System) -> Circumstances {
        let (hosts_die, disturbed, ranked, cycles, far) = (false, false, true, false, true);
        Circumstances { system, hosts_die, disturbed, loss: 0.0, ranked, cycles, far }
    }

    #[test]
    fn what_holds_for_want_of_anything_that_could_break_it_is_not_claimed() {
        let under = calm(System::Quilt);
        assert!(!claims(under).contains(&Invariant::S9));
    }
}
