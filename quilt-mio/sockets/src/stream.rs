//! TCP streams.

use crate::Calls;
use bytes::{Bytes, BytesMut};
use quilt_proto::Transmit;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

/// The piece of memory that received bytes share.
const CHUNK_BYTES: usize = 64 << 10;
/// Less room than this in a chunk, and a new one is taken.
const SPARE_BYTES: usize = 8 << 10;
/// The most slices that one call writes: all of a [`Transmit`] that the core makes.
const MAX_SLICES: usize = 33;
/// What may wait in the kernel ahead of control frames.
#[cfg(target_os = "linux")]
const NOTSENT_LOWAT_BYTES: u32 = 16 << 10;

/// Begins to dial `to`, from the local address `from` if there is one. The non-blocking stream is
/// writable once [`connected`] can tell what came of it.
///
/// # Errors
/// It failed at once.
pub fn dial(to: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(from) = from {
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    match socket.connect(&to.into()) {
        Err(error) if !is_under_way(&error) => Err(error),
        _ => Ok(socket.into()),
    }
}

fn is_under_way(error: &io::Error) -> bool {
    #[cfg(unix)]
    let in_progress = error.raw_os_error() == Some(libc::EINPROGRESS);
    #[cfg(not(unix))]
    let in_progress = false;
    in_progress || error.kind() == io::ErrorKind::WouldBlock
}

/// What came of dialling, asked when the stream has become writable: whether it is open.
///
/// # Errors
/// It could not be opened.
pub fn connected(socket: &SockRef<'_>) -> io::Result<bool> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sets the options that make a stream faster; it works without them too.
pub fn tune(socket: &SockRef<'_>) {
    let _ = socket.set_tcp_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_notsent_lowat(NOTSENT_LOWAT_BYTES);
}

/// Reads one stream.
#[derive(Default)]
pub struct StreamReader {
    /// All of it is zero or was received; what is handed out is split off its front.
    chunk: BytesMut,
}

impl StreamReader {
    /// What one system call reads; empty at the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there, or the stream broke.
    pub fn read(&mut self, socket: &SockRef<'_>, calls: &Calls) -> io::Result<Bytes> {
        self.make_room();
        loop {
            calls.read();
            match (&**socket).read(&mut self.chunk) {
                Ok(len) => return Ok(self.chunk.split_to(len).freeze()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes a new chunk where little is left: the old one again if nobody holds a part of it.
    fn make_room(&mut self) {
        if self.chunk.len() < SPARE_BYTES {
            self.chunk.clear();
            match self.chunk.try_reclaim(CHUNK_BYTES) {
                true => self.chunk.resize(CHUNK_BYTES, 0),
                false => self.chunk = BytesMut::zeroed(CHUNK_BYTES),
            }
        }
    }
}

/// Not the memory: it is 64 KiB.
impl fmt::Debug for StreamReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamReader").finish_non_exhaustive()
    }
}

/// Writes one stream. It holds at most one packet, of which the socket took a part or nothing.
#[derive(Debug, Default)]
pub struct StreamWriter {
    partly: Option<(Transmit, usize)>,
}

impl StreamWriter {
    /// Takes the next packet from `pull` if none is partly written; false if there is none.
    pub fn fill(&mut self, pull: impl FnOnce() -> Option<Transmit>) -> bool {
        if self.partly.is_none() {
            self.partly = pull().map(|transmit| (transmit, 0));
        }
        self.partly.is_some()
    }

    /// Writes the packet with as few system calls as the socket allows.
    ///
    /// # Errors
    /// `WouldBlock` if the socket takes no more; the rest goes on waiting. Or the stream broke.
    pub fn flush(&mut self, socket: &SockRef<'_>, calls: &Calls) -> io::Result<()> {
        while let Some((transmit, written)) = &mut self.partly {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = rest(transmit, *written, &mut slices);
            let result = (&**socket).write_vectored(&slices[..count]);
            *written += result.as_ref().unwrap_or(&0);
            let whole = *written >= transmit.len();
            calls.written(usize::from(whole));
            if whole {
                self.partly = None;
            }
            match result {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Puts what follows the first `skip` bytes of `transmit` into `slices`, as far as it has room;
/// how many there are.
fn rest<'a>(transmit: &'a Transmit, mut skip: usize, slices: &mut [IoSlice<'a>]) -> usize {
    let unwritten = transmit.slices().filter_map(|slice| {
        let behind = slice.get(skip..).filter(|rest| !rest.is_empty());
        skip = skip.saturating_sub(slice.len());
        behind
    });
    let mut count = 0;
    for (to, from) in slices.iter_mut().zip(unwritten) {
        *to = IoSlice::new(from);
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use quilt_proto::LinkError;
    use std::net::TcpListener;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = dial(listener.local_addr().unwrap(), None).unwrap();
        let (there, _) = listener.accept().unwrap();
        (here, there)
    }

    /// A packet whose bytes count up from 0, head and payload in turn.
    fn packet(len: usize, pieces: usize) -> (Transmit, Vec<u8>) {
        let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let mut transmit = Transmit::new(None);
        for (number, piece) in bytes.chunks(len.div_ceil(pieces)).enumerate() {
            match number % 2 {
                0 => transmit.push_head(piece),
                _ => transmit.push_payload(Bytes::copy_from_slice(piece)),
            }
        }
        (transmit, bytes)
    }

    #[test]
    fn a_packet_of_more_slices_than_one_call_takes_is_written_whole() {
        let (here, there) = pair();
        let calls = Calls::default();
        let (transmit, bytes) = packet(5_000, 50);
        let mut writer = StreamWriter::default();
        assert!(writer.fill(|| Some(transmit)));
        writer.flush(&SockRef::from(&here), &calls).unwrap();
        let mut received = vec![0; bytes.len()];
        (&there).read_exact(&mut received).unwrap();
        assert_eq!(received, bytes);
        assert_eq!((calls.snapshot().write, calls.snapshot().packets_written), (2, 1));
    }

    #[test]
    fn a_full_socket_leaves_one_packet_partly_written_and_goes_on_where_it_stopped() {
        let (here, there) = pair();
        let (here, calls) = (SockRef::from(&here), Calls::default());
        tune(&here);
        let mut writer = StreamWriter::default();
        let mut sent = Vec::new();
        let blocked = loop {
            let (transmit, bytes) = packet(16_001, 3);
            assert!(writer.fill(|| Some(transmit)));
            sent.extend(bytes);
            if let Err(error) = writer.flush(&here, &calls) {
                break error.kind();
            }
        };
        assert_eq!(blocked, io::ErrorKind::WouldBlock);
        assert!(writer.fill(|| panic!("a packet is pulled while another is under way")));
        let (mut reader, mut received) = (StreamReader::default(), Vec::new());
        while received.len() < sent.len() {
            received.extend(reader.read(&SockRef::from(&there), &calls).unwrap());
            let _ = writer.flush(&here, &calls);
        }
        assert!(received == sent);
        assert!(!writer.fill(|| None));
    }

    #[test]
    fn the_end_of_a_stream_reads_as_nothing() {
        let (here, there) = pair();
        let (mut reader, calls) = (StreamReader::default(), Calls::default());
        let would_block = reader.read(&SockRef::from(&here), &calls).unwrap_err();
        assert_eq!(would_block.kind(), io::ErrorKind::WouldBlock);
        (&there).write_all(b"tea").unwrap();
        drop(there);
        let mut read = || loop {
            match reader.read(&SockRef::from(&here), &calls) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => break other.unwrap(),
            }
        };
        assert_eq!([read(), read()], [&b"tea"[..], b""]);
        assert!(format!("{reader:?}").len() < 100, "its memory is printed");
    }

    #[test]
    fn what_came_of_dialling_is_told() {
        let (here, _there) = pair();
        assert!(connected(&SockRef::from(&here)).unwrap());
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let refused = dial(nobody, Some(IpAddr::from([127, 0, 0, 1]))).and_then(|stream| {
            loop {
                match connected(&SockRef::from(&stream)) {
                    Ok(false) => {}
                    other => break other,
                }
            }
        });
        assert_eq!(crate::link_error(&refused.unwrap_err()), LinkError::Refused);
        let elsewhere = dial(nobody, Some(IpAddr::from([203, 0, 113, 9]))).unwrap_err();
        assert_eq!(crate::link_error(&elsewhere), LinkError::NoSuchInterface);
    }
}
