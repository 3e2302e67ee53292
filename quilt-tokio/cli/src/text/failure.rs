//! What went wrong, why, and what cures it: one line.

use super::Line;
use quilt_tokio::proto::policy::PolicyError;
use quilt_tokio::proto::{EvictCause, LinkError, RejectCause, wire};
use quilt_tokio::{BindError, JoinError, PublishError, UnknownInterface, Url, UrlError};
use serde::Serialize;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

/// Why the program ends without having done its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "failed")]
pub(crate) struct Failure {
    what: String,
    why: String,
    cure: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.what, self.why, self.cure)
    }
}

impl Failure {
    fn new(what: impl Into<String>, why: impl fmt::Display, cure: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.to_string(), cure: cure.into() }
    }

    /// Says it on standard error, and as JSON on standard output if asked to.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if let (true, Ok(text)) = (json, serde_json::to_string(self)) {
            let _ = writeln!(io::stdout(), "{text}");
        }
        let _ = writeln!(io::stderr(), "quilt: {self}");
        ExitCode::FAILURE
    }

    pub(crate) fn no_runtime(error: &io::Error) -> Self {
        Self::new("cannot start", reason(error), "close other programs and try again")
    }

    pub(crate) fn bad_url(text: &str, error: &UrlError) -> Self {
        let cure = "write it as quilt://HOST:PORT/GROUP, for instance quilt://127.0.0.1:7400/tea";
        Self::new(format!("{text:?} is not the URL of a group"), error, cure)
    }

    pub(crate) fn bad_policy(file: &Path, error: &PolicyError) -> Self {
        let place = match error.line {
            0 => String::new(),
            line => format!(" in line {line}"),
        };
        let what = format!("the policy {} is wrong{place}", file.display());
        Self::new(what, &error.fault, "quilt bootstrap --help shows the format")
    }

    pub(crate) fn unknown_protocol(name: &str) -> Self {
        let why = format!("there is no protocol {name:?}");
        Self::new("cannot use these protocols", why, "choose from: --protocols ipmc,donet,omni")
    }

    pub(crate) fn unknown_interface(error: &UnknownInterface) -> Self {
        let first = error.known.iter().find(|(_, address)| !address.is_loopback());
        let first = first.or(error.known.first()).map_or("127.0.0.1", |(name, _)| name);
        Self::new("cannot use this interface", error, format!("choose one, as in --bind {first}"))
    }

    pub(crate) fn chunk_size(bytes: usize) -> Self {
        let why = format!("a chunk cannot have {bytes} bytes");
        Self::new("cannot send", why, "choose from 1 to 16777000, for instance --chunk 65536")
    }

    pub(crate) fn read(file: &Path, error: &io::Error) -> Self {
        let cure = match error.kind() {
            ErrorKind::NotFound => "check the path",
            ErrorKind::PermissionDenied => "give this user the right to read it",
            _ => "choose a file that can be read",
        };
        Self::new(format!("cannot read {}", file.display()), reason(error), cure)
    }

    pub(crate) fn write(file: &Path, error: &io::Error) -> Self {
        let cure = match error.kind() {
            ErrorKind::NotFound => "create its folder first",
            ErrorKind::PermissionDenied => "give this user the right to write there",
            ErrorKind::StorageFull => "make room on the disk",
            _ => "choose a place that can be written",
        };
        Self::new(format!("cannot write {}", file.display()), reason(error), cure)
    }

    pub(crate) fn bind(error: &BindError) -> Self {
        let address = error.address;
        let cure = match error.cause() {
            LinkError::AddressInUse => {
                let free = SocketAddr::new(address.ip(), 0);
                format!("end the program that has it, or take a free port with --listen {free}")
            }
            LinkError::NoSuchInterface => "use an address of this host, see: ip address".into(),
            LinkError::NotPermitted => "use a port from 1024 up".into(),
            _ => "choose another address".into(),
        };
        Self::new(format!("cannot listen on {address}"), error.cause(), cure)
    }

    pub(crate) fn unresolved(url: &Url, error: &io::Error) -> Self {
        let why = format!("its host cannot be resolved, {}", reason(error));
        Self::new(format!("cannot find {url}"), why, "check the name, or use an IP address")
    }

    pub(crate) fn no_interfaces(error: &io::Error) -> Self {
        let cure = "name one, as in --bind eth0";
        Self::new("cannot tell which interfaces there are", reason(error), cure)
    }

    pub(crate) fn only_loopback() -> Self {
        let cure = "connect it, or name one all the same, as in --bind lo";
        Self::new("there is nothing to look at", "this host has only its loopback interface", cure)
    }

    pub(crate) fn join(url: &Url, error: &JoinError) -> Self {
        let what = format!("cannot join {url}");
        let (why, cure) = match error {
            JoinError::Bind(error) => return Self::bind(error),
            JoinError::Resolve { source, .. } => return Self::unresolved(url, source),
            JoinError::Rejected(cause) => (cause.to_string(), reject_cure(url, cause)),
            other => (other.to_string(), "choose another group".into()),
        };
        Self::new(what, why, cure)
    }

    pub(crate) fn publish(error: PublishError) -> Self {
        let cure = match error {
            PublishError::TooLarge { .. } => "take smaller chunks, for instance --chunk 65536",
            _ => "join again by the same command",
        };
        Self::new("cannot send", error, cure)
    }

    pub(crate) fn evicted(url: &Url, cause: EvictCause) -> Self {
        let why = match cause {
            EvictCause::Replaced => "another host took this host's id",
            EvictCause::GroupClosed => "the group was closed",
            EvictCause::OtherDelivery { .. } => "the group promises something else than it said",
            _ => "the bootstrap service ended the membership",
        };
        let with = match cause {
            EvictCause::OtherDelivery { has } => format!(" --delivery {has}"),
            _ => String::new(),
        };
        let cure = format!("join again with: quilt join {url}{with}");
        Self::new(format!("put out of {url}"), why, cure)
    }

    pub(crate) fn nothing_complete(url: &Url) -> Self {
        let cure = format!("join again with: quilt join {url} --output FILE");
        Self::new(format!("left {url}"), "stopped before a transfer was whole", cure)
    }

    /// There is no picture of the group.
    pub(crate) fn not_surveyed(file: &Path) -> Self {
        let why = "the bootstrap service did not say what the group is like";
        let what = format!("{} was not drawn", file.display());
        Self::new(what, why, "see that it runs, and join again")
    }

    /// The picture is not to be drawn over another file.
    pub(crate) fn same_file(file: &Path, why: &str) -> Self {
        Self::new(format!("cannot draw to {}", file.display()), why, "give --graph another file")
    }

    pub(crate) fn interrupted() -> Self {
        Self::new("nothing was sent to its end", "stopped by a signal", "run the command again")
    }

    pub(crate) fn child(name: &str, why: impl fmt::Display) -> Self {
        let cure = "run the demo again, with fewer --hosts if this host is short of memory";
        Self::new(format!("{name} ended early"), why, cure)
    }

    pub(crate) fn demo_timeout(doing: &str, seconds: u64, who: &str) -> Self {
        let cure = format!("give it more time with --timeout {}", seconds.saturating_mul(2));
        Self::new(format!("{doing} after {seconds} s"), format!("still waiting for {who}"), cure)
    }

    pub(crate) fn demo_digest(who: &str) -> Self {
        let cure = "keep the files with --keep and compare them";
        Self::new("the received files differ from the one sent", who, cure)
    }
}

