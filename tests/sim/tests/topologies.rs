//! What is built in is what the data's description says.

use quilt_sim::topology::{Dependence, LatencyOrigin, SiteLatency, Topology};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// One-way latencies between different hosts, each pair once, sorted.
fn pairs(topology: &Topology) -> Vec<Duration> {
    let n = topology.hosts.len();
    let mut all: Vec<Duration> = (0..n)
        .flat_map(|a| (a + 1..n).map(move |b| (a, b)))
        .map(|(a, b)| topology.one_way(a, b))
        .collect();
    all.sort_unstable();
    all
}

/// Hosts of each cluster, which is what comes before the `-` of a name.
fn clusters(topology: &Topology) -> BTreeMap<String, usize> {
    let mut sizes = BTreeMap::new();
    for place in &topology.hosts {
        let (host, site) = place.name.split_once('.').unwrap();
        let (cluster, _) = host.split_once('-').unwrap();
        *sizes.entry(format!("{site}/{cluster}")).or_insert(0) += 1;
    }
    sizes
}

fn assert_sound(topology: &Topology) {
    let names: BTreeSet<_> = topology.hosts.iter().map(|place| &place.name).collect();
    assert_eq!(names.len(), topology.hosts.len(), "names are unique");
    let regions: BTreeSet<_> = topology.hosts.iter().map(|place| place.region).collect();
    assert_eq!(regions, (0..topology.regions() as u32).collect(), "regions have no holes");
    let gateways = topology.hosts.iter().filter_map(|place| place.gateway);
    assert!(gateways.max().is_none_or(|last| last < topology.gateways.len()));
}

fn assert_no_detour_is_longer(topology: &Topology, from: usize) {
    for (to, way) in topology.shortest_from(from).into_iter().enumerate() {
        assert!(way <= topology.one_way(from, to), "{from} to {to}");
    }
}

#[test]
fn the_data_center_has_the_papers_sites_clusters_and_servers() {
    let centers = Topology::data_center(None, SiteLatency::Paper).unwrap();
    assert_sound(&centers);
    assert_eq!(centers.hosts.len(), 1_531);
    assert_eq!((centers.regions(), clusters(&centers).len()), (9, 25));
    assert!(centers.hosts.iter().all(|place| place.multicast && place.routers.len() == 4));
    assert!(centers.hosts.iter().all(|place| place.up_bps == Some(1_000_000_000)));
    let inside = |hop: usize| centers.hosts.iter().all(|place| place.routers[hop].multicast);
    assert_eq!([0, 1, 2, 3].map(inside), [true, true, false, false]);
    assert_eq!(centers.hosts[0].routers[0].name, "sw-bordemer");
    assert_eq!(centers.hosts[0].routers[1].name, "gw-bordeaux");
}

#[test]
fn the_data_centers_latencies_are_those_of_the_paper() {
    let centers = Topology::data_center(None, SiteLatency::Paper).unwrap();
    for to in 1..centers.hosts.len() {
        let (here, there) = (&centers.hosts[0], &centers.hosts[to]);
        let one_way = millis(centers.one_way(0, to));
        match (here.routers[0] == there.routers[0], here.region == there.region) {
            (true, _) => assert_eq!(one_way, 0.3),
            (false, true) => assert_eq!(one_way, 0.6),
            (false, false) => assert!((4.0..=12.0).contains(&one_way), "{one_way}"),
        }
        assert_eq!(centers.one_way(0, to), centers.one_way(to, 0));
    }
    let (least, greatest) = centers.range().unwrap();
    assert_eq!((millis(least), millis(greatest)), (0.3, 12.0));
    assert_eq!(centers.latency, LatencyOrigin::Derived);
}

