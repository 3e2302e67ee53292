//! Ranges of addresses.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

/// All addresses that agree in their first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// One address of it.
    pub address: IpAddr,
    /// How many bits must agree; at most 32 or 128, and more count as that many.
    pub bits: u8,
}

impl Prefix {
    /// Whether `address` lies in it. IPv4 addresses lie in no IPv6 prefix, however they are
    /// written, and the other way round.
    pub fn contains(&self, address: IpAddr) -> bool {
        let differing = match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            _ => return false,
        };
        differing >= u32::from(self.bits.min(width(self.address.to_canonical())))
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl FromStr for Prefix {
    type Err = ();

    /// Reads `ADDRESS/BITS`, or an address alone, which is then all of it.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| ())?,
            None => width(address),
        };
        if bits > width(address) { Err(()) } else { Ok(Self { address, bits }) }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(prefix: &str, address: &str) -> bool {
        prefix.parse::<Prefix>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn the_first_bits_decide_from_none_to_all() {
        assert!(contains("10.1.0.0/16", "10.1.255.255"));
        assert!(!contains("10.1.0.0/16", "10.2.0.0"));
        assert!(contains("10.1.0.0/0", "255.0.0.1"));
        assert!(contains("10.1.2.3", "10.1.2.3"));
        assert!(!contains("10.1.2.3/32", "10.1.2.2"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!contains("::/0", "10.1.2.3"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
    }

    #[test]
    fn impossible_prefixes_are_refused() {
        for text in ["10.1.0.0/33", "::/129", "10.1/16", "/8", "10.0.0.0/", "10.0.0.0/x"] {
            assert_eq!(text.parse::<Prefix>(), Err(()), "{text}");
        }
    }
}
