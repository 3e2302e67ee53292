//! A bootstrap service and hosts, and the proof that nothing was lost or seen twice.

use crate::{Host, Mix, Service, until};
use quilt_tokio::proto::euid::{RouterId, RouterStack};
use quilt_tokio::proto::{ChangeCause, Counter, Source};
use quilt_tokio::{BootstrapConfig, Notice, Options, Url};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::{Index, IndexMut};
use std::sync::atomic::{AtomicU32, Ordering};

/// Counters that stay at zero among hosts that mean well.
const NEVER: [Counter; 9] = [
    Counter::DroppedTruncated,
    Counter::DroppedVersion,
    Counter::DroppedSuite,
    Counter::DroppedMalformed,
    Counter::DroppedContradiction,
    Counter::DroppedTooLong,
    Counter::ControlOverflow,
    Counter::LinksRefused,
    Counter::Misbehaviour,
];

/// A service and the hosts of one group.
pub struct Group {
    /// What everything is on.
    pub mix: Mix,
    /// The service, while it is up.
    pub service: Option<Service>,
    /// The group's name and where its service is.
    pub url: Url,
    hosts: Vec<Host>,
    /// What each host need not have: the messages from before it was there.
    since: Vec<BTreeMap<Source, usize>>,
}

impl Group {
    /// A group with nobody in it.
    pub fn new(mix: Mix) -> Self {
        Self::with(mix, BootstrapConfig::default())
    }

    /// A group with nobody in it, and a service made to measure.
    pub fn with(mix: Mix, config: BootstrapConfig) -> Self {
        let service = Service::bind(mix.service, own_address(), config).expect("a free port");
        let url = Url::new(service.address(), &named("group")).expect("a plain name");
        Self { mix, service: Some(service), url, hosts: Vec::new(), since: Vec::new() }
    }

    /// A group of `count` hosts of whose surroundings nothing is known.
    pub fn of(mix: Mix, count: usize) -> Self {
        let mut group = Self::new(mix);
        for number in 0..count {
            group.join(options(0, number));
        }
        group
    }

    /// Takes the next host in, on the adapter whose turn it is; its number.
    ///
    /// # Panics
    /// It is not taken in.
    pub fn join(&mut self, options: Options) -> usize {
        let number = self.hosts.len();
        let host = Host::join(self.mix.host(number), &self.url, options);
        let host = host.unwrap_or_else(|error| panic!("host {number} is not taken in: {error}"));
        let before = self.hosts.iter().map(|host| (host.source(), host.published.len()));
        self.since.push(before.collect());
        self.hosts.push(host);
        number
    }

    /// All hosts, in the order in which they came.
    pub fn hosts(&mut self) -> &mut [Host] {
        &mut self.hosts
    }

    /// The service.
    ///
    /// # Panics
    /// It is down.
    pub fn service(&mut self) -> &mut Service {
        self.service.as_mut().expect("the service is up")
    }

    /// Waits until every host that is there and reads has everything that those published who are
    /// there or left politely.
    pub fn settle(&mut self) {
        for publisher in 0..self.hosts.len() {
            let (source, count) = (self[publisher].source(), self[publisher].published.len());
            if count == 0 || !self[publisher].is_there() {
                continue;
            }
            for number in (0..self.hosts.len()).filter(|&number| number != publisher) {
                let since = self.since[number].get(&source).copied().unwrap_or(0);
                if self[number].is_alive() && self[number].reads && since < count {
                    self[number].wait_for_messages(source, count);
                }
            }
        }
    }

    /// Settles, and proves of every host that what it was told is what was published; that it
    /// counted as much; that it counted nothing that only ill will brings about; and that it was
    /// told nothing but what a scenario waited for and what is [`harmless`].
    pub fn check(&mut self) {
        self.settle();
        for host in &mut self.hosts {
            host.drain();
            assert_eq!(host.told.iter().find(|notice| !harmless(notice)), None);
        }
        for (receiver, since) in self.hosts.iter().zip(&self.since) {
            for publisher in self.hosts.iter().filter(|host| host.source() != receiver.source()) {
                let source = publisher.source();
                let since = since.get(&source).copied().unwrap_or(0);
                receiver.ledger.check(source, since, &publisher.published);
            }
        }
        for host in self.hosts.iter_mut().filter(|host| host.is_alive() && host.reads) {
            until("delivered is what was counted", || {
                host.drain();
                let counters = host.counters();
                counters.get(Counter::MessagesDelivered) == host.ledger.messages()
                    && counters.get(Counter::MessagesGapped) == host.ledger.gapped()
            });
        }
    }

    /// Proves that no host and no service counted anything that only ill will brings about.
    pub fn check_nobody_misbehaved(&self) {
        let hosts = self.hosts.iter().filter(|host| host.is_alive()).map(Host::counters);
        for counters in hosts.chain(self.service.as_ref().map(Service::counters)) {
            assert!(NEVER.iter().all(|&counter| counters.get(counter) == 0), "{counters}");
        }
    }

    /// Proves that nobody was told of a gap.
    pub fn check_no_gaps(&self) {
        for (number, host) in self.hosts.iter().enumerate() {
            assert_eq!(host.gaps(), [], "host {number} was told of gaps");
        }
    }

    /// [`check`](Self::check), and not one message lies in a gap, and nobody misbehaved.
    pub fn check_all_came(&mut self) {
        self.check();
        self.check_no_gaps();
        self.check_nobody_misbehaved();
    }
}

impl Index<usize> for Group {
    type Output = Host;

    fn index(&self, number: usize) -> &Host {
        &self.hosts[number]
    }
}

impl IndexMut<usize> for Group {
    fn index_mut(&mut self, number: usize) -> &mut Host {
        &mut self.hosts[number]
    }
}

/// Whether a notice may come at any time: a role that changes, or a neighbour that is slow because
/// the machine is.
pub fn harmless(notice: &Notice) -> bool {
    use ChangeCause::{Appointed, Relieved};
    matches!(
        notice,
        Notice::PatchChanged { why: Appointed | Relieved, .. } | Notice::SlowPeer { .. }
    )
}

/// A name that nobody else has, in this process or in another one. IP-multicast addresses follow
/// from a group's name.
pub fn named(what: &str) -> String {
    format!("{what}-{}-{}", std::process::id(), count())
}

/// A loopback address that no other group's service has, with any port: while a service is down,
/// nobody else is given its port.
fn own_address() -> SocketAddr {
    let [.., pid] = std::process::id().to_be_bytes();
    let [.., high, low] = count().to_be_bytes();
    ([127, 100 + pid % 100, high, low], 0).into()
}

/// A number that nobody else in this process has.
fn count() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Options of a host of whose surroundings nothing is known, with an address of its own on the
/// loopback interface.
pub fn options(site: u8, number: usize) -> Options {
    let last = u8::try_from(number + 1).expect("a few hosts");
    Options { bind: ([127, site, 9, last], 0).into(), ..Options::default() }
}

/// Options of a host behind a router that only its site has, which forwards IP multicast or not.
pub fn site(site: u8, number: usize, multicast: bool) -> Options {
    let mut options = options(site, number);
    let mut routers = RouterStack::default();
    routers.insert(RouterId::named(&format!("gateway-{site}")), 1, multicast);
    options.surroundings.topology = routers;
    options
}
