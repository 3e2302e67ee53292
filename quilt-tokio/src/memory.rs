//! A network within one process, for examples and tests: no sockets, no loss, no latency.

use crate::driver::{Carrier, Driver, Task};
use crate::node::resolve;
use crate::{Bootstrap, BootstrapConfig, JoinError, Node, Options, Url};
use quilt_proto::euid::Euid;
use quilt_proto::{Action, Chunks, Event, LinkError, LinkId, Machine, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// The port of every host in memory.
const PORT: u16 = 7400;

/// A network within this process. Clones are the same network.
///
/// What is under way in it is not bounded: it is for examples and tests.
#[derive(Clone, Default)]
pub struct Network(Arc<Mutex<Hub>>);

#[derive(Default)]
struct Hub {
    hosts: BTreeMap<SocketAddr, UnboundedSender<Packet>>,
    memberships: BTreeSet<(SocketAddr, SocketAddr, LinkId)>,
    last: u32,
}

impl Network {
    /// A network without hosts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a bootstrap service on a host of its own.
    pub fn bootstrap(&self, config: BootstrapConfig) -> Bootstrap {
        let address = self.next_address();
        let bootstrap = Bootstrap::new(config, address);
        self.attach(bootstrap.driver(), address);
        bootstrap
    }

    /// Takes a new host into a group whose bootstrap service runs in this network. Of `options`,
    /// `bind`, `sense` and `resolver` have no meaning here: all hosts reach each other, and that is all
    /// that they know beside what `options` say.
    ///
    /// # Errors
    /// The group does not take the host in.
    pub async fn join(&self, url: &Url, mut options: Options) -> Result<Node, JoinError> {
        let bootstrap = resolve(url).await?;
        options.sense = false;
        if options.surroundings.connectivity.is_empty() {
            options.surroundings.connectivity = Euid::reachable().connectivity;
        }
        let address = self.next_address();
        let group = options.group(url.group(), bootstrap);
        let node = Node::new(options, address);
        self.attach(node.driver(), address);
        node.admit(group).await
    }

    fn next_address(&self) -> SocketAddr {
        let mut hub = self.lock();
        hub.last += 1;
        (Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + hub.last), PORT).into()
    }

    fn attach<M: Machine + Send + 'static>(&self, driver: &Arc<Driver<M>>, address: SocketAddr) {
        let (sender, mut packets) = unbounded_channel();
        self.lock().hosts.insert(address, sender);
        let receiver = driver.clone();
        let receive = async move {
            while let Some(packet) = packets.recv().await {
                receiver.on_packet(packet);
            }
        };
        let tasks = vec![Task::spawn(driver.clone().keep_time()), Task::spawn(receive)];
        let network = self.clone();
        driver.run(Carrier::Memory(Port {
            network,
            address,
            links: BTreeMap::new(),
            _tasks: tasks,
        }));
    }

    /// False if nobody is at `to`.
    fn send(&self, to: SocketAddr, packet: Packet) -> bool {
        self.lock().hosts.get(&to).is_some_and(|host| host.send(packet).is_ok())
    }

    fn lock(&self) -> MutexGuard<'_, Hub> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one host of the network hands to another. A link is named as the receiver names it.
pub(crate) enum Packet {
    Datagram { link: LinkId, from: SocketAddr, bytes: Chunks },
    Dial { from: SocketAddr, theirs: LinkId },
    Accepted { link: LinkId, theirs: LinkId },
    Stream { link: LinkId, bytes: Chunks },
    Joined { link: LinkId },
    Closed { link: LinkId, cause: LinkError },
}

/// A host's place in the network.
pub(crate) struct Port {
    network: Network,
    address: SocketAddr,
    links: BTreeMap<LinkId, Far>,
    _tasks: Vec<Task>,
}

/// What is at the other end of a link.
enum Far {
    Dialled(SocketAddr),
    Stream(SocketAddr, LinkId),
    Multicast(SocketAddr),
}

