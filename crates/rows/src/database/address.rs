use super::settings;
use super::tls::{self, Verify};
use crate::Error;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Time for one address of a server to accept, unless the address has a `connect_timeout`.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for sent bytes to be acknowledged, unless the address has a `tcp_user_timeout`.
const ACKNOWLEDGE: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(15);
/// PostgreSQL's, where the address has none.
const PORT: u16 = 5432;

/// A database's address: `postgres://user:password@host:port/name?sslmode=verify-full`, or `host=... dbname=...`.
///
/// | `sslmode` | |
/// |---|---|
/// | `disable` | no TLS |
/// | `prefer` (default) | TLS if the server has it; its certificate is not checked |
/// | `require` | TLS; the certificate is not checked, except with `sslrootcert` |
/// | `verify-ca`, `verify-full` | the certificate must be from an authority; with `verify-full` for this host |
///
/// `sslrootcert` names a PEM file of authorities; without one the system's count. Unix sockets have no TLS.
#[derive(Clone)]
pub struct Database {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
    certificates: Certificates,
}

impl FromStr for Database {
    type Err = Error;

    fn from_str(address: &str) -> Result<Database, Error> {
        let mut certificates = Certificates::default();
        let rest = certificates.take_from(address);
        let wrong = |reason: String| Error::Address { reason };
        if let Some((scheme, _)) = address.split_once("://")
            && !["postgres", "postgresql"].contains(&scheme)
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        {
            return Err(wrong(format!("{scheme}:// is no PostgreSQL; it is postgres://USER@HOST/NAME")));
        }
        let mut config: Config = rest.parse().map_err(|error: tokio_postgres::Error| {
            let source = std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
            wrong(format!("{error}{source}"))
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(wrong("it names no host".to_owned()));
        }
        let (mode, verify) = certificates.meaning().map_err(wrong)?;
        config.ssl_mode(mode);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(ACKNOWLEDGE);
        }
        config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE / 3).keepalives_retries(3);
        let tls = MakeRustlsConnect::new(tls::config(verify, certificates.root.as_deref()).map_err(wrong)?);
        Ok(Database { config, tls, certificates })
    }
}

impl Database {
    /// The same server and login, and another database.
    #[must_use]
    pub fn with_name(&self, name: &str) -> Database {
        let mut other = self.clone();
        other.config.dbname(name);
        other
    }

    /// Runs statements that give nothing, such as those that create tables, in one transaction unless they say so
    /// themselves. They have no time limit.
    ///
    /// # Errors
    /// [`Error::Rejected`] if the database refuses one, [`Error::Unknown`] if the connection was lost meanwhile.
    pub async fn run(&self, sql: &str) -> Result<(), Error> {
        let session = self.session(&settings("switchboard rows run", Duration::MAX, Duration::MAX)).await?;
        session.client().batch_execute(sql).await.map_err(|error| Error::from(error).after_write())
    }

