//! One way to say where a server is, for every client command: a URL, a host, or `HOST:PORT`.

use clap::Args;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;
use switchboard_client::Options;

/// The server of a command, with its default port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The broker's native protocol.
    Native,
    /// The broker's port for STOMP, or another broker's.
    Stomp,
    /// The broker's HTTP.
    BrokerHttp,
    /// The monitor's page and API.
    MonitorHttp,
    /// The monitor's ZeroMQ collector.
    Collector,
}

impl Door {
    const ALL: [Door; 5] = [Door::Native, Door::Stomp, Door::BrokerHttp, Door::MonitorHttp, Door::Collector];

    pub(crate) fn default_port(self) -> u16 {
        match self {
            Door::Native => 25000,
            Door::Stomp => 61613,
            Door::BrokerHttp => 25080,
            Door::MonitorHttp => 8088,
            Door::Collector => 5555,
        }
    }

    /// Schemes whose port is this door's.
    fn schemes(self) -> &'static [&'static str] {
        match self {
            Door::Native => &["switchboard"],
            Door::Stomp => &["stomp"],
            Door::BrokerHttp | Door::MonitorHttp => &["http", "https"],
            Door::Collector => &["tcp"],
        }
    }
}

const HTTPS: u16 = 443;
/// Bytes of the longest name in the DNS.
const LONGEST_HOST: usize = 253;

/// A server's address, as it was given.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ServerAddress {
    scheme: Option<String>,
    host: String,
    port: Option<u16>,
    /// Of STOMP: a login, and a passcode.
    login: Option<(String, Option<String>)>,
    /// Of an address as the banner shows it on a terminal.
    token: Option<String>,
}

/// A server's address that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("it is empty; write a URL, a host, or HOST:PORT")]
    Empty,
    #[error(
        "the scheme {0}:// is not known; write switchboard://, stomp://, http://, https:// or tcp://, or leave it out"
    )]
    Scheme(String),
    #[error("it names no host")]
    NoHost,
    #[error("{0} is no port: it must be a number from 1 to 65535")]
    Port(String),
    #[error("{0} is no host name")]
    Host(String),
    #[error("a host name has at most {LONGEST_HOST} bytes; this one has {0}")]
    Long(usize),
    #[error("{0} has more than one colon, and is no IPv6 address; write HOST:PORT, or [ADDRESS]:PORT")]
    Colons(String),
    #[error("its token is not UTF-8 once it is decoded")]
    Token,
    #[error("it names a user; the access token goes into SWITCHBOARD_TOKEN")]
    User,
    #[error("an @ stands behind a /, ? or #: in a login or passcode they are written %2F, %3F and %23")]
    Torn,
    #[error("{0}")]
    Login(String),
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<ServerAddress, AddressError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text),
        };
        match scheme.as_deref() {
            Some(other) if !Door::ALL.iter().any(|door| door.schemes().contains(&other)) => {
                return Err(AddressError::Scheme(other.to_owned()));
            }
            _ => {}
        }
        // The path of an address that was copied from a page does not matter.
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // Of a passcode that was not encoded the beginning would be taken for a port, and shown.
        let is_torn = rest[authority.len()..].contains('@');
        if is_torn && scheme.as_deref().is_none_or(|scheme| scheme == "stomp") {
            return Err(AddressError::Torn);
        }
        let (login, authority) = match authority.rsplit_once('@') {
            None => (None, authority),
            Some((user, authority)) if scheme.as_deref() == Some("stomp") => {
                let options = format!("stomp://{user}@host").parse::<Options>().map_err(|error| match error {
                    switchboard_client::Error::Url { problem, .. } => AddressError::Login(problem),
                    other => AddressError::Login(other.to_string()),
                })?;
                (options.login.map(|login| (login, options.passcode)), authority)
            }
            Some(_) => return Err(AddressError::User),
        };
        let (host, port) = split(authority).map_err(|error| if is_torn { AddressError::Torn } else { error })?;
        let is_web = matches!(scheme.as_deref(), Some("http" | "https"));
        let token = if is_web { token(rest)? } else { None };
        Ok(ServerAddress { scheme, host, port, login, token })
    }
}

/// The host, without the brackets of an IPv6 address, and the port.
fn split(authority: &str) -> Result<(String, Option<u16>), AddressError> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, behind) = rest.split_once(']').ok_or_else(|| AddressError::Host(authority.to_owned()))?;
        match behind.strip_prefix(':') {
            None if !behind.is_empty() => return Err(AddressError::Host(authority.to_owned())),
            port => (host, port),
        }
    } else if authority.matches(':').count() > 1 {
        // An IPv6 address without brackets can have no port.
        let address = authority.split_once('%').map_or(authority, |(address, _)| address);
        if address.parse::<Ipv6Addr>().is_err() {
            return Err(AddressError::Colons(authority.to_owned()));
        }
        (authority, None)
    } else {
        authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)))
    };
    if host.is_empty() {
        return Err(AddressError::NoHost);
    }
    if host.len() > LONGEST_HOST {
        return Err(AddressError::Long(host.len()));
    }
    let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:%".contains(&byte) || !byte.is_ascii());
    if !is_name {
        return Err(AddressError::Host(host.to_owned()));
    }
    let port = port.filter(|port| !port.is_empty()).map(|port| match port.parse() {
        Ok(number) if number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err(AddressError::Port(port.to_owned())),
    });
    Ok((host.to_owned(), port.transpose()?))
}

