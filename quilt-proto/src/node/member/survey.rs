//! Asking the bootstrap service how the whole group is put together.

use super::*;
use crate::survey::{NotMember, Parent, Survey};
use crate::wire::SurveyPart;

/// The first pause before a part is asked for again, doubled each time.
const RETRY: Duration = Duration::from_millis(100);
/// So often a part is asked for. The last pause ends 3.1 s after the first try.
const TRIES: u32 = 5;

/// A survey under way.
#[derive(Debug)]
pub(super) struct Inquiry {
    /// What came so far.
    survey: Survey,
    /// The part that is asked for.
    from: PatchId,
    /// How often it was asked for.
    tries: u32,
    /// When it is asked for again, or given up.
    next: Time,
}

impl Inquiry {
    pub(super) fn poll_timeout(&self) -> Time {
        self.next
    }
}

impl Member {
    /// Starts a survey, unless one is under way: then that one answers both.
    pub(in crate::node) fn survey(&mut self, env: &mut Env<'_>) -> Result<(), NotMember> {
        if self.stage != Stage::Joined {
            return Err(NotMember);
        }
        if self.survey.is_none() {
            let survey = Survey { group: self.id, hosts: 0, patches: Vec::new() };
            let from = PatchId::INTER_PATCH;
            self.survey = Some(Inquiry { survey, from, tries: 0, next: env.now });
            self.survey_timeout(env);
        }
        Ok(())
    }

    pub(super) fn survey_timeout(&mut self, env: &mut Env<'_>) {
        let Some(inquiry) = self.survey.as_ref().filter(|inquiry| inquiry.next <= env.now) else {
            return;
        };
        if inquiry.tries < TRIES {
            return self.ask_again(env);
        }
        self.survey = None;
        self.tell_survey(Notice::NotSurveyed { at: self.client.at() });
    }

    /// Asks for the part that is missing, while there are tries left.
    pub(super) fn ask_again(&mut self, env: &mut Env<'_>) {
        let Some(inquiry) = self.survey.as_mut().filter(|inquiry| inquiry.tries < TRIES) else {
            return;
        };
        let (group, cookie) = (self.id, self.client.cookie());
        let question = Frame::Survey { group, cookie, from: inquiry.from };
        self.client.ask(env.links, inquiry.tries, &question);
        inquiry.next = env.now + RETRY.saturating_mul(1_u32.wrapping_shl(inquiry.tries));
        inquiry.tries = inquiry.tries.saturating_add(1);
    }

    /// Takes in a part that was asked for, and asks for the next one.
    pub(super) fn on_survey_part(&mut self, env: &mut Env<'_>, part: SurveyPart) {
        let asked = self.survey.as_mut().filter(|inquiry| inquiry.from == part.from);
        let Some(Inquiry { survey, from, tries, .. }) = asked else {
            // It came twice, or too late.
            return env.links.counters.bump(Counter::DroppedUnexpected);
        };
        let max = env.host.config.limits.patches;
        let last = part.patches.last().map(|patch| patch.patch);
        survey.hosts = part.hosts;
        survey.patches.extend(part.patches);
        survey.patches.truncate(max);
        let next = last.and_then(|last| last.0.checked_add(1)).filter(|_| part.more);
        if let Some(next) = next.filter(|_| survey.patches.len() < max) {
            (*from, *tries) = (PatchId(next), 0);
            return self.ask_again(env);
        }
        if let Some(inquiry) = self.survey.take() {
            self.tell_survey(Notice::Surveyed(inquiry.survey));
        }
    }

    /// Only the last survey waits for an application that does not read.
    fn tell_survey(&mut self, notice: Notice) {
        let is_one =
            |notice: &Notice| matches!(notice, Notice::Surveyed(_) | Notice::NotSurveyed { .. });
        self.notices.retain(|waiting| !is_one(waiting));
        self.notices.push_back(notice);
    }

    /// Who is above this host in the inter-patch patch.
    pub(super) fn parent(&self, env: &Env<'_>) -> Option<Parent> {
        let host = self.patches.get(&PatchId::INTER_PATCH)?.parent()?;
        Some(Parent { host: host.tag(), round_trip: env.links.rtt(host) })
    }
}
