//! Switches: bridges, with what they know of IP multicast.

use crate::node::{Node, cable};
use std::cell::Cell;

/// What a switch does with IP multicast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multicast {
    /// It goes out at every port.
    Flooded,
    /// It goes where somebody reported to be a member (IGMP snooping). The switch asks for such
    /// reports itself, each second; who has not answered for three is not a member any more.
    Snooped,
    /// It goes nowhere.
    Dropped,
}

/// A switch. It goes when it is dropped.
#[derive(Debug)]
pub struct Switch {
    node: Node,
    ports: Cell<u32>,
}

impl Switch {
    /// A switch with no ports yet.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn new(name: &str, multicast: Multicast) -> Self {
        let node = Node::new(name);
        let snooping = if multicast == Multicast::Snooped { 1 } else { 0 };
        // Times are in hundredths of a second; a querier takes those that it finds. IPv6 would add chatter and is not looked at.
        node.set("net.ipv6.conf.all.disable_ipv6", "1");
        node.ip(&format!(
            "link add br0 type bridge mcast_snooping {snooping} \
             mcast_query_interval 100 mcast_query_response_interval 50 \
             mcast_startup_query_interval 50 mcast_membership_interval 300\n\
             link set br0 type bridge mcast_querier {snooping}\n\
             link set br0 up"
        ));
        let switch = Self { node, ports: Cell::new(0) };
        if multicast == Multicast::Dropped {
            switch.drop_multicast();
        }
        switch
    }

    /// Plugs a node's new interface in, which gets an address such as `10.1.0.7/24`; gives back the
    /// name of the port.
    ///
    /// # Panics
    /// The node has an interface of that name, or cannot have the address.
    pub fn plug(&self, node: &Node, interface: &str, address: &str) -> String {
        let port = format!("port{}", self.ports.get());
        self.ports.set(self.ports.get() + 1);
        cable((node, interface), (&self.node, &port));
        self.node.ip(&format!("link set {port} master br0"));
        node.ip(&format!("address add {address} dev {interface}"));
        port
    }

    /// From now on IP multicast goes nowhere.
    ///
    /// # Panics
    /// The rule cannot be loaded.
    pub fn drop_multicast(&self) {
        self.node.nft(
            "table bridge multicast {
                chain dropped {
                    type filter hook forward priority filter
                    ip daddr 224.0.0.0/4 drop
                }
            }",
        );
    }

    /// From now on reports of IP-multicast membership that come in at this port are lost.
    ///
    /// # Panics
    /// The rule cannot be loaded.
    pub fn lose_reports(&self, port: &str) {
        self.node.nft(&format!(
            "table bridge reports {{
                chain {port} {{
                    type filter hook prerouting priority filter
                    iifname \"{port}\" ip protocol igmp drop
                }}
            }}"
        ));
    }
}
