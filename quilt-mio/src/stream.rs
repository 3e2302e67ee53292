//! TCP streams.

use crate::slots::Readiness;
use mio::event::Source;
use mio::net::TcpStream;
use quilt_proto::{Event, LinkError, LinkId, Machine, Time};
use quilt_sockets::{Calls, SockRef, StreamReader, StreamWriter, connected, link_error, tune};
use std::io::{self, ErrorKind};

/// Packets written at once.
const PACKETS_PER_TURN: usize = 16;

/// A stream that is open or being dialled.
#[derive(Debug)]
pub(crate) struct Stream {
    stream: TcpStream,
    open: bool,
    reader: StreamReader,
    writer: StreamWriter,
}

impl Stream {
    /// A stream that is being dialled.
    pub(crate) fn dialling(stream: std::net::TcpStream) -> Self {
        Self::new(TcpStream::from_std(stream), false)
    }

    /// A stream that somebody opened to this host.
    pub(crate) fn accepted(stream: TcpStream) -> Self {
        Self::new(stream, true)
    }

    fn new(stream: TcpStream, open: bool) -> Self {
        tune(&SockRef::from(&stream));
        Self { stream, open, reader: StreamReader::default(), writer: StreamWriter::default() }
    }

    pub(crate) fn source(&mut self) -> &mut dyn Source {
        &mut self.stream
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// One read and some writes, as far as the socket is ready; the cause if the stream is over.
    pub(crate) fn serve(
        &mut self,
        ready: &mut Readiness,
        (link, machine, now): (LinkId, &mut impl Machine, Time),
        calls: &Calls,
    ) -> Result<(), LinkError> {
        let socket = SockRef::from(&self.stream);
        if !self.open {
            self.open = connected(&socket).map_err(|error| link_error(&error))?;
            *ready = Readiness { readable: self.open, writable: self.open, asked: ready.asked };
            if self.open {
                machine.handle(now, Event::Opened { link });
            }
            return Ok(());
        }
        if ready.readable {
            match self.stream.try_io(|| self.reader.read(&socket, calls)) {
                Ok(bytes) if bytes.is_empty() => return Err(LinkError::Ended),
                Ok(bytes) => machine.handle(now, Event::Received { link, bytes: bytes.into() }),
                Err(error) => ready.readable = goes_on(&error)?,
            }
        }
        for _ in 0..PACKETS_PER_TURN {
            if !ready.writable || !ready.asked {
                break;
            }
            ready.asked = self.writer.fill(|| machine.poll_transmit(link));
            if let Err(error) = self.stream.try_io(|| self.writer.flush(&socket, calls)) {
                ready.writable = goes_on(&error)?;
            }
        }
        Ok(())
    }
}

/// Whether to try again without an event: no. The cause if the stream is over.
fn goes_on(error: &io::Error) -> Result<bool, LinkError> {
    match error.kind() {
        ErrorKind::WouldBlock => Ok(false),
        _ => Err(link_error(error)),
    }
}
