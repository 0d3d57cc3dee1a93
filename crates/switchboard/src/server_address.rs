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
    #[error("the scheme {0}:// is not known; write tcp://, ipc://, http:// or https://, or leave it out")]
    CollectorScheme(String),
    #[error("ipc:// is for `agent` alone; this command connects over TCP, to a host, HOST:PORT or a URL")]
    Ipc,
    #[error("one slash stands behind {0}: and there must be two, as in {0}://HOST")]
    Slash(String),
    #[error("{0} is not used here: leave it out")]
    Unused(String),
    #[error("it names no host")]
    NoHost,
    #[error("{0} is no port: it must be a number from 1 to 65535")]
    Port(String),
    #[error("{0} is no host name")]
    Host(String),
    #[error("the host {0} has letters that the DNS does not know: write the name that begins with xn-- there")]
    International(String),
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
        let is_scheme = |name: &str| name == "ipc" || Door::ALL.iter().any(|door| door.schemes().contains(&name));
        if let Some((name, _)) = text.split_once(":/").filter(|_| scheme.is_none()) {
            let name = name.to_ascii_lowercase();
            if is_scheme(&name) {
                return Err(AddressError::Slash(name));
            }
        }
        match scheme.as_deref() {
            Some("ipc") => return Err(AddressError::Ipc),
            Some(other) if !is_scheme(other) => {
                return Err(AddressError::Scheme(other.to_owned()));
            }
            _ => {}
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority_end = authority.len();
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
        let behind = &rest[authority_end..];
        check_behind(behind, is_web)?;
        let token = if is_web { token(behind)? } else { None };
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
    if !host.is_ascii() {
        return Err(AddressError::International(host.to_owned()));
    }
    let port = port.filter(|port| !port.is_empty()).map(|port| match port.parse() {
        Ok(number) if number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err(AddressError::Port(port.to_owned())),
    });
    Ok((host.to_owned(), port.transpose()?))
}

/// Refuses what stands behind the host and is not used: of a page's address the path does not matter, and the query has the
/// token. Values may be secrets, and are not repeated.
fn check_behind(behind: &str, is_web: bool) -> Result<(), AddressError> {
    let unused = |part: String| Err(AddressError::Unused(part));
    let (behind, fragment) = behind.split_once('#').unwrap_or((behind, ""));
    let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
    if !is_web && !matches!(path, "" | "/") {
        return unused("its path".to_owned());
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let is_plain = |key: &&str| key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        match pair.split_once('=').map(|(key, _)| key).filter(is_plain) {
            Some("token") if is_web => {}
            Some(key) => return unused(format!("the parameter {key} of its query")),
            None => return unused("its query".to_owned()),
        }
    }
    if fragment.is_empty() { Ok(()) } else { unused("what stands behind its #".to_owned()) }
}

/// The token in the query of an address.
fn token(behind: &str) -> Result<Option<String>, AddressError> {
    let Some((_, query)) = behind.split_once('?') else { return Ok(None) };
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
mod tests;
