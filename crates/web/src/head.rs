//! The head of a request while it comes: how long it is, and whether it is HTTP at all.

use crate::errors::raw;
use axum::http::StatusCode;
use memchr::memchr;

/// As many as hyper takes.
const HEADERS: usize = 100;

/// Counts the bytes and lines of a head. It does not parse: that is hyper's, which says nothing when it refuses.
#[derive(Debug)]
pub(crate) struct Head {
    limit: usize,
    bytes: usize,
    lines: usize,
    /// Whether anything but empty lines has come: those may precede a request.
    begun: bool,
    /// Whether the line has no byte yet.
    line_empty: bool,
    ended: bool,
}

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    TooLong(usize),
    AddressTooLong(usize),
    TooManyHeaders,
    NotHttp,
    TooSlow,
}

impl Head {
    pub(crate) fn new(limit: usize) -> Head {
        Head { limit, bytes: 0, lines: 0, begun: false, line_empty: true, ended: false }
    }

    /// Begins the next head of the connection.
    pub(crate) fn reset(&mut self) {
        *self = Head::new(self.limit);
    }

    /// Returns true if some of it has come and some is missing.
    pub(crate) fn is_partial(&self) -> bool {
        self.bytes > 0 && !self.ended
    }

    /// Counts what has come. What follows the head is not looked at.
    pub(crate) fn feed(&mut self, data: &[u8]) -> Result<(), Refusal> {
        let mut rest = data;
        while !self.ended && !rest.is_empty() {
            let end = memchr(b'\n', rest);
            let (line, behind) = rest.split_at(end.unwrap_or(rest.len()));
            if self.line_empty
                && let Some(at) = line.iter().position(|byte| *byte != b'\r')
            {
                // Such as the first byte of TLS.
                if !self.begun && self.bytes + at < self.limit && !line[at].is_ascii_alphabetic() {
                    return Err(Refusal::NotHttp);
                }
                (self.begun, self.line_empty) = (true, false);
            }
            self.count(line.len())?;
            if end.is_some() {
                if self.line_empty {
                    self.ended = self.begun;
                } else {
                    self.line_empty = true;
                    self.lines += 1;
                }
                self.count(1)?;
                if self.lines > HEADERS + 1 {
                    return Err(Refusal::TooManyHeaders);
                }
            }
            rest = behind.get(1..).unwrap_or_default();
        }
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.bytes += bytes;
        match self.bytes > self.limit {
            true if self.lines == 0 => Err(Refusal::AddressTooLong(self.limit)),
            true => Err(Refusal::TooLong(self.limit)),
            false => Ok(()),
        }
    }
}

impl Refusal {
    /// The whole answer.
    pub(crate) fn answer(self) -> String {
        match self {
            Refusal::TooLong(limit) => raw(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                &format!("the headers have more than {limit} bytes (limit: http.header)"),
            ),
            Refusal::AddressTooLong(limit) => {
                raw(StatusCode::URI_TOO_LONG, &format!("the address has more than {limit} bytes (limit: http.header)"))
            }
            Refusal::TooManyHeaders => raw(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                &format!("the request has more than {HEADERS} headers"),
            ),
            Refusal::NotHttp => raw(StatusCode::BAD_REQUEST, "this port speaks HTTP/1.1, without TLS"),
            Refusal::TooSlow => {
                raw(StatusCode::REQUEST_TIMEOUT, "the headers were not complete in time (limit: http.header-timeout)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(limit: usize, data: &[u8]) -> Result<bool, Refusal> {
        let whole = {
            let mut head = Head::new(limit);
            head.feed(data).map(|()| head.ended)
        };
        let mut head = Head::new(limit);
        let by_bytes = data.iter().try_for_each(|byte| head.feed(&[*byte])).map(|()| head.ended);
        assert_eq!(whole, by_bytes);
        whole
    }

    #[test]
    fn a_head_ends_with_an_empty_line_however_it_is_cut() {
        for (data, ended) in [
            (&b""[..], false),
            (b"GET / HTTP/1.1\r\n", false),
            (b"GET / HTTP/1.1\r\n\r", false),
            (b"GET / HTTP/1.1\r\n\r\n", true),
            (b"\r\n\r\n\r\nGET / HTTP/1.1\n\n", true),
            (b"\r\n\r\n", false),
            (b"GET / HTTP/1.1\r\na: b\r\n\r\n\0\0\0", true),
        ] {
            assert_eq!(fed(100, data), Ok(ended), "{data:?}");
        }
    }

    #[test]
    fn a_head_may_be_as_long_as_its_limit() {
        let head = |length: usize| {
            let fixed = "GET / HTTP/1.1\r\na: \r\n\r\n".len();
            format!("GET / HTTP/1.1\r\na: {}\r\n\r\nbody", "x".repeat(length - fixed))
        };
        for (length, expected) in [
            (1023, Ok(true)),
            (1024, Ok(true)),
            (1025, Err(Refusal::TooLong(1024))),
            (9999, Err(Refusal::TooLong(1024))),
        ] {
            assert_eq!(fed(1024, head(length).as_bytes()), expected, "{length}");
        }
        assert_eq!(fed(1024, &[b'x'; 1024]), Ok(false));
        assert_eq!(fed(1024, &[b'x'; 1025]), Err(Refusal::AddressTooLong(1024)));
        assert_eq!(fed(10, "\r\n".repeat(6).as_bytes()), Err(Refusal::AddressTooLong(10)));
    }

    #[test]
    fn a_head_may_have_as_many_headers_as_are_parsed() {
        let head = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(count));
        for (count, expected) in [(0, Ok(true)), (100, Ok(true)), (101, Err(Refusal::TooManyHeaders))] {
            assert_eq!(fed(1 << 16, head(count).as_bytes()), expected, "{count}");
        }
    }

    #[test]
    fn what_is_no_http_is_known_by_its_first_byte() {
        for data in [&b"\x16\x03\x01"[..], b"\0\0\0\x05/null", b"\r\n\xff", b" GET"] {
            assert_eq!(fed(100, data), Err(Refusal::NotHttp), "{data:?}");
        }
    }
}
