//! The whole of what a core asks of whoever embeds it, written out: a bootstrap service and three
//! hosts, with queues in memory for sockets and a number for a clock.
//!
//! `cargo run -p quilt-proto --example by_hand`

use quilt_proto::{
    Action, Bootstrap, BootstrapConfig, Config, Event, Group, GroupId, HostId, Incarnation,
    LinkError, LinkId, Machine, Node, Notice, Time,
};
use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

/// A machine, by its place in [`World::machines`], and what it calls the link.
type End = (usize, LinkId);

/// Machines of both kinds, and the cables between them.
struct World {
    service: Bootstrap,
    nodes: Vec<Node>,
    now: Time,
    /// Every open link, with its other end; none while it is dialled in vain.
    links: BTreeMap<End, Option<End>>,
    /// What happens next, in order.
    events: VecDeque<(usize, Event)>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let node = |number: u8| {
        let config = Config::new(HostId([number; 32]), Incarnation(1), address(number.into()));
        Node::new(config, number.into())
    };
    let mut world = World {
        service: Bootstrap::new(BootstrapConfig::default(), 0),
        nodes: [1, 2, 3].map(node).into(),
        now: Time::ZERO,
        links: BTreeMap::new(),
        events: VecDeque::new(),
    };

    for node in &mut world.nodes {
        let group = Group::new("tea", address(0));
        node.join(world.now, group)?;
    }
    world.run_for(Duration::from_secs(2));

    world.nodes[0].publish(world.now, GroupId::named("tea"), "the kettle is on".into())?;
    world.run_for(Duration::from_secs(1));

    for (number, node) in (1..).zip(&mut world.nodes) {
        while let Some((_, notice)) = node.poll_notice() {
            match notice {
                Notice::Message(message) => {
                    println!("host {number} hears {:?}", message.body.into_bytes());
                }
                other => println!("host {number}: {other:?}"),
            }
        }
    }
    Ok(())
}

/// Where a machine listens. The last byte says which it is.
fn address(machine: usize) -> SocketAddr {
    ([10, 0, 0, u8::try_from(machine).unwrap_or(u8::MAX)], 7_400).into()
}

impl World {
    fn machines(&mut self) -> impl Iterator<Item = &mut dyn Machine> {
        let nodes = self.nodes.iter_mut().map(|node| node as &mut dyn Machine);
        std::iter::once(&mut self.service as &mut dyn Machine).chain(nodes)
    }

    fn machine(&mut self, at: usize) -> &mut dyn Machine {
        self.machines().nth(at).expect("only machines of this world have addresses and links")
    }

    /// Lets time jump from deadline to deadline, and everything happen that follows at once.
    fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            // The application may have called any machine, so all are asked what follows from it.
            (0..=self.nodes.len()).for_each(|at| self.act(at));
            while let Some((at, event)) = self.events.pop_front() {
                self.handle(at, event);
                self.act(at);
            }
            let deadlines = self.machines().map(|machine| machine.poll_timeout()).enumerate();
            let next = deadlines.filter_map(|(at, time)| Some((time?, at))).min();
            let Some((time, at)) = next.filter(|&(time, _)| time <= end) else { break };
            self.now = self.now.max(time);
            self.events.push_back((at, Event::Timeout));
        }
        self.now = end;
    }

    fn handle(&mut self, at: usize, event: Event) {
        let is_open = match &event {
            Event::Opened { link } | Event::Received { link, .. } => {
                self.links.contains_key(&(at, *link))
            }
            Event::Closed { link, .. } => self.links.remove(&(at, *link)).is_some(),
            _ => true,
        };
        // A machine that has closed a link hears nothing more of it.
        if is_open {
            let now = self.now;
            self.machine(at).handle(now, event);
        }
    }

    /// Does what a machine wants done.
    fn act(&mut self, at: usize) {
        while let Some(action) = self.machine(at).poll_action() {
            match action {
                Action::Dial { link, to, .. } => self.dial((at, link), to),
                // Nobody has IP multicast here, and the machine finds a way without.
                Action::JoinMulticast { link, .. } => self.close((at, link), LinkError::NoRoom),
                // A probe needs no answer.
                Action::Probe { .. } => {}
                Action::Close { link } => {
                    if let Some(Some((far, link))) = self.links.remove(&(at, link)) {
                        self.events
                            .push_back((far, Event::Closed { link, cause: LinkError::Ended }));
                    }
                }
                Action::Look { link } => self.pull((at, link)),
            }
        }
    }

    fn dial(&mut self, near: End, to: SocketAddr) {
        let (now, from) = (self.now, address(near.0));
        let listener = (0..=self.nodes.len()).find(|&at| address(at) == to);
        let accepted = listener.and_then(|at| Some((at, self.machine(at).accept(now, from)?)));
        match accepted {
            Some(far) => {
                self.links.extend([(near, Some(far)), (far, Some(near))]);
                self.events.push_back((near.0, Event::Opened { link: near.1 }));
            }
            None => self.close(near, LinkError::Refused),
        }
    }

    fn close(&mut self, (at, link): End, cause: LinkError) {
        self.links.insert((at, link), None);
        self.events.push_back((at, Event::Closed { link, cause }));
    }

    /// Carries the packets of a link. These cables take everything at once; a socket that is full
    /// would end the loop, and go on when it is writable.
    fn pull(&mut self, near: End) {
        while let Some(packet) = self.machine(near.0).poll_transmit(near.1) {
            let (from, bytes) = (address(near.0), packet.to_chunks());
            if let Some(to) = packet.to {
                let event = Event::Datagram { link: LinkId::UDP, from, bytes };
                let listener = (0..=self.nodes.len()).find(|&at| address(at) == to);
                self.events.extend(listener.map(|at| (at, event)));
            } else if let Some(&Some((far, link))) = self.links.get(&near) {
                self.events.push_back((far, Event::Received { link, bytes }));
            }
        }
    }
}
