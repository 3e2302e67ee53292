//! The bootstrap service goes and comes back.

use crate::{join, messages};
use quilt_conformance::{Group, Mix, Service, conformance, site};
use quilt_tokio::proto::{RejectCause, Trouble};
use quilt_tokio::{BootstrapConfig, JoinError, Notice};

conformance!(a_group_goes_on_without_the_service_and_a_new_one_learns_it_again);

fn a_group_goes_on_without_the_service_and_a_new_one_learns_it_again(mix: Mix) {
    let mut group = Group::new(mix);
    for number in 0..4 {
        // Two hosts a site: all of them represent it, and so report every second.
        let place = if number < 2 { 1 } else { 2 };
        group.join(site(place, number, place == 1));
    }
    group.service().wait_for_hosts(4);
    group[0].send_all(messages(20, 5_000));

    let at = group.service().address();
    group.service = None;
    let silent = Trouble::BootstrapSilent { at };
    let url = group.url.clone();
    let refusal = std::thread::spawn(move || join::refusal(mix, &url, site(1, 6, true)));
    for host in group.hosts() {
        host.wait_for("silence", |notice| *notice == Notice::Degraded(silent.clone()));
    }
    group[1].send_all(messages(20, 5_000));
    group[2].send_all(messages(20, 5_000));
    group.check_all_came();
    let refusal = refusal.join().unwrap();
    let cause = RejectCause::BootstrapSilent { at };
    assert!(matches!(&refusal, JoinError::Rejected(got) if *got == cause), "{refusal}");
    assert_eq!(refusal.to_string(), format!("the bootstrap service at {at} does not answer"));

    group.service = Some(Service::bind(mix.service, at, BootstrapConfig::default()).unwrap());
    for host in group.hosts() {
        host.wait_for("service", |notice| *notice == Notice::Recovered(silent.clone()));
    }
    let newcomers = [group.join(site(1, 4, true)), group.join(site(2, 5, false))];
    group.service().wait_until("everybody", |groups| {
        let Some(group) = groups.first() else { return false };
        let patches = &group.patches;
        group.hosts == 6 && patches.len() == 3 && patches[1..].iter().all(|p| p.members == 3)
    });
    for publisher in [0, 3].into_iter().chain(newcomers) {
        group[publisher].send_all(messages(20, 5_000));
    }
    group.check_all_came();
}
