//! The protocol of a server that does not answer as it should: most often its port is another service's.

use crate::server_address::{Door, ServerAddress};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;
use switchboard_wire::native::ForeignProtocol;

/// Time for each byte of the answer. A service on this machine or near it needs less.
const ANSWER: Duration = Duration::from_secs(1);

/// Bytes of an answer that are read.
const ANSWER_BYTES: u64 = 1024;

/// The fault of an address with `https` where that is not spoken.
pub(crate) const WITHOUT_TLS: &str = "speaks HTTP without TLS: write http:// instead of https://";

/// The fault of a server that its machine's kernel accepts connections for, and nobody else.
pub(crate) const SILENT: &str = "accepts connections and does not answer";

/// Returns true for a server that accepts a connection and says nothing, neither before a request nor to it. Takes twice this time
/// at most, once the host's name is known.
pub(crate) fn is_silent(address: &ServerAddress, door: Door, within: Duration) -> bool {
    let addresses = (address.host(), address.port(door)).to_socket_addrs();
    let mut streams = addresses.into_iter().flatten().filter_map(|at| TcpStream::connect_timeout(&at, within).ok());
    let Some(mut stream) = streams.next() else { return false };
    let asked = stream.set_read_timeout(Some(within)).and_then(|()| stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n"));
    let answer = asked.and_then(|()| stream.read(&mut [0]));
    answer.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

/// Asks in HTTP, and names the protocol of the answer, or of the greeting that came before it. `None` if it says nothing, or
/// nothing that is known. Blocks for some seconds at most, once it is connected.
pub(crate) fn spoken(address: &ServerAddress, door: Door) -> Option<ForeignProtocol> {
    let mut stream = TcpStream::connect((address.host(), address.port(door))).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    stream.set_write_timeout(Some(ANSWER)).ok()?;
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").ok()?;
    let mut first = [0; 4];
    stream.read_exact(&mut first).ok()?;
    // The beginning of CONNECTED, which no server sends to a native client.
    if first == *b"CONN" { Some(ForeignProtocol::Stomp) } else { ForeignProtocol::recognize_answer(first) }
}

/// Words of the broker's answer to HTTP at a port for its own protocols.
pub(crate) const OWN: &str = "This port speaks Switchboard's native protocol and STOMP";

/// Names the protocol of a server that is no collector over ZeroMQ. `None` for one that may be one.
pub(crate) fn instead_of_zmtp(address: &ServerAddress) -> Option<String> {
    match spoken(address, Door::Collector)? {
        ForeignProtocol::Zmtp => None,
        ForeignProtocol::Http if answer(address).is_some_and(|text| text.contains(OWN)) => {
            Some("Switchboard's native protocol and STOMP".to_owned())
        }
        protocol => Some(protocol.to_string()),
    }
}

/// The first bytes of an answer to HTTP.
fn answer(address: &ServerAddress) -> Option<String> {
    let mut stream = TcpStream::connect((address.host(), address.port(Door::Collector))).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    stream.set_write_timeout(Some(ANSWER)).ok()?;
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").ok()?;
    let mut text = Vec::new();
    // An error may end what has come.
    let _ = stream.take(ANSWER_BYTES).read_to_end(&mut text);
    Some(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn listening() -> (TcpListener, ServerAddress) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string().parse().expect("one");
        (listener, address)
    }

    #[test]
    fn a_server_that_accepts_and_says_nothing_is_silent_and_no_other_is() {
        let (listener, address) = listening();
        // The kernel accepts for it.
        assert!(is_silent(&address, Door::Native, Duration::from_millis(50)));
        drop(listener);
        assert!(!is_silent(&address, Door::Native, Duration::from_millis(50)), "nobody listens");
        for said in [&b"x"[..], b""] {
            let (listener, address) = listening();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().expect("a client");
                stream.read_exact(&mut [0; 4]).expect("a request");
                stream.write_all(said).expect("an answer");
            });
            assert!(!is_silent(&address, Door::Native, Duration::from_secs(10)), "{}", said.escape_ascii());
            server.join().expect("served");
        }
    }

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
            let (listener, address) = listening();
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
