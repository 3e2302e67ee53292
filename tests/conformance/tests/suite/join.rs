//! Who is taken in, and what those are told who are not.

use quilt_conformance::{Adapter, Group, Host, Mix, Service, conformance, named, options};
use quilt_tokio::proto::protocol::Registry;
use quilt_tokio::proto::{HostId, Limits, LinkError, ProtocolId, RejectCause, Role};
use quilt_tokio::{BootstrapConfig, JoinError, Options, Url};
use std::net::UdpSocket;

conformance!(
    hosts_join_and_know_where_they_stand,
    a_host_without_an_address_takes_the_one_that_leads_to_the_service,
    an_address_that_cannot_be_listened_on_is_said,
    who_is_refused_is_told_why,
);

fn hosts_join_and_know_where_they_stand(mix: Mix) {
    let mut group = Group::of(mix, 3);
    group.service().wait_for_hosts(3);
    let places: Vec<_> = group.hosts().iter().map(|host| host.place().unwrap()).collect();
    for (number, place) in (0..).zip(&places) {
        assert_eq!((place.patch, place.protocol), (places[0].patch, ProtocolId::DONET));
        let role = if number < 2 { Role::Representative } else { Role::Member };
        assert_eq!(place.role, role, "host {number}");
        let host = &group[number];
        assert_eq!(host.address().ip(), options(0, number).bind.ip());
        assert_ne!(host.address().port(), 0);
        assert!(host.receive_buffer_bytes() > 0);
    }
    group.check_all_came();
}

fn a_host_without_an_address_takes_the_one_that_leads_to_the_service(mix: Mix) {
    let mut group = Group::new(mix);
    let id = HostId([7; 32]);
    group.join(Options { host: Some(id), ..Options::default() });
    group.join(Options::default());
    let towards = UdpSocket::bind("0.0.0.0:0").unwrap();
    towards.connect(group.service().address()).unwrap();
    for host in group.hosts() {
        assert_eq!(host.address().ip(), towards.local_addr().unwrap().ip());
    }
    assert_eq!(group[0].id(), id);
    assert_ne!(group[1].id(), id);
    group[0].send_all(crate::messages(3, 100));
    group.check_all_came();
}

fn an_address_that_cannot_be_listened_on_is_said(mix: Mix) {
    let mut group = Group::of(mix, 1);
    // No interface of this host has this address (RFC 5737).
    let nowhere = ([203, 0, 113, 9], 0).into();
    let cases = [
        (group.service().address(), LinkError::AddressInUse),
        (group[0].address(), LinkError::AddressInUse),
        (nowhere, LinkError::NoSuchInterface),
    ];
    for (bind, cause) in cases {
        let error = refusal(mix, &group.url, Options { bind, ..Options::default() });
        let JoinError::Bind(error) = error else { panic!("{bind}: {error}") };
        assert_eq!((error.address, error.cause()), (bind, cause));
        let service = Service::bind(mix.service, bind, BootstrapConfig::default());
        let error = service.err().expect("a service does not start there either");
        assert_eq!((error.address, error.cause()), (bind, cause));
        assert_eq!(error.to_string(), format!("cannot listen on {bind}: {cause}"));
    }
    group.check_all_came();
}

fn who_is_refused_is_told_why(mix: Mix) {
    let name = named("group");
    let config = BootstrapConfig {
        groups: Some([name.clone()].into()),
        limits: Limits { group_hosts: 2, ..Limits::default() },
        ..BootstrapConfig::default()
    };
    let service = Service::bind(mix.service, ([127, 0, 0, 1], 0).into(), config).unwrap();
    let url = Url::new(service.address(), &name).unwrap();
    let other = Url::new(service.address(), &named("another")).unwrap();
    let rejected = |url, options, cause| {
        let error = refusal(mix, url, options);
        assert!(
            matches!(&error, JoinError::Rejected(got) if *got == cause),
            "{error}, not {cause}"
        );
    };
    let alone = Options { create: false, ..options(0, 0) };
    rejected(&url, alone, RejectCause::UnknownGroup);
    rejected(&other, options(0, 0), RejectCause::UnknownGroup);
    let powerless = Options { registry: Registry::empty(), ..options(0, 0) };
    rejected(&url, powerless, RejectCause::NoProtocol);

    let id = |last| HostId(std::array::from_fn(|at| if at == 31 { last } else { 5 }));
    let first = Options { host: Some(id(1)), ..options(0, 0) };
    let _first = Host::join(mix.host(0), &url, first).unwrap();
    // The first bytes of an id are its tag.
    let namesake = Options { host: Some(id(2)), ..options(0, 1) };
    rejected(&url, namesake, RejectCause::TagTaken);
    let _second = Host::join(mix.host(1), &url, options(0, 1)).unwrap();
    rejected(&url, options(0, 2), RejectCause::Full);
    let refused = service.counters();
    assert!(refused.get(quilt_tokio::proto::Counter::Unproven) > 0, "{refused}");
}

/// Why a host is not taken in: the same on both of the mix's adapters.
pub(crate) fn refusal(mix: Mix, url: &Url, options: Options) -> JoinError {
    let refuse = |adapter: Adapter| {
        Host::join(adapter, url, options.clone()).err().expect("no host is taken in")
    };
    let [even, odd] = std::thread::scope(|scope| {
        let refusals = mix.hosts.map(|adapter| scope.spawn(move || refuse(adapter)));
        refusals.map(|refusal| refusal.join().unwrap())
    });
    assert_eq!(even.to_string(), odd.to_string());
    even
}
