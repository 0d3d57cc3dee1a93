//! Hosts, the token, the login, and other sites.

mod common;

use axum::Router;
use axum::routing::{get, post};
use common::{HTTP, Running};
use std::path::Path;
use switchboard_web::{Hosts, HttpServer, Immediate, Options, Token};

/// With characters that mean something in an address and in a form.
const SECRET: &str = "s3cret+&%=?#/token";
const ENCODED: &str = "s3cret%2B%26%25%3D%3F%23%2Ftoken";

fn router() -> Router {
    let here = || async { "here\n" };
    Router::new()
        .route("/", get(here))
        .route("/healthz", get(here))
        .route("/readyz", get(here))
        .route("/metrics", get(here))
        .route("/act", post(here))
}

/// A server on loopback whose token the operator has chosen, so that it is asked for there too.
async fn chosen() -> Running {
    let token = Some(Token::new(SECRET).expect("a token"));
    Running::with(router(), Options { token, ..Options::default() }).await
}

async fn status(server: &Running, line: &str, headers: &str) -> u16 {
    let answer = server.ask(&format!("{line} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n")).await;
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

const LOCAL: &str = "Host: localhost\r\n";

#[tokio::test]
async fn a_chosen_token_is_asked_for_everywhere_but_of_probes() {
    let server = chosen().await;
    for line in
        ["GET /", "GET /none", "GET /metrics", "HEAD /", "POST /act", "DELETE /", "GET /healthz/", "GET //healthz"]
    {
        assert_eq!(status(&server, line, LOCAL).await, 401, "{line}");
    }
    for line in ["GET /healthz", "GET /readyz", "HEAD /healthz"] {
        assert_eq!(status(&server, line, LOCAL).await, 200, "{line}");
    }
    let bearer = format!("{LOCAL}Authorization: Bearer {SECRET}\r\n");
    for (line, expected) in [("GET /", 200), ("GET /none", 404), ("GET /metrics", 200), ("POST /act", 200)] {
        assert_eq!(status(&server, line, &bearer).await, expected, "{line}");
    }
    let answer = server.get("/").await;
    assert!(answer.contains("www-authenticate: Bearer") && answer.contains("SWITCHBOARD_TOKEN"), "{answer}");
}

#[tokio::test]
async fn an_answer_that_is_waited_for_passes_the_same_checks_and_may_leave_the_request_to_the_router() {
    let token = Some(Token::new(SECRET).expect("a token"));
    let options = Options { token, ..Options::default() };
    let server = HttpServer::bind(&["127.0.0.1:0".into()], HTTP, options).await.expect("a free port");
    let server = server.immediate(|uri, _| {
        let is_late = uri.path() == "/late";
        Immediate::Later(Box::pin(async move {
            tokio::task::yield_now().await;
            let mut extensions = axum::http::Extensions::new();
            extensions.insert("waited");
            if is_late { Ok(axum::response::Response::new("late\n".into())) } else { Err(extensions) }
        }))
    });
    let told = |waited: Option<axum::Extension<&'static str>>| async move {
        waited.map_or("not asked\n", |axum::Extension(waited)| waited)
    };
    let routes = Router::new().route("/routed", get(told).post(told));
    let server = Running::of(server, routes);
    let bearer = format!("{LOCAL}Authorization: Bearer {SECRET}\r\n");
    for (line, headers, expected) in [
        ("GET /late", &*bearer, Some("late\n")),
        ("GET /routed", &bearer, Some("waited")),
        ("GET /routed", &format!("{bearer}Content-Length: 1\r\n\r\nx"), Some("not asked\n")),
        ("POST /routed", &bearer, Some("not asked\n")),
        ("GET /late", LOCAL, None),
        ("GET /late", "Host: rebound.example\r\n", None),
    ] {
        let answer = server.ask(&format!("{line} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n")).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        assert_eq!(head.starts_with("HTTP/1.1 200"), expected.is_some(), "{line} {headers}: {answer}");
        assert!(expected.is_none_or(|expected| body == expected), "{line} {headers}: {answer}");
    }
    // Nothing is there for the router.
    let answer = server.ask(&format!("GET /none HTTP/1.1\r\nConnection: close\r\n{bearer}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.ends_with("there is no /none\n"), "{answer}");
    // Two on one connection.
    let mut client = server.connect().await;
    for _ in 0..2 {
        client.write(&format!("GET /late HTTP/1.1\r\n{bearer}\r\n")).await;
        client.until("late\n").await;
    }
}

#[tokio::test]
async fn an_immediate_answer_passes_the_same_checks_and_takes_no_other_request_s_place() {
    let token = Some(Token::new(SECRET).expect("a token"));
    let options = Options { token, ..Options::default() };
    let server = HttpServer::bind(&["127.0.0.1:0".into()], HTTP, options).await.expect("a free port");
    let server = server
        .immediate(|uri, _| (uri.path() != "/healthz").then(|| axum::response::Response::new("at once\n".into())));
    let server = Running::of(server, router());
    let bearer = format!("{LOCAL}Authorization: Bearer {SECRET}\r\n");
    for (line, headers, expected) in [
        ("GET /", &*bearer, Some("at once\n")),
        ("GET /none", &bearer, Some("at once\n")),
        ("GET /healthz", &bearer, Some("here\n")),
        ("GET /", &format!("{bearer}Content-Length: 1\r\n\r\nx"), Some("here\n")),
        ("HEAD /", &bearer, Some("")),
        ("POST /act", &bearer, Some("here\n")),
        ("GET /", LOCAL, None),
        ("GET /", "Host: localhost\r\nAuthorization: Bearer no\r\n", None),
        ("GET /", "Host: rebound.example\r\n", None),
        ("GET /", &format!("Host: a.example\r\nAuthorization: Bearer {SECRET}\r\n"), None),
    ] {
        let answer = server.ask(&format!("{line} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n")).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        assert_eq!(head.starts_with("HTTP/1.1 200"), expected.is_some(), "{line} {headers}: {answer}");
        assert!(expected.is_none_or(|expected| body == expected), "{line} {headers}: {answer}");
        assert!(expected.is_some() || !answer.contains("at once"), "{answer}");
    }
    // Two on one connection.
    let mut client = server.connect().await;
    for _ in 0..2 {
        client.write(&format!("GET / HTTP/1.1\r\n{bearer}\r\n")).await;
        client.until("at once\n").await;
    }
    server.stop().await;
}

#[tokio::test]
async fn metrics_are_open_by_a_setting() {
    let token = Some(Token::new(SECRET).expect("a token"));
    let server = Running::with(router(), Options { token, metrics_open: true, ..Options::default() }).await;
    assert_eq!(status(&server, "GET /metrics", LOCAL).await, 200);
    assert_eq!(status(&server, "GET /metrics/x", LOCAL).await, 401);
    assert_eq!(status(&server, "GET /metrics", "Host: evil.example\r\n").await, 421);
}

#[tokio::test]
async fn a_made_token_is_asked_for_of_what_a_proxy_passes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = Options {
        hosts: Hosts::new(&["monitor.example".into()]),
        token_file: Some(directory.path().join("token")),
        ..Options::default()
    };
    let server = Running::with(router(), options).await;
    for local in ["Host: localhost\r\n", "Host: 127.0.0.1\r\n", "Host: [::1]:1\r\n"] {
        assert_eq!(status(&server, "GET /", local).await, 200, "{local}");
        for header in
            ["X-Forwarded-For: 127.0.0.1", "Forwarded: for=1", "X-Real-IP: 1", "Via: 1.1 x", "X-Forwarded-Host: a"]
        {
            assert_eq!(status(&server, "GET /", &format!("{local}{header}\r\n")).await, 401, "{header}");
        }
    }
    let token = std::fs::read_to_string(directory.path().join("token")).expect("a token");
    for network in ["Host: monitor.example\r\n", "Host: 192.0.2.1:80\r\n"] {
        assert_eq!(status(&server, "GET /", network).await, 401, "{network}");
        let bearer = format!("{network}Authorization: Bearer {}\r\n", token.trim());
        assert_eq!(status(&server, "GET /", &bearer).await, 200, "{network}");
    }
    let answer = server.ask("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 421") && answer.contains("evil.example") && answer.contains("http.hosts"),
        "{answer}"
    );
}

