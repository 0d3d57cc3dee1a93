#![doc = include_str!("../README.md")]

mod dialer;
mod retry_after;
mod step;
mod tls;
mod url;

pub use dialer::{Dial, Dialing};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use retry_after::retry_after;
pub use step::{Step, Steps};
pub use tls::{Trust, TrustError};
pub use url::{Url, UrlError};

use bytes::Bytes;
use dialer::Dialer;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::error::Error as StdError;
use std::pin::pin;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// Time for which an unused connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// Unused connections that are kept to one host.
const IDLE_CONNECTIONS: usize = 2;

/// The limits of a client.
#[derive(Clone, Debug)]
pub struct Options {
    /// The longest duration of a request, from the look-up of the name to the last byte of the answer. Default: 10 s.
    pub timeout: Duration,
    /// The longest duration of connecting to one address of a name. Default: 3 s, so that a second one has its turn.
    pub connect_timeout: Duration,
    /// Bytes of an answer that are kept. Default: 64 KiB.
    pub answer_limit: usize,
    /// Certificates that count for `https`. Default: [`Trust::System`].
    pub trust: Trust,
    /// The dialer. Default: every address of the host's name is dialed in turn.
    pub dial: Dial,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            answer_limit: 64 << 10,
            trust: Trust::System,
            dial: Dial::default(),
        }
    }
}

/// Why a request has no answer. The text never contains the address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The answer was not complete in time.
    #[error("{step}: no complete answer within {limit:?}")]
    Timeout {
        /// The step that was not done.
        step: Step,
        /// [`Options::timeout`].
        limit: Duration,
    },
    /// There is no connection, no TLS session, or no HTTP on it.
    #[error("{0}")]
    Failed(String),
    /// A header cannot be sent.
    #[error("a header has bytes that HTTP does not allow")]
    Header,
}

/// A server's answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, up to [`Options::answer_limit`] bytes.
    pub body: Bytes,
    /// Why the body is not whole, if it is not.
    pub cut: Option<String>,
}

impl Answer {
    /// The time for which the server asks its client to stay away, if it does; see [`retry_after()`].
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let value = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?;
        retry_after(value, SystemTime::now())
    }
}

/// Sends requests, over connections that it keeps. Clones share them.
#[derive(Clone, Debug)]
pub struct Client {
    pooled: Pooled<tls::Connector, Full<Bytes>>,
    timeout: Duration,
    answer_limit: usize,
}

impl Client {
    /// A client with these limits. To be used inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// The certificates to trust cannot be read.
    pub fn new(options: &Options) -> Result<Client, TrustError> {
        let connector =
            tls::connector(Dialer { limit: options.connect_timeout, dial: options.dial.clone() }, &options.trust)?;
        let pooled = Pooled::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        Ok(Client { pooled, timeout: options.timeout, answer_limit: options.answer_limit })
    }

    /// Asks for what is at this address.
    ///
    /// # Errors
    ///
    /// There is no answer; any status is one.
    pub async fn get(&self, url: &Url) -> Result<Answer, Error> {
        self.send(Method::GET, url, &[], Bytes::new()).await
    }

    /// Sends a request with these headers and this body.
    ///
    /// # Errors
    ///
    /// There is no answer; any status is one.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: &[(HeaderName, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, Error> {
        self.send_in_steps(method, url, headers, body, &Steps::default()).await
    }

    /// Sends a request, and keeps `steps` at the step that it is in.
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    pub async fn send_in_steps(
        &self,
        method: Method,
        url: &Url,
        headers: &[(HeaderName, &str)],
        body: impl Into<Bytes>,
        steps: &Steps,
    ) -> Result<Answer, Error> {
        let mut request = Request::builder().method(method).uri(url.uri().clone());
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Full::new(body.into())).map_err(|_| Error::Header)?;
        match timeout(self.timeout, steps.scope(self.exchange(request, steps))).await {
            Ok(result) => result.map_err(|error| Error::Failed(url.redact(&reason(&error)))),
            Err(_) => Err(Error::Timeout { step: steps.current(), limit: self.timeout }),
        }
    }

    async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        steps: &Steps,
    ) -> Result<Answer, hyper_util::client::legacy::Error> {
        let mut connected = capture_connection(&mut request);
        let mut answering = pin!(self.pooled.request(request));
        let answer = tokio::select! {
            answer = &mut answering => answer,
            () = async { drop(connected.wait_for_connection_metadata().await) } => {
                // A kept connection may have come free while a new one was being opened.
                steps.set(Step::Headers);
                answering.await
            }
        };
        let (head, mut incoming) = answer?.into_parts();
        steps.set(Step::Body);
        let (mut body, mut cut) = (Vec::new(), None);
        while let Some(frame) = incoming.frame().await {
            let data = match frame.map(http_body::Frame::into_data) {
                Ok(Ok(data)) => data,
                // Trailers.
                Ok(Err(_)) => continue,
                Err(error) => {
                    cut = Some(reason(&error));
                    break;
                }
            };
            let room = self.answer_limit - body.len();
            body.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                cut = Some(format!("the answer is longer than {} bytes", self.answer_limit));
                break;
            }
        }
        Ok(Answer { status: head.status, headers: head.headers, body: body.into(), cut })
    }
}

/// An error and its causes in one line, each said once.
fn reason(error: &dyn StdError) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        next = error.source();
        let part = error.to_string();
        // hyper-util's own says that it is one, and contains the kind of the next.
        if next.is_some() && part.starts_with("client error") || text.contains(&part) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&part);
    }
    text
}
