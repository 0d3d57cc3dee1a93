//! Which host names are answered.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Request, Version, header};
use parking_lot::RwLock;
use std::net::IpAddr;
use std::sync::Arc;

/// Names under which a service may be asked, beside `localhost` and every IP address; without a port. Clones share them:
/// they can be changed while the service runs.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Arc<RwLock<Vec<String>>>);

/// The way of a request, by its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By a loopback name or address, so from this machine if the listener is on loopback.
    Loopback,
    /// By another address, or a name of the setting.
    Network,
    /// By a name that may have been rebound to this machine.
    Foreign,
}

/// A request without one clear host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unclear;

impl Hosts {
    /// These names.
    #[must_use]
    pub fn new(names: &[String]) -> Hosts {
        let hosts = Hosts::default();
        hosts.set(names);
        hosts
    }

    /// Replaces the names, for every clone and every request from now on.
    pub fn set(&self, names: &[String]) {
        *self.0.write() = names.iter().map(|name| name.trim_end_matches('.').to_owned()).collect();
    }

    /// The names.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.read().clone()
    }

    pub(crate) fn way(&self, host: &str) -> Way {
        let name = without_port(host).trim_end_matches('.');
        if name.eq_ignore_ascii_case("localhost") {
            return Way::Loopback;
        }
        // An IP address cannot be rebound: whoever has it in the address bar asks this machine.
        match literal(name) {
            Some(ip) if ip.to_canonical().is_loopback() => Way::Loopback,
            Some(_) => Way::Network,
            None if self.0.read().iter().any(|known| name.eq_ignore_ascii_case(known)) => Way::Network,
            None => Way::Foreign,
        }
    }
}

/// Returns the host that a request asks for, with its port. HTTP/1.0 has none: every browser sends one, so a request without
/// comes from a program.
pub(crate) fn host_of<B>(request: &Request<B>) -> Result<Option<&str>, Unclear> {
    let mut named = request.headers().get_all(header::HOST).iter();
    let (first, second) = (named.next(), named.next());
    if second.is_some() {
        return Err(Unclear);
    }
    let named = first.map(|value| value.to_str().map_err(|_| Unclear)).transpose()?;
    // A request line with a whole address overrides the header.
    match (request.uri().authority().map(Authority::as_str), named) {
        (Some(authority), _) => Ok(Some(authority)),
        (None, Some("")) => Err(Unclear),
        (None, None) if request.version() >= Version::HTTP_11 => Err(Unclear),
        (None, named) => Ok(named),
    }
}

