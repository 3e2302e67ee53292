//! A protocol of one's own in a scenario: each member pushes to all that it knows.

use quilt_proto::protocol::{Arrival, Body, Cx, Instance, Plugin, Protocol, Registry, Setup};
use quilt_proto::wire::{DecodeError, Reader, Writer};
use quilt_proto::{FragmentId, HostId, LinkError, ProtocolId, donet::DonetRule, rule::Rule};
use quilt_sim::{population::System, run::Run, run::Spec, topology::Topology};

struct Flood(Vec<HostId>);
struct Hello;

impl Body for Hello {
    fn encode(&self, _: &mut Writer<'_>) {}
    fn decode(_: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

impl Protocol for Flood {
    type Timer = ();
    type Frame = Hello;
    fn start(&mut self, cx: &mut Cx<'_, ()>) {
        let known: Vec<HostId> = cx.peers().iter().map(|(host, _)| host).collect();
        self.on_contacts(cx, &known);
    }
    fn on_contacts(&mut self, cx: &mut Cx<'_, ()>, hosts: &[HostId]) {
        hosts.iter().for_each(|&host| cx.need(host));
    }
    fn on_connected(&mut self, cx: &mut Cx<'_, ()>, host: HostId) {
        self.0.push(host);
        cx.send(host, &Hello);
    }
    fn on_frame(&mut self, cx: &mut Cx<'_, ()>, from: HostId, _: Hello) {
        // Who was called needs the caller too.
        if !self.0.contains(&from) {
            cx.need(from);
        }
    }
    fn on_disconnected(&mut self, cx: &mut Cx<'_, ()>, host: HostId, _: LinkError) {
        self.0.retain(|&other| other != host);
        cx.need(host);
    }
    fn on_fragment(&mut self, cx: &mut Cx<'_, ()>, arrival: Arrival, fragment: FragmentId) {
        let others = self.0.iter().filter(|&&host| arrival.from() != Some(host));
        others.for_each(|&host| cx.send_fragment(host, fragment));
    }
    fn on_timer(&mut self, _: &mut Cx<'_, ()>, (): ()) {}
    fn neighbours(&self) -> smallvec::SmallVec<[HostId; 16]> {
        self.0.iter().copied().collect()
    }
    fn leave(&mut self, _: &mut Cx<'_, ()>) {}
}

struct Flooding;

impl Plugin for Flooding {
    fn id(&self) -> ProtocolId {
        ProtocolId(300)
    }
    fn name(&self) -> &'static str {
        "flood"
    }
    fn rule(&self) -> &dyn Rule {
        &DonetRule
    }
    fn start(&self, _: &Setup) -> Instance {
        Instance::new(Flood(Vec::new()))
    }
}

fn main() {
    let mut spec = Spec::new("toy", Topology::lan(20).expect("20 hosts"), System::Quilt);
    spec.population.registry = Some(Registry::standard().with(Flooding));
    spec.population.order = Some(vec![ProtocolId(300)]);
    spec.loss = 0.1;
    let report = Run::new(spec).play(|_, _, _| {});
    assert!(report.patches.iter().all(|patch| patch.protocol == "protocol-300"));
    assert_eq!(report.delivery.delivered, report.delivery.expected);
    assert_eq!(report.violations, Vec::<String>::new());
    println!("{}", quilt_sim::report::Words(&report));
}
