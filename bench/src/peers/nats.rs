//! NATS, in its text protocol.

use super::text::{Found, number, scan};
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use switchboard_load::{Channel, Protocol, bad_data, connect, read_until};

pub(super) struct Nats(pub(super) SocketAddr);

impl Nats {
    fn open(&self, more: &str) -> io::Result<TcpStream> {
        let mut stream = connect(self.0)?;
        let hello = format!("CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\n{more}PING\r\n");
        stream.write_all(hello.as_bytes())?;
        read_until(&stream, b"PONG\r\n")?;
        Ok(stream)
    }
}

fn subject(channel: &Channel) -> String {
    format!("bench.{}", channel.name)
}

impl Protocol for Nats {
    fn publisher(&self, _: &Channel) -> io::Result<TcpStream> {
        self.open("")
    }

    fn subscriber(&self, channel: &Channel) -> io::Result<TcpStream> {
        let group = if channel.queue { " workers" } else { "" };
        self.open(&format!("SUB {}{group} 1\r\n", subject(channel)))
    }

    fn encode(&self, channel: &Channel, payload: &[u8], out: &mut Vec<u8>) -> usize {
        let header = format!("PUB {} {}\r\n", subject(channel), payload.len());
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
        header.len()
    }

    fn scan(&self, input: &[u8], answer: &mut Vec<u8>, each: impl FnMut(&[u8])) -> io::Result<usize> {
        let find = |rest| {
            let Some(line) = first_line(rest) else { return Ok(Found::Need) };
            if !line.starts_with(b"MSG ") {
                other(line, answer)?;
                return Ok(Found::Other(line.len()));
            }
            let size = line.trim_ascii_end().rsplit(|&byte| byte == b' ').next();
            Ok(Found::Header(line, size.and_then(number).ok_or_else(|| bad_data("a MSG without a size"))?))
        };
        scan(input, find, each)
    }
}

fn first_line(input: &[u8]) -> Option<&[u8]> {
    input.split_inclusive(|&byte| byte == b'\n').next().filter(|line| line.ends_with(b"\n"))
}

/// A line that is no message.
fn other(line: &[u8], answer: &mut Vec<u8>) -> io::Result<()> {
    if line.starts_with(b"PING") {
        answer.extend_from_slice(b"PONG\r\n");
    } else if line.starts_with(b"-ERR") {
        // It closes the connection after this.
        return Err(io::Error::new(ErrorKind::ConnectionAborted, String::from_utf8_lossy(line)));
    } else if !line.starts_with(b"PONG") && !line.starts_with(b"INFO") {
        return Err(bad_data("an unknown line of NATS"));
    }
    Ok(())
}
