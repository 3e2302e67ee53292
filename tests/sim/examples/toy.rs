//! A protocol of one's own in a scenario: each member pushes to all that it knows.

use quilt_proto::protocol::{Arrival, Cx, Protocol};
use quilt_proto::{FragmentId, HostId};
use quilt_sim::{plugin::plugin, population::System, run::Run, run::Spec, topology::Topology};

struct Flood;

impl Protocol for Flood {
    type Timer = ();
    type Frame = ();
    fn on_contacts(&mut self, cx: &mut Cx<'_, ()>, hosts: &[HostId]) {
        hosts.iter().for_each(|&host| cx.need(host));
    }
    fn on_fragment(&mut self, cx: &mut Cx<'_, ()>, arrival: Arrival, fragment: FragmentId) {
        let others = cx.peers().iter().map(|(host, _)| host);
        let others: Vec<HostId> = others.filter(|&host| arrival.from() != Some(host)).collect();
        others.into_iter().for_each(|host| cx.send_fragment(host, fragment));
    }
}

fn main() {
    let mut spec = Spec::new("toy", Topology::lan(20).expect("20 hosts"), System::Quilt);
    spec.population.run_in_patches(plugin(300, "flood", |_| Flood));
    spec.loss = 0.1;
    let report = Run::new(spec).play(|_, _, _| {});
    assert_eq!(report.patches[0].protocol, "protocol-300");
    assert_eq!(report.delivery.delivered, report.delivery.expected);
}
