//! `GET /services.json`: links from each page to those of the other services of this program.

use crate::Services;
use crate::connections::Via;
use crate::hosts::{host_of, is_forwarded, literal, without_port};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};

pub(crate) const PATH: &str = "/services.json";

/// A list of `{ "name", "href", "here" }`, empty where there is nothing to lead to.
pub(crate) async fn links(State(services): State<Services>, request: Request) -> Response {
    let via = request.extensions().get::<Via>().map(|via| via.listener);
    let host = host_of(&request).ok().flatten();
    let links = match (via, host) {
        (Some(listener), Some(host)) if !is_forwarded(request.headers()) => list(&services.pages(), listener, host),
        _ => Vec::new(),
    };
    ([(CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")], Json(json!({ "services": links })))
        .into_response()
}

fn list(pages: &[(&'static str, Vec<SocketAddr>)], listener: SocketAddr, host: &str) -> Vec<Value> {
    let name = without_port(host);
    let port = host[name.len()..].strip_prefix(':').unwrap_or("80");
    // A proxy has addresses of its own for the other pages, which nobody here knows.
    if port.parse() != Ok(listener.port()) {
        return Vec::new();
    }
    let link = |(service, addresses): &(&'static str, Vec<SocketAddr>)| {
        let here = addresses.contains(&listener);
        let (host, port) = reach(addresses, listener.ip(), name)?;
        Some(json!({ "name": service, "href": format!("http://{host}:{port}/"), "here": here }))
    };
    let links: Vec<Value> = pages.iter().filter_map(link).collect();
    // One that is alone has nothing to lead to.
    if links.len() < 2 { Vec::new() } else { links }
}

/// The host and port by which a browser that came by `name` reaches a page, if it can: by the same name if that leads there.
fn reach(addresses: &[SocketAddr], own: IpAddr, name: &str) -> Option<(String, u16)> {
    let own = own.to_canonical();
    let asked = literal(name).map(|ip| ip.to_canonical());
    let is_local = name.eq_ignore_ascii_case("localhost") || asked.is_some_and(|ip| ip.is_loopback());
    let is_named = |ip: IpAddr| match asked {
        Some(asked) => ip == asked || ip.is_unspecified() && (ip.is_ipv6() || asked.is_ipv4()),
        None => ip.is_unspecified() || ip == own || is_local && ip.is_loopback(),
    };
    let canonical = || addresses.iter().map(|address| (address.ip().to_canonical(), address.port()));
    if let Some((_, port)) = canonical().find(|(ip, _)| is_named(*ip)) {
        return Some((name.to_owned(), port));
    }
    let (ip, port) = canonical().find(|(ip, _)| is_local && ip.is_loopback())?;
    Some((if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() }, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hrefs(pages: &[(&'static str, &[&str])], listener: &str, host: &str) -> Vec<String> {
        let address = |text: &&str| text.parse().expect("an address");
        let pages: Vec<_> = pages.iter().map(|(name, all)| (*name, all.iter().map(address).collect())).collect();
        let links = list(&pages, listener.parse().expect("an address"), host);
        links
            .iter()
            .map(|link| format!("{}{}", link["href"].as_str().unwrap(), if link["here"] == true { "*" } else { "" }))
            .collect()
    }

    #[test]
    fn a_link_keeps_the_name_by_which_one_came() {
        let both: &[&str] = &["127.0.0.1:1", "[::1]:1"];
        let pages = [("broker", both), ("monitor", &["127.0.0.1:2"] as &[&str])];
        assert_eq!(hrefs(&pages, "127.0.0.1:1", "localhost:1"), ["http://localhost:1/*", "http://localhost:2/"]);
        assert_eq!(hrefs(&pages, "127.0.0.1:1", "127.0.0.1:1"), ["http://127.0.0.1:1/*", "http://127.0.0.1:2/"]);
        assert_eq!(hrefs(&pages, "[::1]:1", "[::1]:1"), ["http://[::1]:1/*", "http://127.0.0.1:2/"]);
        let open = [("broker", &["0.0.0.0:80"] as &[&str]), ("monitor", &["[::]:2"])];
        assert_eq!(hrefs(&open, "0.0.0.0:80", "Box.example"), ["http://Box.example:80/*", "http://Box.example:2/"]);
        assert_eq!(hrefs(&open, "0.0.0.0:80", "192.0.2.1"), ["http://192.0.2.1:80/*", "http://192.0.2.1:2/"]);
    }

    #[test]
    fn what_cannot_be_reached_has_no_link_and_one_alone_has_none() {
        let pages = [("broker", &["0.0.0.0:1"] as &[&str]), ("monitor", &["127.0.0.1:2"]), ("rows", &["192.0.2.1:3"])];
        assert_eq!(hrefs(&pages, "0.0.0.0:1", "192.0.2.1:1"), ["http://192.0.2.1:1/*", "http://192.0.2.1:3/"]);
        assert_eq!(hrefs(&pages[..2], "0.0.0.0:1", "192.0.2.1:1"), [""; 0]);
        assert_eq!(hrefs(&pages[..1], "0.0.0.0:1", "localhost:1"), [""; 0]);
        assert_eq!(hrefs(&[], "0.0.0.0:1", "localhost:1"), [""; 0]);
    }

    #[test]
    fn a_proxy_leads_nowhere() {
        let pages = [("broker", &["127.0.0.1:1"] as &[&str]), ("monitor", &["127.0.0.1:2"])];
        for host in ["localhost", "localhost:3", "broker.example:443", "[::1]", "localhost:"] {
            assert_eq!(hrefs(&pages, "127.0.0.1:1", host), [""; 0], "{host}");
        }
    }
}
