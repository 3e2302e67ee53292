//! Repair within the patch: who misses something asks by multicast, and the nearest that has it
//! gives it.

use super::answer::{Answer, REPEAT};
use super::asked::Asked;
use super::frame::Frame;
use super::member::{Cx, Member, Timer};
use super::nack::{Hole, Nack, Surroundings};
use super::rate::{self, Rate};
use super::tally::Tally;
use crate::wire::{Pull, Wanted};
use crate::{FragmentId, HostId, HostTag, Seq, Source, Time};
use alloc::vec::Vec;
use core::time::Duration;

/// A forwarder asks the patch only for what is missing for so long: it is the one that brings others
/// what comes from outside.
const FORWARDER_AGE: Duration = Duration::from_millis(100);
/// A round trip within the patch, as long as none was measured.
const ASSUMED_RTT: Duration = Duration::from_millis(1);
/// After so many requests in vain this host asks whether it is heard.
const SUSPICIOUS: u8 = 4;
/// Where nothing is asked for, a host that loses something says so after this time, or after so much
/// for each member: at most some 300 reports a second in a patch, and of up to 200 members each is
/// heard within the time for which a report counts.
const MIN_REPORT: Duration = Duration::from_millis(100);
const REPORT_EACH: Duration = Duration::from_millis(5);
/// The most packets with requests at once.
const MAX_REQUESTS: usize = 4;
/// The most fragments that one entry of a request brings.
const MAX_SERVED: u16 = 64;

/// The repair of one member.
#[derive(Debug)]
pub(super) struct Repair {
    nack: Nack,
    tally: Tally,
    asked: Asked,
    answer: Answer,
    rate: Rate,
    /// The least round trip to a member, as measured lately.
    rtt: Duration,
}

impl Repair {
    /// `bytes_per_second` is the ceiling of what is sent.
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self {
            nack: Nack::default(),
            tally: Tally::default(),
            asked: Asked::default(),
            answer: Answer::new(bytes_per_second),
            rate: Rate::new(bytes_per_second),
            rtt: ASSUMED_RTT,
        }
    }

    /// A member said by multicast what was sent.
    pub(super) fn on_head(&mut self, source: Source, next: Seq) {
        self.nack.on_head(source, next);
    }

    /// A fragment came that was asked for.
    pub(super) fn on_pulled(&mut self, now: Time, fragment: FragmentId) {
        self.nack.on_pulled(now, fragment.source, fragment.seq);
    }
}

impl Member {
    /// A fragment came by multicast that nobody had asked for.
    pub(super) fn came(&mut self, cx: &mut Cx<'_>, fragment: FragmentId) {
        let FragmentId { source, seq, .. } = fragment;
        let repair = &mut self.repair;
        if cx.repairs() {
            return repair.nack.on_pushed(source, seq);
        }
        let passed = repair.tally.on_pushed(fragment, cx.count_of(source, seq).unwrap_or(1));
        repair.nack.on_unasked(cx.now(), passed);
        if repair.nack.loss() > 0 && !cx.is_set(Timer::Report) {
            let members = u32::try_from(self.members(cx.now())).unwrap_or(u32::MAX);
            let pause = REPORT_EACH.saturating_mul(members).max(MIN_REPORT);
            cx.set_timer_within(Timer::Report, pause.checked_div(2).unwrap_or_default(), pause);
        }
    }

    /// Says what this host loses where it asks for nothing, so that whoever sends slows down.
    pub(super) fn report(&mut self, cx: &mut Cx<'_>) {
        let loss = self.repair.nack.loss();
        if loss > 0 && self.joined.is_some() {
            cx.multicast(&Frame::Nack { of: None, loss, wanted: Vec::new() });
        }
    }

    /// Something is missing: it is looked at once it is old enough.
    pub(super) fn notice_holes(&mut self, cx: &mut Cx<'_>) {
        if self.joined.is_some() {
            let age = self.least_age();
            cx.set_timer_by(Timer::Nack, cx.now() + age);
        }
    }

    fn least_age(&self) -> Duration {
        let guard = self.repair.nack.guard();
        if self.is_forwarder() { guard.max(FORWARDER_AGE) } else { guard }
    }

    /// Asks for what it is time to ask for.
    pub(super) fn ask(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        let mut holes: Vec<Hole> = Vec::new();
        cx.holes(self.least_age(), &mut |wanted| {
            let FragmentId { source, seq, .. } = wanted.first;
            let count = cx.count_of(source, seq);
            let is_tail = count.is_none_or(|count| wanted.last.saturating_add(1) >= count);
            holes.push(Hole { wanted, is_tail });
            holes.len() < Nack::max_looked()
        });
        let around = self.surroundings(cx);
        let Repair { nack, asked, .. } = &mut self.repair;
        let mut request = nack.look(now, &holes, asked, around, cx.rng());
        request.sort_by_key(|(tries, _)| (*tries).min(2));
        let same = |a: &(u8, Wanted), b: &(u8, Wanted)| a.0.min(2) == b.0.min(2);
        let packets = request.chunk_by(same).flat_map(|chunk| chunk.chunks(Pull::MAX_WANTED));
        for packet in packets.take(MAX_REQUESTS) {
            let tries = packet.first().map_or(0, |(tries, _)| *tries);
            if tries == SUSPICIOUS {
                // Nobody answers: perhaps nobody hears it.
                self.call_beacon(cx);
            }
            let of = self.whom_to_ask(cx, tries);
            let wanted = packet.iter().map(|(_, wanted)| *wanted).collect();
            cx.multicast(&Frame::Nack { of, loss: self.repair.nack.loss(), wanted });
        }
        if let Some(next) = self.repair.nack.next(now) {
            cx.set_timer_by(Timer::Nack, next);
        }
    }

