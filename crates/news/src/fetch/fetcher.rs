//! Fetches pages, politely: one request at a time for a host, within limits.

use super::host::{Host, Hosts, name_of};
use super::robots::{self, Robots};
use super::{AGENT, FetchError, FetchReason, decode, encoding, location, retry};
use crate::guard::Guard;
use crate::progress::{self, Progress};
use bytes::Bytes;
use std::io;
use std::time::{Duration, Instant, SystemTime};
use switchboard_http_client::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
    LOCATION, RETRY_AFTER, USER_AGENT,
};
use switchboard_http_client::{
    Answer, Client, Dial, Error, HeaderName, Method, Options as ClientOptions, StatusCode, Step, Trust, TrustError,
};
use tokio::sync::OwnedMutexGuard;
use tokio::time::sleep;
use url::Url;

const ACCEPTED_TYPES: &str = "text/html, application/xhtml+xml, application/rss+xml, application/atom+xml, \
                              application/xml;q=0.9, */*;q=0.5";
/// Bytes of an `ETag` or `Last-Modified` that are kept.
const VALIDATOR: usize = 1024;

/// The limits of a fetcher.
#[derive(Clone, Debug)]
pub struct Options {
    /// Contact of the operator: a URL or mail address, part of the `User-Agent`. Default: none.
    pub contact: Option<String>,
    /// The longest duration of one request, from the look-up of the name to the last byte. A redirect is a request of
    /// its own, and so is robots.txt. Default: 15 s.
    pub timeout: Duration,
    /// The longest duration of connecting to one address. Default: 5 s.
    pub connect_timeout: Duration,
    /// Bytes of an answer as it is sent. Default: 4 MiB.
    pub body_limit: usize,
    /// Bytes of an answer when it is decompressed. Default: 16 MiB.
    pub decoded_limit: usize,
    /// Redirects that are followed. Default: 5.
    pub redirects: usize,
    /// The time between two page requests to a host; its `Crawl-delay`, up to 10 s, counts if it is longer. Default:
    /// 1 s.
    pub delay: Duration,
    /// Certificates that count.
    pub trust: Trust,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            contact: None,
            timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            body_limit: 4 << 20,
            decoded_limit: 16 << 20,
            redirects: 5,
            delay: Duration::from_secs(1),
            trust: Trust::System,
        }
    }
}

/// The version of a page by its server, to ask for a newer one only.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Validators {
    /// `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `Last-Modified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// A page or feed.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its address after redirects.
    pub url: Url,
    /// The header `Content-Type`.
    pub content_type: Option<String>,
    /// The decompressed body.
    pub body: Vec<u8>,
    /// For the next request. Empty after a redirect: they belong to another address.
    pub validators: Validators,
}

impl Page {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        decode(&self.body, self.content_type.as_deref())
    }
}

/// The outcome of a fetch.
#[derive(Clone, Debug)]
pub enum Fetched {
    /// A page, boxed since it is large beside the other.
    Page(Box<Page>),
    /// The server says that what the validators stand for is still the newest.
    NotModified,
}

/// The right to send requests to a host.
#[derive(Debug)]
pub struct Turn(OwnedMutexGuard<Host>);

impl Turn {
    /// The server refused the page, with this `Retry-After`: its host is left alone for a while. Returns for how long.
    pub(crate) fn refuse(&mut self, status: u16, retry_after: Option<&str>) -> Duration {
        self.0.refuse(status, Instant::now(), |refusals| retry::pause(retry_after, SystemTime::now(), refusals))
    }

    /// The server gave the page.
    pub(crate) fn accept(&mut self) {
        self.0.accepted();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.page_fetched(Instant::now());
    }
}

/// Fetches pages.
#[derive(Debug)]
pub struct Fetcher {
    client: Client,
    robots_client: Client,
    pub(super) hosts: Hosts,
    agent: String,
    options: Options,
}

impl Fetcher {
    /// A fetcher behind this guard. To be used inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// The certificates to trust cannot be read.
    pub fn new(guard: Guard, options: Options) -> Result<Fetcher, TrustError> {
        let dial = Dial::with(move |host, port| {
            let guard = guard.clone();
            Box::pin(async move {
                Step::Resolve.enter();
                let checked = guard.check(&host, port).await.map_err(io::Error::other)?;
                Step::Connect.enter();
                guard.connect(checked).await.map_err(io::Error::other)
            })
        });
        let client = |answer_limit| {
            Client::new(&ClientOptions {
                timeout: options.timeout,
                connect_timeout: options.connect_timeout,
                answer_limit,
                trust: options.trust.clone(),
                dial: dial.clone(),
            })
        };
        let contact = options.contact.as_deref().map(|contact| format!(" (+{contact})")).unwrap_or_default();
        Ok(Fetcher {
            client: client(options.body_limit)?,
            robots_client: client(robots::LENGTH)?,
            hosts: Hosts::default(),
            agent: format!("{AGENT}/{}{contact}", env!("CARGO_PKG_VERSION")),
            options,
        })
    }

