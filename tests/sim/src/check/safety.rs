//! What applications are told: S1 to S5 and S14.

use super::{Invariant, Violation, Violations};
use quilt_proto::{HostTag, Incarnation, Message, Notice, Seq, Source, Time};
use std::collections::BTreeMap;

/// Checks what every application is told against what was published.
#[derive(Debug, Default)]
pub struct Safety {
    /// By source: the number and the length of each message, by sequence number.
    published: BTreeMap<Source, Vec<(u64, usize)>>,
    /// What comes next of each source at each host.
    cursors: BTreeMap<(usize, Source), Seq>,
    /// By member: which message of each source came next when it was admitted; 0 of all others.
    admitted: BTreeMap<usize, BTreeMap<Source, Seq>>,
    /// In which life each host takes each source to be.
    lives: BTreeMap<(usize, HostTag), Incarnation>,
    violations: Violations,
}

impl Safety {
    /// A source was given a sequence number for message `number` of `size` bytes, made by
    /// [`body`].
    pub fn published(&mut self, at: Time, source: Source, seq: Seq, number: u64, size: usize) {
        let messages = self.published.entry(source).or_default();
        let next = messages.len() as u64;
        if seq.0 == next {
            return messages.push((number, size));
        }
        let what = format!("{source} was given {} where {next} was next", seq.0);
        self.violations.add(Invariant::S14, at, what);
    }

    /// The number of a source's message.
    pub fn number(&self, source: Source, seq: Seq) -> Option<u64> {
        let messages = self.published.get(&source)?;
        messages.get(usize::try_from(seq.0).ok()?).map(|&(number, _)| number)
    }

    /// A host was told something.
    pub fn told(&mut self, at: Time, host: usize, notice: &Notice) {
        match notice {
            Notice::Message(Message { source, seq, body }) => {
                let sound = self.number(*source, *seq).is_none_or(|number| {
                    let size = self.published[source][seq.0 as usize].1;
                    is_body(number, size, body.chunks())
                });
                self.delivered(at, host, *source, *seq, sound);
            }
            &Notice::Gap { source, from, to, .. } => self.advance(at, host, source, from, to),
            &Notice::SourceReset { host: source, old, new } => {
                let before = self.lives.insert((host, source), new);
                if before.is_some_and(|before| before != old) || new <= old {
                    let (old, new) = (old.0, new.0);
                    let what = format!("host {host} was told of a reset from {old} to {new}");
                    self.violations.add(Invariant::S5, at, what);
                }
            }
            Notice::Joined(_) => {
                let next = |(&source, messages): (_, &Vec<_>)| (source, Seq(messages.len() as u64));
                let published = &self.published;
                self.admitted.entry(host).or_insert_with(|| published.iter().map(next).collect());
            }
            _ => {}
        }
    }

    /// A host's application started anew, and remembers nothing.
    pub fn restarted(&mut self, host: usize) {
        self.cursors.retain(|&(at, _), _| at != host);
        self.admitted.remove(&host);
        self.lives.retain(|&(at, _), _| at != host);
    }

    /// All that was broken.
    pub fn violations(&self) -> &[Violation] {
        self.violations.all()
    }

    pub(crate) fn violations_mut(&mut self) -> &mut Violations {
        &mut self.violations
    }

    /// A message of a source came, whose bytes are sound or not.
    fn delivered(&mut self, at: Time, host: usize, source: Source, seq: Seq, sound: bool) {
        if self.number(source, seq).is_none() {
            let what = format!("host {host} got {source} {}, which nobody published", seq.0);
            self.violations.add(Invariant::S3, at, what);
        }
        if !sound {
            let what = format!("host {host} got {} with other bytes than were published", seq.0);
            self.violations.add(Invariant::S2, at, what);
        }
        self.advance(at, host, source, seq, seq);
    }

