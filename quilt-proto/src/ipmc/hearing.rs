//! Whether this host hears the others on the address, and they hear it.

use super::frame::Frame;
use super::member::{Cx, Member, Timer};
use crate::notice::Unusable;
use crate::{HostId, Time};
use alloc::vec::Vec;
use core::time::Duration;

/// What is known of how well multicast works.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// When something was last heard on the address.
    heard: Option<Time>,
    /// Somebody answered by unicast since it was last asked.
    answered: bool,
    /// So often in a row somebody answered but was not heard.
    strikes: u32,
    /// Since the last beacon a member said that it heard this host, or that it did not.
    confirmed: bool,
    denied: bool,
    /// So often in a row this host was not heard.
    unheard: u32,
}

/// How long nothing may be heard after joining before others are asked whether they are there.
const FIRST_SILENCE: Duration = Duration::from_millis(1_500);
/// The same where something was heard before. In a small patch that happens without cause, and ends
/// with the answer to the first question.
const SILENCE: Duration = Duration::from_millis(1_200);
/// How long a member that is there has to be heard, once it was asked.
const VERDICT: Duration = Duration::from_millis(250);
/// Questions in a row that were answered by unicast alone and move the host: within 3 s in all.
/// Guess: where a fifth of all packets is lost, one host in 15,000 is moved without cause.
const STRIKES: u32 = 6;
/// The pause before the others are asked again after none of them answered.
const AGAIN: Duration = Duration::from_millis(500);
/// Others are asked whether they heard a beacon when it has had this long to come, and have this
/// long to answer.
const ECHO: Duration = Duration::from_millis(125);
/// Beacons in a row that nobody heard and that move the host.
const UNHEARD: u32 = 6;

impl Hearing {
    /// The address was joined anew.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Whether something was heard within `time`.
    pub(super) fn is_audible(&self, now: Time, time: Duration) -> bool {
        self.heard.is_some_and(|heard| now.since(heard) < time)
    }

    /// A member answered by unicast.
    pub(super) fn on_answer(&mut self) {
        self.answered = true;
    }
}

impl Member {
    /// Something came by multicast.
    pub(super) fn hear(&mut self, now: Time, from: HostId) {
        self.hearing.heard = Some(now);
        self.hearing.strikes = 0;
        if let Some(seen) = self.seen.get_mut(&from) {
            seen.heard = Some(now);
        }
    }

    /// The address is joined: others should be heard soon.
    pub(super) fn expect_to_hear(&mut self, cx: &mut Cx<'_>) {
        self.hearing.reset();
        cx.set_timer(Timer::Listen, cx.now() + FIRST_SILENCE);
    }

    /// For how long nothing was heard, and for how long that may be.
    fn silence(&self, now: Time) -> Option<(Duration, Duration)> {
        Some(match self.hearing.heard {
            Some(heard) => (now.since(heard), SILENCE),
            None => (now.since(self.joined?), FIRST_SILENCE),
        })
    }

    /// Whoever hears nothing asks by unicast whether others are there at all: a lone member, and
    /// one whose contacts have all died, is fine.
    pub(super) fn listen(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        let Some((silent, allowed)) = self.silence(now) else { return };
        if silent < allowed {
            return cx.set_timer(Timer::Listen, now + allowed.saturating_sub(silent));
        }
        self.hearing.answered = false;
        for &host in self.links.keys() {
            cx.send(host, &self.attach_frame());
        }
        cx.set_timer(Timer::Verdict, now + VERDICT);
    }

    pub(super) fn judge(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        let Some((silent, allowed)) = self.silence(now) else { return };
        if silent < allowed {
            return self.listen(cx);
        }
        if self.hearing.answered {
            self.hearing.strikes = self.hearing.strikes.saturating_add(1);
            if self.hearing.strikes < STRIKES {
                return self.listen(cx);
            }
            self.hearing.strikes = 0;
            cx.unusable(Unusable::NothingHeard { listened: silent });
        }
        cx.set_timer(Timer::Listen, now + AGAIN);
    }

    /// A beacon went out: one of those that this host is attached to is asked whether it heard it; all
    /// of them, if that was denied of the one before.
    pub(super) fn expect_to_be_heard(&mut self, cx: &mut Cx<'_>) {
        self.hearing.confirmed = false;
        self.hearing.denied = false;
        cx.stop_timer(Timer::Unheard);
        cx.set_timer(Timer::Check, cx.now() + ECHO);
    }

    pub(super) fn check(&mut self, cx: &mut Cx<'_>) {
        let attached = self.links.iter().filter(|(_, link)| link.agreed && link.ours);
        let mut attached: Vec<HostId> = attached.map(|(&host, _)| host).collect();
        cx.rng().shuffle(&mut attached);
        let asked = if self.hearing.unheard > 0 { attached.len() } else { 1 };
        attached.iter().take(asked).for_each(|&host| cx.send(host, &Frame::Check));
        if !attached.is_empty() {
            cx.set_timer(Timer::Unheard, cx.now() + ECHO);
        }
    }

    /// A member asks whether it is heard. Who hears nobody says nothing: it may well be the one on
    /// which multicast does not work.
    pub(super) fn on_check(&mut self, cx: &mut Cx<'_>, from: HostId) {
        let now = cx.now();
        if self.hearing.is_audible(now, SILENCE.saturating_mul(2)) && self.links.contains_key(&from)
        {
            let heard = self.seen.get(&from).and_then(|seen| seen.heard);
            let ago = heard.map_or(u128::MAX, |heard| now.since(heard).as_millis());
            cx.send(from, &Frame::Heard { ms_ago: u16::try_from(ago).unwrap_or(u16::MAX) });
        }
    }

    pub(super) fn on_heard(&mut self, cx: &mut Cx<'_>, ms_ago: u16) {
        let Some(said) = self.said else { return };
        let since = cx.now().since(said).as_millis();
        if u128::from(ms_ago) <= since {
            self.hearing.confirmed = true;
            self.hearing.unheard = 0;
        } else {
            self.hearing.denied = true;
        }
    }

    /// Those that were asked had time to say whether they hear this host.
    pub(super) fn judge_unheard(&mut self, cx: &mut Cx<'_>) {
        let Hearing { confirmed, denied, .. } = self.hearing;
        if confirmed || !denied {
            return;
        }
        self.hearing.unheard = self.hearing.unheard.saturating_add(1);
        if self.hearing.unheard >= UNHEARD {
            cx.unusable(Unusable::NotHeard { beacons: self.hearing.unheard });
            self.hearing.unheard = 0;
        } else {
            self.beacon_now(cx);
        }
    }
}
