//! The login of a browser, which gets it a cookie: by `?token=` once, or through a form.

use crate::access::Access;
use crate::connections::Via;
use crate::errors::{close, plain};
use crate::{Token, body, session};
use axum::extract::Request;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue, LOCATION, REFERRER_POLICY, SET_COOKIE,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Method, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The path that the form is sent to.
pub(crate) const PATH: &str = "/login";
pub(crate) const NEEDED: &str = "This server asks for its access token.";
pub(crate) const WRONG: &str = "This is not the access token of this server.";

/// Bytes of the form: a percent-encoded token of the greatest length fits.
const FORM: usize = 4 << 10;

/// The form sends its origin, which `no-referrer` would hide and so make the request a foreign one.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// The colors of all pages. They are in the form itself: its style sheet would need the token.
const THEME: &str = include_str!("theme.css");
const STYLE: &str = "\
body { display: grid; place-items: center; min-height: 90vh; }
main { width: min(25rem, 100%); padding: 24px 28px; border: 1px solid var(--rule); border-radius: 10px; background: var(--card); }
h1 { margin-bottom: 10px; }
p { color: var(--quiet); font-size: 0.93rem; }
p[role=alert] { color: var(--bad); }
label { display: block; margin-top: 18px; font-size: 0.87rem; font-weight: 550; }
input, button { width: 100%; min-height: 40px; margin-top: 6px; border: 1px solid var(--rule); border-radius: 6px; font: inherit; }
input { padding: 4px 11px; background: var(--page); color: var(--text); }
button { margin-top: 14px; border-color: var(--accent); background: var(--accent); color: var(--on-accent); font-weight: 550; }
";

/// Answers a request without the token: with the form for a browser that opens a page, else with a sentence.
pub(crate) fn ask(request: &Request, why: &str) -> Response {
    let wants_page = request
        .headers()
        .get_all(ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.contains("text/html")));
    if request.method() == Method::GET && wants_page {
        let next = request.uri().path_and_query().map_or("/", axum::http::uri::PathAndQuery::as_str);
        return form(if request.uri().path() == PATH { "/" } else { next }, why);
    }
    let text = format!(
        "{why} Send `Authorization: Bearer TOKEN`; switchboard's own commands take --token or SWITCHBOARD_TOKEN. \
         The server printed at its start where the token is kept."
    );
    let mut response = plain(StatusCode::UNAUTHORIZED, &text);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// Checks a form that was sent.
pub(crate) async fn submit(token: &Token, access: &Access, via: &Via, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let next = field(query.as_bytes(), "next").unwrap_or_else(|| "/".to_owned());
    let form_body = match body::collect(request.into_body(), FORM, access.body_timeout, None).await {
        Ok((bytes, _)) => bytes,
        Err(refused) => return close(refused.into_response()),
    };
    let offered = field(&form_body, "token").unwrap_or_default();
    if token.is_same(offered.trim().as_bytes()) {
        return redirect(&next, session::set_cookie(token, via.listener.port()));
    }
    tracing::warn!(peer = %via.peer, "login refused: wrong token");
    form(&next, WRONG)
}

fn field(encoded: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(encoded).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Sends a browser on, with its cookie.
pub(crate) fn redirect(target: &str, cookie: String) -> Response {
    let location = HeaderValue::try_from(local(target)).unwrap_or(HeaderValue::from_static("/"));
    let Ok(cookie) = HeaderValue::try_from(cookie) else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "the cookie cannot be written");
    };
    let headers = [(LOCATION, location), (SET_COOKIE, cookie), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Makes an address one of this server: `//host` and `/\host` would lead to another.
fn local(target: &str) -> String {
    format!("/{}", target.trim_start_matches(['/', '\\']))
}

fn form(next: &str, why: &str) -> Response {
    let next = utf8_percent_encode(next, NON_ALPHANUMERIC);
    let role = if why == WRONG { "alert" } else { "note" };
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Switchboard: log in</title>\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<style>\n{THEME}{STYLE}</style>\n\
         </head><body><main><h1>Switchboard</h1>\n<p role=\"{role}\">{why} The server printed at its start where it is kept.</p>\n\
         <form method=\"post\" action=\"{PATH}?next={next}\">\
         <input name=\"username\" autocomplete=\"username\" value=\"switchboard\" hidden><label>Access token\
         <input type=\"password\" name=\"token\" autocomplete=\"current-password\" autofocus required></label>\
         <button>Log in</button></form></main>\n</body></html>\n"
    );
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
        (WWW_AUTHENTICATE, "Bearer"),
    ];
    (StatusCode::UNAUTHORIZED, headers, Html(page)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_never_leaves_the_server() {
        for (target, location) in [
            ("/", "/"),
            ("", "/"),
            ("/a?b=c", "/a?b=c"),
            ("//evil.example/", "/evil.example/"),
            ("/\\evil.example", "/evil.example"),
            ("\\\\evil.example", "/evil.example"),
            ("https://evil.example", "/https://evil.example"),
            ("/a\r\nSet-Cookie: x", "/"),
        ] {
            let response = redirect(target, "a=b".into());
            assert_eq!(response.headers()[LOCATION], location, "{target}");
        }
    }

    #[test]
    fn a_field_of_a_form_is_decoded() {
        assert_eq!(field(b"a=1&token=a%2Bb%26c%25+d", "token").as_deref(), Some("a+b&c% d"));
        assert_eq!(field(b"tokens=1", "token"), None);
    }
}
