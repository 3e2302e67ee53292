//! A host in a patch, and a test for the protocol that runs there.

use super::{Driver, Op, address, packet};
use crate::euid::{Barrier, Connectivity, Direction, Euid, RouterId, Transport};
use crate::protocol::Registry;
use crate::wire::{Assignment, Contact, Frame, Hello, Nic, Orders, Scope};
use crate::{
    Config, Delivery, Group, GroupId, HostId, Incarnation, Limits, Node, PatchId, ProtocolId, Role,
};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;

/// Plays `bytes` as ops at a member of a patch of `protocol`, and once more at another one.
///
/// # Panics
/// The protocol, or the host that runs it, breaks its contract; or `registry` has no such protocol.
pub fn check_member(registry: &Registry, protocol: ProtocolId, bytes: &[u8]) {
    let [first, second] = [(), ()].map(|()| {
        let mut member = Member::new(registry.clone(), protocol);
        Op::list(bytes).for_each(|op| member.apply(&op));
        member.driver.digest()
    });
    assert_eq!(first, second, "the same ops did not give the same packets");
}

/// A host that was placed in a patch with two others, as a representative if the wide area has
/// another protocol, and is driven by ops.
#[derive(Debug)]
pub struct Member {
    /// The host, and its adapter.
    pub driver: Driver<Node>,
    group: GroupId,
}

impl Member {
    /// The kinds of ops that [`apply`](Self::apply) knows beside [`Driver`]'s.
    pub const KINDS: u8 = 5;
    /// Where the bootstrap service is, as [`address`] names it.
    pub const SERVICE: u8 = 255;
    /// The members that it is told of, whose ids are 32 times these bytes.
    pub const OTHERS: [u8; 2] = [2, 3];
    /// The patch.
    pub const PATCH: PatchId = PatchId(9);

    /// It has joined, and been told of the others.
    ///
    /// # Panics
    /// The host breaks its contract, or `registry` has no such protocol.
    pub fn new(registry: Registry, protocol: ProtocolId) -> Self {
        assert!(registry.get(protocol).is_some(), "{protocol} is not in the registry");
        let limits = limits();
        let nics = [Nic { address: address(1).ip(), euid: euid() }].into_iter().collect();
        let config = Config::new(HostId([1; 32]), Incarnation(1), address(1));
        let mut driver = Driver::new(Node::new(Config { registry, limits, nics, ..config }, 1));
        let wish = Group::new("contract", address(Self::SERVICE));
        let group = driver.machine.join(driver.now, wish).expect("its first group");
        driver.settle();
        let mut member = Self { driver, group };
        member.told(Self::SERVICE, &Frame::Cookie { group, cookie: 7, seen: Some(address(1)) });
        member.told(Self::SERVICE, &Frame::Orders(Box::new(orders(group, protocol))));
        member
    }

    /// Lets one thing happen, and everything that follows from it. The kinds up to
    /// [`Driver::KINDS`] are [`Driver::apply`]'s; those behind it, modulo [`Member::KINDS`]:
    ///
    /// 0. one of the [others](Self::OTHERS) opens a stream, and says who it is
    /// 1. a frame of the protocol with this body comes on a stream; 2. so it does as a datagram
    /// 3. the payload is published; 4. the application reads what it was told
    ///
    /// # Panics
    /// The host breaks its contract.
    pub fn apply(&mut self, op: &Op<'_>) {
        self.play(op);
        let beyond = self.driver.machine.usage().beyond(&limits());
        assert_eq!(beyond, None, "what it has, beyond its limits");
    }

    fn play(&mut self, op: &Op<'_>) {
        let Some(kind) = op.kind.checked_sub(Driver::<Node>::KINDS) else {
            return self.driver.apply(op);
        };
        let Op { which, payload, .. } = *op;
        match kind.checked_rem(Self::KINDS) {
            Some(0) => {
                let [a, b] = Self::OTHERS;
                let other = if which % 2 == 0 { a } else { b };
                self.driver.apply(&Op { kind: 4, which: other, payload });
                let hello = encode(&Frame::Hello(hello(other)));
                self.driver.apply(&Op { kind: 3, which: other, payload: &hello });
            }
            Some(1) => self.apply_frames(3, which, payload),
            Some(2) => self.apply_frames(1, which, payload),
            Some(3) => {
                // It may well have no room, or not be admitted.
                let body = Bytes::copy_from_slice(payload);
                let _ = self.driver.machine.publish(self.driver.now, self.group, body);
                self.driver.settle();
            }
            _ => {
                while self.driver.machine.poll_notice().is_some() {}
                self.driver.settle();
            }
        }
    }

    fn apply_frames(&mut self, kind: u8, which: u8, body: &[u8]) {
        let (group, body) = (self.group, Bytes::copy_from_slice(body));
        let frames = encode(&Frame::Protocol { group, patch: Self::PATCH, body });
        self.driver.apply(&Op { kind, which, payload: &frames });
    }

    /// A frame comes as a datagram.
    fn told(&mut self, from: u8, frame: &Frame) {
        let payload = &packet(from, &encode(frame));
        self.driver.apply(&Op { kind: 0, which: from, payload });
    }
}

/// Bounds that ops can reach.
fn limits() -> Limits {
    Limits { links: 8, sources: 8, window_bytes: 64 << 10, ..Limits::default() }
}

/// A place in the patch, and one in the wide area.
fn orders(group: GroupId, protocol: ProtocolId) -> Orders {
    let assignment = |patch, scope, protocol| Assignment {
        patch,
        scope,
        protocol,
        role: Role::Representative,
        nic: 0,
        parameters: Bytes::new(),
        euid: euid(),
        representatives: [HostId([1; 32]), HostId([2; 32])].into_iter().collect(),
        standbys: [HostId([3; 32])].into_iter().collect(),
        contacts: Member::OTHERS.map(contact).to_vec(),
    };
    let mut assignments = vec![assignment(Member::PATCH, Scope::Regional, protocol)];
    if protocol != ProtocolId::OMNI {
        assignments.push(assignment(PatchId::INTER_PATCH, Scope::InterPatch, ProtocolId::OMNI));
    }
    let assignments = assignments.into_iter().collect();
    Orders { group, epoch: 1, delivery: Delivery::Reliable, assignments }
}

fn hello(n: u8) -> Hello {
    let addresses = [address(n)].into_iter().collect();
    Hello { host: HostId([n; 32]), incarnation: Incarnation(1), addresses }
}

fn contact(n: u8) -> Contact {
    let Hello { host, incarnation, addresses } = hello(n);
    Contact { host, incarnation, addresses, euid: euid() }
}

fn euid() -> Euid {
    let mut euid = Euid::default();
    let (direction, barrier) = (Direction::Both, Barrier::None);
    for transport in [Transport::Tcp, Transport::Udp] {
        euid.connectivity.insert(Connectivity { transport, direction, barrier });
    }
    euid.topology.insert(RouterId::named("gateway"), 1, true);
    euid
}

fn encode(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}
