//! Lines with delay and loss, in user space: frames between two TAP interfaces.

use crate::node::Node;
use quilt_proto::Rng;
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tun::{Configuration, Device, Layer};

/// The most frames that are on their way in one direction; more are lost, as in a full queue.
const MAX_FRAMES: usize = 4_096;
/// More than any frame of an interface with the usual MTU.
const FRAME_BYTES: usize = 2_048;
/// How often an idle line looks whether it is to end.
const IDLE: Duration = Duration::from_millis(20);

/// How a line treats the frames of each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// How long a frame takes, one way, at least.
    pub delay: Duration,
    /// How much longer it may take. Frames keep their order.
    pub jitter: Duration,
    /// How many of a thousand frames are lost.
    pub loss_per_mille: u16,
    /// How many of a thousand frames come twice.
    pub duplicates_per_mille: u16,
}

/// A line between two nodes, until it is dropped; it is cut then, and its interfaces go.
#[derive(Debug)]
pub struct Relay {
    ended: Arc<AtomicBool>,
    directions: Vec<JoinHandle<()>>,
}

impl Relay {
    /// Joins two nodes, under names that their interfaces get; both are up afterwards. Which frames
    /// are lost, late or doubled follows from `seed`, by their number.
    ///
    /// # Panics
    /// An interface of that name is there already, or there is no `/dev/net/tun`.
    pub fn between(a: (&Node, &str), b: (&Node, &str), conditions: Conditions, seed: u64) -> Self {
        let ends = [a, b].map(|(node, interface)| {
            let device = node.enter(|| tap(interface));
            // What is lost is the line's to say, not that of a reader that had to wait for its turn.
            node.ip(&format!("link set {interface} txqueuelen {MAX_FRAMES} up"));
            Arc::new(device)
        });
        let ended = Arc::new(AtomicBool::new(false));
        let mut rng = Rng::new(seed);
        let directions = [(0, 1, "there"), (1, 0, "back")].map(|(from, to, label)| {
            let (from, to, ended) = (ends[from].clone(), ends[to].clone(), ended.clone());
            let fates = Fates { conditions, rng: rng.fork(label) };
            std::thread::spawn(move || carry(&from, &to, fates, &ended))
        });
        Self { ended, directions: directions.into() }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for direction in self.directions.drain(..) {
            let _ = direction.join();
        }
    }
}

fn tap(interface: &str) -> Device {
    let mut wanted = Configuration::default();
    wanted.tun_name(interface).layer(Layer::L2);
    // Addresses are the caller's; the crate would configure the interface.
    wanted.platform_config(|platform| {
        platform.ensure_root_privileges(false);
    });
    Device::new(&wanted).unwrap_or_else(|error| panic!("TAP {interface}: {error}"))
}

/// Carries the frames of one direction until the line ends.
fn carry(from: &Device, to: &Device, mut fates: Fates, ended: &AtomicBool) {
    let mut under_way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut frame = vec![0; FRAME_BYTES];
    while !ended.load(Ordering::Relaxed) {
        let now = Instant::now();
        let next = under_way.front().map(|&(due, _)| due.saturating_duration_since(now));
        match from.recv_timeout(&mut frame, next.map_or(IDLE, |wait| wait.min(IDLE))) {
            Ok(len) => {
                let now = Instant::now();
                let last = under_way.back().map_or(now, |&(due, _)| due);
                let (copies, delay) = fates.next();
                for _ in 0..copies {
                    if under_way.len() < MAX_FRAMES {
                        under_way.push_back(((now + delay).max(last), frame[..len].to_vec()));
                    }
                }
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => {}
            // The interface is gone, with its node.
            Err(_) => return,
        }
        let now = Instant::now();
        while under_way.front().is_some_and(|&(due, _)| due <= now) {
            // An interface that is down takes nothing, as a cable that is pulled.
            let _ = under_way.pop_front().map(|(_, frame)| to.send(&frame));
        }
    }
}

/// What becomes of one frame after the other.
struct Fates {
    conditions: Conditions,
    rng: Rng,
}

impl Fates {
    /// How often the next frame comes, and after which time.
    fn next(&mut self) -> (usize, Duration) {
        let Conditions { delay, jitter, loss_per_mille, duplicates_per_mille } = self.conditions;
        // Always three draws, so that one condition does not change what another one hits.
        let lost = self.rng.below(1_000) < loss_per_mille.into();
        let twice = self.rng.below(1_000) < duplicates_per_mille.into();
        let delay = self.rng.between(delay, delay + jitter);
        (if lost { 0 } else { 1 + usize::from(twice) }, delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(conditions: Conditions, seed: u64) -> Vec<(usize, Duration)> {
        let mut fates = Fates { conditions, rng: Rng::new(seed) };
        (0..10_000).map(|_| fates.next()).collect()
    }

    #[test]
    fn frames_are_lost_doubled_and_late_as_often_as_asked() {
        let ms = Duration::from_millis;
        let conditions = Conditions {
            delay: ms(20),
            jitter: ms(4),
            loss_per_mille: 100,
            duplicates_per_mille: 50,
        };
        let seen = fates(conditions, 7);
        let count = |copies| seen.iter().filter(|fate| fate.0 == copies).count();
        assert!((900..1_100).contains(&count(0)), "{}", count(0));
        assert!((350..550).contains(&count(2)), "{}", count(2));
        assert!(seen.iter().all(|fate| (ms(20)..=ms(24)).contains(&fate.1)));
        assert!(seen.iter().any(|fate| fate.1 > ms(23)) && seen.iter().any(|f| f.1 < ms(21)));
    }

    #[test]
    fn equal_seeds_have_equal_fates_and_others_have_not() {
        let conditions = Conditions { loss_per_mille: 300, ..Conditions::default() };
        assert_eq!(fates(conditions, 1), fates(conditions, 1));
        assert_ne!(fates(conditions, 1), fates(conditions, 2));
        let calm = fates(Conditions::default(), 1);
        assert!(calm.iter().all(|&fate| fate == (1, Duration::ZERO)));
    }
}
