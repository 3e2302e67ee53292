use super::sender::{FIRST_WINDOW, MIN_RTO};
use super::*;
use crate::queue::Queue;
use quilt_proto::Rng;

/// One way of the wire between the two ends.
const ONE_WAY: Duration = Duration::from_millis(20);
const ROUND_TRIP: Duration = Duration::from_millis(40);
/// Either end's index in [`Wire::ends`].
const DIALLER: usize = 0;
const ACCEPTOR: usize = 1;

#[test]
fn a_stream_opens_in_one_round_trip_and_ends_in_good_order() {
    let mut wire = Wire::new(1);
    wire.run(Duration::from_secs(1));
    assert_eq!(wire.told[DIALLER], [(Time::from_millis(40), Told::Opened)]);
    assert_eq!(wire.told[ACCEPTOR], [(Time::from_millis(60), Told::Opened)]);
    assert_eq!(wire.segments, 3, "nothing is sent twice");
    wire.close(DIALLER);
    wire.close(ACCEPTOR);
    wire.run(Duration::from_secs(1));
    for end in [DIALLER, ACCEPTOR] {
        assert!(wire.ends[end].as_ref().unwrap().is_over());
        assert_eq!(wire.told[end].last().unwrap().1, Told::Ended);
    }
    assert_eq!(wire.next_time(), None, "a stream that is over wants nothing more");
}

#[test]
fn all_bytes_come_in_order_however_bad_the_wire_is() {
    for seed in 0..40 {
        let mut wire = Wire::new(seed);
        wire.loss = 0.02 * (seed % 10) as f64;
        wire.jitter = Duration::from_millis(seed % 4 * 15);
        wire.doubles = seed % 3 == 0;
        let mut draw = Rng::new(seed);
        wire.open();
        wire.write_pieces(DIALLER, 100_000, &mut draw);
        wire.write_pieces(ACCEPTOR, 30_000, &mut draw);
        wire.close(DIALLER);
        wire.close(ACCEPTOR);
        wire.run(Duration::from_secs(2_000));
        assert_eq!(wire.received(ACCEPTOR), 100_000, "seed {seed}");
        assert_eq!(wire.received(DIALLER), 30_000, "seed {seed}, on the way back");
        for end in [DIALLER, ACCEPTOR] {
            let ended = wire.told[end].iter().filter(|(_, told)| *told == Told::Ended).count();
            assert_eq!(ended, 1, "seed {seed}");
        }
    }
}

#[test]
fn a_lost_opening_is_said_again_after_a_second() {
    // The dialler's segment, the answer, and both.
    for (lost, opens) in [(vec![0], 1_040), (vec![1], 1_040), (vec![0, 1], 3_040)] {
        let mut wire = Wire::new(1);
        wire.lose = lost.clone();
        wire.run(Duration::from_secs(10));
        let (at, told) = &wire.told[DIALLER][0];
        assert_eq!(*told, Told::Opened);
        assert!(*at <= Time::from_millis(opens), "{lost:?} opened at {at:?}");
        assert_eq!(wire.told[ACCEPTOR].len(), 1, "{lost:?}");
    }
}

#[test]
fn a_lost_third_segment_does_not_keep_the_acceptor_waiting_for_ever() {
    let mut wire = Wire::new(1);
    wire.lose = vec![2];
    wire.run(Duration::from_secs(10));
    let (at, told) = &wire.told[ACCEPTOR][0];
    assert_eq!((*at, told), (Time::from_millis(1_060), &Told::Opened));
    // Bytes of the dialler say the same as the segment that was lost.
    let mut wire = Wire::new(1);
    wire.lose = vec![2];
    wire.run(ROUND_TRIP);
    wire.write(DIALLER, 3);
    wire.run(Duration::from_millis(20));
    assert_eq!(wire.received(ACCEPTOR), 3);
}

