//! The DNS server that this system asks.

use std::net::IpAddr;

/// Where systems say it; a server on this host itself is only a relay, whose own file comes next.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// The first DNS server of the system's configuration that is on another host.
pub(crate) fn resolver() -> Option<IpAddr> {
    let texts = FILES.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    texts.filter_map(|text| first_elsewhere(&text)).next()
}

fn first_elsewhere(text: &str) -> Option<IpAddr> {
    let servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let addresses = servers.filter_map(|rest| rest.split_whitespace().next()?.parse().ok());
    addresses.into_iter().find(|address: &IpAddr| !address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_server_on_another_host_is_taken() {
        let text = "# made by hand\nsearch example.net\nnameserver 127.0.0.53\n\
                    nameserver fe80::1%eth0\n nameserver 192.0.2.53 \nnameserver 192.0.2.54\n";
        assert_eq!(first_elsewhere(text), Some(IpAddr::from([192, 0, 2, 53])));
        assert_eq!(first_elsewhere("nameserver 127.0.0.1"), None);
        assert_eq!(first_elsewhere(""), None);
    }
}