    /// Fetches a page, and follows redirects. Requests to one host wait for each other, and the time-out of each begins
    /// with its turn.
    ///
    /// # Errors
    ///
    /// There is no page; the error names the address.
    pub async fn fetch(&self, url: &Url, validators: &Validators) -> Result<Fetched, FetchError> {
        self.fetch_in_steps(url, validators, &Progress::default()).await
    }

    /// Fetches a page, and keeps `progress` at the step that it is in.
    ///
    /// # Errors
    ///
    /// As [`Fetcher::fetch`].
    pub async fn fetch_in_steps(
        &self,
        url: &Url,
        validators: &Validators,
        progress: &Progress,
    ) -> Result<Fetched, FetchError> {
        let mut url = url.clone();
        let mut validators = Some(validators);
        for _ in 0..=self.options.redirects {
            let answer = self.take_turn(&url, validators, progress).await.map_err(|reason| at(&url, reason))?;
            match answer.status {
                StatusCode::NOT_MODIFIED if validators.is_some_and(|known| *known != Validators::default()) => {
                    return Ok(Fetched::NotModified);
                }
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => {
                    let next = redirect(&answer, &url);
                    url = next.ok_or_else(|| at(&url, FetchReason::Location(answer.status.as_u16())))?;
                    validators = None;
                }
                status if status.is_success() => {
                    let page = self.page(&url, answer, validators.is_some()).await;
                    return page.map(|page| Fetched::Page(Box::new(page))).map_err(|reason| at(&url, reason));
                }
                status => return Err(at(&url, FetchReason::Status(status.as_u16()))),
            }
        }
        Err(at(&url, FetchReason::Redirects(self.options.redirects)))
    }

    /// Whether robots.txt allows this address, for whoever fetches it by other means.
    ///
    /// # Errors
    ///
    /// It does not, or cannot be read.
    pub async fn check_robots(&self, url: &Url) -> Result<(), FetchError> {
        let host = self.hosts.get(&host_of(url).map_err(|reason| at(url, reason))?);
        let mut host = host.lock().await;
        self.ask_robots(url, &mut host, &Progress::default()).await.map(|_| ()).map_err(|reason| at(url, reason))
    }

    /// Waits for the turn of whoever fetches this page by other means: robots.txt allows it, the delay has passed, and no
    /// other request is sent to its host until the turn is dropped. Keeps `progress` at the step that it is in.
    ///
    /// # Errors
    ///
    /// robots.txt does not allow it or cannot be read, or the host asked to be left alone.
    pub async fn turn(&self, url: &Url, progress: &Progress) -> Result<Turn, FetchError> {
        self.free_host(url, progress).await.map(Turn).map_err(|reason| at(url, reason))
    }

    /// Returns this program's name in the `User-Agent`.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// Waits until the host of a page may be asked for it: robots.txt allows it, and the delay has passed.
    async fn free_host(&self, url: &Url, progress: &Progress) -> Result<OwnedMutexGuard<Host>, FetchReason> {
        progress.enter(progress::Step::Turn, url);
        let mut host = self.hosts.get(&host_of(url)?).lock_owned().await;
        if let Some((status, wait)) = host.refusal(Instant::now()) {
            return Err(FetchReason::Busy { status, wait });
        }
        let delay = self.ask_robots(url, &mut host, progress).await?.max(self.options.delay);
        progress.enter(progress::Step::Turn, url);
        sleep(host.wait(delay, Instant::now())).await;
        Ok(host)
    }

    async fn take_turn(
        &self,
        url: &Url,
        validators: Option<&Validators>,
        progress: &Progress,
    ) -> Result<Answer, FetchReason> {
        // Whatever ends it, also a caller that gives up: the server was asked, and the delay counts from now.
        let mut turn = Turn(self.free_host(url, progress).await?);
        let answer = self.ask(&self.client, url, validators, progress).await?;
        if matches!(answer.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            let header = text(&answer, RETRY_AFTER);
            let status = answer.status.as_u16();
            return Err(FetchReason::Busy { status, wait: turn.refuse(status, header.as_deref()) });
        }
        turn.accept();
        Ok(answer)
    }

    /// The delay that robots.txt asks for.
    async fn ask_robots(&self, url: &Url, host: &mut Host, progress: &Progress) -> Result<Duration, FetchReason> {
        let origin = origin_of(url)?;
        let mut now = Instant::now();
        if host.robots(&origin, now).is_none() {
            let robots = self.fetch_robots(url, progress).await;
            now = Instant::now();
            host.set_robots(&origin, robots, now);
        }
        match host.robots(&origin, now) {
            // The cause is no rule of the site: whoever reads of robots.txt would look for it there.
            Some(Robots::OutOfReach(reason)) => Err(reason.clone()),
            Some(Robots::Nothing(reason)) => Err(FetchReason::RobotsUnreadable(reason.clone())),
            Some(robots) if !robots.allows(url.as_str()) => Err(FetchReason::Robots),
            robots => Ok(robots.map_or(Duration::ZERO, Robots::delay)),
        }
    }

