//! Probes: packets that pass only so many routers, to see who is there.

use quilt_proto::euid::Transport;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// A probe under way, in a socket of its own.
#[derive(Debug)]
pub struct Probe {
    socket: Socket,
    to: SocketAddr,
}

/// Who answered a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// A router on the way, or the host at its end.
    pub at: IpAddr,
    /// Nothing gets beyond.
    pub is_end: bool,
}

impl Probe {
    /// Sends a packet from `from` towards `to` that passes `ttl` routers at most: an empty datagram, or
    /// the first packet of a stream.
    ///
    /// # Errors
    /// The system refuses, or does not tell of answers (only Linux does).
    pub fn send(by: Transport, to: SocketAddr, ttl: u8, from: IpAddr) -> io::Result<Self> {
        let (kind, protocol) = match by {
            Transport::Udp => (Type::DGRAM, Protocol::UDP),
            Transport::Tcp => (Type::STREAM, Protocol::TCP),
        };
        let socket = Socket::new(Domain::for_address(to), kind, Some(protocol))?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::new(from, 0).into())?;
        socket.set_ttl_v4(ttl.into())?;
        system::listen_to_errors(&socket)?;
        match socket.connect(&to.into()) {
            Err(error) if system::is_under_way(&error) => {}
            other => other?,
        }
        if by == Transport::Udp {
            socket.send(&[])?;
        }
        Ok(Self { socket, to })
    }

    /// The answer.
    ///
    /// # Errors
    /// `WouldBlock` while there is none; another error if there will be none.
    pub fn read(&self) -> io::Result<Answer> {
        match system::read_error(&self.socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            answer => return answer,
        }
        // A stream that the end refuses has no word of a router.
        match self.socket.take_error()? {
            Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Ok(Answer { at: self.to.ip(), is_end: true })
            }
            Some(error) => Err(error),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for Probe {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.socket.as_raw_fd()
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Probe {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(target_os = "linux")]
mod system {
    use super::Answer;
    use nix::errno::Errno;
    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
    };
    use socket2::Socket;
    use std::io;
    use std::net::Ipv4Addr;
    use std::os::fd::AsRawFd;

    /// ICMP's "destination unreachable" and "time exceeded" (RFC 792).
    const UNREACHABLE: u8 = 3;
    const TIME_EXCEEDED: u8 = 11;

    /// What routers say of a socket's packets is kept for it.
    pub(super) fn listen_to_errors(socket: &Socket) -> io::Result<()> {
        Ok(setsockopt(socket, sockopt::Ipv4RecvErr, &true)?)
    }

    pub(super) fn is_under_way(error: &io::Error) -> bool {
        error.raw_os_error() == Some(Errno::EINPROGRESS as i32)
    }

    /// The next word of a router that was kept.
    pub(super) fn read_error(socket: &Socket) -> io::Result<Answer> {
        let mut space = nix::cmsg_space!([u8; 128]);
        loop {
            let flags = MsgFlags::MSG_ERRQUEUE;
            let fd = socket.as_raw_fd();
            let message = recvmsg::<SockaddrStorage>(fd, &mut [], Some(&mut space), flags)?;
            let answer = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::Ipv4RecvErr(error, Some(at)) => match error.ee_type {
                    TIME_EXCEEDED | UNREACHABLE => Some(Answer {
                        at: Ipv4Addr::from(u32::from_be(at.sin_addr.s_addr)).into(),
                        is_end: error.ee_type == UNREACHABLE,
                    }),
                    _ => None,
                },
                _ => None,
            });
            if let Some(answer) = answer {
                return Ok(answer);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::Answer;
    use socket2::Socket;
    use std::io;

    pub(super) fn listen_to_errors(_: &Socket) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn is_under_way(_: &io::Error) -> bool {
        false
    }

    pub(super) fn read_error(_: &Socket) -> io::Result<Answer> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, UdpSocket};
    use std::time::{Duration, Instant};

    /// Reads until something comes.
    fn answer(probe: &Probe) -> io::Result<Answer> {
        let start = Instant::now();
        loop {
            match probe.read() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    assert!(start.elapsed() < Duration::from_secs(5), "nothing came");
                    std::thread::yield_now();
                }
                answer => return answer,
            }
        }
    }

    #[test]
    fn the_end_of_the_way_answers_where_nobody_listens() {
        let here = IpAddr::from(Ipv4Addr::LOCALHOST);
        let end = Answer { at: here, is_end: true };
        let free = UdpSocket::bind((here, 0)).unwrap().local_addr().unwrap();
        let probe = Probe::send(Transport::Udp, free, 1, here).unwrap();
        assert_eq!(answer(&probe).unwrap(), end);
        let free = std::net::TcpListener::bind((here, 0)).unwrap().local_addr().unwrap();
        match Probe::send(Transport::Tcp, free, 1, here) {
            Ok(probe) => assert_eq!(answer(&probe).unwrap(), end),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused),
        }
    }
}
