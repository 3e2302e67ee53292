//! Random EUIDs for tests.

use super::*;
use alloc::vec;
use core::net::{IpAddr, Ipv4Addr};
use proptest::collection::vec;
use proptest::prelude::*;

fn barrier() -> impl Strategy<Value = Barrier> {
    prop_oneof![Just(Barrier::None), Just(Barrier::Firewall), nat().prop_map(Barrier::Nat),]
}

fn nat() -> impl Strategy<Value = Nat> {
    let address = (0u8..4).prop_map(|n| IpAddr::V4(Ipv4Addr::new(203, 0, 113, n)));
    (address, dependence(), dependence()).prop_map(|(address, mapping, filtering)| Nat {
        address,
        mapping,
        filtering,
    })
}

/// What a NAT's mapping or filtering depends on, as far as that is known.
pub(crate) fn dependence() -> impl Strategy<Value = Option<Dependence>> {
    use Dependence::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
    let known = vec![EndpointIndependent, AddressDependent, AddressAndPortDependent];
    proptest::option::of(proptest::sample::select(known))
}

fn connectivity() -> impl Strategy<Value = Connectivity> {
    let transport = prop_oneof![Just(Transport::Tcp), Just(Transport::Udp)];
    let direction =
        prop_oneof![Just(Direction::Both), Just(Direction::Inbound), Just(Direction::Outbound)];
    (transport, direction, barrier()).prop_map(|(transport, direction, barrier)| Connectivity {
        transport,
        direction,
        barrier,
    })
}

/// EUIDs within their bounds, often at them; routers and the like coincide often.
pub(crate) fn euid() -> impl Strategy<Value = Euid> {
    let connectivity = vec(connectivity(), 0..=Euid::MAX_CONNECTIVITY);
    let routers = vec((0u64..48, 1u8..6, any::<bool>()), 0..24);
    let performance = vec((0u8..12, 0u32..100, 0u32..100), 0..12);
    let extension = vec(any::<u8>(), 0..4).prop_map(Bytes::from);
    let extensions = vec((0u16..8, extension), 0..=Euid::MAX_EXTENSIONS);
    (connectivity, routers, performance, extensions).prop_map(
        |(connectivity, routers, performance, extensions)| {
            let mut euid = Euid {
                connectivity: connectivity.into_iter().collect(),
                extensions: extensions.into_iter().collect(),
                ..Euid::default()
            };
            for (router, hops, multicast) in routers {
                euid.topology.insert(RouterId(router), hops, multicast);
            }
            for (metric, a, b) in performance {
                euid.performance.insert(Metric(metric), Range { lower: a.min(b), upper: a.max(b) });
            }
            euid
        },
    )
}
