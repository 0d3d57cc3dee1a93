//! STOMP 1.2, of any broker.

use crate::{Channel, Protocol, bad_data, connect};
use memchr::{memchr, memmem};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Time in which a broker answers to CONNECT or SUBSCRIBE.
const ANSWER: Duration = Duration::from_secs(10);

/// STOMP, at one address.
#[derive(Clone, Debug)]
pub struct Stomp {
    /// The broker's address.
    pub address: SocketAddr,
    /// Name of the broker's virtual host. Most brokers do not look at it; RabbitMQ's first is `/`.
    pub host: String,
    /// Login and passcode, if the broker wants them.
    pub login: Option<(String, String)>,
    /// Each message is acked, and so many may wait for that; `None`: `auto`.
    pub prefetch: Option<u32>,
}

impl Stomp {
    /// STOMP at this address, without a login and without acks.
    pub fn at(address: SocketAddr) -> Stomp {
        Stomp { address, host: "/".into(), login: None, prefetch: None }
    }

    /// Opens a connection that is subscribed to nothing.
    ///
    /// # Errors
    ///
    /// The connection's, or what the broker has refused.
    pub fn open(&self) -> io::Result<TcpStream> {
        let mut stream = connect(self.address)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let login =
            self.login.as_ref().map_or(String::new(), |(login, code)| format!("login:{login}\npasscode:{code}\n"));
        let host = &self.host;
        // In one write: a broker that refuses the first part would break the connection under the others.
        let frame = format!("CONNECT\naccept-version:1.2\nhost:{host}\nheart-beat:0,0\n{login}\n\0");
        stream.write_all(frame.as_bytes())?;
        expect(&stream, "CONNECTED")?;
        Ok(stream)
    }

    fn name(channel: &Channel) -> String {
        format!("/{}/bench.{}", if channel.queue { "queue" } else { "topic" }, channel.name)
    }

    /// Returns when the broker has carried out everything that was sent over `stream`, which is subscribed to nothing.
    ///
    /// # Errors
    ///
    /// The connection's, or what the broker has refused.
    pub fn barrier(mut stream: &TcpStream) -> io::Result<()> {
        stream.write_all(b"BEGIN\ntransaction:barrier\nreceipt:barrier\n\n\0ABORT\ntransaction:barrier\n\n\0")?;
        expect(stream, "RECEIPT")
    }

    /// Opens a connection that subscribes to a destination, and returns when that is in force.
    ///
    /// # Errors
    ///
    /// The connection's, or what the broker has refused.
    pub fn subscribed(&self, destination: &str) -> io::Result<TcpStream> {
        let mut stream = self.open()?;
        let ack = match self.prefetch {
            None => "auto".to_owned(),
            Some(messages) => {
                format!("client-individual\nprefetch-count:{messages}\nactivemq.prefetchSize:{messages}")
            }
        };
        write!(stream, "SUBSCRIBE\nid:0\ndestination:{destination}\nack:{ack}\nreceipt:0\n\n\0")?;
        expect(&stream, "RECEIPT")?;
        Ok(stream)
    }
}

/// Reads one frame without a body.
fn expect(mut stream: &TcpStream, command: &str) -> io::Result<()> {
    // Byte by byte: what stands behind it is not ours, and some servers write a line end there.
    let (mut frame, mut byte) = (Vec::new(), [0]);
    loop {
        stream.read_exact(&mut byte)?;
        match byte[0] {
            0 => break,
            b'\n' | b'\r' if frame.is_empty() => {}
            other => frame.push(other),
        }
    }
    if !frame.starts_with(command.as_bytes()) {
        return Err(io::Error::new(ErrorKind::ConnectionRefused, String::from_utf8_lossy(&frame)));
    }
    Ok(())
}

impl Protocol for Stomp {
    fn publisher(&self, _: &Channel) -> io::Result<TcpStream> {
        self.open()
    }

    fn subscriber(&self, channel: &Channel) -> io::Result<TcpStream> {
        self.subscribed(&Stomp::name(channel))
    }

    fn encode(&self, channel: &Channel, payload: &[u8], out: &mut Vec<u8>) -> usize {
        let head = format!("SEND\ndestination:{}\ncontent-length:{}\n\n", Stomp::name(channel), payload.len());
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(payload);
        out.push(0);
        head.len()
    }

