//! Who may ask, where a token is needed: by `Authorization: Bearer TOKEN`, or by a cookie that the address
//! `/?token=TOKEN` leaves in a browser.

use super::answer::Problem;
use crate::hub::Hub;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

const NAME: &str = "switchboard-monitor";

/// A layer that lets pass who knows the token.
pub(super) async fn check(State(hub): State<Arc<Hub>>, request: Request, next: Next) -> Response {
    let Some(token) = &hub.settings.token else { return next.run(request).await };
    let offered = request.uri().query().and_then(|query| query.split('&').find_map(|part| part.strip_prefix("token=")));
    if request.uri().path() == "/" && offered.is_some_and(|offered| is_same(offered, token)) {
        // Away from the address bar and the history of the browser, at once.
        let cookie = format!("{NAME}={token}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Strict");
        return (StatusCode::SEE_OTHER, [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie)]).into_response();
    }
    if knows(request.headers(), token) {
        return next.run(request).await;
    }
    let problem = "a token is needed: the address that the collector printed when it started has it, or send \
                   `Authorization: Bearer TOKEN`";
    ([(WWW_AUTHENTICATE, "Bearer")], Problem(StatusCode::UNAUTHORIZED, problem.into())).into_response()
}

fn knows(headers: &HeaderMap, token: &str) -> bool {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let cookie = cookies.filter(|(name, _)| *name == NAME).map(|(_, value)| value);
    bearer.into_iter().chain(cookie).any(|offered| is_same(offered.trim(), token))
}

/// In a time that does not tell how much of it was right.
fn is_same(offered: &str, token: &str) -> bool {
    let differ = offered.bytes().zip(token.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
    offered.len() == token.len() && differ == 0
}
