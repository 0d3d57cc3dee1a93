//! The files of the page, which are a part of the program.

use axum::Extension;
use axum::extract::Request;
use axum::http::header::{ACCEPT, HeaderValue, VARY};
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rust_embed::Embed;
use switchboard_web::{PageFile, page_file, secured};

/// No code, style or picture but this server's own files, nothing inline, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// In a debug build they are read from the folder at each request, so that a change shows at once.
#[derive(Embed)]
#[folder = "page/"]
struct Files;

/// The list of the broker's addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Index(pub(super) &'static str);

/// Answers a browser with the page, and a program with the list of addresses.
pub(super) async fn start(
    Extension(Index(index)): Extension<Index>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let mut response = if wants_page(&headers) { find(&method, &uri, &headers) } else { index.into_response() };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}

/// Answers with a file of the page.
pub(super) async fn file(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    find(&method, &uri, &headers)
}

fn find(method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
    page_file(method, uri, headers, |path| {
        let file = Files::get(path.strip_prefix("page/").unwrap_or(path))?;
        Some(PageFile { hash: file.metadata.sha256_hash(), data: file.data })
    })
}

/// Browsers name HTML when they open a page; curl and other programs take anything.
fn wants_page(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().any(|value| value.to_str().is_ok_and(|value| value.contains("text/html")))
}

/// Says what a browser is to make of the answers.
pub(super) async fn secure(request: Request, next: Next) -> Response {
    secured(next.run(request).await, POLICY)
}
