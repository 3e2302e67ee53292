//! Hosts behind NATs that let in what answers something, and one in the open that they have streams to.

use super::*;
use crate::{Incarnation, wire};

const GROUP: GroupId = GroupId(1);
const NEED: Need = Need::Patch(GROUP, PatchId(1));

struct Nothing;

impl Fill for Nothing {
    fn data(&mut self, _: &DataRef, _: Urgency) -> Option<wire::Data> {
        None
    }

    fn word(&mut self, _: GroupId, _: PatchId) -> Vec<Frame> {
        Vec::new()
    }
}

fn host(n: usize) -> HostId {
    HostId([n as u8; 32])
}

fn address(n: usize) -> SocketAddr {
    ([127, 0, 0, n as u8], 4_000).into()
}

fn links(n: usize, life: u32) -> Links {
    let addresses = core::iter::once(address(n)).collect();
    let hello = Hello { host: host(n), incarnation: Incarnation(life), addresses };
    Links::new(hello, Limits::default(), Rng::new(u64::from(life) << 8 | n as u64))
}

/// Host 0 in the open, and 1 and 2 behind a NAT each.
struct World {
    hosts: [Links; 3],
    /// The streams of 1 and 2 to 0, at either end.
    streams: [(LinkId, LinkId); 2],
    /// Who has sent to whom.
    holes: BTreeSet<(usize, usize)>,
    now: Time,
    rng: Rng,
    /// In hundredths.
    loss: u64,
    /// What has come by the tunnel to 1 and to 2.
    frames: [Vec<Frame>; 3],
    downs: [Vec<LinkError>; 3],
    /// How often a host wanted to be woken again at once.
    idle_wakes: usize,
}

impl World {
    fn new() -> Self {
        let mut hosts = [links(0, 1), links(1, 1), links(2, 1)];
        let streams = [1, 2].map(|n| {
            hosts[n].need(host(0), NEED, &[address(0)]);
            let near = hosts[n].hosts.link(host(0)).expect("it is dialled");
            let far = hosts[0].accept(Time::ZERO, address(n)).expect("there is room");
            hosts[0].expect(host(n), NEED);
            hosts[n].opened(Time::ZERO, near);
            (near, far)
        });
        let mut world = Self {
            hosts,
            streams,
            holes: BTreeSet::new(),
            now: Time::ZERO,
            rng: Rng::new(1),
            loss: 0,
            frames: Default::default(),
            downs: Default::default(),
            idle_wakes: 0,
        };
        world.run(20);
        world
    }