/// The token in the query of an address.
fn token(rest: &str) -> Result<Option<String>, AddressError> {
    let Some((_, query)) = rest.split('#').next().unwrap_or_default().split_once('?') else { return Ok(None) };
    let given = query.split('&').find_map(|pair| pair.strip_prefix("token="));
    let decode = |text| percent_decode_str(text).decode_utf8().map(Cow::into_owned).map_err(|_| AddressError::Token);
    given.map(decode).transpose()
}

impl ServerAddress {
    /// The access token of an address as the banner shows it on a terminal.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The host: a name or an IP address, without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The login and the passcode of STOMP, if there are any.
    pub(crate) fn login(&self) -> (Option<String>, Option<String>) {
        self.login.clone().map_or((None, None), |(login, passcode)| (Some(login), passcode))
    }

    /// The port of a door: the given one if it is this door's, else the door's own. A port without a scheme is that of
    /// whatever the command talks to.
    pub(crate) fn port(&self, door: Door) -> u16 {
        let is_own = self.scheme.as_deref().is_none_or(|scheme| door.schemes().contains(&scheme));
        let own = if is_own && self.is_https() { HTTPS } else { door.default_port() };
        self.port.filter(|_| is_own).unwrap_or(own)
    }

    /// Whether it is behind TLS: a proxy's, for no server of ours has any.
    pub(crate) fn is_https(&self) -> bool {
        self.scheme.as_deref() == Some("https")
    }

    /// `HOST:PORT`, with brackets where they are needed.
    pub(crate) fn authority(&self, door: Door) -> String {
        let port = self.port(door);
        if self.host.contains(':') { format!("[{}]:{port}", self.host) } else { format!("{}:{port}", self.host) }
    }