/// What went wrong, but does not end the program.
impl From<Failure> for Line {
    fn from(failure: Failure) -> Self {
        let Failure { what, why, cure } = failure;
        Self::Degraded { trouble: format!("{what}: {why}"), cure }
    }
}

fn reject_cure(url: &Url, cause: &RejectCause) -> String {
    match cause {
        RejectCause::BootstrapSilent { at } => {
            format!("start it with: quilt bootstrap --listen {at}")
        }
        RejectCause::UnknownGroup => format!(
            "start a receiver first with: quilt join {url}, or allow the name with: \
             quilt bootstrap --group {}",
            url.group()
        ),
        RejectCause::TagTaken => "run the command again, which draws another id".into(),
        RejectCause::NoProtocol => {
            "allow one of this host's protocols in the policy, or offer more with --protocols"
                .into()
        }
        RejectCause::Full => "wait until others have left".into(),
        RejectCause::OtherDelivery { has } => {
            format!("say --delivery {has} or leave it out, or take another group")
        }
        RejectCause::ForeignVersion { version } if *version > wire::VERSION => {
            "upgrade this program".into()
        }
        RejectCause::ForeignVersion { .. } => "upgrade the bootstrap service".into(),
        _ => "try again later".into(),
    }
}

/// What the system says, without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string().to_lowercase();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.into(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quilt_tokio::Delivery;
    use quilt_tokio::proto::policy::PolicyFault;

    fn url() -> Url {
        "quilt://127.0.0.1:7400/tea".parse().unwrap()
    }

    fn rejected(cause: RejectCause) -> String {
        Failure::join(&url(), &JoinError::Rejected(cause)).to_string()
    }

    #[test]
    fn every_failure_is_one_line_of_what_why_and_cure() {
        let at = SocketAddr::from(([127, 0, 0, 1], 7400));
        let policy = PolicyError { line: 3, fault: PolicyFault::EmptyOrder };
        let taken = BindError { address: at, source: ErrorKind::AddrInUse.into() };
        for (failure, text) in [
            (
                Failure::bad_url("tea", &UrlError::Scheme).to_string(),
                "\"tea\" is not the URL of a group: it does not begin with quilt://; write it as \
                 quilt://HOST:PORT/GROUP, for instance quilt://127.0.0.1:7400/tea",
            ),
            (
                Failure::bind(&taken).to_string(),
                "cannot listen on 127.0.0.1:7400: the address is taken; end the program that has \
                 it, or take a free port with --listen 127.0.0.1:0",
            ),
            (
                Failure::unknown_interface(&UnknownInterface {
                    name: "eth7".into(),
                    known: vec![("lo".into(), at.ip()), ("eth0".into(), [10, 0, 0, 2].into())],
                })
                .to_string(),
                "cannot use this interface: no interface is called \"eth7\"; there are lo \
                 (127.0.0.1), eth0 (10.0.0.2); choose one, as in --bind eth0",
            ),
            (
                rejected(RejectCause::BootstrapSilent { at }),
                "cannot join quilt://127.0.0.1:7400/tea: the bootstrap service at 127.0.0.1:7400 \
                 does not answer; start it with: quilt bootstrap --listen 127.0.0.1:7400",
            ),
            (
                rejected(RejectCause::UnknownGroup),
                "cannot join quilt://127.0.0.1:7400/tea: the bootstrap service has no such group; \
                 start a receiver first with: quilt join quilt://127.0.0.1:7400/tea, or allow the \
                 name with: quilt bootstrap --group tea",
            ),
            (
                rejected(RejectCause::OtherDelivery { has: Delivery::Ordered }),
                "cannot join quilt://127.0.0.1:7400/tea: the group is ordered, as its first host \
                 settled, and not as wished here; say --delivery ordered or leave it out, or take \
                 another group",
            ),
            (
                rejected(RejectCause::ForeignVersion { version: 9 }),
                "cannot join quilt://127.0.0.1:7400/tea: the bootstrap service speaks version 9 \
                 of the wire format, this host version 1; upgrade this program",
            ),
            (
                Failure::publish(PublishError::TooLarge { len: 9, max: 8 }).to_string(),
                "cannot send: the message has 9 bytes, 8 are allowed; send it in pieces; take \
                 smaller chunks, for instance --chunk 65536",
            ),
            (
                Failure::read(Path::new("f"), &io::Error::from_raw_os_error(2)).to_string(),
                "cannot read f: no such file or directory; check the path",
            ),
            (
                Failure::write(Path::new("d/f"), &io::Error::from_raw_os_error(13)).to_string(),
                "cannot write d/f: permission denied; give this user the right to write there",
            ),
            (
                Failure::bad_policy(Path::new("p"), &policy).to_string(),
                "the policy p is wrong in line 3: no protocol is named, so nothing could run; \
                 write `order PROTOCOL...`; quilt bootstrap --help shows the format",
            ),
        ] {
            assert_eq!(failure, text);
            assert!(!failure.contains('\n'));
        }
    }
}
