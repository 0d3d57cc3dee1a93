//! Lists of values: `a,b,"c,d"`.

use super::QueryError;

/// Reads values between commas. A value in double quotes may have commas, parentheses, and `\"` and `\\`.
///
/// # Errors
/// If a quote is not closed, or something follows it but a comma.
pub fn list_of(text: &str) -> Result<Vec<String>, QueryError> {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        let (value, tail) = match rest.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        values.push(value);
        match tail.strip_prefix(',') {
            Some(tail) => rest = tail,
            None if tail.is_empty() => return Ok(values),
            None => return Err(QueryError::syntax("after a closing quote of a list a comma is expected")),
        }
    }
}

/// A name in a list: in double quotes, or up to the next comma.
pub(super) struct Named<'a> {
    pub(super) name: String,
    /// The text between a closing quote and the next comma; none if the name has no quotes.
    pub(super) suffix: Option<&'a str>,
}

/// Reads names between commas. A name in double quotes may be followed by a suffix, such as `"a.b".desc`.
///
/// # Errors
/// If a quote is not closed.
pub(super) fn names_of(text: &str) -> Result<Vec<Named<'_>>, QueryError> {
    let mut names = Vec::new();
    let mut rest = text;
    loop {
        let begin = rest.trim_start();
        let (quoted, tail) = match begin.strip_prefix('"') {
            Some(quoted) => unquoted(quoted).map(|(name, tail)| (Some(name), tail))?,
            None => (None, begin),
        };
        let end = tail.find(',').unwrap_or(tail.len());
        let part = tail[..end].trim_end();
        names.push(match quoted {
            Some(name) => Named { name, suffix: Some(part) },
            None => Named { name: part.to_owned(), suffix: None },
        });
        match tail[end..].strip_prefix(',') {
            Some(tail) => rest = tail,
            None => return Ok(names),
        }
    }
}

/// Reads up to the closing quote, and returns what follows it.
pub(super) fn unquoted(text: &str) -> Result<(String, &str), QueryError> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, escaped)) => value.push(escaped),
                None => break,
            },
            other => value.push(other),
        }
    }
    Err(QueryError::syntax("a quote of a list is not closed"))
}

/// Writes a value so that [`list_of`] reads it as one.
#[must_use]
pub fn quoted(value: &str) -> String {
    if !value.is_empty() && !value.contains([',', '"', '\\', '(', ')']) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_at_commas_outside_of_quotes() {
        for (text, values) in [
            ("a", &["a"][..]),
            ("a,b", &["a", "b"]),
            ("", &[""]),
            (",", &["", ""]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("\"a\\\"b\\\\\"", &["a\"b\\"]),
            ("a\"b,c", &["a\"b", "c"]),
            ("\"\"", &[""]),
            ("ü,\"ß,\"", &["ü", "ß,"]),
            (" a , b", &[" a ", " b"]),
        ] {
            assert_eq!(
                list_of(text).as_deref(),
                Ok(values.iter().map(|&v| v.to_owned()).collect::<Vec<_>>()).as_deref(),
                "{text}"
            );
        }
        for text in ["\"", "\"a", "\"a\"b", "\"a\\", "a,\"b"] {
            assert!(list_of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_quoted_value_is_read_as_it_was() {
        for value in ["", "a", "a,b", "\"", "\\", "a\\\"b", "(a)", "ü"] {
            assert_eq!(list_of(&quoted(value)), Ok(vec![value.to_owned()]), "{value}");
        }
    }
}