    /// The next messages of a stream were delivered or given up.
    fn advance(&mut self, at: Time, host: usize, source: Source, from: Seq, to: Seq) {
        let life = *self.lives.entry((host, source.host)).or_insert(source.incarnation);
        if life != source.incarnation {
            let what = format!("host {host} got {source}, whose life was {}", life.0);
            self.violations.add(Invariant::S5, at, what);
        }
        // What was published before it was admitted a member may be told of, or not.
        let admitted = self.admitted.get(&host);
        let first = admitted.map(|next| next.get(&source).copied().unwrap_or_default());
        let first = first.map_or(from, |first| first.min(from));
        let cursor = self.cursors.entry((host, source)).or_insert(first);
        let expected = *cursor;
        *cursor = to.next();
        let what = |word: &str| {
            format!("host {host} {word} {}..={} where {} was next", from.0, to.0, expected.0)
        };
        if to < from {
            self.violations.add(Invariant::S4, at, what("was told of"));
        } else if from < expected {
            self.violations.add(Invariant::S1, at, what("was told again of"));
            self.violations.add(Invariant::S5, at, what("went back to"));
        } else if from > expected {
            self.violations.add(Invariant::S4, at, what("skipped to"));
        }
    }
}

/// The bytes of message `number`: the number, and bytes behind it that count up from another one
/// for each number.
pub fn body(number: u64, size: usize) -> Vec<u8> {
    let head = number.to_be_bytes().into_iter();
    head.chain(RAMP.into_iter().cycle().skip(first(number, HEAD))).take(size).collect()
}

/// How many bytes of a body are its number.
const HEAD: usize = 8;

/// Bytes that count up, as many as are compared at once and once more all that there are.
const RAMP: [u8; 4_096 + 256] = {
    let mut ramp = [0; 4_096 + 256];
    let mut at = 0;
    while at < ramp.len() {
        ramp[at] = at as u8;
        at += 1;
    }
    ramp
};

/// Where in the ramp byte `at` of message `number` stands, behind the head.
fn first(number: u64, at: usize) -> usize {
    usize::from((number as u8).wrapping_mul(31).wrapping_add(at as u8))
}

fn is_body(number: u64, size: usize, chunks: &[bytes::Bytes]) -> bool {
    let mut at = 0;
    for chunk in chunks {
        let head = number.to_be_bytes();
        let left = head.get(at..).unwrap_or_default();
        let (found, rest) = chunk.split_at(left.len().min(chunk.len()));
        if !left.starts_with(found) {
            return false;
        }
        at += found.len();
        for piece in rest.chunks(RAMP.len() - 256) {
            if !RAMP[first(number, at)..].starts_with(piece) {
                return false;
            }
            at += piece.len();
        }
    }
    at == size
}

#[cfg(test)]
mod tests {
    use super::*;
    use quilt_proto::{Delivery, GapCause, PatchId, Place, ProtocolId, Role};

    const BY: Source = Source { host: HostTag(7), incarnation: Incarnation(1) };

    /// A history in which a source has published a hundred messages.
    fn safety() -> Safety {
        let mut safety = Safety::default();
        (0..100).for_each(|seq| safety.published(Time::ZERO, BY, Seq(seq), 300 + seq, 10));
        safety
    }

    fn gap(from: u64, to: u64) -> Notice {
        gap_of(BY, from, to)
    }

    fn gap_of(source: Source, from: u64, to: u64) -> Notice {
        Notice::Gap { source, from: Seq(from), to: Seq(to), cause: GapCause::Unrepaired }
    }

    fn joined() -> Notice {
        Notice::Joined(Place {
            patch: PatchId(1),
            protocol: ProtocolId::IPMC,
            role: Role::Member,
            delivery: Delivery::Reliable,
        })
    }

    fn broken(notices: &[Notice]) -> Vec<Invariant> {
        let mut safety = safety();
        notices.iter().for_each(|notice| safety.told(Time::ZERO, 1, notice));
        safety.violations.names()
    }

    #[test]
    fn contiguous_gaps_are_fine_and_holes_and_repetitions_are_not() {
        assert_eq!(broken(&[gap(3, 5), gap(6, 6)]), []);
        assert_eq!(broken(&[gap(3, 5), gap(7, 7)]), [Invariant::S4]);
        assert_eq!(broken(&[gap(3, 5), gap(5, 7)]), [Invariant::S1, Invariant::S5]);
    }

