//! `/stomp`: an HTTP connection that becomes a WebSocket, and then a connection like those of the native port.

use crate::acceptor::Acceptor;
use axum::extract::Extension;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Weak;
use switchboard_web::Takeover;
use switchboard_wire::stomp::Version as Stomp;

/// Suffix of a hashed key (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The subprotocols that are spoken and the version that each stands for, the best first.
const SUBPROTOCOLS: [(&str, Stomp); 3] =
    [("v12.stomp", Stomp::V1_2), ("v11.stomp", Stomp::V1_1), ("v10.stomp", Stomp::V1_0)];

/// Answers a request for `/stomp`.
pub(crate) async fn upgrade(
    Extension(acceptor): Extension<Weak<Acceptor>>,
    takeover: Option<Extension<Takeover>>,
    method: Method,
    version: Version,
    headers: HeaderMap,
) -> Response {
    let (answer, newest) = match handshake(&method, version, &headers) {
        Ok(agreed) => agreed,
        Err(refused) => return refused,
    };
    let (Some(Extension(takeover)), Some(acceptor)) = (takeover, acceptor.upgrade()) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n").into_response();
    };
    let Some(open) = acceptor.open_one(takeover.peer()) else {
        let text = "there are as many connections as this process may open files for; try again later\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let (peer, acceptor) = (takeover.peer(), std::sync::Arc::downgrade(&acceptor));
    takeover.go_on(move |socket, first| {
        if let Some(acceptor) = acceptor.upgrade() {
            acceptor.admit_web_socket(socket, peer, (first, newest), open);
        }
    });
    answer
}

/// The answer 101 and the newest version of STOMP that it allows, or why there is none.
fn handshake(method: &Method, version: Version, headers: &HeaderMap) -> Result<(Response, Stomp), Response> {
    if *method != Method::GET || !names(headers, &header::UPGRADE, "websocket") {
        let text = "this is for STOMP over WebSocket: a GET with `Upgrade: websocket`\n";
        return Err((StatusCode::UPGRADE_REQUIRED, [(header::UPGRADE, "websocket")], text).into_response());
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let text = "version 13 of WebSocket is spoken here\n";
        return Err((StatusCode::UPGRADE_REQUIRED, [(header::SEC_WEBSOCKET_VERSION, "13")], text).into_response());
    }
    let bad = |text: &'static str| (StatusCode::BAD_REQUEST, text).into_response();
    if version < Version::HTTP_11 {
        return Err(bad("a WebSocket begins with HTTP/1.1: HTTP/1.0 has no upgrades\n"));
    }
    if !names(headers, &header::CONNECTION, "upgrade") {
        return Err(bad("a WebSocket begins with `Connection: Upgrade`\n"));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
    if STANDARD.decode(key).map_or(0, |nonce| nonce.len()) != 16 {
        return Err(bad("Sec-WebSocket-Key is not 16 bytes in base64\n"));
    }
    let offered: Vec<&str> = values(headers, &header::SEC_WEBSOCKET_PROTOCOL).collect();
    let chosen = SUBPROTOCOLS.into_iter().find(|(known, _)| offered.contains(known));
    if chosen.is_none() && !offered.is_empty() {
        return Err(bad("none of the subprotocols is spoken here: v12.stomp, v11.stomp and v10.stomp are\n"));
    }
    let mut hash = sha1_smol::Sha1::from(key);
    hash.update(GUID);
    let accept = STANDARD.encode(hash.digest().bytes());
    let fixed = [
        (header::UPGRADE, "websocket"),
        (header::CONNECTION, "Upgrade"),
        (header::SEC_WEBSOCKET_ACCEPT, accept.as_str()),
    ];
    let mut answer = (StatusCode::SWITCHING_PROTOCOLS, fixed).into_response();
    let Some((name, newest)) = chosen else { return Ok((answer, Stomp::V1_2)) };
    answer.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    Ok((answer, newest))
}

/// The values of a header that is a list.
fn values<'a>(headers: &'a HeaderMap, name: &'a header::HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|value| !value.is_empty())
}

fn names(headers: &HeaderMap, name: &header::HeaderName, wanted: &str) -> bool {
    values(headers, name).any(|value| value.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(changes: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let usual = [
            ("upgrade", "websocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        for (name, value) in usual.iter().chain(changes) {
            headers.insert(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_specification_s_key_has_the_specification_s_answer() {
        let (answer, newest) = handshake(&Method::GET, Version::HTTP_11, &request(&[])).unwrap();
        assert_eq!(newest, Stomp::V1_2);
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(answer.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(!answer.headers().contains_key("sec-websocket-protocol"));
    }

    #[test]
    fn the_best_subprotocol_is_named_once() {
        for (offered, chosen, version) in [
            ("v12.stomp", "v12.stomp", Stomp::V1_2),
            ("v10.stomp, v11.stomp", "v11.stomp", Stomp::V1_1),
            ("v10.stomp", "v10.stomp", Stomp::V1_0),
            ("mqtt,v10.stomp,v12.stomp", "v12.stomp", Stomp::V1_2),
        ] {
            let (answer, newest) =
                handshake(&Method::GET, Version::HTTP_11, &request(&[("sec-websocket-protocol", offered)])).unwrap();
            let named: Vec<_> = answer.headers().get_all("sec-websocket-protocol").iter().collect();
            assert_eq!(named, [chosen]);
            assert_eq!(newest, version);
        }
        let refused = handshake(&Method::GET, Version::HTTP_11, &request(&[("sec-websocket-protocol", "mqtt")]));
        assert_eq!(refused.unwrap_err().status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        for (changes, status) in [
            ([("upgrade", "h2c")], StatusCode::UPGRADE_REQUIRED),
            ([("sec-websocket-version", "8")], StatusCode::UPGRADE_REQUIRED),
            ([("connection", "close")], StatusCode::BAD_REQUEST),
            ([("sec-websocket-key", "short")], StatusCode::BAD_REQUEST),
            ([("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==AAAA")], StatusCode::BAD_REQUEST),
        ] {
            assert_eq!(
                handshake(&Method::GET, Version::HTTP_11, &request(&changes)).unwrap_err().status(),
                status,
                "{changes:?}"
            );
        }
        let old = handshake(&Method::GET, Version::HTTP_10, &request(&[]));
        assert_eq!(old.unwrap_err().status(), StatusCode::BAD_REQUEST);
        assert_eq!(
            handshake(&Method::POST, Version::HTTP_11, &request(&[])).unwrap_err().status(),
            StatusCode::UPGRADE_REQUIRED
        );
    }
}
