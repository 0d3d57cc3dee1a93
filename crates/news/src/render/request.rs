//! Requests for rendering, their results and their errors.

use super::RenderStep;
use crate::progress::{Progress, Step};
use std::time::Duration;
use url::Url;

/// Pixels of a viewport's side.
pub const MAX_SIDE: u32 = 16_384;
/// Pixels of a viewport or a screenshot: 64 MiB in memory.
pub const MAX_AREA: u64 = 16 << 20;

/// The size of a page's window, in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewport {
    /// From 1 to [`MAX_SIDE`].
    pub width: u32,
    /// From 1 to [`MAX_SIDE`]; times the width at most [`MAX_AREA`].
    pub height: u32,
}

impl Default for Viewport {
    fn default() -> Viewport {
        Viewport { width: 1024, height: 768 }
    }
}

impl Viewport {
    /// A size within the limits, or `None`.
    #[must_use]
    pub fn new(width: u32, height: u32) -> Option<Viewport> {
        let is_side = |side: u32| (1..=MAX_SIDE).contains(&side);
        let is_small = u64::from(width) * u64::from(height) <= MAX_AREA;
        (is_side(width) && is_side(height) && is_small).then_some(Viewport { width, height })
    }
}

/// A PNG of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Screenshot {
    /// The whole page, as far as [`MAX_SIDE`] and [`MAX_AREA`] allow; else the viewport.
    pub full: bool,
    /// The picture's width, to which it is scaled.
    pub width: Option<u32>,
    /// The picture's height, at which it is cropped.
    pub height: Option<u32>,
}

/// A request for rendering.
#[derive(Clone, Debug)]
pub struct Request {
    /// The page.
    pub url: Url,
    /// The longest duration of everything, the time in a queue included. Default: 30 s.
    pub timeout: Duration,
    /// The longest duration from the page's opening on, without the queue and a start of the browser. Default: none.
    pub page_timeout: Option<Duration>,
    /// The longest time without a byte of one connection, and for the whole answer to one plain HTTP request. Default: the
    /// proxy's limits.
    pub resource_timeout: Option<Duration>,
    /// Time after the load. Default: none.
    pub wait: Duration,
    /// The selector of an element that is waited for.
    pub wait_for: Option<String>,
    /// Whether pictures, fonts, audio and video are loaded. Default: no.
    pub images: bool,
    /// Default: 1024 x 768.
    pub viewport: Viewport,
    /// Headers of the first request; `User-Agent` is that of all requests.
    pub headers: Vec<(String, String)>,
    /// Added to the browser's own `User-Agent`.
    pub agent: Option<String>,
    /// If not empty, nothing is loaded from hosts that are neither these nor below them.
    pub allowed_domains: Vec<String>,
    /// Whether a PNG is wanted. Default: no.
    pub screenshot: Option<Screenshot>,
    /// The current step of rendering, for a caller that ends it by a deadline of its own.
    pub progress: Progress,
}

impl Request {
    /// Defaults, for this page.
    #[must_use]
    pub fn new(url: Url) -> Request {
        Request {
            url,
            timeout: Duration::from_secs(30),
            page_timeout: None,
            resource_timeout: None,
            wait: Duration::ZERO,
            wait_for: None,
            images: false,
            viewport: Viewport::default(),
            headers: Vec::new(),
            agent: None,
            allowed_domains: Vec::new(),
            screenshot: None,
            progress: Progress::default(),
        }
    }
}

impl Request {
    /// Notes the step that this request is in.
    pub(crate) fn enter(&self, step: RenderStep) {
        self.progress.enter(Step::Render(step), &self.url);
    }

    /// The error of a request that has reached its time-out.
    pub(crate) fn late(&self) -> RenderError {
        RenderError::Timeout { url: self.url.clone(), step: self.progress.render_step(), limit: self.timeout }
    }
}

/// A rendered page.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// Its elements as HTML; open shadow trees stand in the place of their hosts' children.
    pub html: String,
    /// Its address after redirects and navigation by scripts.
    pub url: Url,
    /// Its title.
    pub title: String,
    /// The status of its HTTP answer, where that is known.
    pub status: Option<u16>,
    /// The header `Retry-After` of that answer.
    pub retry_after: Option<String>,
    /// The screenshot, if one was asked for.
    pub png: Option<Vec<u8>>,
}

