//! HTTP as the measuring programs need it: requests as bytes, and the end of an answer.

/// The beginning of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    /// Bytes of head and body together.
    pub length: usize,
    /// The header `X-Cache`.
    pub source: String,
}

/// A GET of `path` at `host`, with keep-alive.
pub fn get(host: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

/// Reads the head of an answer with a `Content-Length`; `None` while a part is missing.
///
/// # Errors
/// A sentence, if it is no such answer.
pub fn head(data: &[u8]) -> Result<Option<Head>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut answer = httparse::Response::new(&mut headers);
    let begin = match answer.parse(data) {
        Ok(httparse::Status::Complete(begin)) => begin,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("this is not an answer: {error}")),
    };
    let value = |name: &str| {
        let header = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        header.map(|header| String::from_utf8_lossy(header.value).into_owned())
    };
    let length: usize = value("content-length")
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| "the answer has no Content-Length".to_owned())?;
    let status = answer.code.unwrap_or_default();
    Ok(Some(Head { status, length: begin + length, source: value("x-cache").unwrap_or_default() }))
}
