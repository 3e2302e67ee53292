//! Datagrams: what one socket takes in and sends.

use crate::driver::Driver;
use bytes::Bytes;
use quilt_proto::{Event, LinkId, Machine};
use quilt_sockets::{DatagramReader, DatagramWriter, SockRef, datagrams};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;

/// A datagram socket that is ready to be served.
pub(crate) struct Datagrams {
    socket: UdpSocket,
    reader: DatagramReader,
    writer: DatagramWriter,
}

impl Datagrams {
    pub(crate) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        let (reader, writer) = datagrams(&SockRef::from(&socket))?;
        Ok(Self { socket: UdpSocket::from_std(socket)?, reader, writer })
    }

    /// Serves the socket, for ever; what has no address goes to `group`.
    pub(crate) async fn serve<M: Machine + Send + 'static>(
        self,
        driver: Arc<Driver<M>>,
        link: LinkId,
        group: Option<SocketAddr>,
        look: Arc<Notify>,
    ) {
        tokio::join!(
            receive(&driver, link, &self.socket, self.reader),
            send(&driver, link, &self.socket, self.writer, group, &look),
        );
    }
}

/// Hands in what comes.
async fn receive<M: Machine + Send + 'static>(
    driver: &Arc<Driver<M>>,
    link: LinkId,
    socket: &UdpSocket,
    mut reader: DatagramReader,
) {
    let mut events = Vec::new();
    loop {
        let read = || {
            let each = |from, bytes: Bytes| {
                events.push(Event::Datagram { link, from, bytes: bytes.into() });
            };
            reader.read(&SockRef::from(socket), driver.calls(), each)
        };
        // An error is word of an earlier datagram that did not arrive; the socket goes on.
        let read = socket.async_io(Interest::READABLE, read).await;
        let datagrams = reader.take_overruns();
        if datagrams > 0 {
            events.push(Event::Overrun { link, datagrams });
        }
        if read.is_ok() || !events.is_empty() {
            driver.on_link(link, events.drain(..));
        }
        consume_budget().await;
    }
}

/// Sends what the machine has to say, whenever it asks for a look.
async fn send<M: Machine + Send + 'static>(
    driver: &Arc<Driver<M>>,
    link: LinkId,
    socket: &UdpSocket,
    mut writer: DatagramWriter,
    group: Option<SocketAddr>,
    look: &Notify,
) {
    loop {
        look.notified().await;
        loop {
            driver.pull(link, |pull| writer.fill(group, driver.calls(), pull));
            if writer.is_empty() {
                break;
            }
            let flush = || writer.flush(&SockRef::from(socket), driver.calls());
            let _ = socket.async_io(Interest::WRITABLE, flush).await;
            consume_budget().await;
        }
    }
}