#[test]
fn the_derived_latencies_between_sites_are_those_of_the_fibre() {
    let centers = Topology::data_center(None, SiteLatency::Derived).unwrap();
    let mut firsts: Vec<usize> = Vec::new();
    for (host, place) in centers.hosts.iter().enumerate() {
        if firsts.iter().all(|&first| centers.hosts[first].region != place.region) {
            firsts.push(host);
        }
    }
    let mut between: Vec<Duration> = (0..9)
        .flat_map(|a| (a + 1..9).map(move |b| (a, b)))
        .map(|(a, b)| centers.one_way(firsts[a], firsts[b]))
        .collect();
    between.sort_unstable();
    assert_eq!(between[0], Duration::from_micros(1_010));
    assert_eq!((between[17] + between[18]) / 2, Duration::from_nanos(5_666_500));
    assert_eq!(between[35], Duration::from_micros(10_325));
}

#[test]
fn a_data_center_of_any_size_keeps_the_proportions_of_its_clusters() {
    let whole = clusters(&Topology::data_center(Some(1_582), SiteLatency::Paper).unwrap());
    assert_eq!(whole["orsay/gdx"], 310);
    assert_eq!(whole["bordeaux/borderline"], 10);
    for hosts in [100, 1_531, 10_000] {
        let topology = Topology::data_center(Some(hosts), SiteLatency::Paper).unwrap();
        assert_eq!(topology.hosts.len(), hosts);
        assert_sound(&topology);
        let sizes = clusters(&topology);
        for (cluster, &size) in &whole {
            let exact = size as f64 * hosts as f64 / 1_582.0;
            let have = sizes.get(cluster).copied().unwrap_or(0) as f64;
            assert!((have - exact).abs() < 1.0, "{cluster}: {have} of {exact}");
        }
        assert_no_detour_is_longer(&topology, hosts / 2);
    }
}

#[test]
fn the_internet_has_the_measured_latencies() {
    let internet = Topology::internet(None, 1).unwrap();
    assert_sound(&internet);
    assert_eq!(internet.hosts.len(), 951);
    assert_eq!(internet.latency, LatencyOrigin::Measured);
    assert!(internet.hosts.iter().all(|place| !place.multicast && place.routers.len() == 6));
    let all = pairs(&internet);
    assert_eq!(all.len(), 951 * 950 / 2);
    let round_trip = |share: f64| 2.0 * millis(all[(share * all.len() as f64) as usize]);
    assert!((round_trip(0.01) - 5.6).abs() < 0.1);
    assert_eq!(round_trip(0.5), 132.5);
    assert!((round_trip(0.9) - 289.8).abs() < 0.2);
    assert!((round_trip(0.99) - 402.2).abs() < 0.2);
    assert_eq!(2.0 * millis(all[all.len() - 1]), 675.2);
    // The first values of the file's first two lines.
    assert_eq!(internet.one_way(0, 1), Duration::from_micros(260));
    assert_eq!(internet.one_way(1, 2), Duration::from_micros(80));
    assert!((0..951).all(|to| internet.one_way(5, to) == internet.one_way(to, 5)));
}

#[test]
fn ways_through_a_third_host_are_shorter_as_often_as_published() {
    let internet = Topology::internet(None, 1).unwrap();
    let hosts = internet.hosts.len();
    let (mut pairs, mut shorter, mut much_shorter) = (0.0, 0.0, 0.0);
    for from in (0..hosts).step_by(20) {
        let out: Vec<Duration> = (0..hosts).map(|to| internet.one_way(from, to)).collect();
        let shortest = internet.shortest_from(from);
        for to in (0..hosts).filter(|&to| to != from) {
            let through = (0..hosts).filter(|&via| via != from && via != to);
            let two_legs = through.map(|via| out[via] + internet.one_way(via, to)).min().unwrap();
            assert!(shortest[to] <= two_legs.min(out[to]));
            pairs += 1.0;
            shorter += f64::from(two_legs < out[to]);
            much_shorter += f64::from(two_legs < out[to].mul_f64(0.8));
        }
    }
    // 79.1 % of all pairs, and 14.9 % by more than a fifth; this is every twentieth source.
    assert!((shorter / pairs - 0.791_f64).abs() < 0.03, "{}", shorter / pairs);
    assert!((much_shorter / pairs - 0.149_f64).abs() < 0.03, "{}", much_shorter / pairs);
}