#[tokio::test]
async fn without_any_token_only_local_requests_are_answered() {
    let server = Running::with(router(), Options::default()).await;
    assert_eq!(status(&server, "POST /act", LOCAL).await, 200);
    for headers in ["Host: 192.0.2.1\r\n", "Host: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n"] {
        assert_eq!(status(&server, "POST /act", headers).await, 401, "{headers}");
        assert_eq!(status(&server, "GET /healthz", headers).await, 200, "{headers}");
    }
}

#[tokio::test]
async fn a_listener_beyond_loopback_needs_a_token_or_does_not_start() {
    let bind = |file: Option<&Path>| {
        let options = Options { token_file: file.map(Path::to_owned), ..Options::default() };
        async move { HttpServer::bind(&["0.0.0.0:0".into()], HTTP, options).await }
    };
    let error = bind(None).await.expect_err("no token").to_string();
    assert!(error.contains("SWITCHBOARD_TOKEN"), "{error}");
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("token");
    let made = bind(Some(&file)).await.expect("a token is made");
    assert_eq!(made.token().and_then(Token::file), Some(&*file));
    assert!(bind(Some(Path::new("/proc/token"))).await.is_err());
    let local = HttpServer::bind(&["127.0.0.1:0".into()], HTTP, Options::default()).await.expect("no token is needed");
    assert!(local.token().is_none());
}

