//! Names and values of a query string.

use super::QueryError;
use percent_encoding::percent_decode_str;

/// Reads a query string, percent-encoded as forms are.
///
/// # Errors
/// If a name or a value is not UTF-8. Replacing its bytes would ask for other rows than the client means.
pub(crate) fn pairs(text: &str) -> Result<Vec<(String, String)>, QueryError> {
    let parts = text.split('&').filter(|part| !part.is_empty());
    let pairs = parts.map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        Ok((decoded(name)?, decoded(value)?))
    });
    pairs.collect()
}

fn decoded(text: &str) -> Result<String, QueryError> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let decoded = decoded.map_err(|_| QueryError::syntax(format!("{text} in the query is not UTF-8")))?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_string_is_read_as_forms_are() {
        for text in
            ["a=b&c=d", "", "a", "a=", "=b", "&&a=b&", "a=b=c", "a+b=c+%2B", "%C3%BC=%26", "a=%", "a=%zz", "ü=ß"]
        {
            let expected: Vec<(String, String)> = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
            assert_eq!(pairs(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_refused_in_names_and_values() {
        for text in ["id=eq.%ff", "%ff=eq.1", "a=b&c=%C3", "a=%ED%A0%80", "%fe"] {
            let error = pairs(text).expect_err(text);
            assert!(error.code == "PGRST100" && error.message.ends_with("is not UTF-8"), "{error:?}");
        }
    }
}
