//! Other numbers of hosts, in the same proportions.

use super::{MAX_HOSTS, Place, Problem, TopologyError};
use quilt_proto::Rng;

/// Refuses no hosts and too many.
pub(super) fn check_count(file: &str, hosts: usize) -> Result<(), TopologyError> {
    match hosts {
        0 => Err(TopologyError::new(file, Problem::NoHosts)),
        1..=MAX_HOSTS => Ok(()),
        _ => Err(TopologyError::new(file, Problem::TooManyHosts { hosts })),
    }
}

/// Splits `wanted` in proportion to `shares`; what is left by rounding down goes to the largest
/// remainders (Hamilton's method), to the first of equal ones.
pub(super) fn in_proportion(shares: &[usize], wanted: usize) -> Vec<usize> {
    let total = shares.iter().map(|&share| share as u128).sum::<u128>().max(1);
    let exact = |share: usize| share as u128 * wanted as u128;
    let mut parts: Vec<usize> = shares.iter().map(|&s| (exact(s) / total) as usize).collect();
    let mut by_remainder: Vec<usize> = (0..shares.len()).collect();
    by_remainder.sort_by_key(|&index| (std::cmp::Reverse(exact(shares[index]) % total), index));
    let left = wanted.saturating_sub(parts.iter().sum());
    by_remainder.into_iter().take(left).for_each(|index| parts[index] += 1);
    parts
}

/// Which of `available` hosts make up `wanted`: all of them as often as they fit, and a random
/// sample for the rest. Copies of one host are neighbours in the result.
pub(super) fn repeat(available: usize, wanted: usize, seed: u64) -> Vec<usize> {
    let Some(whole) = wanted.checked_div(available) else { return Vec::new() };
    let mut order: Vec<usize> = (0..available).collect();
    Rng::new(seed).fork("hosts").shuffle(&mut order);
    let mut copies = vec![whole; available];
    order[..wanted % available].iter().for_each(|&host| copies[host] += 1);
    (0..available).flat_map(|host| std::iter::repeat_n(host, copies[host])).collect()
}

/// The places that `chosen` names; a copy is called after its original with a number behind.
pub(super) fn places(originals: &[Place], chosen: &[usize]) -> Vec<Place> {
    let mut copy = 0;
    let mut places: Vec<Place> = Vec::with_capacity(chosen.len());
    for (index, &original) in chosen.iter().enumerate() {
        let again = index > 0 && chosen[index - 1] == original;
        copy = if again { copy + 1 } else { 0 };
        let mut place = originals[original].clone();
        if copy > 0 {
            place.name = format!("{}+{copy}", place.name);
        }
        places.push(place);
    }
    number_regions(&mut places);
    places
}

/// Regions from 0 without holes, in the order of their first hosts.
pub(super) fn number_regions(places: &mut [Place]) {
    let mut numbers = std::collections::BTreeMap::new();
    for place in places {
        let next = numbers.len() as u32;
        place.region = *numbers.entry(place.region).or_insert(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proportions_are_kept_to_less_than_one_host() {
        let shares = [48, 51, 93, 10, 34, 1, 0, 310];
        let total: usize = shares.iter().sum();
        for wanted in [0, 1, 7, 100, total, 1_531, 99_999] {
            let parts = in_proportion(&shares, wanted);
            assert_eq!(parts.iter().sum::<usize>(), wanted);
            for (&part, &share) in parts.iter().zip(&shares) {
                let exact = share as f64 * wanted as f64 / total as f64;
                assert!((part as f64 - exact).abs() < 1.0, "{part} of {exact}");
            }
        }
        assert_eq!(in_proportion(&shares, total), shares);
        assert_eq!(in_proportion(&[], 5), Vec::<usize>::new());
    }

    #[test]
    fn every_host_is_repeated_as_often_as_any_other_or_once_more() {
        for wanted in [1, 9, 10, 11, 95, 100] {
            let chosen = repeat(10, wanted, 3);
            assert_eq!(chosen.len(), wanted);
            assert!(chosen.is_sorted());
            let copies = |host| chosen.iter().filter(|&&other| other == host).count();
            assert!(
                (0..10).all(|host| (wanted / 10..=wanted.div_ceil(10)).contains(&copies(host)))
            );
        }
        assert_eq!(repeat(10, 10, 3), (0..10).collect::<Vec<_>>());
        assert_eq!(repeat(10, 5, 3), repeat(10, 5, 3));
        assert_ne!(repeat(10, 5, 3), repeat(10, 5, 4));
    }

    #[test]
    fn copies_have_names_of_their_own_and_regions_have_no_holes() {
        let original = |name: &str, region| Place { name: name.into(), region, ..Place::default() };
        let places = places(&[original("a", 4), original("b", 0), original("c", 9)], &[0, 0, 2, 2]);
        let seen: Vec<_> = places.iter().map(|p| (p.name.as_str(), p.region)).collect();
        assert_eq!(seen, [("a", 0), ("a+1", 0), ("c", 1), ("c+1", 1)]);
    }
}
