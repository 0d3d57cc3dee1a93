//! One warm Chromium for many callers: a bounded number of pages at a time, a bounded queue, and its replacement.

use super::RenderStep;
use super::browser::{Browser, BrowserOptions, find, missing};
use super::request::{RenderError, Rendered, Request};
use super::running::{Lease, Running};
use super::settings::{RendererSettings, SettingError};
use crate::guard::Guard;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use switchboard_driver::Backoff;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Interval of checks of a working Chromium's memory.
const CHECK: Duration = Duration::from_secs(1);
/// Time after the last page in which its processes are looked for.
const SETTLE: Duration = Duration::from_secs(4);
/// The pauses between starts of a Chromium that ends by itself.
const RESTART: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));
/// A pause that a page waits for; it is refused during a longer one.
const SHORT: Duration = Duration::from_secs(2);
/// The limit of looking up a name and of connecting, each.
const DIAL: Duration = Duration::from_secs(10);
/// The bounds of `Retry-After`.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A renderer. Clones share it. Chromium is started with the first page, and ends with the last clone.
#[derive(Clone)]
pub struct Renderer(Arc<Inner>);

struct Inner {
    settings: RendererSettings,
    guard: Guard,
    room: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Exponential mean of a page's time, in milliseconds.
    mean: Mutex<f64>,
    slot: tokio::sync::Mutex<Slot>,
    /// Why Chromium cannot be started, as far as it is known.
    problem: watch::Sender<Option<RenderProblem>>,
}

/// Why Chromium cannot be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RenderProblem {
    pub(crate) reason: String,
    /// Its program is not there: it may come.
    is_missing: bool,
}

struct Slot {
    current: Option<Arc<Running>>,
    backoff: Backoff,
    /// No start before, and why.
    failed: Option<(Instant, String)>,
    starts: u64,
}

/// The status of a renderer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RendererStatus {
    /// Chromium's name and version, if it runs.
    pub browser: Option<String>,
    /// Pages that are being rendered, or whose processes are there still.
    pub pages: usize,
    /// Pages that wait.
    pub queue: usize,
    /// Number of Chromium's starts.
    pub starts: u64,
}

impl Renderer {
    /// A renderer; Chromium is not started yet.
    ///
    /// # Errors
    ///
    /// A setting is out of its bounds.
    pub fn new(settings: RendererSettings) -> Result<Renderer, SettingError> {
        settings.check()?;
        let renderer = Renderer(Arc::new(Inner {
            guard: Guard::new(settings.allow.clone(), DIAL),
            room: Arc::new(Semaphore::new(settings.pages)),
            waiting: AtomicUsize::new(0),
            mean: Mutex::new(1000.0),
            slot: tokio::sync::Mutex::new(Slot {
                current: None,
                backoff: Backoff::new(RESTART.0, RESTART.1),
                failed: None,
                starts: 0,
            }),
            problem: watch::Sender::new(None),
            settings,
        }));
        renderer.look();
        Ok(renderer)
    }

    /// Looks for Chromium's program again.
    pub(crate) fn look(&self) {
        let missing = self.missing().map(|error| RenderProblem { reason: error.to_string(), is_missing: true });
        self.0.problem.send_if_modified(|problem| {
            let is_known = problem.as_ref().is_some_and(|problem| !problem.is_missing) && missing.is_none();
            let changes = !is_known && *problem != missing;
            if changes {
                *problem = missing;
            }
            changes
        });
    }

    /// Why Chromium cannot be started, each time that this changes.
    pub(crate) fn problem(&self) -> watch::Receiver<Option<RenderProblem>> {
        self.0.problem.subscribe()
    }

    /// Renders a page. Its time-out counts from now: the queue, and a start of Chromium, are part of it.
    ///
    /// # Errors
    ///
    /// There is no room, Chromium cannot be started, or the page cannot be rendered. The error names the page.
    pub async fn render(&self, request: &Request) -> Result<Rendered, RenderError> {
        if !matches!(request.url.scheme(), "http" | "https") {
            return Err(RenderError::Scheme(request.url.clone()));
        }
        match timeout(request.timeout, self.render_untimed(request)).await {
            Ok(result) => result,
            Err(_) => Err(request.late()),
        }
    }

