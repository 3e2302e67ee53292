//! Many hosts that join, die, leave and part.

use super::REGION;
use super::net::Net;
use crate::PatchId;
use crate::protocol::Protocol;
use alloc::vec::Vec;
use core::time::Duration;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const DEGREE: u8 = 4;

fn grown(seed: u64, hosts: u8) -> Net {
    let mut net = Net::new(seed);
    net.grow(hosts, REGION, DEGREE);
    net.heal(4, SECOND * 10);
    net.settle(4);
    net
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn hosts_that_join_at_once_form_one_tree(seed: u64, hosts in 2..=40_u8) {
        let mut net = Net::new(seed);
        net.grow(hosts, REGION, DEGREE);
        net.heal(4, SECOND * 5);
        net.settle(4);
    }

    #[test]
    fn a_fragment_reaches_every_host_once(seed: u64, hosts in 2..=40_u8, at: u8) {
        let mut net = grown(seed, hosts);
        let fragment = net.publish_at_rest(1 + at % hosts);
        for n in 1..=hosts {
            prop_assert_eq!(net.received.get(&(n, fragment)), Some(&1), "host {}", n);
        }
    }

    #[test]
    fn the_tree_heals_when_an_interior_host_dies(seed: u64, hosts in 10..=40_u8, which: u8) {
        let mut net = grown(seed, hosts);
        let interior = net.interior();
        let victim = interior[usize::from(which) % interior.len()];
        let root = net.root();
        net.kill(&[victim]);
        net.run(SECOND / 4);
        net.heal(4, SECOND * 4);
        prop_assert_eq!(net.root(), root);
    }

    #[test]
    fn one_heir_becomes_root_when_the_root_dies(seed: u64, hosts in 2..=40_u8) {
        let mut net = grown(seed, hosts);
        let heir = (2..=hosts).find(|&n| net.parent(n) == Some(1)).unwrap();
        net.kill(&[1]);
        net.run(SECOND / 4);
        net.heal(4, SECOND * 4);
        prop_assert_eq!(net.root(), heir);
    }

    #[test]
    fn the_next_heir_follows_when_the_first_dies_as_well(seed: u64, hosts in 6..=40_u8) {
        let mut net = grown(seed, hosts);
        let heir = (2..=hosts).find(|&n| net.parent(n) == Some(1)).unwrap();
        net.kill(&[1, heir]);
        net.run(SECOND / 4);
        net.heal(4, SECOND * 8);
    }

    #[test]
    fn half_of_the_hosts_die_and_the_rest_is_one_tree(seed: u64, hosts in 4..=40_u8) {
        let mut net = grown(seed, hosts);
        let mut victims: Vec<u8> = (1..=hosts).collect();
        net.rng.shuffle(&mut victims);
        victims.truncate(usize::from(hosts) / 2);
        net.kill(&victims);
        net.run(SECOND / 4);
        net.heal(4, SECOND * 15);
    }

    #[test]
    fn two_parts_become_one_tree_again(seed: u64, hosts in 4..=40_u8) {
        let mut net = grown(seed, hosts);
        let side: Vec<u8> = (1..=hosts).filter(|n| n % 2 == 0).collect();
        net.split(&side);
        net.run(SECOND * 10);
        net.split(&[]);
        net.heal(4, SECOND * 30);
    }

    #[test]
    fn a_tree_that_grew_while_a_third_of_the_datagrams_were_lost_is_whole_once_they_come(seed: u64, hosts in 8..=30_u8) {
        let mut net = Net::new(seed);
        net.loss = 30;
        net.grow(hosts, REGION, DEGREE);
        net.run(SECOND * 10);
        net.loss = 0;
        net.heal(4, SECOND * 30);
    }

    #[test]
    fn whoever_leaves_is_not_missed(seed: u64, hosts in 4..=40_u8, which: u8) {
        let mut net = grown(seed, hosts);
        let leaver = 1 + which % hosts;
        net.call(leaver, |tree, cx| tree.leave(cx));
        net.run(SECOND / 10);
        net.kill(&[leaver]);
        net.heal(4, SECOND * 4);
    }

    #[test]
    fn standbys_are_leaves_and_are_sent_nothing(seed: u64, hosts in 4..=40_u8) {
        let mut net = Net::new(seed);
        net.grow(hosts, PatchId::INTER_PATCH, DEGREE);
        let forwards = |n: u8| n % 3 == 0;
        for n in (1..=hosts).filter(|&n| forwards(n)) {
            net.call(n, |tree, cx| tree.on_forwarder(cx, true));
        }
        net.heal(8, SECOND * 15);
        net.settle(8);
        let root = net.root();
        let fragment = net.publish_at_rest(3);
        let standby = (1..=hosts).find(|&n| !forwards(n) && n != root);
        for n in 1..=hosts {
            let full = forwards(n) || n == root;
            prop_assert_eq!(net.received.get(&(n, fragment)), full.then_some(&1), "host {}", n);
            prop_assert!(full || net.hosts[&n].protocol.children.is_empty());
        }
        let Some(standby) = standby else { return Ok(()) };
        let own = net.publish_at_rest(standby);
        for n in (1..=hosts).filter(|&n| forwards(n) || n == root || n == standby) {
            prop_assert_eq!(net.received.get(&(n, own)), Some(&1), "host {}", n);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_tree() {
    let run = || {
        let mut net = grown(7, 30);
        net.kill(&[1, 5, 9]);
        net.run(SECOND * 3);
        let parents: Vec<_> = (1..=30).map(|n| net.parent(n)).collect();
        (parents, net.rng.next_u64())
    };
    assert_eq!(run(), run());
}
