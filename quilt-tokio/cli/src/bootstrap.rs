//! `quilt bootstrap`.

use crate::args::BootstrapArgs;
use crate::screen::Screen;
use crate::stop::Stop;
use crate::text::{Failure, Line};
use quilt_tokio::proto::protocol::Registry;
use quilt_tokio::proto::wire::Scope;
use quilt_tokio::proto::{GroupId, GroupView, PatchId, PatchView, Policy};
use quilt_tokio::{Bootstrap, BootstrapConfig};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) async fn run(args: BootstrapArgs) -> Result<(), Failure> {
    let mut stop = Stop::listen(args.parent.exit_on_stdin_eof);
    let screen = Screen::new(args.json, false);
    let mut config =
        BootstrapConfig { other_address: args.other_address, ..BootstrapConfig::default() };
    if let Some(file) = &args.policy {
        config.policy = read_policy(file, &config.registry)?;
    }
    if !args.groups.is_empty() {
        config.groups = Some(args.groups.iter().cloned().collect());
    }
    let mut bootstrap =
        Bootstrap::bind(args.listen, config).await.map_err(|error| Failure::bind(&error))?;
    let address = bootstrap.local_addr();
    let mut watch = Watch::new(&args.groups);
    screen.say(&Line::Listening { address, groups: args.groups });
    loop {
        tokio::select! {
            () = bootstrap.changed() => {
                watch.changes(bootstrap.groups()).iter().for_each(|line| screen.say(line));
            }
            () = stop.wait() => break,
        }
    }
    screen.say(&Line::stopped(address, &bootstrap.counters()));
    Ok(())
}

fn read_policy(file: &Path, registry: &Registry) -> Result<Policy, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::read(file, &error))?;
    Policy::parse(&text, registry).map_err(|error| Failure::bad_policy(file, &error))
}

/// What was told of the patches so far.
struct Watch {
    names: BTreeMap<GroupId, String>,
    patches: BTreeMap<(GroupId, PatchId), PatchView>,
}

impl Watch {
    /// Groups with these names are called by them, others by their ids.
    fn new(names: &[String]) -> Self {
        let names = names.iter().map(|name| (GroupId::named(name), name.clone())).collect();
        Self { names, patches: BTreeMap::new() }
    }

    /// A line for each change since the last call.
    fn changes(&mut self, groups: Vec<GroupView>) -> Vec<Line> {
        let patches = groups.into_iter().flat_map(|GroupView { group, patches, .. }| {
            patches.into_iter().map(move |patch| ((group, patch.patch), patch))
        });
        let now: BTreeMap<_, _> = patches.collect();
        let mut lines = Vec::new();
        for (&(group, id), patch) in &now {
            lines.extend(changes(self.name(group), self.patches.get(&(group, id)), patch));
        }
        for &(group, id) in self.patches.keys().filter(|key| !now.contains_key(key)) {
            lines.push(Line::PatchGone { group: self.name(group), patch: id.to_string() });
        }
        self.patches = now;
        lines
    }

    fn name(&self, group: GroupId) -> String {
        self.names.get(&group).cloned().unwrap_or_else(|| group.to_string())
    }
}

/// A line for each way in which a patch differs from what it was.
fn changes(group: String, before: Option<&PatchView>, now: &PatchView) -> Vec<Line> {
    let patch = now.patch.to_string();
    let mut lines = Vec::new();
    if before.is_none() {
        lines.push(Line::PatchFormed {
            group: group.clone(),
            patch: patch.clone(),
            protocol: now.protocol.to_string(),
            inter_patch: now.scope == Scope::InterPatch,
        });
    }
    if before.is_none_or(|before| before.members != now.members) {
        let (group, patch) = (group.clone(), patch.clone());
        lines.push(Line::Members { group, patch, members: now.members });
    }
    let represented = before.map_or(&[][..], |before| &before.representatives);
    if represented != now.representatives {
        let representatives = now.representatives.iter().map(ToString::to_string).collect();
        lines.push(Line::Represented { group, patch, representatives });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use quilt_tokio::proto::{HostId, ProtocolId};

    fn view(members: usize, representatives: &[HostId]) -> GroupView {
        let patch = PatchView {
            patch: PatchId(7),
            scope: Scope::Regional,
            protocol: ProtocolId::IPMC,
            members,
            representatives: representatives.to_vec(),
        };
        GroupView { group: GroupId::named("tea"), hosts: members, patches: vec![patch] }
    }

    #[test]
    fn each_change_is_told_once() {
        let mut watch = Watch::new(&["tea".into()]);
        let mut told = |groups| -> Vec<String> {
            watch.changes(groups).iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            told(vec![view(1, &[])]),
            ["tea: patch 00000007 is formed, ipmc", "tea: patch 00000007 has 1 member"]
        );
        assert_eq!(told(vec![view(1, &[])]), [""; 0]);
        let host = HostId([0xab; 32]);
        assert_eq!(
            told(vec![view(1, &[host])]),
            ["tea: patch 00000007 is represented by abababab"]
        );
        assert_eq!(told(vec![view(2, &[host])]), ["tea: patch 00000007 has 2 members"]);
        assert_eq!(told(vec![]), ["tea: patch 00000007 is gone"]);
    }
}
