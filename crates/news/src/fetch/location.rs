//! The target of a redirect.

use std::fmt::Write;
use url::Url;

/// Reads a `Location`. Its bytes beyond ASCII, which many sites send, are those of the address, as for browsers.
pub(crate) fn target(header: &[u8], base: &Url) -> Option<Url> {
    let mut location = String::new();
    for &byte in header {
        if byte.is_ascii() {
            location.push(byte.into());
        } else {
            // Writing to a string does not fail.
            let _ = write!(location, "%{byte:02X}");
        }
    }
    base.join(&location).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_may_have_letters_of_any_language_in_any_encoding() {
        let base = "http://a.example/x/y".parse().expect("a URL");
        for (header, expected) in [
            (&b"/z"[..], "http://a.example/z"),
            (b" z ", "http://a.example/x/z"),
            ("/caf\u{e9}?q=\u{e9}#\u{e9}".as_bytes(), "http://a.example/caf%C3%A9?q=%C3%A9#%C3%A9"),
            (b"/caf\xe9", "http://a.example/caf%E9"),
            ("//b\u{fc}.example/".as_bytes(), "http://xn--b-eha.example/"),
            (b"", "http://a.example/x/y"),
        ] {
            let found = target(header, &base).map(String::from);
            assert_eq!(found.as_deref(), Some(expected), "{}", header.escape_ascii());
        }
        for header in [&b"http://"[..], b"//\xff/", b"http://[/"] {
            assert_eq!(target(header, &base), None, "{}", header.escape_ascii());
        }
    }
}
