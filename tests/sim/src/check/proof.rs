//! What goes by datagram to addresses that have not shown that anybody is there who wants it: S10.
//!
//! An address has proved itself to a host once it gave back a secret that it was sent, or anything
//! after a datagram that it had not asked for; once there was a stream between the two; or if it
//! speaks at a multicast address that the host has joined.

use super::{Invariant, Violations};
use quilt_proto::wire::{Frame, Frames};
use quilt_proto::{Chunks, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a datagram to an address that gave nothing may be ...
const PROBE_BYTES: usize = 64;
/// ... and how far two of them must lie apart.
const PROBE_PAUSE: Duration = Duration::from_secs(1);

/// Checks the datagrams of hosts and services.
#[derive(Debug, Default)]
pub struct Proof {
    /// By host and address.
    accounts: BTreeMap<(usize, SocketAddr), Account>,
    /// Who has had a stream with whom.
    streams: BTreeSet<(usize, IpAddr)>,
    /// Who has spoken at which multicast address.
    speakers: BTreeSet<(SocketAddr, IpAddr)>,
    violations: Violations,
}

/// A host's dealings with an address.
#[derive(Debug, Default)]
struct Account {
    got: u64,
    sent: u64,
    /// What only somebody at the address can know, the latest first.
    secrets: [u64; 2],
    /// When a datagram was sent there last that the address had given nothing for.
    asked: Option<Time>,
    proved: bool,
}

/// What is in a datagram, as far as it matters here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said {
    bytes: usize,
    /// What the receiver may give back; 0 if there is nothing.
    secret: u64,
    /// It is said by a protocol, measures a round trip, calls for a tunnel or tries a flow: all that
    /// hosts say to others that have not spoken yet.
    speaks_up: bool,
}

impl Said {
    /// Nothing yet.
    pub fn in_bytes(bytes: usize) -> Self {
        Self { bytes, ..Self::default() }
    }

    /// Takes note of a frame.
    pub fn note(&mut self, frame: &Frame) {
        match frame {
            Frame::Cookie { cookie, .. } => self.secret = *cookie,
            Frame::Tunnel { shows, wants } => {
                self.secret = u64::from(*wants);
                self.speaks_up |= *shows == 0;
            }
            Frame::Beat(beat) => self.speaks_up |= beat.echo == 0,
            Frame::Protocol { .. } | Frame::Flow { .. } => self.speaks_up = true,
            // A flow that is not only tried.
            Frame::Data(_) | Frame::Segment(_) => self.speaks_up = false,
            _ => {}
        }
    }
}

impl Proof {
    fn account(&mut self, host: usize, address: SocketAddr) -> &mut Account {
        self.accounts.entry((host, address)).or_default()
    }

    /// A host that has joined the multicast addresses `joined` sends a datagram to an address.
    pub fn sent(
        &mut self,
        now: Time,
        host: usize,
        to: SocketAddr,
        said: Said,
        joined: impl IntoIterator<Item = SocketAddr>,
    ) {
        let account = self.accounts.entry((host, to)).or_default();
        let Said { bytes, secret, speaks_up } = said;
        if secret != 0 {
            account.secrets = [secret, account.secrets[0]];
        }
        let after = account.sent + bytes as u64;
        if account.proved || after <= account.got {
            account.sent = after;
            return;
        }
        let speaks = |group| self.speakers.contains(&(group, to.ip()));
        if self.streams.contains(&(host, to.ip())) || joined.into_iter().any(speaks) {
            account.proved = true;
            return;
        }
        let rests = account.asked.is_none_or(|last| now.since(last) >= PROBE_PAUSE);
        account.asked = Some(now);
        if bytes <= PROBE_BYTES && rests {
            return;
        }
        if speaks_up {
            let what = format!("host {host} spoke to {to}, unasked, in {bytes} bytes");
            return self.violations.add_unclaimed(Invariant::S10, now, what);
        }
        let (sent, got) = (account.sent, account.got);
        let what = format!("{to} had {sent} bytes of host {host} for {got}, then {bytes} more");
        self.violations.add(Invariant::S10, now, what);
    }

    /// A datagram came to a host.
    pub fn got(&mut self, host: usize, from: SocketAddr, bytes: &Chunks) {
        let account = self.account(host, from);
        account.got += bytes.len() as u64;
        if account.proved {
            return;
        }
        // It answers.
        account.proved = account.asked.is_some();
        for frame in Frames::decode(bytes.clone()).into_iter().flatten().flatten() {
            let shown = match frame {
                Frame::Report(report) => report.cookie,
                Frame::Depart { cookie, .. } | Frame::Survey { cookie, .. } => cookie,
                Frame::Sense(sense) => sense.cookie,
                Frame::Tunnel { shows, .. } => u64::from(shows),
                _ => continue,
            };
            account.proved |= shown != 0 && account.secrets.contains(&shown);
        }
    }

    /// A host has a stream to an address, or from there.
    pub fn has_stream(&mut self, host: usize, other: SocketAddr) {
        self.streams.insert((host, other.ip()));
    }

