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

/// Refuses a parameter that is given twice with different values: nobody knows which of them is meant.
///
/// # Errors
/// If one of the names has two values.
pub(crate) fn check_repeated(pairs: &[(String, String)], names: &[&str]) -> Result<(), QueryError> {
    for name in names {
        let mut values = pairs.iter().filter(|(other, _)| other == name).map(|(_, value)| value);
        if let Some(first) = values.next()
            && let Some(other) = values.find(|value| *value != first)
        {
            return Err(QueryError::syntax(format!("{name} is given twice: {first} and {other}")));
        }
    }
    Ok(())
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
    fn a_parameter_has_one_value() {
        let names = ["limit", "order"];
        for text in [
            "",
            "limit=1",
            "limit=1&order=1",
            "limit=1&limit=1",
            "id=1&id=2",
            "order=a%2Cb&order=a,b",
            "limits=1&limit=2",
        ] {
            assert_eq!(check_repeated(&pairs(text).expect("pairs"), &names), Ok(()), "{text}");
        }
        for text in ["limit=1&limit=3", "limit=1&id=1&limit=", "order=a&limit=1&order=b", "limit=1&limit=1&%6cimit=2"] {
            let error = check_repeated(&pairs(text).expect("pairs"), &names).expect_err(text);
            assert!(error.code == "PGRST100" && error.message.contains("is given twice"), "{error:?}");
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
