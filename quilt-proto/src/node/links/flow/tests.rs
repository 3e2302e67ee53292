//! Flows over one narrow link, beside each other and beside TCP.

use super::*;
use crate::Rng;
use alloc::boxed::Box;
use alloc::vec::Vec;
use proptest::collection::vec;
use proptest::prelude::*;

const BYTES: usize = DATAGRAM as usize;
const STEP: Duration = Duration::from_micros(200);

fn address(n: u8) -> SocketAddr {
    ([127, 0, 0, n], 4_000).into()
}

/// A link that brings so many bytes a second, with a queue before it that is `queue` long, and then
/// takes `way`; what it loses at random is `loss` of 1,000. Acknowledgements lose as much.
struct Narrow {
    bytes_per_second: u64,
    queue: Duration,
    way: Duration,
    loss: u64,
    free: Time,
    rng: Rng,
}

impl Narrow {
    fn new(bytes_per_second: u64, queue_ms: u64, loss: u64) -> Self {
        let (queue, way) = (Duration::from_millis(queue_ms), Duration::from_millis(20));
        Self { bytes_per_second, queue, way, loss, free: Time::ZERO, rng: Rng::new(7) }
    }

    /// When a datagram arrives; `None` if it does not.
    fn carry(&mut self, now: Time) -> Option<Time> {
        if self.free.since(now) > self.queue {
            return None;
        }
        let takes = DATAGRAM * 1_000_000_000 / self.bytes_per_second;
        self.free = self.free.max(now) + Duration::from_nanos(takes);
        (!self.loses()).then(|| self.free + self.way)
    }

    fn loses(&mut self) -> bool {
        self.rng.below(1_000) < self.loss
    }
}

/// Who sends as much as it may.
enum Sender {
    Flow { near: Box<Flow>, far: Box<Flow> },
    Reno(Reno),
}

/// RFC 5681, with an acknowledgement for each segment.
#[derive(Default)]
struct Reno {
    window: f64,
    threshold: f64,
    next: u64,
    under_way: Vec<u64>,
    recover: u64,
    heard: Time,
}

impl Reno {
    fn on_ack(&mut self, now: Time, number: u64) {
        self.heard = now;
        self.under_way.retain(|&sent| sent != number);
        self.window += if self.window < self.threshold { 1.0 } else { 1.0 / self.window };
        let lost: Vec<u64> =
            self.under_way.iter().copied().filter(|&sent| sent + 3 <= number).collect();
        self.under_way.retain(|sent| !lost.contains(sent));
        if lost.iter().any(|&lost| lost >= self.recover) {
            self.window = (self.window / 2.0).max(2.0);
            self.threshold = self.window;
            self.recover = self.next;
        }
    }

    fn on_time(&mut self, now: Time) {
        if !self.under_way.is_empty() && now.since(self.heard) > Duration::from_millis(400) {
            (self.threshold, self.window) = ((self.window / 2.0).max(2.0), 1.0);
            self.under_way.clear();
            (self.recover, self.heard) = (self.next, now);
        }
    }
}

fn flow(n: u8) -> Sender {
    let flow = |n| Box::new(Flow::new(Time::ZERO, address(n), n.into()));
    let (mut near, far) = (flow(n), flow(n + 1));
    assert!(near.start(Time::ZERO));
    Sender::Flow { near, far }
}

fn reno() -> Sender {
    Sender::Reno(Reno { window: 10.0, threshold: 1e9, ..Reno::default() })
}

enum Arrival {
    Datagram(u16),
    Ack(Ack),
    Segment(u64),
    SegmentAck(u64),
}

impl Sender {
    /// Sends what it may; each datagram's arrival goes to `out`.
    fn send(&mut self, now: Time, link: &mut Narrow, out: &mut Vec<(Time, Arrival)>) {
        match self {
            Self::Flow { near, far } => {
                near.on_timeout(now);
                while near.may_carry(now) || near.tries(now) {
                    let number = near.take_number();
                    near.on_sent(now, number, BYTES);
                    out.extend(link.carry(now).map(|at| (at, Arrival::Datagram(number))));
                }
                if let Some(ack) = far.take_ack(now) {
                    let at = now + link.way;
                    out.extend((!link.loses()).then_some((at, Arrival::Ack(ack))));
                }
            }
            Self::Reno(reno) => {
                reno.on_time(now);
                while (reno.under_way.len() as f64) < reno.window {
                    let number = reno.next;
                    reno.next += 1;
                    reno.under_way.push(number);
                    out.extend(link.carry(now).map(|at| (at, Arrival::Segment(number))));
                }
            }
        }
    }

    /// Something comes; whether that is a datagram at the far end.
    fn take(&mut self, now: Time, arrival: Arrival, out: &mut Vec<(Time, Arrival)>) -> bool {
        let way = Duration::from_millis(20);
        match (self, arrival) {
            (Self::Flow { far, .. }, Arrival::Datagram(number)) => {
                far.on_datagram(now, address(9), number, true);
                return true;
            }
            (Self::Flow { near, .. }, Arrival::Ack(ack)) => near.on_ack(now, &ack),
            (Self::Reno(_), Arrival::Segment(number)) => {
                out.push((now + way, Arrival::SegmentAck(number)));
                return true;
            }
            (Self::Reno(reno), Arrival::SegmentAck(number)) => reno.on_ack(now, number),
            _ => unreachable!("another sender's"),
        }
        false
    }
}

