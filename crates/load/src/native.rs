//! Switchboard's own protocol.

use crate::{Channel, Protocol, bad_data, connect, read_until};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use switchboard_wire::native::{PREFIX, Split, encode, split};

const ECHO: &[u8] = b"/switchboard/echo";
/// No payload of a run has a length of its own, so it may be anything that is not all zeros.
const TOKEN: &[u8] = b"is it in force?";

/// The native protocol, at one address.
#[derive(Clone, Copy, Debug)]
pub struct Native(pub SocketAddr);

impl Native {
    /// Opens a connection that subscribes to `channel`, and returns when that is in force.
    ///
    /// # Errors
    ///
    /// The connection's.
    pub fn open(&self, channel: &[u8]) -> io::Result<TcpStream> {
        let mut stream = connect(self.0)?;
        let mut bytes = Vec::new();
        encode(channel, &mut bytes);
        stream.write_all(&bytes)?;
        self.barrier(&stream)?;
        Ok(stream)
    }

    /// Returns when the broker has dealt with everything that was sent over `stream`, and all that
    /// was queued for it was read and thrown away.
    ///
    /// # Errors
    ///
    /// The connection's.
    pub fn barrier(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut bytes = Vec::new();
        encode(ECHO, &mut bytes);
        encode(TOKEN, &mut bytes);
        stream.write_all(&bytes)?;
        read_until(stream, TOKEN).map(drop)
    }

    /// The name of a channel of a run.
    #[must_use]
    pub fn name(channel: &Channel) -> String {
        format!("/{}/{}", if channel.queue { "queue" } else { "bench" }, channel.name)
    }
}

impl Protocol for Native {
    fn publisher(&self, _: &Channel) -> io::Result<TcpStream> {
        self.open(b"/null")
    }

    fn subscriber(&self, channel: &Channel) -> io::Result<TcpStream> {
        self.open(Native::name(channel).as_bytes())
    }

    fn encode(&self, channel: &Channel, payload: &[u8], out: &mut Vec<u8>) -> usize {
        let start = out.len();
        encode(Native::name(channel).as_bytes(), out);
        let offset = out.len() - start + PREFIX;
        encode(payload, out);
        offset
    }

    #[inline]
    fn scan(&self, input: &[u8], _: &mut Vec<u8>, mut each: impl FnMut(&[u8])) -> io::Result<usize> {
        let mut used = 0;
        loop {
            match split(&input[used..], 1 << 30) {
                Ok(Split::Frame { body, consumed }) => {
                    each(body);
                    used += consumed;
                }
                Ok(Split::Need(_)) => return Ok(used),
                Err(error) => return Err(bad_data(&error.to_string())),
            }
        }
    }
}
