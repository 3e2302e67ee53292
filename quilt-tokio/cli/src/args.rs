//! The command line.

use crate::text::Failure;
use clap::{Parser, Subcommand};
use quilt_tokio::proto::euid::{RouterId, RouterStack};
use quilt_tokio::proto::protocol::Registry;
use quilt_tokio::{Delivery, History, Options, Url, interface_address};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// Multicast over networks that differ.
#[derive(Debug, Parser)]
#[command(name = "quilt", version, after_help = "Try it with: quilt demo")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tells hosts of each other, and which of them form a patch.
    Bootstrap(BootstrapArgs),
    /// Receives what is sent to a group.
    Join(JoinArgs),
    /// Sends a file, or standard input, to a group.
    Send(SendArgs),
    /// Shows what is around this host, as it is sensed: NATs, firewalls, routers, IP multicast.
    Probe(ProbeArgs),
    /// Starts a bootstrap service and receivers on this host, and sends them a file.
    Demo(DemoArgs),
}

impl Command {
    /// Whether a failure is to be told on standard output as JSON. The demo keeps its last line
    /// there for the summary.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Bootstrap(args) => args.json,
            Self::Join(args) => args.host.json,
            Self::Send(args) => args.host.json,
            Self::Probe(args) => args.json,
            Self::Demo(_) => false,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct BootstrapArgs {
    /// Where to listen, by TCP and UDP; port 0 takes a free one.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7400")]
    pub(crate) listen: SocketAddr,
    /// The administrator's policy; `quilt bootstrap --help` shows the format.
    ///
    /// One wish a line, `#` starts a comment; what is not mentioned keeps its default:
    ///   order ipmc donet omni
    ///   forbid ipmc 10.1.0.0/16
    ///   inter-patch omni
    ///   representatives 2..3
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    pub(crate) policy: Option<PathBuf>,
    /// Another address of this host where hosts are answered by UDP: with it they learn more of NATs
    /// in front of them. It has to be reachable as the first one is; port 0 takes a free one.
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) other_address: Option<SocketAddr>,
    /// A group that may exist; give it once for each. Without it hosts may create any.
    #[arg(long = "group", value_name = "NAME")]
    pub(crate) groups: Vec<String>,
    /// Print JSON, one object a line.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) parent: ParentArgs,
}

/// How a host takes part.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct HostArgs {
    /// The interface to use, by its name or by a local address; by default the one that leads to the
    /// bootstrap service.
    #[arg(long, value_name = "IP|NAME")]
    pub(crate) bind: Option<String>,
    /// The routers from this host outwards, by any names, separated by commas; `+ipmc` marks one
    /// that forwards IP multicast. If not given, routers and IP multicast are sensed, except at a
    /// loopback address.
    #[arg(long, value_name = "NAME[+ipmc],..")]
    pub(crate) routers: Option<Routers>,
    /// Where routers are looked for, by default towards the system's DNS server.
    #[arg(long, value_name = "IP", conflicts_with = "routers")]
    pub(crate) resolver: Option<IpAddr>,
    /// What the group is to promise: best-effort, ordered or reliable. The first host settles it, and
    /// a host that says another is not taken in; without it whatever the group has, and reliable in a
    /// new one.
    #[arg(long, value_name = "MODE")]
    pub(crate) delivery: Option<Delivery>,
    /// The protocols that this host has, by default all: ipmc, donet, omni.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub(crate) protocols: Vec<String>,
    /// Print JSON, one object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The process that started this one.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ParentArgs {
    /// End when standard input does, so as never to outlive whoever holds its other end.
    #[arg(long, hide = true)]
    pub(crate) exit_on_stdin_eof: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JoinArgs {
    /// The group: quilt://HOST:PORT/GROUP.
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) host: HostArgs,
    /// What to be given of what was published before: none, so many messages of each source, or
    /// mark: what each source published since it last marked a message, as `quilt send` does with
    /// the beginning of a transfer.
    #[arg(long, value_name = "N", default_value = "none")]
    pub(crate) history: Past,
    /// Write what arrives to FILE, and end after the first whole transfer. Until it is verified it
    /// is called FILE.partial. Without it what arrives goes to standard output (with --json:
    /// nowhere).
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// End after the first whole transfer, also without --output.
    #[arg(long)]
    pub(crate) once: bool,
    /// Go on after a whole transfer, also with --output; FILE then is the latest one.
    #[arg(long, conflicts_with = "once")]
    pub(crate) stay: bool,
    /// Draw the group's patches, and the tree between them, to FILE as SVG; drawn anew whenever
    /// they change.
    #[arg(long, value_name = "FILE")]
    pub(crate) graph: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) parent: ParentArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SendArgs {
    /// The group: quilt://HOST:PORT/GROUP.
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) host: HostArgs,
    /// What to send; by default standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// The bytes of the file in each message, 1 to 16777000.
    #[arg(long, value_name = "BYTES", default_value_t = crate::send::CHUNK_BYTES)]
    pub(crate) chunk: usize,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ProbeArgs {
    /// Any group of the bootstrap service that is asked for help: quilt://HOST:PORT/GROUP. Nothing is
    /// joined. Without it only what the host can see by itself is sensed.
    pub(crate) url: Option<String>,
    /// The interface to look at, by its name or by a local address; by default all but loopback.
    #[arg(long, value_name = "IP|NAME")]
    pub(crate) bind: Option<String>,
    /// Where routers are looked for, by default towards the system's DNS server.
    #[arg(long, value_name = "IP")]
    pub(crate) resolver: Option<IpAddr>,
    /// Print JSON, one object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// How many receivers to start.
    #[arg(long, value_name = "N", default_value_t = 24,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) hosts: u16,
    /// What to send; by default this program itself.
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Print one JSON object as the last line, and nothing else on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw the patches, and the tree between them, to FILE as SVG at the end.
    #[arg(long, value_name = "FILE")]
    pub(crate) graph: Option<PathBuf>,
    /// Keep the received files.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Give up after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) timeout: u64,
}

