//! A region that loses all its representatives at once.

mod lab;

use lab::Lab;
use quilt_proto::{GroupId, Role};
use quilt_sim::host::Life;
use quilt_sim::topology::{SiteLatency, Topology};
use quilt_sim::world::HostIndex;
use std::collections::BTreeMap;

const HOSTS: usize = 60;

/// The region and the role of a host.
fn standing(lab: &Lab, host: usize) -> (u32, Role) {
    let node = lab.world.node(HostIndex(host)).expect("a node");
    let place = node.place(GroupId::named("lab")).expect("it is in the group");
    (place.patch.0, place.role)
}

/// Turns all representatives of the largest region off in which the source is not; who is left there.
fn kill_representatives(lab: &mut Lab) -> Vec<usize> {
    let mut regions: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for host in 0..HOSTS {
        regions.entry(standing(lab, host).0).or_default().push(host);
    }
    regions.remove(&standing(lab, 0).0);
    let largest = regions.into_values().max_by_key(Vec::len).expect("there are several");
    let (dead, left): (Vec<usize>, Vec<usize>) =
        largest.into_iter().partition(|&host| standing(lab, host).1 == Role::Representative);
    assert!(dead.len() >= 2 && left.len() >= 3, "{} and {}", dead.len(), left.len());
    dead.into_iter().for_each(|host| lab.world.kill(HostIndex(host), Life::Off));
    left
}

fn standbys_step_in(with_service: bool) {
    let topology = Topology::data_center(Some(HOSTS), SiteLatency::Paper).expect("built in");
    let mut lab = Lab::new(topology);
    lab.join();
    lab.publish(100);
    if !with_service {
        lab.world.kill(HostIndex(HOSTS), Life::Off);
    }
    let left = kill_representatives(&mut lab);
    // For a second and a half.
    lab.publish(150);
    lab.run(100);
    let got: Vec<u64> = left.iter().map(|&host| lab.got(host)).collect();
    assert!(got.iter().all(|&got| got == lab.published), "of {}: {got:?}", lab.published);
    let stand_in = left.iter().filter(|&&host| standing(&lab, host).1 == Role::Representative);
    assert!(stand_in.count() > 0);
}

#[test]
fn a_standby_steps_in_at_once_for_representatives_that_all_died() {
    standbys_step_in(true);
}

#[test]
fn it_does_so_without_the_bootstrap_service() {
    standbys_step_in(false);
}
