//! The least of a scenario in which the same invariant is broken.

use super::Found;
use crate::scenario::Scenario;

/// The most runs for that.
pub const MOST_TRIES: u64 = 100;

/// Leaves out of the scenario whatever is not needed to break the invariant that was broken first.
/// `judge` says what is broken in a scenario, and `progress` is told how many runs were made.
pub(super) fn shrink(
    mut found: Found,
    judge: impl Fn(&Scenario) -> Vec<String>,
    mut progress: impl FnMut(u64),
) -> Found {
    let wanted = invariant(&found.violations);
    let mut size = pieces(&found.scenario);
    let mut chunk = size.div_ceil(2);
    while chunk > 0 && found.tries < MOST_TRIES {
        let mut from = 0;
        while from < size && found.tries < MOST_TRIES {
            let less = without(&found.scenario, from, chunk);
            found.tries += 1;
            let violations = judge(&less);
            progress(found.tries);
            if invariant(&violations) == wanted {
                (found.scenario, found.violations) = (less, violations);
                size = pieces(&found.scenario);
            } else {
                from += chunk;
            }
        }
        chunk /= 2;
    }
    found
}

/// The name of the invariant that is broken first.
fn invariant(violations: &[String]) -> Option<String> {
    violations.first()?.split_whitespace().next().map(str::to_owned)
}

/// How many pieces can be left out.
fn pieces(scenario: &Scenario) -> usize {
    let script = &scenario.script;
    script.joins.len() + script.environment.len() + script.faults.len() + script.workload.len()
}

/// The scenario without `count` of its pieces, from the one with number `from` on.
fn without(scenario: &Scenario, from: usize, count: usize) -> Scenario {
    let mut less = scenario.clone();
    let mut number = 0;
    let mut stays = || {
        number += 1;
        !(from..from + count).contains(&(number - 1))
    };
    less.script.joins.retain(|_| stays());
    less.script.environment.retain(|_| stays());
    less.script.faults.retain(|_| stays());
    less.script.workload.retain(|_| stays());
    less
}
