use crate::Error;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// An address that a socket binds or connects to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// `tcp://HOST:PORT`: a name, an IPv4 address, or an IPv6 address in brackets. To bind, the host may be `*`
    /// (all IPv4 interfaces), and the port `*` or 0 (a free one).
    Tcp {
        /// Without brackets.
        host: String,
        /// 0: a free one.
        port: u16,
    },
    /// `ipc://PATH`: a Unix domain socket. `ipc://@NAME` is one in Linux's abstract namespace, without a file. To bind, the path may be
    /// `*` (a fresh one).
    Ipc(PathBuf),
    /// `inproc://NAME`: between sockets of this process.
    Inproc(String),
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(endpoint: &str) -> Result<Endpoint, Error> {
        parse(endpoint).map_err(|problem| Error::Endpoint { endpoint: endpoint.into(), problem: problem.into() })
    }
}

impl TryFrom<&str> for Endpoint {
    type Error = Error;

    fn try_from(endpoint: &str) -> Result<Endpoint, Error> {
        endpoint.parse()
    }
}

/// As a loop over `&["tcp://a:1", "tcp://b:1"]` has it.
impl TryFrom<&&str> for Endpoint {
    type Error = Error;

    fn try_from(endpoint: &&str) -> Result<Endpoint, Error> {
        endpoint.parse()
    }
}

impl TryFrom<String> for Endpoint {
    type Error = Error;

    fn try_from(endpoint: String) -> Result<Endpoint, Error> {
        endpoint.parse()
    }
}

impl TryFrom<&String> for Endpoint {
    type Error = Error;

    fn try_from(endpoint: &String) -> Result<Endpoint, Error> {
        endpoint.parse()
    }
}

impl From<&Endpoint> for Endpoint {
    fn from(endpoint: &Endpoint) -> Endpoint {
        endpoint.clone()
    }
}

/// `tcp://` to this address.
impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Endpoint {
        Endpoint::Tcp { host: address.ip().to_string(), port: address.port() }
    }
}

fn parse(endpoint: &str) -> Result<Endpoint, &'static str> {
    let (scheme, rest) = endpoint.split_once("://").ok_or("it has no tcp://, ipc:// or inproc://")?;
    match scheme {
        "tcp" => {
            let (host, port) = rest.rsplit_once(':').ok_or("it has no port")?;
            let host = match host.strip_prefix('[') {
                Some(inner) => inner.strip_suffix(']').ok_or("its bracket is not closed")?,
                None if host.contains(':') => return Err("an IPv6 address stands in brackets"),
                None => host,
            };
            if host.is_empty() {
                return Err("it has no host");
            }
            let port =
                if port == "*" { 0 } else { port.parse().map_err(|_| "its port is not a number up to 65535")? };
            Ok(Endpoint::Tcp { host: host.into(), port })
        }
        "ipc" if rest.is_empty() => Err("it has no path"),
        "ipc" if rest == "@" => Err("it has no name behind the @"),
        "ipc" if rest.contains('\0') => Err("a path has no zero byte"),
        "ipc" => Ok(Endpoint::Ipc(rest.into())),
        "inproc" if rest.is_empty() => Err("it has no name"),
        "inproc" => Ok(Endpoint::Inproc(rest.into())),
        _ => Err("only tcp, ipc and inproc are known here"),
    }
}

/// To bind: a path that does not exist yet.
pub(crate) const ANY_PATH: &str = "*";

/// The name behind the `@` of an abstract socket's path.
pub(crate) fn abstract_name(path: &Path) -> Option<&[u8]> {
    path.as_os_str().as_encoded_bytes().strip_prefix(b"@")
}

impl Endpoint {
    /// Not every endpoint that can be bound can be connected to.
    pub(crate) fn check_connect(&self) -> Result<(), Error> {
        let problem = match self {
            Endpoint::Tcp { host, port } if host == "*" || *port == 0 => "to connect, it needs a host and a port",
            Endpoint::Ipc(path) if path == Path::new(ANY_PATH) => "to connect, it needs a path",
            _ => return Ok(()),
        };
        Err(Error::Endpoint { endpoint: self.to_string(), problem: problem.into() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Endpoint::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Endpoint::Ipc(path) => write!(f, "ipc://{}", path.display()),
            Endpoint::Inproc(name) => write!(f, "inproc://{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_written_as_it_was_read() {
        for text in [
            "tcp://127.0.0.1:5555",
            "tcp://[::1]:1",
            "tcp://localhost:65535",
            "ipc:///tmp/a",
            "ipc://@a",
            "ipc://*",
            "inproc://a b",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        let wild: Endpoint = "tcp://*:*".parse().unwrap();
        assert_eq!(wild, Endpoint::Tcp { host: "*".into(), port: 0 });
        for address in ["127.0.0.1:1", "[::1]:65535"] {
            let endpoint = Endpoint::from(address.parse::<SocketAddr>().unwrap());
            assert_eq!(endpoint.to_string(), format!("tcp://{address}"));
        }
        assert_eq!(abstract_name(Path::new("@a@")), Some(&b"a@"[..]));
        assert_eq!(abstract_name(Path::new("/@a")), None);
    }

    #[test]
    fn what_is_no_endpoint_is_told_what_is_wrong() {
        for (text, problem) in [
            ("127.0.0.1:5555", "it has no tcp://"),
            ("tcp://127.0.0.1", "it has no port"),
            ("tcp://:1", "it has no host"),
            ("tcp://::1:1", "in brackets"),
            ("tcp://[::1:1", "not closed"),
            ("tcp://a:65536", "up to 65535"),
            ("ipc://", "no path"),
            ("ipc://@", "no name"),
            ("ipc://a\0b", "no zero byte"),
            ("inproc://", "no name"),
            ("udp://a:1", "only tcp, ipc and inproc"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
        for only_to_bind in ["tcp://*:1", "tcp://a:0", "ipc://*"] {
            assert!(only_to_bind.parse::<Endpoint>().unwrap().check_connect().is_err(), "{only_to_bind}");
        }
        for good in ["tcp://a:1", "ipc://@a", "ipc://*a"] {
            assert!(good.parse::<Endpoint>().unwrap().check_connect().is_ok(), "{good}");
        }
    }
}
