//! `quilt bootstrap`.

use crate::args::BootstrapArgs;
use crate::policy;
use crate::screen::Screen;
use crate::stop::Stop;
use crate::text::{Failure, Line};
use quilt_tokio::proto::protocol::Registry;
use quilt_tokio::proto::{Limits, Policy};
use quilt_tokio::{Bootstrap, BootstrapConfig};
use std::path::Path;

pub(crate) async fn run(args: BootstrapArgs) -> Result<(), Failure> {
    let mut stop = Stop::listen(args.parent.exit_on_stdin_eof);
    let screen = Screen::new(args.json, false);
    let registry = Registry::standard();
    let policy = match &args.policy {
        Some(file) => read_policy(file, &registry)?,
        None => Policy::default(),
    };
    let groups = (!args.groups.is_empty()).then(|| args.groups.iter().cloned().collect());
    let config = BootstrapConfig { registry, policy, groups, limits: Limits::default() };
    let bootstrap =
        Bootstrap::bind(args.listen, config).await.map_err(|error| Failure::bind(&error))?;
    let address = bootstrap.local_addr();
    screen.say(&Line::Listening { address, groups: args.groups });
    stop.wait().await;
    screen.say(&Line::stopped(address, &bootstrap.counters()));
    Ok(())
}

fn read_policy(file: &Path, registry: &Registry) -> Result<Policy, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::read(file, &error))?;
    policy::parse(&text, registry).map_err(|(line, error)| Failure::bad_policy(file, line, &error))
}
