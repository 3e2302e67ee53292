//! TCP streams: one task each, which reads and writes.

use crate::driver::Driver;
use quilt_proto::{Event, LinkError, LinkId, Machine};
use quilt_sockets::{SockRef, StreamReader, StreamWriter, connected, link_error, tune};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;

/// Opens a stream and serves it to its end.
pub(crate) async fn dial<M: Machine + Send + 'static>(
    driver: Arc<Driver<M>>,
    link: LinkId,
    to: SocketAddr,
    from: Option<IpAddr>,
    look: Arc<Notify>,
) {
    match connect(to, from).await {
        Ok(stream) if driver.on_link(link, [Event::Opened { link }]) => {
            serve(driver, link, stream, look).await;
        }
        Ok(_) => {}
        Err(error) => driver.on_closed(link, link_error(&error)),
    }
}

async fn connect(to: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let stream = TcpStream::from_std(quilt_sockets::dial(to, from)?)?;
    let is_open = || match connected(&SockRef::from(&stream))? {
        true => Ok(()),
        false => Err(io::ErrorKind::WouldBlock.into()),
    };
    stream.async_io(Interest::WRITABLE, is_open).await?;
    Ok(stream)
}

/// Serves an open stream to its end.
pub(crate) async fn serve<M: Machine + Send + 'static>(
    driver: Arc<Driver<M>>,
    link: LinkId,
    stream: TcpStream,
    look: Arc<Notify>,
) {
    tune(&SockRef::from(&stream));
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

/// Hands in what comes, until the other side ends the stream or this one closes it.
async fn read<M: Machine + Send + 'static>(
    driver: &Arc<Driver<M>>,
    link: LinkId,
    stream: &TcpStream,
) -> io::Result<()> {
    let mut reader = StreamReader::default();
    loop {
        let read = || reader.read(&SockRef::from(stream), driver.calls());
        let bytes = stream.async_io(Interest::READABLE, read).await?;
        if bytes.is_empty()
            || !driver.on_link(link, [Event::Received { link, bytes: bytes.into() }])
        {
            return Ok(());
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
    let mut writer = StreamWriter::default();
    loop {
        look.notified().await;
        loop {
            stream.writable().await?;
            if !driver.pull(link, |pull| writer.fill(pull)) {
                break;
            }
            let flush = || writer.flush(&SockRef::from(stream), driver.calls());
            stream.async_io(Interest::WRITABLE, flush).await?;
            consume_budget().await;
        }
    }
}
