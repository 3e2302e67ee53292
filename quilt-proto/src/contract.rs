//! What a machine owes its adapter, as a test for any machine and for any plug-in.
//!
//! [`check`] plays bytes as a list of [`Op`]s at a machine, twice, and panics where it breaks the
//! contract of [`Machine`]. [`check_member`] does so at a host that is in a patch of one protocol,
//! where frames of that protocol are among the ops. Any bytes are some ops, so a fuzzer or a
//! property test may draw them:
//!
//! ```
//! use quilt_proto::contract::check_member;
//! use quilt_proto::{ProtocolId, protocol::Registry};
//!
//! let bytes: Vec<u8> = (0..2_000u32).map(|n| (n * n / 7) as u8).collect();
//! check_member(&Registry::standard(), ProtocolId::OMNI, &bytes);
//! ```
//!
//! What is checked after each op:
//! - the machine survives any bytes, and has nothing more to do after 100,000 steps;
//! - [`Machine::poll_timeout`] says the same when asked twice, and each timeout makes progress;
//! - a wake-up that is too early has no effect;
//! - no link is named twice; every packet is one that others can read, and no longer than a
//!   datagram may be where it is one;
//! - the same ops at the same machine give the same packets and actions.

mod driver;
mod member;

pub use driver::{Driver, Op, address, packet};
pub use member::{Member, check_member};

use crate::Machine;

/// Plays `bytes` at what `new` makes, and once more at another one of it.
///
/// # Panics
/// The machine breaks its contract; the message says how.
pub fn check<M: Machine>(new: impl Fn() -> M, bytes: &[u8]) {
    let [first, second] = [(), ()].map(|()| {
        let mut driver = Driver::new(new());
        driver.settle();
        Op::list(bytes).for_each(|op| driver.apply(&op));
        driver.digest()
    });
    assert_eq!(first, second, "the same ops did not give the same packets");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Registry;
    use crate::{Action, Bootstrap, BootstrapConfig, Event, LinkId, ProtocolId, Time, Transmit};
    use core::cell::Cell;
    use core::net::SocketAddr;
    use core::time::Duration;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Bytes for many ops with short payloads, that often look like frames.
    fn ops() -> impl Strategy<Value = Vec<u8>> {
        let payload = prop_oneof![vec(any::<u8>(), 0..40), vec(0u8..16, 0..200)];
        let kind = 0..Driver::<Bootstrap>::KINDS + Member::KINDS;
        vec((kind, any::<u8>(), payload), 0..60).prop_map(|ops| {
            let mut bytes = Vec::new();
            for (kind, which, payload) in ops {
                Op { kind, which, payload: &payload }.encode(&mut bytes);
            }
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn a_service_keeps_its_contract_whatever_happens(bytes in ops()) {
            check(|| Bootstrap::new(BootstrapConfig::default(), 1), &bytes);
        }

        #[test]
        fn a_member_keeps_its_contract_whatever_happens(bytes in ops()) {
            for protocol in [ProtocolId::IPMC, ProtocolId::DONET, ProtocolId::OMNI] {
                check_member(&Registry::standard(), protocol, &bytes);
            }
        }

        #[test]
        fn ops_are_read_back(kind: u8, which: u8, payload in vec(any::<u8>(), 0..300)) {
            let op = Op { kind, which, payload: &payload };
            let mut bytes = Vec::new();
            op.encode(&mut bytes);
            op.encode(&mut bytes);
            prop_assert_eq!(Op::list(&bytes).collect::<Vec<_>>(), [op, op]);
        }
    }

    /// A machine that wakes each second and says nothing, until it does something wrong.
    #[derive(Default)]
    struct Bad {
        wrong: &'static str,
        now: Time,
        asked: Cell<u64>,
        actions: Vec<Action>,
    }

    impl Machine for Bad {
        fn accept(&mut self, _: Time, _: SocketAddr) -> Option<LinkId> {
            Some(LinkId(7))
        }

        fn handle(&mut self, now: Time, event: Event) {
            let early = matches!(event, Event::Timeout) && now < self.now + Duration::from_secs(1);
            match self.wrong {
                "acts early" if early => self.actions.push(Action::Close { link: LinkId(9) }),
                "talks rubbish" | "is never silent" => {
                    self.actions.push(Action::Look { link: LinkId::UDP });
                }
                "never rests" => return,
                _ => {}
            }
            self.now = now;
        }

        fn poll_action(&mut self) -> Option<Action> {
            self.actions.pop()
        }

        fn poll_transmit(&mut self, _: LinkId) -> Option<Transmit> {
            let mut transmit = Transmit::new(Some(address(1)));
            match self.wrong {
                "is never silent" => transmit.push_head(&packet(1, &[])),
                _ => transmit.push_head(b"rubbish"),
            }
            Some(transmit)
        }

        fn poll_timeout(&self) -> Option<Time> {
            self.asked.set(self.asked.get().saturating_add(1));
            let wrong = if self.wrong == "wavers" { self.asked.get() } else { 0 };
            Some(self.now + Duration::from_secs(1) + Duration::from_nanos(wrong))
        }
    }

    /// Whether the driver notices what is wrong, when this happens.
    fn is_noticed(wrong: &'static str, kinds: &[u8]) -> bool {
        let mut bytes = Vec::new();
        kinds.iter().for_each(|&kind| Op { kind, which: 200, payload: b"x" }.encode(&mut bytes));
        let bad = || Bad { wrong, ..Bad::default() };
        std::panic::catch_unwind(|| check(bad, &bytes)).is_err()
    }

    #[test]
    fn each_way_to_break_the_contract_is_noticed() {
        let all = [0, 10, 7, 4, 9, 10];
        assert!(!is_noticed("nothing", &all));
        for wrong in ["acts early", "talks rubbish", "is never silent", "never rests", "wavers"] {
            assert!(is_noticed(wrong, &all), "it {wrong}");
        }
        assert!(is_noticed("names a link twice", &[4, 4]));
    }

    #[test]
    fn what_does_not_follow_from_its_seed_is_noticed() {
        let turn = Cell::new(0u64);
        let new = || {
            turn.set(turn.get().saturating_add(1));
            Bootstrap::new(BootstrapConfig::default(), turn.get())
        };
        let mut bytes = Vec::new();
        let asks = packet(1, &crate::wire::padding(0));
        Op { kind: 0, which: 1, payload: &asks }.encode(&mut bytes);
        check(new, &bytes);
        let report = crate::wire::Frame::Report(std::boxed::Box::new(report()));
        let mut frames = Vec::new();
        report.encode(&mut frames);
        frames.extend(crate::wire::padding(900));
        Op { kind: 1, which: 1, payload: &frames }.encode(&mut bytes);
        let noticed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(new, &bytes)));
        assert!(noticed.is_err(), "cookies are drawn");
    }

    fn report() -> crate::wire::Report {
        crate::wire::Report {
            group: crate::GroupId::named("contract"),
            host: crate::HostId([1; 32]),
            incarnation: crate::Incarnation(1),
            cookie: 0,
            create: true,
            delivery: None,
            addresses: [address(1)].into_iter().collect(),
            nics: [].into_iter().collect(),
            protocols: [ProtocolId::OMNI].into_iter().collect(),
            memberships: [].into_iter().collect(),
            lost: [].into_iter().collect(),
            parent: None,
        }
    }
}
