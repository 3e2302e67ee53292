//! Datagrams, many with one system call where the system can.

use crate::Calls;
use crate::overruns::Overruns;
use bytes::{Bytes, BytesMut};
use quilt_proto::Transmit;
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use socket2::SockRef;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;

/// Receives so many datagrams with one call, or so many runs of them where the system joins
/// datagrams of one sender.
const SLOTS: usize = 8;
/// The longest datagram, and the longest run of datagrams.
const SLOT_BYTES: usize = u16::MAX as usize;
/// The piece of memory that received datagrams share.
const CHUNK_BYTES: usize = 64 << 10;

/// Prepares a datagram socket, which becomes non-blocking, and is told never to fragment.
///
/// # Errors
/// The system refuses one of the socket's options.
pub fn datagrams(socket: &SockRef<'_>) -> io::Result<(DatagramReader, DatagramWriter)> {
    let state = Arc::new(UdpSocketState::new(UdpSockRef::from(&**socket))?);
    let reader = DatagramReader {
        state: state.clone(),
        slots: vec![0; SLOTS * SLOT_BYTES].into_boxed_slice(),
        metas: [RecvMeta::default(); SLOTS],
        chunk: BytesMut::new(),
        overruns: Overruns::new(socket),
    };
    Ok((reader, DatagramWriter { state, bytes: Vec::new(), waiting: VecDeque::new() }))
}

/// Receives the datagrams of one socket.
pub struct DatagramReader {
    state: Arc<UdpSocketState>,
    slots: Box<[u8]>,
    metas: [RecvMeta; SLOTS],
    chunk: BytesMut,
    overruns: Overruns,
}

impl DatagramReader {
    /// Hands what one system call receives to `each`, with its sender.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there; any other error is word of an earlier datagram that did
    /// not arrive, and the socket goes on.
    pub fn read(
        &mut self,
        socket: &SockRef<'_>,
        calls: &Calls,
        mut each: impl FnMut(SocketAddr, Bytes),
    ) -> io::Result<()> {
        self.overruns.before_read(socket);
        let mut slots = self.slots.chunks_exact_mut(SLOT_BYTES);
        let mut slots: [IoSliceMut<'_>; SLOTS] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
        let received = self.state.recv(UdpSockRef::from(&**socket), &mut slots, &mut self.metas);
        let metas = &self.metas[..*received.as_ref().unwrap_or(&0)];
        calls.received(metas.iter().map(datagrams_of).sum());
        for (meta, slot) in metas.iter().zip(&slots) {
            // Out of the large slots into memory that is filled without gaps.
            if self.chunk.capacity() < meta.len {
                self.chunk.reserve(CHUNK_BYTES);
            }
            self.chunk.extend_from_slice(&slot[..meta.len]);
            let mut run = self.chunk.split().freeze();
            for _ in 0..datagrams_of(meta) {
                each(meta.addr, run.split_to(meta.stride.min(run.len())));
            }
        }
        received.map(drop)
    }

    /// How many datagrams the system dropped since the last call because nobody took them out of the
    /// socket in time, as far as it tells: Linux does, a little later.
    pub fn take_overruns(&mut self) -> u64 {
        self.overruns.take()
    }
}

/// Not the memory: it is half a megabyte.
impl fmt::Debug for DatagramReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramReader").field("state", &self.state).finish_non_exhaustive()
    }
}

/// How many datagrams a slot holds; an empty one is a datagram too.
fn datagrams_of(meta: &RecvMeta) -> usize {
    meta.len.div_ceil(meta.stride.max(1)).max(1)
}

/// The most datagrams that wait to be sent.
const MAX_WAITING: usize = 64;
/// The most bytes that one call sends: what a UDP datagram of IPv4 may have.
const MAX_RUN_BYTES: usize = 65_507;

/// Sends the datagrams of one socket. It holds those that the socket did not take.
pub struct DatagramWriter {
    state: Arc<UdpSocketState>,
    /// The bytes of all that wait, one datagram after the other.
    bytes: Vec<u8>,
    waiting: VecDeque<(SocketAddr, usize)>,
}

