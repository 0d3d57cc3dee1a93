//! A Chromium that serves pages: how many, since when, and whether it is to be replaced.

use super::browser::Browser;
use super::orphans::Orphans;
use super::processes::{family, is_renderer};
use super::settings::RendererSettings;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// Time for the browser to name its processes.
const ANSWER: Duration = Duration::from_secs(1);

pub(super) struct Running {
    pub(super) browser: Browser,
    started: Instant,
    /// Pages that it was given.
    pages: AtomicU32,
    /// Whether it gets no further page.
    retired: AtomicBool,
    /// Whether a page was rendered.
    rendered: AtomicBool,
    /// A process that took too much memory was ended.
    ended_process: AtomicBool,
    orphans: Mutex<Orphans>,
    work: Mutex<Work>,
    /// The amount of work has changed.
    pub(super) changed: Arc<Notify>,
}

#[derive(Clone, Copy)]
struct Work {
    active: usize,
    since: Instant,
}

/// A page's use of a browser.
pub(super) struct Lease(pub(super) Arc<Running>);

impl Drop for Lease {
    fn drop(&mut self) {
        let mut work = self.0.work.lock();
        work.active -= 1;
        work.since = Instant::now();
        drop(work);
        self.0.changed.notify_one();
    }
}

impl Running {
    pub(super) fn new(browser: Browser) -> Running {
        let now = Instant::now();
        Running {
            browser,
            started: now,
            pages: AtomicU32::new(0),
            retired: AtomicBool::new(false),
            rendered: AtomicBool::new(false),
            ended_process: AtomicBool::new(false),
            orphans: Mutex::default(),
            work: Mutex::new(Work { active: 0, since: now }),
            changed: Arc::default(),
        }
    }

    pub(super) fn lease(self: &Arc<Running>) -> Lease {
        self.pages.fetch_add(1, Ordering::Relaxed);
        self.work.lock().active += 1;
        self.changed.notify_one();
        Lease(self.clone())
    }

    /// Whether it may get another page.
    pub(super) fn is_usable(&self, settings: &RendererSettings) -> bool {
        !self.browser.is_gone()
            && !self.browser.is_stuck()
            && !self.retired.load(Ordering::Relaxed)
            && self.pages.load(Ordering::Relaxed) < settings.recycle_pages
            && self.started.elapsed() < settings.recycle_age
    }

    pub(super) fn set_rendered(&self) {
        self.rendered.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_rendered(&self) -> bool {
        self.rendered.load(Ordering::Relaxed)
    }

    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Since when it has had no page; `None` while it has one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let work = *self.work.lock();
        (work.active == 0).then_some(work.since)
    }

    /// Whether a process that rendered pages was ended for its memory.
    pub(super) fn has_ended_process(&self) -> bool {
        self.ended_process.load(Ordering::Relaxed)
    }

    /// Ends a process that renders pages and takes too much memory, and retires the browser if it takes too much as a
    /// whole. Returns the processes that render pages. Reads `/proc`.
    pub(super) fn check_memory(&self, settings: &RendererSettings) -> Vec<u32> {
        let Some(id) = self.browser.id() else { return Vec::new() };
        let processes = family(id);
        for process in &processes {
            if process.memory > settings.page_memory && is_renderer(process.id) {
                self.ended_process.store(true, Ordering::Relaxed);
                tracing::warn!(
                    process = process.id,
                    memory = process.memory,
                    "a page is ended: it uses too much memory"
                );
                let _ = kill(Pid::from_raw(process.id.cast_signed()), Signal::SIGKILL);
            }
        }
        let all = processes.iter().map(|process| process.memory).sum::<u64>();
        if all > settings.memory {
            tracing::info!(memory = all, "Chromium is replaced: it uses too much memory");
            self.retire();
        }
        processes.iter().map(|process| process.id).filter(|id| is_renderer(*id)).collect()
    }

    /// Ends those of these processes that have had no page for some looks.
    pub(super) async fn end_orphans(&self, alive: &[u32]) {
        // A browser that does not answer is not waited for: it may be ended meanwhile.
        let Ok(Some(known)) = timeout(ANSWER, self.browser.renderers()).await else { return };
        for process in self.orphans.lock().look(alive, &known) {
            tracing::debug!(process, "a process is ended: its page has ended, and it went on");
            let _ = kill(Pid::from_raw(process.cast_signed()), Signal::SIGKILL);
        }
    }

    /// The number of processes whose page has ended.
    pub(super) fn orphans(&self) -> usize {
        self.orphans.lock().len()
    }
}
