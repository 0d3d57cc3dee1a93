//! Channel names: bytes, shown and given percent-encoded where they are no plain text.

use crate::escape::steers;
use clap::builder::{OsStringValueParser, TypedValueParser};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use std::fmt::{self, Write};
use std::os::unix::ffi::OsStrExt;

/// Bytes of the longest channel name that a broker takes by default: it is the broker that refuses a longer one.
const LONGEST: usize = 1024;

/// The use of wildcards, for whoever has used them otherwise.
pub(crate) const STRAY: &str = "`*` stands for a whole level, and `>`, as the last level, for the rest";

/// Returns true if a level of a pattern stands for others.
pub(crate) fn is_wildcard(levels: &[&str], at: usize, level: &str) -> bool {
    level == "*" || level == ">" && at + 1 == levels.len()
}

/// Returns true if a pattern has a wildcard's sign that is taken literally.
pub(crate) fn has_stray_wildcard(pattern: &str) -> bool {
    let levels: Vec<&str> = pattern.split('/').collect();
    let mut signs = levels.iter().enumerate().filter(|(_, level)| level.contains(['*', '>']));
    signs.any(|(at, level)| !is_wildcard(&levels, at, level))
}

/// Encodes a value of an address, all but what never needs it.
pub(crate) fn percent(value: impl AsRef<[u8]>) -> String {
    const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encode(value.as_ref(), VALUE).to_string()
}

/// Shows a name so that [`decode`] gives it back: what steers a terminal, bytes that are no UTF-8, a `%` before two
/// hexadecimal digits, and blanks that nobody sees, at either end and behind another one, are written as `%XX`.
pub(crate) fn encode(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    let blanks = name.iter().rev().take_while(|byte| **byte == b' ').count();
    let end = name.len() - blanks;
    let mut begin = 0;
    for chunk in name.utf8_chunks() {
        let valid = chunk.valid();
        for (at, c) in valid.char_indices() {
            let is_unseen = c == ' ' && (text.is_empty() || begin + at >= end || name[begin + at - 1] == b' ');
            if steers(c) || is_unseen || c == '%' && is_encoded(&valid.as_bytes()[at..]) {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| push(&mut text, byte));
            } else {
                text.push(c);
            }
        }
        chunk.invalid().iter().for_each(|byte| push(&mut text, *byte));
        begin += valid.len() + chunk.invalid().len();
    }
    text
}

fn push(text: &mut String, byte: u8) {
    // Writing to a string does not fail.
    let _ = write!(text, "%{byte:02X}");
}

fn is_encoded(bytes: &[u8]) -> bool {
    bytes.get(1..3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

/// Reads a name as [`encode`] shows it.
fn decode(text: &[u8]) -> Vec<u8> {
    percent_decode(text).collect()
}

/// A channel's name, or a pattern, of the command line. `%XX` is the byte of these two hexadecimal digits, so that what is shown can
/// be given again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) Vec<u8>);

impl Name {
    /// Reads one from the command line, whose arguments are bytes.
    pub(crate) fn parser() -> impl TypedValueParser<Value = Name> {
        OsStringValueParser::new().try_map(|text| match decode(text.as_bytes()) {
            name if name.is_empty() => Err(format!(
                "it is empty: a channel's name has from 1 to {LONGEST} bytes, unless the broker's channel-name is set"
            )),
            name => Ok(Name(name)),
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back() {
        for (name, shown) in [
            (&b"/queue/a b"[..], "/queue/a b"),
            (b"/queue/a ", "/queue/a%20"),
            (b" /queue/a", "%20/queue/a"),
            (b"/queue/a  b\xff c ", "/queue/a %20b%FF c%20"),
            (b"/queue/a\xff  ", "/queue/a%FF%20%20"),
            (b"  ", "%20%20"),
            (b"/queue/100%", "/queue/100%"),
            (b"/queue/%41", "/queue/%2541"),
            (b"/queue/%%41", "/queue/%%2541"),
            (b"/queue/\xff\x00\n", "/queue/%FF%00%0A"),
            (b"/queue/\x1b[2J", "/queue/%1B[2J"),
            ("/queue/\u{e9}\u{202e}".as_bytes(), "/queue/\u{e9}%E2%80%AE"),
            (b"", ""),
        ] {
            assert_eq!(encode(name), shown);
            assert_eq!(decode(shown.as_bytes()), name, "{shown}");
        }
    }

    #[test]
    fn a_name_of_the_command_line_may_be_any_bytes() {
        let parse = |bytes: &[u8]| {
            let command = clap::Command::new("x").arg(clap::Arg::new("name").value_parser(Name::parser()));
            let parsed = command.try_get_matches_from([std::ffi::OsStr::new("x"), std::ffi::OsStr::from_bytes(bytes)]);
            parsed.expect("a name").remove_one::<Name>("name").expect("a name")
        };
        for (bytes, name, shown) in [
            (&b"/queue/%ff"[..], &b"/queue/\xff"[..], "/queue/%FF"),
            (b"/queue/\xff", b"/queue/\xff", "/queue/%FF"),
            (b"/queue/100%", b"/queue/100%", "/queue/100%"),
        ] {
            assert_eq!(parse(bytes), Name(name.to_vec()));
            assert_eq!(parse(bytes).to_string(), shown);
        }
    }

    #[test]
    fn names_of_addresses_are_encoded() {
        assert_eq!(percent("/queue/a b&c=\u{e9}~"), "%2Fqueue%2Fa%20b%26c%3D%C3%A9~");
        assert_eq!(percent(b"\xff"), "%FF");
    }
}