#[test]
fn routers_of_the_internet_group_its_hosts_as_published() {
    let internet = Topology::internet(None, 1).unwrap();
    let groups = [1, 2, 3, 4, 5, 6].map(|hops| groups(&internet, hops));
    assert_eq!(groups, [635, 552, 490, 425, 326, 242]);
    let stacks = Topology::router_stacks(None, 1).unwrap();
    let groups = [1, 2, 3, 4, 5, 6].map(|hops| self::groups(&stacks, hops));
    assert_eq!(groups, [1_969, 891, 389, 217, 159, 119]);
}

/// Groups of hosts that share any of their first routers, transitively.
fn groups(topology: &Topology, hops: usize) -> usize {
    fn root(parents: &mut [usize], mut node: usize) -> usize {
        while parents[node] != node {
            parents[node] = parents[parents[node]];
            node = parents[node];
        }
        node
    }
    let mut parents: Vec<usize> = (0..topology.hosts.len()).collect();
    let mut first = BTreeMap::new();
    for (host, place) in topology.hosts.iter().enumerate() {
        for router in place.routers.iter().take(hops).filter(|router| !router.is_silent()) {
            let other = *first.entry(&router.name).or_insert(host);
            let (a, b) = (root(&mut parents, host), root(&mut parents, other));
            parents[a] = b;
        }
    }
    (0..parents.len()).filter(|&host| parents[host] == host).count()
}

#[test]
fn a_grown_internet_repeats_hosts_behind_the_same_routers() {
    let measured = Topology::internet(None, 7).unwrap();
    let grown = Topology::internet(Some(2_500), 7).unwrap();
    assert_sound(&grown);
    assert_eq!((grown.hosts.len(), grown.regions()), (2_500, measured.regions()));
    let original = |host: usize| -> usize {
        grown.hosts[host].name.split('+').next().unwrap().parse().unwrap()
    };
    let mut copies = vec![0; 951];
    for host in 0..2_500 {
        copies[original(host)] += 1;
        assert_eq!(grown.hosts[host].routers, measured.hosts[original(host)].routers);
        let (here, there) = (original(0), original(host));
        if here != there {
            assert_eq!(grown.one_way(0, host), measured.one_way(here, there));
        }
    }
    assert!(copies.iter().all(|copies| [2, 3].contains(copies)));
    let copied = (0..2_499).filter(|&host| original(host) == original(host + 1));
    let beside: BTreeSet<_> = copied.map(|host| grown.one_way(host, host + 1)).collect();
    assert!(beside.len() > 20, "drawn one by one");
    assert!(beside.iter().all(|&way| way > Duration::ZERO && way < Duration::from_millis(1)));
    assert_no_detour_is_longer(&grown, 77);
}

#[test]
fn equal_seeds_grow_equal_topologies_and_others_do_not() {
    let hosts = |seed, n| Topology::internet(Some(n), seed).unwrap();
    for n in [200, 1_200] {
        let (one, same, other) = (hosts(1, n), hosts(1, n), hosts(2, n));
        assert_eq!(one.hosts, same.hosts);
        assert!((0..n).all(|to| one.one_way(3, to) == same.one_way(3, to)));
        assert_ne!(one.hosts, other.hosts);
    }
}

