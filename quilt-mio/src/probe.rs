//! A probe, until somebody answers it.

use crate::slots::Readiness;
use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use quilt_proto::euid::Transport;
use quilt_proto::{Event, LinkError, LinkId, Machine, Time};
use quilt_sockets::link_error;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

/// A probe under way.
#[derive(Debug)]
pub(crate) struct Probe(quilt_sockets::Probe);

impl Probe {
    pub(crate) fn send(by: Transport, to: SocketAddr, ttl: u8, from: IpAddr) -> io::Result<Self> {
        quilt_sockets::Probe::send(by, to, ttl, from).map(Self)
    }

    /// Hands in the answer, if there is one.
    pub(crate) fn serve(
        &mut self,
        ready: &mut Readiness,
        (link, machine, now): (LinkId, &mut impl Machine, Time),
    ) -> Result<(), LinkError> {
        (ready.readable, ready.asked) = (false, false);
        match self.0.read() {
            Ok(quilt_sockets::Answer { at, is_end }) => {
                machine.handle(now, Event::Hop { link, at, is_end });
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(link_error(&error)),
        }
    }
}

impl Source for Probe {
    fn register(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).register(to, token, interest)
    }

    fn reregister(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).reregister(to, token, interest)
    }

    fn deregister(&mut self, from: &Registry) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).deregister(from)
    }
}