    /// The variables by which psql and other programs of libpq find this database, and `DATABASE_URL`.
    ///
    /// They hold the password, if the address has one.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let hosts: Vec<String> = self.config.get_hosts().iter().map(host_text).collect();
        let ports = self.config.get_ports();
        let ports: Vec<String> = if ports.is_empty() { &[PORT] } else { ports }.iter().map(u16::to_string).collect();
        let mut variables = vec![("DATABASE_URL", self.url(&hosts, true)), ("PGHOST", hosts.join(","))];
        let addresses: Vec<String> = self.config.get_hostaddrs().iter().map(IpAddr::to_string).collect();
        let password = self.config.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
        let optional = [
            ("PGHOSTADDR", Some(addresses.join(",")).filter(|text| !text.is_empty())),
            ("PGPORT", Some(ports.join(","))),
            ("PGUSER", self.config.get_user().map(str::to_owned)),
            ("PGPASSWORD", password),
            ("PGDATABASE", self.name().map(str::to_owned)),
            ("PGSSLMODE", self.certificates.mode.clone()),
            ("PGSSLROOTCERT", self.certificates.root.as_ref().map(|path| path.display().to_string())),
        ];
        variables.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        variables
    }

    /// The address as a URL, to be shown: without the password.
    #[must_use]
    pub fn url_without_password(&self) -> String {
        let hosts: Vec<String> = self.config.get_hosts().iter().map(host_text).collect();
        self.url(&hosts, false)
    }

    /// The server's hosts and ports, to be shown.
    pub(crate) fn server(&self) -> String {
        let hosts: Vec<String> = self.config.get_hosts().iter().map(host_text).collect();
        self.places(&hosts)
    }

    /// Returns a failure to connect in words, with the server's address and the remedy.
    pub(super) fn not_connected(&self, error: tokio_postgres::Error) -> Error {
        let source = std::error::Error::source(&error);
        let Some(source) = source.and_then(|source| source.downcast_ref::<io::Error>()) else { return error.into() };
        let remedy = match source.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => "; PostgreSQL does not run there",
            ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                "; the network or a firewall is in between"
            }
            _ => "",
        };
        Error::unavailable(format!("cannot connect to {}: {source}{remedy}", self.server()))
    }

    /// Hosts with their ports.
    fn places(&self, hosts: &[String]) -> String {
        let ports = self.config.get_ports();
        let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(PORT);
        let show = |(at, host): (usize, &String)| match host.contains(':') {
            true => format!("[{host}]:{}", port(at)),
            false => format!("{host}:{}", port(at)),
        };
        hosts.iter().enumerate().map(show).collect::<Vec<String>>().join(" and ")
    }

    fn url(&self, hosts: &[String], with_password: bool) -> String {
        let encode = |text: &[u8]| percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut url = "postgresql://".to_owned();
        if let Some(user) = self.config.get_user() {
            url += &encode(user.as_bytes());
            if let Some(password) = self.config.get_password().filter(|_| with_password) {
                url += &format!(":{}", encode(password));
            }
            url.push('@');
        }
        let ports = self.config.get_ports();
        let places = hosts.iter().enumerate().map(|(at, host)| {
            let port = ports.get(at).or(ports.first()).copied().unwrap_or(PORT);
            let host = if host.contains(':') { format!("[{host}]") } else { encode(host.as_bytes()) };
            format!("{host}:{port}")
        });
        url += &places.collect::<Vec<String>>().join(",");
        url += &format!("/{}", encode(self.name().unwrap_or_default().as_bytes()));
        let root = self.certificates.root.as_ref().map(|path| encode(path.as_os_str().as_encoded_bytes()));
        let parameters = [("sslmode", self.certificates.mode.clone()), ("sslrootcert", root)];
        let parameters = parameters.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        let parameters = parameters.collect::<Vec<String>>().join("&");
        if parameters.is_empty() { url } else { format!("{url}?{parameters}") }
    }

    /// The database's name; the user's name unless the address has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.config.get_dbname().or(self.config.get_user())
    }
}

/// Shows hosts and name, never the password.
impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Database")
            .field("hosts", &self.config.get_hosts())
            .field("ports", &self.config.get_ports())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

fn host_text(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    }
}

/// The parameters that tokio-postgres does not know, or knows in part.
#[derive(Clone, Default)]
struct Certificates {
    mode: Option<String>,
    root: Option<PathBuf>,
}

