//! Files of a page that are a part of the program, and other answers that a browser keeps.

use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::sync::LazyLock;

/// Files common to all services' pages: colors and base rules, which a page links before its own style sheet, the links
/// between the pages, and the state of the connection to the server.
const COMMON: [(&str, &[u8]); 3] = [
    ("theme.css", include_bytes!("theme.css")),
    ("services.js", include_bytes!("services.js")),
    ("live.js", include_bytes!("live.js")),
];
static COMMON_HASHES: LazyLock<[[u8; 32]; COMMON.len()]> =
    LazyLock::new(|| COMMON.map(|(_, data)| Sha256::digest(data).into()));

/// A file of a page.
#[derive(Debug)]
pub struct PageFile {
    /// Its bytes.
    pub data: Cow<'static, [u8]>,
    /// Their SHA-256.
    pub hash: [u8; 32],
}

/// Answers GET and HEAD with the file of the request's path; `/` is `index.html`, and `/theme.css`, `/services.js` and
/// `/live.js` are common to all pages. A path that `find` does not know gets 404, other methods get 405.
pub fn page_file(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    find: impl FnOnce(&str) -> Option<PageFile>,
) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")], "only GET and HEAD are answered here\n")
            .into_response();
    }
    let path = match uri.path() {
        "/" => "index.html",
        path => path.trim_start_matches('/'),
    };
    let common = COMMON.iter().zip(*COMMON_HASHES).find(|((name, _), _)| *name == path);
    let found = common.map(|((_, data), hash)| PageFile { data: (*data).into(), hash }).or_else(|| find(path));
    match found {
        Some(file) => tagged(kind(path), &const_hex::encode(&file.hash[..16]), headers, file.data),
        None => (StatusCode::NOT_FOUND, "there is no such page\n").into_response(),
    }
}

/// An answer that a browser keeps, and asks for again by its tag: 304 as long as the tag is the same.
pub fn tagged(kind: &'static str, tag: &str, headers: &HeaderMap, body: impl IntoResponse) -> Response {
    let tag = format!("\"{tag}\"");
    let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    // A new version of the program has new files under the same names.
    let common = [(ETAG, tag), (CACHE_CONTROL, "no-cache".to_owned())];
    if is_known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(CONTENT_TYPE, kind)], body).into_response()
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, end)| end) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: Method, path: &str, tag: Option<&str>) -> Response {
        let mut headers = HeaderMap::new();
        if let Some(tag) = tag {
            headers.insert(IF_NONE_MATCH, tag.parse().expect("a tag"));
        }
        page_file(&method, &path.parse().expect("a path"), &headers, |path| {
            let data: &[u8] = match path {
                "index.html" => b"<p>",
                "a.css" => b"p {}",
                _ => return None,
            };
            Some(PageFile { data: data.into(), hash: [7; 32] })
        })
    }

    #[test]
    fn a_file_has_its_kind_and_a_tag_that_is_asked_for_again() {
        let answer = ask(Method::GET, "/", None);
        assert_eq!(
            (answer.status(), &answer.headers()[CONTENT_TYPE]),
            (StatusCode::OK, &"text/html; charset=utf-8".parse().unwrap())
        );
        let tag = answer.headers()[ETAG].to_str().expect("text").to_owned();
        assert_eq!(tag, format!("\"{}\"", "07".repeat(16)));
        assert_eq!(ask(Method::HEAD, "/a.css", None).headers()[CONTENT_TYPE], "text/css; charset=utf-8");
        assert_eq!(ask(Method::GET, "/", Some(&tag)).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(ask(Method::GET, "/", Some("\"other\"")).status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn the_theme_is_a_file_of_every_page_and_is_asked_for_again_by_its_tag() {
        let answer = ask(Method::GET, "/theme.css", None);
        assert_eq!(
            (answer.status(), &answer.headers()[CONTENT_TYPE], &answer.headers()[CACHE_CONTROL]),
            (StatusCode::OK, &"text/css; charset=utf-8".parse().unwrap(), &"no-cache".parse().unwrap())
        );
        let tag = answer.headers()[ETAG].to_str().expect("text").to_owned();
        assert_eq!(ask(Method::GET, "/theme.css", Some(&tag)).status(), StatusCode::NOT_MODIFIED);
        let text = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
        assert_eq!(tag, format!("\"{}\"", const_hex::encode(&Sha256::digest(&text)[..16])));
        assert_eq!(ask(Method::PUT, "/theme.css", None).status(), StatusCode::METHOD_NOT_ALLOWED);
        for script in ["/services.js", "/live.js"] {
            let script = ask(Method::GET, script, None);
            assert_eq!(
                (script.status(), &script.headers()[CONTENT_TYPE]),
                (StatusCode::OK, &"text/javascript; charset=utf-8".parse().unwrap())
            );
            assert_ne!(script.headers()[ETAG], tag);
        }
    }

    #[test]
    fn each_color_of_the_theme_has_a_value_for_light_and_one_for_dark() {
        let theme = include_str!("theme.css");
        let (light, dark) = theme.split_once("prefers-color-scheme: dark").expect("both");
        let names = |text: &'static str| {
            let lines = text.lines().filter_map(|line| line.trim().strip_prefix("--")?.split_once(": "));
            lines.map(|(name, _)| name).collect::<Vec<_>>()
        };
        let defined = names(light);
        assert_eq!(defined, names(dark));
        for used in theme.split("var(--").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(defined.contains(&used), "{used}");
        }
    }

    #[test]
    fn what_is_not_there_and_what_changes_something_is_refused() {
        assert_eq!(ask(Method::GET, "/b.css", None).status(), StatusCode::NOT_FOUND);
        let refused = ask(Method::POST, "/", None);
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.headers().get(ALLOW).expect("the methods"), "GET, HEAD");
    }
}
