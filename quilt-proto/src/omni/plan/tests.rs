//! The planner beside one that tries everything.

use super::*;
use proptest::collection::vec as vec_of;
use proptest::prelude::*;

/// All arrangements, one after the other.
fn exhaustive(family: &Family) -> Option<u64> {
    let members = family.weights.len();
    let mut parents = vec![0_usize; members];
    let mut best: Option<u64> = None;
    loop {
        if let Some(cost) = family.cost(&parents) {
            best = Some(best.map_or(cost, |best| best.min(cost)));
        }
        let Some(next) = (1..members).find(|&member| parents[member] + 1 < members) else {
            return best;
        };
        parents[next] += 1;
        parents[1..next].fill(0);
    }
}

fn family() -> impl Strategy<Value = Family> {
    (2_usize..=6).prop_flat_map(|members| {
        let delays =
            vec_of(vec_of(proptest::option::weighted(0.9, 1_u64..1_000), members), members);
        (vec_of(0_u64..20, members), vec_of(0_usize..4, members), delays)
            .prop_map(|(weights, slots, delays)| Family { weights, slots, delays })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_arrangement_costs_less_than_the_best(family in family()) {
        let best = family.best();
        prop_assert_eq!(best.as_ref().map(|(_, cost)| *cost), exhaustive(&family));
        if let Some((parents, cost)) = best {
            prop_assert_eq!(family.cost(&parents), Some(cost));
        }
    }

    #[test]
    fn whatever_is_claimed_the_planner_answers(
        delay in prop_oneof![Just(0), any::<u64>()],
        weight: u64,
        members in 0_usize..=12,
    ) {
        let family = Family {
            weights: vec![weight; members],
            slots: vec![2; members],
            delays: vec![vec![Some(delay); members]; members],
        };
        let _ = family.best();
    }
}

#[test]
fn a_far_child_is_moved_below_a_near_one() {
    // Two members at one far place, and one slot at the top.
    let far = vec![
        vec![None, Some(10), Some(10)],
        vec![Some(10), None, Some(1)],
        vec![Some(10), Some(1), None],
    ];
    let family = Family { weights: vec![0, 1, 5], slots: vec![1, 1, 1], delays: far };
    assert_eq!(family.best(), Some((vec![0, 2, 0], 5 * 10 + 11)));
    assert_eq!(family.cost(&[0, 0, 0]), None, "two children are too many");
    assert_eq!(family.cost(&[0, 2, 1]), None, "a cycle");
}
