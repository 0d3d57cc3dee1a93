use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::SocketAddr;
use std::sync::Arc;

/// Which hosts a listener answers as: `localhost`, the loopback addresses, the address that it is bound
/// to, and those that it was told.
#[derive(Clone, Debug)]
pub struct Guard(Arc<[String]>);

impl Guard {
    /// For a listener that is bound to `address`; `more` are names without a port.
    #[must_use]
    pub fn new(address: SocketAddr, more: &[String]) -> Guard {
        let bound = match address {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        };
        let own = ["localhost", "127.0.0.1", "[::1]", &bound].map(str::to_owned);
        Guard(own.into_iter().chain(more.iter().cloned()).collect())
    }

    fn is_own(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => name,
            _ => host,
        };
        self.0.iter().any(|own| name.eq_ignore_ascii_case(own))
    }
}

/// A layer for `axum::middleware::from_fn_with_state`: a page from elsewhere, open in the operator's
/// browser, must neither read (by a host name that was bent to this address) nor act (by a form or script
/// of another site).
pub async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = text(headers, header::HOST.as_str())
        .or_else(|| request.uri().authority().map(axum::http::uri::Authority::as_str));
    if !host.is_some_and(|host| guard.is_own(host)) {
        return (StatusCode::MISDIRECTED_REQUEST, "this host name is not served here\n").into_response();
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !reads && is_foreign(headers, host.unwrap_or_default()) {
        return (StatusCode::FORBIDDEN, "requests of other sites are refused\n").into_response();
    }
    next.run(request).await
}

fn is_foreign(headers: &HeaderMap, host: &str) -> bool {
    if let Some(site) = text(headers, "sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    // Programs send neither header.
    headers.contains_key(header::ORIGIN)
        && text(headers, header::ORIGIN.as_str())
            .and_then(|origin| origin.split_once("://"))
            .is_none_or(|(_, origin)| !origin.eq_ignore_ascii_case(host))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_are_answered() {
        let guard = Guard::new("192.0.2.7:25080".parse().unwrap(), &["monitor.example".into()]);
        let own = ["localhost", "LOCALHOST:25080", "127.0.0.1:1", "[::1]", "[::1]:25080", "192.0.2.7:25080"];
        for own in own.into_iter().chain(["monitor.example", "monitor.example:443"]) {
            assert!(guard.is_own(own), "{own}");
        }
        for other in ["", "evil.example", "localhost.evil.example:25080", "192.0.2.8", "127.0.0.1.evil.example"] {
            assert!(!guard.is_own(other), "{other}");
        }
    }

    #[test]
    fn other_sites_are_told_from_programs_and_own_pages() {
        let foreign = |name: &'static str, value: &'static str| {
            is_foreign(&HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]), "localhost:25080")
        };
        assert!(!is_foreign(&HeaderMap::new(), "localhost:25080"));
        assert!(!foreign("sec-fetch-site", "same-origin"));
        assert!(!foreign("origin", "http://localhost:25080"));
        assert!(foreign("sec-fetch-site", "cross-site"));
        assert!(foreign("sec-fetch-site", "same-site"));
        assert!(foreign("origin", "http://evil.example"));
        assert!(foreign("origin", "null"));
    }
}
