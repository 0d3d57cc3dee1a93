//! A host and a port as everybody spells them, in one spelling.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use url::Host;

/// The target of a connection. The host is a name in lower case without a trailing dot, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The host.
    pub host: Host<String>,
    /// The port.
    pub port: u16,
}

/// A text is no `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not HOST:PORT with a port from 1 to 65535; an IPv6 address stands in brackets")]
pub struct TargetError {
    text: String,
}

impl Target {
    /// A host as a URL or a request line spells it: `0x7f.1`, `2130706433`, `127.1` and `127.0.0.1.` are 127.0.0.1, as for
    /// browsers. An IPv6 address may stand in brackets.
    ///
    /// # Errors
    ///
    /// It is no host, or the port is 0.
    pub fn new(host: &str, port: u16) -> Result<Target, TargetError> {
        let wrong = || TargetError { text: format!("{host}:{port}") };
        let bare = host.strip_prefix('[').map_or(Some(host), |rest| rest.strip_suffix(']')).ok_or_else(wrong)?;
        let parsed = match bare.parse() {
            Ok(address) => Host::Ipv6(address),
            Err(_) => Host::parse(bare).map_err(|_| wrong())?,
        };
        let host = match parsed {
            Host::Domain(name) => Host::Domain(name.strip_suffix('.').unwrap_or(&name).to_owned()),
            address => address,
        };
        let is_wrong =
            |name: &str| name.is_empty() || name.starts_with('.') || name.ends_with('.') || name.contains('*');
        let is_empty = matches!(&host, Host::Domain(name) if is_wrong(name));
        if port == 0 || is_empty { Err(wrong()) } else { Ok(Target { host, port }) }
    }

    /// The address, if the host is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.host {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        let wrong = || TargetError { text: text.to_owned() };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
        if host.contains(':') && !host.starts_with('[') {
            return Err(wrong());
        }
        Target::new(host, port).map_err(|_| wrong())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_host_is_one_target() {
        for spelling in [
            "127.0.0.1",
            "127.0.0.1.",
            "127.1",
            "127.0.1",
            "0x7f.1",
            "0x7F.0.0.1",
            "0177.0.0.1",
            "2130706433",
            "0x7f000001",
            "017700000001",
            "１２７.0.0.1",
            "127。0。0。1",
            "%31%32%37.0.0.1",
        ] {
            let target = Target::new(spelling, 80).unwrap_or_else(|error| panic!("{spelling}: {error}"));
            assert_eq!(target.to_string(), "127.0.0.1:80", "{spelling}");
        }
        for spelling in ["[::1]", "::1", "[0:0::0:1]"] {
            assert_eq!(Target::new(spelling, 80).expect("a host").to_string(), "[::1]:80", "{spelling}");
        }
        assert_eq!(Target::new("ExAmPle.ORG.", 443).expect("a host").to_string(), "example.org:443");
    }

    #[test]
    fn what_is_no_host_and_port_is_refused() {
        for text in [
            "",
            ":",
            "a",
            "a:",
            ":80",
            "a:0",
            "a:65536",
            "a:+80",
            "a:-1",
            "a b:80",
            "a/b:80",
            "a@b:80",
            "::1:80",
            "[::1:80",
            "[::1]",
            "[::1]x:80",
            ".:80",
            "..:80",
            "1.2.3.4.5:80",
            "256.0.0.1:80",
            "a..:80",
            "*:80",
            "http://a:80x",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text:?}");
        }
        for text in ["a:1", "a:65535", "[::1]:80", "127.0.0.1:8050"] {
            assert_eq!(text.parse::<Target>().expect("a target").to_string(), text);
        }
    }
}