    async fn render_untimed(&self, request: &Request) -> Result<Rendered, RenderError> {
        let inner = &self.0;
        request.enter(RenderStep::Queue);
        let _room = inner.room(request).await?;
        request.enter(RenderStep::Start);
        // A task: a caller that gives up must not undo the start of Chromium, or nobody who is in a hurry ever gets one.
        let starting = inner.clone();
        let lease = tokio::spawn(async move { starting.lease().await }).await;
        let lease = lease.map_err(|error| RenderError::Start(error.to_string()))??;
        let begun = Instant::now();
        let page = Request { timeout: request.page_timeout.unwrap_or(request.timeout), ..request.clone() };
        let result = lease.0.browser.render(&page).await;
        match result {
            Ok(rendered) => {
                lease.0.set_rendered();
                let mut mean = inner.mean.lock();
                *mean += (begun.elapsed().as_secs_f64() * 1000.0 - *mean) / 8.0;
                Ok(rendered)
            }
            Err(RenderError::Failed { url, reason }) => {
                let limit = inner.settings.page_memory >> 20;
                let more = if reason.contains("crashed") && lease.0.has_ended_process() {
                    format!("; pages that take more than {limit} MiB of memory are ended")
                } else {
                    String::new()
                };
                Err(RenderError::Failed { url, reason: reason + &more })
            }
            Err(error) => Err(error),
        }
    }

    /// Ends Chromium if no page is being rendered; else it is replaced after its pages. Returns whether one was running.
    pub async fn recycle(&self) -> bool {
        let Some(running) = self.0.slot.lock().await.current.take() else { return false };
        running.retire();
        true
    }

    /// Returns its status.
    pub async fn status(&self) -> RendererStatus {
        let slot = self.0.slot.lock().await;
        let running = slot.current.as_ref().filter(|running| !running.browser.is_gone());
        RendererStatus {
            browser: running.map(|running| running.browser.version().to_owned()),
            pages: self.0.settings.pages - self.0.room.available_permits()
                + running.map_or(0, |running| running.orphans()),
            queue: self.0.waiting.load(Ordering::Relaxed),
            starts: slot.starts,
        }
    }

    /// Chromium's process, if one of this renderer runs, and how many pages are open in it.
    pub async fn browser(&self) -> Option<(u32, usize)> {
        let running = self.0.slot.lock().await.current.clone()?;
        Some((running.browser.id()?, running.browser.contexts().await?))
    }

    /// Why Chromium cannot be started, if its program is missing.
    #[must_use]
    pub fn missing(&self) -> Option<RenderError> {
        let program = &self.0.settings.program;
        if self.0.settings.endpoint.is_some() {
            return None;
        }
        find(program).is_none().then(|| missing(program))
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &RendererSettings {
        &self.0.settings
    }
}

/// A place in the queue.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inner {
    async fn room(&self, request: &Request) -> Result<OwnedSemaphorePermit, RenderError> {
        if let Ok(room) = self.room.clone().try_acquire_owned() {
            return Ok(room);
        }
        let (pages, queue) = (self.settings.pages, self.settings.queue);
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= queue {
            let turns = (queue as f64 / pages as f64).max(1.0);
            let estimate = Duration::from_secs_f64((*self.mean.lock() * turns / 1000.0).clamp(0.0, 3600.0));
            let retry_after = estimate.clamp(RETRY.0, RETRY.1);
            return Err(RenderError::Busy { url: request.url.clone(), pages, queue, retry_after });
        }
        self.room.clone().acquire_owned().await.map_err(|error| RenderError::Start(error.to_string()))
    }

