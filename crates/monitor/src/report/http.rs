//! Reports over HTTP, for as long as it takes.

use super::backlog::Backlog;
use super::{Error, Options};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// What one request carries, at most, in bytes.
const REQUEST: usize = 64 << 10;
/// How long a request may take.
const ANSWER: Duration = Duration::from_secs(10);
/// For one address of a name, so that the second one has its turn within `ANSWER`.
const CONNECT: Duration = Duration::from_secs(3);
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(2);

pub(crate) struct Sink {
    authority: String,
    token: Option<String>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

enum Failure {
    /// It is worth to be tried again.
    Away(String),
    Refused(String),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Away(error.to_string())
    }
}

impl Sink {
    pub(crate) fn new(options: &Options) -> Result<Sink, Error> {
        let address = || Error::Address { address: options.collector.clone() };
        let authority = options.collector.strip_prefix("http://").ok_or_else(address)?.trim_end_matches('/');
        let (host, port) = authority.rsplit_once(':').ok_or_else(address)?;
        if host.is_empty() || host.contains('/') || port.parse::<u16>().is_err() {
            return Err(address());
        }
        Ok(Sink { authority: authority.to_owned(), token: options.token.clone(), connection: None })
    }

    /// Delivers until the backlog ends.
    pub(crate) async fn run(mut self, backlog: Arc<Backlog>) {
        let mut pause = SHORTEST;
        while let Some((lines, count)) = backlog.next(REQUEST).await {
            let posted = timeout(ANSWER, self.post(lines));
            match posted.await.unwrap_or_else(|_| Err(Failure::Away(format!("no answer within {ANSWER:?}")))) {
                Ok(()) => {
                    backlog.done(count, None);
                    pause = SHORTEST;
                }
                Err(Failure::Refused(problem)) => backlog.done(count, Some(problem)),
                Err(Failure::Away(problem)) => {
                    self.connection = None;
                    backlog.failed(count, problem);
                    // Not in step with all others that have lost the same collector.
                    sleep(pause.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
                    pause = (pause * 2).min(LONGEST);
                }
            }
        }
    }

    async fn post(&mut self, lines: String) -> Result<(), Failure> {
        let connection = match &mut self.connection {
            Some(connection) if !connection.is_closed() => connection,
            none => none.insert(connect(&self.authority).await?),
        };
        connection.ready().await?;
        let mut request = Request::builder().method(Method::POST).uri("/api/samples");
        request = request.header(HOST, &self.authority).header(CONTENT_TYPE, "application/x-ndjson");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let answer = connection.send_request(request.body(Full::new(lines.into()))?).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if status.is_success() {
            return Ok(());
        }
        let body = String::from_utf8_lossy(&body);
        let text = match (status, body.trim()) {
            (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, _) => {
                format!("this is no collector (it answers {status})")
            }
            (status, "") => format!("the collector answers {status}"),
            (status, body) => format!("the collector answers {status}: {body}"),
        };
        // Too many for now are not too many for ever.
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Failure::Away(text));
        }
        Err(Failure::Refused(text))
    }
}

async fn connect(authority: &str) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let stream = switchboard_driver::connect_to(authority, CONNECT).await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    drop(tokio::spawn(connection));
    Ok(sender)
}