    /// Of those whose distance was measured one of the nearest is asked first, then whoever injects,
    /// and then anybody.
    fn whom_to_ask(&self, cx: &mut Cx<'_>, tries: u8) -> Option<HostTag> {
        match tries {
            0 => {
                let measured = self.links.keys().filter_map(|&host| {
                    let rtt = cx.peers().get(host).filter(|peer| peer.linked)?.rtt?;
                    Some((rtt, host))
                });
                let measured: Vec<(Duration, HostId)> = measured.collect();
                let least = measured.iter().map(|&(rtt, _)| rtt).min()?;
                let near = least.saturating_mul(2);
                let near: Vec<HostId> = measured
                    .iter()
                    .filter(|(rtt, _)| *rtt <= near)
                    .map(|&(_, host)| host)
                    .collect();
                let at = cx.rng().index(near.len());
                near.get(at).map(HostId::tag)
            }
            1 => self.injectors.first().map(HostId::tag),
            _ => None,
        }
    }

    /// A member asks for something.
    pub(super) fn on_nack(
        &mut self,
        cx: &mut Cx<'_>,
        from: HostId,
        (of, loss): (Option<HostTag>, u16),
        wanted: &[Wanted],
    ) {
        let now = cx.now();
        self.hear(now, from);
        // Also of those that send nothing but repairs.
        self.repair.rate.on_report(now, from.tag(), loss);
        if !cx.is_set(Timer::Rate) {
            cx.set_timer(Timer::Rate, now + rate::REACTION);
        }
        for wanted in wanted {
            let FragmentId { source, seq, .. } = wanted.first;
            let several = self.repair.asked.note(now, source, seq, from.tag());
            if of.is_none_or(|tag| tag == cx.me().tag()) {
                self.give(cx, from, of.is_none(), several, wanted);
            }
        }
        if let Some(next) = self.repair.answer.next() {
            cx.set_timer_by(Timer::Answer, next);
        }
    }

    /// Gives what is here of what is wanted: to `from` alone, if nobody else wants it; to all, if
    /// several do; and to all a little later, if anybody may be the one to give it.
    fn give(
        &mut self,
        cx: &mut Cx<'_>,
        from: HostId,
        anybody: bool,
        several: bool,
        wanted: &Wanted,
    ) {
        let now = cx.now();
        let FragmentId { source, seq, index } = wanted.first;
        let last = wanted.last.min(cx.count_of(source, seq).unwrap_or(0).saturating_sub(1));
        let delay = self.delay(cx, from);
        let recently = self.repair.nack.answers_take(REPEAT);
        let answer = &mut self.repair.answer;
        for index in (index..=last).take(usize::from(MAX_SERVED)) {
            let fragment = FragmentId { source, seq, index };
            if !cx.has(fragment) || answer.is_given(now, fragment, recently) {
                continue;
            }
            if anybody {
                answer.plan(fragment, now + delay);
            } else if !answer.may_give(now, from.tag()) {
                return;
            } else if several {
                cx.multicast_repair(fragment);
                answer.on_given(now, fragment, false);
            } else {
                cx.repair(from, fragment);
            }
        }
    }

    /// How long this host waits whether another one answers: the way to who asks, and a back-off.
    fn delay(&mut self, cx: &mut Cx<'_>, from: HostId) -> Duration {
        let around = self.surroundings(cx);
        let way = cx.peers().get(from).and_then(|peer| peer.rtt).unwrap_or(around.rtt);
        way.saturating_add(around.backoff(cx.rng()))
    }

    /// Gives to all what nobody else gave in the meantime.
    pub(super) fn answer(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        let me = cx.me().tag();
        let answer = &mut self.repair.answer;
        while let Some(fragment) = answer.take_due(now) {
            if cx.has(fragment) && answer.may_give(now, me) {
                cx.multicast_repair(fragment);
                answer.on_given(now, fragment, false);
            }
        }
        if let Some(next) = answer.next() {
            cx.set_timer(Timer::Answer, next);
        }
    }

    /// Another member gave a fragment to all.
    pub(super) fn on_given(&mut self, cx: &mut Cx<'_>, fragment: FragmentId) {
        self.repair.answer.on_given(cx.now(), fragment, true);
    }

    /// Sends faster or slower, by what receivers reported.
    pub(super) fn adapt(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        let around = self.surroundings(cx);
        if let Some(rate) = self.repair.rate.tick(now, around.members, around.rtt) {
            cx.pace(rate);
            self.repair.answer.pace(rate);
        }
        if !self.repair.rate.is_settled() {
            cx.set_timer(Timer::Rate, now + rate::TICK);
        }
    }

    /// Measures anew how far the others are: the least counts, since streams that lose packets take
    /// longer than the way does.
    pub(super) fn measure(&mut self, cx: &Cx<'_>) {
        let rtts = self.links.keys().filter_map(|&host| cx.peers().get(host)?.rtt);
        if let Some(least) = rtts.min() {
            // A way that became longer is believed little by little.
            let longer = self.repair.rtt.saturating_mul(9).checked_div(8).unwrap_or_default();
            self.repair.rtt = least.min(longer);
        }
    }

    fn surroundings(&mut self, cx: &Cx<'_>) -> Surroundings {
        let members = self.members(cx.now());
        Surroundings { members, rtt: self.repair.rtt }
    }
}
