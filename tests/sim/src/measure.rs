//! What is measured of a run.

use quilt_proto::Time;
use quilt_proto::wire::FRAGMENT_BYTES;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// When each message was published, and when it came to each host.
#[derive(Debug)]
pub struct Deliveries {
    hosts: usize,
    /// When, and by whom.
    published: Vec<(Time, usize)>,
    /// By message, then by host.
    delivered: Vec<Vec<Option<Time>>>,
    volume: Volume,
    gapped: u64,
    /// Messages that hosts were told they will not get.
    given_up: BTreeSet<(u64, usize)>,
}

/// How much was published, each message once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Bytes of messages.
    pub bytes: u64,
    /// Fragments that these fill.
    pub fragments: u64,
}

/// How many fragments a message of so many bytes has.
pub(crate) fn fragments(size: usize) -> u64 {
    size.div_ceil(FRAGMENT_BYTES).max(1) as u64
}

impl Deliveries {
    /// Nothing published yet.
    pub fn new(hosts: usize) -> Self {
        Self {
            hosts,
            published: Vec::new(),
            delivered: Vec::new(),
            volume: Volume::default(),
            gapped: 0,
            given_up: BTreeSet::new(),
        }
    }

    /// The next message, of so many bytes, was published by a host, which does not get it.
    pub fn publish(&mut self, at: Time, by: usize, size: usize) {
        self.published.push((at, by));
        self.volume.bytes += size as u64;
        self.volume.fragments += fragments(size);
        self.delivered.push(vec![None; self.hosts]);
    }

    /// How many messages were published.
    pub fn published(&self) -> u64 {
        self.published.len() as u64
    }

    /// Whether a message was published at that time or later.
    pub fn published_since(&self, since: Time) -> bool {
        self.published.last().is_some_and(|&(at, _)| at >= since)
    }

    /// How much all messages were together.
    pub fn volume(&self) -> Volume {
        self.volume
    }

    /// A message came to a host.
    pub fn deliver(&mut self, message: u64, host: usize, at: Time) {
        let message = self.delivered.get_mut(message as usize);
        if let Some(cell) = message.and_then(|hosts| hosts.get_mut(host)) {
            cell.get_or_insert(at);
        }
    }

    /// So many messages were told as gaps.
    pub fn gap(&mut self, messages: u64) {
        self.gapped += messages;
    }

    /// A host was told that it will not get these messages.
    pub fn given_up(&mut self, messages: impl IntoIterator<Item = u64>, host: usize) {
        self.given_up.extend(messages.into_iter().map(|message| (message, host)));
    }

    /// Whether a host has published a message, has got it, or was told that it will not.
    pub fn is_settled(&self, message: u64, host: usize) -> bool {
        let hosts = self.delivered.get(message as usize);
        let by = self.published.get(message as usize).map(|&(_, by)| by);
        by == Some(host)
            || hosts.is_some_and(|hosts| hosts[host].is_some())
            || self.given_up.contains(&(message, host))
    }

    /// How many messages hosts were told as gaps.
    pub fn gapped(&self) -> u64 {
        self.gapped
    }

    /// How many deliveries to the hosts in `whose` are missing, of what was published from `since` on.
    pub fn missing(&self, whose: &[bool], since: Time) -> u64 {
        let holes = |(hosts, &(_, by)): (&Vec<Option<Time>>, &(Time, usize))| {
            let due = hosts.iter().zip(whose).enumerate().filter(|&(host, _)| host != by);
            due.filter(|&(_, (at, &counts))| counts && at.is_none()).count() as u64
        };
        let late = |&(_, &(at, _)): &(_, &(Time, usize))| at >= since;
        self.delivered.iter().zip(&self.published).filter(late).map(holes).sum()
    }

    /// How many deliveries to the hosts in `whose` there should be.
    pub fn expected(&self, whose: &[bool]) -> u64 {
        let all = whose.iter().filter(|&&counts| counts).count() as u64;
        self.published.iter().map(|&(_, by)| all - u64::from(whose[by])).sum()
    }

