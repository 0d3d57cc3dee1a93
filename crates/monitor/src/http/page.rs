//! The files of the page, which are a part of the program.

use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use rust_embed::Embed;
use switchboard_web::{PageFile, page_file};

/// In a debug build they are read from the folder at each request, so that a change shows at once.
#[derive(Embed)]
#[folder = "page/"]
struct Files;

/// Answers with a file of the page; `/` is `index.html`.
pub(super) async fn file(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    page_file(&method, &uri, &headers, |path| {
        let file = Files::get(path)?;
        Some(PageFile { hash: file.metadata.sha256_hash(), data: file.data })
    })
}