/// The value of the cookie that an answer sets.
fn cookie(answer: &str) -> String {
    let cookie =
        answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap_or_else(|| panic!("{answer}"));
    assert!(
        cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax") && !cookie.contains("s3cret"),
        "{cookie}"
    );
    cookie.split(';').next().expect("a pair").to_owned()
}

#[tokio::test]
async fn an_address_with_the_token_logs_in_and_keeps_the_rest() {
    let server = chosen().await;
    let answer = server.get(&format!("/?from=1&token={ENCODED}&to=2%20")).await;
    assert!(answer.starts_with("HTTP/1.1 303") && answer.contains("\r\nlocation: /?from=1&to=2%20\r\n"), "{answer}");
    let cookie = cookie(&answer);
    let logged_in = format!("{LOCAL}Cookie: {cookie}\r\n");
    assert_eq!(status(&server, "GET /", &logged_in).await, 200);
    assert_eq!(status(&server, "POST /act", &logged_in).await, 200);
    for wrong in ["/?token=wrong", "/?token=", "/?token", &format!("/?token={SECRET}")] {
        assert_eq!(status(&server, &format!("GET {wrong}"), LOCAL).await, 401, "{wrong}");
    }
    // Not on a request that changes something.
    assert_eq!(status(&server, &format!("POST /act?token={ENCODED}"), LOCAL).await, 401);
}

#[tokio::test]
async fn two_servers_on_one_host_do_not_log_each_other_out() {
    let (first, second) = (chosen().await, chosen().await);
    let target = format!("/?token={ENCODED}");
    let (one, other) = (cookie(&first.get(&target).await), cookie(&second.get(&target).await));
    // A browser keeps one cookie of a name for all ports of a host.
    assert_ne!(one.split_once('=').map(|(name, _)| name), other.split_once('=').map(|(name, _)| name));
    let both = format!("{LOCAL}Cookie: {one}; {other}\r\n");
    assert_eq!((status(&first, "GET /", &both).await, status(&second, "GET /", &both).await), (200, 200));
}

