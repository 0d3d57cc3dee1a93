//! Other protocols that are spoken at the native port by mistake.

use std::fmt;

/// A protocol that is known by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignProtocol {
    /// HTTP, and with it WebSocket.
    Http,
    /// TLS, whatever it carries.
    Tls,
    /// MQTT.
    Mqtt,
    /// STOMP.
    Stomp,
    /// AMQP.
    Amqp,
    /// ZMTP, the protocol of ZeroMQ.
    Zmtp,
}

impl ForeignProtocol {
    /// The protocol of a client that sends these 4 bytes first.
    ///
    /// Read as a native frame's length, each of them announces 256 MiB or more, so no native client sends
    /// them where a channel's name is due. Four bytes do not tell STOMP's `CONNECT` from HTTP's: it counts as
    /// STOMP's, for nobody asks a broker for a tunnel.
    #[must_use]
    pub fn recognize(first: [u8; 4]) -> Option<ForeignProtocol> {
        Some(match &first {
            b"GET " | b"POST" | b"PUT " | b"HEAD" | b"DELE" | b"OPTI" | b"PATC" | b"TRAC" | b"PRI " => {
                ForeignProtocol::Http
            }
            b"CONN" | b"STOM" => ForeignProtocol::Stomp,
            b"AMQP" => ForeignProtocol::Amqp,
            // A handshake record of any version.
            [0x16, 3, 0..=4, _] => ForeignProtocol::Tls,
            // CONNECT, a remaining length of one byte or two, then the length of the protocol's name.
            [0x10, 0..0x80, 0, 4 | 6] | [0x10, 0x80..=0xff, 0..0x80, 0] => ForeignProtocol::Mqtt,
            // The signature's first byte, and a length that nobody reads.
            [0xff, 0, 0, 0] => ForeignProtocol::Zmtp,
            _ => return None,
        })
    }
}

impl fmt::Display for ForeignProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ForeignProtocol::Http => "HTTP",
            ForeignProtocol::Tls => "TLS",
            ForeignProtocol::Mqtt => "MQTT",
            ForeignProtocol::Stomp => "STOMP",
            ForeignProtocol::Amqp => "AMQP",
            ForeignProtocol::Zmtp => "ZeroMQ (ZMTP)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ForeignProtocol::{self, Amqp, Http, Mqtt, Stomp, Tls, Zmtp};

    fn of(bytes: &[u8]) -> Option<ForeignProtocol> {
        ForeignProtocol::recognize(*bytes.first_chunk().expect("four bytes"))
    }

    #[test]
    fn a_protocol_is_known_by_its_first_bytes() {
        for (bytes, protocol) in [
            (&b"GET /metrics HTTP/1.1"[..], Http),
            (b"POST /purge", Http),
            (b"PUT /x", Http),
            (b"HEAD / HTTP/1.0", Http),
            (b"DELETE /x", Http),
            (b"OPTIONS *", Http),
            (b"PATCH /x", Http),
            (b"TRACE /x", Http),
            (b"PRI * HTTP/2.0", Http),
            (b"CONNECT\naccept-version:1.2\n\n\0", Stomp),
            (b"STOMP\naccept-version:1.2\n\n\0", Stomp),
            (b"AMQP\0\0\x09\x01", Amqp),
            (b"\x16\x03\x01\x02\x00\x01", Tls),
            (b"\x16\x03\x03\x02\x00\x01", Tls),
            (b"\x10\x0c\x00\x04MQTT\x05", Mqtt),
            (b"\x10\x0e\x00\x06MQIsdp\x03", Mqtt),
            (b"\x10\xa1\x01\x00\x04MQTT\x05", Mqtt),
            (b"\xff\0\0\0\0\0\0\0\x01\x7f", Zmtp),
        ] {
            assert_eq!(of(bytes), Some(protocol), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn no_length_below_256_mib_is_taken_for_another_protocol() {
        for first in 0..0x10 {
            for second in [0, 3, 0x80, 0xff] {
                for rest in [[0, 0], [0, 4], [1, 0], [3, 1]] {
                    assert_eq!(ForeignProtocol::recognize([first, second, rest[0], rest[1]]), None);
                }
            }
        }
    }

    #[test]
    fn other_bytes_are_no_protocol() {
        for bytes in [&b"\xff\xff\xff\xff"[..], b"get ", b"\x16\x04\x01\x00", b"\x10\x0c\x00\x05", b"\x20\x0c\x00\x04"]
        {
            assert_eq!(of(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
