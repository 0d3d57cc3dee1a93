//! Who is answered: the host, the site and the token of each request.

use crate::connections::Via;
use crate::errors::{close, plain};
use crate::hosts::{Hosts, Unclear, Way, host_of, is_cross_site, is_forwarded, is_of, is_upgrade};
use crate::{Options, Token, login, session};
use axum::extract::{Request, State};
use axum::http::header::{ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, COOKIE};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

/// What the listeners of one service ask of a request.
#[derive(Debug)]
pub(crate) struct Access {
    hosts: Hosts,
    origins: Vec<String>,
    socket_origins: Vec<String>,
    pub(crate) token: Option<Token>,
    metrics_open: bool,
    pub(crate) body_timeout: std::time::Duration,
}

impl Access {
    pub(crate) fn new(options: &Options) -> Access {
        Access {
            hosts: options.hosts.clone(),
            origins: options.origins.clone(),
            socket_origins: options.socket_origins.clone(),
            token: options.token.clone(),
            metrics_open: options.metrics_open,
            body_timeout: options.limits.body_timeout,
        }
    }

    /// Paths that probes and, by a setting, Prometheus ask without a token.
    fn is_open(&self, path: &str) -> bool {
        matches!(path, "/healthz" | "/readyz") || self.metrics_open && path == "/metrics"
    }
}

/// What becomes of a request.
pub(crate) enum Verdict<'a> {
    /// It is answered.
    Admitted,
    /// It is refused with this.
    Refused(Response),
    /// It needs this token, and nobody has looked yet whether it shows it.
    Unauthorized(&'a Token),
}

impl Access {
    /// Checks host, site and token, in this order.
    pub(crate) fn judge<B>(&self, via: &Via, request: &Request<B>) -> Verdict<'_> {
        let host = match host_of(request) {
            Ok(host) => host,
            Err(Unclear) => {
                let text = "a request needs one Host header, which names this server";
                return Verdict::Refused(close(plain(StatusCode::BAD_REQUEST, text)));
            }
        };
        // HTTP/1.0 without a host comes from a program, over the listener's own address.
        let way = host.map_or(Way::Loopback, |host| self.hosts.way(host));
        if way == Way::Foreign {
            let host = host.unwrap_or_default().escape_debug();
            let text =
                format!("the host {host} is not served here; add its name to the setting http.hosts to allow it");
            return Verdict::Refused(plain(StatusCode::MISDIRECTED_REQUEST, &text));
        }
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let is_allowed_site = is_of(request.headers(), &self.origins);
        // A browser lets any page open a WebSocket, and asks nobody.
        let upgrades = is_upgrade(request.headers());
        let is_allowed = is_allowed_site || upgrades && is_of(request.headers(), &self.socket_origins);
        if (!reads || upgrades) && !is_allowed && is_cross_site(request.headers(), host) {
            let text = if upgrades {
                "a WebSocket is refused if another site's page opens it (the broker's setting: stomp-origins)"
            } else {
                "requests that change something are refused if another site makes them"
            };
            return Verdict::Refused(plain(StatusCode::FORBIDDEN, text));
        }
        // A browser asks without the token whether the page may ask with it.
        if is_allowed_site && is_preflight(request) {
            return Verdict::Admitted;
        }
        let (local, is_open) = (is_local(via.listener, way, request.headers()), self.is_open(request.uri().path()));
        match &self.token {
            None if local || is_open => Verdict::Admitted,
            None => Verdict::Refused(plain(StatusCode::UNAUTHORIZED, NO_TOKEN)),
            // A token of the operator's choice is asked for everywhere, one that was made beyond loopback only.
            Some(token) if local && token.file().is_some() || is_open => Verdict::Admitted,
            Some(token) => Verdict::Unauthorized(token),
        }
    }
}

/// The layer that lets those requests pass that are to be answered.
pub(crate) async fn check(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let Some(via) = request.extensions().get::<Via>().cloned() else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "the request came over no listener");
    };
    match access.judge(&via, &request) {
        Verdict::Admitted => next.run(request).await,
        Verdict::Refused(response) => response,
        Verdict::Unauthorized(token) => authorize(token, &access, &via, request, next).await,
    }
}

const NO_TOKEN: &str = "a request that comes through a proxy or by this address needs a token, and this server has none; set \
                        SWITCHBOARD_TOKEN where it runs";

fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Returns true if the request can only come from this machine. A proxy on this machine passes on what comes from
/// others, and shows by the host that was asked for or by a header.
fn is_local(listener: SocketAddr, way: Way, headers: &HeaderMap) -> bool {
    listener.ip().to_canonical().is_loopback() && way == Way::Loopback && !is_forwarded(headers)
}

