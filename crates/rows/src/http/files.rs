//! The files of the page, which are a part of the program.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::Next;
use axum::response::Response;
use rust_embed::Embed;
use switchboard_web::{PageFile, page_file, secured};

/// No code, style or picture but this server's own files, nothing inline, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// In a debug build they are read from the folder at each request, so that a change shows at once.
#[derive(Embed)]
#[folder = "page/"]
struct Files;

/// Answers with a file of the page.
pub(super) async fn file(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    page_file(&method, &uri, &headers, |path| {
        let file = Files::get(path)?;
        Some(PageFile { hash: file.metadata.sha256_hash(), data: file.data })
    })
}

/// Says what a browser is to make of the page.
pub(super) async fn secure(request: Request, next: Next) -> Response {
    secured(next.run(request).await, POLICY)
}
