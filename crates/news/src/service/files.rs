//! The files of the page, which are a part of the program.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use rust_embed::Embed;

/// In a debug build they are read from the folder at each request, so that a change shows at once.
#[derive(Embed)]
#[folder = "page/"]
struct Files;

/// Answers with a file of the page.
pub(super) async fn file(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here\n").into_response();
    }
    let path = uri.path().trim_start_matches('/');
    let Some(file) = Files::get(path) else {
        return (StatusCode::NOT_FOUND, "there is no such page\n").into_response();
    };
    let kind = match path.rsplit_once('.').map_or("", |(_, end)| end) {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    };
    tagged(kind, const_hex::encode(&file.metadata.sha256_hash()[..16]), &headers, file.data.into_owned())
}

/// An answer that a browser keeps for as long as its tag is the same.
pub(super) fn tagged(kind: &'static str, tag: String, headers: &HeaderMap, body: Vec<u8>) -> Response {
    let tag = format!("\"{tag}\"");
    let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    // A new version of the program has new files under the same names.
    let common = [(ETAG, tag), (CACHE_CONTROL, "no-cache".to_owned())];
    if is_known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(CONTENT_TYPE, kind)], body).into_response()
}