    fn scan(&self, input: &[u8], answer: &mut Vec<u8>, mut each: impl FnMut(&[u8])) -> io::Result<usize> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let eols = rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            if eols > 0 {
                used += eols;
                continue;
            }
            let Some(end) = memmem::find(rest, b"\n\n") else { return Ok(used) };
            let head = Head::of(&rest[..end + 1])?;
            let body = end + 2;
            let length = match head.length {
                Some(length) => length,
                None => match memchr(0, &rest[body..]) {
                    Some(length) => length,
                    None => return Ok(used),
                },
            };
            let Some(payload) = rest.get(body..body + length).filter(|_| rest.len() > body + length) else {
                return Ok(used);
            };
            if head.is_error {
                return Err(io::Error::new(
                    ErrorKind::ConnectionAborted,
                    String::from_utf8_lossy(&rest[..body + length]),
                ));
            }
            each(payload);
            if let (Some(id), Some(_)) = (head.ack, self.prefetch) {
                answer.extend_from_slice(b"ACK\nid:");
                answer.extend_from_slice(id);
                answer.extend_from_slice(b"\n\n\0");
            }
            used += body + length + 1;
        }
    }
}

/// The headers that matter.
struct Head<'a> {
    length: Option<usize>,
    /// As it is escaped, for it goes back so.
    ack: Option<&'a [u8]>,
    is_error: bool,
}

impl<'a> Head<'a> {
    fn of(mut lines: &'a [u8]) -> io::Result<Head<'a>> {
        let is_error = match lines {
            [b'M', ..] => false,
            [b'E', ..] => true,
            _ => return Err(bad_data("a frame that is neither MESSAGE nor ERROR")),
        };
        let mut head = Head { length: None, ack: None, is_error };
        while let Some(end) = memchr(b'\n', lines) {
            let line = &lines[..end];
            if let Some(id) = line.strip_prefix(b"ack:") {
                head.ack = Some(id);
            } else if let Some(digits) = line.strip_prefix(b"content-length:") {
                let digits = std::str::from_utf8(digits).ok().and_then(|digits| digits.trim().parse().ok());
                head.length = Some(digits.ok_or_else(|| bad_data("content-length is no number"))?);
            }
            lines = &lines[end + 1..];
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stomp(prefetch: Option<u32>) -> Stomp {
        Stomp { prefetch, ..Stomp::at(([127, 0, 0, 1], 1).into()) }
    }

    #[test]
    fn whole_messages_are_found_and_acked_however_the_stream_is_cut() {
        let bytes = b"MESSAGE\nack:1\\c2\nsubscription:0\ncontent-length:3\n\na\0b\0\nMESSAGE\nack:3\n\ncd\0\n\nMESSAGE\nack:4\n\n\0";
        for (prefetch, acks) in [(None, &b""[..]), (Some(1), b"ACK\nid:1\\c2\n\n\0ACK\nid:3\n\n\0ACK\nid:4\n\n\0")] {
            for cut in 0..=bytes.len() {
                let (mut seen, mut answer) = (Vec::new(), Vec::new());
                let used =
                    stomp(prefetch).scan(&bytes[..cut], &mut answer, |payload| seen.push(payload.to_vec())).unwrap();
                stomp(prefetch).scan(&bytes[used..], &mut answer, |payload| seen.push(payload.to_vec())).unwrap();
                assert_eq!(seen, [b"a\0b".to_vec(), b"cd".to_vec(), b"".to_vec()], "{cut}");
                assert_eq!(answer, acks, "{cut}");
            }
        }
    }

    #[test]
    fn an_error_of_the_broker_ends_the_run_with_its_words() {
        let error = stomp(None).scan(b"ERROR\nmessage:no room\n\n\0", &mut Vec::new(), |_| {}).unwrap_err();
        assert!(error.to_string().contains("no room"));
        assert!(stomp(None).scan(b"RECEIPT\nreceipt-id:1\n\n\0", &mut Vec::new(), |_| {}).is_err());
    }

    #[test]
    fn the_payload_is_where_encode_says() {
        let channel = Channel { name: "ab".into(), queue: true, number: 0 };
        let mut out = Vec::new();
        let offset = stomp(None).encode(&channel, b"payload", &mut out);
        assert_eq!(&out[offset..], b"payload\0");
        assert!(out.starts_with(b"SEND\ndestination:/queue/bench.ab\ncontent-length:7\n\n"));
    }
}
