//! Interfaces that have no IP multicast where it was expected.

use crate::messages;
use quilt_conformance::{Group, Host, Mix, conformance, harmless, options, site, until};
use quilt_tokio::proto::wire::Nic;
use quilt_tokio::proto::{ChangeCause, LinkError, ProtocolId, Trouble, Unusable};
use quilt_tokio::{Notice, Options};
use std::net::Ipv6Addr;

conformance!(on_ipv6_another_protocol_takes_over, an_interface_that_is_not_there_is_said,);

/// IPv6 has no IP multicast here yet, which is as good as a network without it.
fn on_ipv6_another_protocol_takes_over(mix: Mix) {
    let mut group = Group::new(mix);
    for number in 0..3 {
        group.join(Options { bind: (Ipv6Addr::LOCALHOST, 0).into(), ..site(1, number, true) });
    }
    let reasons = another_protocol_takes_over(&mut group);
    assert!(matches!(reasons[0], Unusable::CannotJoin(_)), "{reasons:?}");
    assert_eq!(reasons[1..], [reasons[0], reasons[0]]);
}

/// The bootstrap service is told of an interface that this host has not (RFC 5737).
fn an_interface_that_is_not_there_is_said(mix: Mix) {
    let mut group = Group::new(mix);
    for number in 0..3 {
        let euid = site(1, number, true).surroundings;
        let nic = Nic { address: [203, 0, 113, 9].into(), euid };
        group.join(Options { more_nics: vec![nic], ..options(0, number) });
    }
    let reasons = another_protocol_takes_over(&mut group);
    assert_eq!(reasons, [Unusable::CannotJoin(LinkError::NoSuchInterface); 3]);
}

/// Every host gets everything by DONet, and is told why it is not IPMC; what each was told.
fn another_protocol_takes_over(group: &mut Group) -> Vec<Unusable> {
    for host in group.hosts() {
        let protocol = || host.place().map(|place| place.protocol);
        until("another protocol", || protocol() == Some(ProtocolId::DONET));
    }
    for publisher in 0..2 {
        group[publisher].send_all(messages(10, 20_000));
    }
    group.settle();
    let reasons = group.hosts().iter_mut().map(reason).collect();
    group.check_all_came();
    reasons
}

/// Why IPMC does not work. Who was moved before it was admitted is not told that it was moved.
fn reason(host: &mut Host) -> Unusable {
    let told = host.told().into_iter().filter(|notice| !harmless(notice));
    let (trouble, changes): (Vec<_>, Vec<_>) =
        told.partition(|notice| matches!(notice, Notice::Degraded(_)));
    let [Notice::Degraded(Trouble::ProtocolUnusable { protocol: ProtocolId::IPMC, reason })] =
        trouble[..]
    else {
        panic!("{trouble:?}");
    };
    let cause = ChangeCause::Unusable { protocol: ProtocolId::IPMC, reason };
    match &changes[..] {
        [] => {}
        // With several interfaces, another one's patch may have become the first.
        [Notice::PatchChanged { place, why }] if *why == cause || *why == ChangeCause::Moved => {
            assert_eq!(place.protocol, ProtocolId::DONET);
        }
        others => panic!("{others:?}"),
    }
    reason
}