impl DatagramWriter {
    /// Takes packets from `pull`, as many as may wait here: 64, or 64 KiB and the last of them. One
    /// without an address is for `group`; one that has nowhere to go is counted as refused.
    pub fn fill(
        &mut self,
        group: Option<SocketAddr>,
        calls: &Calls,
        mut pull: impl FnMut() -> Option<Transmit>,
    ) {
        while self.waiting.len() < MAX_WAITING && self.bytes.len() < MAX_RUN_BYTES {
            let Some(transmit) = pull() else { break };
            // Port 0 makes the system refuse in a way that looks as if it could not send batches.
            match transmit.to.or(group).filter(|to| to.port() > 0) {
                Some(to) => {
                    transmit.slices().for_each(|slice| self.bytes.extend_from_slice(slice));
                    self.waiting.push_back((to, transmit.len()));
                }
                None => calls.nowhere(),
            }
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Sends what waits. Whatever the system has against a datagram, it is lost like any other.
    ///
    /// # Errors
    /// `WouldBlock` if the socket takes no more; the rest goes on waiting.
    pub fn flush(&mut self, socket: &SockRef<'_>, calls: &Calls) -> io::Result<()> {
        let mut sent = 0;
        let mut blocked = Ok(());
        while let Some((destination, stride, count)) = self.run() {
            let len = self.waiting.iter().take(count).map(|(_, len)| len).sum::<usize>();
            let contents = &self.bytes[sent..sent + len];
            let segment_size = (count > 1).then_some(stride);
            let transmit = quinn_udp::Transmit {
                destination,
                ecn: None,
                contents,
                segment_size,
                src_ip: None,
            };
            let result = self.state.try_send(UdpSockRef::from(&**socket), &transmit);
            match result {
                Ok(()) => calls.sent(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    calls.sent(0);
                    blocked = Err(error);
                    break;
                }
                // The device cannot cut the run: from now on runs have one datagram.
                Err(_) if self.state.max_gso_segments() < count => {
                    calls.sent(0);
                    continue;
                }
                Err(_) => calls.refused(count),
            }
            self.waiting.drain(..count);
            sent += len;
        }
        self.bytes.drain(..sent);
        blocked
    }

    /// The datagrams that may go with the next call, as address, length and number: to one
    /// address, all of one length, but for a shorter last one. Empty ones go alone.
    fn run(&self) -> Option<(SocketAddr, usize, usize)> {
        let &(to, stride) = self.waiting.front()?;
        let (mut count, mut bytes) = (1, stride);
        for &(address, len) in self.waiting.iter().take(self.state.max_gso_segments()).skip(1) {
            bytes += len;
            if address != to || len == 0 || len > stride || bytes > MAX_RUN_BYTES {
                break;
            }
            count += 1;
            if len < stride {
                break;
            }
        }
        Some((to, stride, count))
    }
}

/// Not the bytes that wait: they are up to 64 KiB.
impl fmt::Debug for DatagramWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, waiting, .. } = self;
        let mut writer = f.debug_struct("DatagramWriter");
        writer.field("state", state).field("waiting", waiting).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    struct End {
        socket: UdpSocket,
        address: SocketAddr,
        reader: DatagramReader,
        writer: DatagramWriter,
        calls: Calls,
    }

    impl End {
        fn new() -> Self {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let address = socket.local_addr().unwrap();
            let (reader, writer) = datagrams(&SockRef::from(&socket)).unwrap();
            Self { socket, address, reader, writer, calls: Calls::default() }
        }

        /// Sends datagrams of these lengths; their bytes are their number.
        fn send(&mut self, to: &[SocketAddr], lengths: &[usize]) {
            let mut packets = (0..).zip(lengths).zip(to.iter().cycle()).map(|((n, &len), &to)| {
                let mut packet = Transmit::new(Some(to));
                packet.push_payload(vec![n; len].into());
                packet
            });
            self.writer.fill(None, &self.calls, || packets.next());
            assert!(packets.next().is_none(), "not all had room");
            self.writer.flush(&SockRef::from(&self.socket), &self.calls).unwrap();
            assert!(self.writer.is_empty());
        }

