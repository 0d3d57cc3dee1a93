use crate::Error;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a socket listens or connects to.
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
    /// `ipc://PATH`: a Unix domain socket.
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
        "ipc" => Ok(Endpoint::Ipc(rest.into())),
        "inproc" if rest.is_empty() => Err("it has no name"),
        "inproc" => Ok(Endpoint::Inproc(rest.into())),
        _ => Err("only tcp, ipc and inproc are known here"),
    }
}

impl Endpoint {
    /// What can be listened on can not always be connected to.
    pub(crate) fn check_connect(&self) -> Result<(), Error> {
        match self {
            Endpoint::Tcp { host, port } if host == "*" || *port == 0 => Err(Error::Endpoint {
                endpoint: self.to_string(),
                problem: "to connect, it needs a host and a port".into(),
            }),
            _ => Ok(()),
        }
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
        for text in ["tcp://127.0.0.1:5555", "tcp://[::1]:1", "tcp://localhost:65535", "ipc:///tmp/a", "inproc://a b"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        let wild: Endpoint = "tcp://*:*".parse().unwrap();
        assert_eq!(wild, Endpoint::Tcp { host: "*".into(), port: 0 });
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
            ("inproc://", "no name"),
            ("udp://a:1", "only tcp, ipc and inproc"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
        assert!("tcp://*:1".parse::<Endpoint>().unwrap().check_connect().is_err());
        assert!("tcp://a:0".parse::<Endpoint>().unwrap().check_connect().is_err());
        assert!("tcp://a:1".parse::<Endpoint>().unwrap().check_connect().is_ok());
    }
}