/// Why there is no rendered page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// Chromium's program is missing.
    #[error("cannot start Chromium: there is no {0} on this machine; on Debian: apt-get install chromium")]
    Missing(String),
    /// Chromium cannot be started.
    #[error("cannot start Chromium: {0}")]
    Start(String),
    /// Chromium was killed before it was ready.
    #[error("Chromium was killed by signal {signal} while it started")]
    Killed {
        /// The signal.
        signal: i32,
    },
    /// Chromium ended while it had the page.
    #[error("the browser has ended ({url})")]
    Gone {
        /// The page.
        url: Url,
    },
    /// Chromium opened no page for some time, and is replaced.
    #[error("the browser opened no page within {limit:?}, and is replaced ({url})")]
    Stuck {
        /// The page.
        url: Url,
        /// The limit.
        limit: Duration,
    },
    /// Chromium does not run in its sandbox on this machine.
    #[error(
        "Chromium cannot run in its sandbox here ({0}); allow user namespaces (sysctl kernel.unprivileged_userns_clone=1), \
         or give up the sandbox with --no-sandbox"
    )]
    Sandbox(String),
    /// The Chromium that runs elsewhere on this machine cannot be used.
    #[error("cannot use the Chromium at {endpoint}: {reason}")]
    Endpoint {
        /// The address of its DevTools.
        endpoint: String,
        /// Why not.
        reason: String,
    },
    /// Chromium ended again and again, and is not started before this time has passed.
    #[error("Chromium has ended ({reason}), and is started again in {wait:?}")]
    Restarting {
        /// Why it ended.
        reason: String,
        /// Until the next start.
        wait: Duration,
    },
    /// All pages are in use, and the queue is full.
    #[error("{pages} pages are being rendered and {queue} wait, and that is the limit ({url})")]
    Busy {
        /// The page.
        url: Url,
        /// The limit of pages.
        pages: usize,
        /// The limit of the queue.
        queue: usize,
        /// When there is probably room.
        retry_after: Duration,
    },
    /// Not an `http` or `https` address.
    #[error("only http:// and https:// addresses can be rendered ({0})")]
    Scheme(Url),
    /// [`Request::wait_for`] is no selector.
    #[error("{selector:?} is not a valid CSS selector ({url})")]
    Selector {
        /// The page.
        url: Url,
        /// The text.
        selector: String,
    },
    /// Not rendered in time.
    #[error("{step}: timeout of {limit:?} exceeded ({url})")]
    Timeout {
        /// The page.
        url: Url,
        /// The step that was not done.
        step: RenderStep,
        /// The limit.
        limit: Duration,
    },
    /// The page cannot be loaded.
    #[error("{reason} ({url})")]
    Failed {
        /// The page.
        url: Url,
        /// Why not.
        reason: String,
    },
}

/// The pause after an end of Chromium that may have been the only one.
const SOON: Duration = Duration::from_secs(1);

impl RenderError {
    /// When the page may be asked for again, if nothing is wrong with it.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            RenderError::Busy { retry_after: wait, .. } | RenderError::Restarting { wait, .. } => Some(*wait),
            RenderError::Gone { .. } | RenderError::Stuck { .. } | RenderError::Killed { .. } => Some(SOON),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewport_is_bounded_in_its_sides_and_its_area() {
        for (width, height, is_good) in [
            (1, 1, true),
            (0, 1, false),
            (1, 0, false),
            (MAX_SIDE, 1024, true),
            (1024, MAX_SIDE, true),
            (MAX_SIDE, 1025, false),
            (MAX_SIDE + 1, 1, false),
            (1, MAX_SIDE + 1, false),
            (4096, 4096, true),
            (4097, 4096, false),
            (u32::MAX, u32::MAX, false),
        ] {
            assert_eq!(Viewport::new(width, height).is_some(), is_good, "{width}x{height}");
        }
    }
}