impl Certificates {
    /// Takes the parameters out of the address.
    fn take_from(&mut self, address: &str) -> String {
        let is_url = address.starts_with("postgres://") || address.starts_with("postgresql://");
        match address.split_once('?') {
            Some((base, parameters)) if is_url => {
                let kept: Vec<&str> = parameters.split('&').filter(|pair| !self.take(pair)).collect();
                if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) }
            }
            _ if is_url => address.to_owned(),
            // A quoted value may hold blanks, and is then left alone.
            _ => address.split(' ').filter(|pair| !self.take(pair)).collect::<Vec<_>>().join(" "),
        }
    }

    fn take(&mut self, pair: &str) -> bool {
        match pair.split_once('=') {
            Some(("sslmode", mode)) => self.mode = Some(mode.to_owned()),
            Some(("sslrootcert", path)) => self.root = Some(PathBuf::from(unescaped(path))),
            _ => return false,
        }
        true
    }

    fn meaning(&self) -> Result<(SslMode, Verify), String> {
        let with_root = if self.root.is_some() { Verify::Authority } else { Verify::Nothing };
        match self.mode.as_deref() {
            Some("disable") => Ok((SslMode::Disable, Verify::Nothing)),
            None | Some("prefer" | "allow") => Ok((SslMode::Prefer, Verify::Nothing)),
            Some("require") => Ok((SslMode::Require, with_root)),
            Some("verify-ca") => Ok((SslMode::Require, Verify::Authority)),
            Some("verify-full") => Ok((SslMode::Require, Verify::Host)),
            Some(other) => Err(format!("sslmode {other} is none of disable, prefer, require, verify-ca, verify-full")),
        }
    }
}

/// Undoes percent-encoding; what is not well encoded stays.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sslmode_says_what_is_verified() {
        let verify = |text: &str| {
            let mut certificates = Certificates::default();
            certificates.take_from(text);
            certificates.meaning()
        };
        for (text, mode, verified) in [
            ("host=a", SslMode::Prefer, Verify::Nothing),
            ("host=a sslmode=disable", SslMode::Disable, Verify::Nothing),
            ("postgres://a/b?sslmode=require", SslMode::Require, Verify::Nothing),
            ("postgres://a/b?sslmode=require&sslrootcert=/c.pem", SslMode::Require, Verify::Authority),
            ("postgres://a/b?application_name=x&sslmode=verify-ca", SslMode::Require, Verify::Authority),
            ("sslmode=verify-full host=a", SslMode::Require, Verify::Host),
        ] {
            assert_eq!(verify(text), Ok((mode, verified)), "{text}");
        }
        assert!(verify("host=a sslmode=always").is_err());
    }

    #[test]
    fn other_parameters_stay() {
        let mut certificates = Certificates::default();
        let rest =
            certificates.take_from("postgres://a/b?application_name=x&sslrootcert=%2Fc%20d.pem&connect_timeout=3");
        assert_eq!(rest, "postgres://a/b?application_name=x&connect_timeout=3");
        assert_eq!(certificates.root, Some(PathBuf::from("/c d.pem")));
    }

    #[test]
    fn an_address_without_a_host_or_with_a_mistake_is_an_error() {
        for address in ["", "postgres:///x", "postgres://a:notaport/b", "host=a sslmode=x", "nonsense"] {
            assert!(address.parse::<Database>().is_err(), "{address}");
        }
    }

    #[test]
    fn the_variables_and_the_url_in_them_lead_to_the_same_database() {
        for (text, url) in [
            ("postgres://me:s%40cret@db.test:5433/x", "postgresql://me:s%40cret@db%2Etest:5433/x"),
            ("host=/run/a user=me dbname=x sslmode=disable", "postgresql://me@%2Frun%2Fa:5432/x?sslmode=disable"),
            ("host=a,b port=1,2 user=me", "postgresql://me@a:1,b:2/me"),
            ("postgres://me@[::1]:5433/x?sslmode=require", "postgresql://me@[::1]:5433/x?sslmode=require"),
        ] {
            let database: Database = text.parse().expect("an address");
            let variables = database.environment();
            let value =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
            assert_eq!(value("DATABASE_URL"), Some(url), "{text}");
            let again: Database = url.parse().expect("an address");
            assert_eq!(again.environment(), variables, "{text}");
            assert_eq!(value("PGUSER"), Some("me"));
            assert_eq!(value("PGPASSWORD"), text.contains("cret").then_some("s@cret"));
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let database: Database = "postgres://me:secret@localhost/x".parse().expect("an address");
        assert!(!format!("{database:?}").contains("secret"));
    }
}
