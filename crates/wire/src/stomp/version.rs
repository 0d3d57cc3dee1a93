use super::DecodeError;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A version of STOMP. The later one is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// Without escapes; blanks around a header's name and value are no part of it.
    V1_0,
    /// With the escapes `\n`, `\c` and `\\`.
    V1_1,
    /// With the escape `\r` too.
    V1_2,
}

/// No version is called so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the versions of STOMP are 1.0, 1.1 and 1.2")]
pub struct UnknownVersion;

impl Version {
    /// All of them, the earliest first.
    pub const ALL: [Version; 3] = [Version::V1_0, Version::V1_1, Version::V1_2];

    /// Its name in headers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Version::V1_0 => "1.0",
            Version::V1_1 => "1.1",
            Version::V1_2 => "1.2",
        }
    }

    /// Appends a name or value. Bytes that the version cannot express, and NUL, become `?`: written as they are they
    /// would end the line, or the frame.
    pub(super) fn escape(self, text: &[u8], is_name: bool, out: &mut Vec<u8>) {
        let is_plain = |byte: &u8| !matches!(byte, b'\n' | b'\r' | b':' | b'\\' | 0);
        let clean = text.iter().position(|byte| !is_plain(byte)).unwrap_or(text.len());
        let (clean, rest) = text.split_at(clean);
        out.extend_from_slice(clean);
        for &byte in rest {
            match (byte, self) {
                (b'\n', Version::V1_1 | Version::V1_2) => out.extend_from_slice(b"\\n"),
                (b':', Version::V1_1 | Version::V1_2) => out.extend_from_slice(b"\\c"),
                (b'\\', Version::V1_1 | Version::V1_2) => out.extend_from_slice(b"\\\\"),
                (b'\r', Version::V1_2) => out.extend_from_slice(b"\\r"),
                (0 | b'\n', _) | (b'\r', Version::V1_0) => out.push(b'?'),
                (b':', Version::V1_0) if is_name => out.push(b'?'),
                _ => out.push(byte),
            }
        }
    }

    /// The name or value that stands in a line.
    pub(super) fn unescape(self, text: &[u8]) -> Result<Cow<'_, [u8]>, DecodeError> {
        if self == Version::V1_0 {
            return Ok(Cow::Borrowed(text.trim_ascii()));
        }
        let Some(first) = memchr::memchr(b'\\', text) else { return Ok(Cow::Borrowed(text)) };
        let mut plain = text[..first].to_vec();
        let mut rest = text[first..].iter();
        while let Some(&byte) = rest.next() {
            plain.push(match (byte, self) {
                (b'\\', _) => match (rest.next(), self) {
                    (Some(b'n'), _) => b'\n',
                    (Some(b'c'), _) => b':',
                    (Some(b'\\'), _) => b'\\',
                    (Some(b'r'), Version::V1_2) => b'\r',
                    (escaped, _) => return Err(DecodeError::UndefinedEscape { escaped: escaped.copied() }),
                },
                _ => byte,
            });
        }
        Ok(Cow::Owned(plain))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Version {
    type Err = UnknownVersion;

    fn from_str(name: &str) -> Result<Version, UnknownVersion> {
        Version::ALL.into_iter().find(|version| version.name() == name).ok_or(UnknownVersion)
    }
}
