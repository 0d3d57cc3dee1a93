//! The protocol of a server that does not answer as it should: most often its port is another service's.

use crate::server_address::{Door, ServerAddress};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use switchboard_wire::native::ForeignProtocol;

/// Time for each byte of the answer. A service on this machine or near it needs less.
const ANSWER: Duration = Duration::from_secs(1);

/// The fault of an address with `https` where that is not spoken.
pub(crate) const WITHOUT_TLS: &str = "speaks HTTP without TLS: write http:// instead of https://";

/// Asks in HTTP, and names the protocol of the answer, or of the greeting that came before it. `None` if it says nothing, or
/// nothing that is known. Blocks for some seconds at most, once it is connected.
pub(crate) fn spoken(address: &ServerAddress, door: Door) -> Option<ForeignProtocol> {
    let mut stream = TcpStream::connect((address.host(), address.port(door))).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    stream.set_write_timeout(Some(ANSWER)).ok()?;
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").ok()?;
    let mut first = [0; 4];
    stream.read_exact(&mut first).ok()?;
    ForeignProtocol::recognize_answer(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_protocol_of_a_greeting_or_an_answer_is_named() {
        for (said, protocol) in [
            (&b"HTTP/1.0 200 OK\r\n"[..], Some(ForeignProtocol::Http)),
            (b"\xff\0\0\0\0\0\0\0\x01\x7f", Some(ForeignProtocol::Zmtp)),
            (b"INFO {}", Some(ForeignProtocol::Nats)),
            (b"\0\0\0\x05", None),
            (b"HTT", None),
            (b"", None),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address: ServerAddress = listener.local_addr().expect("an address").to_string().parse().expect("one");
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().expect("a client");
                let mut asked = [0; 4];
                stream.read_exact(&mut asked).expect("a request");
                stream.write_all(said).expect("an answer");
            });
            assert_eq!(spoken(&address, Door::Native), protocol, "{}", said.escape_ascii());
            server.join().expect("served");
        }
    }
}