#[test]
fn the_synthetic_topology_is_that_of_figure_7() {
    let synthetic = Topology::synthetic();
    assert_sound(&synthetic);
    let names: Vec<String> = synthetic.hosts.iter().map(|place| place.name.clone()).collect();
    assert_eq!(names, (1..=20).map(|id| id.to_string()).collect::<Vec<_>>());
    assert_eq!((synthetic.regions(), synthetic.source), (4, Some(0)));
    let gateway = |host: usize| Some(&synthetic.gateways[synthetic.hosts[host].gateway?]);
    let nat = |host| gateway(host).and_then(|gateway| gateway.nat);
    let blocked = |host| gateway(host).and_then(|g| g.firewall).is_some_and(|f| f.blocks_udp);
    let multicast = |host: usize| {
        assert_eq!(synthetic.hosts[host].multicast, synthetic.hosts[host].routers[0].multicast);
        synthetic.hosts[host].multicast
    };
    for inside in 0..5 {
        let domains = [0, 5, 10, 15].map(|first| first + inside);
        assert_eq!(domains.map(|host| nat(host).is_some()), [false, true, true, true]);
        assert_eq!(domains.map(blocked), [false, false, true, false]);
        assert_eq!(domains.map(multicast), [false, true, false, true]);
    }
    assert_eq!(nat(5).unwrap().mapping, Dependence::EndpointIndependent);
    assert_eq!(millis(synthetic.one_way(0, 10)), 60.0);
    assert_eq!(millis(synthetic.one_way(5, 15)), 10.0);
    assert_eq!(millis(synthetic.one_way(5, 6)), 0.5);
    // By way of host 6.
    assert_eq!(millis(synthetic.shortest_from(0)[10]), 30.0);
}

#[test]
fn the_four_domains_grow_and_shrink_in_proportion() {
    for (hosts, first_domain) in [(4, 1), (7, 2), (20, 5), (42, 11), (400, 100)] {
        let synthetic = Topology::synthetic_of(hosts).unwrap();
        assert_sound(&synthetic);
        assert_eq!((synthetic.hosts.len(), synthetic.regions()), (hosts, 4));
        let first = synthetic.hosts.iter().filter(|place| place.region == 0);
        assert_eq!(first.count(), first_domain, "of {hosts}");
        assert_eq!(synthetic.source, Some(0));
        assert_eq!(synthetic.published.is_empty(), hosts != 20);
        let mut names: Vec<&str> = synthetic.hosts.iter().map(|place| &*place.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), hosts);
    }
    assert_eq!(Topology::synthetic_of(20).unwrap().hosts, Topology::synthetic().hosts);
    let error = Topology::synthetic_of(3).unwrap_err().to_string();
    assert!(error.contains("of 3 hosts domain 4 would have none; ask for more"), "{error}");
}

#[test]
fn the_synthetic_topology_brings_table_3() {
    let rows = Topology::synthetic().published;
    let hosts: Vec<usize> = rows.iter().flat_map(|row| row.hosts.clone()).collect();
    assert_eq!(hosts, (0..20).collect::<Vec<_>>());
    assert_eq!(rows.len(), 8);
    assert_eq!(rows[6].domain, 4);
    assert_eq!(rows[6].protocols, ["IPMC", "OMNI"]);
    assert_eq!(rows[6].method, "UDP tunnel");
}

#[test]
fn hosts_with_routers_only_are_near_by_the_routers_that_they_share() {
    let stacks = Topology::router_stacks(None, 1).unwrap();
    assert_sound(&stacks);
    assert_eq!((stacks.hosts.len(), stacks.regions()), (10_205, 18));
    assert_eq!(stacks.latency, LatencyOrigin::Chosen);
    let first_router = |host: usize| &stacks.hosts[host].routers[0];
    for host in 1..10_205 {
        let (here, there) = (&stacks.hosts[0], &stacks.hosts[host]);
        let one_way = millis(stacks.one_way(0, host));
        match (first_router(0) == first_router(host), here.region == there.region) {
            (true, _) => assert_eq!(one_way, 1.0),
            (false, true) => assert!(one_way > 1.0 && one_way <= 10.0),
            (false, false) => assert!(one_way > 1.0),
        }
    }
    let few = Topology::router_stacks(Some(300), 1).unwrap();
    assert_eq!(few.hosts.len(), 300);
    assert_no_detour_is_longer(&few, 0);
}