/// The URL of a group.
pub(crate) fn url(text: &str) -> Result<Url, Failure> {
    text.parse().map_err(|error| Failure::bad_url(text, &error))
}

impl HostArgs {
    /// The adapter's options.
    pub(crate) fn options(&self, create: bool) -> Result<Options, Failure> {
        let mut options = Options { create, delivery: self.delivery, ..Options::default() };
        if let Some(interface) = &self.bind {
            let ip = interface_address(interface);
            options.bind = (ip.map_err(|error| Failure::unknown_interface(&error))?, 0).into();
        }
        options.resolver = self.resolver.or(options.resolver);
        if let Some(Routers(stack)) = &self.routers {
            options.surroundings.topology = stack.clone();
        }
        if !self.protocols.is_empty() {
            options.registry = registry(&self.protocols)?;
        }
        Ok(options)
    }
}

/// Of the core's protocols those with these names.
fn registry(names: &[String]) -> Result<Registry, Failure> {
    names.iter().try_fold(Registry::empty(), |registry, name| match name.as_str() {
        "ipmc" => Ok(registry.with(quilt_tokio::proto::ipmc::Ipmc::default())),
        "donet" => Ok(registry.with(quilt_tokio::proto::donet::Donet::default())),
        "omni" => Ok(registry.with(quilt_tokio::proto::omni::Omni::default())),
        _ => Err(Failure::unknown_protocol(name)),
    })
}

/// What is wanted of the past, as it is written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Past(pub(crate) History);

impl FromStr for Past {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("none", _) => Ok(Self(History::None)),
            ("mark", _) => Ok(Self(History::FromMark)),
            (_, Ok(count)) => Ok(Self(History::Last(count))),
            (_, Err(_)) => Err("it is none, mark, or a number of messages".into()),
        }
    }
}

/// A router stack as it is written on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Routers(pub(crate) RouterStack);

impl FromStr for Routers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut stack = RouterStack::default();
        for (hops, router) in (1..).zip(text.split(',')) {
            let (name, multicast) = match router.strip_suffix("+ipmc") {
                Some(name) => (name, true),
                None => (router, false),
            };
            if name.is_empty() || name.contains('+') {
                return Err(format!("{router:?} is not a router's name, nor NAME+ipmc"));
            }
            if usize::from(hops) > RouterStack::MAX {
                return Err(format!("at most {} routers are kept", RouterStack::MAX));
            }
            stack.insert(RouterId::named(name), hops, multicast);
        }
        Ok(Self(stack))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_past_is_a_number_of_messages_or_a_word() {
        let past = |text: &str| text.parse().map(|Past(history)| history).ok();
        assert_eq!(past("none"), Some(History::None));
        assert_eq!(past("mark"), Some(History::FromMark));
        assert_eq!(past("20"), Some(History::Last(20)));
        assert_eq!((past("-1"), past("all")), (None, None));
    }

    #[test]
    fn routers_count_hops_outwards_and_know_who_forwards_multicast() {
        let Routers(stack) = "gw+ipmc,core".parse().unwrap();
        let (gw, core) = (RouterId::named("gw"), RouterId::named("core"));
        let mut routers: Vec<_> = stack.routers().collect();
        routers.sort_by_key(|&(_, hops)| hops);
        assert_eq!(routers, [(gw, 1), (core, 2)]);
        assert_eq!(stack.multicast_routers().collect::<Vec<_>>(), [(gw, 1)]);
    }

    #[test]
    fn a_router_without_a_name_is_refused() {
        for text in ["", "a,,b", "+ipmc", "a+tcp"] {
            assert!(text.parse::<Routers>().is_err(), "{text}");
        }
    }
}
