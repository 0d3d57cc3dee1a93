//! Addresses that can be opened.

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage};
use std::net::{IpAddr, SocketAddr};

/// Returns the addresses under which a listener can be reached: its own, or for `0.0.0.0` and `[::]` those of this
/// machine's interfaces, loopback first. Link-local IPv6 addresses are left out, for a browser cannot open them.
#[must_use]
pub fn reachable(listener: SocketAddr) -> Vec<SocketAddr> {
    if !listener.ip().is_unspecified() {
        return vec![listener];
    }
    let Ok(interfaces) = getifaddrs() else { return vec![listener] };
    let up = interfaces.filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP));
    let mut found: Vec<SocketAddr> = up
        .filter_map(|interface| ip(&interface.address?))
        .filter(|ip| ip.is_ipv4() == listener.is_ipv4() && !is_link_local(*ip))
        .map(|ip| SocketAddr::new(ip, listener.port()))
        .collect();
    found.sort_by_key(|address| (!address.ip().is_loopback(), *address));
    found.dedup();
    if found.is_empty() { vec![listener] } else { found }
}

/// Returns the URL of a path on this address.
#[must_use]
pub fn url(address: SocketAddr, path: &str) -> String {
    format!("http://{address}{path}")
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    match address.family()? {
        AddressFamily::Inet => Some(IpAddr::V4(address.as_sockaddr_in()?.ip())),
        AddressFamily::Inet6 => Some(IpAddr::V6(address.as_sockaddr_in6()?.ip())),
        _ => None,
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.segments()[0] & 0xffc0 == 0xfe80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_listener_is_reached_under_the_addresses_of_the_machine() {
        let found = reachable("0.0.0.0:8088".parse().unwrap());
        assert_eq!(found[0], "127.0.0.1:8088".parse().unwrap());
        assert!(found.iter().all(|address| address.port() == 8088 && !address.ip().is_unspecified()), "{found:?}");
    }

    #[test]
    fn another_listener_is_reached_under_its_own() {
        for own in ["127.0.0.1:1", "192.0.2.1:80", "[2001:db8::1]:80"] {
            let own: SocketAddr = own.parse().unwrap();
            assert_eq!(reachable(own), [own]);
        }
        assert_eq!(url("[::1]:80".parse().unwrap(), "/status"), "http://[::1]:80/status");
    }
}
