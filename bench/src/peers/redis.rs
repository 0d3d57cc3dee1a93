//! Redis, PUB/SUB over RESP.

use super::text::{Found, number, scan};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use switchboard_load::{Channel, Protocol, bad_data, connect, read_until};

pub(super) struct Redis(pub(super) SocketAddr);

fn name(channel: &Channel) -> String {
    format!("bench.{}", channel.name)
}

impl Protocol for Redis {
    fn publisher(&self, _: &Channel) -> io::Result<TcpStream> {
        let mut stream = connect(self.0)?;
        stream.write_all(b"PING\r\n")?;
        read_until(&stream, b"+PONG\r\n")?;
        // Otherwise it answers each PUBLISH, which no other peer does.
        stream.write_all(b"CLIENT REPLY OFF\r\n")?;
        Ok(stream)
    }

    fn subscriber(&self, channel: &Channel) -> io::Result<TcpStream> {
        let mut stream = connect(self.0)?;
        stream.write_all(format!("SUBSCRIBE {}\r\n", name(channel)).as_bytes())?;
        read_until(&stream, b":1\r\n")?;
        Ok(stream)
    }

    fn encode(&self, channel: &Channel, payload: &[u8], out: &mut Vec<u8>) -> usize {
        let name = name(channel);
        let header = format!("*3\r\n$7\r\nPUBLISH\r\n${}\r\n{name}\r\n${}\r\n", name.len(), payload.len());
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
        header.len()
    }

    fn scan(&self, input: &[u8], _: &mut Vec<u8>, each: impl FnMut(&[u8])) -> io::Result<usize> {
        let find = |rest| Ok(header(rest)?.map_or(Found::Need, |(header, size)| Found::Header(header, size)));
        scan(input, find, each)
    }
}

/// The six lines before a payload, and its size.
fn header(input: &[u8]) -> io::Result<Option<(&[u8], usize)>> {
    let mut ends = input.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    let (Some(fifth), Some(sixth)) = (ends.nth(4), ends.next()) else { return Ok(None) };
    if !input.starts_with(b"*3\r\n$7\r\nmessage\r\n") {
        return Err(bad_data("an unknown answer of Redis"));
    }
    let size = input[fifth + 1..sixth].trim_ascii_end().strip_prefix(b"$").and_then(number);
    Ok(Some((&input[..=sixth], size.ok_or_else(|| bad_data("a message without a size"))?)))
}