#[test]
fn a_lost_end_is_said_again() {
    let mut wire = Wire::new(1);
    wire.open();
    wire.write(DIALLER, 3);
    wire.lose = vec![wire.segments + 1];
    wire.close(DIALLER);
    wire.run(Duration::from_secs(1));
    assert_eq!(wire.received(ACCEPTOR), 3);
    assert_eq!(wire.told[ACCEPTOR].last().unwrap().1, Told::Ended);
}

#[test]
fn one_lost_segment_of_a_window_costs_a_round_trip_and_no_timeout() {
    let mut wire = Wire::new(1);
    wire.open();
    let start = wire.now;
    wire.lose = vec![wire.segments + 2];
    wire.write(DIALLER, 10 * MSS);
    wire.run(Duration::from_secs(5));
    assert_eq!(wire.received(ACCEPTOR), 10 * MSS);
    let took = wire.last_told(ACCEPTOR).since(start);
    assert_eq!(took, ONE_WAY + ROUND_TRIP);
    assert_eq!(wire.retransmitted(DIALLER), MSS as u64, "only what was lost is sent again");
}

#[test]
fn many_lost_segments_of_a_window_are_mended_without_a_timeout() {
    let mut wire = Wire::new(1);
    wire.open();
    grow_window(&mut wire, 40 * MSS);
    let (start, first) = (wire.now, wire.segments);
    // Every fourth of 36, so that there are more runs than an acknowledgement names.
    wire.lose = (0..8).map(|at| first + 4 * at).collect();
    wire.write(DIALLER, 36 * MSS);
    wire.run(Duration::from_secs(5));
    let took = wire.last_told(ACCEPTOR).since(start);
    assert!(took <= ONE_WAY + ROUND_TRIP * 2, "{took:?}");
    assert_eq!(wire.retransmitted(DIALLER), 8 * MSS as u64);
}

#[test]
fn a_lost_tail_waits_for_the_timeout_of_the_measured_round_trip() {
    let mut wire = Wire::new(1);
    wire.open();
    let start = wire.now;
    wire.lose = vec![wire.segments];
    wire.write(DIALLER, 3);
    wire.run(Duration::from_secs(5));
    let took = wire.last_told(ACCEPTOR).since(start);
    // The opening is the first measurement.
    assert_eq!(took, timeout() + ONE_WAY);
}

#[test]
fn the_timeout_doubles_while_nothing_comes_and_falls_back_when_something_does() {
    let mut wire = Wire::new(1);
    wire.open();
    wire.run(Duration::from_secs(1));
    let (start, first) = (wire.now, wire.segments);
    wire.lose = (first..first + 3).collect();
    wire.write(DIALLER, 3);
    wire.run(Duration::from_secs(5));
    let took = wire.last_told(ACCEPTOR).since(start);
    assert_eq!(took, timeout() * 7 + ONE_WAY, "after one, two and four timeouts");
    let start = wire.now;
    wire.lose = vec![wire.segments];
    wire.write(DIALLER, 3);
    wire.run(Duration::from_secs(5));
    assert_eq!(wire.last_told(ACCEPTOR).since(start), timeout() + ONE_WAY);
}

#[test]
fn the_window_doubles_in_each_round_trip_and_halves_when_something_is_lost() {
    let mut wire = Wire::new(1);
    wire.open();
    for doubled in 0..4 {
        let expected = FIRST_WINDOW << doubled;
        assert_eq!(wire.window(DIALLER), expected);
        let sent = wire.segments;
        wire.write(DIALLER, expected as usize);
        assert_eq!(wire.segments - sent, expected as usize / MSS, "a whole window at once");
        wire.run(ROUND_TRIP);
    }
    let before = wire.window(DIALLER);
    wire.lose = vec![wire.segments];
    wire.write(DIALLER, 10 * MSS);
    wire.run(Duration::from_secs(1));
    let after = wire.window(DIALLER);
    assert!((before / 2..before / 2 + 2 * MSS as u64).contains(&after), "{before} {after}");
    // From then on it grows by a segment in each round trip.
    wire.write(DIALLER, after as usize);
    wire.run(ROUND_TRIP);
    let grown = wire.window(DIALLER) - after;
    assert!((MSS as u64 / 2..=2 * MSS as u64).contains(&grown), "{grown}");
}

