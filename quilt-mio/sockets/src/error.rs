//! What can go wrong outside a machine.

use crate::Url;
use quilt_proto::{LinkError, RejectCause};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", link_error(source))]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

impl BindError {
    /// What the system says, in the words of the core.
    pub fn cause(&self) -> LinkError {
        link_error(&self.source)
    }
}

/// Why a group was not joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The host in the URL has no address.
    #[error("cannot resolve the host of {url}: {source}")]
    Resolve {
        /// The URL.
        url: Url,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The host's own address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system's event loop failed.
    #[error("the system's event loop failed: {0}")]
    Loop(io::Error),
    /// The node refused at once.
    #[error(transparent)]
    Refused(#[from] quilt_proto::JoinError),
    /// The group did not take the host in.
    #[error("{0}")]
    Rejected(RejectCause),
}

/// What a system error means to a machine.
pub fn link_error(error: &io::Error) -> LinkError {
    match error.kind() {
        ErrorKind::ConnectionRefused => return LinkError::Refused,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected => return LinkError::Reset,
        ErrorKind::TimedOut => return LinkError::TimedOut,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            return LinkError::Unreachable;
        }
        ErrorKind::AddrNotAvailable => return LinkError::NoSuchInterface,
        ErrorKind::PermissionDenied => return LinkError::NotPermitted,
        ErrorKind::AddrInUse => return LinkError::AddressInUse,
        ErrorKind::OutOfMemory => return LinkError::NoRoom,
        _ => {}
    }
    match error.raw_os_error() {
        #[cfg(unix)]
        Some(libc::ENODEV) => LinkError::NoSuchInterface,
        #[cfg(unix)]
        Some(libc::ENFILE | libc::EMFILE | libc::ENOBUFS) => LinkError::NoRoom,
        code => LinkError::Other(code.unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn system_errors_have_the_core_s_names_where_it_has_one() {
        let of = |code| link_error(&io::Error::from_raw_os_error(code));
        assert_eq!(of(111), LinkError::Refused);
        assert_eq!(of(98), LinkError::AddressInUse);
        assert_eq!(of(101), LinkError::Unreachable);
        assert_eq!(of(24), LinkError::NoRoom);
        assert_eq!(of(19), LinkError::NoSuchInterface);
        assert_eq!(of(99), LinkError::NoSuchInterface);
        assert_eq!(of(71), LinkError::Other(71));
        assert_eq!(link_error(&io::Error::other("x")), LinkError::Other(0));
    }
}
