//! A client that knows WebSocket only as far as it needs it.

use super::{PATIENCE, Running};
use std::collections::VecDeque;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

pub(crate) struct WebSocket {
    pub(crate) socket: TcpStream,
    /// Whole frames that were received: the first byte, and the payload.
    received: VecDeque<(u8, Vec<u8>)>,
    buffer: Vec<u8>,
    kind: u8,
}

/// A frame as a client sends it.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ 0..=125), _) => bytes.push(0x80 | short),
        (_, Ok(medium)) => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    let mask = [0x5a, 0xc3, 0x01, 0xff];
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The request, with headers of its own.
pub(crate) fn request(target: &str, headers: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

impl WebSocket {
    /// Sends a request with what follows right behind it, and gives the head of the answer.
    pub(crate) async fn ask(server: &Running, request: &str, behind: &[u8]) -> (WebSocket, String) {
        let mut socket = TcpStream::connect(server.http).await.unwrap();
        socket.write_all(&[request.as_bytes(), behind].concat()).await.unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            timeout(PATIENCE, socket.read_exact(&mut byte)).await.expect("an answer").unwrap();
            head.push(byte[0]);
        }
        let client = WebSocket { socket, received: VecDeque::new(), buffer: Vec::new(), kind: TEXT };
        (client, String::from_utf8(head).unwrap())
    }

    pub(crate) async fn open(server: &Running) -> WebSocket {
        let request = request("/stomp", "Host: localhost\r\nSec-WebSocket-Protocol: v12.stomp\r\n");
        let (client, head) = WebSocket::ask(server, &request, b"").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        client
    }

    /// A session of STOMP 1.2, in messages of this kind.
    pub(crate) async fn connect(server: &Running, kind: u8) -> WebSocket {
        let mut client = WebSocket { kind, ..WebSocket::open(server).await };
        client.send("CONNECT\naccept-version:1.2\nhost:x\n\n\0").await;
        assert!(client.receive().await.starts_with("CONNECTED\nversion:1.2\n"));
        client
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.send_frame(self.kind, text.as_bytes()).await;
    }

    pub(crate) async fn send_frame(&mut self, first: u8, payload: &[u8]) {
        self.socket.write_all(&frame(first, payload)).await.unwrap();
    }

    /// The next message, which is of the kind that is sent.
    pub(crate) async fn receive(&mut self) -> String {
        let (kind, payload) = self.next().await.expect("a message before the end");
        assert_eq!(kind, self.kind);
        String::from_utf8(payload).unwrap()
    }

    /// The next frame of any kind; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            self.decode();
            if let Some(next) = self.received.pop_front() {
                return Some(next);
            }
            let read = self.socket.read_buf(&mut self.buffer);
            if timeout(PATIENCE, read).await.expect("bytes in time").unwrap() == 0 {
                assert!(self.buffer.is_empty(), "a frame that is not whole");
                return None;
            }
        }
    }

    /// Sends a frame with a receipt, and waits for that. Gives what came before.
    pub(crate) async fn settle(&mut self) -> Vec<String> {
        self.send("SEND\ndestination:/topic/nobody\nreceipt:settled\n\n\0").await;
        let mut before = Vec::new();
        loop {
            match self.receive().await {
                receipt if receipt.starts_with("RECEIPT\nreceipt-id:settled\n") => return before,
                message => before.push(message),
            }
        }
    }

    /// Waits for a receipt, whatever pongs come before it.
    pub(crate) async fn settle_behind_pongs(&mut self) {
        self.send("SEND\ndestination:/topic/nobody\nreceipt:settled\n\n\0").await;
        while let (PONG, _) = self.next().await.expect("a frame before the end") {}
    }

    fn decode(&mut self) {
        loop {
            let Some((&[first, second], rest)) = self.buffer.split_first_chunk() else { return };
            assert_eq!(second & 0x80, 0, "a server masks nothing");
            let (head, length) = match (second, rest) {
                (126, [one, two, ..]) => (4, usize::from(u16::from_be_bytes([*one, *two]))),
                (127, rest) if rest.len() >= 8 => (10, u64::from_be_bytes(rest[..8].try_into().unwrap()) as usize),
                (126 | 127, _) => return,
                (short, _) => (2, usize::from(short)),
            };
            if self.buffer.len() < head + length {
                return;
            }
            self.received.push_back((first, self.buffer[head..head + length].to_vec()));
            self.buffer.drain(..head + length);
        }
    }
}
