//! TCP streams: one task each, which reads and writes.

use crate::buffers::{CHUNK_BYTES, MAX_SLICES, fill};
use crate::driver::Driver;
use crate::error::link_error;
use bytes::BytesMut;
use quilt_proto::{Event, LinkError, LinkId, Machine, Transmit};
use std::io::{self, ErrorKind, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;

/// Less room than this in a chunk, and a new one is taken.
const SPARE_BYTES: usize = 8 << 10;
/// What may wait in the kernel ahead of control frames.
#[cfg(target_os = "linux")]
const NOTSENT_LOWAT_BYTES: u32 = 16 << 10;

/// Opens a stream and serves it to its end.
pub(crate) async fn dial<M: Machine + Send + 'static>(
    driver: Arc<Driver<M>>,
    link: LinkId,
    to: SocketAddr,
    from: Option<IpAddr>,
    look: Arc<Notify>,
) {
    match connect(to, from).await {
        Ok(stream) if driver.on_link(link, Event::Opened { link }) => {
            serve(driver, link, stream, look).await;
        }
        Ok(_) => {}
        Err(error) => driver.on_closed(link, link_error(&error)),
    }
}

/// Serves an open stream to its end.
pub(crate) async fn serve<M: Machine + Send + 'static>(
    driver: Arc<Driver<M>>,
    link: LinkId,
    stream: TcpStream,
    look: Arc<Notify>,
) {
    tune(&stream);
    let end = tokio::select! {
        end = read(&driver, link, &stream) => end,
        end = write(&driver, link, &stream, &look) => end,
    };
    let cause = match end {
        Ok(()) => LinkError::Ended,
        Err(error) => link_error(&error),
    };
    driver.on_closed(link, cause);
}

async fn connect(to: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    socket.connect(to).await
}

/// Options that make a stream faster; it works without them too.
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(NOTSENT_LOWAT_BYTES);
}

/// Hands in what comes, until the other side ends the stream or this one closes it.
async fn read<M: Machine + Send + 'static>(
    driver: &Arc<Driver<M>>,
    link: LinkId,
    stream: &TcpStream,
) -> io::Result<()> {
    let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
    loop {
        if chunk.capacity() < SPARE_BYTES {
            chunk.reserve(CHUNK_BYTES);
        }
        stream.readable().await?;
        match stream.try_read_buf(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(_) => {
                let bytes = chunk.split().freeze();
                if !driver.on_link(link, Event::Received { link, bytes }) {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        consume_budget().await;
    }
}

/// Writes what the machine has to say, whenever it asks for a look. A packet is pulled only when
/// the one before it was written whole and the socket can take more.
async fn write<M: Machine + Send + 'static>(
    driver: &Arc<Driver<M>>,
    link: LinkId,
    stream: &TcpStream,
    look: &Notify,
) -> io::Result<()> {
    loop {
        look.notified().await;
        loop {
            stream.writable().await?;
            let Some(transmit) = driver.transmit(link) else { break };
            write_whole(stream, &transmit).await?;
            consume_budget().await;
        }
    }
}

async fn write_whole(stream: &TcpStream, transmit: &Transmit) -> io::Result<()> {
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let mut rest = fill(&mut slices, transmit);
    while !rest.is_empty() {
        match stream.try_write_vectored(rest) {
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
