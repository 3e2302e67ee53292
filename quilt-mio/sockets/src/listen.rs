//! The sockets that a host listens on.

use crate::BindError;
use quilt_proto::{BootstrapConfig, LinkId};
use socket2::SockRef;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

/// What is asked for as receive buffer of a datagram socket, in bytes; the system may grant less.
pub const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// How often a free port is looked for that UDP has as well as TCP.
const BIND_ATTEMPTS: usize = 16;

/// The sockets that a host listens on: TCP and UDP on one port, non-blocking.
#[derive(Debug)]
pub struct Listening {
    /// Takes streams in.
    pub tcp: TcpListener,
    /// Every datagram that is not multicast comes and goes here.
    pub udp: UdpSocket,
    /// A bootstrap service's further sockets for datagrams.
    pub others: Vec<(LinkId, UdpSocket)>,
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
        Ok(Self { tcp, udp, others: Vec::new(), address, receive_buffer_bytes })
    }

    /// Listens as a bootstrap service: as [`bind`](Self::bind), and by UDP on another port, the next
    /// one if it is free, and on the other address that `config` names, if it does. Enters in `config`
    /// what that has become.
    ///
    /// # Errors
    /// One of the addresses cannot be listened on. Nothing is left open.
    pub fn bind_service(
        address: SocketAddr,
        config: &mut BootstrapConfig,
    ) -> Result<Self, BindError> {
        let mut listening = Self::bind(address)?;
        let at = |port| SocketAddr::new(listening.address.ip(), port);
        let next = at(listening.address.port().wrapping_add(1));
        let other = listen_by_udp(next).or_else(|_| listen_by_udp(at(0)))?;
        config.other_port = Some(other.1.port());
        listening.others.push((LinkId::OTHER_PORT, other.0));
        if let Some(address) = config.other_address {
            let (socket, address) = listen_by_udp(address)?;
            config.other_address = Some(address);
            listening.others.push((LinkId::OTHER_ADDRESS, socket));
        }
        Ok(listening)
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

fn listen_by_udp(address: SocketAddr) -> Result<(UdpSocket, SocketAddr), BindError> {
    let listen = || {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok((socket, address))
    };
    listen().map_err(|source| BindError { address, source })
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
    fn a_service_has_another_port_and_the_other_address_that_it_is_told() {
        let here: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let there: SocketAddr = "127.0.0.2:0".parse().unwrap();
        let mut config = BootstrapConfig { other_address: Some(there), ..Default::default() };
        let listening = Listening::bind_service(here, &mut config).unwrap();
        let [(port, one), (address, two)] = &listening.others[..] else { panic!("{listening:?}") };
        assert_eq!((*port, *address), (LinkId::OTHER_PORT, LinkId::OTHER_ADDRESS));
        assert_ne!(config.other_port, Some(listening.address.port()));
        assert_eq!(Some(one.local_addr().unwrap().port()), config.other_port);
        assert_eq!(one.local_addr().unwrap().ip(), listening.address.ip());
        assert_eq!(Some(two.local_addr().unwrap()), config.other_address);
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
