//! Datagrams: what one socket takes in and sends.

use crate::slots::Readiness;
use bytes::Bytes;
use mio::event::Source;
use mio::net::UdpSocket;
use quilt_proto::{Event, LinkId, Machine, Time};
use quilt_sockets::{Calls, DatagramReader, DatagramWriter, SockRef, datagrams};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

/// A datagram socket.
#[derive(Debug)]
pub(crate) struct Datagrams {
    socket: UdpSocket,
    /// Where a packet without an address goes.
    group: Option<SocketAddr>,
    reader: DatagramReader,
    writer: DatagramWriter,
}

impl Datagrams {
    pub(crate) fn new(socket: std::net::UdpSocket, group: Option<SocketAddr>) -> io::Result<Self> {
        let (reader, writer) = datagrams(&SockRef::from(&socket))?;
        Ok(Self { socket: UdpSocket::from_std(socket), group, reader, writer })
    }

    pub(crate) fn source(&mut self) -> &mut dyn Source {
        &mut self.socket
    }

    /// One call to receive and one batch to send, as far as the socket is ready.
    pub(crate) fn serve(
        &mut self,
        ready: &mut Readiness,
        (link, machine, now): (LinkId, &mut impl Machine, Time),
        calls: &Calls,
    ) {
        let socket = SockRef::from(&self.socket);
        if ready.readable {
            let each = |from, bytes: Bytes| {
                machine.handle(now, Event::Datagram { link, from, bytes: bytes.into() });
            };
            let read = self.socket.try_io(|| self.reader.read(&socket, calls, each));
            // Another error is word of an earlier datagram that did not arrive.
            ready.readable = !is_blocked(read);
            let datagrams = self.reader.take_overruns();
            if datagrams > 0 {
                machine.handle(now, Event::Overrun { link, datagrams });
            }
        }
        if ready.writable && ready.asked {
            self.writer.fill(self.group, calls, || machine.poll_transmit(link));
            ready.asked = !self.writer.is_empty();
            ready.writable = !is_blocked(self.socket.try_io(|| self.writer.flush(&socket, calls)));
        }
    }
}

fn is_blocked(result: io::Result<()>) -> bool {
    result.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}
