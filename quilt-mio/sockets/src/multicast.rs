//! Memberships of IP-multicast addresses.

use crate::listen::ask_receive_buffer;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// An IP-multicast address on one interface. IPv4 only so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The class-D address and port.
    pub address: SocketAddr,
    /// The local address of the interface.
    pub interface: IpAddr,
    /// The hop limit of what is sent.
    pub ttl: u8,
}

impl Membership {
    /// A non-blocking socket that receives what is sent to the address, and sends there over the
    /// interface. Members on this host hear each other.
    ///
    /// # Errors
    /// The system refuses it, or the address is not of IPv4.
    pub fn join(&self) -> io::Result<UdpSocket> {
        let (SocketAddr::V4(address), IpAddr::V4(interface)) = (self.address, self.interface)
        else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // Every member on this host has a socket of its own on the same address.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.join_multicast_v4(address.ip(), &interface)?;
        socket.set_multicast_if_v4(&interface)?;
        socket.set_multicast_loop_v4(true)?;
        socket.set_multicast_ttl_v4(self.ttl.into())?;
        // Without this, memberships of other processes would leak in here.
        #[cfg(target_os = "linux")]
        socket.set_multicast_all_v4(false)?;
        ask_receive_buffer(&SockRef::from(&socket));
        Ok(socket.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::link_error;
    use quilt_proto::LinkError;

    fn membership(interface: [u8; 4]) -> Membership {
        let address = SocketAddr::from(([239, 255, 77, 77], 27_477));
        Membership { address, interface: interface.into(), ttl: 1 }
    }

    #[test]
    fn two_members_on_one_host_hear_each_other_and_themselves() {
        let (a, b) = (membership([127, 9, 0, 1]), membership([127, 9, 0, 2]));
        let (a_socket, b_socket) = (a.join().unwrap(), b.join().unwrap());
        a_socket.send_to(b"tea", a.address).unwrap();
        for socket in [&a_socket, &b_socket] {
            let mut bytes = [0; 8];
            socket.set_nonblocking(false).unwrap();
            let (len, from) = socket.recv_from(&mut bytes).unwrap();
            assert_eq!((&bytes[..len], from.ip()), (&b"tea"[..], a.interface));
        }
    }

    #[test]
    fn an_interface_that_is_not_there_is_named_as_such() {
        let error = membership([203, 0, 113, 9]).join().unwrap_err();
        assert_eq!(link_error(&error), LinkError::NoSuchInterface);
    }
}