    #[test]
    fn a_member_is_told_of_every_message_from_its_admission_on() {
        let (joined, another) = (joined(), Source { host: HostTag(8), ..BY });
        let broken = |before: u64, notices: &[Notice]| {
            let mut safety = Safety::default();
            let publish = |safety: &mut Safety, seqs: std::ops::Range<u64>| {
                seqs.for_each(|seq| safety.published(Time::ZERO, BY, Seq(seq), seq, 10));
            };
            publish(&mut safety, 0..before);
            safety.told(Time::ZERO, 1, &joined);
            publish(&mut safety, before..100);
            safety.published(Time::ZERO, another, Seq(0), 100, 10);
            notices.iter().for_each(|notice| safety.told(Time::ZERO, 1, notice));
            safety.violations.names()
        };
        assert_eq!(broken(0, &[gap(5, 9)]), [Invariant::S4]);
        assert_eq!(broken(0, &[gap(0, 9), gap_of(another, 1, 1)]), [Invariant::S4]);
        assert_eq!(broken(0, &[gap(0, 4), gap(5, 9)]), []);
        assert_eq!(broken(7, &[gap(8, 9)]), [Invariant::S4]);
        for from in [0, 3, 7] {
            assert_eq!(broken(7, &[gap(from, 9)]), [], "it is admitted where {from} is under way");
        }
    }

    #[test]
    fn what_nobody_published_and_what_was_changed_is_noticed() {
        let broken = |messages: &[(Source, u64, bool)]| -> Vec<Invariant> {
            let mut safety = safety();
            for &(source, seq, sound) in messages {
                safety.delivered(Time::ZERO, 1, source, Seq(seq), sound);
            }
            safety.violations.names()
        };
        let another = Source { host: HostTag(8), ..BY };
        assert_eq!(broken(&[(BY, 3, true), (BY, 4, true)]), []);
        assert_eq!(broken(&[(another, 3, true)]), [Invariant::S3]);
        assert_eq!(broken(&[(BY, 100, true)]), [Invariant::S3], "not yet");
        assert_eq!(broken(&[(BY, 3, false)]), [Invariant::S2]);
        assert_eq!(broken(&[(BY, 3, true), (BY, 3, true)]), [Invariant::S1, Invariant::S5]);
        assert_eq!(broken(&[(BY, 3, true), (BY, 5, true)]), [Invariant::S4]);
    }

    #[test]
    fn a_new_life_is_told_of_once_and_an_old_one_never_comes_back() {
        let new = Source { incarnation: Incarnation(2), ..BY };
        let reset = |old, new| Notice::SourceReset {
            host: BY.host,
            old: Incarnation(old),
            new: Incarnation(new),
        };
        assert_eq!(broken(&[gap(3, 5), reset(1, 2), gap_of(new, 0, 3)]), []);
        assert_eq!(broken(&[gap(3, 5), gap_of(new, 0, 3)]), [Invariant::S5], "not told of");
        assert_eq!(broken(&[gap(3, 5), reset(1, 2), gap(6, 7)]), [Invariant::S5], "back");
        assert_eq!(broken(&[gap(3, 5), reset(1, 2), reset(1, 2)]), [Invariant::S5], "twice");
    }

    #[test]
    fn an_application_that_starts_anew_may_see_again_what_it_saw() {
        let mut safety = safety();
        safety.told(Time::ZERO, 1, &gap(3, 5));
        safety.restarted(1);
        safety.told(Time::ZERO, 1, &gap(0, 5));
        assert_eq!(safety.violations.names(), []);
    }

    #[test]
    fn a_sequence_number_that_is_given_twice_or_out_of_turn_is_noticed() {
        for seq in [99, 101] {
            let mut safety = safety();
            safety.published(Time::ZERO, BY, Seq(seq), 1, 10);
            assert_eq!(safety.violations.names(), [Invariant::S14], "{seq}");
        }
    }

    #[test]
    fn a_body_says_which_message_it_is() {
        let bytes = bytes::Bytes::from(body(258, 300));
        assert!(is_body(258, 300, &[bytes.slice(..7), bytes.slice(7..)]));
        assert!(!is_body(259, 300, std::slice::from_ref(&bytes)));
        assert!(!is_body(258, 301, &[bytes]));
    }

    #[test]
    fn one_wrong_byte_is_noticed_wherever_a_body_is_cut() {
        let size = 3 * RAMP.len();
        let right = bytes::Bytes::from(body(77, size));
        for cut in [0, 5, 8, 4_104, 4_105, size] {
            assert!(is_body(77, size, &[right.slice(..cut), right.slice(cut..)]), "{cut}");
        }
        for at in [0, 7, 8, 4_103, 4_104, size - 1] {
            let mut wrong = right.to_vec();
            wrong[at] ^= 1;
            assert!(!is_body(77, size, &[wrong.into()]), "{at}");
        }
    }
}
