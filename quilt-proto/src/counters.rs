//! What is counted, and why something was dropped.

use core::fmt;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident => $text:literal,)*) => {
        /// One thing that is counted. Every packet and frame that is dropped bumps exactly one of
        /// those whose name says so.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Counter { $($(#[$doc])* $name,)* }

        impl Counter {
            /// All counters, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name for people and machines: lower case with underscores.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

counters! {
    /// Packets received whole.
    PacketsReceived => "packets_received",
    /// Packets handed out to be sent.
    PacketsSent => "packets_sent",
    /// Bytes of those packets, without IP, UDP and TCP headers.
    BytesSent => "bytes_sent",
    /// Own multicast packets that came back by loopback.
    OwnPackets => "own_packets",
    /// Flows to other hosts that datagrams came through, counted each time that one opens.
    FlowsOpened => "flows_opened",
    /// Flows given up since nothing was acknowledged any more.
    FlowsEnded => "flows_ended",
    /// Datagrams of flows that are to be acknowledged.
    FlowDatagrams => "flow_datagrams",
    /// Of these, how many were lost as far as is known.
    FlowLosses => "flow_losses",
    /// Payload bytes of fragments that were new.
    PayloadBytesFirst => "payload_bytes_first",
    /// Payload bytes of fragments that were here already and had not been asked for.
    PayloadBytesUnsolicited => "payload_bytes_unsolicited",
    /// Payload bytes of fragments that were here already but had been asked for.
    PayloadBytesRepaired => "payload_bytes_repaired",
    /// Fragments asked of others for repair.
    FragmentsPulled => "fragments_pulled",
    /// Fragments given to others that asked.
    FragmentsServed => "fragments_served",
    /// Fragments claimed before the other representatives of a region ([`crate::RelaySync`]).
    FragmentsClaimed => "fragments_claimed",
    /// Fragments not passed on since a Bloom filter seemed to know them ([`crate::RelayDigest`]).
    FragmentsMistaken => "fragments_mistaken",
    /// Messages delivered to the application.
    MessagesDelivered => "messages_delivered",
    /// Messages that the application was told of as gaps.
    MessagesGapped => "messages_gapped",
    /// Dropped packets: shorter than their header, or of a length no packet has.
    DroppedTruncated => "dropped_truncated",
    /// Dropped packets: another version of the wire format.
    DroppedVersion => "dropped_version",
    /// Dropped packets: a security suite or key epoch that is not in use.
    DroppedSuite => "dropped_suite",
    /// Dropped frames: not decodable, or of an unknown kind.
    DroppedMalformed => "dropped_malformed",
    /// Dropped datagrams: from an address that this host has no dealings with.
    DroppedStranger => "dropped_stranger",
    /// Dropped frames: of a group or patch that this host is not in.
    DroppedUnknownPatch => "dropped_unknown_patch",
    /// Dropped frames: valid, but not from whom or where they came.
    DroppedUnexpected => "dropped_unexpected",
    /// Dropped fragments, and datagrams of flows: here already.
    DroppedDuplicate => "dropped_duplicate",
    /// Dropped fragments: of a message that was given up or has left the window.
    DroppedLate => "dropped_late",
    /// Dropped fragments: their message's deadline has passed. They come where they were asked for, to
    /// say so, or the deadline passed while they were under way.
    DroppedOver => "dropped_over",
    /// Dropped fragments: they contradict what is known of their message.
    DroppedContradiction => "dropped_contradiction",
    /// Dropped fragments: of a message that is longer than the limits allow.
    DroppedTooLong => "dropped_too_long",
    /// Dropped fragments: they travelled too many hops.
    DroppedHopLimit => "dropped_hop_limit",
    /// Dropped fragments: from more sources than the limits allow.
    DroppedSourceLimit => "dropped_source_limit",
    /// Fragments taken out of a full queue; whoever misses them asks for them.
    QueueOverflow => "queue_overflow",
    /// Fragments taken out of a queue because their message's deadline had passed.
    QueueExpired => "queue_expired",
    /// Control frames that found their queue full.
    ControlOverflow => "control_overflow",
    /// Datagrams that the system dropped because a receive buffer was full, as far as it tells.
    KernelDrops => "kernel_drops",
    /// Links refused, or given up for others, because there were too many.
    LinksRefused => "links_refused",
    /// Requests to the bootstrap service without the proof of an address.
    Unproven => "unproven",
    /// Times a host broke a protocol.
    Misbehaviour => "misbehaviour",
}

/// How another host broke a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A frame that makes no sense in the state the two are in.
    UnexpectedFrame,
    /// A frame that is not decodable.
    MalformedFrame,
    /// It claims to be another host than it was.
    IdentityChanged,
    /// It asks for more than the limits allow.
    TooMuchAsked,
}

/// The values of all counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters([u64; Counter::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; Counter::ALL.len()])
    }
}

impl Counters {
    /// The value of one counter.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0.get(counter as usize).copied().unwrap_or(0)
    }

    /// Every counter and its value, in the order of declaration.
    pub fn iter(&self) -> impl Iterator<Item = (Counter, u64)> {
        Counter::ALL.iter().map(|&counter| (counter, self.get(counter)))
    }

    /// Adds the values of another host's counters.
    pub fn merge(&mut self, other: &Self) {
        for (counter, value) in other.iter() {
            self.add(counter, value);
        }
    }

    pub(crate) fn bump(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    pub(crate) fn add(&mut self, counter: Counter, n: u64) {
        if let Some(value) = self.0.get_mut(counter as usize) {
            *value = value.saturating_add(n);
        }
    }
}

impl fmt::Display for Counters {
    /// Those that are not zero, as `name=value`, separated by spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "";
        for (counter, value) in self.iter().filter(|&(_, value)| value > 0) {
            write!(f, "{space}{}={value}", counter.name())?;
            space = " ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn display_shows_what_is_not_zero() {
        let mut counters = Counters::default();
        counters.bump(Counter::DroppedVersion);
        counters.add(Counter::BytesSent, 20);
        assert_eq!(counters.to_string(), "bytes_sent=20 dropped_version=1");
    }
}