#[tokio::test]
async fn a_browser_logs_in_through_a_form() {
    let server = chosen().await;
    let page = "GET /?range=5m&filter=\"><script> HTTP/1.1\r\nHost: localhost\r\nAccept: text/html,*/*;q=0.8\r\nConnection: close\r\n\r\n";
    let page = page.replace("\"><script>", "%22%3E%3Cscript%3E'");
    let form = server.ask(&page).await;
    assert!(form.starts_with("HTTP/1.1 401") && form.contains("<form method=\"post\""), "{form}");
    assert!(form.contains("referrer-policy: same-origin") && form.contains("frame-ancestors 'none'"), "{form}");
    let action = form.split("action=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an action");
    let submit = async |token: &str, headers: &str| {
        let body = format!("token={token}");
        let head = format!(
            "POST {action} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        server.ask(&(head + &body)).await
    };
    let origin = "Origin: http://localhost\r\n";
    let answer = submit(&format!("+{ENCODED}+"), origin).await;
    assert!(answer.contains("\r\nlocation: /?range=5m&filter=%22%3E%3Cscript%3E'\r\n"), "{answer}");
    assert_eq!(status(&server, "GET /", &format!("{LOCAL}Cookie: {}\r\n", cookie(&answer))).await, 200);
    let wrong = submit("wrong", origin).await;
    assert!(
        wrong.starts_with("HTTP/1.1 401") && wrong.contains("not the access token") && !wrong.contains("set-cookie"),
        "{wrong}"
    );
    assert!(submit("", origin).await.starts_with("HTTP/1.1 401"));
    assert!(submit(&"x".repeat(10_000), origin).await.starts_with("HTTP/1.1 413"));
    for foreign in ["Origin: http://evil.example\r\n", "Origin: null\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        assert!(submit(ENCODED, foreign).await.starts_with("HTTP/1.1 403"), "{foreign}");
    }
}

#[tokio::test]
async fn a_cookie_lets_other_sites_do_nothing() {
    let server = chosen().await;
    let cookie = cookie(&server.get(&format!("/?token={ENCODED}")).await);
    for site in [
        "Origin: http://evil.example",
        "Origin: http://localhost:1",
        "Sec-Fetch-Site: same-site",
        "Sec-Fetch-Site: cross-site",
    ] {
        let headers = format!("{LOCAL}Cookie: {cookie}\r\n{site}\r\n");
        assert_eq!(status(&server, "POST /act", &headers).await, 403, "{site}");
    }
    // A link from there opens the page.
    let link = format!("{LOCAL}Cookie: {cookie}\r\nSec-Fetch-Site: cross-site\r\n");
    assert_eq!(status(&server, "GET /", &link).await, 200);
}

#[tokio::test]
async fn every_listener_on_127_0_0_1_is_on_the_other_loopback_too() {
    let server = Running::with(router(), Options::default()).await;
    let mut twin = tokio::net::TcpStream::connect(("::1", server.address.port())).await.expect("the twin");
    tokio::io::AsyncWriteExt::write_all(&mut twin, b"GET / HTTP/1.0\r\nHost: [::1]\r\n\r\n").await.expect("written");
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut twin, &mut answer).await.expect("an answer");
    assert!(answer.ends_with("here\n"), "{answer}");
}

#[tokio::test]
async fn a_page_of_an_allowed_site_may_ask_and_needs_the_token_all_the_same() {
    let token = Some(Token::new(SECRET).expect("a token"));
    let origins = vec!["https://app.example".to_owned()];
    let server = Running::with(router(), Options { token, origins, ..Options::default() }).await;
    let of =
        |origin: &str, more: &str| format!("{LOCAL}Origin: https://{origin}\r\nSec-Fetch-Site: cross-site\r\n{more}");
    let bearer = format!("Authorization: Bearer {SECRET}\r\n");
    assert_eq!(status(&server, "POST /act", &of("app.example", &bearer)).await, 200);
    assert_eq!(status(&server, "POST /act", &of("other.example", &bearer)).await, 403);
    assert_eq!(status(&server, "POST /act", &of("app.example", "")).await, 401);
    // A browser asks without the token whether the page may ask with it. The router here has no answer to that.
    let preflight = "Access-Control-Request-Method: POST\r\n";
    assert_eq!(status(&server, "OPTIONS /act", &of("app.example", preflight)).await, 405);
    assert_eq!(status(&server, "OPTIONS /act", &of("other.example", preflight)).await, 401);
    assert_eq!(status(&server, "OPTIONS /act", &of("app.example", "")).await, 401);
}

#[tokio::test]
async fn http_1_0_is_answered_without_a_host_and_http_1_1_is_not() {
    let server = Running::with(router(), Options::default()).await;
    for (request, expected) in [
        ("GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200"),
        ("GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", "HTTP/1.0 200"),
        ("GET / HTTP/1.0\r\nHost: rebound.example\r\n\r\n", "HTTP/1.0 421"),
        ("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "HTTP/1.1 400"),
    ] {
        let answer = server.ask(request).await;
        assert!(answer.starts_with(expected), "{request}: {answer}");
    }
    // Its token is asked for as of any other.
    assert!(chosen().await.ask("GET / HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 401"));
}
