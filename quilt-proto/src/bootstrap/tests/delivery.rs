//! Who settles what a group promises.

use super::hosts::{Hosts, config, open, report};
use crate::wire::{Refusal, Report};
use crate::{Delivery, HostId};
use core::time::Duration;

fn wishing(n: u8, delivery: Option<Delivery>) -> Report {
    Report { delivery, ..report(n, [open(n, &["core"])]) }
}

#[test]
fn the_first_host_s_wish_settles_what_a_group_promises() {
    let mut hosts = Hosts::new(config());
    let first = hosts.send(wishing(1, Some(Delivery::Ordered))).unwrap();
    assert_eq!(first.delivery, Delivery::Ordered);
    let same = hosts.send(wishing(2, Some(Delivery::Ordered))).unwrap();
    let any = hosts.send(wishing(3, None)).unwrap();
    assert_eq!((same.delivery, any.delivery), (Delivery::Ordered, Delivery::Ordered));
    let other = hosts.send(wishing(4, Some(Delivery::Reliable)));
    assert_eq!(other, Err(Refusal::Delivery(Delivery::Ordered)));
    let known = hosts.directory.groups().any(|group| group.hosts.contains_key(&HostId([4; 32])));
    assert!(!known);
}

#[test]
fn a_group_whose_first_host_wishes_nothing_is_reliable_for_all() {
    let mut hosts = Hosts::new(config());
    assert_eq!(hosts.send(wishing(1, None)).unwrap().delivery, Delivery::Reliable);
    let other = hosts.send(wishing(2, Some(Delivery::BestEffort)));
    assert_eq!(other, Err(Refusal::Delivery(Delivery::Reliable)));
}

#[test]
fn a_group_that_nobody_is_in_any_more_is_settled_anew() {
    let mut hosts = Hosts::new(config());
    hosts.send(wishing(1, Some(Delivery::Ordered))).unwrap();
    hosts.kill(1);
    hosts.run(Duration::from_secs(20));
    let second = hosts.send(wishing(2, Some(Delivery::BestEffort))).unwrap();
    assert_eq!(second.delivery, Delivery::BestEffort);
}

#[test]
fn a_service_without_memory_learns_from_members_and_not_from_newcomers() {
    let mut hosts = Hosts::new(config());
    hosts.send(wishing(1, Some(Delivery::Ordered))).unwrap();
    hosts.restart_service();
    let newcomer = hosts.send(wishing(2, None)).unwrap();
    assert_eq!(newcomer.delivery, Delivery::Reliable, "nobody has said otherwise yet");
    assert_eq!(hosts.report(2).delivery, Delivery::Reliable);
    assert_eq!(hosts.report(1).delivery, Delivery::Ordered);
    // The newcomer is told, and does not change it back.
    assert_eq!(hosts.report(2).delivery, Delivery::Ordered);
    assert_eq!(hosts.report(1).delivery, Delivery::Ordered);
}
