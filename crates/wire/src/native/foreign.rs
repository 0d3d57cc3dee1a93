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
    /// RESP, the protocol of Redis.
    Redis,
    /// SSH.
    Ssh,
    /// The protocol of PostgreSQL, version 3.
    Postgres,
    /// NATS.
    Nats,
    /// SMTP.
    Smtp,
    /// The text protocol of memcached.
    Memcached,
    /// The PROXY protocol, by which a proxy says whom it connects.
    Proxy,
}

impl ForeignProtocol {
    /// The bytes that [`ForeignProtocol::recognize_name`] looks at: a length, and the first 4 bytes behind it.
    pub const NAMED: usize = 8;

    /// The protocol of a client that sends these 4 bytes first.
    ///
    /// Read as a native frame's length, each of them announces 256 MiB or more, so no native client sends
    /// them where a channel's name is due. Four bytes do not tell STOMP's `CONNECT` from those of HTTP and NATS:
    /// [`recognize_beside_stomp`](ForeignProtocol::recognize_beside_stomp) does.
    #[must_use]
    pub fn recognize(first: [u8; 4]) -> Option<ForeignProtocol> {
        Some(match &first {
            b"GET " | b"POST" | b"PUT " | b"HEAD" | b"DELE" | b"OPTI" | b"PATC" | b"TRAC" | b"PRI "
            // Methods of WebDAV.
            | b"PROP" | b"MKCO" | b"COPY" | b"MOVE" | b"LOCK" | b"UNLO" | b"REPO" | b"SEAR" => {
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
            // A command as an array of up to 99 strings, or in line.
            [b'*', b'1'..=b'9', b'\r', b'\n'] | [b'*', b'1'..=b'9', b'0'..=b'9', b'\r'] | b"PING" => {
                ForeignProtocol::Redis
            }
            b"SSH-" => ForeignProtocol::Ssh,
            b"EHLO" | b"HELO" => ForeignProtocol::Smtp,
            b"PROX" | b"\r\n\r\n" => ForeignProtocol::Proxy,
            b"gets" | b"set " | b"add " | b"stat" | b"vers" | b"dele" | b"incr" | b"decr" | b"repl" => ForeignProtocol::Memcached,
            // A person at a terminal.
            b"get " | b"post" | b"put " | b"head" => ForeignProtocol::Http,
            _ => return None,
        })
    }

    /// The protocol of a client whose first bytes are those of STOMP to [`recognize`](ForeignProtocol::recognize), and are another one's
    /// nevertheless: `CONNECT` of NATS and of HTTP, and the second version of the PROXY protocol, which begins with ends of
    /// lines. `None` for STOMP, and while too few bytes are here.
    #[must_use]
    pub fn recognize_beside_stomp(first: &[u8]) -> Option<ForeignProtocol> {
        if let Some(rest) = first.strip_prefix(b"CONNECT ") {
            return match rest.trim_ascii_start() {
                [b'{', ..] => Some(ForeignProtocol::Nats),
                // A client of STOMP that writes a blank behind the command is told so in its own protocol.
                [] => None,
                _ if rest.iter().take_while(|byte| byte.is_ascii_whitespace()).any(|byte| *byte == b'\n') => None,
                _ => Some(ForeignProtocol::Http),
            };
        }
        matches!(first, [b'\r', b'\n', b'\r', b'\n', 0, ..]).then_some(ForeignProtocol::Proxy)
    }

    /// The protocol of a server that sends these 4 bytes first, to a native client: its greeting, or its refusal.
    ///
    /// As with [`recognize`](ForeignProtocol::recognize) no native peer sends them there.
    #[must_use]
    pub fn recognize_answer(first: [u8; 4]) -> Option<ForeignProtocol> {
        Some(match &first {
            b"HTTP" => ForeignProtocol::Http,
            // An alert of any version.
            [0x15, 3, 0..=4, _] => ForeignProtocol::Tls,
            b"ERRO" => ForeignProtocol::Stomp,
            b"AMQP" => ForeignProtocol::Amqp,
            [0xff, 0, 0, 0] => ForeignProtocol::Zmtp,
            b"-ERR" | b"-NOA" | b"-DEN" => ForeignProtocol::Redis,
            b"SSH-" => ForeignProtocol::Ssh,
            [b'E', 0, 0, _] => ForeignProtocol::Postgres,
            b"INFO" => ForeignProtocol::Nats,
            _ => return None,
        })
    }

    /// The protocol of a client whose first bytes are also a native frame of a legal length, and so would wait for its rest: the
    /// name in it is PostgreSQL's request for TLS, for GSSAPI, or for a session of protocol 3.
    ///
    /// `None` too if fewer than 8 bytes are here.
    #[must_use]
    pub fn recognize_name(first: &[u8]) -> Option<ForeignProtocol> {
        match *first.first_chunk::<{ ForeignProtocol::NAMED }>()? {
            [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f | 0x30] => Some(ForeignProtocol::Postgres),
            // Of a shorter one these bytes would be the next frame's length. PostgreSQL's counts itself, and is longer.
            [0, 0, high, low, 0, 3, 0, _] if (high, low) >= (0, 8) => Some(ForeignProtocol::Postgres),
            _ => None,
        }
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
            ForeignProtocol::Redis => "Redis (RESP)",
            ForeignProtocol::Ssh => "SSH",
            ForeignProtocol::Postgres => "PostgreSQL",
            ForeignProtocol::Nats => "NATS",
            ForeignProtocol::Smtp => "SMTP",
            ForeignProtocol::Memcached => "memcached",
            ForeignProtocol::Proxy => "the PROXY protocol",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ForeignProtocol::{
        self, Amqp, Http, Memcached, Mqtt, Nats, Postgres, Redis, Smtp, Ssh, Stomp, Tls, Zmtp,
    };

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
            (b"*1\r\n$4\r\nPING\r\n", Redis),
            (b"*9\r\n$4\r\nMSET\r\n", Redis),
            (b"*10\r\n$4\r\nMSET\r\n", Redis),
            (b"PING\r\n", Redis),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Ssh),
            (b"EHLO mail.example\r\n", Smtp),
            (b"HELO mail.example\r\n", Smtp),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", ForeignProtocol::Proxy),
            (b"\r\n\r\n\0\r\nQUIT\n", ForeignProtocol::Proxy),
            (b"PROPFIND / HTTP/1.1", Http),
            (b"PROPPATCH / HTTP/1.1", Http),
            (b"MKCOL /x HTTP/1.1", Http),
            (b"COPY /x HTTP/1.1", Http),
            (b"MOVE /x HTTP/1.1", Http),
            (b"LOCK /x HTTP/1.1", Http),
            (b"UNLOCK /x HTTP/1.1", Http),
            (b"REPORT /x HTTP/1.1", Http),
            (b"SEARCH /x HTTP/1.1", Http),
            (b"gets key", Memcached),
            (b"set key 0 0 1", Memcached),
            (b"add key 0 0 1", Memcached),
            (b"replace key 0 0 1", Memcached),
            (b"stats", Memcached),
            (b"version", Memcached),
            (b"delete key", Memcached),
            (b"incr key 1", Memcached),
            (b"decr key 1", Memcached),
            (b"get / HTTP/1.0", Http),
            (b"post /x", Http),
            (b"put /x", Http),
            (b"head /x", Http),
        ] {
            assert_eq!(of(bytes), Some(protocol), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_begins_as_stomp_and_is_none_is_recognized_as_soon_as_it_differs() {
        for (bytes, protocol) in
            [(&b"CONNECT {\"verbose\":false}\r\n"[..], Nats), (b"CONNECT example.com:443 HTTP/1.1\r\n", Http)]
        {
            for length in 0..bytes.len() {
                let expected = Some(protocol).filter(|_| length > "CONNECT ".len());
                assert_eq!(ForeignProtocol::recognize_beside_stomp(&bytes[..length]), expected, "{length}");
            }
        }
        let proxy = b"\r\n\r\n\0\r\nQUIT\n";
        assert_eq!(ForeignProtocol::recognize_beside_stomp(&proxy[..4]), None);
        assert_eq!(ForeignProtocol::recognize_beside_stomp(&proxy[..5]), Some(ForeignProtocol::Proxy));
        for stomp in [&b"CONNECT \naccept-version:1.2"[..], b"CONNECT \r\n", b"CONNECT  ", b"CONNECT \t\nhost:a\n"] {
            assert_eq!(ForeignProtocol::recognize_beside_stomp(stomp), None, "{}", stomp.escape_ascii());
        }
        for stomp in [&b"CONNECT\naccept-version:1.2"[..], b"CONNECT\r\n", b"\r\n\r\nCONNECT\n", b"STOMP\n", b""] {
            assert_eq!(ForeignProtocol::recognize_beside_stomp(stomp), None, "{}", stomp.escape_ascii());
        }
    }

    #[test]
    fn a_server_of_another_protocol_is_known_by_what_it_says_first() {
        for (bytes, protocol) in [
            (&b"HTTP/1.1 400 Bad Request"[..], Http),
            (b"\x15\x03\x01\x00\x02\x02\x46", Tls),
            (b"\x15\x03\x03\x00\x02\x02\x46", Tls),
            (b"ERROR\nmessage:x", Stomp),
            (b"AMQP\0\0\x09\x01", Amqp),
            (b"\xff\0\0\0\0\0\0\0\x01\x7f", Zmtp),
            (b"-ERR unknown command", Redis),
            (b"-NOAUTH Authentication required.", Redis),
            (b"-DENIED Redis is running in protected mode", Redis),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Ssh),
            (b"E\0\0\0\x8dSFATAL\0", Postgres),
            (b"INFO {\"server_id\":", Nats),
        ] {
            let first = *bytes.first_chunk().expect("four bytes");
            assert_eq!(ForeignProtocol::recognize_answer(first), Some(protocol), "{}", bytes.escape_ascii());
        }
        // Lengths of frames that a broker may send.
        for first in [[0, 0, 0, 24], [0, 0xff, 0xff, 0xff], [0x0f, 0xff, 0xff, 0xff], *b"\x15\x03\x05\0", *b"E\0\x01\0"]
        {
            assert_eq!(ForeignProtocol::recognize_answer(first), None);
        }
    }

    #[test]
    fn a_name_that_only_postgresql_sends_is_recognized_when_its_first_bytes_are_there() {
        let session = b"\0\0\0\x22\0\x03\0\0user\0me\0\0";
        for greeting in [&b"\0\0\0\x08\x04\xd2\x16\x2f"[..], b"\0\0\0\x08\x04\xd2\x16\x30", session] {
            assert_eq!(ForeignProtocol::recognize_name(greeting), Some(Postgres), "{}", greeting.escape_ascii());
            assert_eq!(ForeignProtocol::recognize_name(&greeting[..ForeignProtocol::NAMED - 1]), None);
        }
        // The next frame's length stands in these bytes.
        for length in 0..8 {
            assert_eq!(ForeignProtocol::recognize_name(&[0, 0, 0, length, 0, 3, 0, 9]), None, "{length}");
        }
        for name in [&b"\0\0\0\x08/topic/a"[..], b"\0\0\0\x09\x04\xd2\x16\x2f", b"\0\x01\0\x08\0\x03\0\0", b""] {
            assert_eq!(ForeignProtocol::recognize_name(name), None, "{}", name.escape_ascii());
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
        for bytes in [
            &b"\xff\xff\xff\xff"[..],
            b"gett",
            b"\x16\x04\x01\x00",
            b"*0\r\n",
            b"*1\n\n",
            b"PINg",
            b"SSH2",
            b"\x10\x0c\x00\x05",
            b"\x20\x0c\x00\x04",
        ] {
            assert_eq!(of(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
