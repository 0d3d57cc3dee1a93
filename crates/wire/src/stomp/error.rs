use thiserror::Error;

/// The stream cannot be decoded any further: the start of the next frame is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A header line, or the command, is longer than allowed.
    #[error("a header line of more than {limit} bytes, which is the limit")]
    LineTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// More header lines than allowed.
    #[error("a frame of more than {limit} header lines, which is the limit")]
    TooManyHeaders {
        /// The limit.
        limit: usize,
    },
    /// Known from `content-length` before the body comes, or as soon as a body without it has more.
    #[error("a body of {length} bytes or more is over the limit of {limit} bytes")]
    BodyTooLong {
        /// Its bytes, as far as they are known.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A frame ended before the empty line that ends its headers.
    #[error("a NUL byte in the command or a header: an empty line has to end the headers")]
    NulInHead,
    /// A header line without a colon.
    #[error("a header line without a colon")]
    NoColon,
    /// A header line that begins with its colon.
    #[error("a header without a name")]
    NoName,
    /// A backslash before something that means nothing in this version.
    #[error("an undefined escape in a header: a backslash before {}", named(.escaped))]
    UndefinedEscape {
        /// The byte behind the backslash; `None` at the end of the name or value.
        escaped: Option<u8>,
    },
    /// `content-length` is not a number.
    #[error("content-length is not a number of bytes")]
    BadContentLength,
    /// The byte behind a body of `content-length` bytes is not NUL.
    #[error("no NUL byte behind a body of content-length {length}")]
    NoNul {
        /// The length by the header, in bytes.
        length: usize,
    },
}

fn named(escaped: &Option<u8>) -> String {
    escaped.map_or("the end".into(), |byte| format!("`{}`", byte.escape_ascii()))
}
