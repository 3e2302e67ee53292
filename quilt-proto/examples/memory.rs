//! Two sites on a network in memory, driven by hand: no sockets, no clock, no threads.
//!
//! `cargo run -p quilt-proto --example memory`. Built for `wasm32-unknown-unknown`, it shows that
//! the core wants nothing of its environment.

use quilt_proto::euid::{Euid, RouterId};
use quilt_proto::memory::{HostIndex, Network};
use quilt_proto::{
    Bootstrap, BootstrapConfig, Config, Group, GroupId, HostId, Incarnation, Node, Notice,
};
use std::net::SocketAddr;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut network = Network::new(7);
    let service: SocketAddr = "10.0.0.1:7400".parse()?;
    network.add_bootstrap(service, Bootstrap::new(BootstrapConfig::default(), 7));

    // Site 1 has IP multicast, site 2 has not.
    let hosts: Vec<HostIndex> = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
        .map(|(site, number)| {
            let address = SocketAddr::from(([10, site, 0, number], 7_400));
            let mut id = [0; 32];
            (id[0], id[1]) = (site, number);
            let mut config = Config::new(HostId(id), Incarnation(1), address);
            config.nics[0].euid = surroundings(site);
            let seed = u64::from(site) << 8 | u64::from(number);
            let host = network.add_node(address, Node::new(config, seed));
            let group = Group::new("news", service);
            network.call(host, |node, now| node.join(now, group)).map(|_| host)
        })
        .into_iter()
        .collect::<Result<_, _>>()?;
    network.run_for(Duration::from_secs(2));

    let news = GroupId::named("news");
    network.call(hosts[0], |node, now| node.publish(now, news, "hello".into()))?;
    network.run_for(Duration::from_secs(1));
    for &host in &hosts {
        for (_, notice) in network.take_notices(host) {
            match notice {
                Notice::Joined(place) => {
                    println!("joined patch {}: {}, {}", place.patch, place.protocol, place.role);
                }
                Notice::Message(message) => {
                    println!("received {:?}", message.body.into_bytes());
                }
                other => println!("{other:?}"),
            }
        }
    }
    Ok(())
}

fn surroundings(site: u8) -> Euid {
    let mut euid = Euid::reachable();
    euid.topology.insert(RouterId::named(&format!("gateway {site}")), 1, site == 1);
    euid
}