#[test]
fn after_a_timeout_the_window_doubles_again() {
    let mut wire = Wire::new(1);
    wire.open();
    grow_window(&mut wire, 80 * MSS);
    let (start, first) = (wire.now, wire.segments);
    wire.lose = (first..first + 64).collect();
    wire.write(DIALLER, 64 * MSS);
    wire.run(Duration::from_secs(60));
    assert_eq!(wire.retransmitted(DIALLER), 64 * MSS as u64);
    // 1, 2, 4, 8 and 16 segments, then half the old window.
    let took = wire.last_told(ACCEPTOR).since(start);
    assert!(took <= timeout() + ROUND_TRIP * 8, "{took:?}");
}

#[test]
fn a_reset_refuses_who_dials_and_resets_who_is_connected() {
    let reset = Segment { rst: true, ..Segment::default() };
    for (phase, told) in [("dialling", Told::Refused), ("open", Told::Reset)] {
        let mut wire = Wire::new(1);
        if phase == "open" {
            wire.open();
        }
        let end = wire.ends[DIALLER].as_mut().unwrap();
        end.on_segment(wire.now, &reset);
        end.on_segment(wire.now, &reset);
        let heard: Vec<Told> = std::iter::from_fn(|| end.poll_told()).collect();
        assert_eq!(heard, [told], "{phase}");
        assert!(end.is_over() && end.deadline().is_none() && !end.has_room());
    }
}

#[test]
fn a_peer_that_never_answers_is_given_up() {
    let mut wire = Wire::new(1);
    wire.loss = 1.0;
    wire.run(Duration::from_secs(3_600));
    assert_eq!(wire.told[DIALLER].len(), 1);
    assert_eq!(wire.told[DIALLER][0].1, Told::TimedOut);
    let mut wire = Wire::new(1);
    wire.open();
    wire.loss = 1.0;
    wire.write(DIALLER, 3);
    wire.run(Duration::from_secs(3_600));
    assert_eq!(wire.told[DIALLER].last().unwrap().1, Told::TimedOut);
    assert!(wire.ends[DIALLER].as_ref().unwrap().is_over());
}

#[test]
fn a_stream_that_is_closed_behind_much_that_is_unsent_delivers_all_of_it() {
    let mut wire = Wire::new(1);
    wire.open();
    wire.write(DIALLER, 500 * MSS);
    wire.close(DIALLER);
    assert!(!wire.ends[DIALLER].as_ref().unwrap().has_room());
    wire.run(Duration::from_secs(60));
    assert_eq!(wire.received(ACCEPTOR), 500 * MSS);
    assert_eq!(wire.told[ACCEPTOR].last().unwrap().1, Told::Ended);
    // The other way stays open until its own end is said.
    wire.write(ACCEPTOR, 3);
    wire.run(Duration::from_secs(1));
    assert_eq!(wire.received(DIALLER), 3);
}

#[test]
fn one_that_has_ended_is_forgotten_even_if_the_other_falls_silent() {
    let mut wire = Wire::new(1);
    wire.open();
    wire.close(DIALLER);
    wire.run(Duration::from_secs(1));
    assert!(!wire.ends[DIALLER].as_ref().unwrap().is_over(), "the other side may still talk");
    wire.loss = 1.0;
    wire.run(ORPHAN_TIME);
    assert!(wire.ends[DIALLER].as_ref().unwrap().is_over());
}

#[test]
fn nothing_is_written_by_writing_nothing() {
    let mut wire = Wire::new(1);
    wire.open();
    wire.write(DIALLER, 0);
    wire.run(Duration::from_secs(3_600));
    assert_eq!(wire.told[DIALLER].last().unwrap().1, Told::Opened);
}