/// What each sender brings through in the last 20 of 30 seconds, in percent of what the link takes.
fn shares(mut link: Narrow, mut senders: Vec<Sender>) -> Vec<u64> {
    let mut under_way: Vec<Vec<(Time, Arrival)>> = senders.iter().map(|_| Vec::new()).collect();
    let mut came = alloc::vec![0_u64; senders.len()];
    let mut now = Time::ZERO;
    while now < Time::from_millis(30_000) {
        for (at, sender) in senders.iter_mut().enumerate() {
            let (due, later) = under_way[at].drain(..).partition(|(at, _)| *at <= now);
            under_way[at] = later;
            let due: Vec<(Time, Arrival)> = due;
            for (_, arrival) in due {
                let counts = sender.take(now, arrival, &mut under_way[at]);
                came[at] += u64::from(counts && now >= Time::from_millis(10_000));
            }
            sender.send(now, &mut link, &mut under_way[at]);
        }
        now = now + STEP;
    }
    let all = link.bytes_per_second * 20 / DATAGRAM;
    came.iter().map(|came| came * 100 / all).collect()
}

#[test]
fn two_flows_share_a_link() {
    let shares = shares(Narrow::new(600_000, 100, 0), alloc::vec![flow(1), flow(3)]);
    assert!(shares.iter().all(|share| (30..=70).contains(share)), "{shares:?}");
    assert!(shares.iter().sum::<u64>() >= 90, "{shares:?}");
}

#[test]
fn a_flow_and_tcp_share_a_link() {
    for queue_ms in [100, 40] {
        let shares = shares(Narrow::new(600_000, queue_ms, 0), alloc::vec![flow(1), reno()]);
        assert!(shares.iter().all(|share| (25..=75).contains(share)), "{queue_ms} ms: {shares:?}");
        assert!(shares.iter().sum::<u64>() >= 85, "{queue_ms} ms: {shares:?}");
    }
}

#[test]
fn what_is_lost_at_random_does_not_slow_a_flow_down_as_it_does_tcp() {
    let [flow] = shares(Narrow::new(600_000, 100, 100), alloc::vec![flow(1)])[..] else { panic!() };
    let [tcp] = shares(Narrow::new(600_000, 100, 100), alloc::vec![reno()])[..] else { panic!() };
    assert!(flow >= 60, "{flow} % of the link, of which 90 % come through");
    assert!(tcp <= 30, "{tcp} %");
}

#[test]
fn tcp_is_not_starved_where_there_is_no_queue_to_speak_of() {
    let shares = shares(Narrow::new(600_000, 4, 0), alloc::vec![flow(1), reno()]);
    assert!(shares.iter().all(|share| *share >= 10), "{shares:?}");
}

#[test]
fn a_flow_of_which_nothing_is_acknowledged_is_tried_seven_times_and_then_rests() {
    let mut flow = Flow::new(Time::ZERO, address(1), 5);
    assert!(flow.start(Time::ZERO));
    assert!(!flow.start(Time::ZERO), "it is under way");
    let (mut now, mut sent) = (Time::ZERO, 0);
    while now < Time::from_millis(60_000) {
        flow.on_timeout(now);
        if flow.tries(now) {
            let number = flow.take_number();
            flow.on_sent(now, number, 30);
            sent += 1;
        }
        now = flow.next_deadline(false, true).unwrap_or(now).max(now + STEP);
        if flow.start(now) {
            break;
        }
    }
    assert_eq!(sent, TRIES);
    assert!(now >= Time::from_millis(30_000), "it rests until {now:?}");
}

#[test]
fn an_open_flow_ends_when_eight_datagrams_in_a_row_say_nothing_and_not_before() {
    let mut flow = Flow::new(Time::ZERO, address(1), 5);
    flow.start(Time::ZERO);
    let number = flow.take_number();
    flow.on_sent(Time::ZERO, number, 30);
    flow.on_ack(Time::from_millis(50), &Ack { next: number + 1, got: 1, held_us: 0 });
    assert!(flow.is_open());
    let mut now = Time::from_millis(100);
    for asked in 0..12 {
        flow.on_timeout(now);
        if !flow.is_open() {
            assert_eq!(asked, usize::from(UNHEARD));
            return;
        }
        if asked == 0 || flow.tries(now) {
            let number = flow.take_number();
            flow.on_sent(now, number, 30);
        }
        now = flow.next_deadline(false, false).unwrap_or(now).max(now + Duration::from_millis(300));
    }
    panic!("it never ended");
}

proptest! {
    /// Whatever is acknowledged, and whatever comes, what is under way is counted right, no more is
    /// remembered than may be under way, and the window keeps its bounds.
    #[test]
    fn any_acknowledgements_are_survived(
        ops in vec((0_u8..4, any::<u16>(), any::<u64>()), 0..300),
    ) {
        let mut flow = Flow::new(Time::ZERO, address(1), 5);
        flow.start(Time::ZERO);
        let mut now = Time::ZERO;
        for (op, number, bits) in ops {
            now = now + Duration::from_micros(bits % 300_000);
            match op {
                0 => flow.on_ack(now, &Ack { next: flow.next.wrapping_sub(number % 9), got: bits, held_us: 9 }),
                1 => flow.on_ack(now, &Ack { next: number, got: bits, held_us: u32::MAX }),
                2 => flow.on_datagram(now, address(2), number, bits % 2 == 0),
                _ => {
                    let _ended = flow.on_timeout(now);
                }
            }
            while flow.may_carry(now) || flow.tries(now) {
                let number = flow.take_number();
                flow.on_sent(now, number, BYTES);
            }
            let _acked = flow.take_ack(now);
            let under_way = flow.sent.iter().filter(|sent| !sent.came).map(|sent| u64::from(sent.bytes));
            prop_assert_eq!(under_way.sum::<u64>(), flow.in_flight);
            prop_assert!(flow.sent.len() as u64 <= 2 * MAX_WINDOW / DATAGRAM + 16);
        }
    }
}