impl Access {
    /// Returns true if a request is admitted as it stands: by where it comes from, or by the token in its headers.
    pub(crate) fn admits<B>(&self, via: &Via, request: &Request<B>) -> bool {
        match self.judge(via, request) {
            Verdict::Admitted => true,
            Verdict::Refused(_) => false,
            Verdict::Unauthorized(token) => knows(request.headers(), token, via.listener.port()),
        }
    }
}

async fn authorize(token: &Token, access: &Access, via: &Via, request: Request, next: Next) -> Response {
    let port = via.listener.port();
    if matches!(*request.method(), Method::GET | Method::HEAD)
        && let Some((offered, rest)) = take_token(request.uri())
        && token.is_same(&offered)
    {
        if is_upgrade(request.headers()) {
            // A WebSocket follows no redirect, and its address is in nobody's address bar.
            return next.run(request).await;
        }
        // Away from the address bar and the history of the browser, at once.
        return login::redirect(&rest, session::set_cookie(token, port));
    }
    if request.uri().path() == login::PATH && request.method() == Method::POST {
        return login::submit(token, access, via, request).await;
    }
    if knows(request.headers(), token, port) {
        return next.run(request).await;
    }
    let offers = request.headers().contains_key(AUTHORIZATION) || take_token(request.uri()).is_some();
    login::ask(&request, if offers { login::WRONG } else { login::NEEDED })
}

/// Returns the value of `?token=` and the address without it.
fn take_token(uri: &Uri) -> Option<(Cow<'_, [u8]>, String)> {
    let is_token = |pair: &&str| pair.split_once('=').is_some_and(|(key, _)| key == "token");
    let query = uri.query()?;
    let offered = query.split('&').find(is_token)?;
    let rest: Vec<&str> = query.split('&').filter(|pair| !is_token(pair) && !pair.is_empty()).collect();
    let rest = if rest.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), rest.join("&")) };
    // Not as a form, where `+` is a blank: a token has none.
    Some((percent_decode_str(offered.strip_prefix("token=")?).into(), rest))
}

fn knows(headers: &HeaderMap, token: &Token, port: u16) -> bool {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, offered) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| offered.trim())
    });
    if bearer.is_some_and(|offered| token.is_same(offered.as_bytes())) {
        return true;
    }
    let name = session::name(port);
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(known, _)| *known == name).any(|(_, value)| session::is_valid(token, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_out_of_an_address_and_the_rest_stays() {
        let take = |uri: &str| {
            take_token(&uri.parse().unwrap())
                .map(|(offered, rest)| (String::from_utf8_lossy(&offered).into_owned(), rest))
        };
        let some = |offered: &str, rest: &str| Some((offered.to_owned(), rest.to_owned()));
        assert_eq!(take("/?token=abc"), some("abc", "/"));
        assert_eq!(take("/a?from=1&token=abc&to=2"), some("abc", "/a?from=1&to=2"));
        assert_eq!(take("/?token=a%2Bb%26c%25d+e"), some("a+b&c%d+e", "/"));
        assert_eq!(take("/?token="), some("", "/"));
        assert_eq!(take("/?token=a&token=b&x"), some("a", "/?x"));
        assert_eq!(take("/?mytoken=abc&tokens=1"), None);
        assert_eq!(take("/?token"), None);
        assert_eq!(take("/"), None);
    }

    #[test]
    fn a_proxy_on_this_machine_is_not_local() {
        let (loopback, other) = ("127.0.0.1:1".parse().unwrap(), "0.0.0.0:1".parse().unwrap());
        let none = HeaderMap::new();
        assert!(is_local(loopback, Way::Loopback, &none));
        assert!(is_local("[::1]:1".parse().unwrap(), Way::Loopback, &none));
        assert!(!is_local(loopback, Way::Network, &none));
        assert!(!is_local(other, Way::Loopback, &none));
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"] {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), "127.0.0.1".parse().unwrap())]);
            assert!(!is_local(loopback, Way::Loopback, &headers), "{name}");
        }
    }

    #[test]
    fn a_bearer_or_a_cookie_of_this_port_is_enough() {
        let token = Token::new("0123456789abcdef").unwrap();
        let cookie = session::set_cookie(&token, 80);
        let cookie = cookie.split(';').next().unwrap();
        let with = |name: &'static str, value: &str| {
            knows(&HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]), &token, 80)
        };
        assert!(with("authorization", "Bearer 0123456789abcdef"));
        assert!(with("authorization", "bearer  0123456789abcdef "));
        assert!(with("cookie", cookie));
        assert!(with("cookie", &format!("a=b; switchboard-80=old; {cookie}; c")));
        assert!(!with("cookie", &cookie.replace("-80", "-81")));
        assert!(!with("cookie", "switchboard-80=0123456789abcdef"));
        for wrong in ["", "Bearer", "Bearer ", "Basic 0123456789abcdef", "0123456789abcdef", "Bearer 0123456789abcdeg"]
        {
            assert!(!with("authorization", wrong), "{wrong}");
        }
    }
}
