//! The interfaces of this host, by name.

use std::fmt;
use std::io;
use std::net::IpAddr;

/// The local address of the interface that is called `name`, its first one of IPv4 if it has any, or
/// `name` itself if it is an IP address: whether that is one of this host's shows when it is
/// listened on.
///
/// # Errors
/// No interface is called so, or the system does not tell what there is.
pub fn interface_address(name: &str) -> Result<IpAddr, UnknownInterface> {
    if let Ok(address) = name.parse() {
        return Ok(address);
    }
    let unknown = |known| UnknownInterface { name: name.to_owned(), known };
    let known = known().map_err(|_| unknown(Vec::new()))?;
    let of_it = || known.iter().filter(|(of, _)| of == name).map(|&(_, address)| address);
    let found = of_it().find(IpAddr::is_ipv4).or_else(|| of_it().next());
    found.ok_or_else(|| unknown(known))
}

/// The interfaces of this host on which there are others, by name, each with its first address of IPv4,
/// or else its first one; in the order of the system.
///
/// # Errors
/// The system does not tell what there is.
pub fn interfaces() -> io::Result<Vec<(String, IpAddr)>> {
    let mut interfaces: Vec<(String, IpAddr)> = Vec::new();
    for (name, address) in known()?.into_iter().filter(|(_, address)| !address.is_loopback()) {
        match interfaces.iter_mut().find(|(known, _)| *known == name) {
            Some((_, first)) if first.is_ipv6() && address.is_ipv4() => *first = address,
            Some(_) => {}
            None => interfaces.push((name, address)),
        }
    }
    Ok(interfaces)
}

/// All interfaces of this host, with each of their addresses.
fn known() -> io::Result<Vec<(String, IpAddr)>> {
    let interfaces = if_addrs::get_if_addrs()?;
    Ok(interfaces.into_iter().map(|interface| (interface.name.clone(), interface.ip())).collect())
}

/// No interface of this host is called so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownInterface {
    /// What was asked for.
    pub name: String,
    /// All that there are, each with its address; nothing, if the system does not tell.
    pub known: Vec<(String, IpAddr)>,
}

impl fmt::Display for UnknownInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no interface is called {:?}", self.name)?;
        for (number, (name, address)) in self.known.iter().enumerate() {
            let before = if number == 0 { "; there are" } else { "," };
            write!(f, "{before} {name} ({address})")?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownInterface {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    /// Whatever this host's loopback interface is called.
    fn loopback() -> (String, IpAddr) {
        let known = known().unwrap();
        known.into_iter().find(|(_, ip)| *ip == Ipv4Addr::LOCALHOST).expect("every host has it")
    }

    #[test]
    fn an_interface_is_found_by_its_name_and_an_address_is_itself() {
        let (name, address) = loopback();
        assert_eq!(interface_address(&name), Ok(address));
        assert_eq!(interface_address("192.0.2.7"), Ok([192, 0, 2, 7].into()));
        assert_eq!(interface_address("::1"), Ok("::1".parse().unwrap()));
    }

    #[test]
    fn who_names_no_interface_is_told_which_there_are() {
        let (name, address) = loopback();
        for unknown in ["", "nothing0", "10.0.0", "10.0.0.0/8"] {
            let error = interface_address(unknown).unwrap_err().to_string();
            assert!(error.starts_with(&format!("no interface is called {unknown:?}; there are ")));
            assert!(error.contains(&format!("{name} ({address})")), "{error}");
        }
    }
}
