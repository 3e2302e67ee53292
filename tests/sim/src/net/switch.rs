//! The switches of a region: who receives what is sent to a multicast address.

use super::NicId;
use quilt_proto::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// Without a querier nobody reports his memberships again, and switches that snoop forget them
/// after this time (RFC 2236's group membership interval).
const MEMBERSHIP_TIME: Duration = Duration::from_secs(260);

/// What is wrong with a region's switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SwitchFault {
    /// Nothing.
    #[default]
    None,
    /// The querier is gone since then; memberships age.
    NoQuerier {
        /// Since when.
        since: Time,
    },
    /// They forward no multicast at all.
    Dead,
}

/// The switches of a region, which snoop IGMP.
#[derive(Clone, Debug, Default)]
pub struct Switch {
    members: BTreeMap<SocketAddr, BTreeMap<NicId, Time>>,
    /// What is wrong with all of them.
    pub fault: SwitchFault,
    /// Ports on which reports are filtered: who sits there receives nothing from others.
    pub filtered: BTreeSet<NicId>,
    /// Ports from which no multicast is taken: who sits there is heard by nobody.
    pub muted: BTreeSet<NicId>,
}

impl Switch {
    /// A host reports a membership.
    pub fn join(&mut self, now: Time, address: SocketAddr, nic: NicId) {
        self.members.entry(address).or_default().insert(nic, now);
    }

    /// A host ends a membership.
    pub fn leave(&mut self, address: SocketAddr, nic: NicId) {
        if let Some(members) = self.members.get_mut(&address) {
            members.remove(&nic);
        }
    }

    /// Who receives what `from` sends to `address` now; itself, if it is a member, by its own
    /// loopback.
    pub(super) fn members(&self, now: Time, address: SocketAddr, from: NicId) -> Vec<NicId> {
        let Some(members) = self.members.get(&address) else { return Vec::new() };
        let known = |nic: NicId, since: Time| match self.fault {
            _ if self.muted.contains(&from) => false,
            SwitchFault::None => !self.filtered.contains(&nic),
            SwitchFault::NoQuerier { since: gone } => {
                !self.filtered.contains(&nic) && now < since.max(gone) + MEMBERSHIP_TIME
            }
            SwitchFault::Dead => false,
        };
        let heard = members.iter().filter(|&(&nic, &since)| nic == from || known(nic, since));
        heard.map(|(&nic, _)| nic).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NicId = NicId(1);
    const B: NicId = NicId(2);

    fn address() -> SocketAddr {
        "239.1.2.3:7400".parse().unwrap()
    }

    fn switch() -> Switch {
        let mut switch = Switch::default();
        switch.join(Time::ZERO, address(), A);
        switch.join(Time::ZERO, address(), B);
        switch
    }

    #[test]
    fn members_hear_and_others_do_not() {
        let mut switch = switch();
        assert_eq!(switch.members(Time::ZERO, address(), A), [A, B]);
        switch.leave(address(), B);
        assert_eq!(switch.members(Time::ZERO, address(), A), [A]);
        assert_eq!(switch.members(Time::ZERO, "239.1.2.4:7400".parse().unwrap(), A), []);
    }

    #[test]
    fn without_a_querier_a_region_falls_silent_after_four_minutes() {
        let mut switch = switch();
        switch.fault = SwitchFault::NoQuerier { since: Time::from_millis(10_000) };
        assert_eq!(switch.members(Time::from_millis(269_000), address(), A), [A, B]);
        assert_eq!(switch.members(Time::from_millis(270_000), address(), A), [A]);
        switch.join(Time::from_millis(271_000), address(), B);
        assert_eq!(switch.members(Time::from_millis(272_000), address(), A), [A, B]);
    }

    #[test]
    fn a_filtered_port_hears_only_itself() {
        let mut switch = switch();
        switch.filtered.insert(B);
        assert_eq!(switch.members(Time::ZERO, address(), A), [A]);
        assert_eq!(switch.members(Time::ZERO, address(), B), [A, B]);
    }
}
