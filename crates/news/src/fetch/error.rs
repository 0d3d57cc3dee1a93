use super::encoding::EncodingError;
use std::time::Duration;
use switchboard_http_client::Step;
use url::Url;

/// A page could not be fetched. The text names its address.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason} ({url})")]
pub struct FetchError {
    /// The requested address, or the target of a redirect.
    pub url: Url,
    /// Why there is no page.
    pub reason: FetchReason,
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchReason {
    /// Neither `http` nor `https`, or no host.
    #[error("only http:// and https:// addresses without a password can be fetched")]
    Scheme,
    /// The whole answer did not arrive in time.
    #[error("{step}: timeout of {limit:?} exceeded")]
    Timeout {
        /// The step that was not done.
        step: Step,
        /// [`Options::timeout`](super::Options::timeout).
        limit: Duration,
    },
    /// There is no connection, no TLS session, or no HTTP on it; or the guard refuses.
    #[error("{0}")]
    Failed(String),
    /// The connection ended before the answer did.
    #[error("the answer is not whole: {0}")]
    Cut(String),
    /// More bytes than [`Options::body_limit`](super::Options::body_limit).
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The body cannot be decompressed.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// Redirects lead on and on.
    #[error("more than {0} redirects")]
    Redirects(usize),
    /// A redirect that names no address.
    #[error("status {0} without a usable Location")]
    Location(u16),
    /// Neither success nor redirect.
    #[error("status {0}")]
    Status(u16),
    /// robots.txt does not allow it.
    #[error("robots.txt does not allow it")]
    Robots,
    /// The server answers, and does not give its robots.txt; until it does nothing may be fetched.
    #[error("{0} for robots.txt, and until that can be read nothing of this site is fetched")]
    RobotsUnreadable(String),
    /// The host has asked to be left alone.
    #[error("status {status}; the host is left alone for another {} s", wait.as_secs_f64().ceil())]
    Busy {
        /// 429 or 503.
        status: u16,
        /// The pause.
        wait: Duration,
    },
}

impl FetchReason {
    /// Whether there is no connection to the host, so that nothing else of it can be fetched either.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        let before = |step: &Step| matches!(step, Step::Resolve | Step::Connect | Step::Tls);
        matches!(self, FetchReason::Failed(_)) || matches!(self, FetchReason::Timeout { step, .. } if before(step))
    }
}