/// Returns true if a page of another site made this request.
pub(crate) fn is_cross_site(headers: &HeaderMap, host: Option<&str>) -> bool {
    if let Some(site) = text(headers, "sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    // Programs send neither header.
    headers.contains_key(header::ORIGIN)
        && text(headers, header::ORIGIN.as_str())
            .and_then(|origin| origin.split_once("://"))
            .is_none_or(|(_, origin)| host.is_none_or(|host| !origin.eq_ignore_ascii_case(host)))
}

/// Returns true if a page of another site made this request, by `Sec-Fetch-Site` or else `Origin`: for a GET that has an
/// effect, since every other method is refused before.
pub fn is_foreign<B>(request: &Request<B>) -> bool {
    host_of(request).is_ok_and(|host| is_cross_site(request.headers(), host))
}

/// Returns true if a page of one of these sites made this request.
pub(crate) fn is_of(headers: &HeaderMap, origins: &[String]) -> bool {
    if origins.is_empty() {
        return false;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    origins.iter().any(|allowed| allowed == "*" || allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
}

/// Returns true if a request asks for another protocol on its connection, as a WebSocket's does.
pub(crate) fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
}

/// Returns true if a proxy says that it has passed the request on.
pub(crate) fn is_forwarded(headers: &HeaderMap) -> bool {
    // A look at each name costs less than a search for each of these.
    headers
        .keys()
        .any(|name| matches!(name.as_str(), "forwarded" | "x-forwarded-for" | "x-forwarded-host" | "x-real-ip" | "via"))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

pub(crate) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

pub(crate) fn literal(name: &str) -> Option<IpAddr> {
    match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(name) => name.split('%').next()?.parse().ok().map(IpAddr::V6),
        None => name.parse().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_ip_addresses_and_known_names_are_answered() {
        let hosts = Hosts::new(&["monitor.example".into(), "dotted.example.".into()]);
        for loopback in [
            "localhost",
            "LOCALHOST:25080",
            "localhost.",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]",
            "[::1]:25080",
            "[::ffff:127.0.0.1]",
        ] {
            assert_eq!(hosts.way(loopback), Way::Loopback, "{loopback}");
        }
        for network in [
            "192.0.2.7:25080",
            "203.0.113.1",
            "[2001:db8::1]:80",
            "[fe80::1%eth0]",
            "0.0.0.0:1",
            "monitor.example",
            "Monitor.Example:443",
            "monitor.example.",
            "dotted.example",
        ] {
            assert_eq!(hosts.way(network), Way::Network, "{network}");
        }
        for foreign in [
            "",
            ":",
            "evil.example",
            "localhost.evil.example:25080",
            "127.0.0.1.evil.example",
            "xlocalhost",
            "127.1",
            "0x7f000001",
            "2130706433",
            "::1",
            "[::1",
            "[evil.example]",
            "a.monitor.example",
            "1.2.3.4.5",
            "[1.2.3.4]",
        ] {
            assert_eq!(hosts.way(foreign), Way::Foreign, "{foreign}");
        }
    }

    #[test]
    fn names_that_are_set_later_are_in_force_for_every_clone() {
        let hosts = Hosts::new(&["a.example".into()]);
        let clone = hosts.clone();
        hosts.set(&["b.example".into()]);
        assert_eq!((clone.way("a.example"), clone.way("b.example")), (Way::Foreign, Way::Network));
        assert_eq!(clone.names(), ["b.example"]);
    }

    #[test]
    fn a_request_has_one_host_or_is_http_1_0() {
        let host = |version, uri: &str, hosts: &[&str]| {
            let mut request = Request::builder().version(version).uri(uri);
            for host in hosts {
                request = request.header("host", *host);
            }
            host_of(&request.body(()).unwrap()).map(|host| host.map(str::to_owned))
        };
        let (old, new) = (Version::HTTP_10, Version::HTTP_11);
        assert_eq!(host(new, "/", &["a:1"]), Ok(Some("a:1".into())));
        assert_eq!(host(new, "http://b/", &["a"]), Ok(Some("b".into())));
        assert_eq!(host(old, "/", &[]), Ok(None));
        assert_eq!(host(new, "/", &[]), Err(Unclear));
        assert_eq!(host(new, "/", &[""]), Err(Unclear));
        assert_eq!(host(new, "/", &["a", "a"]), Err(Unclear));
        assert_eq!(host(old, "/", &["a", "b"]), Err(Unclear));
    }

    #[test]
    fn other_sites_are_told_from_programs_and_own_pages() {
        let cross = |name: &'static str, value: &'static str| {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            is_cross_site(&headers, Some("localhost:25080"))
        };
        assert!(!is_cross_site(&HeaderMap::new(), Some("localhost:25080")));
        assert!(!cross("sec-fetch-site", "same-origin"));
        assert!(!cross("sec-fetch-site", "none"));
        assert!(!cross("origin", "http://localhost:25080"));
        assert!(cross("sec-fetch-site", "cross-site"));
        assert!(cross("sec-fetch-site", "same-site"));
        assert!(cross("origin", "http://evil.example"));
        assert!(cross("origin", "http://localhost:25081"));
        assert!(cross("origin", "null"));
    }

    #[test]
    fn a_site_is_of_the_list_by_its_whole_origin() {
        let of = |origin: &'static str, origins: &[&str]| {
            let headers = HeaderMap::from_iter([(header::ORIGIN, origin.parse().unwrap())]);
            is_of(&headers, &origins.iter().map(|&origin| origin.to_owned()).collect::<Vec<_>>())
        };
        assert!(of("https://app.example", &["https://other.example", "https://app.example"]));
        assert!(of("https://App.example", &["https://app.example"]));
        assert!(of("null", &["*"]));
        for origin in ["http://app.example", "https://app.example:8443", "https://app.example.evil", "null"] {
            assert!(!of(origin, &["https://app.example"]), "{origin}");
        }
        assert!(!is_of(&HeaderMap::new(), &["*".into()]));
    }
}
