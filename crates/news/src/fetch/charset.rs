//! Bytes of a page or feed to text, in the order that the HTML standard gives: mark, header, `meta`, guess.

use chardetng::EncodingDetector;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};

/// Number of bytes in which a `meta` element may declare the encoding.
const PRESCAN: usize = 1024;
/// Bytes that the guess looks at.
const SAMPLE: usize = 64 << 10;

/// Decodes a body. What its encoding does not have becomes U+FFFD.
#[must_use]
pub fn decode(body: &[u8], content_type: Option<&str>) -> String {
    // `decode` lets a byte order mark win over the encoding that it is given.
    let (text, _, _) = find(body, content_type).decode(body);
    text.into_owned()
}

fn find(body: &[u8], content_type: Option<&str>) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(body) {
        return encoding;
    }
    // The first element of an XML in UTF-16 without a mark.
    match body {
        [b'<', 0, 1..=255, 0, ..] => return UTF_16LE,
        [0, b'<', 0, 1..=255, ..] => return UTF_16BE,
        _ => {}
    }
    let start = &body[..body.len().min(PRESCAN)];
    let declared = content_type.and_then(from_content_type).or_else(|| from_meta(start)).or_else(|| from_xml(start));
    declared.unwrap_or_else(|| guess(body))
}

fn from_content_type(content_type: &str) -> Option<&'static Encoding> {
    charset_of(content_type.as_bytes())
}

/// The encoding after `charset=`, quoted or not.
fn charset_of(text: &[u8]) -> Option<&'static Encoding> {
    let mut rest = text;
    loop {
        let at = rest.windows(7).position(|window| window.eq_ignore_ascii_case(b"charset"))?;
        rest = rest[at + 7..].trim_ascii_start();
        if let Some(value) = rest.strip_prefix(b"=") {
            return label(value.trim_ascii_start());
        }
    }
}

fn label(value: &[u8]) -> Option<&'static Encoding> {
    let value = match value.first() {
        Some(quote @ (b'"' | b'\'')) => value[1..].split(|byte| byte == quote).next()?,
        _ => value
            .split(|byte| byte.is_ascii_whitespace() || matches!(byte, b';' | b'>' | b'"' | b'\'' | b'/'))
            .next()?,
    };
    Encoding::for_label(value)
}

/// As the standard's prescan, without its fine points: the first `meta` with a known encoding outside comments.
fn from_meta(start: &[u8]) -> Option<&'static Encoding> {
    let mut rest = start;
    while let Some(at) = rest.iter().position(|&byte| byte == b'<') {
        rest = &rest[at..];
        if rest.starts_with(b"<!--") {
            let end = rest.windows(3).position(|window| window == b"-->")?;
            rest = &rest[end + 3..];
            continue;
        }
        if rest.len() > 5 && rest[1..5].eq_ignore_ascii_case(b"meta") && !rest[5].is_ascii_alphanumeric() {
            let end = rest.iter().position(|&byte| byte == b'>').unwrap_or(rest.len());
            if let Some(encoding) = charset_of(&rest[..end]) {
                // The declaration was read as ASCII, so the page is not UTF-16.
                let is_wide = encoding == UTF_16LE || encoding == UTF_16BE;
                return Some(if is_wide {
                    UTF_8
                } else if encoding == X_USER_DEFINED {
                    WINDOWS_1252
                } else {
                    encoding
                });
            }
        }
        rest = &rest[1..];
    }
    None
}

fn from_xml(start: &[u8]) -> Option<&'static Encoding> {
    let declaration = start.strip_prefix(b"<?xml")?;
    let end = declaration.windows(2).position(|window| window == b"?>")?;
    let declaration = &declaration[..end];
    let at = declaration.windows(8).position(|window| window == b"encoding")?;
    let value = declaration[at + 8..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    label(value).map(|encoding| if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding })
}

fn guess(body: &[u8]) -> &'static Encoding {
    if std::str::from_utf8(body).is_ok() {
        return UTF_8;
    }
    let mut detector = EncodingDetector::new();
    let sample = &body[..body.len().min(SAMPLE)];
    detector.feed(sample, sample.len() == body.len());
    detector.guess(None, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_wins_over_the_header_over_meta_over_the_guess() {
        let html = Some("text/html; charset=iso-8859-1");
        assert_eq!(decode(b"\xEF\xBB\xBF\xC3\xA9", html), "é");
        assert_eq!(decode(b"\xFF\xFE\xE9\x00", html), "é");
        assert_eq!(decode(b"\xFE\xFF\x00\xE9", html), "é");
        assert_eq!(decode(b"<meta charset=utf-8>\xE9", html), "<meta charset=utf-8>é");
        assert!(decode(b"<meta charset=koi8-r>\xF7", Some("text/html")).ends_with('В'));
    }

    #[test]
    fn a_declaration_is_found_in_every_form() {
        for start in [
            "<meta charset=windows-1251>",
            "<META CHARSET='windows-1251'>",
            "<meta  charset = \"windows-1251\" />",
            "<!-- <meta charset=utf-8> --><meta charset=windows-1251>",
            "<meta http-equiv=Content-Type content=\"text/html; charset=windows-1251\">",
            "<meta name=charset><meta charset=windows-1251>",
            "<metas charset=utf-8><meta charset=windows-1251>",
            "<meta charset=nonsense><meta charset=windows-1251>",
            "<?xml version='1.0' encoding='windows-1251'?>",
            "<?xml version=\"1.0\" encoding = \"windows-1251\" ?>",
        ] {
            let body = [start.as_bytes(), b"\xCC"].concat();
            assert!(decode(&body, None).ends_with('М'), "{start}");
        }
    }

    #[test]
    fn a_declaration_beyond_the_first_kilobyte_does_not_count() {
        let tag = b"<meta charset=windows-1251>";
        let at = |end: usize| {
            let body = [vec![b' '; end - tag.len()], tag.to_vec(), b"\xCC".to_vec()].concat();
            from_meta(&body[..body.len().min(PRESCAN)]).is_some()
        };
        assert!(at(PRESCAN - 1) && at(PRESCAN));
        assert!(!at(PRESCAN + 20));
    }

    #[test]
    fn a_page_that_calls_itself_utf_16_in_ascii_is_utf_8() {
        assert!(decode(b"<meta charset=utf-16>\xC3\xA9", None).ends_with('é'));
    }

    #[test]
    fn utf_16_without_a_mark_is_known_by_its_first_element() {
        let text = "<?xml version='1.0' encoding='UTF-16'?><a>é</a>";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for content_type in [None, Some("text/xml; charset=utf-16")] {
            assert_eq!((decode(&little, content_type), decode(&big, content_type)), (text.to_owned(), text.to_owned()));
        }
    }

    #[test]
    fn undeclared_text_is_utf_8_if_it_can_be_and_guessed_otherwise() {
        assert_eq!(decode("Grüße".as_bytes(), None), "Grüße");
        assert_eq!(decode(b"Gr\xFC\xDFe aus M\xFCnchen", None), "Grüße aus München");
        let (japanese, ..) = encoding_rs::SHIFT_JIS.encode("東京の今日のニュースです。新しい見出しがあります。");
        assert_eq!(decode(&japanese, None), "東京の今日のニュースです。新しい見出しがあります。");
    }

    #[test]
    fn no_bytes_make_it_fail() {
        for body in [
            &b""[..],
            b"<meta",
            b"<meta charset",
            b"<meta charset=",
            b"<!--",
            b"<?xml encoding",
            b"\xFF",
            b"\xFF\xFE\x00",
        ] {
            let _ = decode(body, Some("charset="));
        }
    }
}
