//! Headers of a request.

use super::errors::Refusal;
use crate::Consistency;
use crate::query::Preferences;
use axum::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, RANGE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

const CONSISTENCY: HeaderName = HeaderName::from_static("consistency");
const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The media type of one object, by PostgREST.
pub(super) const OBJECT: &str = "application/vnd.pgrst.object+json";
const ARRAY: &str = "application/vnd.pgrst.array+json";

/// The form of a reply with rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Array,
    /// One object; anything else than one row is an error.
    Object,
}

/// Reads `Accept`.
pub(super) fn form(headers: &HeaderMap) -> Result<Form, Refusal> {
    if !headers.contains_key(ACCEPT) {
        return Ok(Form::Array);
    }
    // Several lines are one list.
    let lines: Vec<&str> = headers.get_all(ACCEPT).iter().map(|line| line.to_str().unwrap_or_default()).collect();
    let accept = lines.join(", ");
    let mut form = None;
    for part in accept.split(',') {
        let mut parameters = part.split(';').map(|part| part.trim().to_ascii_lowercase());
        let kind = parameters.next().unwrap_or_default();
        // Rows have all of their columns.
        if parameters.any(|parameter| parameter == "nulls=stripped") {
            continue;
        }
        form = form.or(match kind.as_str() {
            OBJECT => Some(Form::Object),
            "" | "*/*" | "application/*" | "application/json" | ARRAY => Some(Form::Array),
            _ => None,
        });
    }
    form.ok_or_else(|| {
        let message = format!("none of these media types is available: {accept}");
        Refusal::new(StatusCode::NOT_ACCEPTABLE, "PGRST107", message).with_hint("application/json is")
    })
}

/// Returns true if the client prefers something.
pub(super) fn prefers(headers: &HeaderMap) -> bool {
    headers.contains_key(PREFER)
}

/// Reads `Prefer`.
pub(super) fn preferences(headers: &HeaderMap) -> Result<Preferences, Refusal> {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    Ok(Preferences::parse(values)?)
}

/// Reads the header `Consistency` and the query's `_consistency`, which may not contradict each other.
pub(super) fn consistency(headers: &HeaderMap, query: Option<&str>) -> Result<Consistency, Refusal> {
    let given = headers.get_all(CONSISTENCY).iter().map(|value| value.to_str().unwrap_or_default().trim());
    let mut asked = None;
    for text in given.chain(query) {
        let consistency: Consistency = text.parse()?;
        match asked {
            Some(before) if before != consistency => {
                return Err(Refusal::bad(format!(
                    "the request asks for two consistencies: {before} and {consistency}"
                )));
            }
            _ => asked = Some(consistency),
        }
    }
    Ok(asked.unwrap_or_default())
}

/// The header `Consistency`; empty if there are several, which [`consistency`] compares.
pub(super) fn consistency_header(headers: &HeaderMap) -> Option<&[u8]> {
    let mut given = headers.get_all(CONSISTENCY).iter().map(HeaderValue::as_bytes);
    match (given.next(), given.next()) {
        (first, None) => first,
        _ => Some(b""),
    }
}

/// The headers that [`is_known`] reads.
pub(super) fn known_tags(headers: &HeaderMap) -> HeaderMap {
    headers.get_all(IF_NONE_MATCH).iter().map(|value| (IF_NONE_MATCH, value.clone())).collect()
}

/// Refuses a body that is not JSON.
pub(super) fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let unsupported = |message: String| {
        Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "PGRST102", message).with_hint("send JSON: curl --json"))
    };
    if let Some(encoding) = headers.get(CONTENT_ENCODING)
        && encoding.as_bytes() != b"identity"
    {
        return unsupported("a compressed body is not taken".to_owned());
    }
    let Some(kind) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let kind = kind.to_str().unwrap_or("?").split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json");
    if is_json { Ok(()) } else { unsupported(format!("a body of type {kind} is not taken")) }
}

/// Tags of `If-Match`. `None`: no condition, or any row.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<Vec<String>>, Refusal> {
    if headers.contains_key(IF_NONE_MATCH) {
        return Err(Refusal::bad("If-None-Match is for GET and HEAD"));
    }
    let mut tags = Vec::new();
    for value in headers.get_all(IF_MATCH) {
        for tag in value.to_str().unwrap_or_default().split(',').map(str::trim) {
            if tag == "*" {
                return Ok(None);
            }
            // A weak tag matches nothing here.
            tags.extend(tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).map(str::to_owned));
        }
    }
    Ok(headers.contains_key(IF_MATCH).then_some(tags))
}

