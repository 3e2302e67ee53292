//! The sockets that a host listens on.

use crate::BindError;
use socket2::SockRef;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

/// What is asked for as receive buffer of a datagram socket; the system may grant less.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// How often a free port is looked for that UDP has as well as TCP.
const BIND_ATTEMPTS: usize = 16;

/// The sockets that a host listens on: TCP and UDP on one port, non-blocking.
#[derive(Debug)]
pub struct Listening {
    /// Takes streams in.
    pub tcp: TcpListener,
    /// Every datagram that is not multicast comes and goes here.
    pub udp: UdpSocket,
    /// The address with the port in it.
    pub address: SocketAddr,
    /// The receive buffer that the system granted to `udp`, in bytes; 4 MiB are asked for.
    pub receive_buffer_bytes: usize,
}

impl Listening {
    /// Listens on `address`; port 0 takes any that is free for both.
    ///
    /// # Errors
    /// The address cannot be listened on. Nothing is left open.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let mut attempt = 1;
        loop {
            match Self::bind_once(address) {
                Ok(listening) => return Ok(listening),
                Err(error)
                    if error.kind() == ErrorKind::AddrInUse
                        && address.port() == 0
                        && attempt < BIND_ATTEMPTS =>
                {
                    attempt += 1;
                }
                Err(source) => return Err(BindError { address, source }),
            }
        }
    }

    fn bind_once(address: SocketAddr) -> io::Result<Self> {
        let tcp = TcpListener::bind(address)?;
        let address = tcp.local_addr()?;
        let udp = UdpSocket::bind(address)?;
        tcp.set_nonblocking(true)?;
        udp.set_nonblocking(true)?;
        let receive_buffer_bytes = ask_receive_buffer(&SockRef::from(&udp));
        Ok(Self { tcp, udp, address, receive_buffer_bytes })
    }

    /// The address that others are told: if all interfaces are listened on, the one that leads to
    /// `remote`.
    pub fn address_towards(&self, remote: SocketAddr) -> SocketAddr {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(local_address_to(remote).unwrap_or(address.ip()));
        }
        address
    }
}

/// Asks for a large receive buffer, and gives back what was granted.
pub(crate) fn ask_receive_buffer(socket: &SockRef<'_>) -> usize {
    // A refusal leaves the system's default, which works as well, only with more repair.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    socket.recv_buffer_size().unwrap_or(0)
}

/// The local address from which the system would send to `remote`. Nothing is sent.
fn local_address_to(remote: SocketAddr) -> io::Result<IpAddr> {
    let any = if remote.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(remote)?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_others_are_told_is_the_one_that_leads_to_the_service() {
        let listening = Listening::bind("0.0.0.0:0".parse().unwrap()).unwrap();
        let told = listening.address_towards(([127, 0, 0, 1], 9).into());
        assert_eq!(told, ([127, 0, 0, 1], listening.address.port()).into());
    }

    #[test]
    fn tcp_and_udp_have_one_port_and_a_taken_one_is_named() {
        let listening = Listening::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(listening.udp.local_addr().unwrap(), listening.address);
        assert_eq!(listening.tcp.local_addr().unwrap(), listening.address);
        assert!(listening.receive_buffer_bytes > 0);
        let taken = Listening::bind(listening.address).unwrap_err();
        assert_eq!(taken.address, listening.address);
        assert_eq!(taken.cause(), quilt_proto::LinkError::AddressInUse);
    }
}