    async fn fetch_robots(&self, url: &Url, progress: &Progress) -> Robots {
        let Ok(mut url) = url.join("/robots.txt") else { return Robots::All };
        for _ in 0..=self.options.redirects {
            let answer = match self.ask(&self.robots_client, &url, None, progress).await {
                Ok(answer) => answer,
                Err(reason) if reason.is_out_of_reach() => return Robots::OutOfReach(reason),
                Err(reason) => return Robots::Nothing(reason.to_string()),
            };
            if !answer.status.is_redirection() {
                // A file that is too long counts as far as it was read.
                let header = text(&answer, CONTENT_ENCODING).unwrap_or_default();
                let body = encoding::decompress(answer.body.into(), &header, self.options.decoded_limit);
                return Robots::new(AGENT, answer.status.as_u16(), &body.unwrap_or_default());
            }
            match redirect(&answer, &url) {
                Some(next) if origin_of(&next).is_ok() => url = next,
                _ => break,
            }
        }
        // RFC 9309, 2.3.1.2: redirects that lead nowhere mean that there is no file.
        Robots::All
    }

    async fn ask(
        &self,
        client: &Client,
        url: &Url,
        validators: Option<&Validators>,
        progress: &Progress,
    ) -> Result<Answer, FetchReason> {
        let mut without_fragment = url.clone();
        without_fragment.set_fragment(None);
        let address = without_fragment.as_str().parse().map_err(|_| FetchReason::Scheme)?;
        let mut headers: Vec<(HeaderName, &str)> =
            vec![(USER_AGENT, &self.agent), (ACCEPT, ACCEPTED_TYPES), (ACCEPT_ENCODING, encoding::ACCEPTED)];
        if let Some(etag) = validators.and_then(|known| known.etag.as_deref()) {
            headers.push((IF_NONE_MATCH, etag));
        }
        if let Some(date) = validators.and_then(|known| known.last_modified.as_deref()) {
            headers.push((IF_MODIFIED_SINCE, date));
        }
        let steps = progress.request(url);
        let sending = client.send_in_steps(Method::GET, &address, &headers, Bytes::new(), &steps);
        sending.await.map_err(|error| match error {
            Error::Timeout { step, limit } => FetchReason::Timeout { step, limit },
            // The client hides the host, which may be a secret of others; here it is what `--allow` takes. The brackets of
            // an IPv6 address are no part of what it hides.
            error => {
                let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
                FetchReason::Failed(error.to_string().replace("its host", host))
            }
        })
    }

    async fn page(&self, url: &Url, answer: Answer, is_first: bool) -> Result<Page, FetchReason> {
        if let Some(reason) = &answer.cut {
            let is_full = answer.body.len() >= self.options.body_limit;
            return Err(if is_full {
                FetchReason::TooLong(self.options.body_limit)
            } else {
                FetchReason::Cut(reason.clone())
            });
        }
        let header = text(&answer, CONTENT_ENCODING).unwrap_or_default();
        let content_type = text(&answer, CONTENT_TYPE);
        let short = |name| text(&answer, name).filter(|value| value.len() <= VALIDATOR && is_first);
        let validators = Validators { etag: short(ETAG), last_modified: short(LAST_MODIFIED) };
        let (body, limit) = (answer.body, self.options.decoded_limit);
        let decoding = tokio::task::spawn_blocking(move || encoding::decompress(body.into(), &header, limit));
        let body = decoding.await.map_err(|error| FetchReason::Failed(error.to_string()))??;
        Ok(Page { url: url.clone(), content_type, body, validators })
    }
}

fn at(url: &Url, reason: FetchReason) -> FetchError {
    FetchError { url: url.clone(), reason }
}

fn origin_of(url: &Url) -> Result<String, FetchReason> {
    let is_plain = url.username().is_empty() && url.password().is_none();
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    if is_web && is_plain { Ok(url.origin().ascii_serialization()) } else { Err(FetchReason::Scheme) }
}

pub(super) fn host_of(url: &Url) -> Result<String, FetchReason> {
    origin_of(url).map(|origin| name_of(url, origin))
}

fn redirect(answer: &Answer, base: &Url) -> Option<Url> {
    location::target(answer.headers.get(LOCATION)?.as_bytes(), base)
}

/// A header as text, if it is visible ASCII.
fn text(answer: &Answer, name: HeaderName) -> Option<String> {
    Some(answer.headers.get(name)?.to_str().ok()?.to_owned())
}
