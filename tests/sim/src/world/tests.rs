use super::*;
use crate::population::{Population, System};
use crate::run::Spec;
use quilt_proto::LinkId;

/// A link that no node knows of, so that it does nothing with it.
const LINK: LinkId = LinkId(1 << 40);

/// Two nodes on one switch.
fn two() -> World {
    let topology = Topology::lan(2).unwrap();
    let population: Population = Spec::new("lan", topology.clone(), System::Quilt).population;
    let mut world = World::new(topology, 1);
    let mut rng = Rng::new(1);
    for place in 0..2 {
        let address = world.address(place);
        let config = population.config(world.net(), place, address, &mut rng);
        world.add_node(place, Node::new(config, 1));
    }
    world
}

/// The first of two hosts dials the second.
fn dial(world: &mut World) {
    let to = world.address(1);
    world.dial(0, LINK, to, None);
}

fn ends(world: &World) -> (usize, usize) {
    (world.streams.of(0).len(), world.streams.of(1).len())
}

#[test]
fn the_system_of_an_ended_process_refuses_streams() {
    let mut world = two();
    world.kill(HostIndex(1), Life::Down);
    dial(&mut world);
    assert_eq!(ends(&world), (1, 0));
    world.run_for(Duration::from_millis(1));
    assert_eq!(ends(&world), (0, 0), "in one round trip");
}

#[test]
fn a_host_that_is_off_lets_the_dialler_wait() {
    let mut world = two();
    world.kill(HostIndex(1), Life::Off);
    dial(&mut world);
    world.run_for(Duration::from_secs(10));
    assert_eq!(ends(&world), (1, 0));
    assert_eq!(world.dropped(DropCause::Unheard), 4, "after 0, 1, 3 and 7 s");
    world.run_for(Duration::from_secs(600));
    assert_eq!(ends(&world), (0, 0), "it is given up in the end");
}

#[test]
fn open_streams_end_with_the_process_and_stay_where_the_host_is_silent() {
    for (life, left) in [(Life::Down, 0), (Life::Off, 1)] {
        let mut world = two();
        dial(&mut world);
        world.run_for(Duration::from_millis(1));
        assert_eq!(ends(&world), (1, 1));
        world.kill(HostIndex(1), life);
        world.run_for(Duration::from_millis(1));
        assert_eq!(ends(&world), (left, 0), "{life:?}");
    }
}

#[test]
fn a_stream_that_a_dead_host_had_half_accepted_does_not_live_on_after_its_restart() {
    let mut world = two();
    dial(&mut world);
    world.run_for(Duration::from_micros(150));
    assert_eq!(ends(&world), (1, 1), "the answer is under way");
    world.kill(HostIndex(1), Life::Off);
    assert_eq!(ends(&world), (1, 0));
    let machine = two().hosts.remove(1).machine;
    world.restart(HostIndex(1), machine);
    world.run_for(Duration::from_secs(5));
    assert_eq!(ends(&world), (0, 0), "the new process knows nothing of it, and resets it");
}

#[test]
fn garbage_of_every_kind_is_counted_once() {
    let mut world = two();
    let (from, to) = (world.address(0), world.address(1));
    let bytes: [&'static [u8]; 4] =
        [&[], &[1, 0], &[99; 40], &[1, 99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]];
    for bytes in bytes.map(Bytes::from_static) {
        let (body, load) = (Body::Datagram(bytes.into()), Load::default());
        world.send(NicId(0), Packet { from, to, ttl: DEFAULT_TTL, body, load });
    }
    world.run_for(Duration::from_millis(1));
    assert_eq!(bounds::accounted(world.hosts[1].counters()), 4);
    assert_eq!(world.violations().all(), []);
}

#[test]
fn datagrams_leave_by_the_interface_whose_network_fits_and_else_by_the_first() {
    let mut topology = Topology::lan(4).unwrap();
    (topology.hosts[1].region, topology.hosts[2].region, topology.hosts[3].region) = (1, 1, 2);
    let population = Spec::new("lan", topology.clone(), System::Quilt).population;
    let mut world = World::new(topology, 1);
    let address = world.address(0);
    let config = population.config(world.net(), 0, address, &mut Rng::new(1));
    let host = world.add_node(0, Node::new(config, 1));
    world.add_nic(host, 1);
    let nics = world.nics(host).to_vec();
    assert_eq!(nics.len(), 2);
    assert_eq!(world.nic_towards(0, world.address(2)), nics[1], "it is in the other region");
    assert_eq!(world.nic_towards(0, world.address(0)), nics[0]);
    assert_eq!(world.nic_towards(0, world.address(3)), nics[0], "no network of its fits");
}
