//! The native protocol's two small functions, for those who want nothing else.
//!
//! ```no_run
//! use switchboard_client::native::{read_msg, send_msg};
//! use tokio::net::TcpStream;
//!
//! # async fn example() -> std::io::Result<()> {
//! let mut stream = TcpStream::connect("localhost:25000").await?;
//! send_msg(&mut stream, b"/topic/foo").await?; // what it listens to
//! send_msg(&mut stream, b"/topic/foo").await?; // where to
//! send_msg(&mut stream, b"hello").await?; // what
//! assert_eq!(read_msg(&mut stream).await?, b"hello");
//! # Ok(())
//! # }
//! ```

use std::io::{self, ErrorKind};
use switchboard_wire::native::{PREFIX, header};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest message that [`read_msg`] accepts, in bytes: the broker's default.
pub const LIMIT: usize = 16 << 20;

/// Reads one message. Memory is taken as its bytes arrive.
///
/// Not to be dropped half-way: what it has read by then is gone.
///
/// # Errors
///
/// The stream's; [`ErrorKind::UnexpectedEof`] at its end, whole or torn; [`ErrorKind::InvalidData`] if
/// the message is longer than [`LIMIT`].
pub async fn read_msg<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Vec<u8>> {
    let mut prefix = [0; PREFIX];
    stream.read_exact(&mut prefix).await?;
    let length = u32::from_be_bytes(prefix);
    if length as usize > LIMIT {
        let text = format!("message of {length} bytes is over the limit of {LIMIT} bytes");
        return Err(io::Error::new(ErrorKind::InvalidData, text));
    }
    let mut data = Vec::new();
    stream.take(length.into()).read_to_end(&mut data).await?;
    if data.len() < length as usize {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(data)
}

/// Sends one message.
///
/// # Errors
///
/// The stream's; [`ErrorKind::InvalidInput`] if `data` does not fit into a frame, which holds 4 GiB.
pub async fn send_msg<S: AsyncWrite + Unpin>(stream: &mut S, data: &[u8]) -> io::Result<()> {
    if u32::try_from(data.len()).is_err() {
        return Err(ErrorKind::InvalidInput.into());
    }
    // One write for what is small, as most is: two might become two packets.
    const SMALL: usize = 16 << 10;
    let header = header(data.len());
    if data.len() <= SMALL {
        stream.write_all(&[&header, data].concat()).await?;
    } else {
        stream.write_all(&header).await?;
        stream.write_all(data).await?;
    }
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_is_read() {
        for data in [vec![], vec![1], vec![2; 100_000]] {
            let (mut one, mut two) = tokio::io::duplex(1000);
            let (sent, read) = tokio::join!(send_msg(&mut one, &data), read_msg(&mut two));
            sent.unwrap();
            assert_eq!(read.unwrap(), data);
        }
    }

    #[tokio::test]
    async fn a_torn_and_an_overlong_message_are_errors() {
        let torn = read_msg(&mut &b"\0\0\0\x05hell"[..]).await.unwrap_err();
        assert_eq!(torn.kind(), ErrorKind::UnexpectedEof);
        let long = read_msg(&mut &b"\x01\0\0\x01"[..]).await.unwrap_err();
        assert!(long.to_string().contains("16777217 bytes is over the limit of 16777216"), "{long}");
    }
}