    /// Something was sent to a multicast address. What comes of it is believed: routers do not let
    /// through what cannot come from where it says.
    pub fn multicast(&mut self, from: IpAddr, to: SocketAddr) {
        self.speakers.insert((to, from));
    }

    /// A host starts again, and knows nobody.
    pub fn restarted(&mut self, host: usize) {
        self.accounts.retain(|&(of, _), _| of != host);
        self.streams.retain(|&(of, _)| of != host);
    }

    pub(crate) fn violations_mut(&mut self) -> &mut Violations {
        &mut self.violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quilt_proto::wire::{Beat, Header, SUITE_OPEN};
    use quilt_proto::{GroupId, HostId, HostTag, Incarnation, PatchId};

    const GROUP: GroupId = GroupId(1);

    fn at() -> SocketAddr {
        "10.0.0.1:7400".parse().unwrap()
    }

    fn packet(frame: &Frame) -> Chunks {
        let header = Header { suite: SUITE_OPEN, key_epoch: 0, sender: HostTag(1), number: 1 };
        let mut bytes = header.encode().to_vec();
        frame.encode(&mut bytes);
        bytes.into()
    }

    fn depart(cookie: u64) -> Chunks {
        let (host, incarnation) = (HostId([1; 32]), Incarnation(1));
        packet(&Frame::Depart { group: GROUP, host, incarnation, cookie })
    }

    /// Host 9 sends so many bytes.
    fn send(proof: &mut Proof, ms: u64, bytes: usize) {
        proof.sent(Time::from_millis(ms), 9, at(), Said::in_bytes(bytes), []);
    }

    #[test]
    fn an_address_that_has_not_proved_itself_gets_no_more_than_it_gave() {
        for (cookie, broken) in [(0, vec![Invariant::S10]), (77, vec![])] {
            let mut proof = Proof::default();
            proof.got(9, at(), &depart(0));
            let mut said = Said::in_bytes(depart(0).len());
            said.note(&Frame::Cookie { group: GROUP, cookie: 77, seen: None });
            proof.sent(Time::ZERO, 9, at(), said, []);
            assert_eq!(proof.violations.names(), [], "as much as came");
            proof.got(9, at(), &depart(cookie));
            send(&mut proof, 0, 1_000);
            assert_eq!(proof.violations.names(), broken, "{cookie}");
        }
    }

    #[test]
    fn one_short_datagram_a_second_may_go_to_an_address_that_gave_nothing() {
        let mut proof = Proof::default();
        send(&mut proof, 0, 64);
        send(&mut proof, 1_000, 64);
        assert_eq!(proof.violations.names(), []);
        send(&mut proof, 1_999, 64);
        assert_eq!(proof.violations.names(), [Invariant::S10], "too soon");
        send(&mut proof, 5_000, 65);
        assert_eq!(proof.violations.names(), [Invariant::S10; 2], "too long");
        proof.got(9, at(), &depart(0));
        send(&mut proof, 5_001, 1_000);
        assert_eq!(proof.violations.names().len(), 2, "it has answered");
        proof.restarted(9);
        send(&mut proof, 5_002, 1_000);
        assert_eq!(proof.violations.names().len(), 3, "who starts again knows nobody");
    }

    #[test]
    fn streams_and_multicast_packets_prove_an_address() {
        let group: SocketAddr = "239.0.0.1:7400".parse().unwrap();
        let mut proof = Proof::default();
        proof.has_stream(9, "10.0.0.1:12345".parse().unwrap());
        send(&mut proof, 0, 1_000);
        proof.multicast(at().ip(), group);
        proof.sent(Time::ZERO, 8, at(), Said::in_bytes(1_000), [group]);
        assert_eq!(proof.violations.names(), []);
        proof.sent(Time::ZERO, 7, at(), Said::in_bytes(1_000), []);
        assert_eq!(proof.violations.names(), [Invariant::S10]);
    }

    #[test]
    fn what_is_said_unasked_is_told_apart_from_answers() {
        let beat = |echo| Beat { stamp: 5, echo, held: 0, next_ms: 0, needed: false };
        let (measures, answers) = (Frame::Beat(beat(0)), Frame::Beat(beat(7)));
        let (calls, tries) =
            (Frame::Tunnel { shows: 0, wants: 5 }, Frame::Flow { token: 5, number: 1 });
        let body = bytes::Bytes::from_static(b"word");
        let word = Frame::Protocol { group: GROUP, patch: PatchId(1), body };
        let unasked = [measures, calls, tries, word].map(|frame| (frame, false));
        for (frame, may_be_claimed) in unasked.into_iter().chain([(answers, true)]) {
            let mut proof = Proof::default();
            let mut said = Said::in_bytes(500);
            said.note(&frame);
            proof.sent(Time::ZERO, 9, at(), said, []);
            let told = proof.violations.all().iter().map(|one| one.may_be_claimed);
            assert_eq!(told.collect::<Vec<_>>(), [may_be_claimed], "{frame:?}");
        }
    }
}
