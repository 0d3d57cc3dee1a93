//! A client that knows STOMP only.

use super::{PATIENCE, Running};
use std::collections::HashMap;
use std::net::SocketAddr;
use switchboard_wire::stomp::{Decoder, Found, Limits, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) struct StompClient {
    pub(crate) socket: TcpStream,
    decoder: Decoder,
    received: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) command: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Frame {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl StompClient {
    /// Connects without a word.
    pub(crate) async fn silent(address: SocketAddr) -> StompClient {
        let socket = TcpStream::connect(address).await.unwrap();
        StompClient { socket, decoder: Decoder::new(Limits::default()), received: Vec::new() }
    }

    pub(crate) async fn connect(server: &Running, version: Version) -> StompClient {
        let mut client = StompClient::silent(server.native).await;
        client.send(&format!("CONNECT\naccept-version:{version}\nhost:x\n\n\0")).await;
        client.decoder.set_version(version);
        let connected = client.receive().await;
        assert_eq!((&connected.command[..], connected.header("version")), ("CONNECTED", version.name()));
        client
    }

    pub(crate) async fn send(&mut self, bytes: &str) {
        self.socket.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// Everything up to now is done: sends a message to itself, which comes behind what waits. Gives what came before.
    pub(crate) async fn settle(&mut self) -> Vec<Frame> {
        self.send("SUBSCRIBE\nid:settled\ndestination:/topic/settled\n\n\0SEND\ndestination:/topic/settled\n\n\0")
            .await;
        let mut before = Vec::new();
        loop {
            let frame = self.receive().await;
            if frame.header("receipt-id") == "settled" {
                return before;
            } else if frame.header("subscription") == "settled" {
                // Only now: what was not begun of it would not come any more.
                self.send("UNSUBSCRIBE\nid:settled\nreceipt:settled\n\n\0").await;
            } else if frame.header("destination") != "/topic/settled" {
                before.push(frame);
            }
        }
    }

    pub(crate) async fn receive(&mut self) -> Frame {
        self.next().await.expect("a frame before the end")
    }

    /// The next frame; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            match self.decoder.next(&self.received).expect("a frame") {
                Found::Frame { frame, length } => {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    let mut headers = HashMap::new();
                    for header in frame.headers() {
                        headers.entry(text(&header.name)).or_insert_with(|| text(&header.value));
                    }
                    let frame = Frame { command: text(frame.command), headers, body: frame.body.to_vec() };
                    self.received.drain(..length);
                    return Some(frame);
                }
                Found::Need { skip, .. } => drop(self.received.drain(..skip)),
            }
            let read = self.socket.read_buf(&mut self.received);
            if timeout(PATIENCE, read).await.expect("bytes in time").unwrap() == 0 {
                return None;
            }
        }
    }

    /// Everything up to the end.
    pub(crate) async fn end(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }

    /// The ERROR that ends the session.
    pub(crate) async fn error(&mut self) -> String {
        let mut last = self.end().await;
        let error = last.pop().expect("an ERROR");
        assert_eq!(error.command, "ERROR");
        String::from_utf8(error.body).unwrap()
    }
}
