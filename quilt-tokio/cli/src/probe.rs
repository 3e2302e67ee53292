//! `quilt probe`.

use crate::args::{self, ProbeArgs};
use crate::screen::Screen;
use crate::text::{Failure, Verdicts};
use quilt_tokio::{Options, interface_address, interfaces, sense};
use std::net::IpAddr;
use tokio::task::JoinSet;

pub(crate) async fn run(args: ProbeArgs) -> Result<(), Failure> {
    let screen = Screen::new(args.json, false);
    let service = match &args.url {
        Some(url) => {
            let url = args::url(url)?;
            Some(url.resolve().map_err(|error| Failure::unresolved(&url, &error))?)
        }
        None => None,
    };
    let mut probes = JoinSet::new();
    for (name, address) in asked_for(args.bind.as_deref())? {
        let mut options = Options { bind: (address, 0).into(), ..Options::default() };
        options.resolver = args.resolver.or(options.resolver);
        let probe = async move { (name, sense(service, options).await) };
        probes.spawn(probe);
    }
    let mut found = probes.join_all().await;
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (name, sensed) in found {
        let sensed = sensed.map_err(|error| Failure::bind(&error))?;
        let verdicts = Verdicts::new(name, service, &sensed);
        match args.json {
            true => screen.object(&verdicts),
            false => screen.tell(format_args!("{verdicts}")),
        }
    }
    Ok(())
}

/// The interfaces to look at.
fn asked_for(bind: Option<&str>) -> Result<Vec<(String, IpAddr)>, Failure> {
    match bind {
        Some(name) => {
            let address = interface_address(name).map_err(|e| Failure::unknown_interface(&e))?;
            Ok(vec![(name.to_owned(), address)])
        }
        None => {
            let all = interfaces().map_err(|error| Failure::no_interfaces(&error))?;
            if all.is_empty() { Err(Failure::only_loopback()) } else { Ok(all) }
        }
    }
}
