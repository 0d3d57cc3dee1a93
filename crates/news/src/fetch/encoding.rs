//! Compressed bodies, with a limit on what they become.

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use std::io::Read;

/// The encodings that a request accepts: those that [`decompress`] can undo.
#[cfg(feature = "service")]
pub(crate) const ACCEPTED: &str = "gzip, deflate";

/// Why a body cannot be decompressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// An encoding that no request accepts.
    #[error("the answer has the Content-Encoding {0:?}, which was not asked for")]
    Unknown(String),
    /// A decompression bomb.
    #[error("the answer is longer than {0} bytes when decompressed")]
    TooLong(usize),
    /// Damaged data.
    #[error("the answer cannot be decompressed: {0}")]
    Damaged(String),
}

/// Undoes the encodings of a `Content-Encoding` header; at most `limit` bytes come out.
pub(crate) fn decompress(body: Vec<u8>, header: &str, limit: usize) -> Result<Vec<u8>, EncodingError> {
    let mut encodings = header.split(',').map(|name| name.trim().to_ascii_lowercase());
    let encoding = encodings.by_ref().find(|name| !name.is_empty() && name != "identity");
    if encodings.any(|name| !name.is_empty() && name != "identity") {
        // Nobody compresses twice but to harm.
        return Err(EncodingError::Unknown(header.to_owned()));
    }
    match encoding.as_deref() {
        None => Ok(body),
        Some("gzip" | "x-gzip") => read(MultiGzDecoder::new(&body[..]), limit),
        // The standard means zlib; some servers send the bare stream.
        Some("deflate") => match read(ZlibDecoder::new(&body[..]), limit) {
            Err(EncodingError::Damaged(_)) => read(DeflateDecoder::new(&body[..]), limit),
            result => result,
        },
        Some(_) => Err(EncodingError::Unknown(header.to_owned())),
    }
}

fn read(decoder: impl Read, limit: usize) -> Result<Vec<u8>, EncodingError> {
    let mut text = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(most).read_to_end(&mut text).map_err(|error| EncodingError::Damaged(error.to_string()))?;
    if text.len() > limit { Err(EncodingError::TooLong(limit)) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::read::{DeflateEncoder, GzEncoder, ZlibEncoder};

    fn all(mut reader: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).expect("compressed");
        bytes
    }

    #[test]
    fn every_accepted_encoding_is_undone() {
        let text = &b"headline headline headline"[..];
        let level = Compression::default();
        for (header, body) in [
            ("", text.to_vec()),
            ("identity", text.to_vec()),
            ("gzip", all(GzEncoder::new(text, level))),
            ("X-GZIP, identity", all(GzEncoder::new(text, level))),
            ("deflate", all(ZlibEncoder::new(text, level))),
            ("deflate", all(DeflateEncoder::new(text, level))),
        ] {
            assert_eq!(decompress(body, header, 100).as_deref(), Ok(text), "{header}");
        }
    }

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let bomb = all(GzEncoder::new(std::io::repeat(0).take(1000), Compression::best()));
        assert_eq!(decompress(bomb.clone(), "gzip", 1001).map(|body| body.len()), Ok(1000));
        assert_eq!(decompress(bomb.clone(), "gzip", 1000).map(|body| body.len()), Ok(1000));
        assert_eq!(decompress(bomb.clone(), "gzip", 999), Err(EncodingError::TooLong(999)));
        assert_eq!(decompress(bomb, "gzip", 0), Err(EncodingError::TooLong(0)));
    }

    #[test]
    fn what_was_not_asked_for_and_what_is_damaged_are_errors() {
        for header in ["br", "zstd", "gzip, gzip", "gzip, br", "compress"] {
            assert!(matches!(decompress(vec![1], header, 9), Err(EncodingError::Unknown(_))), "{header}");
        }
        for header in ["gzip", "deflate"] {
            assert!(matches!(decompress(vec![255; 30], header, 9), Err(EncodingError::Damaged(_))), "{header}");
        }
    }
}
