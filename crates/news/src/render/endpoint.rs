//! A Chromium that runs already, by the address of its DevTools.

use super::RenderError;
use futures_core::Stream;
use futures_sink::Sink;
use serde_json::Value;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;
use switchboard_http_client::{Client, Method, Options, Trust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_websockets::{ClientBuilder, Limits, Message, WebSocketStream};
use url::{Host, Url};

/// Bytes of a message. Chromium ends the connection itself when more than this waits to be sent. A message over the limit of
/// one call is passed on, so that it fails that call alone.
const MAX_MESSAGE: usize = 256 << 20;

/// The DevTools of a Chromium on this machine: `http://127.0.0.1:9222`, or the `ws://` address that this names.
///
/// Only loopback: the guard is a proxy on loopback, and the pages of a browser elsewhere could not pass it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Box<Url>);

/// The address is of no DevTools that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the http:// or ws:// address of a Chromium's DevTools on loopback")]
pub struct EndpointError(String);

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Endpoint, EndpointError> {
        let wrong = || EndpointError(text.to_owned());
        let url: Url = text.parse().map_err(|_| wrong())?;
        let is_loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        let has_path = url.path().len() > 1;
        let is_known = match url.scheme() {
            "http" => !has_path,
            "ws" => has_path,
            _ => false,
        };
        let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if is_loopback && is_known && is_plain { Ok(Endpoint(Box::new(url))) } else { Err(wrong()) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Endpoint {
    /// Connects. The stream carries messages that end with a zero byte, as Chromium's own pipe does.
    pub(super) async fn connect(&self, limit: Duration) -> Result<UnixStream, RenderError> {
        let failed = |reason: String| RenderError::Endpoint { endpoint: self.to_string(), reason };
        let connecting = async {
            let url = if self.0.scheme() == "ws" { Url::clone(&self.0) } else { self.find().await? };
            let uri: http::Uri = url.as_str().parse().map_err(|_| format!("{url} is no address"))?;
            let stream = self.dial().await.map_err(|error| error.to_string())?;
            let limits = Limits::default().max_payload_len(Some(MAX_MESSAGE));
            let opening = ClientBuilder::from_uri(uri).limits(limits).connect_on(stream).await;
            opening.map(|(socket, _)| socket).map_err(|error| error.to_string())
        };
        let socket = match timeout(limit, connecting).await {
            Ok(result) => result.map_err(failed)?,
            Err(_) => return Err(failed(format!("no answer within {limit:?}"))),
        };
        let (ours, theirs) = UnixStream::pair().map_err(|error| failed(error.to_string()))?;
        tokio::spawn(bridge(socket, theirs));
        Ok(ours)
    }

    async fn dial(&self) -> io::Result<TcpStream> {
        let port = self.0.port_or_known_default().unwrap_or(80);
        match self.0.host() {
            Some(Host::Ipv4(address)) => TcpStream::connect((address, port)).await,
            Some(Host::Ipv6(address)) => TcpStream::connect((address, port)).await,
            _ => TcpStream::connect(("localhost", port)).await,
        }
    }

    /// The address of the whole browser, which changes with each start.
    async fn find(&self) -> Result<Url, String> {
        let options = Options { trust: Trust::Nobody, answer_limit: 64 << 10, ..Options::default() };
        let client = Client::new(&options).map_err(|error| error.to_string())?;
        let address = format!("{}json/version", self.0).parse().map_err(|_| "no address".to_owned())?;
        let answer = client.send(Method::GET, &address, &[], "").await.map_err(|error| error.to_string())?;
        let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let named: Option<Url> = told["webSocketDebuggerUrl"].as_str().and_then(|text| text.parse().ok());
        let named = named.ok_or_else(|| format!("it answers {} without a webSocketDebuggerUrl", answer.status))?;
        // The path alone: what it calls its host does not count.
        let mut url = Url::clone(&self.0);
        url.set_path(named.path());
        url.set_scheme("ws").map_err(|()| "no ws:// address".to_owned())?;
        Ok(url)
    }
}

/// Passes messages on, until either side ends.
async fn bridge(mut socket: WebSocketStream<TcpStream>, stream: UnixStream) {
    let (mut reader, mut writer) = stream.into_split();
    let mut buffer = Vec::new();
    loop {
        tokio::select! {
            message = poll_fn(|context| Pin::new(&mut socket).poll_next(context)) => {
                let Some(Ok(message)) = message else { return };
                if let Some(text) = message.as_text()
                    && (writer.write_all(text.as_bytes()).await.is_err() || writer.write_all(&[0]).await.is_err())
                {
                    return;
                }
            }
            count = reader.read_buf(&mut buffer) => {
                let Ok(1..) = count else { break };
                while let Some(length) = buffer.iter().position(|&byte| byte == 0) {
                    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    buffer.drain(..=length);
                    if send(&mut socket, Message::text(text)).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
    let _ = poll_fn(|context| Pin::new(&mut socket).poll_close(context)).await;
}

async fn send(socket: &mut WebSocketStream<TcpStream>, message: Message) -> Result<(), tokio_websockets::Error> {
    poll_fn(|context| Pin::new(&mut *socket).poll_ready(context)).await?;
    Pin::new(&mut *socket).start_send(message)?;
    poll_fn(|context| Pin::new(&mut *socket).poll_flush(context)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_on_loopback_and_says_what_it_is() {
        for text in [
            "http://127.0.0.1:9222",
            "http://localhost:9222/",
            "http://[::1]:1",
            "ws://127.0.0.1:9222/devtools/browser/x",
        ] {
            let endpoint: Endpoint = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
        }
        for text in [
            "",
            "127.0.0.1:9222",
            "http://192.0.2.1:9222",
            "http://browser.example:9222",
            "https://127.0.0.1:9222",
            "http://127.0.0.1:9222/json",
            "ws://127.0.0.1:9222",
            "ws://192.0.2.1/devtools/browser/x",
            "http://me@127.0.0.1:9222",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_an_error_that_names_the_address() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        drop(listener);
        let endpoint: Endpoint = address.parse().expect("an endpoint");
        let error = endpoint.connect(Duration::from_secs(30)).await.expect_err("nobody").to_string();
        assert!(error.contains(&address), "{error}");
    }
}