    /// The latency of every delivery to the hosts in `whose`, with who published it and the host.
    pub fn latencies<'a>(
        &'a self,
        whose: &'a [bool],
    ) -> impl Iterator<Item = (usize, usize, Duration)> + 'a {
        self.published.iter().zip(&self.delivered).flat_map(move |(&(published, by), hosts)| {
            let came = hosts.iter().enumerate().filter(|&(host, _)| whose[host]);
            came.filter_map(move |(host, at)| Some((by, host, (*at)?.since(published))))
        })
    }

    /// The latency of every delivery to the hosts in `whose` that was later than its way and 1 ms,
    /// and that did not come together with the message before it: where one host publishes, what
    /// was repaired, without what only waited in order behind it. `way` is how long a message of
    /// one host takes to another.
    pub fn late(&self, whose: &[bool], way: impl Fn(usize, usize) -> Duration) -> Vec<Duration> {
        let mut late = Vec::new();
        for host in (0..self.hosts).filter(|&host| whose[host]) {
            let mut before = None;
            for (&(published, by), hosts) in self.published.iter().zip(&self.delivered) {
                let took = hosts[host].map(|at| at.since(published));
                let alone = hosts[host] != before;
                before = hosts[host];
                late.extend(
                    took.filter(|took| alone && *took > way(by, host) + Duration::from_millis(1)),
                );
            }
        }
        late
    }

    /// Which part of the deliveries to the hosts in `whose` came `within` so long after the message was
    /// published; 1 if there should be none.
    pub fn continuity(&self, whose: &[bool], within: Duration) -> f64 {
        let all = self.expected(whose);
        let in_time =
            self.latencies(whose).filter(|&(by, host, took)| by != host && took <= within);
        if all == 0 { 1.0 } else { in_time.count() as f64 / all as f64 }
    }

    /// From when on, counted from `since`, at least `share` of the deliveries of each tenth of a second
    /// of publishing came to the hosts in `whose` `within` so long; `None` if never.
    pub fn continuous_after(
        &self,
        whose: &[bool],
        within: Duration,
        since: Time,
        share: f64,
    ) -> Option<Duration> {
        const BIN: Duration = Duration::from_millis(100);
        let mut bins: Vec<(u64, u64)> = Vec::new();
        for (&(published, by), hosts) in self.published.iter().zip(&self.delivered) {
            if published < since {
                continue;
            }
            let bin = (published.since(since).as_nanos() / BIN.as_nanos()) as usize;
            bins.resize(bins.len().max(bin + 1), (0, 0));
            let due = (0..self.hosts).filter(|&host| whose[host] && host != by);
            for host in due {
                bins[bin].0 += 1;
                let took = hosts[host].map(|at| at.since(published));
                bins[bin].1 += u64::from(took.is_some_and(|took| took <= within));
            }
        }
        let bad = bins.iter().rposition(|&(all, came)| (came as f64) < share * all as f64);
        let good = bad.map_or(0, |at| at + 1);
        (good < bins.len()).then(|| BIN * good as u32)
    }

    /// When each message of another host was published, and how long it took to a host; `None` if
    /// it did not come.
    pub fn of_host(&self, host: usize) -> impl Iterator<Item = (Time, Option<Duration>)> {
        let of_others =
            self.published.iter().zip(&self.delivered).filter(move |(at, _)| at.1 != host);
        of_others.map(move |(&(published, _), hosts)| {
            (published, hosts[host].map(|at| at.since(published)))
        })
    }

    /// How many of `whose` had the first message by which time after it was published, at each time
    /// at which that grew.
    pub fn reached(&self, whose: &[bool]) -> Vec<(f64, u64)> {
        let (Some(&(published, _)), Some(hosts)) = (self.published.first(), self.delivered.first())
        else {
            return Vec::new();
        };
        let came = hosts.iter().zip(whose).filter(|&(_, &counts)| counts);
        let mut times: Vec<f64> =
            came.filter_map(|(at, _)| Some(ms((*at)?.since(published)))).collect();
        times.sort_by(f64::total_cmp);
        let mut reached: Vec<(f64, u64)> = Vec::new();
        for (time, count) in times.into_iter().zip(1..) {
            match reached.last_mut().filter(|(last, _)| *last == time) {
                Some(step) => step.1 = count,
                None => reached.push((time, count)),
            }
        }
        reached
    }
}

/// Milliseconds.
pub fn ms(span: Duration) -> f64 {
    span.as_nanos() as f64 / 1e6
}

/// How times are distributed, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// Half are no longer.
    pub p50_ms: f64,
    /// Nine of ten are no longer.
    pub p90_ms: f64,
    /// 99 of 100 are no longer.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Quantiles {
    /// Of these times; all zero if there are none.
    pub fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        Self {
            p50_ms: quantile(&times, 0.5),
            p90_ms: quantile(&times, 0.9),
            p99_ms: quantile(&times, 0.99),
            max_ms: times.last().copied().unwrap_or(0.0),
        }
    }
}

/// The least of the sorted values that a share of them does not exceed; 0 if there are none.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).or(sorted.last()).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let times = (1..=100).map(f64::from).collect();
        let expected = Quantiles { p50_ms: 50.0, p90_ms: 90.0, p99_ms: 99.0, max_ms: 100.0 };
        assert_eq!(Quantiles::of(times), expected);
        assert_eq!(Quantiles::of(vec![]), Quantiles::default());
        assert_eq!(Quantiles::of(vec![3.0]).p99_ms, 3.0);
    }

    #[test]
    fn who_published_a_message_does_not_wait_for_it() {
        let mut deliveries = Deliveries::new(3);
        deliveries.publish(Time::ZERO, 1, 1_000);
        deliveries.deliver(0, 2, Time::ZERO);
        deliveries.given_up([0], 0);
        assert!((0..3).all(|host| deliveries.is_settled(0, host)));
        deliveries.publish(Time::ZERO, 1, 1_000);
        assert!([0, 2].iter().all(|&host| !deliveries.is_settled(1, host)));
    }

    #[test]
    fn only_the_hosts_that_count_are_counted() {
        let mut deliveries = Deliveries::new(3);
        deliveries.publish(Time::from_millis(10), 0, 1_000);
        deliveries.deliver(0, 0, Time::from_millis(10));
        deliveries.deliver(0, 1, Time::from_millis(15));
        let whose = [false, true, true];
        assert_eq!(deliveries.missing(&whose, Time::ZERO), 1);
        let latencies: Vec<_> = deliveries.latencies(&whose).collect();
        assert_eq!(latencies, [(0, 1, Duration::from_millis(5))]);
        assert_eq!((deliveries.expected(&whose), deliveries.expected(&[true; 3])), (2, 2));
        assert_eq!(deliveries.reached(&whose), [(5.0, 1)]);
    }

    #[test]
    fn late_is_what_was_repaired_and_not_what_waited_behind_it() {
        let mut deliveries = Deliveries::new(2);
        for (number, (at, came)) in (0..).zip([(10, 11), (20, 28), (24, 28), (30, 31)]) {
            deliveries.publish(Time::from_millis(at), 0, 1_000);
            deliveries.deliver(number, 1, Time::from_millis(came));
        }
        let late = deliveries.late(&[false, true], |_, _| Duration::from_millis(1));
        assert_eq!(late, [Duration::from_millis(8)]);
    }
}