        fn receive(&mut self) -> Vec<(SocketAddr, Bytes)> {
            let mut all = Vec::new();
            let socket = SockRef::from(&self.socket);
            while self.reader.read(&socket, &self.calls, |from, b| all.push((from, b))).is_ok() {}
            all
        }
    }

    #[test]
    fn datagrams_keep_their_bounds_and_their_order_whatever_their_lengths() {
        let (mut here, mut there) = (End::new(), End::new());
        let lengths = [0, 7, 7, 7, 3, 1_200, 1_200, 1_200, 1_200, 5, 6, 0, 0, 1_199, 1_200];
        here.send(&[there.address], &lengths);
        let all = there.receive();
        assert_eq!(all.iter().map(|(_, bytes)| bytes.len()).collect::<Vec<_>>(), lengths);
        for (number, (from, bytes)) in (0..).zip(&all) {
            assert_eq!(*from, here.address);
            assert!(bytes.iter().all(|&byte| byte == number));
        }
        assert_eq!(here.calls.snapshot().datagrams_sent, 15);
        assert_eq!(there.calls.snapshot().datagrams_received, 15);
    }

    #[test]
    fn datagrams_for_several_hosts_reach_each_its_own() {
        let (mut here, mut a, mut b) = (End::new(), End::new(), End::new());
        here.send(&[a.address, b.address], &[100; 6]);
        let numbers = |end: &mut End| -> Vec<u8> {
            end.receive().iter().map(|(_, bytes)| bytes[0]).collect()
        };
        assert_eq!(numbers(&mut a), [0, 2, 4]);
        assert_eq!(numbers(&mut b), [1, 3, 5]);
    }

    /// Where the system cannot, it takes a call for each; nothing else differs.
    #[test]
    fn equal_datagrams_for_one_host_take_one_call() {
        let (mut here, mut there) = (End::new(), End::new());
        here.send(&[there.address], &[1_000; 50]);
        let expected = 50_usize.div_ceil(here.writer.state.max_gso_segments()) as u64;
        assert_eq!(here.calls.snapshot().send, expected);
        assert_eq!(there.receive().len(), 50);
    }

    #[test]
    fn what_the_system_refuses_is_counted_and_holds_up_nothing() {
        let (mut here, mut there) = (End::new(), End::new());
        let nowhere = SocketAddr::from(([255, 255, 255, 255], 9));
        here.send(&[nowhere, there.address], &[10, 10]);
        assert_eq!(here.calls.snapshot().datagrams_refused, 1);
        assert_eq!(there.receive().len(), 1);
    }

    #[test]
    fn what_is_printed_of_a_socket_is_short_whatever_it_has_received() {
        let (mut here, mut there) = (End::new(), End::new());
        here.send(&[there.address], &[1_200; 8]);
        there.receive();
        assert!(format!("{:?}{:?}", there.reader, there.writer).len() < 1_000);
    }

    /// Anybody can claim to be there, and must not make this host send one by one from then on.
    #[test]
    fn a_datagram_for_port_0_is_refused_and_leaves_batches_as_they_are() {
        let (mut here, mut there) = (End::new(), End::new());
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let batches = here.writer.state.max_gso_segments();
        here.send(&[nowhere], &[10]);
        assert_eq!(here.calls.snapshot().datagrams_refused, 1);
        here.send(&[there.address], &[10; 20]);
        assert_eq!(here.calls.snapshot().send, 20_usize.div_ceil(batches) as u64);
        assert_eq!(there.receive().len(), 20);
    }

    #[test]
    fn no_more_is_taken_than_may_wait() {
        let mut here = End::new();
        let mut pulled = 0;
        here.writer.fill(Some(here.address), &here.calls, || {
            pulled += 1;
            let mut packet = Transmit::new(None);
            packet.push_head(&[1; 100]);
            Some(packet)
        });
        assert_eq!(pulled, MAX_WAITING);
    }
}