    /// The current Chromium, or a new one.
    async fn lease(self: &Arc<Inner>) -> Result<Lease, RenderError> {
        let mut slot = self.slot.lock().await;
        if let Some(running) = &slot.current {
            if running.is_usable(&self.settings) {
                return Ok(running.lease());
            }
            let (is_gone, is_stuck) = (running.browser.is_gone(), running.browser.is_stuck());
            if is_gone || is_stuck {
                if running.has_rendered() {
                    slot.backoff.reset();
                }
                slot.fail(if is_gone { "it ended unexpectedly" } else { "it opened no page" });
            }
            slot.current = None;
        }
        slot.wait().await?;
        slot.starts += 1;
        let options = self.options();
        let starting = match &self.settings.endpoint {
            Some(endpoint) => Browser::connect(endpoint, &options).await,
            None => Browser::launch(&options).await,
        };
        match starting {
            Ok(browser) => {
                tracing::info!("pages are rendered with {}", browser.version());
                self.problem.send_replace(None);
                let running = Arc::new(Running::new(browser));
                let lease = running.lease();
                tokio::spawn(supervise(Arc::downgrade(self), Arc::downgrade(&running), running.changed.clone()));
                slot.current = Some(running);
                Ok(lease)
            }
            Err(error) => {
                slot.fail(&error.to_string());
                let is_missing = self.settings.endpoint.is_none() && find(&self.settings.program).is_none();
                self.problem.send_replace(Some(RenderProblem { reason: error.to_string(), is_missing }));
                Err(error)
            }
        }
    }

    fn options(&self) -> BrowserOptions {
        BrowserOptions {
            program: self.settings.program.clone(),
            sandbox: self.settings.sandbox,
            start_timeout: self.settings.start_timeout,
            ..BrowserOptions::new(self.guard.clone(), self.settings.directory.clone())
        }
    }
}

impl Slot {
    fn fail(&mut self, reason: &str) {
        let pause = self.backoff.pause(fastrand::f64());
        self.failed = Some((Instant::now() + pause, reason.to_owned()));
    }

    /// Waits out a short pause.
    async fn wait(&mut self) -> Result<(), RenderError> {
        let Some((at, reason)) = self.failed.clone() else { return Ok(()) };
        let wait = at.saturating_duration_since(Instant::now());
        if wait > SHORT {
            return Err(RenderError::Restarting { reason, wait });
        }
        sleep_until(at).await;
        self.failed = None;
        Ok(())
    }
}

/// Looks after one Chromium until it is replaced or ended. While it has no work, this sleeps.
async fn supervise(inner: Weak<Inner>, running: Weak<Running>, changed: Arc<tokio::sync::Notify>) {
    loop {
        let (Some(inner), Some(current)) = (inner.upgrade(), running.upgrade()) else { return };
        let mut slot = inner.slot.lock().await;
        let idle = inner.settings.idle;
        let pause = match current.idle_since() {
            // A lease is taken under the lock of the slot, so none comes in between.
            Some(since) if since.elapsed() >= idle || !current.is_usable(&inner.settings) => {
                if slot.current.as_ref().is_some_and(|other| Arc::ptr_eq(other, &current)) && !current.browser.is_gone()
                {
                    tracing::info!("Chromium is ended: it has no work");
                    slot.current = None;
                }
                return;
            }
            Some(since) if current.orphans() == 0 && since.elapsed() > SETTLE => idle - since.elapsed().min(idle),
            Some(since) => CHECK.min(idle - since.elapsed().min(idle)),
            None => CHECK,
        };
        drop(slot);
        let checks = pause <= CHECK;
        if checks {
            let (looking, settings) = (current.clone(), inner.settings.clone());
            if let Ok(alive) = spawn_blocking(move || looking.check_memory(&settings)).await {
                current.end_orphans(&alive).await;
            }
        }
        drop((inner, current));
        tokio::select! {
            () = sleep(pause) => {}
            () = changed.notified(), if !checks => {}
        }
    }
}
