//! Protocols that break what is promised: whether the checkers see it in a run.

use super::*;
use crate::plugin::plugin;
use quilt_proto::protocol::{Arrival, Cx, Protocol};
use quilt_proto::{FragmentId, HostId};
use std::collections::{BTreeMap, BTreeSet};

/// How a protocol is sloppy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sloth {
    /// It is not.
    None,
    /// It sends everything again after a while.
    SaysTwice,
    /// It takes a host for its parent that takes it for its own.
    Circular,
    /// Now and then it comes to no rest.
    Restless,
}

/// A flood over all members.
struct Flood {
    sloth: Sloth,
    members: BTreeSet<HostId>,
    sent: BTreeMap<u64, Vec<FragmentId>>,
    /// How often it woke itself.
    turns: u32,
}

impl Flood {
    fn send(&self, cx: &mut Cx<'_, u64>, fragment: FragmentId) {
        self.members.iter().for_each(|&host| cx.send_fragment(host, fragment));
    }
}

impl Protocol for Flood {
    type Timer = u64;
    type Frame = ();

    fn on_contacts(&mut self, cx: &mut Cx<'_, u64>, hosts: &[HostId]) {
        hosts.iter().for_each(|&host| cx.need(host));
    }

    fn on_connected(&mut self, cx: &mut Cx<'_, u64>, host: HostId) {
        self.members.insert(host);
        cx.send(host, &());
    }

    fn on_frame(&mut self, cx: &mut Cx<'_, u64>, from: HostId, (): ()) {
        cx.need(from);
    }

    fn on_fragment(&mut self, cx: &mut Cx<'_, u64>, _: Arrival, fragment: FragmentId) {
        self.send(cx, fragment);
        match self.sloth {
            Sloth::SaysTwice => {
                self.sent.entry(fragment.seq.0).or_default().push(fragment);
                cx.set_timer(fragment.seq.0, cx.now() + Duration::from_millis(300));
            }
            Sloth::Restless => cx.set_timer(0, cx.now() + Duration::from_nanos(100)),
            Sloth::None | Sloth::Circular => {}
        }
    }

    fn on_timer(&mut self, cx: &mut Cx<'_, u64>, timer: u64) {
        for fragment in self.sent.remove(&timer).unwrap_or_default() {
            self.send(cx, fragment);
        }
        self.turns += 1;
        if self.sloth == Sloth::Restless && self.turns < 5_000 {
            cx.set_timer(0, cx.now() + Duration::from_nanos(100));
        }
    }

    fn parent(&self) -> Option<HostId> {
        self.members.first().copied().filter(|_| self.sloth == Sloth::Circular)
    }

    fn neighbours(&self) -> smallvec::SmallVec<[HostId; 16]> {
        self.members.iter().copied().collect()
    }
}

/// The claimed invariants that a run of the protocol breaks.
fn broken(sloth: Sloth) -> Vec<String> {
    let mut spec = Spec::new("sloppy", Topology::lan(4).unwrap(), System::Quilt);
    spec.duration = Duration::from_secs(1);
    spec.population.run_in_patches(plugin(301, "sloppy", move |_| Flood {
        sloth,
        members: BTreeSet::new(),
        sent: BTreeMap::new(),
        turns: 0,
    }));
    let report = Run::new(spec).play(|_, _, _| {});
    let name = |what: &String| what.split(' ').next().unwrap_or_default().to_owned();
    let names: BTreeSet<String> = report.violations.iter().map(name).collect();
    names.into_iter().collect()
}

#[test]
fn a_protocol_that_is_not_sloppy_breaks_nothing() {
    assert_eq!(broken(Sloth::None), [""; 0]);
}

#[test]
fn a_protocol_that_says_everything_twice_breaks_s6() {
    assert_eq!(broken(Sloth::SaysTwice), ["S6"]);
}

#[test]
fn hosts_that_are_above_each_other_break_s7() {
    assert_eq!(broken(Sloth::Circular), ["L1", "S7"]);
}

#[test]
fn a_protocol_that_comes_to_no_rest_breaks_s11() {
    assert_eq!(broken(Sloth::Restless), ["S11"]);
}

#[test]
fn hosts_that_have_more_than_they_may_break_s8() {
    let mut spec = Spec::new("lan", Topology::lan(4).unwrap(), System::Quilt);
    spec.duration = Duration::from_secs(1);
    let mut run = Run::new(spec);
    // The hosts have been made with the limits of before.
    run.spec.population.limits.window_messages = 3;
    let report = run.play(|_, _, _| {});
    assert!(!report.violations.is_empty());
    let all = report.violations.iter().all(|what| what.contains("window_messages where 3 are"));
    assert!(all, "{:?}", report.violations);
}
