//! MQTT 3.1.1, QoS 0.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use switchboard_load::{Channel, Protocol, bad_data, connect, read_until};

pub(super) struct Mqtt(pub(super) SocketAddr);

const PUBLISH: u8 = 0x30;

impl Mqtt {
    fn open(&self) -> io::Result<TcpStream> {
        let mut stream = connect(self.0)?;
        // Protocol level 4, a clean session, no keep-alive, and the broker chooses the client's name.
        stream.write_all(&packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x00\x00\x00"))?;
        read_until(&stream, b"\x20\x02\x00\x00")?;
        Ok(stream)
    }
}

fn topic(channel: &Channel) -> Vec<u8> {
    let name = format!("bench/{}", channel.name);
    [&(name.len() as u16).to_be_bytes(), name.as_bytes()].concat()
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    let mut left = body.len();
    loop {
        let more = left > 127;
        out.push((left & 127) as u8 | u8::from(more) << 7);
        left >>= 7;
        if !more {
            break;
        }
    }
    out.extend_from_slice(body);
    out
}

/// Returns a packet's body length and offset; `None` until both have come.
fn body(input: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let mut length = 0;
    for (at, &byte) in input.iter().enumerate().skip(1).take(4) {
        length |= usize::from(byte & 127) << (7 * (at - 1));
        if byte < 128 {
            return Ok(Some((length, at + 1)));
        }
    }
    if input.len() > 4 { Err(bad_data("an MQTT length of more than 4 bytes")) } else { Ok(None) }
}

impl Protocol for Mqtt {
    fn publisher(&self, _: &Channel) -> io::Result<TcpStream> {
        self.open()
    }

    fn subscriber(&self, channel: &Channel) -> io::Result<TcpStream> {
        let mut stream = self.open()?;
        stream.write_all(&packet(0x82, &[b"\x00\x01".as_slice(), &topic(channel), b"\x00"].concat()))?;
        read_until(&stream, b"\x90\x03\x00\x01\x00")?;
        Ok(stream)
    }

    fn encode(&self, channel: &Channel, payload: &[u8], out: &mut Vec<u8>) -> usize {
        let packet = packet(PUBLISH, &[&topic(channel), payload].concat());
        out.extend_from_slice(&packet);
        packet.len() - payload.len()
    }

    fn scan(&self, input: &[u8], _: &mut Vec<u8>, mut each: impl FnMut(&[u8])) -> io::Result<usize> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let Some((length, start)) = body(rest)? else { return Ok(used) };
            let Some(body) = rest.get(start..start + length) else { return Ok(used) };
            if rest[0] != PUBLISH {
                return Err(bad_data("an MQTT packet that is no PUBLISH of QoS 0"));
            }
            let name = body.first_chunk().map_or(0, |length| usize::from(u16::from_be_bytes(*length)));
            each(body.get(2 + name..).ok_or_else(|| bad_data("a PUBLISH without its topic"))?);
            used += start + length;
        }
    }
}
