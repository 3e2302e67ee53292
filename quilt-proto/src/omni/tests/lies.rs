//! One host that lies: it costs those below it at most.

use super::super::frame::Frame;
use super::super::values::{Lineage, Plan, Way};
use super::REGION;
use super::net::{Net, number};
use crate::protocol::bench::{contact, host};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const DEGREE: u8 = 4;
/// The host that lies.
const LIAR: u8 = 2;

/// Hosts that joined at once, one of which lied from the start.
fn grown(seed: u64, hosts: u8, lie: fn(&mut Frame)) -> Net {
    let mut net = Net::new(seed);
    net.liar = Some((LIAR, lie));
    net.grow(hosts, REGION, DEGREE);
    net.run(SECOND * 30);
    net
}

/// The hosts from one up to its root; `None` if there is a cycle.
fn path(net: &Net, n: u8) -> Option<Vec<u8>> {
    let mut path = alloc::vec![n];
    while let Some(parent) = net.parent(path[path.len() - 1]) {
        if path.contains(&parent) {
            return None;
        }
        path.push(parent);
    }
    Some(path)
}

/// The honest hosts with more children than the degree.
fn crowded(net: &Net) -> BTreeSet<u8> {
    let is_crowded = |n: u8| net.hosts[&n].protocol.children.len() > usize::from(DEGREE);
    net.hosts.keys().copied().filter(|&n| n != LIAR && is_crowded(n)).collect()
}

/// Whether every host is below the root, nobody has more children than the degree but while one of
/// them moves, and whatever is published there comes once to all that are not below the liar.
fn stands(net: &mut Net, hosts: u8) -> Result<(), TestCaseError> {
    let before = crowded(net);
    net.run(SECOND);
    let stays_crowded: Vec<_> = before.intersection(&crowded(net)).copied().collect();
    prop_assert!(stays_crowded.is_empty(), "{:?}", stays_crowded);
    let paths: Vec<_> = (1..=hosts).map(|n| path(net, n)).collect();
    let root = net.root();
    prop_assert!(paths.iter().flatten().all(|path| path.last() == Some(&root)), "{:?}", paths);
    prop_assert!(paths.iter().all(Option::is_some), "a cycle: {:?}", paths);
    let fragment = net.publish_at_rest(root);
    for path in paths.into_iter().flatten().filter(|path| !path[1..].contains(&LIAR)) {
        prop_assert_eq!(net.received.get(&(path[0], fragment)), Some(&1), "{:?}", path);
    }
    Ok(())
}

/// It serves more than all others together, and always has room.
fn says_it_serves_many(frame: &mut Frame) {
    match frame {
        Frame::ProbeReply { offer, .. } => {
            (offer.weight, offer.room_full) = (u32::MAX, u8::MAX);
        }
        Frame::Status(sketch) => sketch.weight = u32::MAX,
        Frame::Attach { weight, .. } | Frame::Seek { weight, .. } => *weight = u32::MAX,
        Frame::Facts(facts) => (facts.weight, facts.slots) = (u32::MAX, u8::MAX),
        Frame::Displace(wish) => wish.weight = u32::MAX,
        _ => {}
    }
}

/// It is where the root is, and all are next to it.
fn says_it_is_at_the_root(frame: &mut Frame) {
    match frame {
        Frame::ProbeReply { offer, .. } => offer.way.latency = Duration::ZERO,
        Frame::Accept { lineage, .. } | Frame::Adopt { lineage, .. } | Frame::Path(lineage) => {
            lineage.way.latency = Duration::ZERO;
        }
        Frame::Attach { rtt, .. } | Frame::Seek { rtt, .. } => *rtt = 1,
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_lie_about_clients_costs_those_below_the_liar_at_most(seed: u64, hosts in 8..=30_u8) {
        let mut net = grown(seed, hosts, says_it_serves_many);
        stands(&mut net, hosts)?;
    }

    #[test]
    fn a_lie_about_latency_costs_those_below_the_liar_at_most(seed: u64, hosts in 8..=30_u8) {
        let mut net = grown(seed, hosts, says_it_is_at_the_root);
        stands(&mut net, hosts)?;
    }

    #[test]
    fn a_parent_that_forwards_nothing_costs_those_below_it_at_most(
        seed: u64,
        hosts in 8..=30_u8,
    ) {
        let mut net = grown(seed, hosts, |_| ());
        net.silent = Some(LIAR);
        stands(&mut net, hosts)?;
    }

    #[test]
    fn whoever_claims_to_stand_above_its_parent_moves_nobody(seed: u64, hosts in 8..=30_u8) {
        let mut net = grown(seed, hosts, |_| ());
        net.settle(usize::from(DEGREE));
        let deep = (1..=hosts).find(|&n| path(&net, n).is_some_and(|path| path.len() > 2));
        let Some(child) = deep else { return Ok(()) };
        let parent = net.parent(child).unwrap();
        let above: Vec<_> = (1..=hosts).map(|n| net.parent(n)).collect();
        let root = number(net.hosts[&child].protocol.rank().root);
        let way = Way::top(&contact(root), false).extended(host(child), Duration::ZERO);
        let (members, parents) = ([child, parent].map(contact).into(), [0, 0].into());
        let claims = [
            Frame::Path(Lineage { way, grandparent: None, heirs: Vec::new() }),
            Frame::Gather { nonce: 7, wait_ms: 60_000, members: [child, parent].map(contact).into() },
            Frame::Invite(Plan { nonce: 7, members, parents }),
            Frame::Detach { as_child: false },
        ];
        claims.iter().for_each(|claim| net.forge(child, parent, claim));
        net.run(SECOND * 4);
        prop_assert_eq!(net.parent(parent), above[usize::from(parent) - 1]);
        net.settle(usize::from(DEGREE));
        stands(&mut net, hosts)?;
    }
}
