//! A server on free ports, and a client that knows the protocol only.

#![allow(dead_code, reason = "not every test uses everything")]

pub(crate) mod log;
pub(crate) mod stomp;
pub(crate) mod web_socket;

use std::net::SocketAddr;
use std::time::Duration;
use switchboard_server::{Connector, RunError, Server, Settings, Shutdown};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything takes; only a failing test gets there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Running {
    pub(crate) native: SocketAddr,
    pub(crate) stomp: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) connector: Connector,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<Shutdown, RunError>>,
}

impl Running {
    pub(crate) async fn start() -> Running {
        Running::start_with(Settings::default()).await
    }

    pub(crate) async fn start_with(settings: Settings) -> Running {
        Running::start_at(settings, "127.0.0.1:0").await
    }

    /// With HTTP at this address.
    pub(crate) async fn start_at(settings: Settings, http: &str) -> Running {
        let free = || vec!["127.0.0.1:0".into()];
        let settings = Settings { listen: free(), stomp: free(), http: vec![http.into()], ..settings };
        let server = Server::bind(settings).await.unwrap();
        let (native, http) = (server.native_addresses()[0], server.http_addresses()[0]);
        let stomp = server.stomp_addresses()[0];
        let connector = server.connector("test");
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async { _ = stopped.await }));
        Running { native, stomp, http, connector, stop, task }
    }

    /// Connects, subscribes, and waits until the subscription is in force.
    pub(crate) async fn client(&self, pattern: &str) -> Client {
        let mut client = Client(TcpStream::connect(self.native).await.unwrap());
        client.send(pattern.as_bytes()).await;
        client.settle().await;
        client
    }

    pub(crate) async fn stop(self) -> Shutdown {
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.task).await.expect("the server ends").unwrap().expect("no panic")
    }

    /// Lets the server drain: gives its end once it does.
    pub(crate) async fn begin_stop(mut self) -> JoinHandle<Shutdown> {
        std::mem::replace(&mut self.stop, oneshot::channel().0).send(()).unwrap();
        timeout(PATIENCE, async {
            while !self.http("GET /readyz HTTP/1.1\r\nHost: localhost").await.contains(" 503 ") {}
        })
        .await
        .expect("a server that drains");
        tokio::spawn(async { timeout(PATIENCE, self.task).await.expect("the server ends").unwrap().expect("no panic") })
    }

    /// One HTTP request; the whole response.
    pub(crate) async fn http(&self, request: &str) -> String {
        let mut socket = TcpStream::connect(self.http).await.unwrap();
        let request = format!("{request}\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        timeout(PATIENCE, socket.read_to_string(&mut response)).await.expect("an answer").unwrap();
        response
    }
}

impl Running {
    /// An answer that goes on: its first part, and the connection.
    pub(crate) async fn begin(&self, request: &str) -> (String, TcpStream) {
        let mut socket = TcpStream::connect(self.http).await.unwrap();
        socket.write_all(format!("{request}\r\n\r\n").as_bytes()).await.unwrap();
        let mut part = vec![0; 4096];
        let count = timeout(PATIENCE, socket.read(&mut part)).await.expect("an answer").unwrap();
        (String::from_utf8_lossy(&part[..count]).into_owned(), socket)
    }
}

pub(crate) struct Client<S = TcpStream>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Sends a frame.
    pub(crate) async fn send(&mut self, body: &[u8]) {
        self.0.write_all(&frame(body)).await.unwrap();
    }

    pub(crate) async fn publish(&mut self, channel: &str, body: &[u8]) {
        self.send(channel.as_bytes()).await;
        self.send(body).await;
    }

    pub(crate) async fn receive(&mut self) -> Vec<u8> {
        timeout(PATIENCE, async {
            let length = self.0.read_u32().await.expect("a frame");
            let mut body = vec![0; length as usize];
            self.0.read_exact(&mut body).await.expect("a whole frame");
            body
        })
        .await
        .expect("a frame in time")
    }

    /// Everything up to now is done: what comes before the echo was there before it.
    pub(crate) async fn settle(&mut self) {
        assert_eq!(self.until_echo().await, Vec::<Vec<u8>>::new());
    }

    /// Everything up to now is done, of which so many messages come back.
    pub(crate) async fn settle_after(&mut self, messages: usize) {
        assert_eq!(self.until_echo().await.len(), messages);
    }

    /// Everything that was received before an echo came back.
    pub(crate) async fn until_echo(&mut self) -> Vec<Vec<u8>> {
        self.publish("/switchboard/echo", b"the echo").await;
        let mut received = Vec::new();
        loop {
            match self.receive().await {
                echo if echo == b"the echo" => return received,
                body => received.push(body),
            }
        }
    }

    /// Waits until the server ends the connection, and gives what came before.
    pub(crate) async fn end(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.expect("an end").unwrap();
        rest
    }
}

pub(crate) fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    switchboard_wire::native::encode(body, &mut bytes);
    bytes
}
