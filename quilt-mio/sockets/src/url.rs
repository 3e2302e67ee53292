//! How a group is named for people: `quilt://HOST:PORT/GROUP`.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// Where a group's bootstrap service is, and how the group is called: `quilt://HOST:PORT/GROUP`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    host: String,
    port: u16,
    group: String,
}

impl Url {
    /// The group called `group` at the bootstrap service that listens on `bootstrap`.
    ///
    /// # Errors
    /// The name cannot stand in a URL; see [`UrlError`].
    pub fn new(bootstrap: SocketAddr, group: &str) -> Result<Self, UrlError> {
        format!("quilt://{bootstrap}/{group}").parse()
    }

    /// The group's name, 1 to 255 bytes.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The address of the bootstrap service. Of several, the first IPv4 one. Waits for the system's
    /// resolver, unless the host is an address.
    ///
    /// # Errors
    /// The host's name cannot be resolved.
    pub fn resolve(&self) -> io::Result<SocketAddr> {
        let addresses: Vec<_> = (self.host.as_str(), self.port).to_socket_addrs()?.collect();
        let preferred = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
        preferred.copied().ok_or_else(|| io::Error::other("the name has no address"))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, group } = self;
        match host.contains(':') {
            true => write!(f, "quilt://[{host}]:{port}/{group}"),
            false => write!(f, "quilt://{host}:{port}/{group}"),
        }
    }
}

/// Why a text is not the URL of a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It does not begin with `quilt://`.
    #[error("it does not begin with quilt://")]
    Scheme,
    /// It names no host.
    #[error("it names no host")]
    Host,
    /// It names no port, or something that is none; 1 to 65,535.
    #[error("the host must be followed by a colon and a port from 1 to 65535")]
    Port,
    /// It names no group, or one of more than 255 bytes.
    #[error("the port must be followed by a slash and the group's name of 1 to 255 bytes")]
    Group,
    /// The group's name has a character that is reserved: `/`, `?`, `#`, a space or a control.
    #[error("the group's name must not contain {0:?}")]
    Character(char),
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let rest = text.strip_prefix("quilt://").ok_or(UrlError::Scheme)?;
        let (authority, group) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = authority.rsplit_once(':').ok_or(match authority {
            "" => UrlError::Host,
            _ => UrlError::Port,
        })?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return Err(UrlError::Host);
        }
        let port = port.parse().ok().filter(|&port| port > 0).ok_or(UrlError::Port)?;
        if group.is_empty() || group.len() > 255 {
            return Err(UrlError::Group);
        }
        let reserved =
            |c: char| matches!(c, '/' | '?' | '#') || c.is_whitespace() || c.is_control();
        match group.chars().find(|&c| reserved(c)) {
            Some(c) => Err(UrlError::Character(c)),
            None => Ok(Self { host: host.into(), port, group: group.into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_reads_back_as_it_was_written() {
        for text in
            ["quilt://127.0.0.1:7400/tea", "quilt://[::1]:1/ü", "quilt://host.example:65535/a.b"]
        {
            assert_eq!(text.parse::<Url>().map(|url| url.to_string()), Ok(text.into()));
        }
    }

    #[test]
    fn each_part_that_is_wrong_is_named() {
        for (text, error) in [
            ("http://a:1/g", UrlError::Scheme),
            ("quilt://", UrlError::Host),
            ("quilt://:1/g", UrlError::Host),
            ("quilt://a/g", UrlError::Port),
            ("quilt://a:0/g", UrlError::Port),
            ("quilt://a:65536/g", UrlError::Port),
            ("quilt://a:1", UrlError::Group),
            ("quilt://a:1/", UrlError::Group),
            ("quilt://a:1/b c", UrlError::Character(' ')),
            ("quilt://a:1/b/c", UrlError::Character('/')),
            ("quilt://a:1/b#key", UrlError::Character('#')),
        ] {
            assert_eq!(text.parse::<Url>(), Err(error), "{text}");
        }
        assert_eq!(format!("quilt://a:1/{}", "x".repeat(256)).parse::<Url>(), Err(UrlError::Group));
    }

    #[test]
    fn an_address_resolves_to_itself() {
        let url = Url::new(([127, 0, 0, 1], 7400).into(), "tea").unwrap();
        assert_eq!(url.resolve().unwrap(), ([127, 0, 0, 1], 7400).into());
    }
}
