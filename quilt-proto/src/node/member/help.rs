//! Help with holes that no neighbour fills: other members, the source before all.

use super::*;
use crate::wire::Wanted;

/// A hole that nobody filled for so long is taken to others than the neighbours.
const STUBBORN: Duration = Duration::from_millis(500);
/// One more member is asked for help in this time.
const PAUSE: Duration = Duration::from_millis(200);
/// The most members that help at once.
const MAX_HELPERS: usize = 8;

/// Members that are linked only because something is missing here.
#[derive(Debug, Default)]
pub(super) struct Help {
    helpers: BTreeMap<HostId, PatchId>,
    asked: Time,
}

impl Help {
    /// Who helps, and in which patch.
    pub(super) fn helpers(&self) -> impl Iterator<Item = (HostId, PatchId)> {
        self.helpers.iter().map(|(&host, &patch)| (host, patch))
    }
}

impl Member {
    /// Links one more member if a hole has been there for long; unlinks all once there is none.
    pub(super) fn seek_help(&mut self, env: &mut Env<'_>, neighbours: &BTreeMap<HostId, PatchId>) {
        if !self.window.has_holes() {
            return self.dismiss_help(env);
        }
        if self.help.helpers.len() >= MAX_HELPERS || self.help.asked + PAUSE > env.now {
            return;
        }
        let mut hole: Option<Wanted> = None;
        self.window.holes(env.now, STUBBORN, None, |wanted| {
            hole = Some(wanted);
            false
        });
        let Some(source) = hole.map(|hole| hole.first.source) else { return };
        self.help.asked = env.now;
        if let Some((patch, host)) = self.choose_helper(env, source, neighbours) {
            self.help.helpers.insert(host, patch);
            let peer = self.patches.get(&patch).and_then(|patch| patch.peers.get(host));
            env.need(host, Need::Help(self.id), peer.map(|peer| &peer.contact));
            if env.links.is_up(host) {
                self.ask_for_word(env, host);
            }
        }
    }

    /// The source itself if it is known, else any other member.
    fn choose_helper(
        &self,
        env: &mut Env<'_>,
        source: Source,
        neighbours: &BTreeMap<HostId, PatchId>,
    ) -> Option<(PatchId, HostId)> {
        let members = self.patches.values().flat_map(|patch| {
            let id = patch.id;
            patch.peers.iter().map(move |(host, _)| (id, host))
        });
        let strangers = members.filter(|(_, host)| {
            !neighbours.contains_key(host) && !self.help.helpers.contains_key(host)
        });
        let strangers: Vec<(PatchId, HostId)> = strangers.collect();
        let publisher = strangers.iter().find(|(_, host)| host.tag() == source.host);
        publisher.or_else(|| strangers.get(env.host.rng.index(strangers.len()))).copied()
    }

    /// A helper is linked: what has it?
    pub(super) fn ask_for_word(&mut self, env: &mut Env<'_>, host: HostId) {
        if let Some(&patch) = self.help.helpers.get(&host) {
            let pull = Pull { group: self.id, patch, wanted: Vec::new() };
            env.links.send(host, &Frame::Pull(pull));
        }
    }

    pub(super) fn on_helper_lost(&mut self, host: HostId) {
        self.help.helpers.remove(&host);
    }

    pub(super) fn dismiss_help(&mut self, env: &mut Env<'_>) {
        for host in core::mem::take(&mut self.help.helpers).into_keys() {
            env.links.release(host, Need::Help(self.id));
        }
    }
}
