//! Text of strangers on a terminal: names, messages, answers.

use std::borrow::Cow;
use std::fmt::{self, Write};
pub(crate) use switchboard_driver::text::steers;

/// Escapes what would steer the terminal.
pub(crate) fn escape(text: &str) -> String {
    text.chars().flat_map(|c| if steers(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

/// A value of JSON as a line of output.
pub(crate) fn json_line(value: impl fmt::Display) -> String {
    format!("{}\n", json(&value.to_string()))
}

/// Escapes what would steer the terminal in a text of JSON, which stays the same JSON: only its strings have such characters.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| steers(c) && !c.is_ascii_whitespace()) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) && !c.is_ascii_whitespace() {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped.into()
}

/// Escapes what would steer the terminal, and bytes that are not UTF-8, as `\xff`. New lines and tabs of a message stay.
pub(crate) fn escape_message(message: &[u8]) -> String {
    escape_bytes(message, |c| c == '\n' || c == '\t')
}

/// The same of a name or value that is to stay on its line.
pub(crate) fn escape_header(bytes: &[u8]) -> String {
    escape_bytes(bytes, |_| false)
}

fn escape_bytes(message: &[u8], stays: impl Fn(char) -> bool) -> String {
    let mut text = String::with_capacity(message.len());
    for chunk in message.utf8_chunks() {
        for c in chunk.valid().chars() {
            if steers(c) && !stays(c) { text.extend(c.escape_default()) } else { text.push(c) }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped_and_nothing_else() {
        assert_eq!(escape("a\u{1b}[2J\u{202e}b\u{9b}\u{200b}"), "a\\u{1b}[2J\\u{202e}b\\u{9b}\\u{200b}");
        assert_eq!(escape("\u{e9}\u{6ce8}\u{1f600}"), "\u{e9}\u{6ce8}\u{1f600}");
        assert_eq!(escape("a\nb"), "a\\nb");
        // A filler of Hangul is as wide as a letter, and empty; a symbol may be followed by its color form.
        assert_eq!(escape("a\u{3164}\u{2764}\u{fe0f}\u{e0100}"), "a\\u{3164}\u{2764}\u{fe0f}\\u{e0100}");
    }

    #[test]
    fn json_is_the_same_with_what_steers_a_terminal_escaped() {
        let value = serde_json::json!({ "a\u{202e}": ["\u{9b}2J", "\u{7f}\u{1b}\n", "\u{e0100}", "\u{e9}\u{1f600}"] });
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let escaped = json(&text);
            assert!(!escaped.chars().any(|c| steers(c) && c != '\n'), "{escaped}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
        }
        assert!(matches!(json(r#"{"plain": "\u00e9"}"#), Cow::Borrowed(_)));
    }

    #[test]
    fn a_message_keeps_its_lines_and_a_header_has_one() {
        assert_eq!(escape_header(b"a\nb: c\t\xff\xc3\xa9"), "a\\nb: c\\t\\xff\u{e9}");
        assert_eq!(escape_message(b"a\tb\nc\r\x1b]0;x\x07"), "a\tb\nc\\r\\u{1b}]0;x\\u{7}");
        assert_eq!(escape_message(b"\xff\xc3\xa9\x00"), "\\xff\u{e9}\\u{0}");
    }
}
