//! A server on a free port, and clients that write what they like.

#![allow(dead_code, reason = "not every test uses everything")]

use axum::Router;
use std::net::SocketAddr;
use std::time::Duration;
use switchboard_web::{HttpServer, Limits, Options, Purpose};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) const HTTP: Purpose = Purpose::http("test", "--http ");

/// Bound of every wait; only a failing test reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);
/// For time-outs that must not strike.
pub(crate) const LONG: Duration = Duration::from_secs(3600);
/// For time-outs that must.
pub(crate) const SHORT: Duration = Duration::from_millis(200);

/// Limits without a time-out, to shorten one of them.
pub(crate) fn patient() -> Limits {
    Limits { header_timeout: LONG, body_timeout: LONG, idle_timeout: LONG, write_timeout: LONG, ..Limits::default() }
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(router: Router, limits: Limits) -> Running {
        Running::with(router, Options { limits, ..Options::default() }).await
    }

    pub(crate) async fn with(router: Router, options: Options) -> Running {
        let server = HttpServer::bind(&["127.0.0.1:0".into()], HTTP, options).await.expect("a free port");
        Running::of(server, router)
    }

    pub(crate) fn of(server: HttpServer, router: Router) -> Running {
        let address = server.addresses()[0];
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.serve(router, async { drop(stopped.await) }));
        Running { address, stop: Some(stop), task }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.expect("a connection"))
    }

    /// A whole answer to one request.
    pub(crate) async fn ask(&self, request: &str) -> String {
        let mut client = self.connect().await;
        client.write(request).await;
        client.rest().await
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await
    }

    pub(crate) fn begin_stop(&mut self) {
        drop(self.stop.take());
    }

    pub(crate) async fn stop(mut self) {
        self.begin_stop();
        self.stopped().await;
    }

    pub(crate) async fn stopped(self) {
        timeout(PATIENCE, self.task).await.expect("it ends").expect("no panic");
    }

    pub(crate) fn abort(self) {
        self.task.abort();
    }
}

pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) async fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("written");
    }

    /// Returns the data that comes until the server ends the connection, in whatever way.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match timeout(PATIENCE, self.0.read(&mut buffer)).await.expect("an end in time") {
                Ok(0) | Err(_) => return String::from_utf8_lossy(&rest).into_owned(),
                Ok(count) => rest.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// Reads until this has come, or to the end.
    pub(crate) async fn until_or_end(&mut self, wanted: &str) -> String {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(wanted) {
            match timeout(PATIENCE, self.0.read_u8()).await.expect("an answer in time") {
                Ok(byte) => read.push(byte),
                Err(_) => break,
            }
        }
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Reads until this has come.
    pub(crate) async fn until(&mut self, wanted: &str) -> String {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(wanted) {
            let byte = timeout(PATIENCE, self.0.read_u8()).await.expect("an answer in time");
            read.push(byte.unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&read))));
        }
        String::from_utf8_lossy(&read).into_owned()
    }
}
