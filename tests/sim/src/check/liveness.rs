//! What must come to be: L1, L3 and L4. Those that the end of a run tells (L2, L5 and L6) are
//! judged there.

use super::{Invariant, Violations, bounds};
use quilt_proto::{PatchId, ProtocolId, Seq, Source, Time};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long after the last fault the patches of all live hosts are one tree at the latest (L1).
pub const CONVERGENCE: Duration = Duration::from_secs(3);
/// How long after a message on which none follows everybody has noticed it (L3): two head periods
/// of a second. Words on what is held follow news after 20 ms, and then ever more rarely.
pub const TAIL: Duration = Duration::from_secs(2);
/// How long a source that may not publish waits at most (L4).
pub const BLOCKED: Duration = Duration::from_secs(5);

/// Where a live host stands in one of its patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The host.
    pub host: usize,
    /// The patch.
    pub patch: PatchId,
    /// What it runs.
    pub protocol: ProtocolId,
    /// Who is above the host there.
    pub parent: Option<usize>,
}

/// Whether the patches of all `live` hosts form one tree: each host is in a patch of its region,
/// each region has somebody in the inter-patch patch where there is more than one, and each patch
/// that runs a tree has one root, below which all the others are.
///
/// # Errors
/// They do not, for this reason.
pub fn one_tree(live: impl IntoIterator<Item = usize>, places: &[Place]) -> Result<(), String> {
    let mut patches: BTreeMap<PatchId, BTreeMap<usize, Option<usize>>> = BTreeMap::new();
    for place in places {
        patches.entry(place.patch).or_default().insert(place.host, place.parent);
    }
    let regional = |patch: PatchId| patch != PatchId::INTER_PATCH;
    let mut placed: Vec<usize> =
        places.iter().filter(|place| regional(place.patch)).map(|place| place.host).collect();
    placed.sort_unstable();
    if let Some(host) = live.into_iter().find(|host| placed.binary_search(host).is_err()) {
        return Err(format!("host {host} is in no patch"));
    }
    let none = BTreeMap::new();
    let between = patches.get(&PatchId::INTER_PATCH).unwrap_or(&none);
    if patches.keys().filter(|&&patch| regional(patch)).count() > 1 {
        for (patch, hosts) in patches.iter().filter(|&(&patch, _)| regional(patch)) {
            if !hosts.keys().any(|host| between.contains_key(host)) {
                return Err(format!("nobody sews {patch} to the others"));
            }
        }
    }
    for (patch, hosts) in &patches {
        let protocol = places.iter().find(|place| place.patch == *patch).map(|one| one.protocol);
        if protocol == Some(ProtocolId::OMNI) || hosts.values().any(Option::is_some) {
            is_tree(hosts).map_err(|why| format!("{patch}: {why}"))?;
        }
    }
    Ok(())
}

/// Whether hosts and who is above them are one tree.
fn is_tree(hosts: &BTreeMap<usize, Option<usize>>) -> Result<(), String> {
    let mut parents = BTreeMap::new();
    for (&host, &parent) in hosts {
        let Some(parent) = parent else { continue };
        if !hosts.contains_key(&parent) {
            return Err(format!("host {host} is below one that is not there"));
        }
        parents.insert(host, parent);
    }
    let roots = hosts.len() - parents.len();
    if roots > 1 {
        return Err(format!("there are {roots} roots among {} hosts", hosts.len()));
    }
    match bounds::cycles(&parents).first() {
        Some(cycle) => Err(format!("hosts {cycle:?} are above each other")),
        None => Ok(()),
    }
}

/// Checks what must come to be while a run goes on.
#[derive(Debug, Default)]
pub struct Liveness {
    /// When the last fault is, and whether it is known what came of it.
    fault: Time,
    settled: bool,
    /// The latest message of each source, and when it was published; until it is judged.
    tails: BTreeMap<Source, (Seq, Time)>,
    /// Sources that may not publish, and since when.
    blocked: BTreeMap<usize, Time>,
    violations: Violations,
}

impl Liveness {
    /// After `fault` nothing happens to the network or to any host any more.
    pub fn last_fault(&mut self, fault: Time) {
        self.fault = fault;
    }

    /// Whether it is still to be seen that the patches become one tree.
    pub fn awaits_tree(&self, now: Time) -> bool {
        !self.settled && now >= self.fault
    }

    /// Whether the patches are one tree now, see [`one_tree`].
    pub fn tree(&mut self, now: Time, whole: Result<(), String>) {
        match whole {
            Ok(()) => self.settled = true,
            Err(why) if now.since(self.fault) > CONVERGENCE => {
                self.settled = true;
                let what = format!("{CONVERGENCE:?} after the last fault there is no tree: {why}");
                self.violations.add(Invariant::L1, now, what);
            }
            Err(_) => {}
        }
    }

    /// A source published a message.
    pub fn published(&mut self, now: Time, host: usize, source: Source, seq: Seq) {
        self.tails.insert(source, (seq, now));
        self.goes_on(now, host);
    }

    /// The messages that everybody must have noticed by now, since none followed; each once.
    pub fn tails(&mut self, now: Time) -> Vec<(Source, Seq)> {
        let due = |(_, (_, at)): &(&Source, &(Seq, Time))| now.since(*at) >= TAIL;
        let due: Vec<Source> = self.tails.iter().filter(due).map(|(&source, _)| source).collect();
        let taken =
            due.into_iter().filter_map(|source| Some((source, self.tails.remove(&source)?.0)));
        taken.collect()
    }

