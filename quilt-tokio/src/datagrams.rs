//! Datagrams: what one socket takes in and sends.

use crate::buffers::{CHUNK_BYTES, MAX_SLICES, fill};
use crate::driver::Driver;
use bytes::BytesMut;
use quilt_proto::{Event, LinkId, Machine, Transmit};
use socket2::SockRef;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;

/// Less room than this in a chunk, and a new one is taken. A datagram that is longer is cut, and
/// refused by the machine for its length.
const SPARE_BYTES: usize = 2 << 10;

/// Hands in what comes on a datagram socket, for ever.
pub(crate) async fn receive<M: Machine + Send + 'static>(
    driver: Arc<Driver<M>>,
    link: LinkId,
    socket: Arc<UdpSocket>,
) {
    let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
    loop {
        if chunk.capacity() < SPARE_BYTES {
            chunk.reserve(CHUNK_BYTES);
        }
        // An error is word of an earlier datagram that did not arrive; the socket goes on.
        if let Ok((_, from)) = socket.recv_buf_from(&mut chunk).await {
            let bytes = chunk.split().freeze();
            driver.on_link(link, Event::Datagram { link, from, bytes });
        }
        consume_budget().await;
    }
}

/// Sends what the machine has for a datagram socket, for ever; to `group` on a multicast one.
pub(crate) async fn send<M: Machine + Send + 'static>(
    driver: Arc<Driver<M>>,
    link: LinkId,
    socket: Arc<UdpSocket>,
    group: Option<SocketAddr>,
    look: Arc<Notify>,
) {
    loop {
        look.notified().await;
        loop {
            let _ = socket.writable().await;
            let Some(transmit) = driver.transmit(link) else { break };
            if let Some(to) = transmit.to.or(group) {
                send_whole(&socket, to, &transmit).await;
            }
            consume_budget().await;
        }
    }
}

/// Sends one datagram. Whatever the system has against it, it is lost like any other.
async fn send_whole(socket: &UdpSocket, to: SocketAddr, transmit: &Transmit) {
    while let Err(error) = try_send(socket, to, transmit) {
        if error.kind() != ErrorKind::WouldBlock || socket.writable().await.is_err() {
            return;
        }
    }
}

/// Sends one datagram if the socket takes it at once.
pub(crate) fn try_send(socket: &UdpSocket, to: SocketAddr, transmit: &Transmit) -> io::Result<()> {
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let slices = fill(&mut slices, transmit);
    let send = || SockRef::from(socket).send_to_vectored(slices, &to.into());
    socket.try_io(Interest::WRITABLE, send).map(drop)
}
