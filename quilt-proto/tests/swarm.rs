//! Random groups with random faults: what is promised holds in every one of them.

#![allow(clippy::arithmetic_side_effects, reason = "a test may panic")]

mod world;

use quilt_proto::{Notice, Rng};
use std::time::Duration;
use world::{Site, World};

/// Hosts join, publish and die, datagrams get lost, the bootstrap service may go away. Then the
/// faults stop, and everybody who is left must be in one group again.
fn swarm(seed: u64) {
    let mut rng = Rng::new(seed).fork("swarm");
    let sites: Vec<Site> = (0..1 + rng.index(5))
        .map(|_| Site { hosts: 1 + rng.index(6), multicast: rng.below(2) == 0 })
        .collect();
    let hosts: usize = sites.iter().map(|site| site.hosts).sum();
    let mut world = World::new(seed, &sites);
    world.net.set_latency(Duration::from_micros(200 + rng.below(20_000)));
    world.net.set_loss_permille(rng.below(150));
    world.join(0);
    let mut started = vec![false; hosts];
    started[0] = true;
    let service_dies = rng.below(3) == 0;
    for step in 0..80 {
        world.run(20 + rng.below(60));
        let host = rng.index(hosts);
        match rng.below(10) {
            0..=3 if !started[host] => {
                started[host] = true;
                world.join(host);
            }
            4 if step > 40 && host > 0 && started[host] && rng.below(2) == 0 => world.kill(host),
            _ if world.alive[host] && world.is_joined(host) => {
                world.publish(host, 1 + rng.index(9_000));
            }
            _ => {}
        }
        if step == 60 && service_dies {
            world.net.kill(world.service);
        }
    }
    world.net.set_loss_permille(0);
    if service_dies {
        world.net.replace_bootstrap(world.service, world::bootstrap(seed + 1));
    }
    world.run(25_000);
    let living: Vec<usize> =
        (0..hosts).filter(|&host| world.alive[host] && world.is_joined(host)).collect();
    let before: Vec<usize> = world.published.iter().map(Vec::len).collect();
    living.iter().for_each(|&host| world.publish(host, 2_000));
    world.run(5_000);
    for &host in &living {
        for &source in living.iter().filter(|&&source| source != host) {
            check(&world, host, source, before[source], seed);
        }
    }
}

/// Of one source a host was told everything from its admission on, in order, once, byte for byte;
/// and what was published after the faults without a gap.
fn check(world: &World, host: usize, source: usize, last: usize, seed: u64) {
    let tag = world.ids[source].tag();
    let mut next = None;
    let mut got_last = false;
    for notice in &world.told[host] {
        let (from, to) = match notice {
            Notice::Message(message) if message.source.host == tag => {
                let seq = message.seq.0 as usize;
                let body = message.body.clone().into_bytes();
                assert_eq!(body, world.published[source][seq], "seed {seed}: other bytes");
                got_last |= seq == last;
                (seq, seq)
            }
            Notice::Gap { source, from, to, .. } if source.host == tag => {
                (from.0 as usize, to.0 as usize)
            }
            _ => continue,
        };
        assert_eq!(next.unwrap_or(from), from, "seed {seed}: host {host}, source {source}");
        next = Some(to + 1);
    }
    let place = world.place(host);
    let counters = world.net.node(world.hosts[host]).counters();
    assert!(
        got_last,
        "seed {seed}: host {host} ({place:?}) misses message {last} of host {source} ({:?}), has up to {next:?}; {counters}",
        world.place(source)
    );
}

#[test]
fn after_the_faults_every_group_is_whole_again() {
    (0..24).for_each(swarm);
}