    /// A host has neither got nor asked for a message that it should have noticed.
    pub fn unnoticed(&mut self, now: Time, host: usize, source: Source, seq: Seq) {
        let what = format!("host {host} has not noticed {source} {}, the last one", seq.0);
        self.violations.add(Invariant::L3, now, what);
    }

    /// A host may not publish for now.
    pub fn blocks(&mut self, now: Time, host: usize) {
        self.blocked.entry(host).or_insert(now);
    }

    /// A host may publish again, and knows it.
    pub fn goes_on(&mut self, now: Time, host: usize) {
        if let Some(since) = self.blocked.remove(&host) {
            self.waited(now, host, since);
        }
    }

    /// The run is over.
    pub fn end(&mut self, now: Time) {
        for (host, since) in std::mem::take(&mut self.blocked) {
            self.waited(now, host, since);
        }
    }

    fn waited(&mut self, now: Time, host: usize, since: Time) {
        let waited = now.since(since);
        if waited > BLOCKED {
            let what = format!("host {host} could not publish for {waited:?}");
            self.violations.add(Invariant::L4, now, what);
        }
    }

    pub(crate) fn violations_mut(&mut self) -> &mut Violations {
        &mut self.violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quilt_proto::{HostTag, Incarnation};

    const INTER: PatchId = PatchId::INTER_PATCH;
    const SOURCE: Source = Source { host: HostTag(7), incarnation: Incarnation(1) };

    fn omni(host: usize, patch: PatchId, parent: Option<usize>) -> Place {
        Place { host, patch, protocol: ProtocolId::OMNI, parent }
    }

    fn ipmc(host: usize, patch: u32) -> Place {
        let (patch, protocol) = (PatchId(patch), ProtocolId::IPMC);
        Place { host, patch, protocol, parent: None }
    }

    /// Two regions of two hosts each, sewn by hosts 0 and 2.
    fn sewn() -> Vec<Place> {
        let regions = [ipmc(0, 1), ipmc(1, 1), ipmc(2, 2), ipmc(3, 2)];
        regions.into_iter().chain([omni(0, INTER, None), omni(2, INTER, Some(0))]).collect()
    }

    fn why(places: &[Place]) -> String {
        one_tree(0..4, places).err().unwrap_or_default()
    }

    #[test]
    fn regions_that_are_sewn_are_one_tree() {
        assert_eq!(why(&sewn()), "");
        assert_eq!(one_tree(0..2, &[ipmc(0, 1), ipmc(1, 1)]), Ok(()), "one region needs no tree");
    }

    #[test]
    fn what_is_not_one_tree_is_noticed() {
        let mut places = sewn();
        places.remove(3);
        assert_eq!(why(&places), "host 3 is in no patch");
        places = sewn();
        places.remove(5);
        assert!(why(&places).starts_with("nobody sews "), "{}", why(&places));
        places = sewn();
        places[5].parent = None;
        assert!(why(&places).ends_with("there are 2 roots among 2 hosts"), "{}", why(&places));
        places[5].parent = Some(9);
        assert!(why(&places).ends_with("host 2 is below one that is not there"));
        places[5].parent = Some(0);
        places[4].parent = Some(2);
        assert!(why(&places).ends_with("hosts [0, 2] are above each other"), "{}", why(&places));
    }

    #[test]
    fn a_tree_that_does_not_come_in_time_is_noticed_once() {
        let mut liveness = Liveness::default();
        liveness.last_fault(Time::from_millis(1_000));
        assert!(!liveness.awaits_tree(Time::from_millis(999)));
        liveness.tree(Time::from_millis(4_000), Err("two roots".into()));
        assert_eq!(liveness.violations.names(), []);
        assert!(liveness.awaits_tree(Time::from_millis(4_001)));
        liveness.tree(Time::from_millis(4_001), Err("two roots".into()));
        assert_eq!(liveness.violations.names(), [Invariant::L1]);
        assert!(!liveness.awaits_tree(Time::from_millis(4_002)));
    }

    #[test]
    fn a_message_is_a_tail_once_none_has_followed_for_a_while() {
        let mut liveness = Liveness::default();
        liveness.published(Time::ZERO, 1, SOURCE, Seq(0));
        liveness.published(Time::from_millis(900), 1, SOURCE, Seq(1));
        assert_eq!(liveness.tails(Time::from_millis(2_899)), []);
        assert_eq!(liveness.tails(Time::from_millis(2_900)), [(SOURCE, Seq(1))]);
        assert_eq!(liveness.tails(Time::from_millis(9_000)), []);
        liveness.unnoticed(Time::from_millis(2_900), 3, SOURCE, Seq(1));
        assert_eq!(liveness.violations.names(), [Invariant::L3]);
    }

    #[test]
    fn a_source_that_waits_too_long_is_noticed_also_at_the_end() {
        let mut liveness = Liveness::default();
        liveness.blocks(Time::ZERO, 1);
        liveness.blocks(Time::from_millis(4_000), 1);
        liveness.goes_on(Time::from_millis(5_000), 1);
        assert_eq!(liveness.violations.names(), []);
        liveness.blocks(Time::from_millis(6_000), 1);
        liveness.goes_on(Time::from_millis(11_001), 1);
        assert_eq!(liveness.violations.names(), [Invariant::L4]);
        liveness.blocks(Time::from_millis(20_000), 2);
        liveness.end(Time::from_millis(26_000));
        assert_eq!(liveness.violations.names(), [Invariant::L4; 2]);
    }
}
