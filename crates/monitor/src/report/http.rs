//! Reports over HTTP, for as long as it takes.

use super::backlog::Backlog;
use super::{Error, Options};
use std::sync::Arc;
use std::time::Duration;
use switchboard_http_client::{Client, Method, Options as Limits, StatusCode, Trust, Url, header};
use tokio::time::{sleep, timeout};

/// The largest body of a request, in bytes.
const REQUEST: usize = 64 << 10;
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(2);
/// The longest pause that a collector may ask for.
const LONGEST_REQUESTED: Duration = Duration::from_secs(300);

pub(crate) struct Sink {
    url: Url,
    token: Option<String>,
    client: Client,
}

enum Failure {
    /// It is worth to be tried again.
    Away(String, Option<Duration>),
    Refused(String),
}

impl Sink {
    pub(crate) fn new(options: &Options) -> Result<Sink, Error> {
        let address = || Error::Address { address: options.collector.clone() };
        let collector = options.collector.trim_end_matches('/');
        let has_path = collector.split_once("://").is_none_or(|(_, rest)| rest.contains(['/', '?', '#']));
        let url: Url = format!("{collector}/api/samples").parse().map_err(|_| address())?;
        if has_path {
            return Err(address());
        }
        let trust = if url.is_https() { Trust::System } else { Trust::Nobody };
        let client = Client::new(&Limits { trust, ..Limits::default() })?;
        Ok(Sink { url, token: options.token.clone(), client })
    }

    /// Delivers until the backlog ends.
    pub(crate) async fn run(self, backlog: Arc<Backlog>) {
        let mut pause = SHORTEST;
        while let Some((lines, count)) = backlog.next(REQUEST).await {
            match self.post(lines).await {
                Ok(()) => {
                    backlog.done(count, None);
                    pause = SHORTEST;
                }
                Err(Failure::Refused(problem)) => backlog.done(count, Some(problem)),
                Err(Failure::Away(problem, requested)) => {
                    backlog.failed(count, problem);
                    // Not in step with all others that have lost the same collector.
                    let own = pause.mul_f64(0.5 + 0.5 * fastrand::f64());
                    match requested.map(|requested| requested.min(LONGEST_REQUESTED)).filter(|asked| *asked > own) {
                        // At the end the backlog has seconds to be delivered, whatever the collector asks for.
                        Some(asked) if !backlog.is_closed() => {
                            let _ = timeout(asked, backlog.closed()).await;
                        }
                        _ => sleep(own).await,
                    }
                    pause = (pause * 2).min(LONGEST);
                }
            }
        }
    }

    async fn post(&self, lines: String) -> Result<(), Failure> {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = vec![(header::CONTENT_TYPE, "application/x-ndjson")];
        headers.extend(bearer.as_deref().map(|bearer| (header::AUTHORIZATION, bearer)));
        let answer = self.client.send(Method::POST, &self.url, &headers, lines).await;
        let answer = answer.map_err(|error| Failure::Away(error.to_string(), None))?;
        let status = answer.status;
        if status.is_success() {
            return if is_collectors(&answer.body) {
                Ok(())
            } else {
                Err(Failure::Refused(format!("this is no collector (its answer to reports, {status}, is another one)")))
            };
        }
        let body = String::from_utf8_lossy(&answer.body);
        let text = match (status, body.trim()) {
            (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, _) => {
                format!("this is no collector (it answers {status})")
            }
            (status, "") => format!("the collector answers {status}"),
            (status, body) => format!("the collector answers {status}: {body}"),
        };
        // Too many for now are not too many for ever.
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Failure::Away(text, answer.retry_after()));
        }
        Err(Failure::Refused(text))
    }
}

/// Returns true for the answer of a collector: how many samples it has accepted. Any server may answer 200.
fn is_collectors(body: &[u8]) -> bool {
    let answer: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    answer.is_some_and(|answer| answer["accepted"].is_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_counts_no_samples_is_no_collectors() {
        assert!(is_collectors(br#"{"accepted":1,"refused":0,"error":null}"#));
        for body in [&b""[..], b"ok", b"<html>", b"{}", b"[1]", br#"{"accepted":"1"}"#, br#"{"accepted":-1}"#] {
            assert!(!is_collectors(body), "{}", body.escape_ascii());
        }
    }
}