    /// Lets so many milliseconds pass, one by one; whatever is sent comes in the next one.
    fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            for n in [1, 2] {
                let (near, far) = self.streams[n - 1];
                for (from, link, to, end) in [(n, near, 0, far), (0, far, n, near)] {
                    while let Some(it) = self.hosts[from].poll_transmit(link, &mut Nothing) {
                        self.hosts[to].received(self.now, end, it.to_chunks());
                    }
                }
            }
            let mut sent = Vec::new();
            for (from, links) in self.hosts.iter_mut().enumerate() {
                while let Some(it) = links.poll_transmit(LinkId::UDP, &mut Nothing) {
                    sent.push((from, it.to.expect("an address"), it.to_bytes()));
                }
                while links.poll_action().is_some() {}
                // What has passed is put off by a nanosecond each time: twice, and it never ends.
                for _ in 0..2 {
                    if links.next_deadline().is_some_and(|at| at <= self.now) {
                        links.timeout(self.now);
                    }
                    let again = self.now + Duration::from_nanos(1);
                    self.idle_wakes += usize::from(links.next_deadline() == Some(again));
                }
            }
            self.now = self.now + Duration::from_millis(1);
            for (from, to, bytes) in sent {
                let Some(to) = (0..3).find(|&n| address(n) == to) else { continue };
                self.holes.insert((from, to));
                let comes_in = to == 0 || self.holes.contains(&(to, from));
                if comes_in && self.rng.below(100) >= self.loss {
                    self.hosts[to].datagram(self.now, LinkId::UDP, address(from), bytes.into());
                }
            }
            for (n, links) in self.hosts.iter_mut().enumerate() {
                if links.next_deadline().is_some_and(|at| at <= self.now) {
                    links.timeout(self.now);
                }
                while let Some(inbound) = links.poll_inbound() {
                    match inbound {
                        Inbound::Frame { from: From::Host(of), frame } if of != host(0) => {
                            self.frames[n].push(frame);
                        }
                        Inbound::Down { host: of, cause, .. } if of != host(0) => {
                            self.downs[n].push(cause);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    fn are_up(&self) -> [bool; 2] {
        [self.hosts[1].is_up(host(2)), self.hosts[2].is_up(host(1))]
    }

    fn open() -> Self {
        let mut world = Self::new();
        world.hosts[2].expect(host(1), NEED);
        world.hosts[1].need_tunnel(host(2), NEED, &[address(2)]);
        world.run(300);
        assert_eq!(world.are_up(), [true; 2]);
        world
    }
}

fn numbered(n: u64) -> Frame {
    Frame::Refused { group: GroupId(n), refusal: wire::Refusal::UnknownGroup }
}

#[test]
fn hosts_behind_two_nats_have_a_tunnel_once_a_common_neighbour_tells_one_that_the_other_calls() {
    let mut world = World::new();
    world.hosts[1].need_tunnel(host(2), NEED, &[address(2)]);
    world.run(40);
    assert_eq!(world.are_up(), [true; 2]);
    for n in 0..100 {
        assert!(world.hosts[1].send(host(2), &numbered(n)));
        assert!(world.hosts[2].send(host(1), &numbered(n)));
    }
    world.run(100);
    let all: Vec<Frame> = (0..100).map(numbered).collect();
    assert!(world.frames[1] == all && world.frames[2] == all);
}

#[test]
fn who_has_no_common_neighbour_is_not_reached_and_given_up() {
    let mut world = World::new();
    let (near, _) = world.streams[1];
    world.hosts[2].drop_link(near, LinkError::Ended);
    world.streams[1].0 = LinkId(99);
    world.hosts[1].need_tunnel(host(2), NEED, &[address(2)]);
    world.run(3_100);
    assert_eq!(world.downs[1], [LinkError::TimedOut]);
    assert_eq!(world.hosts[1].links.len(), 1);
    assert!(world.hosts[1].calls.is_empty());
}

#[test]
fn what_a_tunnel_carries_comes_in_order_however_much_is_lost() {
    for seed in 1..=10 {
        let mut world = World::open();
        (world.rng, world.loss) = (Rng::new(seed), 30);
        for n in 0..200 {
            assert!(world.hosts[1].send(host(2), &numbered(n)));
            world.run(10);
        }
        world.loss = 0;
        world.run(3_000);
        assert!(world.frames[2] == (0..200).map(numbered).collect::<Vec<_>>(), "seed {seed}");
        assert_eq!(world.are_up(), [true; 2], "seed {seed}");
    }
}

#[test]
fn a_tunnel_that_nobody_needs_is_closed_on_both_sides_at_once() {
    let mut world = World::open();
    world.run(2_000);
    world.hosts[1].release(host(2), NEED);
    world.hosts[2].release(host(1), NEED);
    world.run(1_500);
    assert_eq!(world.are_up(), [false; 2]);
    let links = |n: usize| (world.hosts[n].links.len(), world.hosts[n].tokens.len());
    assert_eq!([links(1), links(2)], [(1, 1); 2]);
}

#[test]
fn an_idle_tunnel_stays_open_and_a_dead_one_is_given_up() {
    let mut world = World::open();
    world.run(20_000);
    assert_eq!(world.are_up(), [true; 2]);
    world.loss = 100;
    assert!(world.hosts[1].send(host(2), &numbered(1)));
    world.idle_wakes = 0;
    world.run(20_000);
    assert!(world.idle_wakes < 100, "{} of 60,000", world.idle_wakes);
    assert_eq!(world.are_up(), [false; 2]);
    assert_eq!(world.downs[1], [LinkError::TimedOut]);
}

#[test]
fn a_host_that_starts_anew_has_a_new_tunnel_and_its_former_life_is_forgotten() {
    let mut world = World::open();
    let former = world.hosts[1].hosts.link(host(2));
    world.hosts[2] = links(2, 2);
    world.streams[1].0 = LinkId(99);
    world.hosts[2].now = world.now;
    world.hosts[2].need_tunnel(host(1), NEED, &[address(1)]);
    world.run(500);
    assert_eq!(world.are_up(), [true; 2]);
    assert_ne!(world.hosts[1].hosts.link(host(2)), former);
    assert!(world.hosts[2].send(host(1), &numbered(7)));
    world.run(20);
    assert_eq!(world.frames[1], [numbered(7)]);
}

#[test]
fn of_a_caller_nothing_is_kept_before_it_has_proved_its_address() {
    let mut a = links(1, 1);
    let call = |shows| {
        let header = Header { suite: 0, key_epoch: 0, sender: host(2).tag(), number: 0 };
        let mut packet = Vec::from(header.encode());
        Frame::Tunnel { shows, wants: 7 }.encode(&mut packet);
        Bytes::from(packet)
    };
    for guess in 0..100 {
        a.datagram(Time::ZERO, LinkId::UDP, address(2), call(guess).into());
        let answer = a.poll_transmit(LinkId::UDP, &mut Nothing);
        let answer = answer.map(|answer| (answer.to, answer.len()));
        let expected = (guess == 0).then_some((Some(address(2)), call(guess).len()));
        assert_eq!(answer, expected, "to {guess}");
        assert!(a.poll_transmit(LinkId::UDP, &mut Nothing).is_none(), "one answer at most");
        assert!(a.links.is_empty() && a.tokens.is_empty() && a.calls.is_empty());
    }
}

#[test]
fn who_calls_in_the_name_of_another_host_gives_the_two_no_tunnel() {
    let mut world = World::new();
    world.holes.extend([(1, 2), (2, 1)]);
    let header = Header { suite: 0, key_epoch: 0, sender: host(2).tag(), number: 0 };
    let mut call = Vec::from(header.encode());
    Frame::Tunnel { shows: 0, wants: 7 }.encode(&mut call);
    world.hosts[1].datagram(world.now, LinkId::UDP, address(2), call.into());
    world.run(100);
    assert_eq!([1, 2].map(|n| world.hosts[n].links.len()), [1; 2]);
    assert_eq!(world.hosts[2].counters.get(Counter::DroppedStranger), 1);
}