#[test]
fn a_reader_that_does_not_read_stops_the_sender_and_loses_nothing() {
    // The segment that says that there is room again comes, or is lost.
    for says_in_vain in [false, true] {
        let mut wire = Wire::new(1);
        wire.open();
        wire.run(ROUND_TRIP);
        let much = 2 * RECEIVE_BUFFER as usize;
        wire.reads[ACCEPTOR] = false;
        wire.write(DIALLER, much);
        wire.run(Duration::from_secs(100));
        let kept = RECEIVE_BUFFER - wire.ends[ACCEPTOR].as_ref().unwrap().receiver.room();
        assert!(kept <= RECEIVE_BUFFER && kept + MSS as u64 > RECEIVE_BUFFER, "{kept}");
        assert_eq!(wire.told[DIALLER].last().unwrap().1, Told::Opened, "it waits, and for long");
        let window = wire.window(DIALLER);
        wire.reads[ACCEPTOR] = true;
        if says_in_vain {
            wire.lose = vec![wire.segments];
        }
        let start = wire.now;
        wire.drain(ACCEPTOR);
        wire.run(Duration::from_secs(100));
        assert_eq!(wire.received(ACCEPTOR), much);
        assert!(wire.window(DIALLER) >= window, "no room is not a loss on the way");
        let took = wire.last_told(ACCEPTOR).since(start);
        let bound = if says_in_vain { MAX_RTO + ROUND_TRIP * 2 } else { ROUND_TRIP * 2 };
        assert!(took <= bound, "{took:?}");
    }
}

/// The retransmission timeout where every round trip takes the same.
fn timeout() -> Duration {
    ROUND_TRIP + MIN_RTO
}

/// Sends so much without loss that the dialler's window has at least `bytes`.
fn grow_window(wire: &mut Wire, bytes: usize) {
    while wire.window(DIALLER) < bytes as u64 {
        wire.write(DIALLER, wire.window(DIALLER) as usize);
        wire.run(ROUND_TRIP);
    }
    wire.run(Duration::from_secs(1));
}

/// Which bytes of a stream have come, and how many from its start on without a hole.
#[derive(Default)]
struct Came {
    bytes: Vec<bool>,
    whole: usize,
}

/// Two ends and what lies between them, in virtual time.
struct Wire {
    now: Time,
    ends: [Option<End>; 2],
    under_way: Queue<(usize, Segment)>,
    told: [Vec<(Time, Told)>; 2],
    came: [Came; 2],
    /// Segments sent so far, by both.
    segments: usize,
    /// Those that are lost, by their number.
    lose: Vec<usize>,
    /// The share that is lost.
    loss: f64,
    /// Every segment is later by up to this.
    jitter: Duration,
    /// Every third segment comes twice.
    doubles: bool,
    /// Whether each end's host takes what it is told.
    reads: [bool; 2],
    rng: Rng,
}

impl Wire {
    fn new(seed: u64) -> Self {
        Self {
            now: Time::ZERO,
            ends: [Some(End::dial(Time::ZERO)), None],
            under_way: Queue::default(),
            told: [Vec::new(), Vec::new()],
            came: Default::default(),
            segments: 0,
            lose: Vec::new(),
            loss: 0.0,
            jitter: Duration::ZERO,
            doubles: false,
            reads: [true; 2],
            rng: Rng::new(seed),
        }
    }

    fn open(&mut self) {
        while self.ends[ACCEPTOR].as_ref().is_none_or(|end| !end.has_room()) {
            assert!(self.step(Time::from_millis(1_000_000)));
        }
    }

    fn write(&mut self, end: usize, bytes: usize) {
        let now = self.now;
        self.ends[end].as_mut().unwrap().write(now, bytes as u64);
        self.drain(end);
    }