/// Returns true if the client has the row of this tag.
pub(super) fn is_known(headers: &HeaderMap, tag: &[u8]) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.trim_start_matches("W/").as_bytes() == tag)
}

/// Reads `Range: 0-9`, in rows.
pub(super) fn range(headers: &HeaderMap) -> Result<Option<(u64, Option<u64>)>, Refusal> {
    let Some(text) = headers.get(RANGE).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    let text = text.strip_prefix("items=").unwrap_or(text);
    // A range of bytes is somebody else's.
    if text.contains('=') {
        return Ok(None);
    }
    let wrong = || {
        let message = format!("the range {text} is none of rows");
        Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "PGRST103", message)
            .with_hint("a range is Range: 0-9, or 10- for the rows from the eleventh on")
    };
    let (first, last) = text.split_once('-').ok_or_else(wrong)?;
    let first: u64 = first.parse().map_err(|_| wrong())?;
    if last.is_empty() {
        return Ok(Some((first, None)));
    }
    let last: u64 = last.parse().map_err(|_| wrong())?;
    let count = last.checked_sub(first).and_then(|more| more.checked_add(1)).ok_or_else(wrong)?;
    Ok(Some((first, Some(count))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn several_lines_of_accept_are_one_list() {
        let mut headers = HeaderMap::new();
        for line in ["text/html", OBJECT, "*/*"] {
            headers.append(ACCEPT, HeaderValue::from_static(line));
        }
        assert_eq!(form(&headers).ok(), Some(Form::Object));
    }

    #[test]
    fn json_is_what_is_accepted() {
        for (accept, form_of) in [
            ("application/json", Some(Form::Array)),
            ("*/*", Some(Form::Array)),
            ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", Some(Form::Array)),
            ("application/vnd.pgrst.object+json", Some(Form::Object)),
            ("application/vnd.pgrst.object+json;charset=utf-8, */*", Some(Form::Object)),
            ("application/vnd.pgrst.object+json;nulls=stripped, */*", Some(Form::Array)),
            ("application/vnd.pgrst.object+json; nulls=stripped", None),
            ("application/vnd.pgrst.array+json;nulls=Stripped", None),
            ("text/csv", None),
        ] {
            assert_eq!(form(&with(ACCEPT, accept)).ok(), form_of, "{accept}");
        }
    }

    #[test]
    fn conditions_are_read_as_lists() {
        assert_eq!(
            if_match(&with(IF_MATCH, "\"a\", \"b\"")).expect("tags"),
            Some(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(if_match(&with(IF_MATCH, "*")).expect("tags"), None);
        assert_eq!(if_match(&with(IF_MATCH, "W/\"a\", x")).expect("tags"), Some(vec![]));
        assert_eq!(if_match(&HeaderMap::new()).expect("tags"), None);
        assert!(if_match(&with(IF_NONE_MATCH, "*")).is_err());
        for (value, known) in [("\"a\"", true), ("\"b\", W/\"a\"", true), ("*", true), ("\"b\"", false), ("a", false)] {
            assert_eq!(is_known(&with(IF_NONE_MATCH, value), b"\"a\""), known, "{value}");
        }
    }

    #[test]
    fn a_range_is_in_rows() {
        for (text, expected) in [
            ("0-9", Some(Some((0, Some(10))))),
            ("items=5-5", Some(Some((5, Some(1))))),
            ("3-", Some(Some((3, None)))),
            ("bytes=0-1", Some(None)),
            ("5-4", None),
            ("a-b", None),
            ("abc", None),
            ("", None),
            ("items=abc", None),
            ("-5", None),
            ("0-18446744073709551615", None),
        ] {
            assert_eq!(range(&with(RANGE, text)).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_body_is_json_or_refused() {
        for kind in ["application/json", "application/json; charset=utf-8", "application/vnd.pgrst.object+json"] {
            assert!(is_json(&with(CONTENT_TYPE, kind)).is_ok(), "{kind}");
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded", "", "application/xml"] {
            assert!(is_json(&with(CONTENT_TYPE, kind)).is_err(), "{kind}");
        }
        assert!(is_json(&with(CONTENT_ENCODING, "gzip")).is_err());
    }
}
