//! The tool's interface to a broker's protocol.

use crate::Channel;
use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The protocol of one kind of broker.
pub trait Protocol: Sync {
    /// Opens a connection that publishes to `channel`, and returns when the broker has accepted it.
    ///
    /// # Errors
    ///
    /// The connection's, or what the broker has refused.
    fn publisher(&self, channel: &Channel) -> io::Result<TcpStream>;

    /// Opens a connection that subscribes to `channel`, and returns when the subscription is in
    /// force: a message lost to a late start would look like the broker's fault.
    ///
    /// # Errors
    ///
    /// The connection's, or what the broker has refused.
    fn subscriber(&self, channel: &Channel) -> io::Result<TcpStream>;

    /// Appends what publishes `payload` to `channel`, and returns where in it the payload begins.
    /// For payloads of one length it must be of one length, too.
    fn encode(&self, channel: &Channel, payload: &[u8], out: &mut Vec<u8>) -> usize;

    /// Calls `each` with every whole payload in `input`, and returns how many bytes were whole
    /// messages. What must be answered (a ping) is appended to `answer`.
    ///
    /// # Errors
    ///
    /// Invalid input.
    fn scan(&self, input: &[u8], answer: &mut Vec<u8>, each: impl FnMut(&[u8])) -> io::Result<usize>;
}

/// Connects, with the options that the tool needs.
///
/// # Errors
///
/// Those of the system.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    // A broker that never answers must not stop a night's run.
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

/// Reads until what was read ends with `end`.
///
/// # Errors
///
/// Those of the system, and the end of the stream.
pub fn read_until(mut stream: &TcpStream, end: &[u8]) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    while !all.ends_with(end) {
        match stream.read(&mut piece)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            bytes => all.extend_from_slice(&piece[..bytes]),
        }
    }
    Ok(all)
}

/// An error for bytes that make no sense.
pub fn bad_data(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_owned())
}