    fn write_pieces(&mut self, end: usize, mut bytes: usize, draw: &mut Rng) {
        while bytes > 0 {
            let piece = bytes.min(1 + draw.index(4_000));
            self.write(end, piece);
            bytes -= piece;
        }
    }

    fn close(&mut self, end: usize) {
        let now = self.now;
        self.ends[end].as_mut().unwrap().close(now);
        self.drain(end);
    }

    fn next_time(&self) -> Option<Time> {
        let deadlines = self.ends.iter().flatten().filter_map(End::deadline);
        deadlines.chain(self.under_way.next_time()).min()
    }

    fn run(&mut self, span: Duration) {
        let until = self.now + span;
        while self.step(until) {}
        self.now = until;
    }

    /// Lets the next thing happen, up to `until`; false if there is none.
    fn step(&mut self, until: Time) -> bool {
        self.drain_both();
        let Some(at) = self.next_time().filter(|&at| at <= until) else { return false };
        self.now = self.now.max(at);
        if self.under_way.next_time() == Some(at) {
            let (_, (to, segment)) = self.under_way.pop().unwrap();
            self.note(to, &segment);
            if to == ACCEPTOR && self.ends[to].is_none() {
                self.ends[to] = Some(End::accept(self.now));
            } else if let Some(end) = &mut self.ends[to] {
                end.on_segment(self.now, &segment);
            }
        } else {
            self.ends.iter_mut().flatten().for_each(|end| end.on_timer(at));
            let deadlines = || self.ends.iter().flatten().filter_map(End::deadline);
            assert!(deadlines().all(|deadline| deadline > at), "a timer made no progress");
        }
        self.drain_both();
        true
    }

    fn drain_both(&mut self) {
        self.drain(DIALLER);
        self.drain(ACCEPTOR);
    }

    fn drain(&mut self, from: usize) {
        loop {
            self.transmit(from);
            let Some(end) = self.ends[from].as_mut().filter(|_| self.reads[from]) else { return };
            // Having read, an end may have room to tell of.
            let Some(told) = end.poll_told() else { return };
            self.told[from].push((self.now, told));
            assert!(self.received(from) <= self.came[from].whole, "told of what has not come");
        }
    }

    fn transmit(&mut self, from: usize) {
        let Some(end) = &mut self.ends[from] else { return };
        while let Some(segment) = end.poll_segment() {
            let number = self.segments;
            self.segments += 1;
            let lost = self.rng.below(1_000_000) < (self.loss * 1e6) as u64;
            if lost || self.lose.contains(&number) {
                continue;
            }
            for _ in 0..if self.doubles && number.is_multiple_of(3) { 2 } else { 1 } {
                let late = match self.jitter.is_zero() {
                    true => Duration::ZERO,
                    false => self.rng.between(Duration::ZERO, self.jitter),
                };
                let at = self.now + ONE_WAY + late;
                self.under_way.push(at, (1 - from, segment.clone()));
            }
        }
    }

    /// How many bytes an end's host was told of.
    fn received(&self, end: usize) -> usize {
        let bytes = self.told[end].iter().map(|(_, told)| match told {
            Told::Bytes(bytes) => *bytes as usize,
            _ => 0,
        });
        bytes.sum()
    }

    /// Enters which bytes have come to an end.
    fn note(&mut self, end: usize, segment: &Segment) {
        let Came { bytes, whole } = &mut self.came[end];
        let (from, to) = (segment.seq as usize, (segment.seq + segment.len) as usize);
        bytes.resize(bytes.len().max(to), false);
        bytes[from..to].fill(true);
        *whole += bytes[*whole..].iter().take_while(|came| **came).count();
    }

    fn last_told(&self, end: usize) -> Time {
        self.told[end].last().unwrap().0
    }

    fn window(&self, end: usize) -> u64 {
        self.ends[end].as_ref().unwrap().sender.window
    }

    fn retransmitted(&self, end: usize) -> u64 {
        self.ends[end].as_ref().unwrap().retransmitted()
    }
}