    /// Whether this is the address of a door by its scheme.
    pub(crate) fn is_explicitly(&self, door: Door) -> bool {
        self.scheme.as_deref().is_some_and(|scheme| door.schemes().contains(&scheme))
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}://")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// As it is displayed: without login and passcode.
impl fmt::Debug for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The environment variable of the server's address.
const VARIABLE: &str = "SWITCHBOARD_URL";
const DEFAULT: &str = "localhost";

/// The text of the option, or the default where the variable is there and empty: it counts as one that is not there.
pub(crate) fn or_default<'a>(text: &'a str, default: &'a str) -> &'a str {
    let is_empty = text.is_empty() && std::env::var_os(VARIABLE).is_some_and(|text| text.is_empty());
    if is_empty { default } else { text }
}

fn parse_or_default(text: &str) -> Result<ServerAddress, AddressError> {
    or_default(text, DEFAULT).parse()
}

/// The option of the server's address.
#[derive(Args, Clone, Debug)]
pub(crate) struct Server {
    /// Address of the server: a URL as the banner prints it, a host, or HOST:PORT. If the URL has another command's
    /// scheme, only its host is used.
    #[arg(
        long = "server",
        short = 's',
        value_name = "URL",
        env = VARIABLE,
        default_value = DEFAULT,
        hide_env_values = true,
        value_parser = parse_or_default
    )]
    pub(crate) address: ServerAddress,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native(text: &str) -> String {
        text.parse::<ServerAddress>().expect(text).authority(Door::Native)
    }

    fn http(text: &str) -> String {
        text.parse::<ServerAddress>().expect(text).authority(Door::BrokerHttp)
    }

    #[test]
    fn a_host_alone_has_the_port_of_the_command() {
        assert_eq!(native("localhost"), "localhost:25000");
        assert_eq!(http("broker.example"), "broker.example:25080");
        assert_eq!(http(" 192.0.2.7 "), "192.0.2.7:25080");
        assert_eq!(native("::1"), "[::1]:25000");
        assert_eq!(native("[::1]"), "[::1]:25000");
        assert_eq!("[::1]".parse::<ServerAddress>().expect("an address").host(), "::1");
    }

    #[test]
    fn a_port_without_a_scheme_counts() {
        assert_eq!(native("localhost:1"), "localhost:1");
        assert_eq!(http("[::1]:65535"), "[::1]:65535");
    }

    #[test]
    fn a_port_counts_only_where_the_scheme_is_the_commands_own() {
        assert_eq!(native("switchboard://broker:7"), "broker:7");
        assert_eq!(http("switchboard://broker:7"), "broker:25080");
        assert_eq!(native("http://127.0.0.1:25080/status?limit=1"), "127.0.0.1:25000");
        assert_eq!(http("HTTP://127.0.0.1:99/"), "127.0.0.1:99");
        assert_eq!(http("https://proxy.example"), "proxy.example:443");
        assert_eq!(http("https://proxy.example:444"), "proxy.example:444");
        assert_eq!(native("https://proxy.example"), "proxy.example:25000");
        let collector: ServerAddress = "tcp://[::1]:5556".parse().expect("an address");
        assert_eq!(collector.authority(Door::Collector), "[::1]:5556");
        assert_eq!(collector.authority(Door::MonitorHttp), "[::1]:8088");
        assert!(collector.is_explicitly(Door::Collector) && !collector.is_explicitly(Door::Native));
    }

    #[test]
    fn an_address_of_stomp_may_have_a_login_which_is_not_shown() {
        let address: ServerAddress = "stomp://me:a%40b@h:7".parse().expect("an address");
        assert_eq!(address.login(), (Some("me".into()), Some("a@b".into())));
        assert_eq!((address.authority(Door::Stomp), address.authority(Door::Native)), ("h:7".into(), "h:25000".into()));
        assert_eq!((address.to_string(), format!("{address:?}")), ("stomp://h:7".into(), "stomp://h:7".into()));
        let plain: ServerAddress = "stomp://h".parse().expect("an address");
        assert_eq!((plain.login(), plain.port(Door::Stomp)), ((None, None), 61613));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &str| text.parse::<ServerAddress>().expect_err(text).to_string();
        assert!(error("").contains("empty"));
        assert!(error("ftp://x").contains("ftp://"));
        assert!(error("http://").contains("no host"));
        assert!(error(":25000").contains("no host"));
        assert!(error("me:secret@host").contains("SWITCHBOARD_TOKEN"));
        assert!(error("switchboard://me@host").contains("SWITCHBOARD_TOKEN"));
        assert!(error("stomp://%ff@host").contains("login is not UTF-8"));
        assert!(error("stomp://me:a%0Ab@host").contains("passcode has a line end"));
        for port in ["0", "65536", "-1", "x", "+5"] {
            assert!(error(&format!("host:{port}")).contains("from 1 to 65535"), "{port}");
        }
        assert!(error("a b").contains("no host name"));
        assert!(error("[::1").contains("no host name"));
        assert!(error("[::1]x").contains("no host name"));
    }

    #[test]
    fn a_passcode_is_never_part_of_an_error() {
        for text in [
            "stomp://me:secret@h:x",
            "stomp://me:secret@a b",
            "stomp://me:secret%ff@h",
            "stomp://me:secret/1@h",
            "stomp://me:1/secret@h",
            "me:secret?1@h",
            "http://me:secret#1@h",
            "http://me:secret@h",
            "ftp://me:secret@h",
        ] {
            let error = text.parse::<ServerAddress>().expect_err(text);
            assert!(!format!("{error} {error:?}").contains("secret"), "{text}: {error}");
        }
        assert!("http://h/path@x".parse::<ServerAddress>().is_ok());
    }

    #[test]
    fn the_token_of_a_page_is_taken_and_not_shown() {
        for (text, token) in [
            ("http://h:1/?token=a%2Bb", Some("a+b")),
            ("https://h/page?x=1&token=secret#token=no", Some("secret")),
            ("http://h/?token=", Some("")),
            ("http://h/#?token=no", None),
            ("http://h/?other=secret", None),
            ("h:1", None),
        ] {
            let address: ServerAddress = text.parse().expect(text);
            assert_eq!(address.token(), token, "{text}");
            assert!(!format!("{address} {address:?}").contains("token"), "{text}");
        }
        assert!("http://h/?token=%ff".parse::<ServerAddress>().is_err());
    }

    #[test]
    fn a_host_that_cannot_be_is_refused_at_once() {
        let error = |text: &str| text.parse::<ServerAddress>().expect_err(text).to_string();
        assert!(error("127.0.0.1:27000:1").contains("no IPv6 address"));
        assert!(error("http://a:b:c").contains("more than one colon"));
        assert_eq!(native("fe80::1%eth0"), "[fe80::1%eth0]:25000");
        for length in [LONGEST_HOST - 1, LONGEST_HOST] {
            assert!("x".repeat(length).parse::<ServerAddress>().is_ok(), "{length}");
        }
        assert!(error(&"x".repeat(LONGEST_HOST + 1)).contains("at most 253 bytes; this one has 254"));
    }

    #[test]
    fn it_is_shown_as_it_was_given() {
        for text in ["localhost", "switchboard://[::1]:7", "http://a.example:80", "host:1"] {
            assert_eq!(text.parse::<ServerAddress>().expect(text).to_string(), text);
        }
    }
}
