//! Datagrams that the system dropped because nobody took them out of a socket in time.

use socket2::SockRef;

/// The system is asked in one of so many reads: its count never goes back.
const READS: u32 = 32;

/// The drops of one socket, as Linux counts them (`SO_RXQ_OVFL`); other systems do not tell.
#[derive(Debug, Default)]
pub(crate) struct Overruns {
    reads: u32,
    /// The system's count when it was last asked.
    counted: u32,
    /// Those that nobody was told of yet.
    fresh: u64,
    /// Room for the system's answer.
    space: Vec<u8>,
}

impl Overruns {
    /// Has the system count.
    pub(crate) fn new(socket: &SockRef<'_>) -> Self {
        // A refusal leaves the count at none.
        let _ = system::enable(socket);
        Self { space: system::space(), ..Self::default() }
    }

    /// The socket is about to be read.
    pub(crate) fn before_read(&mut self, socket: &SockRef<'_>) {
        self.reads = self.reads.wrapping_add(1);
        let due = self.reads % READS == 0;
        if let Some(counted) = due.then(|| system::count(socket, &mut self.space)).flatten() {
            self.fresh += u64::from(counted.wrapping_sub(self.counted));
            self.counted = counted;
        }
    }

    /// How many datagrams were dropped since the last call, as far as is known.
    pub(crate) fn take(&mut self) -> u64 {
        std::mem::take(&mut self.fresh)
    }
}

#[cfg(target_os = "linux")]
mod system {
    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
    };
    use socket2::SockRef;
    use std::io::IoSliceMut;
    use std::os::fd::AsRawFd;

    pub(super) fn enable(socket: &SockRef<'_>) -> nix::Result<()> {
        setsockopt(&**socket, sockopt::RxqOvfl, &1)
    }

    /// Room for one count.
    pub(super) fn space() -> Vec<u8> {
        nix::cmsg_space!([u8; 64])
    }

    /// What the datagram that is next says was dropped before it came; `None` if there is none.
    pub(super) fn count(socket: &SockRef<'_>, space: &mut [u8]) -> Option<u32> {
        let mut byte = [0];
        let mut slices = [IoSliceMut::new(&mut byte)];
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        let message =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(space), flags);
        let message = message.ok()?;
        message.cmsgs().ok()?.find_map(|message| match message {
            ControlMessageOwned::RxqOvfl(count) => Some(count),
            _ => None,
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use socket2::SockRef;

    pub(super) fn enable(_: &SockRef<'_>) -> std::io::Result<()> {
        Ok(())
    }

    pub(super) fn space() -> Vec<u8> {
        Vec::new()
    }

    pub(super) fn count(_: &SockRef<'_>, _: &mut [u8]) -> Option<u32> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn what_a_full_buffer_dropped_is_told_once_and_is_the_truth() {
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        there.set_nonblocking(true).unwrap();
        let socket = SockRef::from(&there);
        socket.set_recv_buffer_size(8 << 10).unwrap();
        let mut overruns = Overruns::new(&socket);
        let here = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = there.local_addr().unwrap();
        let (mut sent, mut received, mut dropped) = (0, 0, 0);
        for round in 0..4 {
            for _ in 0..200 {
                sent += here.send_to(&[0; 1_000], to).map_or(0, |_| 1);
            }
            // The last ones are told of by the one that comes behind them.
            let mut bytes = [0; 1_500];
            while there.recv_from(&mut bytes).is_ok() {
                received += 1;
            }
            sent += here.send_to(&[0; 1_000], to).map_or(0, |_| 1);
            (0..READS).for_each(|_| overruns.before_read(&socket));
            dropped += overruns.take();
            received += u64::from(there.recv_from(&mut bytes).is_ok());
            assert_eq!(dropped, sent - received, "round {round}");
            assert!(dropped > 0);
        }
        assert_eq!(overruns.take(), 0);
    }
}
