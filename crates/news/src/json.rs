//! JSON of strangers that is nearly right.

/// The text without lone surrogates and without bytes that are no UTF-8: U+FFFD stands in their place. Strings of scripts
/// may hold a lone surrogate, as each cut through an emoji leaves one; text may not.
pub(crate) fn mended(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut made = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(at) = rest.find('\\') {
        made.push_str(&rest[..at]);
        rest = &rest[at..];
        let unit = unit(rest);
        let length = match unit {
            // A pair is one letter.
            Some(0xD800..=0xDBFF) if matches!(rest.get(6..).and_then(self::unit), Some(0xDC00..=0xDFFF)) => 12,
            Some(_) => 6,
            None => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        let is_lone = length == 6 && matches!(unit, Some(0xD800..=0xDFFF));
        made.push_str(if is_lone { "\\ufffd" } else { &rest[..length] });
        rest = &rest[length..];
    }
    made.push_str(rest);
    made
}

/// The UTF-16 unit of an escape `\uXXXX` at the beginning of a text.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}