impl Port {
    pub(crate) fn act(&mut self, machine: &mut impl Machine, action: Action) {
        match action {
            Action::Dial { link, to, .. } => {
                self.links.insert(link, Far::Dialled(to));
                if !self.network.send(to, Packet::Dial { from: self.address, theirs: link }) {
                    self.post(Packet::Closed { link, cause: LinkError::Refused });
                }
            }
            Action::JoinMulticast { link, address, .. } => {
                self.links.insert(link, Far::Multicast(address));
                self.network.lock().memberships.insert((address, self.address, link));
                self.post(Packet::Joined { link });
            }
            // There are no routers.
            Action::Probe { .. } => {}
            Action::Close { link } => self.close(link),
            Action::Look { link } => self.transmit(machine, link),
        }
    }

    pub(crate) fn receive(&mut self, machine: &mut impl Machine, now: Time, packet: Packet) {
        let event = match packet {
            Packet::Dial { from, theirs } => {
                let reply = match machine.accept(now, from) {
                    Some(link) => {
                        self.links.insert(link, Far::Stream(from, theirs));
                        Packet::Accepted { link: theirs, theirs: link }
                    }
                    None => Packet::Closed { link: theirs, cause: LinkError::Reset },
                };
                self.network.send(from, reply);
                return;
            }
            Packet::Accepted { link, theirs } => {
                let Some(Far::Dialled(to)) = self.links.get(&link) else { return };
                self.links.insert(link, Far::Stream(*to, theirs));
                Event::Opened { link }
            }
            Packet::Datagram { link, from, bytes } if self.has(link) => {
                Event::Datagram { link, from, bytes }
            }
            Packet::Stream { link, bytes } if self.has(link) => Event::Received { link, bytes },
            Packet::Joined { link } if self.has(link) => Event::Opened { link },
            Packet::Closed { link, cause } if self.links.remove(&link).is_some() => {
                Event::Closed { link, cause }
            }
            _ => return,
        };
        machine.handle(now, event);
    }

    fn transmit(&mut self, machine: &mut impl Machine, link: LinkId) {
        while let Some(transmit) = machine.poll_transmit(link) {
            let bytes = transmit.to_chunks();
            match (self.links.get(&link), transmit.to) {
                (None, Some(to)) if link == LinkId::UDP => {
                    let from = self.address;
                    self.network.send(to, Packet::Datagram { link, from, bytes });
                }
                (Some(&Far::Stream(to, theirs)), _) => {
                    self.network.send(to, Packet::Stream { link: theirs, bytes });
                }
                (Some(&Far::Multicast(group)), _) => self.multicast(group, &bytes),
                _ => {}
            }
        }
    }

    fn multicast(&self, group: SocketAddr, bytes: &Chunks) {
        let all = self.network.lock().memberships.clone();
        for (_, to, link) in all.into_iter().filter(|&(address, ..)| address == group) {
            let bytes = bytes.clone();
            self.network.send(to, Packet::Datagram { link, from: self.address, bytes });
        }
    }

    fn close(&mut self, link: LinkId) {
        match self.links.remove(&link) {
            Some(Far::Stream(to, theirs)) => {
                self.network.send(to, Packet::Closed { link: theirs, cause: LinkError::Ended });
            }
            Some(Far::Multicast(group)) => {
                self.network.lock().memberships.remove(&(group, self.address, link));
            }
            Some(Far::Dialled(_)) | None => {}
        }
    }

    /// Tells the own machine something when its turn is over.
    fn post(&self, packet: Packet) {
        self.network.send(self.address, packet);
    }

    fn has(&self, link: LinkId) -> bool {
        link == LinkId::UDP || self.links.contains_key(&link)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        for link in std::mem::take(&mut self.links).into_keys() {
            self.close(link);
        }
        self.network.lock().hosts.remove(&self.address);
    }
}
